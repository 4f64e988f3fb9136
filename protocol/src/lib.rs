//! What crosses between organisations: orders, votes, certificates, signatures, framing and mutual TLS.

mod authorise;
mod authority;
mod certificate;
mod frame;
mod jws;
mod keys;
mod link;
mod merkle;
mod message;
mod name;
mod network;
mod order;
mod role;
mod secret;
mod signed;
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
    Client, ClientSender, ConnectionId, Deliver, Inbound, Limits, Link, LinkError, LinkOptions, LinkStats,
    Misbehaviour,
};
pub use merkle::BATCH_SIZE_MAX;
pub use message::{
    AccountView, AdminAction, AdminReply, AdminRequest, AdminResult, Kind, Message, NotAccepted,
    PaymentStatus,
};
pub use name::{
    ACCOUNT_NAME_SIZE_MAX, AccountName, AccountRef, BadName, BankName, NODE_NAME_SIZE_MAX, NodeName,
};
pub use network::{Identity, InitError, Member, NETWORK_FILE, Network, NetworkError, Node, Plan, init};
pub use order::{
    Credit, Direction, LEGS_MAX, Leg, MalformedOrder, NOTE_SIZE_MAX, ORDER_SIZE_MAX, Order, OrderFields,
};
pub use role::{BadPeer, Peer, Role, allowed, may_send};
pub use secret::{SecretError, read_secret, read_seed, write_secret, write_seed};
pub use signed::{BadProof, Directory, Signed, Signer, Statement, Verified, Verifier};
pub use tls::{ALPN, BadTlsSetup, PeerRefused};
pub use value::{BadValue, Currency, Digest, Minor, OrderId, UnixMillis};
pub use vote::{Ack, Decision, DoubleVote, Outcome, Reason, Vote, outcome, outcome_if_yes};
