//! Reading an orders file.

use std::collections::hash_map::{Entry, HashMap};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read;
use std::path::Path;

use csv::ByteRecord;
use hundi_protocol::{AccountName, AccountRef, BankName, Currency, Minor, NOTE_SIZE_MAX};

use super::money::{minor_digits, parse_amount, parse_decimal};
use super::problems::{Problems, quoted};
use crate::failure::Failure;

/// The header of an orders file; the columns may stand in any order.
pub(crate) const COLUMNS: [&str; 8] = [
    "order_id",
    "payer_bank",
    "payer_account",
    "payee_bank",
    "payee_account",
    "amount",
    "currency",
    "purpose",
];
/// The longest order id in a file, in bytes.
const ORDER_ID_SIZE_MAX: usize = 64;

/// One order of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileOrder {
    /// The file's own id, as it stands there.
    pub(crate) order_id: String,
    /// Who pays.
    pub(crate) payer: AccountRef,
    /// Who gets it.
    pub(crate) payee: AccountRef,
    /// How much.
    pub(crate) amount: Minor,
    /// Of what.
    pub(crate) currency: Currency,
    /// Free text for the payee.
    pub(crate) purpose: String,
}

impl FileOrder {
    /// The first column in which another order differs.
    fn difference(&self, other: &Self) -> Option<&'static str> {
        [
            (self.payer.bank == other.payer.bank, "payer_bank"),
            (self.payer.name == other.payer.name, "payer_account"),
            (self.payee.bank == other.payee.bank, "payee_bank"),
            (self.payee.name == other.payee.name, "payee_account"),
            (self.amount == other.amount, "amount"),
            (self.currency == other.currency, "currency"),
            (self.purpose == other.purpose, "purpose"),
        ]
        .into_iter()
        .find(|(same, _)| !same)
        .map(|(_, column)| column)
    }
}

/// All orders of a file, each once, in the file's order.
#[derive(Debug)]
pub(crate) struct OrdersFile {
    /// The orders.
    pub(crate) orders: Vec<FileOrder>,
    /// The banks they name, each with the spelling of the file.
    pub(crate) banks: BTreeMap<BankName, String>,
}

impl OrdersFile {
    /// Reads and checks a file; of the banks it may name only those of `network`, if there is one already.
    ///
    /// # Errors
    /// A [`Failure`] that names every bad line and column (the first twenty, then how many more).
    pub(crate) fn read(path: &Path, network: Option<BTreeSet<BankName>>) -> Result<Self, Failure> {
        if path.is_dir() {
            return Err(Failure::input(format_args!("{} is a folder, not a file of orders", path.display())));
        }
        let file = std::fs::File::open(path)
            .map_err(|error| Failure::input(format_args!("cannot read {}: {error}", path.display())))?;
        Self::read_from(path, network, file)
    }

    fn read_from(
        path: &Path,
        network: Option<BTreeSet<BankName>>,
        source: impl Read,
    ) -> Result<Self, Failure> {
        let mut reading = Reading::new(path, network);
        // Lines end with \n here, the last one too, so that each record's line is known: by itself the reader counts the \n of
        // a \r\n, and blank lines, to the record after them.
        let source = source.chain(&b"\n"[..]);
        let mut csv = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .terminator(csv::Terminator::Any(b'\n'))
            .from_reader(source);
        let mut record = ByteRecord::new();
        let mut columns = None;
        loop {
            match csv.read_byte_record(&mut record) {
                Ok(false) => break,
                Ok(true) => {}
                Err(error) => {
                    return Err(Failure::outside(format_args!("cannot read {}: {error}", path.display())));
                }
            }
            if is_blank(&mut record) {
                continue;
            }
            let within = record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
            let line = csv.position().line().saturating_sub(1 + within);
            match &columns {
                None => match reading.header(&record) {
                    Some(found) => columns = Some(found),
                    None => break,
                },
                Some(columns) => reading.row(line, columns, &record),
            }
            if reading.problems.too_many() {
                break;
            }
        }
        if reading.problems.is_empty() && columns.is_none() {
            reading.problems.add("the file is empty: expected a header and a line for each order");
        } else if reading.problems.is_empty() && reading.orders.is_empty() {
            reading.problems.add("the file has a header and no orders");
        }
        reading.finish()
    }
}

/// Takes the \r of a \r\n off a line, and says whether nothing is left.
fn is_blank(record: &mut ByteRecord) -> bool {
    let last = record.len().saturating_sub(1);
    if let Some(rest) = record.get(last).and_then(|field| field.strip_suffix(b"\r")).map(<[u8]>::to_vec) {
        record.truncate(last);
        record.push_field(&rest);
    }
    record.len() == 1 && record.as_slice().is_empty()
}

