//! The arrows between the crates point one way: `ledger` and `protocol` know nobody.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Who may know whom.
const ARROWS: [(&str, &[&str]); 6] = [
    ("hundi-ledger", &[]),
    ("hundi-protocol", &[]),
    ("hundi-bank-node", &["hundi-ledger", "hundi-protocol"]),
    ("hundi-coordinator", &["hundi-protocol"]),
    ("hundi-checker", &["hundi-bank-node", "hundi-coordinator", "hundi-ledger", "hundi-protocol"]),
    ("hundi", &["hundi-bank-node", "hundi-checker", "hundi-coordinator", "hundi-ledger", "hundi-protocol"]),
];

#[test]
fn the_arrows_between_the_crates_point_one_way() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        // Dependencies of tests count as well: a crate that is tested through another is not alone.
        let own =
            package["dependencies"].as_array().unwrap().iter().map(|dependency| text(&dependency["name"]));
        found.insert(text(&package["name"]), own.filter(|name| name.starts_with("hundi")).collect());
    }
    let allowed: BTreeMap<String, BTreeSet<String>> = ARROWS
        .iter()
        .map(|(from, to)| ((*from).to_owned(), to.iter().map(|name| (*name).to_owned()).collect()))
        .collect();
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        allowed.keys().collect::<Vec<_>>(),
        "the crates of the workspace"
    );
    for (from, to) in &found {
        assert!(to.is_subset(&allowed[from]), "{from} may know {:?} and knows {to:?}", allowed[from]);
    }
}
