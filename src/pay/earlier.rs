//! What became of an order that was signed before and is not at hand: the payer's bank is asked by the order's id (R1).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hundi_protocol::{
    BankName, Certificate, Client, Digest, Identity, Limits, LinkError, Message, Network, Order,
    PaymentStatus, Peer, Verifier,
};

/// How many questions are under way at once.
const WINDOW: usize = 512;
/// Between two askings about a payment whose outcome the bank does not know yet.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// What a payer's bank knows of the payment that holds an order's id.
#[derive(Debug, Clone)]
pub(super) enum Earlier {
    /// It ended so. The order in it has the same payer and id, and perhaps another content.
    Proven(Box<Certificate>),
    /// The bank holds for it and does not know the outcome yet.
    InFlight,
}

/// Asks each payer's bank about these orders, again and again while something is in flight, until the deadline. An
/// order that nothing was learnt of is not in the result.
pub(super) async fn ask(
    identity: &Identity,
    network: &Arc<Network>,
    orders: &[Arc<Order>],
    deadline: Instant,
) -> HashMap<Digest, Earlier> {
    let mut by_bank: BTreeMap<&BankName, Vec<&Arc<Order>>> = BTreeMap::new();
    for order in orders {
        by_bank.entry(order.payer_bank()).or_default().push(order);
    }
    let mut verifier = Verifier::new(network.directory());
    let mut known = HashMap::new();
    for (bank, orders) in by_bank {
        loop {
            let open: Vec<&Arc<Order>> = orders
                .iter()
                .copied()
                .filter(|order| !matches!(known.get(&order.digest()), Some(Earlier::Proven(_))))
                .collect();
            let wait = deadline.saturating_duration_since(Instant::now());
            let asking = ask_bank(identity, network, bank, &open, &mut verifier, &mut known);
            let answered = matches!(tokio::time::timeout(wait, asking).await, Ok(Ok(())));
            let in_flight = orders.iter().any(|o| matches!(known.get(&o.digest()), Some(Earlier::InFlight)));
            if (answered && !in_flight) || Instant::now() >= deadline {
                break;
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }
    known
}

async fn ask_bank(
    identity: &Identity,
    network: &Arc<Network>,
    bank: &BankName,
    orders: &[&Arc<Order>],
    verifier: &mut Verifier,
    known: &mut HashMap<Digest, Earlier>,
) -> Result<(), LinkError> {
    let peer = Peer::bank(bank.clone());
    let mut client = Client::connect(identity, Arc::clone(network), &peer, Limits::default()).await?;
    for window in orders.chunks(WINDOW) {
        let mut asked: HashMap<Digest, &Order> =
            window.iter().map(|order| (order.digest(), order.as_ref())).collect();
        let questions = window.iter().map(|order| Message::StatusOf { order: Arc::clone(order) });
        client.send(questions.collect()).await?;
        while !asked.is_empty() {
            for reply in client.receive().await? {
                let Message::StatusReply { payment, status } = reply else { continue };
                let Some(order) = asked.remove(&payment) else { continue };
                if let Some(earlier) = earlier(order, status, verifier) {
                    known.insert(payment, earlier);
                }
            }
        }
    }
    Ok(())
}

/// Only a certificate of the same payer and id that verifies is an outcome.
fn earlier(order: &Order, status: PaymentStatus, verifier: &mut Verifier) -> Option<Earlier> {
    match status {
        PaymentStatus::InFlight { .. } => Some(Earlier::InFlight),
        PaymentStatus::Settled { certificate } => {
            let certificate = certificate.check(verifier).ok()?;
            let same = certificate.order().payer() == order.payer() && certificate.order().id() == order.id();
            same.then(|| Earlier::Proven(Box::new(certificate)))
        }
        PaymentStatus::Unknown | PaymentStatus::NotAccepted(_) => None,
    }
}
