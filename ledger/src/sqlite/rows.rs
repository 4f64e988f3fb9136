//! Inserting many rows with few calls: one prepared statement takes [`GROUP`] rows, another takes one.

use std::sync::OnceLock;

use rusqlite::{CachedStatement, Connection, ToSql};

/// Rows in the larger statement. More saves little and costs a longer statement to prepare.
const GROUP: usize = 32;

/// What is inserted where.
pub(super) struct Table {
    /// `INSERT … INTO table(columns)`, without `VALUES`. `OR ROLLBACK` keeps SQLite from journalling each statement.
    pub(super) insert: &'static str,
    /// How many columns.
    pub(super) columns: usize,
    /// The statements for [`GROUP`] rows and for one: the long one takes as long to write as a row takes to insert.
    sql: [OnceLock<String>; 2],
}

impl Table {
    pub(super) const fn new(insert: &'static str, columns: usize) -> Self {
        Self { insert, columns, sql: [const { OnceLock::new() }; 2] }
    }

    fn sql(&self, rows: usize) -> &str {
        self.sql[usize::from(rows == 1)].get_or_init(|| {
            let row = format!("({})", vec!["?"; self.columns].join(","));
            format!("{} VALUES {}", self.insert, vec![row; rows].join(","))
        })
    }
}

/// Binds the columns of one row, from left to right.
pub(super) struct Binder<'a, 'c> {
    statement: &'a mut CachedStatement<'c>,
    next: usize,
}

impl Binder<'_, '_> {
    /// The next column.
    pub(super) fn bind(&mut self, value: impl ToSql) -> rusqlite::Result<()> {
        let index = self.next;
        self.next += 1;
        self.statement.raw_bind_parameter(index, value)
    }
}

/// Inserts all rows in order.
pub(super) fn insert_rows<R>(
    connection: &Connection,
    table: &Table,
    rows: &[R],
    bind: impl Fn(&mut Binder<'_, '_>, &R) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let (groups, rest) = rows.as_chunks::<GROUP>();
    if !groups.is_empty() {
        let mut statement = connection.prepare_cached(table.sql(GROUP))?;
        for group in groups {
            insert_group(&mut statement, table, group, &bind)?;
        }
    }
    if !rest.is_empty() {
        let mut statement = connection.prepare_cached(table.sql(1))?;
        for row in rest {
            insert_group(&mut statement, table, std::slice::from_ref(row), &bind)?;
        }
    }
    Ok(())
}

fn insert_group<R>(
    statement: &mut CachedStatement<'_>,
    table: &Table,
    rows: &[R],
    bind: &impl Fn(&mut Binder<'_, '_>, &R) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut binder = Binder { statement, next: 1 };
    for row in rows {
        bind(&mut binder, row)?;
    }
    assert_eq!(binder.next, rows.len() * table.columns + 1, "{} binds all columns", table.insert);
    binder.statement.raw_execute().map(|_| ())
}
