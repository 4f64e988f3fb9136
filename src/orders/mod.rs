//! The orders file: payments to make, one a line, checked in full before anything starts.

mod file;
mod money;
mod problems;

pub(crate) use file::{FileOrder, OrdersFile};
pub(crate) use money::{format_amount, minor_digits, parse_amount, thousands};
