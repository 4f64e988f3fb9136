//! Currencies, and amounts as people write them: `1,234.50 INR`. No floating point anywhere.
//!
//! ```
//! use hundi_ledger::{Amount, Currencies, Currency, Money};
//!
//! let rupee = Currency::iso("INR").expect("a currency of ISO 4217");
//! assert_eq!(rupee.money(123_450).to_string(), "1,234.50 INR");
//! assert_eq!(rupee.parse("1234.5")?, Amount(123_450));
//! assert_eq!("1,23,456.00 INR".parse::<Money>()?.amount, Amount(12_345_600)); // grouped as in India
//!
//! // An asset of one's own: a code, its ledger, and how many digits follow the point.
//! let mut currencies = Currencies::iso();
//! currencies.add(Currency::new("GOLD-MG", 70_001, 3)?)?;
//! assert_eq!(currencies.parse("0.125 GOLD-MG")?.amount, Amount(125));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod iso;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::{Amount, LedgerCode};
use iso::ISO_4217;

/// The longest code of a currency, in bytes.
pub const CURRENCY_CODE_BYTES_MAX: usize = 12;

/// The most digits after the point: 10^38 is the last power of ten in 128 bits.
pub const MINOR_DIGITS_MAX: u8 = 38;

/// What a ledger counts: a code, the ledger that holds it, and how many digits its minor unit has.
///
/// A currency of ISO 4217 has the ledger of its numeric code: INR is ledger 356.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    /// Padded with zeros.
    code: [u8; CURRENCY_CODE_BYTES_MAX],
    ledger: LedgerCode,
    minor_digits: u8,
}

/// An amount of a currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money {
    /// In minor units.
    pub amount: Amount,
    /// Of what.
    pub currency: Currency,
}

/// Why a currency cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCurrency {
    /// Not 1 to 12 of `A`–`Z`, `0`–`9`, `-`, `_`, `.`, the first a letter.
    #[error("`{0}` is no code for a currency: 1 to 12 of A-Z, 0-9, `-`, `_`, `.`, the first a letter")]
    Code(String),
    /// Ledger 0 is none.
    #[error("a currency's ledger must not be 0")]
    NoLedger,
    /// More than 38.
    #[error("{0} digits after the point are more than 38")]
    Digits(u8),
    /// Another currency has the code or the ledger.
    #[error("{new} cannot have ledger {ledger}: that is {old} in ledger {old_ledger}")]
    Taken {
        /// The one to be added.
        new: Currency,
        /// Its ledger.
        ledger: LedgerCode,
        /// The one that is there.
        old: Currency,
        /// Its ledger.
        old_ledger: LedgerCode,
    },
}

/// Why a text is no amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMoney {
    /// Not digits, groups of digits, and a point.
    #[error("`{0}` is no amount: write it like 1234.50 or 1,234.50")]
    Form(String),
    /// More digits after the point than the currency has. Nothing is rounded.
    #[error("`{text}` has more than the {digits} digits after the point that {currency} has")]
    TooPrecise {
        /// The text.
        text: String,
        /// How many are allowed.
        digits: u8,
        /// The currency.
        currency: Currency,
    },
    /// Above 2^128 − 1 minor units.
    #[error("`{0}` is too large")]
    TooLarge(String),
    /// No code after the amount, or one that nobody knows.
    #[error("`{0}` names no known currency")]
    UnknownCurrency(String),
    /// Another currency than was expected.
    #[error("`{text}` is not in {expected}")]
    OtherCurrency {
        /// The text.
        text: String,
        /// What it should be in.
        expected: Currency,
    },
}

impl Currency {
    /// A currency of ISO 4217 by its alphabetic code, such as `INR`.
    #[must_use]
    pub fn iso(code: &str) -> Option<Self> {
        let row = ISO_4217.binary_search_by_key(&code, |(known, _, _)| known).ok()?;
        Self::from_row(&ISO_4217[row])
    }

