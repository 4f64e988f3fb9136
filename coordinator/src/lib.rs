//! The courier of orders and votes, and the process around it.