/// Where each of [`COLUMNS`] stands in a line.
type Places = [usize; COLUMNS.len()];

struct Reading {
    problems: Problems,
    orders: Vec<FileOrder>,
    /// Order id → its place in `orders` and its line.
    seen: HashMap<String, (usize, u64)>,
    banks: BTreeMap<BankName, String>,
    /// The banks of the network, if it is known.
    network: Option<BTreeSet<BankName>>,
    /// The columns of the line at hand that are not UTF-8, which is said already.
    unreadable: Vec<&'static str>,
    /// Account → the currency of its orders, and the line that says so first.
    currencies: HashMap<AccountRef, (Currency, u64)>,
}

impl Reading {
    fn new(path: &Path, network: Option<BTreeSet<BankName>>) -> Self {
        Self {
            problems: Problems::of(path),
            orders: Vec::new(),
            seen: HashMap::new(),
            banks: BTreeMap::new(),
            network,
            unreadable: Vec::new(),
            currencies: HashMap::new(),
        }
    }

    fn finish(self) -> Result<OrdersFile, Failure> {
        if self.problems.is_empty() {
            Ok(OrdersFile { orders: self.orders, banks: self.banks })
        } else {
            Err(Failure::input(self.problems))
        }
    }

    /// Finds the columns, or says which are wrong.
    fn header(&mut self, record: &ByteRecord) -> Option<Places> {
        let mut names: Vec<String> = Vec::with_capacity(record.len());
        for (i, name) in record.iter().enumerate() {
            if let Some(what) = not_utf8(name) {
                self.problems.line(1, format_args!("field {} of the header: {what}", i + 1));
            }
            let name = String::from_utf8_lossy(name);
            // Spreadsheets put a byte order mark before the first name.
            names.push(name.strip_prefix('\u{feff}').filter(|_| i == 0).unwrap_or(&name).to_owned());
        }
        if !self.problems.is_empty() {
            return None;
        }
        let mut places = [0; COLUMNS.len()];
        for (place, column) in places.iter_mut().zip(COLUMNS) {
            match names.iter().position(|name| name == column) {
                Some(found) => *place = found,
                None => self.problems.line(1, format_args!("column {column} is missing in the header")),
            }
        }
        let mut seen = BTreeSet::new();
        for name in &names {
            if !seen.insert(name) {
                self.problems.line(1, format_args!("column {} is there twice in the header", quoted(name)));
            } else if !COLUMNS.contains(&name.as_str()) {
                self.problems.line(1, format_args!("column {} of the header is unknown", quoted(name)));
            }
        }
        self.problems.is_empty().then_some(places)
    }

    fn row(&mut self, line: u64, places: &Places, record: &ByteRecord) {
        if record.len() != COLUMNS.len() {
            let (found, expected) = (record.len(), COLUMNS.len());
            self.problems.line(line, format_args!("{found} fields, the header has {expected}"));
            return;
        }
        // What is not UTF-8 is said once, as such; the other fields of the line are still looked at.
        self.unreadable.clear();
        for (place, column) in places.iter().zip(COLUMNS) {
            if let Some(what) = not_utf8(&record[*place]) {
                let shown = String::from_utf8_lossy(&record[*place]);
                self.problems.field(line, column, &shown, what);
                self.unreadable.push(column);
            }
        }
        let fields = places.map(|place| String::from_utf8_lossy(&record[place]));
        let order = self.order(line, fields.each_ref().map(AsRef::as_ref));
        if let Some(order) = order.filter(|_| self.unreadable.is_empty())
            && self.one_currency(line, &order)
        {
            self.keep(line, order);
        }
    }

    /// A problem of one field, unless it could not be read at all.
    fn refuse(&mut self, line: u64, column: &str, value: &str, what: impl fmt::Display) {
        if !self.unreadable.contains(&column) {
            self.problems.field(line, column, value, what);
        }
    }

    /// Reads every field, so that every bad one is named and not only the first.
    fn order(&mut self, line: u64, fields: [&str; COLUMNS.len()]) -> Option<FileOrder> {
        let [order_id, payer_bank, payer_account, payee_bank, payee_account, amount, currency, purpose] =
            fields;
        let order_id = self.order_id(line, order_id);
        let payer_bank = self.bank(line, "payer_bank", payer_bank);
        let payer_name = self.account(line, "payer_account", payer_account);
        let payee_bank = self.bank(line, "payee_bank", payee_bank);
        let payee_name = self.account(line, "payee_account", payee_account);
        let currency = self.currency(line, currency);
        let amount = self.amount(line, amount, currency);
        let purpose = self.purpose(line, purpose);
        let payer = AccountRef { name: payer_name?, bank: payer_bank? };
        let payee = AccountRef { name: payee_name?, bank: payee_bank? };
        if payer == payee {
            self.refuse(line, "payee_account", payee.name.as_str(), "the payer cannot pay itself");
            return None;
        }
        Some(FileOrder {
            order_id: order_id?,
            payer,
            payee,
            amount: amount?,
            currency: currency?,
            purpose: purpose?,
        })
    }

