//! What an application's SQL may not do inside a ledger's transaction: end it, or write the ledger's tables.
//!
//! A `COMMIT` in the middle would leave events on disk that no commit holds; rolling back to a savepoint of one's own
//! would leave memory ahead of the file. So while the application's code runs, SQLite asks here whenever a statement is
//! prepared, and again before it commits anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

/// Tables that only the ledger writes. `account_names` is for the application to read and write.
const OWN_TABLES: [&str; 10] = [
    "meta",
    "accounts",
    "balances",
    "events",
    "late_events",
    "pendings",
    "burnt",
    "transfer_runs",
    "transfer_ids",
    "commits",
];
/// Tables and views that stay as they were created.
const OWN_OBJECTS: [&str; 4] = ["account_names", "v_accounts", "v_transfers", "v_commits"];
/// Pragmas with a value that only ask, or that end with the transaction.
const HARMLESS_PRAGMAS: [&str; 11] = [
    "table_info",
    "table_xinfo",
    "table_list",
    "index_list",
    "index_info",
    "index_xinfo",
    "foreign_key_list",
    "foreign_key_check",
    "integrity_check",
    "quick_check",
    "defer_foreign_keys",
];

/// Knows whose code runs on the writing connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Guard(Arc<AtomicBool>);

impl Guard {
    /// Has SQLite ask before each statement and each commit on the connection.
    pub(super) fn install(connection: &mut Connection) -> rusqlite::Result<Self> {
        let guard = Self::default();
        let (on_prepare, on_commit) = (guard.clone(), guard.clone());
        connection.authorizer(Some(move |context: AuthContext<'_>| {
            if on_prepare.is_foreign() && is_forbidden(&context) {
                Authorization::Deny
            } else {
                Authorization::Allow
            }
        }))?;
        // Also for statements that commit by themselves, after a conflict has rolled the transaction back.
        connection.commit_hook(Some(move || on_commit.is_foreign()))?;
        Ok(guard)
    }

    fn is_foreign(&self) -> bool {
        self.0.load(Ordering::Relaxed) // One thread at a time has the connection.
    }

    /// From here on the application's code runs, until the pass is dropped.
    pub(super) fn foreign(&self) -> Pass {
        Pass { guard: self.clone(), before: self.0.swap(true, Ordering::Relaxed) }
    }

    /// From here on the ledger's own code runs, until the pass is dropped.
    pub(super) fn own(&self) -> Pass {
        Pass { guard: self.clone(), before: self.0.swap(false, Ordering::Relaxed) }
    }
}

/// Restores what was before, also when somebody panics.
#[must_use]
pub(super) struct Pass {
    guard: Guard,
    before: bool,
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.guard.0.store(self.before, Ordering::Relaxed);
    }
}

fn is_forbidden(context: &AuthContext<'_>) -> bool {
    let here = context.database_name.is_none_or(|name| name.eq_ignore_ascii_case("main"));
    let among = |names: &[&str], name: &str| here && names.iter().any(|own| own.eq_ignore_ascii_case(name));
    let rows = |name: &str| among(&OWN_TABLES, name);
    let object = |name: &str| among(&OWN_TABLES, name) || among(&OWN_OBJECTS, name);
    match context.action {
        AuthAction::Transaction { .. }
        | AuthAction::Savepoint { .. }
        | AuthAction::Attach { .. }
        | AuthAction::Detach { .. } => true,
        AuthAction::Pragma { pragma_name, pragma_value } => {
            let changes = pragma_value.is_some() || pragma_name.eq_ignore_ascii_case("wal_checkpoint");
            changes && !HARMLESS_PRAGMAS.iter().any(|known| known.eq_ignore_ascii_case(pragma_name))
        }
        AuthAction::Insert { table_name }
        | AuthAction::Delete { table_name }
        | AuthAction::Update { table_name, .. } => rows(table_name),
        AuthAction::DropTable { table_name } => object(table_name),
        AuthAction::DropView { view_name } => object(view_name),
        AuthAction::DropIndex { index_name, .. } => {
            index_name.eq_ignore_ascii_case("pendings_expiring") && here
        }
        AuthAction::AlterTable { table_name, .. } => object(table_name),
        _ => false,
    }
}
