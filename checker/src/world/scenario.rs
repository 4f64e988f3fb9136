//! What a configuration is about: who is there, what is paid, what may go wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use hundi_bank_node::AccountRequest;
use hundi_coordinator::CommitOrder;
use hundi_ledger::TransferId;
use hundi_protocol::{
    AccountName, AccountRef, BankKey, BankName, Certificate, Credit, Currency, CustomerKey, Decision, Digest,
    Directory, Minor, NodeName, Order, OrderFields, OrderId, Peer, PublicKey, Signer, UnixMillis, Verified,
    Vote,
};

use super::packet::Packet;

/// The most nodes of a scenario.
pub(crate) const NODES_MAX: usize = 6;
/// The most banks of a scenario; they are the first nodes.
pub(crate) const BANKS_MAX: usize = 4;
/// The most orders of a scenario.
pub(crate) const ORDERS_MAX: usize = 8;

/// How often nodes crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crashes {
    /// Never.
    Never,
    /// At most so many times in all; several nodes can be down together.
    AtMost(u8),
    /// As often as they like, any number of them at the same time.
    Any,
}

/// How a node's disk writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// A write starts and completes with nothing in between. Several inputs can share one.
    OneWrite,
    /// The node works on while a write is under way, as the process does.
    Pipelined,
}

/// One bank.
#[derive(Clone, Debug)]
pub struct Bank {
    /// Its name.
    pub name: BankName,
    /// Its customers: account, currency, deposit.
    pub customers: Vec<(AccountName, Currency, Minor)>,
    /// Votes both ways, whenever and to whomever it likes (R12).
    pub liar: bool,
}

/// One coordinator.
#[derive(Clone, Debug)]
pub struct Coordinator {
    /// Its name.
    pub name: NodeName,
    /// In which order it asks the banks.
    pub commit_order: CommitOrder,
    /// Stands for any number of coordinators, however faulty: whatever a coordinator could send, it sends.
    pub at_will: bool,
}

/// An order and what is known of it in advance.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The signed order.
    pub order: Arc<Order>,
    /// The coordinators, by place, that customers send it to.
    pub sent_to: Vec<usize>,
}

/// Something that an operator does, at any time and any number of times.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // A handful of them in a scenario.
pub enum Chore {
    /// A request about an account.
    Account(AccountRequest),
    /// Raises the floor below which refusals are forgotten (R7).
    Floor(UnixMillis),
}

/// A world to explore.
#[derive(Debug)]
pub struct Scenario {
    /// Its name, for `--config`.
    pub name: &'static str,
    /// What it is about, in a sentence.
    pub about: &'static str,
    /// The banks.
    pub banks: Vec<Bank>,
    /// The coordinators.
    pub coordinators: Vec<Coordinator>,
    /// The orders.
    pub orders: Vec<Planned>,
    /// What operators do, each at the bank of this place.
    pub chores: Vec<(usize, Chore)>,
    /// The values that the clock takes one after the other.
    pub clock: Vec<UnixMillis>,
    /// Whether each node has a clock of its own, fast or slow.
    pub own_clocks: bool,
    /// How often nodes crash.
    pub crashes: Crashes,
    /// How disks write.
    pub disk: Disk,
    /// Whether a wait may end, at any time: then nodes ask and tell again. If not, each message is sent once, and may
    /// still come late, again, or never.
    pub waits_end: bool,
    /// Whether coordinators at will bring votes on other payments along with an order.
    pub mixes_votes: bool,
    /// Whether coordinators tell a bank the outcome by the others' votes first, as in production, and by the certificate when it has not
    /// acknowledged. If not, by the certificate at once: that both are on the wires makes two to four times as many states.
    pub proves_first: bool,
    /// How many certificates a coordinator keeps at hand.
    pub recall_max: usize,
    /// Whether each order is given in a world of its own, and none meets another.
    pub apart: bool,
    /// What must happen in some state, or the configuration proves nothing.
    pub witnesses: Vec<super::properties::Witness>,
    keys: BTreeMap<AccountRef, CustomerKey>,
    signers: Vec<Signer>,
    directory: Directory,
}

/// The first value of the clock, in milliseconds.
pub const START: UnixMillis = UnixMillis(10_000);
/// The second value, at which orders expire unless they say otherwise.
pub const LATER: UnixMillis = UnixMillis(20_000);
/// Far beyond all values of the clock.
pub const NEVER: UnixMillis = UnixMillis(1_000_000);

