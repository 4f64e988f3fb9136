//! Orders files, good and bad.

use super::*;

const HEADER: &str = "order_id,payer_bank,payer_account,payee_bank,payee_account,amount,currency,purpose\n";

fn read(bytes: &[u8]) -> Result<OrdersFile, String> {
    OrdersFile::read_from(Path::new("orders.csv"), None, bytes).map_err(|failure| failure.to_string())
}

/// A file with a good header and these lines is refused with exactly these problems.
fn check(lines: &str, problems: &[&str]) {
    let text = read(format!("{HEADER}{lines}").as_bytes()).map(|file| file.orders).expect_err(lines);
    let found: Vec<&str> = text.lines().skip(1).map(str::trim).collect();
    assert_eq!(found, problems, "{lines}");
}

#[test]
fn a_good_file_is_read_in_order() {
    let file =
        read(format!("{HEADER}1,HOME,7,YZ,8,2452.00,CZK,household\n2,YZ,8,HOME,7,0.05,CZK,\n").as_bytes());
    let file = file.unwrap();
    assert_eq!(file.orders.len(), 2);
    let first = &file.orders[0];
    assert_eq!(first.payer.to_string(), "7@home");
    assert_eq!(first.payee.to_string(), "8@yz");
    assert_eq!(first.amount, Minor(245_200));
    assert_eq!(file.banks.values().collect::<Vec<_>>(), ["HOME", "YZ"]);
}

#[test]
fn columns_may_stand_in_any_order_and_lines_end_as_on_windows() {
    let text = "\u{feff}purpose,currency,amount,payee_account,payee_bank,payer_account,payer_bank,order_id\r\n\
                rent,CZK,1.00,b,y,a,x,9\r\n";
    let file = read(text.as_bytes()).unwrap();
    assert_eq!(file.orders[0].payer.to_string(), "a@x");
    assert_eq!(file.orders[0].purpose, "rent");
}

#[test]
fn lines_are_counted_as_an_editor_counts_them() {
    let bad = |line: u32| format!("line {line}, column amount: \"-5\": expected digits such as 12.50");
    let rows = "1,x,a,y,b,1.00,CZK,\"two\nlines\"\n\n\n2,x,a,y,b,-5,CZK,rent\n3,x,a,y,b,-5,CZK,rent";
    let note = "line 2, column purpose: \"two\\nlines\": at most 280 bytes, and no control characters";
    check(rows, &[note, &bad(6), &bad(7)]);
    check(&format!("{rows}\n"), &[note, &bad(6), &bad(7)]);
    let windows = format!("{HEADER}{rows}").replace('\n', "\r\n");
    let text = read(windows.as_bytes()).map(|file| file.orders).expect_err("bad amounts");
    assert!(text.contains(&bad(6)) && text.contains(&bad(7)), "{text}");
}

#[test]
fn a_line_repeated_in_full_is_one_order() {
    let line = "1,x,a,y,b,1.00,CZK,rent\n";
    assert_eq!(read(format!("{HEADER}{line}{line}").as_bytes()).unwrap().orders.len(), 1);
}

#[test]
fn every_bad_field_is_named() {
    let amount = |value: &str, what: &str| format!("line 2, column amount: {value:?}: {what}");
    for (value, what) in [
        ("12.345", "CZK has 2 decimals"),
        ("-5", "expected digits such as 12.50"),
        ("NaN", "expected digits such as 12.50"),
        ("99999999999999999999", "too large: at most 92,233,720,368,547,758.07 CZK"),
        ("0", "an amount of zero moves nothing"),
    ] {
        check(&format!("1,x,a,y,b,{value},CZK,rent\n"), &[&amount(value, what)]);
    }
    check("1,x,a,y,b,1.00,XXQ,rent\n", &["line 2, column currency: \"XXQ\": not a currency of ISO 4217"]);
    check(
        " ,x y,a,y,b b,-1,CZK,\"a\nb\"\n",
        &[
            "line 2, column order_id: \" \": expected 1 to 64 letters, digits or signs, no spaces",
            "line 2, column payer_bank: \"x y\": expected a bank's name: 1 to 63 of A-Z, a-z, 0-9 and -",
            "line 2, column payee_account: \"b b\": expected 1 to 64 of A-Z, a-z, 0-9, . _ -",
            "line 2, column amount: \"-1\": expected digits such as 12.50",
            "line 2, column purpose: \"a\\nb\": at most 280 bytes, and no control characters",
        ],
    );
    check(
        "1,x,a,X,b,1.00,CZK,\n",
        &["line 2, column payee_bank: \"X\": clashes with \"x\": both would be the node x"],
    );
    check("1,x,a,x,a,1.00,CZK,\n", &["line 2, column payee_account: \"a\": the payer cannot pay itself"]);
    check("1,x,a\n", &["line 2: 3 fields, the header has 8"]);
    check(
        "1,x,a,y,b,1.00,CZK,\n2,x,a,y,b,1.00,CZK,\n1,x,a,y,b,1.01,CZK,\n",
        &["line 4, column order_id: \"1\": line 2 has the same id with another amount"],
    );
}

