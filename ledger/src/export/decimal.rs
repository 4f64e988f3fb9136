//! Exact decimals, signed: nothing here divides or rounds.

use std::fmt;

use crate::{Account, AccountBalance, Amount};

/// Debits less credits: an amount with its side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Net {
    is_negative: bool,
    amount: Amount,
}

impl Net {
    /// So much on the debit side.
    #[must_use]
    pub fn debit(amount: Amount) -> Self {
        Self { is_negative: false, amount }
    }

    /// So much on the credit side.
    #[must_use]
    pub fn credit(amount: Amount) -> Self {
        Self { is_negative: amount > Amount::ZERO, amount }
    }

    /// Debits less credits; it cannot overflow.
    #[must_use]
    pub fn of(debits: Amount, credits: Amount) -> Self {
        match debits.checked_sub(credits) {
            Some(rest) => Self::debit(rest),
            None => Self::credit(Amount(credits.0 - debits.0)),
        }
    }

    /// The account's posted debits less its posted credits.
    #[must_use]
    pub fn posted(account: &Account) -> Self {
        Self::of(account.debits_posted, account.credits_posted)
    }

    /// The posted debits of a balance less its posted credits.
    #[must_use]
    pub fn posted_at(balance: &AccountBalance) -> Self {
        Self::of(balance.debits_posted, balance.credits_posted)
    }

    /// The other way round: credits less debits.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { is_negative: !self.is_negative && self.amount > Amount::ZERO, ..self }
    }

    /// Whether credits are more than debits.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.is_negative
    }

    /// Without the side.
    #[must_use]
    pub fn amount(self) -> Amount {
        self.amount
    }

    /// The sum, or `None` beyond 128 bits on either side.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        if self.is_negative != other.is_negative {
            let (debit, credit) = if other.is_negative { (self, other) } else { (other, self) };
            return Some(Self::of(debit.amount, credit.amount));
        }
        let amount = self.amount.checked_add(other.amount)?;
        Some(Self { is_negative: self.is_negative, amount })
    }
}

/// A plain decimal as every program reads it: `-1234.50`, without groups. Shown with a width it is right-aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    /// The amount in minor units.
    pub net: Net,
    /// How many digits follow the point.
    pub minor_digits: u8,
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minor_digits = usize::from(self.minor_digits);
        let sign = if self.net.is_negative { "-" } else { "" };
        let digits = format!("{:0width$}", self.net.amount.0, width = minor_digits + 1);
        let (whole, fraction) = digits.split_at(digits.len() - minor_digits);
        let point = if minor_digits > 0 { "." } else { "" };
        let text = format!("{sign}{whole}{point}{fraction}");
        match f.width() {
            Some(width) => write!(f, "{text:>width$}"),
            None => f.write_str(&text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Decimal, Net};
    use crate::Amount;

    #[test]
    fn decimals_are_exact_to_the_last_digit() {
        let check = |net: Net, minor_digits: u8, text: &str| {
            assert_eq!(Decimal { net, minor_digits }.to_string(), text);
        };
        check(Net::debit(Amount(0)), 2, "0.00");
        check(Net::credit(Amount(0)), 2, "0.00");
        check(Net::debit(Amount(5)), 2, "0.05");
        check(Net::credit(Amount(123_450)), 2, "-1234.50");
        check(Net::credit(Amount(7)), 0, "-7");
        check(Net::debit(Amount::MAX), 0, "340282366920938463463374607431768211455");
        check(Net::debit(Amount::MAX), 38, "3.40282366920938463463374607431768211455");
        check(Net::of(Amount::MAX, Amount(1)), 2, "3402823669209384634633746074317682114.54");
        check(Net::of(Amount(1), Amount::MAX).reversed(), 2, "3402823669209384634633746074317682114.54");
    }

    #[test]
    fn sums_keep_their_side() {
        let (five, seven) = (Amount(5), Amount(7));
        let sum = |a: Net, b: Net| a.checked_add(b);
        assert_eq!(sum(Net::debit(five), Net::credit(seven)), Some(Net::credit(Amount(2))));
        assert_eq!(sum(Net::credit(five), Net::debit(seven)), Some(Net::debit(Amount(2))));
        assert_eq!(sum(Net::credit(five), Net::debit(five)), Some(Net::default()));
        assert_eq!(sum(Net::credit(five), Net::credit(seven)), Some(Net::credit(Amount(12))));
        assert_eq!(sum(Net::debit(Amount::MAX), Net::debit(Amount(1))), None);
    }
}