    fn order_id(&mut self, line: u64, text: &str) -> Option<String> {
        let fits =
            (1..=ORDER_ID_SIZE_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if !fits {
            self.refuse(line, "order_id", text, "expected 1 to 64 letters, digits or signs, no spaces");
        }
        fits.then(|| text.to_owned())
    }

    /// A bank's node has its name in lower case; two spellings of one name would be one node for two banks.
    fn bank(&mut self, line: u64, column: &str, text: &str) -> Option<BankName> {
        let Ok(bank) = BankName::new(&text.to_lowercase()) else {
            self.refuse(line, column, text, "expected a bank's name: 1 to 63 of A-Z, a-z, 0-9 and -");
            return None;
        };
        if let Some(network) = &self.network
            && !network.contains(&bank)
        {
            let banks: Vec<&str> = network.iter().map(BankName::as_str).collect();
            let what = format!("not a bank of this network, which has {}", banks.join(", "));
            self.refuse(line, column, text, what);
            return None;
        }
        match self.banks.get(&bank) {
            None => {
                self.banks.insert(bank.clone(), text.to_owned());
            }
            Some(spelling) if spelling == text => {}
            Some(spelling) => {
                let what = format!("clashes with {spelling:?}: both would be the node {bank}");
                self.refuse(line, column, text, what);
                return None;
            }
        }
        Some(bank)
    }

    fn account(&mut self, line: u64, column: &str, text: &str) -> Option<AccountName> {
        let name = AccountName::new(text);
        if name.is_err() {
            self.refuse(line, column, text, "expected 1 to 64 of A-Z, a-z, 0-9, . _ -");
        }
        name.ok()
    }

    fn currency(&mut self, line: u64, text: &str) -> Option<Currency> {
        let known = text.parse::<Currency>().ok().filter(|currency| minor_digits(*currency).is_some());
        if known.is_none() {
            self.refuse(line, "currency", text, "not a currency of ISO 4217");
        }
        known
    }

    /// An account has one currency: an order in another would be refused for sure.
    fn one_currency(&mut self, line: u64, order: &FileOrder) -> bool {
        for account in [&order.payer, &order.payee] {
            let (known, first_line) =
                *self.currencies.entry(account.clone()).or_insert((order.currency, line));
            if known != order.currency {
                let what = format!("{account} has {known} in line {first_line}; an account has one currency");
                self.refuse(line, "currency", order.currency.as_str(), what);
                return false;
            }
        }
        true
    }

    fn amount(&mut self, line: u64, text: &str, currency: Option<Currency>) -> Option<Minor> {
        // Without a currency, which is a problem of its own, the digits are still worth a look.
        let amount = match currency {
            Some(currency) => parse_amount(text, currency).map(Some),
            None => parse_decimal(text, 2).map(|_| None),
        };
        amount.unwrap_or_else(|what| {
            self.refuse(line, "amount", text, what);
            None
        })
    }

    fn purpose(&mut self, line: u64, text: &str) -> Option<String> {
        let fits = text.len() <= NOTE_SIZE_MAX && !text.chars().any(char::is_control);
        if !fits {
            let what = format!("at most {NOTE_SIZE_MAX} bytes, and no control characters");
            self.refuse(line, "purpose", text, what);
        }
        fits.then(|| text.to_owned())
    }

    /// Keeps an order once: a line that repeats an earlier one in full asks for nothing new.
    fn keep(&mut self, line: u64, order: FileOrder) {
        match self.seen.entry(order.order_id.clone()) {
            Entry::Vacant(place) => {
                place.insert((self.orders.len(), line));
                self.orders.push(order);
            }
            Entry::Occupied(place) => {
                let (at, first_line) = *place.get();
                if let Some(column) = self.orders[at].difference(&order) {
                    let what = format!("line {first_line} has the same id with another {column}");
                    self.refuse(line, "order_id", &order.order_id, what);
                }
            }
        }
    }
}

/// Where bytes stop being UTF-8, and what to do about it.
fn not_utf8(bytes: &[u8]) -> Option<String> {
    let at = std::str::from_utf8(bytes).err()?.valid_up_to();
    let byte = bytes.get(at).copied().unwrap_or_default();
    Some(format!("byte {} of the field is 0x{byte:02x}, which is not UTF-8: save the file as UTF-8", at + 1))
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
