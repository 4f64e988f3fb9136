//! Amounts as people write them: decimals of a currency's minor unit, never through floats.

use hundi_protocol::{Currency, Minor};

/// The largest amount of one order here, in minor units: what every SQL client reads as a plain integer.
pub(crate) const AMOUNT_MAX: Minor = Minor(i64::MAX as u128);

/// How many digits the minor unit of a currency has, or `None` if ISO 4217 has no such currency.
pub(crate) fn minor_digits(currency: Currency) -> Option<usize> {
    hundi_ledger::Currency::iso(currency.as_str()).map(|known| usize::from(known.minor_digits()))
}

/// Reads an amount such as `2452.00`: digits, and at most as many after the point as the currency has.
///
/// # Errors
/// What is wrong with it, for a person.
pub(crate) fn parse_amount(text: &str, currency: Currency) -> Result<Minor, String> {
    let digits = minor_digits(currency).ok_or_else(|| format!("{currency} is not a currency of ISO 4217"))?;
    let (whole, fraction) = parse_decimal(text, digits)?;
    if fraction.len() > digits {
        return Err(match digits {
            0 => format!("{currency} has no decimals"),
            _ => format!("{currency} has {digits} decimals"),
        });
    }
    // One number of minor units: the fraction filled up to its full width. R11: too large is refused.
    let minor: Option<u128> = format!("{whole}{fraction:0<digits$}").parse().ok();
    match minor.map(Minor) {
        Some(Minor::ZERO) => Err("an amount of zero moves nothing".to_owned()),
        Some(minor) if minor <= AMOUNT_MAX => Ok(minor),
        _ => Err(format!("too large: at most {}", format_amount(AMOUNT_MAX, currency))),
    }
}

/// The digits before and after the point of a decimal, as they have to be in any currency.
///
/// # Errors
/// What is wrong with it, for a person; with an example of so many digits after the point.
pub(super) fn parse_decimal(text: &str, digits: usize) -> Result<(&str, &str), String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || text.ends_with('.') {
        return Err(format!("expected digits such as {}", example(digits)));
    }
    if whole.len() > 1 && whole.starts_with('0') {
        return Err("starts with a needless 0".to_owned());
    }
    Ok((whole, fraction))
}

fn example(digits: usize) -> &'static str {
    match digits {
        0 => "12",
        2 => "12.50",
        3 => "12.500",
        _ => "12.5000",
    }
}

/// Minor units as a decimal with its currency: `2,122,899,360` of CZK is `21,228,993.60 CZK`.
pub(crate) fn format_amount(minor: Minor, currency: Currency) -> String {
    let digits = minor_digits(currency).unwrap_or(0);
    let text = format!("{:0>width$}", minor.0, width = digits + 1);
    let (whole, fraction) = text.split_at(text.len() - digits);
    let point = if digits > 0 { "." } else { "" };
    format!("{}{point}{fraction} {currency}", thousands(whole))
}

/// Digits with a comma between each three.
pub(crate) fn thousands(digits: impl ToString) -> String {
    let digits = digits.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, currency: &str, expected: Result<u128, &str>) {
        let found = parse_amount(text, currency.parse().unwrap());
        match expected {
            Ok(minor) => assert_eq!(found, Ok(Minor(minor)), "{text} {currency}"),
            Err(part) => {
                let error = found.expect_err(text);
                assert!(error.contains(part), "{text} {currency}: {error}");
            }
        }
    }

    #[test]
    fn amounts_are_decimals_of_the_minor_unit() {
        check("2452.00", "CZK", Ok(245_200));
        check("0.05", "CZK", Ok(5));
        check("7", "CZK", Ok(700));
        check("7.5", "CZK", Ok(750));
        check("7", "JPY", Ok(7));
        check("1.234", "KWD", Ok(1_234));
        check("92233720368547758.07", "INR", Ok(i64::MAX as u128));
        check("92233720368547758.08", "INR", Err("too large"));
        check("99999999999999999999999999999999999999999999", "INR", Err("too large"));
        check("12.345", "CZK", Err("CZK has 2 decimals"));
        check("7.5", "JPY", Err("JPY has no decimals"));
        for bad in ["-5", "+5", "NaN", "inf", "1e3", "", ".", ".5", "5.", "1,000.00", "1 000", "0x10", "١٢"]
        {
            check(bad, "CZK", Err("expected digits"));
        }
        check("007", "CZK", Err("needless 0"));
        check("0.00", "CZK", Err("zero"));
        check("1", "XYZ", Err("not a currency"));
    }

    #[test]
    fn amounts_are_shown_with_all_their_decimals() {
        let shown = |minor, currency: &str| format_amount(Minor(minor), currency.parse().unwrap());
        assert_eq!(shown(2_122_899_360, "CZK"), "21,228,993.60 CZK");
        assert_eq!(shown(5, "CZK"), "0.05 CZK");
        assert_eq!(shown(1_000, "JPY"), "1,000 JPY");
        assert_eq!(shown(0, "KWD"), "0.000 KWD");
    }
}
