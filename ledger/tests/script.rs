//! Scripts: the forms of every line and every complaint, in memory and on a file.

use hundi_ledger::script::{self, Ended, FileSession, LINE_BYTES_MAX, Session};
use hundi_ledger::{MemoryStore, Timestamp};

/// Runs `input` in memory; gives the output and how it ended.
fn run(input: &[u8]) -> (String, Ended) {
    run_on(&mut MemoryStore::new(), input)
}

fn run_on(session: &mut impl Session, input: &[u8]) -> (String, Ended) {
    let mut output = Vec::new();
    let ended = script::run(session, || Timestamp(1_000), input, &mut output).expect("a working ledger");
    (String::from_utf8(output).expect("UTF-8"), ended)
}

/// Lines in pairs: what goes in, and after `->` what must come out.
#[track_caller]
fn check(table: &str) {
    let lines = || table.lines().map(str::trim).filter(|line| !line.is_empty());
    let input: String = lines().filter(|l| !l.starts_with("->")).map(|l| format!("{l}\n")).collect();
    let expected: String =
        lines().filter_map(|l| l.strip_prefix("->")).map(|l| format!("{}\n", l.trim())).collect();
    let (in_memory, _) = run(input.as_bytes());
    for (got, expected) in in_memory.lines().zip(expected.lines()) {
        assert_eq!(got, expected);
    }
    assert_eq!(in_memory, expected);

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let (on_file, _) = run_on(&mut FileSession::open(path).expect("a new file"), input.as_bytes());
    assert_eq!(on_file, expected, "on a file");
}

#[test]
fn the_examples_of_the_reference() {
    check(
        r#"
        {"op":"create_accounts","timestamp":"10","events":[{"id":"1","ledger":1,"code":1,"flags":["linked"]},{"id":2,"ledger":"1","code":"1","flags":8}]}
        -> {"results":[{"status":"created","timestamp":"9"},{"status":"created","timestamp":"10"}]}
        {"op":"create_transfers","timestamp":"20","events":[{"id":"7","debit_account_id":"1","credit_account_id":"2","amount":"5","ledger":1,"code":1,"flags":["pending"],"timeout":3}]}
        -> {"results":[{"status":"created","timestamp":"20"}]}
        {"op":"expire","timestamp":"3000000019"}
        -> {"expired":[]}
        {"op":"expire","timestamp":"4000000000"}
        -> {"expired":["7"]}
        {"op":"lookup_accounts","ids":["2","9"]}
        -> {"accounts":[{"id":"2","debits_pending":"0","debits_posted":"0","credits_pending":"0","credits_posted":"0","user_data_128":"0","user_data_64":"0","user_data_32":0,"reserved":0,"ledger":1,"code":1,"flags":["history"],"timestamp":"10"}]}
        {"op":"lookup_transfers","ids":["7"]}
        -> {"transfers":[{"id":"7","debit_account_id":"1","credit_account_id":"2","amount":"5","pending_id":"0","user_data_128":"0","user_data_64":"0","user_data_32":0,"timeout":3,"ledger":1,"code":1,"flags":["pending"],"timestamp":"20"}]}
        {"op":"get_account_transfers","filter":{"account_id":"2","limit":1,"flags":["credits"]}}
        -> {"transfers":[{"id":"7","debit_account_id":"1","credit_account_id":"2","amount":"5","pending_id":"0","user_data_128":"0","user_data_64":"0","user_data_32":0,"timeout":3,"ledger":1,"code":1,"flags":["pending"],"timestamp":"20"}]}
        {"op":"get_account_transfers","filter":{"account_id":"2","limit":1,"debits":true}}
        -> {"transfers":[]}
        {"op":"get_account_balances","filter":{"account_id":"2","limit":10,"flags":3}}
        -> {"balances":[{"timestamp":"20","debits_pending":"0","debits_posted":"0","credits_pending":"5","credits_posted":"0"}]}
        {"op":"query_accounts","filter":{"limit":1,"flags":["reversed"],"timestamp_max":9}}
        -> {"accounts":[{"id":"1","debits_pending":"0","debits_posted":"0","credits_pending":"0","credits_posted":"0","user_data_128":"0","user_data_64":"0","user_data_32":0,"reserved":0,"ledger":1,"code":1,"flags":["linked"],"timestamp":"9"}]}
        {"op":"query_transfers","filter":{"limit":5,"code":2}}
        -> {"transfers":[]}
        {"op":"get_change_events","filter":{"limit":9,"timestamp_min":"21"}}
        -> {"events":[{"type":"two_phase_expired","transfer_id":"7","pending_id":"0","amount":"5","debit_account":{"id":"1","debits_pending":"0","debits_posted":"0","credits_pending":"0","credits_posted":"0","user_data_128":"0","user_data_64":"0","user_data_32":0,"reserved":0,"ledger":1,"code":1,"flags":["linked"],"timestamp":"9"},"credit_account":{"id":"2","debits_pending":"0","debits_posted":"0","credits_pending":"0","credits_posted":"0","user_data_128":"0","user_data_64":"0","user_data_32":0,"reserved":0,"ledger":1,"code":1,"flags":["history"],"timestamp":"10"},"timestamp":"4000000000"}]}
        "#,
    );
}

