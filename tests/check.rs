//! `hundi check` as a person uses it: what it refuses, and what its answers are worth.
#![allow(clippy::unwrap_used)]

mod common;

use common::{check_refused, run, run_json, stderr};

/// Refused with this exit code, in one line with these words, and nothing on stdout.
fn check_run_refused(code: i32, arguments: &[&str], words: &str) {
    let output = run(arguments);
    check_refused(&output, code, words);
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

#[test]
fn a_search_that_is_cut_short_is_not_proved() {
    let output = run(&["check", "--config", "anyone", "--states-max", "2000"]);
    check_refused(&output, 1, "not proved: anyone");
}

#[test]
fn a_saved_story_is_walked_again_and_one_that_shows_nothing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("story.json");
    let path = file.to_str().unwrap();
    let report = run_json(&["check", "--mutant", "send-before-sync", "--save", path, "--json"]);
    assert_eq!(report["mutants"][0]["caught"], true);
    let output = run(&["check", "--replay", path]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let replayed = run_json(&["check", "--replay", path, "--json"]);
    assert_eq!(replayed["holds"], true);
    assert_eq!(replayed["walks"][0]["mutant"], "send-before-sync");
    assert_eq!(replayed["walks"][0]["broken"], "no payment ends both ways");
    assert_eq!(replayed["walks"][1]["mutant"], serde_json::Value::Null);
    assert_eq!(replayed["walks"][1]["broken"], serde_json::Value::Null);
    assert_eq!(replayed["walks"][1]["settles"], true);

    let story = |orders: u8, event: &str| {
        let text = format!(
            r#"{{"config":"pair","orders":{orders},"property":"a bank votes once","steps":[{{"event":"{event}"}}]}}"#
        );
        std::fs::write(&file, text).unwrap();
    };
    story(1, "gibberish");
    check_run_refused(3, &["check", "--replay", path], "no step of it is possible in pair");
    story(255, "alpha crashes");
    check_run_refused(3, &["check", "--replay", path], "pair has only 1 of them");
    std::fs::write(&file, "{").unwrap();
    check_run_refused(3, &["check", "--replay", path], "not a story");
    check_run_refused(2, &["check", "--config", "nothing"], "nothing");
    check_run_refused(2, &["check", "--mutant", "nothing"], "nothing");
}

#[test]
fn a_hunt_keeps_to_its_limits() {
    let output = run(&["check", "--mutant", "drop-without-floor", "--states-max", "2000"]);
    check_refused(&output, 1, "not caught: drop-without-floor");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("where the search was cut short"), "{text}");
    let found = run_json(&["check", "--mutant", "send-before-sync", "--threads", "2", "--json"]);
    assert_eq!(found["mutants"][0]["steps"], 5);
    let ending = &found["mutants"][0]["story"]["ending"];
    assert!(ending["harm"].as_str().unwrap().contains("60 INR of p1 come from nowhere"), "{ending}");
}

#[test]
fn a_story_that_cannot_be_kept_is_refused_before_the_search() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing/story.json");
    let missing = missing.to_str().unwrap();
    check_run_refused(
        4,
        &["check", "--mutant", "drop-yes", "--save", missing],
        "cannot make a file in the folder",
    );
    let file = folder.path().join("story.json");
    let path = file.to_str().unwrap();
    check_run_refused(2, &["check", "--mutant", "all", "--save", path], "name a directory that exists");
    assert!(!file.exists());

    run_json(&[
        "check",
        "--config",
        "liar",
        "--mutant",
        "drop-yes",
        "--save",
        folder.path().to_str().unwrap(),
        "--json",
    ]);
    let kept: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(kept, ["drop-yes.json"], "one story, and nothing else is left behind");
}

#[test]
fn the_explorer_shows_one_network_and_names_no_address_that_is_taken() {
    check_run_refused(2, &["check", "--mutant", "all", "--explore", "127.0.0.1:0"], "name one mutant");
    check_run_refused(
        2,
        &["check", "--config", "ci", "--explore", "127.0.0.1:0"],
        "\"ci\" is no configuration",
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    check_run_refused(
        4,
        &["check", "--config", "liar", "--explore", &address],
        "cannot serve the Explorer at",
    );
}