#[test]
fn bytes_that_are_not_utf8_are_named_and_the_rest_of_the_file_is_looked_at() {
    let mut bytes = format!("{HEADER}1,x,a,y,b,-1,CZK,").into_bytes();
    bytes.extend_from_slice(b"caf\xe9\n2,x,a,y,b,1.00,CZ\xff,rent\n3,x,a,y,b,1.00,XXQ,rent\n");
    let text = read(&bytes).map(|file| file.orders).unwrap_err();
    let found: Vec<&str> = text.lines().skip(1).map(str::trim).collect();
    let expected = [
        "line 2, column purpose: \"caf\u{fffd}\": byte 4 of the field is 0xe9, which is not UTF-8: save the file as UTF-8",
        "line 2, column amount: \"-1\": expected digits such as 12.50",
        "line 3, column currency: \"CZ\u{fffd}\": byte 3 of the field is 0xff, which is not UTF-8: save the file as UTF-8",
        "line 4, column currency: \"XXQ\": not a currency of ISO 4217",
    ];
    assert_eq!(found, expected);
    let text = read(b"\xff\xfe\x00").map(|file| file.orders).unwrap_err();
    assert!(
        text.contains("field 1 of the header: byte 1 of the field is 0xff, which is not UTF-8"),
        "{text}"
    );
}

#[test]
fn an_amount_of_an_unknown_currency_is_held_to_what_every_currency_asks() {
    let currency = "line 2, column currency: \"XXQ\": not a currency of ISO 4217";
    for fine in ["1.2345", "99999999999999999999999999999999999999999999", "0"] {
        check(&format!("1,x,a,y,b,{fine},XXQ,rent\n"), &[currency]);
    }
    let amount = "line 2, column amount: \"1,5\": expected digits such as 12.50";
    check("1,x,a,y,b,\"1,5\",XXQ,rent\n", &[currency, amount]);
}

#[test]
fn what_is_long_is_quoted_in_part() {
    let long = "z".repeat(1_000_000);
    let text = read(format!("{long},order_id\n").as_bytes()).map(|file| file.orders).unwrap_err();
    assert!(text.len() < 2_000, "{}", text.len());
    assert!(text.contains(&format!("column \"{}\"… of the header is unknown", "z".repeat(80))), "{text}");
    let text = read(format!("{HEADER}1,x,{long},{long},b,{long},{long},{long}\n").as_bytes());
    let text = text.map(|file| file.orders).unwrap_err();
    assert!(text.contains("5 problems") && text.len() < 2_000, "{text}");
}

#[test]
fn a_file_of_another_kind_is_not_counted_to_its_end() {
    let mut text = HEADER.to_owned();
    text.push_str(&"x\n".repeat(1_000_010));
    let text = read(text.as_bytes()).map(|file| file.orders).unwrap_err();
    assert!(text.contains("1000000 problems or more, the rest was not read"), "{text}");
    assert!(text.ends_with("and 999980 more at least"), "{text}");
}

#[test]
fn headers_and_empty_files_are_refused() {
    let refused = |bytes: &[u8]| read(bytes).map(|file| file.orders).unwrap_err();
    assert!(refused(b"").contains("the file is empty"));
    assert!(refused(HEADER.as_bytes()).contains("no orders"));
    let text =
        refused(b"order_id,payer_bank,payer_account,payee_bank,payee_account,currency,purpose,price\n");
    assert!(text.contains("line 1: column amount is missing in the header"), "{text}");
    assert!(text.contains("line 1: column \"price\" of the header is unknown"), "{text}");
}

#[test]
fn the_first_twenty_problems_are_shown_then_a_count() {
    let lines: String = (0..25).map(|n| format!("{n},x,a,y,b,-1,CZK,\n")).collect();
    let text = read(format!("{HEADER}{lines}").as_bytes()).map(|file| file.orders).unwrap_err();
    assert!(text.starts_with("orders.csv is refused, nothing was started: 25 problems"), "{text}");
    assert_eq!(text.lines().count(), 22);
    assert!(text.ends_with("and 5 more"), "{text}");
}

#[test]
fn an_account_with_two_currencies_and_banks_that_the_network_lacks_are_named() {
    check(
        "1,x,a,y,b,1.00,CZK,\n2,x,a,y,c,1.00,EUR,\n3,y,d,y,b,1,JPY,\n",
        &[
            "line 3, column currency: \"EUR\": a@x has CZK in line 2; an account has one currency",
            "line 4, column currency: \"JPY\": b@y has CZK in line 2; an account has one currency",
        ],
    );
    let network = ["alpha", "beta"].map(|name| BankName::new(name).unwrap());
    let text = format!("{HEADER}1,Alpha,a,gamma,b,1.00,CZK,\n2,delta,a,beta,b,1.00,CZK,\n");
    let read = OrdersFile::read_from(Path::new("orders.csv"), Some(network.into()), text.as_bytes());
    let text = read.unwrap_err().to_string();
    let found: Vec<&str> = text.lines().skip(1).map(str::trim).collect();
    let expected = [
        "line 2, column payee_bank: \"gamma\": not a bank of this network, which has alpha, beta",
        "line 3, column payer_bank: \"delta\": not a bank of this network, which has alpha, beta",
    ];
    assert_eq!(found, expected);
}
