//! Packets as bytes in frames and back, as the links carry them: nothing unverified comes out.

use hundi_bank_node::AccountRequest;
use hundi_ledger::TransferId;
use hundi_protocol::{
    AdminAction, AdminReply, AdminRequest, AdminResult, FrameWriter, Message, NodeName, NotAccepted,
    PaymentStatus, Peer, Role, Signed, Verified, Verifier, Vote, may_send, read_frame, split_frame,
};

use crate::world::Packet;

/// A message under way: who sent it, by its certificate, and the frame that it is alone in.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) from: Peer,
    bytes: Vec<u8>,
}

/// Who pays: the node of the customers.
pub(super) fn customers() -> Peer {
    Peer { role: Role::App, name: NodeName::new("customers").expect("a name") }
}

/// A bank's operator.
pub(super) fn operator(bank: &Peer) -> Peer {
    Peer { role: Role::Operator, name: bank.name.clone() }
}

impl Frame {
    fn of(from: Peer, to: &Peer, message: &Message) -> Result<Frame, String> {
        if !may_send(&from, to, message.kind()) {
            return Err(format!("{from} may not send {:?} to {to}", message.kind()));
        }
        let mut writer = FrameWriter::new();
        writer.push(message).map_err(|error| error.to_string())?;
        Ok(Frame { from, bytes: writer.bytes().to_vec() })
    }

    fn message(&self) -> Result<Message, String> {
        let (content, rest) = split_frame(&self.bytes)
            .map_err(|error| error.to_string())?
            .ok_or("a frame that is not all there")?;
        let mut messages = Vec::new();
        read_frame(content, &mut messages).map_err(|error| error.to_string())?;
        match (messages.len(), rest) {
            (1, []) => Ok(messages.remove(0)),
            _ => Err(format!("{} messages, and {} bytes behind them", messages.len(), rest.len())),
        }
    }

    /// A packet as bytes; `None` for what only goes into a log.
    pub(super) fn encode(packet: &Packet, from: Peer, to: &Peer) -> Result<Option<Frame>, String> {
        let message = match packet.clone() {
            Packet::Submit(order) => Message::Submit { order },
            Packet::Prepare { order, votes, .. } => Message::Prepare { order, votes: signed(&votes) },
            Packet::Vote(vote) => Message::Vote { vote: vote.signed().clone() },
            Packet::Resolve { order, .. } => Message::Resolve { order },
            Packet::Outcome { certificate, .. } | Packet::Answer { certificate, .. } => {
                Message::Outcome { certificate: certificate.to_unchecked() }
            }
            Packet::Proof { votes, .. } => Message::Proof { votes: signed(&votes) },
            Packet::Ack(ack) => Message::Ack { ack: ack.signed().clone() },
            Packet::Declined { payment, .. } => {
                // No configuration fills a coordinator up.
                let status = PaymentStatus::NotAccepted(NotAccepted::UnknownBank);
                Message::StatusReply { payment, status }
            }
            Packet::Done { chore, answer, .. } => {
                let result = match answer {
                    Ok(()) => AdminResult::Done,
                    Err(refusal) => AdminResult::Refused(refusal.to_string()),
                };
                Message::AdminReply(AdminReply { request: chore as u64, result })
            }
            Packet::Report { .. } => return Ok(None),
        };
        Frame::of(from, to, &message).map(Some)
    }

    /// The packet that a node makes of the bytes, every signature in them checked.
    pub(super) fn decode(&self, verifier: &mut Verifier) -> Result<Packet, String> {
        let from = self.from.clone();
        let bad = |error: &dyn std::fmt::Display| error.to_string();
        Ok(match self.message()? {
            Message::Submit { order } => Packet::Submit(order),
            Message::Prepare { order, votes } => {
                Packet::Prepare { from, order, votes: all_verified(votes, verifier)? }
            }
            Message::Vote { vote } => Packet::Vote(verifier.verify(vote).map_err(|error| bad(&error))?),
            Message::Resolve { order } => Packet::Resolve { from, order },
            Message::Outcome { certificate } => {
                let certificate = certificate.check(verifier).map_err(|error| bad(&error))?;
                Packet::Outcome { from, certificate: certificate.into() }
            }
            Message::Proof { votes } => Packet::Proof { from, votes: all_verified(votes, verifier)? },
            Message::Ack { ack } => Packet::Ack(verifier.verify(ack).map_err(|error| bad(&error))?),
            other => return Err(format!("no node takes {:?}", other.kind())),
        })
    }
}

fn all_verified(votes: Vec<Signed<Vote>>, verifier: &mut Verifier) -> Result<Vec<Verified<Vote>>, String> {
    votes.into_iter().map(|vote| verifier.verify(vote).map_err(|error| error.to_string())).collect()
}

/// An operator's request, through bytes and back.
pub(super) fn carry_request(bank: &Peer, request: &AccountRequest) -> Result<AccountRequest, String> {
    let action = match request.clone() {
        AccountRequest::Open { name: account, currency, key } => {
            AdminAction::OpenAccount { account, currency, key: key.map(Box::new) }
        }
        AccountRequest::Deposit { id, name: account, amount } => {
            AdminAction::Deposit { account, amount, reference: id.0 }
        }
        AccountRequest::Close { name: account } => AdminAction::CloseAccount { account },
    };
    let message = Message::Admin(AdminRequest { request: 0, action });
    match Frame::of(operator(bank), bank, &message)?.message()? {
        Message::Admin(AdminRequest { action, .. }) => Ok(match action {
            AdminAction::OpenAccount { account: name, currency, key } => {
                AccountRequest::Open { name, currency, key: key.map(|key| *key) }
            }
            AdminAction::Deposit { account: name, amount, reference } => {
                AccountRequest::Deposit { id: TransferId(reference), name, amount }
            }
            AdminAction::CloseAccount { account: name } => AccountRequest::Close { name },
            other => return Err(format!("an operator's request came out as {other:?}")),
        }),
        other => Err(format!("an operator's request came out as {:?}", other.kind())),
    }
}

fn signed(votes: &[Verified<Vote>]) -> Vec<Signed<Vote>> {
    votes.iter().map(|vote| vote.signed().clone()).collect()
}