#[test]
fn numbers_are_exact_in_both_forms() {
    check(
        r#"
        {"op":"create_accounts","timestamp":5,"events":[{"id":340282366920938463463374607431768211454,"user_data_64":18446744073709551615,"ledger":4294967295,"code":65535},{"id":"0340282366920938463463374607431768211453","ledger":1,"code":1}]}
        -> {"results":[{"status":"created","timestamp":"4"},{"status":"created","timestamp":"5"}]}
        {"op":"lookup_accounts","ids":["340282366920938463463374607431768211454"]}
        -> {"accounts":[{"id":"340282366920938463463374607431768211454","debits_pending":"0","debits_posted":"0","credits_pending":"0","credits_posted":"0","user_data_128":"0","user_data_64":"18446744073709551615","user_data_32":0,"reserved":0,"ledger":4294967295,"code":65535,"flags":[],"timestamp":"4"}]}
        {"op":"create_accounts","events":[{"id":3,"flags":64,"reserved":1}]}
        -> {"results":[{"status":"reserved_field","timestamp":"1000"}]}
        {"op":"create_accounts","events":[{"id":3,"flags":"64"}]}
        -> {"results":[{"status":"reserved_flag","timestamp":"1000"}]}
        {"op":"create_accounts","events":[]}
        -> {"results":[]}
        "#,
    );
}

#[test]
fn a_timestamp_must_fit() {
    check(
        r#"
        {"op":"create_accounts","timestamp":1,"events":[{"id":1,"ledger":1,"code":1},{"id":2,"ledger":1,"code":1}]}
        -> {"error":"timestamp 1 is too low: a batch of 2 needs at least 2 here","line":1}
        {"op":"create_accounts","timestamp":2,"events":[{"id":1,"ledger":1,"code":1},{"id":2,"ledger":1,"code":1}]}
        -> {"results":[{"status":"created","timestamp":"1"},{"status":"created","timestamp":"2"}]}
        {"op":"create_transfers","timestamp":2,"events":[{"id":1}]}
        -> {"error":"timestamp 2 is too low: a batch of 1 needs at least 3 here","line":3}
        {"op":"expire","timestamp":0}
        -> {"error":"timestamp 0 is too low: a batch of 0 needs at least 2 here","line":4}
        {"op":"expire","timestamp":"9223372036854775808"}
        -> {"error":"timestamp 9223372036854775808 is too high: the last is 9223372036854775807","line":5}
        "#,
    );
}

