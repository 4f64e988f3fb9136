//! What crosses between organisations that do not trust each other: orders, votes, certificates, and the links that carry
//! them.
//!
//! # The contract
//!
//! - An [`Order`] is a customer's signed instruction, the same bytes wherever it goes; its [`Digest`] is the payment's key.
//! - A [`Vote`] or [`Ack`] counts only as [`Verified`], which is made by checking ([`Verifier::verify`]) or by signing
//!   with one's own key ([`Signer::sign_own`]), and by nothing else.
//! - [`outcome`] is the one place that decides, a pure function of order and votes.
//! - A [`Certificate`] proves an outcome to anybody who has the banks' public keys ([`Directory`]).
//! - A [`Link`] delivers [`Message`]s from peers whose names come from their certificates, of kinds that their role may
//!   send ([`may_send`]); it may lose messages, and it promises no more than that.
//! - Errors say who is at fault: `Malformed…` and [`BadProof`] whoever sent it, [`Misbehaviour`] the peer by name,
//!   `Local` we. A bank's refusal of a payment is no error but data: a [`Reason`] in a vote.
//!
//! The byte layouts are in `docs/protocol.md` and pinned by `tests/golden.rs`; `docs/threat-model.md` says what each
//! boundary trusts.
//!
//! # A payment, without a network
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use hundi_protocol::*;
//!
//! // The customer signs an order. Any JOSE library can do this.
//! let alice = CustomerKey::generate()?;
//! let order = Order::sign(
//!     &OrderFields {
//!         id: OrderId::generate(),
//!         payer: "alice@alpha".parse()?,
//!         credits: vec![Credit { payee: "bob@beta".parse()?, amount: Minor(12_50) }],
//!         currency: "EUR".parse()?,
//!         expires_at: UnixMillis(1_900_000_000_000),
//!         note: "two hundis".to_owned(),
//!     },
//!     &alice,
//! )?;
//!
//! // Her bank knows her key, and checks it; many at once cost less than half.
//! let authorised = order.authorise(&alice.public())?;
//! assert_eq!(authorised.digest(), order.digest());
//!
//! // Each bank votes. One signature covers all that one disk write justifies.
//! let alpha = Signer::new("alpha".parse()?, BankKey::generate()?);
//! let beta = Signer::new("beta".parse()?, BankKey::generate()?);
//! let vote = |by: &Signer| Vote { payment: order.digest(), bank: by.bank().clone(), decision: Decision::Yes };
//! let sent = [alpha.sign_batch(vec![vote(&alpha)]), beta.sign_batch(vec![vote(&beta)])].concat();
//!
//! // Whoever receives the votes checks them before believing anything.
//! let keys = [(alpha.bank().clone(), alpha.public()), (beta.bank().clone(), beta.public())];
//! let directory: Directory = keys.into_iter().collect();
//! let mut verifier = Verifier::new(directory.clone());
//! let votes: Vec<Verified<Vote>> = sent.into_iter().map(|vote| verifier.verify(vote)).collect::<Result<_, _>>()?;
//! assert_eq!(outcome(&order, &votes[..1]), None);
//! assert_eq!(outcome(&order, &votes), Some(Outcome::Commit));
//!
//! // And the proof holds years later, offline, from public keys alone.
//! let bytes = Certificate::new(order, &votes).ok_or("no outcome")?.to_bytes();
//! let certificate = Certificate::from_bytes(&bytes, &mut Verifier::new(directory))?;
//! assert_eq!(certificate.outcome(), Outcome::Commit);
//! # Ok(())
//! # }
//! ```
//!
//! # A node on the network
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::net::TcpListener;
//! use std::path::Path;
//! use std::sync::Arc;
//! use std::time::Duration;
//! use hundi_protocol::*;
//! use tokio::sync::mpsc;
//!
//! let dir = Path::new("network");
//! let network = Arc::new(Network::load(&dir.join(NETWORK_FILE))?);
//! let identity = Identity::load(&dir.join("bank-alpha"), &network)?;
//! // A bounded queue: while it is full, nothing more is read from the peers.
//! let (sender, mut inbox) = mpsc::channel(256);
//! let options = LinkOptions {
//!     identity,
//!     network,
//!     listener: Some(TcpListener::bind("127.0.0.1:7101")?),
//!     deliver: Arc::new(move |inbound| match sender.try_send(inbound) {
//!         Err(mpsc::error::TrySendError::Full(back)) => Err(back),
//!         _ => Ok(()),
//!     }),
//!     limits: Limits::default(),
//! };
//! let node = Link::run(options, Duration::from_secs(5), |link| async move {
//!     while let Some(Inbound { peer, messages, .. }) = inbox.recv().await {
//!         // Decide, write to disk; only then (R8):
//!         link.send(&peer, messages);
//!     }
//! })?;
//! node.join().expect("the node does not panic");
//! # Ok(())
//! # }
//! ```

// Pure, but for the modules that say so.
#![deny(clippy::disallowed_methods, clippy::disallowed_types, clippy::iter_over_hash_type)]

mod authorise;
#[allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::iter_over_hash_type)]
mod authority;
mod certificate;
mod frame;
mod jws;
mod keys;
#[allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::iter_over_hash_type)]
mod link;
mod merkle;
mod message;
mod name;
#[allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::iter_over_hash_type)]
mod network;
mod order;
mod role;
#[allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::iter_over_hash_type)]
mod secret;
mod signed;
#[allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::iter_over_hash_type)]
mod tls;
mod value;
mod vote;
mod wire;

pub use authorise::{Authorised, authorise_batch};
pub use authority::{Authority, AuthorityError, Issued, Validity};
pub use certificate::{BadCertificate, Certificate, UncheckedCertificate, VOTES_MAX};
pub use frame::{
    ContentAndRest, FRAME_MESSAGES_MAX, FRAME_SIZE_MAX, FrameWriter, MalformedFrame, TooLargeToSend,
    read_frame, split_frame,
};
pub use keys::{BadKey, BadSignature, BankKey, CustomerKey, PublicKey};
pub use link::{
    Backlog, Client, ClientSender, ConnectionId, Deliver, Inbound, Limits, Link, LinkError, LinkOptions,
    LinkStats, Misbehaviour,
};
pub use merkle::BATCH_SIZE_MAX;
pub use message::{
    AccountView, AdminAction, AdminReply, AdminRequest, AdminResult, Kind, Message, NotAccepted,
    PaymentStatus,
};
pub use name::{
    ACCOUNT_NAME_SIZE_MAX, AccountName, AccountRef, BadName, BankName, NODE_NAME_SIZE_MAX, NodeName,
};
pub use network::{
    Identity, InitError, Member, NETWORK_FILE, Network, NetworkError, Node, Place, PlaceError, Plan, init,
};
pub use order::{
    Credit, Direction, LEGS_MAX, Leg, MalformedOrder, NOTE_SIZE_MAX, ORDER_SIZE_MAX, Order, OrderFields,
};
pub use role::{BadPeer, Peer, Role, allowed, may_send};
pub use secret::{SecretError, read_secret, read_seed, write_secret, write_seed};
pub use signed::{BadProof, Directory, Signed, Signer, Statement, Verified, Verifier};
pub use tls::{ALPN, BadTlsSetup, PeerRefused};
pub use value::{BadValue, Currency, Digest, Minor, OrderId, UnixMillis};
pub use vote::{Ack, Decision, DoubleVote, Outcome, Reason, Vote, outcome, outcome_if_yes};
