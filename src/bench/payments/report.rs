//! What is printed.

use serde::Serialize;

use super::PaymentsBenchArgs;
use super::run::Measured;
use crate::bench::measure::{milliseconds, per_second, ratio};
use crate::bench::postgres::PeerReport;
use crate::console;
use crate::driver::Latencies;
use crate::failure::Failure;
use crate::orders::thousands;

/// The result, as it is printed with `--json`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    per_second: u64,
    latency_ms: Latency,
    cpu_us_per_payment: Cpu,
    bytes_on_wire_per_payment: u64,
    syncs_per_second: u64,
    payments_per_sync: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) peer: Option<PeerReport>,
    /// This rate over the peer's.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio_to_peer: Option<f64>,
}

/// Percentiles from submission to the certificate (or the peer's last answer).
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

impl Latency {
    pub(crate) fn of(latencies: &Latencies) -> Self {
        let [p50, p99, p999] = [500, 990, 999].map(|per_mille| milliseconds(latencies.at(per_mille)));
        Self { p50, p99, p999 }
    }

    fn text(self) -> String {
        format!("{:.2} / {:.2} / {:.2}", self.p50, self.p99, self.p999)
    }
}

#[derive(Debug, Serialize)]
struct Cpu {
    bank: f64,
    coordinator: f64,
    client: f64,
}

impl Report {
    pub(super) fn of(measured: &Measured) -> Self {
        let Measured { results, used, payments, bytes_on_wire } = measured;
        let count = results.answers.len() as u64;
        Self {
            per_second: per_second(count, results.elapsed),
            latency_ms: Latency::of(&results.latencies()),
            cpu_us_per_payment: Cpu {
                bank: ratio(used.banks_us, count),
                coordinator: ratio(used.coordinators_us, count),
                client: ratio(used.client_us, count),
            },
            bytes_on_wire_per_payment: bytes_on_wire / (*payments).max(1),
            syncs_per_second: per_second(used.commits, results.elapsed),
            payments_per_sync: ratio(count, used.commits),
            peer: None,
            ratio_to_peer: None,
        }
    }

    /// Fills in the ratio to the peer.
    pub(super) fn compare(&mut self) {
        self.ratio_to_peer = self.peer.as_ref().map(|peer| ratio(self.per_second, peer.per_second));
    }

    pub(super) fn say(&self, args: &PaymentsBenchArgs) -> Result<(), Failure> {
        let line = |name: &str, value: String, note: &str| {
            console::say(format_args!("{name:<32}{value:>22}  {note}"))
        };
        let what = format!(
            "{} banks, {} coordinators, {} in flight, {}{}",
            args.banks,
            args.coordinators,
            thousands(args.in_flight),
            args.commit_order.as_str(),
            if args.hot { ", all to one account" } else { "" }
        );
        line("payments per second", thousands(self.per_second), &what);
        line(
            "latency p50/p99/p999 ms",
            self.latency_ms.text(),
            "from submission to the certificate, checked",
        );
        let cpu = &self.cpu_us_per_payment;
        line("processor µs per payment", format!("{:.1}", cpu.bank), "all banks together");
        line("", format!("{:.1}", cpu.coordinator), "coordinators");
        line("", format!("{:.1}", cpu.client), "the client, which checks every certificate");
        let bytes = thousands(self.bytes_on_wire_per_payment);
        line("bytes on the wire per payment", bytes, "all messages of all nodes, before encryption");
        line("syncs per second", thousands(self.syncs_per_second), "all banks together");
        line("payments per sync", format!("{:.1}", self.payments_per_sync), "");
        line("audit", "ok".to_owned(), "books balance, every leg and certificate is accounted for");
        if let (Some(peer), Some(ratio)) = (&self.peer, self.ratio_to_peer) {
            console::say("");
            let what = format!("{}, 2 servers, {} workers, two-phase commit", peer.name, peer.workers);
            line("peer: payments per second", thousands(peer.per_second), &what);
            line(
                "peer: latency p50/p99/p999 ms",
                peer.latency_ms.text(),
                "from the first BEGIN to both commits",
            );
            let one = format!("{:.2}", peer.one_worker.latency_ms.p50);
            line("peer: p50 at one worker, ms", one, "");
            for tried in &peer.tried {
                let name = format!("peer: {} workers", tried.workers);
                line(&name, thousands(tried.per_second), &format!("p50 {:.2} ms", tried.latency_ms.p50));
            }
            line("ratio to the peer", format!("{ratio:.2}"), "");
        }
        Ok(())
    }
}
