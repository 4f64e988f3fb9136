//! Reads what the cache let go, on a connection of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hundi_ledger::AccountId;
use hundi_protocol::{
    AccountName, Currency, Decision, Digest, Order, OrderId, Outcome, PublicKey, Signed, UnixMillis,
    Verifier, Vote,
};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};

use super::BooksError;
use crate::books::{Customer, Payment};

/// A read-only view of the bank's tables as they are on disk.
#[derive(Debug)]
pub(super) struct Reader {
    connection: Connection,
    verifier: Verifier,
}

/// A payment as it stands: a late commit counts, not the abort before it.
const PAYMENT: &str = "p.vote, p.claims_order_id, \
    CASE WHEN late.seq IS NULL THEN coalesce(o.outcome, p.outcome) ELSE 1 END, \
    coalesce(late.evidence, o.evidence, p.evidence), p.jws, p.n, d.n IS NOT NULL \
    FROM payments p LEFT JOIN outcomes o USING (n) LEFT JOIN in_doubt d USING (n) \
    LEFT JOIN late_commits late USING (order_id, digest)";

impl Reader {
    pub(super) fn open(path: &Path, verifier: Verifier) -> Result<Self, BooksError> {
        let connection = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        Ok(Reader { connection, verifier })
    }

    pub(super) fn customers(&self) -> Result<BTreeMap<AccountName, Arc<Customer>>, BooksError> {
        let mut select = self
            .connection
            .prepare("SELECT name, account, currency, key, closed_seq IS NOT NULL FROM customers")?;
        let mut rows = select.query([])?;
        let mut customers = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let (name, customer) = customer(row)?;
            customers.insert(name, Arc::new(customer));
        }
        Ok(customers)
    }

    pub(super) fn floor(&self) -> Result<UnixMillis, BooksError> {
        let floor: i64 = self.connection.query_row(
            "SELECT coalesce(max(expires_at), 0) FROM refusal_floors",
            [],
            |row| row.get(0),
        )?;
        u64::try_from(floor).map(UnixMillis).map_err(|_| BooksError::damaged("refusal_floors", "below zero"))
    }

    pub(super) fn newest_order_id(&self) -> Result<Option<OrderId>, BooksError> {
        let newest: Option<Vec<u8>> =
            self.connection.query_row("SELECT max(order_id) FROM payments", [], |row| row.get(0))?;
        newest.map(|bytes| order_id(&bytes)).transpose()
    }

    /// The place of the newest payment in the order of voting; 0 if there is none.
    pub(super) fn newest_payment(&self) -> Result<i64, BooksError> {
        Ok(self.connection.query_row("SELECT coalesce(max(n), 0) FROM payments", [], |row| row.get(0))?)
    }

    /// The bank whose file this is; `None` in a new file.
    pub(super) fn owner(&self) -> Result<Option<(String, Vec<u8>)>, BooksError> {
        let owner = self
            .connection
            .query_row("SELECT bank, key FROM owner", [], |row| Ok((row.get(0)?, row.get(1)?)));
        Ok(owner.optional()?)
    }

    /// Whether debits equal credits over all accounts, pending and posted.
    pub(super) fn books_balance(&self) -> Result<bool, BooksError> {
        let mut select = self.connection.prepare(
            "SELECT CAST(debits_pending AS TEXT), CAST(credits_pending AS TEXT), \
             CAST(debits_posted AS TEXT), CAST(credits_posted AS TEXT) FROM v_accounts",
        )?;
        let mut rows = select.query([])?;
        let mut sums = [0u128; 4];
        while let Some(row) = rows.next()? {
            for (place, sum) in sums.iter_mut().enumerate() {
                let amount: u128 = row
                    .get::<_, String>(place)?
                    .parse()
                    .map_err(|_| BooksError::damaged("balances", "not a number"))?;
                *sum = sum
                    .checked_add(amount)
                    .ok_or_else(|| BooksError::damaged("balances", "the sums overflow"))?;
            }
        }
        Ok(sums[0] == sums[1] && sums[2] == sums[3])
    }

    /// A payment by its digest alone: looks at every row.
    pub(super) fn payment_by_digest(&mut self, digest: &Digest) -> Result<Option<Payment>, BooksError> {
        let found = self.select(&format!("SELECT {PAYMENT} WHERE digest = ?"), [digest.as_bytes()])?;
        Ok(found.into_iter().map(|(_, payment)| payment).next())
    }

    /// The payments in doubt, each with its place in the order of voting.
    pub(super) fn in_doubt(&mut self) -> Result<Vec<(i64, Payment)>, BooksError> {
        let stray: Option<String> = self.connection.query_row(STRAY_ROW, [], |row| row.get(0)).optional()?;
        if let Some(stray) = stray {
            return Err(BooksError::damaged(
                "in_doubt or outcomes",
                format_args!("{stray} names no payment"),
            ));
        }
        self.select(&format!("SELECT {PAYMENT} WHERE n IN (SELECT n FROM in_doubt)"), [])
    }

    pub(super) fn payments_of_order(&mut self, order_id: OrderId) -> Result<Vec<Payment>, BooksError> {
        let found = self.select(&format!("SELECT {PAYMENT} WHERE order_id = ?"), [order_id.to_bytes()])?;
        Ok(found.into_iter().map(|(_, payment)| payment).collect())
    }

    pub(super) fn payment(
        &mut self,
        order_id: OrderId,
        digest: &Digest,
    ) -> Result<Option<Payment>, BooksError> {
        let sql = format!("SELECT {PAYMENT} WHERE order_id = ? AND digest = ?");
        let mut select = self.connection.prepare_cached(&sql)?;
        let found = select.query_row((order_id.to_bytes(), digest.as_bytes()), raw_payment).optional()?;
        Ok(found.map(|raw| raw.check(&mut self.verifier)).transpose()?.map(|(_, payment)| payment))
    }

    fn select(
        &mut self,
        sql: &str,
        params: impl rusqlite::Params,
    ) -> Result<Vec<(i64, Payment)>, BooksError> {
        let mut select = self.connection.prepare_cached(sql)?;
        let raw = select.query_map(params, raw_payment)?.collect::<Result<Vec<_>, _>>()?;
        raw.into_iter().map(|raw| raw.check(&mut self.verifier)).collect()
    }
}

