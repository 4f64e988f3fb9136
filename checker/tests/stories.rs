//! The stories of all mutants, walked once more: with the bug and without, in the model and, step by step beside it,
//! on SQLite files with real signatures and messages as bytes.
//!
//! `hundi check --mutant all --save checker/tests/stories` writes the stories anew.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use hundi_checker::mutants::{self, Mutant};
use hundi_checker::world::{Bug, HundiModel};
use hundi_checker::{RealWalk, Story, Told};

/// Bugs that cannot be carried out on a file, or not without a trace: what the file says, at once or at the next write
/// of the bank that is named.
const REFUSED_BY_THE_FILE: &[(&str, Option<&str>, &str)] = &[
    ("vote-afresh", Some("beta"), "UNIQUE constraint failed: payments.order_id, payments.digest"),
    ("drop-yes", None, "only the checker's flawed banks drop a YES"),
    ("drop-without-floor", Some("beta"), "refusals: the list of commit 2 is gone"),
];

/// Stories in which the bug leaves so much behind in the files that the audit sees it too.
const SEEN_BY_THE_AUDIT: &[&str] = &["yes-without-entry", "send-before-sync"];

fn story(mutant: &Mutant) -> Story {
    let file = format!("tests/stories/{}.json", mutant.name);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn walk(mutant: &Mutant, model: &HundiModel) -> RealWalk {
    let dir = tempfile::tempdir().unwrap();
    story(mutant).walk_for_real(model, dir.path()).unwrap()
}

#[test]
fn each_bug_does_its_harm_in_the_model_and_on_files() {
    for mutant in mutants::ALL {
        let name = mutant.name;
        let model = HundiModel::new(mutant.scenario(), mutant.bug).watching(mutant.harm);
        let walked = walk(mutant, &model);
        let all = story(mutant).steps.len();
        assert_eq!(walked.walk.broken, Some((mutant.harm, all)), "{name}: the harm is done at the end");
        let refused =
            REFUSED_BY_THE_FILE.iter().find(|(refused, later, _)| *refused == name && later.is_none());
        match (&walked.difference, refused) {
            (None, None) => {}
            (Some((_, what)), Some((_, _, why))) => assert!(what.contains(why), "{name}: {what}"),
            other => panic!("{name}: {other:?}"),
        }
        assert_ne!(walked.settles, Some(true), "{name}");
        let seen = SEEN_BY_THE_AUDIT.contains(&name);
        assert_eq!(!walked.offences.is_empty(), seen, "{name}: {:?}", walked.offences);
    }
}

#[test]
fn what_a_file_does_not_take_is_refused_at_the_next_write() {
    for (name, bank, why) in REFUSED_BY_THE_FILE {
        let Some(bank) = bank else { continue };
        let mutant = mutants::by_name(name).unwrap();
        let mut story = story(mutant);
        story.steps.push(Told { event: format!("{bank} writes to disk"), then: Vec::new() });
        let model = HundiModel::new(mutant.scenario(), mutant.bug).watching(mutant.harm);
        let dir = tempfile::tempdir().unwrap();
        let (_, what) = story.walk_for_real(&model, dir.path()).unwrap().difference.unwrap();
        assert!(what.contains(why), "{name}: {what}");
    }
}

#[test]
fn no_story_breaks_the_code_as_it_is() {
    for mutant in mutants::ALL {
        let name = mutant.name;
        let walked = walk(mutant, &HundiModel::new(mutant.scenario(), Bug::default()));
        assert_eq!(walked.walk.broken, None, "{name}");
        assert_eq!(walked.difference, None, "{name}");
        assert_eq!(walked.settles, Some(true), "{name}");
        assert_eq!(walked.offences, [""; 0], "{name}");
        // The last step or two may need the bug; a story of which nothing is left would test nothing.
        let (taken, all) = (walked.walk.taken.len(), story(mutant).steps.len());
        assert!(taken > 0 && 2 * taken >= all, "{name}: only {taken} of {all} steps are possible");
    }
}

#[test]
fn there_is_no_story_without_its_mutant() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stories");
    for file in std::fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(mutants::by_name(&name).is_some(), "{}: no such mutant", path.display());
    }
}
