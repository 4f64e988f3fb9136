//! The signed orders of a file, kept beside it: a repeat sends the same orders, and pays once.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hundi_protocol::{AccountRef, Order, OrderFields, OrderId};

use super::keep;
use crate::failure::{Failure, While as _};

/// One compact JWS a line.
#[derive(Debug)]
pub(super) struct SignedOrders {
    path: PathBuf,
    known: HashMap<(AccountRef, OrderId), Arc<Order>>,
    new: Vec<Arc<Order>>,
}

impl SignedOrders {
    /// Those of an orders file; none if it was never paid from.
    pub(super) fn beside(orders: &Path) -> Result<Self, Failure> {
        let mut name = orders.to_owned().into_os_string();
        name.push(".signed");
        let path = PathBuf::from(name);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(Failure::outside(format_args!("cannot read {}: {error}", path.display())));
            }
        };
        // A last line that was cut short by a crash was never sent: nothing is sent before all is on disk.
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        let mut known = HashMap::new();
        for (n, line) in whole.lines().enumerate() {
            let order = Order::parse(line.as_bytes()).map_err(|error| {
                Failure::input(format_args!("{}, line {}: not an order: {error}", path.display(), n + 1))
            })?;
            known.insert((order.payer().clone(), order.id()), order);
        }
        if whole.len() < text.len() {
            let file = std::fs::OpenOptions::new().write(true).open(&path);
            file.and_then(|file| file.set_len(whole.len() as u64).and_then(|()| file.sync_all()))
                .or_fail(|| format!("cannot write {}", path.display()))?;
        }
        Ok(Self { path, known, new: Vec::new() })
    }

    /// The order that was signed for these fields.
    ///
    /// # Errors
    /// When the id was signed with another content: the file was changed since.
    pub(super) fn get(&self, fields: &OrderFields) -> Result<Option<Arc<Order>>, Failure> {
        let Some(order) = self.known.get(&(fields.payer.clone(), fields.id)) else { return Ok(None) };
        let legs = &order.legs()[1..];
        let same = legs.len() == fields.credits.len()
            && legs
                .iter()
                .zip(&fields.credits)
                .all(|(leg, credit)| (&leg.account, leg.amount) == (&credit.payee, credit.amount))
            && order.currency() == fields.currency;
        match same {
            true => Ok(Some(Arc::clone(order))),
            false => Err(Failure::input(format_args!(
                "{} holds a signed order with the same id and another content: {order:?}; give the changed order a new id",
                self.path.display()
            ))),
        }
    }

    pub(super) fn add(&mut self, order: &Arc<Order>) {
        self.new.push(Arc::clone(order));
    }

    /// Brings the new ones to disk.
    pub(super) fn save(&self) -> Result<(), Failure> {
        if self.new.is_empty() {
            return Ok(());
        }
        let cannot = || format!("cannot write {}", self.path.display());
        let mut text = Vec::new();
        for order in &self.new {
            text.extend_from_slice(order.bytes());
            text.push(b'\n');
        }
        let mut file =
            std::fs::OpenOptions::new().create(true).append(true).open(&self.path).or_fail(cannot)?;
        file.write_all(&text).and_then(|()| file.sync_all()).or_fail(cannot)?;
        keep::sync_name(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use hundi_protocol::{AccountRef, Credit, CustomerKey, Minor, UnixMillis};

    use super::*;

    fn order() -> Arc<Order> {
        let name = |text: &str| text.parse::<AccountRef>().unwrap();
        let fields = OrderFields {
            id: OrderId::generate(),
            payer: name("ann@alpha"),
            credits: vec![Credit { payee: name("bob@beta"), amount: Minor(1) }],
            currency: "INR".parse().unwrap(),
            expires_at: UnixMillis(1),
            note: String::new(),
        };
        Order::sign(&fields, &CustomerKey::from_seed(&[7; 32])).unwrap()
    }

    #[test]
    fn what_a_crash_cut_short_is_taken_off_wherever_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let orders = folder.path().join("orders.csv");
        let signed = folder.path().join("orders.csv.signed");
        std::fs::write(&signed, "eyJhbGci").unwrap();
        for place in 0..2 {
            let mut beside = SignedOrders::beside(&orders).unwrap();
            assert_eq!(beside.known.len(), place);
            beside.add(&order());
            beside.save().unwrap();
            let mut torn = std::fs::read(&signed).unwrap();
            torn.extend_from_slice(b"eyJhbGci");
            std::fs::write(&signed, torn).unwrap();
        }
        assert_eq!(SignedOrders::beside(&orders).unwrap().known.len(), 2);
        assert!(std::fs::read(&signed).unwrap().ends_with(b"\n"));
    }
}