impl Scenario {
    /// Begins a scenario in which nothing goes wrong but the network.
    #[must_use]
    pub fn new(name: &'static str, about: &'static str) -> Self {
        Scenario {
            name,
            about,
            banks: Vec::new(),
            coordinators: Vec::new(),
            orders: Vec::new(),
            chores: Vec::new(),
            clock: vec![START],
            own_clocks: false,
            crashes: Crashes::Never,
            disk: Disk::OneWrite,
            waits_end: true,
            mixes_votes: false,
            proves_first: false,
            recall_max: 16,
            apart: false,
            witnesses: Vec::new(),
            keys: BTreeMap::new(),
            signers: Vec::new(),
            directory: Directory::new(),
        }
    }

    /// Adds a bank with customers and their deposits, written `name` for rupees or `name/USD`.
    #[must_use]
    pub fn bank(mut self, name: &str, customers: &[(&str, u128)]) -> Self {
        let bank = BankName::new(name).expect("scenarios name banks well");
        let seed = [u8::try_from(self.banks.len() + 1).expect("few banks"); 32];
        let signer = Signer::new(bank.clone(), BankKey::from_seed(&seed));
        self.directory.insert(bank.clone(), signer.public());
        self.signers.push(signer);
        let mut accounts = Vec::new();
        for (place, (customer, deposit)) in customers.iter().enumerate() {
            let (account, currency) = customer.split_once('/').unwrap_or((customer, "INR"));
            let account = AccountName::new(account).expect("scenarios name accounts well");
            let mut seed = seed;
            seed[0] = u8::try_from(100 + place).expect("few customers");
            let of = AccountRef::new(account.clone(), bank.clone());
            self.keys.insert(of, CustomerKey::from_seed(&seed));
            accounts.push((account, currency.parse().expect("a currency"), Minor(*deposit)));
        }
        self.banks.push(Bank { name: bank, customers: accounts, liar: false });
        assert!(self.banks.len() <= BANKS_MAX, "too many banks");
        self
    }

    /// Makes the bank added last a liar.
    #[must_use]
    pub fn who_lies(mut self) -> Self {
        self.banks.last_mut().expect("a bank was added").liar = true;
        self
    }

    /// Adds a coordinator.
    #[must_use]
    pub fn coordinator(mut self, name: &str, commit_order: CommitOrder) -> Self {
        let name = NodeName::new(name).expect("scenarios name nodes well");
        self.coordinators.push(Coordinator { name, commit_order, at_will: false });
        assert!(self.banks.len() + self.coordinators.len() <= NODES_MAX, "too many nodes");
        self
    }

    /// Adds any number of coordinators that do whatever a coordinator can: ask every bank at any time, with any votes
    /// that were ever cast, ask to resolve, and bring every certificate that can be made.
    #[must_use]
    pub fn any_coordinators(self) -> Self {
        let mut scenario = self.coordinator("anybody", CommitOrder::Parallel);
        scenario.coordinators.last_mut().expect("just added").at_will = true;
        scenario
    }

    /// Adds an order that expires at [`LATER`] and is sent to every coordinator.
    #[must_use]
    pub fn order(self, payer: &str, credits: &[(&str, u128)]) -> Self {
        let id = u8::try_from(self.orders.len() + 1).expect("few orders");
        let signer = payer.split('/').next().unwrap_or(payer).parse().expect("scenarios name accounts well");
        self.order_with(id, payer, credits, LATER, &signer)
    }

    /// Adds an order with an id (R1), an expiry and a signer of choice.
    #[must_use]
    pub fn order_with(
        mut self,
        id: u8,
        payer: &str,
        credits: &[(&str, u128)],
        expires_at: UnixMillis,
        signer: &AccountRef,
    ) -> Self {
        let (payer, currency) = payer.split_once('/').unwrap_or((payer, "INR"));
        let account = |text: &str| text.parse::<AccountRef>().expect("scenarios name accounts well");
        let credits =
            credits.iter().map(|(payee, amount)| Credit { payee: account(payee), amount: Minor(*amount) });
        let fields = OrderFields {
            id: OrderId::from_parts(UnixMillis(1), [id; 10]),
            payer: account(payer),
            credits: credits.collect(),
            currency: currency.parse().expect("a currency"),
            expires_at,
            note: String::new(),
        };
        let order = Order::sign(&fields, &self.keys[signer]).expect("scenarios give well-formed orders");
        self.orders.push(Planned { order, sent_to: (0..self.coordinators.len()).collect() });
        assert!(self.orders.len() <= ORDERS_MAX, "too many orders");
        self
    }

