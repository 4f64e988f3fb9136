//! Where `--save` puts stories. Looked at before the search, which may take minutes.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use hundi_checker::Story;

use crate::console;
use crate::failure::{Failure, While as _};

/// A place for stories that can be written to.
#[derive(Debug)]
pub(super) enum Shelf {
    /// The file of the one search.
    File(PathBuf),
    /// The folder in which each search has a file of its own.
    Folder(PathBuf),
}

impl Shelf {
    /// A place for the stories of so many searches; nothing is left there by looking.
    pub(super) fn new(path: &Path, searches: usize) -> Result<Shelf, Failure> {
        let shown = path.display();
        if path.is_dir() {
            Self::try_folder(path, path)?;
            return Ok(Shelf::Folder(path.to_owned()));
        }
        if searches > 1 {
            return Err(Failure::usage(format_args!(
                "--save {shown}: {searches} searches may find a story each: name a directory that exists"
            )));
        }
        if path.exists() {
            let file = OpenOptions::new().write(true).open(path);
            file.map(drop).or_fail(|| format!("--save {shown}: cannot write this file"))?;
        } else {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            Self::try_folder(folder.unwrap_or(Path::new(".")), path)?;
        }
        Ok(Shelf::File(path.to_owned()))
    }

    fn try_folder(folder: &Path, path: &Path) -> Result<(), Failure> {
        let what =
            || format!("--save {}: cannot make a file in the folder {}", path.display(), folder.display());
        tempfile::tempfile_in(folder).map(drop).or_fail(what)
    }

    /// Writes the stories.
    pub(super) fn keep(&self, stories: &[(&str, &Story)]) -> Result<(), Failure> {
        if stories.is_empty() {
            console::note("nothing to save: no violation");
        }
        for (name, story) in stories {
            let file = match self {
                Shelf::File(file) => file.clone(),
                Shelf::Folder(folder) => folder.join(format!("{name}.json")),
            };
            let mut text = serde_json::to_string_pretty(story).map_err(Failure::outside)?;
            text.push('\n');
            std::fs::write(&file, text).or_fail(|| format!("cannot write {}", file.display()))?;
        }
        Ok(())
    }
}
