//! Two-phase commit as it is usually written over two PostgreSQL servers.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::connection::{Answer, Connection, QueryError};
use super::server::Server;
use crate::bench::payments::load::{CUSTOMERS, DEPOSIT, Load, Payment};
use crate::failure::{Exit, Failure, While as _};

/// The tables of each server. Rows have room beside them, so that an update seldom touches the index.
const TABLES: &str = "
CREATE TABLE accounts(id int PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0)) WITH (fillfactor = 50);
CREATE TABLE payments(payment bigint PRIMARY KEY, account int NOT NULL, amount bigint NOT NULL);
CREATE TABLE decisions(payment bigint PRIMARY KEY, outcome text NOT NULL);";

/// Planned once for each connection. One statement moves the money and keeps the payment.
const STATEMENTS: &str = "
PREPARE move(bigint, int, bigint) AS
    WITH moved AS (UPDATE accounts SET balance = balance + $3 WHERE id = $2 RETURNING id)
    INSERT INTO payments SELECT $1, id, $3 FROM moved;
PREPARE decide(bigint) AS INSERT INTO decisions VALUES ($1, 'commit')";

/// Makes tables and accounts.
pub(super) fn prepare(server: &Server) -> Result<(), Failure> {
    let accounts =
        format!("INSERT INTO accounts SELECT id, {DEPOSIT} FROM generate_series(0, {}) id", CUSTOMERS - 1);
    let made = server.connect()?.query(&format!("{TABLES}{accounts}; VACUUM ANALYZE")).map(drop);
    match made {
        // VACUUM wants to be alone.
        Err(QueryError::Refused(_)) => {
            let mut connection = server.connect()?;
            let both = connection
                .query(&format!("{TABLES}{accounts}"))
                .and_then(|_| connection.query("VACUUM ANALYZE"));
            both.map(drop).or_fail(|| "preparing PostgreSQL".to_owned())
        }
        other => other.or_fail(|| "preparing PostgreSQL".to_owned()),
    }
}

/// What all workers of a run share.
pub(super) struct Run<'a> {
    pub(super) load: Load,
    /// The next payment, over all runs.
    pub(super) next: &'a AtomicU64,
    pub(super) until: Instant,
    pub(super) interrupted: &'a AtomicBool,
}

/// One worker: a connection to each server, one payment at a time.
pub(super) struct Worker {
    connections: [Connection; 2],
    latencies: Vec<Duration>,
}

impl Worker {
    pub(super) fn new(servers: [&Path; 2]) -> Result<Self, Failure> {
        let open = |socket| -> Result<Connection, QueryError> {
            let mut connection = Connection::open(socket)?;
            connection.query(STATEMENTS)?;
            Ok(connection)
        };
        let [one, other] = servers.map(open);
        let connecting = || "cannot connect to PostgreSQL".to_owned();
        let connections = [one.or_fail(connecting)?, other.or_fail(connecting)?];
        Ok(Self { connections, latencies: Vec::new() })
    }

    /// Pays until the time is over; returns how long each payment took.
    pub(super) fn work(mut self, run: &Run<'_>) -> Result<Vec<Duration>, Failure> {
        while Instant::now() < run.until && !run.interrupted.load(Relaxed) {
            let number = run.next.fetch_add(1, Relaxed);
            let payment = run.load.payment(number);
            let begun = Instant::now();
            while !self.pay(number, payment).or_fail(|| "paying over PostgreSQL".to_owned())? {}
            self.latencies.push(begun.elapsed());
        }
        Ok(self.latencies)
    }

    /// Prepares on both at once, forces the decision, commits on both at once. `false`: one of the two waited too
    /// long for a lock (the other's payment holds it and waits for ours), so both were rolled back.
    fn pay(&mut self, number: u64, payment: Payment) -> Result<bool, QueryError> {
        let legs =
            [(payment.payer, -i128::from(payment.amount)), (payment.payee, i128::from(payment.amount))];
        for ((bank, account), amount) in legs {
            self.at(bank).send(&format!(
                "BEGIN; EXECUTE move({number},{account},{amount}); PREPARE TRANSACTION 'p{number}'"
            ))?;
        }
        let banks = [payment.payer.0, payment.payee.0];
        let prepared = [self.at(banks[0]).receive(), self.at(banks[1]).receive()];
        if prepared.iter().any(Result::is_err) {
            return self.roll_back(number, banks, prepared).map(|()| false);
        }
        for answer in prepared.into_iter().flatten() {
            // Another count means that the account is not there; a missing last tag that it was rolled back.
            if answer.tags != ["BEGIN", "INSERT 0 1", "PREPARE TRANSACTION"] {
                return Err(QueryError::Refused(format!("payment {number} ended with {:?}", answer.tags)));
            }
        }
        self.connections[0].query(&format!("EXECUTE decide({number})"))?;
        for bank in banks {
            self.at(bank).send(&format!("COMMIT PREPARED 'p{number}'"))?;
        }
        for bank in banks {
            self.at(bank).receive()?;
        }
        Ok(true)
    }

    fn roll_back(
        &mut self,
        number: u64,
        banks: [u64; 2],
        prepared: [Result<Answer, QueryError>; 2],
    ) -> Result<(), QueryError> {
        for (bank, prepared) in banks.into_iter().zip(prepared) {
            match prepared {
                Ok(_) => self.at(bank).query(&format!("ROLLBACK PREPARED 'p{number}'"))?,
                Err(QueryError::Refused(what)) if what.contains("lock timeout") => {
                    self.at(bank).query("ROLLBACK")?
                }
                Err(other) => return Err(other),
            };
        }
        Ok(())
    }

    /// Two banks, two servers.
    fn at(&mut self, bank: u64) -> &mut Connection {
        &mut self.connections[usize::from(bank != 0)]
    }
}

/// What must hold afterwards: nothing is left prepared, no money was made or lost, every payment is on both sides.
pub(super) fn check(servers: [&Server; 2], payments: u64) -> Result<(), Failure> {
    let mut sums = [0i128; 3];
    for server in servers {
        let mut connection = server.connect()?;
        let questions = [
            "SELECT count(*) FROM pg_prepared_xacts",
            "SELECT sum(balance)::text FROM accounts",
            "SELECT count(*) FROM payments",
        ];
        for (sum, question) in sums.iter_mut().zip(questions) {
            let answer = connection.query(question).or_fail(|| "checking PostgreSQL's books".to_owned())?;
            let number = answer.rows.first().and_then(|row| row.parse::<i128>().ok());
            *sum += number.ok_or_else(|| Failure::outside(format_args!("{question}: no number")))?;
        }
    }
    let should = [0, i128::from(2 * CUSTOMERS * DEPOSIT), i128::from(2 * payments)];
    if sums == should {
        return Ok(());
    }
    Err(Failure::new(
        Exit::No,
        format_args!("PostgreSQL's books: prepared, money and payments are {sums:?} and must be {should:?}"),
    ))
}