    /// A currency or asset of one's own.
    ///
    /// # Errors
    /// When the code, the ledger or the digits cannot be.
    pub fn new(code: &str, ledger: impl Into<LedgerCode>, minor_digits: u8) -> Result<Self, BadCurrency> {
        let letter = |byte: u8| byte.is_ascii_uppercase();
        let allowed = |byte: u8| letter(byte) || byte.is_ascii_digit() || b"-_.".contains(&byte);
        let well_formed = code.len() <= CURRENCY_CODE_BYTES_MAX
            && code.bytes().next().is_some_and(letter)
            && code.bytes().all(allowed);
        if !well_formed {
            return Err(BadCurrency::Code(code.chars().take(40).collect()));
        }
        let ledger = ledger.into();
        if ledger == LedgerCode::ZERO {
            return Err(BadCurrency::NoLedger);
        }
        if minor_digits > MINOR_DIGITS_MAX {
            return Err(BadCurrency::Digits(minor_digits));
        }
        let mut padded = [0; CURRENCY_CODE_BYTES_MAX];
        padded[..code.len()].copy_from_slice(code.as_bytes());
        Ok(Self { code: padded, ledger, minor_digits })
    }

    fn from_row((code, number, minor_digits): &iso::Row) -> Option<Self> {
        Self::new(code, u32::from(*number), *minor_digits).ok()
    }

    /// The code, such as `INR`.
    #[must_use]
    pub fn code(&self) -> &str {
        let end = self.code.iter().position(|byte| *byte == 0).unwrap_or(self.code.len());
        std::str::from_utf8(&self.code[..end]).unwrap_or_default() // ASCII: checked when it was made.
    }

    /// The ledger that holds it.
    #[must_use]
    pub fn ledger(&self) -> LedgerCode {
        self.ledger
    }

    /// How many digits follow the point.
    #[must_use]
    pub fn minor_digits(&self) -> u8 {
        self.minor_digits
    }

    /// So many minor units of it.
    #[must_use]
    pub fn money(self, minor_units: impl Into<Amount>) -> Money {
        Money { amount: minor_units.into(), currency: self }
    }

    /// Reads an amount of this currency; its code may follow. Digits may be grouped by commas in thousands, or as in
    /// India. Fewer digits after the point than the currency has are filled up, more are refused.
    ///
    /// # Errors
    /// When the text is anything else, or too large.
    pub fn parse(self, text: &str) -> Result<Amount, BadMoney> {
        let mut words = text.split_ascii_whitespace();
        let number = words.next().ok_or_else(|| BadMoney::Form(shorten(text)))?;
        match (words.next(), words.next()) {
            (None, None) => self.parse_number(number),
            (Some(code), None) if code == self.code() => self.parse_number(number),
            (Some(_), None) => Err(BadMoney::OtherCurrency { text: shorten(text), expected: self }),
            _ => Err(BadMoney::Form(shorten(text))),
        }
    }

    fn parse_number(self, text: &str) -> Result<Amount, BadMoney> {
        let malformed = || BadMoney::Form(shorten(text));
        let too_large = || BadMoney::TooLarge(shorten(text));
        let (whole, fraction) = match text.split_once('.') {
            None => (text, ""),
            Some((_, "")) => return Err(malformed()),
            Some(parts) => parts,
        };
        if !is_grouped(whole) || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(malformed());
        }
        let missing = usize::from(self.minor_digits).checked_sub(fraction.len());
        let missing = missing.ok_or_else(|| BadMoney::TooPrecise {
            text: shorten(text),
            digits: self.minor_digits,
            currency: self,
        })?;
        let digits = whole.bytes().filter(|byte| *byte != b',').chain(fraction.bytes());
        let mut minor: u128 = 0;
        for digit in digits.chain(std::iter::repeat_n(b'0', missing)) {
            // R11: refuse, never clamp.
            let next = minor.checked_mul(10).and_then(|tens| tens.checked_add(u128::from(digit - b'0')));
            minor = next.ok_or_else(too_large)?;
        }
        Ok(Amount(minor))
    }

    /// An amount without the code: `1,234.50`.
    #[must_use]
    pub fn format(self, amount: Amount) -> String {
        let minor_digits = usize::from(self.minor_digits);
        let digits = format!("{:0width$}", amount.0, width = minor_digits + 1);
        let (whole, fraction) = digits.split_at(digits.len() - minor_digits);
        let mut text = String::with_capacity(digits.len() * 2);
        for (index, digit) in whole.char_indices() {
            if index > 0 && (whole.len() - index) % 3 == 0 {
                text.push(',');
            }
            text.push(digit);
        }
        if minor_digits > 0 {
            text.push('.');
            text.push_str(fraction);
        }
        text
    }
}

