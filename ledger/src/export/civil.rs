//! Timestamps as dates: the proleptic Gregorian calendar in UTC.

use std::fmt;

use crate::Timestamp;

const NS_A_SECOND: u64 = 1_000_000_000;
const SECONDS_A_DAY: u64 = 86_400;

/// A timestamp in UTC, to the nanosecond; shown as RFC 3339: `2026-11-23T10:19:03.000000007Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DateTime {
    days: u64,
    second_of_day: u64,
    nanosecond: u64,
}

impl From<Timestamp> for DateTime {
    fn from(timestamp: Timestamp) -> Self {
        let seconds = timestamp.0 / NS_A_SECOND;
        Self {
            days: seconds / SECONDS_A_DAY,
            second_of_day: seconds % SECONDS_A_DAY,
            nanosecond: timestamp.0 % NS_A_SECOND,
        }
    }
}

impl DateTime {
    /// Reads `2026-11-23`, `2026-11-23T10:19:03Z` or with a fraction of up to nine digits, always UTC. A date alone
    /// is its first instant. `None` for anything else, and for times that no timestamp can have.
    #[must_use]
    pub fn parse(text: &str) -> Option<Timestamp> {
        let (date, time) = match text.split_once(['T', ' ']) {
            Some((date, time)) => (date, Some(time.strip_suffix('Z')?)),
            None => (text, None),
        };
        let days = parse_date(date)?;
        let (second_of_day, nanosecond) = time.map_or(Some((0, 0)), parse_time)?;
        let seconds = days.checked_mul(SECONDS_A_DAY)?.checked_add(second_of_day)?;
        let timestamp = Timestamp(seconds.checked_mul(NS_A_SECOND)?.checked_add(nanosecond)?);
        (timestamp <= Timestamp::LAST).then_some(timestamp)
    }

    /// The date alone: `2026-11-23`.
    #[must_use]
    pub fn date(self) -> String {
        let (year, month, day) = civil(self.days);
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// The date of the day after.
    #[must_use]
    pub fn next_date(self) -> String {
        Self { days: self.days + 1, ..self }.date()
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute, second) =
            (self.second_of_day / 3600, self.second_of_day / 60 % 60, self.second_of_day % 60);
        write!(f, "{}T{hour:02}:{minute:02}:{second:02}.{:09}Z", self.date(), self.nanosecond)
    }
}

fn number(text: &str, digits: usize) -> Option<u64> {
    let well_formed = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if well_formed { text.parse().ok() } else { None }
}

fn parse_date(text: &str) -> Option<u64> {
    let mut parts = text.split('-');
    let (year, month, day) =
        (number(parts.next()?, 4)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let days = days_of(year, month, day)?;
    // Only real dates come back as they went in.
    (parts.next().is_none() && civil(days) == (year, month, day)).then_some(days)
}

fn parse_time(text: &str) -> Option<(u64, u64)> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let mut parts = clock.split(':');
    let (hour, minute, second) =
        (number(parts.next()?, 2)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let in_day = parts.next().is_none() && hour < 24 && minute < 60 && second < 60;
    if !in_day || !(1..=9).contains(&fraction.len()) {
        return None;
    }
    let nanosecond = number(&format!("{fraction:0<9}"), 9)?;
    Some((hour * 3600 + minute * 60 + second, nanosecond))
}

/// Days since 1970-01-01; years are counted from March, so that the leap day is the last of its year.
fn days_of(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) {
        return None;
    }
    let year = if month < 3 { year.checked_sub(1)? } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day.checked_sub(1)?;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
    days.checked_sub(DAYS_TO_1970)
}

/// From 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: u64 = 719_468;
const DAYS_IN_400_YEARS: u64 = 146_097;

/// Year, month and day of a day since 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_TO_1970;
    let (era, day_of_era) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / (DAYS_IN_400_YEARS - 1)) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month < 3);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::{DateTime, NS_A_SECOND, SECONDS_A_DAY};
    use crate::Timestamp;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let check = |seconds: u64, text: &str| {
            let timestamp = Timestamp(seconds * NS_A_SECOND + 7);
            assert_eq!(DateTime::from(timestamp).to_string(), format!("{text}.000000007Z"));
            assert_eq!(DateTime::parse(&format!("{text}.000000007Z")), Some(timestamp));
        };
        check(0, "1970-01-01T00:00:00");
        check(951_782_400, "2000-02-29T00:00:00");
        check(951_868_799, "2000-02-29T23:59:59");
        check(1_077_926_399, "2004-02-27T23:59:59");
        check(4_107_542_400, "2100-03-01T00:00:00"); // 2100 has no 29 February.
        check(9_223_372_036, "2262-04-11T23:47:16");
    }

    #[test]
    fn every_day_comes_back_as_it_went_in_and_follows_the_one_before() {
        let mut previous = String::new();
        for day in 0..106_751 {
            let timestamp = Timestamp(day * SECONDS_A_DAY * NS_A_SECOND);
            let date = DateTime::from(timestamp).date();
            assert_eq!(DateTime::parse(&date), Some(timestamp));
            assert!(date > previous, "{previous} {date}");
            previous = date;
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "2026",
            "2026-13-01",
            "2026-00-10",
            "2026-02-29",
            "2026-04-31",
            "2026-04-00",
            "26-04-01",
            "1969-12-31",
            "2262-04-12",
            "2026-04-01T10:00:00",
            "2026-04-01T24:00:00Z",
            "2026-04-01T10:60:00Z",
            "2026-04-01T10:00Z",
            "2026-04-01T10:00:00.Z",
            "2026-04-01T10:00:00.0000000001Z",
            "2026-04-01-01",
            "+026-04-01",
            "2026-04-01Tx",
        ] {
            assert_eq!(DateTime::parse(text), None, "{text}");
        }
        assert_eq!(DateTime::parse("1970-01-02 00:00:00.5Z"), Some(Timestamp(86_400_500_000_000)));
    }
}
