//! Amounts as people write them.

use hundi_ledger::{Amount, BadCurrency, BadMoney, Currencies, Currency, LedgerCode, Money};
use proptest::prelude::*;

fn iso(code: &str) -> Currency {
    Currency::iso(code).expect("a currency of ISO 4217")
}

#[test]
fn amounts_are_shown_with_the_digits_of_their_currency() {
    for (code, minor, shown) in [
        ("INR", 0, "0.00 INR"),
        ("INR", 5, "0.05 INR"),
        ("INR", 123_450, "1,234.50 INR"),
        ("INR", 100_000, "1,000.00 INR"),
        ("JPY", 999, "999 JPY"),
        ("JPY", 1_000_000, "1,000,000 JPY"),
        ("KWD", 1_234, "1.234 KWD"),
        ("CLF", 1, "0.0001 CLF"),
        ("USD", u128::MAX, "3,402,823,669,209,384,634,633,746,074,317,682,114.55 USD"),
    ] {
        assert_eq!(iso(code).money(minor).to_string(), shown);
        assert_eq!(shown.parse::<Money>(), Ok(iso(code).money(minor)));
    }
    assert_eq!(format!("{:>12}", iso("INR").money(5)), "    0.05 INR");
}

#[test]
fn amounts_are_read_in_the_forms_that_people_use() {
    for (text, minor) in [
        ("1234.5", 123_450),
        ("1234.50 INR", 123_450),
        ("  7   INR ", 700),
        ("1,00,00,000.25", 1_000_000_025),
        ("10,000,000.25", 1_000_000_025),
        ("0.1", 10),
        ("007", 700),
    ] {
        assert_eq!(iso("INR").parse(text), Ok(Amount(minor)), "{text}");
    }
}

#[test]
fn anything_else_is_refused() {
    for text in [
        "",
        " ",
        "INR",
        "-1",
        "+1",
        "1e3",
        "1.",
        ".5",
        "1..5",
        "1.2.3",
        "1,2",
        "1,23",
        "12,3456",
        "1,2345",
        ",123",
        "1,,234",
        "1,234,",
        "1234,567",
        "1,23,45,67",
        "1 2 INR",
        "１",
        "0x10",
        "1.5,0",
        "1_000",
        "NaN",
        "inf",
    ] {
        let refused = iso("INR").parse(text);
        assert!(
            matches!(refused, Err(BadMoney::Form(_) | BadMoney::OtherCurrency { .. })),
            "{text}: {refused:?}"
        );
    }
    assert!(matches!(iso("INR").parse("1.234"), Err(BadMoney::TooPrecise { digits: 2, .. })));
    assert!(matches!(iso("INR").parse("1.000"), Err(BadMoney::TooPrecise { .. })), "zeros count too");
    assert!(matches!(iso("JPY").parse("1.0"), Err(BadMoney::TooPrecise { digits: 0, .. })));
    assert!(matches!(iso("INR").parse("1 USD"), Err(BadMoney::OtherCurrency { .. })));
    assert!(matches!("1 inr".parse::<Money>(), Err(BadMoney::UnknownCurrency(_))));
    assert!(matches!("1".parse::<Money>(), Err(BadMoney::UnknownCurrency(_))));
    let largest = "3402823669209384634633746074317682114.55";
    assert_eq!(iso("USD").parse(largest), Ok(Amount::MAX));
    assert!(matches!(
        iso("USD").parse("3402823669209384634633746074317682114.56"),
        Err(BadMoney::TooLarge(_))
    ));
    assert!(matches!(iso("USD").parse(&"9".repeat(5000)), Err(BadMoney::TooLarge(_))));
}

#[test]
fn a_registry_has_each_code_and_each_ledger_once() {
    let mut currencies = Currencies::iso();
    let count = currencies.iter().count();
    assert!(count > 150, "{count}");
    for currency in currencies.iter() {
        assert_eq!(Currency::iso(currency.code()), Some(currency), "the list is in order");
        assert_eq!(currencies.by_ledger(currency.ledger()), Some(currency), "no number is there twice");
    }
    assert_eq!(iso("INR").ledger(), LedgerCode(356));
    let points = Currency::new("POINTS", 90_001, 0).unwrap();
    assert_eq!(currencies.add(points), Ok(()));
    assert_eq!(currencies.add(points), Ok(()), "the same again");
    assert_eq!(currencies.parse("1,250 POINTS").unwrap(), points.money(1250));
    let other_digits = Currency::new("POINTS", 90_001, 2).unwrap();
    assert!(matches!(currencies.add(other_digits), Err(BadCurrency::Taken { .. })));
    let other_code = Currency::new("MILES", 356, 2).unwrap();
    assert!(matches!(currencies.add(other_code), Err(BadCurrency::Taken { .. })));
}

#[test]
fn what_cannot_be_a_currency_is_refused() {
    for code in ["", "inr", "1INR", "IN R", "ABCDEFGHIJKLM", "€"] {
        assert!(matches!(Currency::new(code, 1, 2), Err(BadCurrency::Code(_))), "{code}");
    }
    assert_eq!(Currency::new("A", 0, 2), Err(BadCurrency::NoLedger));
    assert_eq!(Currency::new("A", 1, 39), Err(BadCurrency::Digits(39)));
    assert_eq!(Currency::new("A", 1, 38).unwrap().parse("3"), Ok(Amount(3 * 10_u128.pow(38))));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_is_shown_is_read_back(minor: u128, digits in 0..=38u8) {
        let currency = Currency::new("X", 1, digits).unwrap();
        let text = currency.money(minor).to_string();
        prop_assert_eq!(currency.parse(&text), Ok(Amount(minor)));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}") {
        let _ = text.parse::<Money>();
        let _ = iso("KWD").parse(&text);
    }
}
