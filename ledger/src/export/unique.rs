//! Names that a format does not allow, turned into names that it allows, without two becoming one.

use std::collections::BTreeSet;

/// Gives each wanted name once; who comes later gets a number behind it.
#[derive(Debug, Default)]
pub(super) struct Unique {
    taken: BTreeSet<String>,
}

impl Unique {
    /// The name itself if it is free, else with `-2`, `-3` … behind.
    pub(super) fn take(&mut self, wanted: String) -> String {
        let mut name = wanted.clone();
        let mut number = 1_u64;
        while !self.taken.insert(name.clone()) {
            number += 1;
            name = format!("{wanted}-{number}");
        }
        name
    }
}