    /// Sends the order added last to these coordinators only.
    #[must_use]
    pub fn sent_to(mut self, coordinators: &[usize]) -> Self {
        self.orders.last_mut().expect("an order was added").sent_to = coordinators.to_vec();
        self
    }

    /// Adds something that the operator of a bank does.
    #[must_use]
    pub fn chore(mut self, bank: usize, chore: Chore) -> Self {
        self.chores.push((bank, chore));
        assert!(self.chores.len() <= super::step::CHORES_MAX, "too many chores");
        self
    }

    /// The operator closes an account.
    #[must_use]
    pub fn closes(self, bank: usize, account: &str) -> Self {
        let name = AccountName::new(account).expect("scenarios name accounts well");
        self.chore(bank, Chore::Account(AccountRequest::Close { name }))
    }

    /// Lets time pass: the clock takes these values after [`START`].
    #[must_use]
    pub fn clock(mut self, later: &[UnixMillis]) -> Self {
        self.clock.extend_from_slice(later);
        self
    }

    /// Gives each node a clock of its own.
    #[must_use]
    pub fn own_clocks(mut self) -> Self {
        self.own_clocks = true;
        self
    }

    /// Lets nodes crash.
    #[must_use]
    pub fn crashes(mut self, crashes: Crashes) -> Self {
        self.crashes = crashes;
        self
    }

    /// Lets nodes work on while a write is under way.
    #[must_use]
    pub fn pipelined(mut self) -> Self {
        self.disk = Disk::Pipelined;
        self
    }

    /// Lets no wait end: nobody asks or tells again. What nodes do after a wait is still looked at, in the fault-free
    /// run from each state.
    #[must_use]
    pub fn patient(mut self) -> Self {
        self.waits_end = false;
        self
    }

    /// Lets coordinators at will bring votes on other payments along with an order.
    #[must_use]
    pub fn mixing_votes(mut self) -> Self {
        self.mixes_votes = true;
        self
    }

    /// Lets coordinators tell a bank the outcome by the others' votes first.
    #[must_use]
    pub fn proving_first(mut self) -> Self {
        self.proves_first = true;
        self
    }

    /// What a coordinator sends to tell a bank the outcome, for the first time or again.
    pub(crate) fn telling(
        &self,
        to: &BankName,
        from: Peer,
        certificate: Arc<Certificate>,
        again: bool,
    ) -> Packet {
        if again || !self.proves_first {
            return Packet::Outcome { from, certificate };
        }
        Packet::Proof { from, votes: certificate.votes_beside(to).cloned().collect() }
    }

    /// Lets coordinators forget what is settled at once.
    #[must_use]
    pub fn forgetful(mut self) -> Self {
        self.recall_max = 0;
        self
    }

    /// Gives each order in a world of its own: none meets another.
    #[must_use]
    pub fn apart(mut self) -> Self {
        self.apart = true;
        self
    }

    /// The sets of orders, as bits, that are given together.
    #[must_use]
    pub fn given(&self) -> Vec<u8> {
        let all = self.orders_where(|_| true);
        let each = (0..self.orders.len()).map(|place| 1 << place);
        if self.apart { each.collect() } else { vec![all] }
    }

    /// What must happen in some state.
    #[must_use]
    pub fn shows(mut self, witnesses: &[super::properties::Witness]) -> Self {
        self.witnesses.extend_from_slice(witnesses);
        self
    }

