//! `hundi check` as a person uses it: what it refuses, and what its answers are worth.
#![allow(clippy::unwrap_used)]

mod common;

use common::{run, run_json, stderr};

/// Refused as bad input, in one line with these words.
fn check_refused(arguments: &[&str], words: &str) {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(3), "{arguments:?}: {}", stderr(&output));
    assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    assert!(stderr(&output).contains(words), "{words:?} is not in: {}", stderr(&output));
}

#[test]
fn a_search_that_is_cut_short_is_not_proved() {
    let output = run(&["check", "--config", "anyone", "--states-max", "2000"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("not proved: anyone"), "{}", stderr(&output));
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

    let story = |orders: u8, event: &str| {
        let text = format!(
            r#"{{"config":"pair","orders":{orders},"property":"a bank votes once","steps":[{{"event":"{event}"}}]}}"#
        );
        std::fs::write(&file, text).unwrap();
    };
    story(1, "gibberish");
    check_refused(&["check", "--replay", path], "no step of it is possible in pair");
    story(255, "alpha crashes");
    check_refused(&["check", "--replay", path], "pair has only 1 of them");
    std::fs::write(&file, "{").unwrap();
    check_refused(&["check", "--replay", path], "not a story");
    check_refused(&["check", "--config", "nothing"], "nothing");
    check_refused(&["check", "--mutant", "nothing"], "nothing");
}
