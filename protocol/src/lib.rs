//! What crosses between organisations: orders, votes, certificates, signatures, framing and mutual TLS.

mod authorise;
mod certificate;
mod jws;
mod keys;
mod merkle;
mod message;
mod name;
mod order;
mod role;
mod signed;
mod value;
mod vote;
mod wire;

pub use authorise::{Authorised, authorise_batch};
pub use certificate::{BadCertificate, Certificate, UncheckedCertificate, VOTES_MAX};
pub use keys::{BadKey, BadSignature, BankKey, CustomerKey, PublicKey};
pub use merkle::BATCH_SIZE_MAX;
pub use message::{
    AccountView, AdminAction, AdminReply, AdminRequest, AdminResult, Kind, Message, NotAccepted,
    PaymentStatus,
};
pub use name::{
    ACCOUNT_NAME_SIZE_MAX, AccountName, AccountRef, BadName, BankName, NODE_NAME_SIZE_MAX, NodeName,
};
pub use order::{
    Credit, Direction, LEGS_MAX, Leg, MalformedOrder, NOTE_SIZE_MAX, ORDER_SIZE_MAX, Order, OrderFields,
};
pub use role::{BadPeer, Peer, Role, allowed};
pub use signed::{BadProof, Directory, Signed, Signer, Statement, Verified, Verifier};
pub use value::{BadValue, Currency, Digest, Minor, OrderId, UnixMillis};
pub use vote::{Ack, Decision, DoubleVote, Outcome, Reason, Vote, outcome, outcome_if_yes};