/// Whether digits are ungrouped (`1234567`), in thousands (`1,234,567`) or in lakhs and crores (`12,34,567`).
fn is_grouped(whole: &str) -> bool {
    let all_digits = |group: &&str| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit());
    let groups: Vec<&str> = whole.split(',').collect();
    let Some((first, rest)) = groups.split_first() else { return false };
    if !groups.iter().all(all_digits) {
        return false;
    }
    let Some((last, middle)) = rest.split_last() else { return true };
    let grouped_by = |size: usize| first.len() <= size && middle.iter().all(|group| group.len() == size);
    last.len() == 3 && (grouped_by(3) || grouped_by(2))
}

/// A text from outside, cut to what an error can show.
fn shorten(text: &str) -> String {
    text.chars().take(60).collect()
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Currency({}, ledger {}, {} digits)", self.code(), self.ledger, self.minor_digits)
    }
}

/// `1,234.50 INR`
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} {}", self.currency.format(self.amount), self.currency))
    }
}

/// Reads an amount in a currency of ISO 4217.
impl FromStr for Money {
    type Err = BadMoney;

    fn from_str(text: &str) -> Result<Self, BadMoney> {
        parse_with(text, Currency::iso)
    }
}

fn parse_with(text: &str, find: impl Fn(&str) -> Option<Currency>) -> Result<Money, BadMoney> {
    let code = text.split_ascii_whitespace().nth(1).unwrap_or("");
    let currency = find(code).ok_or_else(|| BadMoney::UnknownCurrency(shorten(text)))?;
    Ok(Money { amount: currency.parse(text)?, currency })
}

/// The currencies that an app knows: each code once, each ledger once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Currencies {
    by_code: BTreeMap<String, Currency>,
    by_ledger: BTreeMap<LedgerCode, Currency>,
}

impl Currencies {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All of ISO 4217, each in the ledger of its numeric code.
    #[must_use]
    pub fn iso() -> Self {
        let mut all = Self::new();
        for currency in ISO_4217.iter().filter_map(Currency::from_row) {
            all.by_code.insert(currency.code().to_owned(), currency);
            all.by_ledger.insert(currency.ledger, currency);
        }
        all
    }

    /// Adds a currency. The same one again changes nothing.
    ///
    /// # Errors
    /// When its code or its ledger is another currency's.
    pub fn add(&mut self, currency: Currency) -> Result<(), BadCurrency> {
        let known = self.by_code.get(currency.code()).or_else(|| self.by_ledger.get(&currency.ledger));
        if let Some(old) = known
            && *old != currency
        {
            let (ledger, old_ledger) = (currency.ledger, old.ledger);
            return Err(BadCurrency::Taken { new: currency, ledger, old: *old, old_ledger });
        }
        self.by_code.insert(currency.code().to_owned(), currency);
        self.by_ledger.insert(currency.ledger, currency);
        Ok(())
    }

    /// The currency with this code.
    #[must_use]
    pub fn by_code(&self, code: &str) -> Option<Currency> {
        self.by_code.get(code).copied()
    }

    /// The currency of a ledger.
    #[must_use]
    pub fn by_ledger(&self, ledger: LedgerCode) -> Option<Currency> {
        self.by_ledger.get(&ledger).copied()
    }

    /// All of them, by code.
    pub fn iter(&self) -> impl Iterator<Item = Currency> {
        self.by_code.values().copied()
    }

    /// Reads an amount with the code of one of these currencies.
    ///
    /// # Errors
    /// When the text is anything else, or too large.
    pub fn parse(&self, text: &str) -> Result<Money, BadMoney> {
        parse_with(text, |code| self.by_code(code))
    }
}
