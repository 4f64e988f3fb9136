//! `hundi status`: what became of a payment, asked of every node until one can prove it.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use hundi_protocol::{
    Client, Digest, Identity, Limits, Message, Network, NodeName, PaymentStatus, Peer, Role, Verifier,
};
use serde::Serialize;

use crate::console;
use crate::failure::{Exit, Failure};
use crate::network_args::NetworkArgs;
use crate::operator::block_on;
use crate::verify_command::{Proven, sentence};

/// How long one node may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Arguments of `hundi status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  hundi status 5f0c…64 hex digits…9a --network net/network.toml

The payment is named by the digest of its order, which `hundi pay` prints.
Coordinators are asked first, then banks: those remember what is in doubt and
what was settled lately. Exit code 1 if nobody knows, or it is under way.")]
pub(crate) struct StatusArgs {
    /// The digest of the payment's order
    payment: Digest,
    #[command(flatten)]
    network: NetworkArgs,
    /// Ask as this payment app
    #[arg(long)]
    app: Option<NodeName>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    /// `commit`, `abort`, `in_flight`, `unknown`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    proven: Option<Proven>,
    /// Who said how it votes, while it is under way.
    votes: Vec<String>,
    /// Nodes that did not answer.
    silent: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &StatusArgs) -> Result<(), Failure> {
    let network = args.network.load()?;
    let identity = args.network.app(&network, args.app.as_ref())?;
    let (report, text) = block_on(ask_all(args.payment, &identity, &network))?;
    let known = report.proven.is_some();
    if args.json {
        console::json(&report)?;
    } else {
        console::say(text);
    }
    match known {
        true => Ok(()),
        false => Err(Failure::new(Exit::No, "no node can prove an outcome of this payment")),
    }
}

async fn ask_all(
    payment: Digest,
    identity: &Identity,
    network: &Arc<Network>,
) -> Result<(Report, String), Failure> {
    let mut verifier = Verifier::new(network.directory());
    let (mut silent, mut votes, mut under_way) = (Vec::new(), Vec::new(), false);
    for role in [Role::Coordinator, Role::Bank] {
        for name in network.names(role) {
            let peer = Peer { role, name: name.clone() };
            match ask(payment, identity, network, &peer).await {
                None => silent.push(peer.to_string()),
                Some(PaymentStatus::Settled { certificate }) => {
                    if let Ok(certificate) = certificate.check(&mut verifier) {
                        let status = if certificate.reason().is_some() { "abort" } else { "commit" };
                        let text = sentence(&certificate);
                        let proven = Some(Proven::of(&certificate));
                        return Ok((Report { status, proven, votes, silent }, text));
                    }
                }
                Some(PaymentStatus::InFlight { votes: some }) => {
                    under_way = true;
                    let verified = some.into_iter().filter_map(|vote| verifier.verify(vote).ok());
                    votes.extend(verified.map(|vote| {
                        let vote = vote.statement();
                        format!("{}: {}", vote.bank, vote.decision)
                    }));
                }
                Some(PaymentStatus::Unknown | PaymentStatus::NotAccepted(_)) => {}
            }
        }
    }
    votes.sort();
    votes.dedup();
    let (status, text) = match (under_way, votes.is_empty()) {
        (false, _) => ("unknown", "unknown: no node that answered has heard of it".to_owned()),
        (true, true) => ("in_flight", "in flight; no bank's vote has been heard yet".to_owned()),
        (true, false) => ("in_flight", format!("in flight; voted so far: {}", votes.join(", "))),
    };
    let text =
        if silent.is_empty() { text } else { format!("{text} (no answer from {})", silent.join(", ")) };
    Ok((Report { status, proven: None, votes, silent }, text))
}

async fn ask(
    payment: Digest,
    identity: &Identity,
    network: &Arc<Network>,
    peer: &Peer,
) -> Option<PaymentStatus> {
    let limits = Limits { handshake_timeout: ANSWER_WITHIN, ..Limits::default() };
    let mut client = Client::connect(identity, Arc::clone(network), peer, limits).await.ok()?;
    client.send(vec![Message::Status { payment }]).await.ok()?;
    let replies = tokio::time::timeout(ANSWER_WITHIN, client.receive()).await.ok()?.ok()?;
    replies.into_iter().find_map(|message| match message {
        Message::StatusReply { payment: of, status } if of == payment => Some(status),
        _ => None,
    })
}