/// A row in doubt, or an outcome later than all votes, without a vote; looks at no history.
const STRAY_ROW: &str = "SELECT 'in_doubt: row ' || n FROM in_doubt WHERE n NOT IN (SELECT n FROM payments) \
    UNION ALL SELECT 'outcomes: row ' || n FROM outcomes WHERE n > (SELECT coalesce(max(n), 0) FROM payments)";

/// A payment before it is checked.
struct RawPayment {
    n: i64,
    in_doubt: bool,
    vote: u8,
    claims_order_id: bool,
    outcome: Option<i64>,
    evidence: Option<Vec<u8>>,
    jws: Vec<u8>,
}

fn raw_payment(row: &Row<'_>) -> rusqlite::Result<RawPayment> {
    Ok(RawPayment {
        vote: row.get(0)?,
        claims_order_id: row.get(1)?,
        outcome: row.get(2)?,
        evidence: row.get(3)?,
        jws: row.get(4)?,
        n: row.get(5)?,
        in_doubt: row.get(6)?,
    })
}

impl RawPayment {
    fn check(self, verifier: &mut Verifier) -> Result<(i64, Payment), BooksError> {
        let order = Order::parse(&self.jws)?;
        let decision = Decision::from_code(self.vote)
            .ok_or_else(|| BooksError::damaged("payments", format!("unknown vote {}", self.vote)))?;
        let settled = match self.outcome {
            None => None,
            Some(0) => Some(Outcome::Abort),
            Some(1) => Some(Outcome::Commit),
            Some(other) => return Err(BooksError::damaged("payments", format!("unknown outcome {other}"))),
        };
        if self.in_doubt != settled.is_none() {
            // To settle it as if it were settled, or not to ask the others about it, would be wrong for good.
            let what = format!("row {} and the payment's outcome do not fit together", self.n);
            return Err(BooksError::damaged("in_doubt", what));
        }
        let signed: Vec<Signed<Vote>> = match &self.evidence {
            None => Vec::new(),
            Some(bytes) => {
                postcard::from_bytes(bytes).map_err(|error| BooksError::damaged("payments", error))?
            }
        };
        let evidence = signed.into_iter().map(|vote| verifier.verify(vote)).collect::<Result<_, _>>()?;
        let claims_order_id = self.claims_order_id;
        Ok((self.n, Payment { order, decision, claims_order_id, settled, evidence }))
    }
}

fn customer(row: &Row<'_>) -> Result<(AccountName, Customer), BooksError> {
    let damaged = |what: &str| BooksError::damaged("customers", what);
    let name: String = row.get(0)?;
    let account: [u8; 16] = row.get(1)?;
    let currency: String = row.get(2)?;
    let key: Option<[u8; 32]> = row.get(3)?;
    let customer = Customer {
        account: AccountId(u128::from_be_bytes(account)),
        currency: currency.parse::<Currency>().map_err(|_| damaged("bad currency"))?,
        key: key.map(|key| PublicKey::from_bytes(&key)).transpose().map_err(|_| damaged("bad key"))?,
        closed: row.get(4)?,
    };
    Ok((AccountName::new(&name).map_err(|_| damaged("bad name"))?, customer))
}

fn order_id(bytes: &[u8]) -> Result<OrderId, BooksError> {
    let damaged = || BooksError::damaged("payments", "bad order id");
    let bytes = bytes.try_into().map_err(|_| damaged())?;
    OrderId::from_bytes(bytes).map_err(|_| damaged())
}
