//! Columns for people.

use std::io::{self, Write};

/// On which side a column is ragged.
#[derive(Clone, Copy)]
pub(super) enum Align {
    Left,
    Right,
}

/// Writes a table: columns as wide as their widest cell, two spaces apart, nothing behind the last.
pub(super) fn write<const N: usize>(
    out: &mut impl Write,
    header: [(&str, Align); N],
    rows: &[[String; N]],
) -> io::Result<()> {
    let width = |text: &str| text.chars().count();
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter().map(|row| width(&row[column])).chain([width(header[column].0)]).max().unwrap_or(0)
    });
    let titles = header.map(|(title, _)| title.to_owned());
    for row in std::iter::once(&titles).chain(rows) {
        let cells = row.iter().zip(header).zip(widths).map(|((cell, (_, align)), width)| match align {
            Align::Left => format!("{cell:<width$}"),
            Align::Right => format!("{cell:>width$}"),
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// A name on one line: control characters cannot play with the terminal.
pub(super) fn one_line(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
