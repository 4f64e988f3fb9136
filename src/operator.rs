//! A bank's operator: opens accounts, and asks.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hundi_protocol::{
    AdminAction, AdminRequest, AdminResult, BankName, Client, Identity, Limits, LinkError, Message, Network,
    Peer,
};

use crate::failure::Failure;

/// How long a bank may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// How many requests are under way at once.
const WINDOW: usize = 1024;

/// A connection to one bank.
#[derive(Debug)]
pub(crate) struct Operator {
    bank: BankName,
    client: Client,
    next: u64,
}

impl Operator {
    /// Calls the bank.
    pub(crate) async fn connect(
        identity: &Identity,
        network: Arc<Network>,
        bank: &BankName,
    ) -> Result<Self, Failure> {
        let peer = Peer::bank(bank.clone());
        let limits = Limits { handshake_timeout: ANSWER_WITHIN, ..Limits::default() };
        let client = Client::connect(identity, network, &peer, limits).await;
        let client = client.map_err(|error| unreachable_bank(bank, &error))?;
        Ok(Self { bank: bank.clone(), client, next: 0 })
    }

    /// Asks for one thing.
    pub(crate) async fn ask(&mut self, action: AdminAction) -> Result<AdminResult, Failure> {
        let mut results = self.ask_all(vec![action], |_| {}).await?;
        results.pop().ok_or_else(|| Failure::outside("no answer"))
    }

    /// Asks for many things; the results are in the order of the actions.
    pub(crate) async fn ask_all(
        &mut self,
        actions: Vec<AdminAction>,
        mut on_answer: impl FnMut(u64),
    ) -> Result<Vec<AdminResult>, Failure> {
        let first = self.next;
        let count = actions.len();
        let mut rest = actions.into_iter();
        let mut results = BTreeMap::new();
        let mut asked = 0;
        while results.len() < count {
            let room = WINDOW - (asked - results.len());
            let batch: Vec<Message> = rest.by_ref().take(room).map(|action| self.request(action)).collect();
            asked += batch.len();
            if !batch.is_empty() {
                self.client.send(batch).await.map_err(|error| unreachable_bank(&self.bank, &error))?;
            }
            let replies = tokio::time::timeout(ANSWER_WITHIN, self.client.receive()).await;
            let Ok(replies) = replies else {
                let seconds = ANSWER_WITHIN.as_secs();
                return Err(Failure::outside(format_args!(
                    "bank {} has not answered for {seconds} s",
                    self.bank
                )));
            };
            let before = results.len();
            for reply in replies.map_err(|error| unreachable_bank(&self.bank, &error))? {
                if let Message::AdminReply(reply) = reply
                    && (first..self.next).contains(&reply.request)
                {
                    results.insert(reply.request, reply.result);
                }
            }
            on_answer((results.len() - before) as u64);
        }
        Ok(results.into_values().collect())
    }

    fn request(&mut self, action: AdminAction) -> Message {
        self.next += 1;
        Message::Admin(AdminRequest { request: self.next - 1, action })
    }
}

fn unreachable_bank(bank: &BankName, error: &LinkError) -> Failure {
    Failure::outside(format_args!(
        "bank {bank} cannot be reached: {error}; is `hundi bank --name {bank}` running?"
    ))
}

/// Runs something that waits for the network, on this thread, until it is done or interrupted.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Failure::outside(format_args!("cannot wait for the network: {error}")))?;
    let result = runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())
            .map_err(|error| Failure::outside(format_args!("cannot wait for signals: {error}")))?;
        tokio::select! {
            result = work => result,
            _ = tokio::signal::ctrl_c() => Err(Failure::interrupted()),
            _ = terminate.recv() => Err(Failure::interrupted()),
        }
    });
    // After an interruption nobody waits for what was being computed.
    runtime.shutdown_background();
    result
}
