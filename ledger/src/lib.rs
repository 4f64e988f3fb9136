//! A double-entry ledger inside your process, on SQLite.
