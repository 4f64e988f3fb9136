//! Ports that are free, and stay so while a node is down.

use std::net::TcpListener;

use crate::failure::Failure;

/// Below every usual range of ports that the system gives to outgoing calls: in that range, the port of a killed
/// node could be taken by somebody's call before the node is back.
const RANGE: std::ops::Range<u16> = 18_000..32_000;

/// Finds that many ports on 127.0.0.1 that nobody listens on.
pub(super) fn free(count: usize) -> Result<Vec<u16>, Failure> {
    let mut random = [0; 2];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::outside(format_args!("no random numbers: {error}")))?;
    // Somewhere else each time, so that two networks at once seldom meet.
    let start = RANGE.start + u16::from_le_bytes(random) % (RANGE.end - RANGE.start);
    let candidates = (start..RANGE.end).chain(RANGE.start..start);
    // All are held until all are found, so that none is named twice.
    let held: Vec<(TcpListener, u16)> = candidates
        .filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok().map(|listener| (listener, port)))
        .take(count)
        .collect();
    if held.len() < count {
        return Err(Failure::outside(format_args!(
            "fewer than {count} free ports on 127.0.0.1 in {RANGE:?}"
        )));
    }
    Ok(held.into_iter().map(|(_, port)| port).collect())
}