    /// How many nodes there are: banks first, then coordinators.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.banks.len() + self.coordinators.len()
    }

    /// Whether a node stands for any number of coordinators.
    #[must_use]
    pub fn is_at_will(&self, node: usize) -> bool {
        node >= self.banks.len() && self.coordinators[node - self.banks.len()].at_will
    }

    /// The name of a node.
    #[must_use]
    pub fn node_name(&self, node: usize) -> &str {
        match self.banks.get(node) {
            Some(bank) => bank.name.as_str(),
            None => self.coordinators[node - self.banks.len()].name.as_str(),
        }
    }

    /// The node of a name.
    #[must_use]
    pub fn node_of(&self, name: &str) -> Option<usize> {
        (0..self.nodes()).find(|node| self.node_name(*node) == name)
    }

    /// The place of a bank.
    #[must_use]
    pub fn bank_of(&self, name: &BankName) -> Option<usize> {
        self.banks.iter().position(|bank| bank.name == *name)
    }

    /// A node as its peers know it.
    #[must_use]
    pub fn peer(&self, node: usize) -> Peer {
        match self.banks.get(node) {
            Some(bank) => Peer::bank(bank.name.clone()),
            None => Peer::coordinator(self.coordinators[node - self.banks.len()].name.clone()),
        }
    }

    /// The node that a peer is.
    #[must_use]
    pub fn node_of_peer(&self, peer: &Peer) -> Option<usize> {
        (0..self.nodes()).find(|node| self.peer(*node) == *peer)
    }

    /// The place of an order.
    #[must_use]
    pub fn order_of(&self, digest: &Digest) -> Option<usize> {
        self.orders.iter().position(|planned| planned.order.digest() == *digest)
    }

    /// An order's name in stories: `p1`, `p2`, …
    #[must_use]
    pub fn order_name(&self, digest: &Digest) -> String {
        self.order_of(digest).map_or_else(|| format!("{digest:?}"), |place| format!("p{}", place + 1))
    }

    /// A text with the orders' names in place of their digests.
    #[must_use]
    pub fn with_order_names(&self, text: &str) -> String {
        let orders = self.orders.iter().enumerate();
        orders.fold(text.to_owned(), |text, (place, planned)| {
            text.replace(&planned.order.digest().to_string(), &format!("p{}", place + 1))
        })
    }

    /// The orders, as bits, that name the bank of this place.
    #[must_use]
    pub fn orders_at(&self, bank: usize) -> u8 {
        self.orders_where(|order| order.banks().contains(&self.banks[bank].name))
    }

    /// The orders, as bits, that name a bank that lies.
    #[must_use]
    pub fn orders_with_liars(&self) -> u8 {
        self.orders_where(|order| {
            self.banks.iter().any(|bank| bank.liar && order.banks().contains(&bank.name))
        })
    }

    /// The orders, as bits, of which something holds.
    #[must_use]
    pub fn orders_where(&self, holds: impl Fn(&Order) -> bool) -> u8 {
        let bits = self.orders.iter().enumerate().filter(|(_, planned)| holds(&planned.order));
        bits.fold(0, |bits, (place, _)| bits | 1 << place)
    }

    /// The orders of a set of places, given as bits.
    pub fn orders_in(&self, orders: u8) -> impl Iterator<Item = &Planned> {
        let all = self.orders.iter().enumerate();
        all.filter(move |(place, _)| orders & 1 << place != 0).map(|(_, planned)| planned)
    }

    /// What the operator of a bank asks for before anything else: accounts, and their first deposits.
    #[must_use]
    pub fn first_requests(&self, bank: usize) -> Vec<AccountRequest> {
        let mut requests = Vec::new();
        for (place, (name, currency, deposit)) in self.banks[bank].customers.iter().enumerate() {
            let key = self.key_of(&AccountRef::new(name.clone(), self.banks[bank].name.clone()));
            requests.push(AccountRequest::Open { name: name.clone(), currency: *currency, key });
            if deposit.0 > 0 {
                let (id, name) = (Scenario::deposit_id(bank, place), name.clone());
                requests.push(AccountRequest::Deposit { id, name, amount: *deposit });
            }
        }
        requests
    }

    /// The first two currencies of the scenario.
    #[must_use]
    pub fn currencies(&self) -> Vec<Currency> {
        let customers = self.banks.iter().flat_map(|bank| &bank.customers);
        let mut currencies: Vec<Currency> = customers.map(|(_, currency, _)| *currency).collect();
        currencies.sort_unstable();
        currencies.dedup();
        assert!(currencies.len() <= 2, "a scenario has at most two currencies");
        currencies
    }

    /// The key registered for a customer.
    #[must_use]
    pub fn key_of(&self, account: &AccountRef) -> Option<PublicKey> {
        self.keys.get(account).map(CustomerKey::public)
    }

    /// The public keys of the banks.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// A bank's hand, for what it alone can sign.
    #[must_use]
    pub fn signer(&self, bank: usize) -> &Signer {
        &self.signers[bank]
    }

    /// The id of a customer's first deposit.
    #[must_use]
    pub fn deposit_id(bank: usize, customer: usize) -> TransferId {
        TransferId(1 << 96 | (bank as u128) << 32 | customer as u128 | 1 << 16)
    }

    /// A bank's vote, signed by it.
    #[must_use]
    pub fn vote(&self, bank: usize, payment: Digest, decision: Decision) -> Verified<Vote> {
        let vote = Vote { payment, bank: self.banks[bank].name.clone(), decision };
        self.signers[bank].sign_own(vec![vote]).swap_remove(0)
    }
}
