//! What customers were told, one JSON object a line: kept beside the data files for audits.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;

use hundi_protocol::{Digest, Order, UncheckedCertificate};
use serde::{Deserialize, Serialize};

use crate::driver::Answer;
use crate::failure::{Failure, While as _};

/// The name of the file within a network's folder.
pub(crate) const HISTORY_FILE: &str = "history.jsonl";

/// One line.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    payment: Digest,
    /// `commit`, `abort`, `not_accepted` or `unknown`.
    told: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    certificate: Option<UncheckedCertificate>,
}

/// Writes the answers to `orders`, which are in the same order.
pub(crate) fn write<'a>(
    path: &Path,
    answers: impl IntoIterator<Item = (&'a Order, &'a Answer)>,
) -> Result<(), Failure> {
    let cannot = || format!("cannot write {}", path.display());
    let mut file = BufWriter::new(File::create(path).or_fail(cannot)?);
    for (order, answer) in answers {
        let (told, certificate) = match answer {
            Answer::Proven(certificate, _) => {
                (certificate.outcome().to_string(), Some(certificate.to_unchecked()))
            }
            Answer::NotAccepted(_) => ("not_accepted".to_owned(), None),
            Answer::Unknown => ("unknown".to_owned(), None),
        };
        let line = Line { payment: order.digest(), told, certificate };
        serde_json::to_writer(&mut file, &line).or_fail(cannot)?;
        file.write_all(b"\n").or_fail(cannot)?;
    }
    file.flush().or_fail(cannot)
}

/// Reads the certificates that customers got; none if there is no such file.
pub(crate) fn read(path: &Path) -> Result<Vec<UncheckedCertificate>, Failure> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::outside(format_args!("cannot read {}: {error}", path.display()))),
    };
    let mut told = Vec::new();
    for (n, line) in BufReader::new(file).lines().enumerate() {
        let line = line.or_fail(|| format!("cannot read {}", path.display()))?;
        let line: Line = serde_json::from_str(&line).map_err(|error| {
            Failure::input(format_args!(
                "{}, line {}: not a line of a history: {error}",
                path.display(),
                n + 1
            ))
        })?;
        told.extend(line.certificate);
    }
    Ok(told)
}