#[test]
fn bad_lines_are_named_and_skipped() {
    check(
        r#"
        nonsense
        -> {"error":"not JSON: expected ident at column 2","line":1}
        [1]
        -> {"error":"the line must be an object, not an array","line":2}
        "expire"
        -> {"error":"the line must be an object, not a string","line":3}
        {"op":"expire"} {}
        -> {"error":"not JSON: trailing characters at column 17","line":4}
        {"op":"expire"
        -> {"error":"not JSON: EOF while parsing an object at column 14","line":5}
        {}
        -> {"error":"op is missing","line":6}
        {"op":"explode"}
        -> {"error":"no op is called `explode`","line":7}
        {"op":1}
        -> {"error":"op must be a string, not a number","line":8}
        {"op":"expire","op":"expire"}
        -> {"error":"the line: `op` is there twice","line":9}
        {"op":"expire","when":1}
        -> {"error":"the line: no field is called `when`","line":10}
        {"op":"expire","timestamp":1.5}
        -> {"error":"timestamp must be an integer from 0 to 18446744073709551615, not `1.5`","line":11}
        {"op":"expire","timestamp":1e3}
        -> {"error":"timestamp must be an integer from 0 to 18446744073709551615, not `1e3`","line":12}
        {"op":"expire","timestamp":-1}
        -> {"error":"timestamp must be an integer from 0 to 18446744073709551615, not `-1`","line":13}
        {"op":"expire","timestamp":""}
        -> {"error":"timestamp must be an integer from 0 to 18446744073709551615, not ``","line":14}
        {"op":"expire","timestamp":"+1"}
        -> {"error":"timestamp must be an integer from 0 to 18446744073709551615, not `+1`","line":15}
        {"op":"expire","timestamp":null}
        -> {"error":"timestamp must be an integer, not null","line":16}
        {"op":"lookup_accounts"}
        -> {"error":"ids is missing","line":17}
        {"op":"lookup_accounts","ids":["1",{}]}
        -> {"error":"ids[1] must be an integer, not an object","line":18}
        {"op":"lookup_accounts","ids":"1"}
        -> {"error":"ids must be an array, not a string","line":19}
        {"op":"create_transfers","events":[{"id":1},{"amount":340282366920938463463374607431768211456}]}
        -> {"error":"events[1].amount must be an integer from 0 to 340282366920938463463374607431768211455, not `340282366920938463463374607431768211456`","line":20}
        {"op":"create_transfers","events":[{"code":65536}]}
        -> {"error":"events[0].code must be an integer from 0 to 65535, not `65536`","line":21}
        {"op":"create_transfers","events":[{"flags":["pending","sometimes"]}]}
        -> {"error":"events[0].flags[1]: no flag is called `sometimes`","line":22}
        {"op":"create_transfers","events":[{"flags":65536}]}
        -> {"error":"events[0].flags must be an integer from 0 to 65535, not `65536`","line":23}
        {"op":"create_accounts","events":[{"id":1,"balance":5}]}
        -> {"error":"events[0]: no field is called `balance`","line":24}
        {"op":"create_accounts","events":[{"id":1,"id":2}]}
        -> {"error":"events[0]: `id` is there twice","line":25}
        {"op":"create_accounts","events":[1]}
        -> {"error":"events[0] must be an object, not a number","line":26}
        {"op":"query_accounts","filter":{"reversed":"yes"}}
        -> {"error":"filter.reversed must be true or false, not a string","line":27}
        {"op":"get_change_events","filter":{"limit":1,"code":1}}
        -> {"error":"filter: no field is called `code`","line":28}
        {"op":"lookup_accounts","ids":[]}
        -> {"accounts":[]}
        "#,
    );
}

#[test]
fn what_is_no_text_or_too_long_is_one_bad_line() {
    let long = vec![b' '; LINE_BYTES_MAX + 1];
    let longest = [vec![b' '; LINE_BYTES_MAX - 2], b"{}".to_vec()].concat();
    let input = [b"\xff\xfe", &long[..], &longest[..], b"", b"{\"op\":\"expire\"}"].join(&b"\n"[..]);
    let (output, ended) = run(&input);
    assert_eq!(
        output,
        "{\"error\":\"not UTF-8\",\"line\":1}\n\
         {\"error\":\"the line is longer than 16777216 bytes\",\"line\":2}\n\
         {\"error\":\"op is missing\",\"line\":3}\n\
         {\"expired\":[]}\n",
        "the last line needs no end, and an empty one no answer"
    );
    assert_eq!(ended, Ended { lines: 5, bad_lines: 3 });
}

#[test]
fn a_byte_order_mark_and_line_ends_of_other_systems_do_not_matter() {
    let (output, ended) = run(
        b"\xef\xbb\xbf{\"op\":\"expire\"}\r\n\r\n\t{\"op\":\"expire\"} \r\n\xef\xbb\xbf{\"op\":\"expire\"}\n",
    );
    let expected = "{\"expired\":[]}\n{\"expired\":[]}\n{\"error\":\"not JSON: expected value at column 1\",\"line\":4}\n";
    assert_eq!(output, expected, "a mark in the middle is none");
    assert_eq!(ended, Ended { lines: 4, bad_lines: 1 });
}

#[test]
fn a_bad_line_changes_nothing() {
    let (output, ended) = run(
        br#"{"op":"create_accounts","events":[{"id":1,"ledger":1,"code":1},{"id":2,"ledger":1,"code":1,"x":1}]}
{"op":"lookup_accounts","ids":[1,2]}"#,
    );
    assert!(output.ends_with("{\"accounts\":[]}\n"), "{output}");
    assert_eq!(ended.bad_lines, 1);
}

#[test]
fn a_file_keeps_what_a_script_did() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let create = br#"{"op":"create_accounts","events":[{"id":1,"ledger":1,"code":1}]}"#;
    run_on(&mut FileSession::open(&path).unwrap(), create);
    let (output, _) = run_on(&mut FileSession::open(&path).unwrap(), create);
    assert_eq!(output, "{\"results\":[{\"status\":\"exists\",\"timestamp\":\"1000\"}]}\n");
}

#[test]
fn lines_in_any_bytes_are_answered_or_refused() {
    use proptest::prelude::*;
    proptest!(ProptestConfig { failure_persistence: None, ..Default::default() }, |(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        text in r#"[\{\}\[\]":,a-z0-9\\ue.\-]{0,60}"#,
    )| {
        run(&bytes);
        let nested = format!("{{\"op\":\"create_accounts\",\"events\":[{{\"id\":{text}}}]}}");
        run(nested.as_bytes());
        run(text.as_bytes());
    });
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let (output, _) = run(format!("{{\"op\":\"lookup_accounts\",\"ids\":{deep}}}").as_bytes());
    assert_eq!(output, "{\"error\":\"ids[0] must be an integer, not an array\",\"line\":1}\n");
}
