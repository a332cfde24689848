//! Kubernetes quantities: `100m`, `1.5Gi`, `1e3`.
//!
//! Exact down to a thousand-millionth, which is as fine as they get; what is finer is rounded up. They print in
//! their canonical form, in the kind of units that they were written in.

use std::fmt;
use std::ops::Add;

use serde_json::Value;

const NANO: i128 = 1_000_000_000;
/// The largest number of a real server.
const MAX: i128 = (i64::MAX as i128) * NANO;
/// Decimal places of thousand-millionths.
const PLACES: i64 = 9;
/// More digits than the largest number has.
const MOST_DIGITS: i64 = 29;
/// Binary fractions are exact to so many digits.
const EXACT: usize = 19;
/// The largest exponent that is told from a larger one.
const FAR: i64 = 1 << 40;
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];

/// The units that a quantity is printed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Decimal,
    Binary,
    Exponent,
}

/// An amount of something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quantity {
    nanos: i128,
    form: Form,
}

impl Quantity {
    pub(crate) const ZERO: Self = Self { nanos: 0, form: Form::Decimal };

    /// `None` if it is no quantity.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let end = digits.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(digits.len());
        let (number, suffix) = digits.split_at(end);
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && part.is_empty()) || part.contains('.') {
            return None;
        }
        let (form, power) = unit(suffix)?;
        let nanos = match form {
            Form::Binary => binary(whole, part, power),
            Form::Decimal | Form::Exponent => {
                decimal(&[whole, part].concat(), power - part.len() as i64)
            }
        };
        Some(Self { nanos: if negative { -nanos } else { nanos }, form })
    }

    /// From a document: text, or a number.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Number(number) => Self::parse(&number.to_string()),
            _ => None,
        }
    }

    /// A number of things.
    pub(crate) fn count(number: usize) -> Self {
        Self { nanos: number as i128 * NANO, form: Form::Decimal }
    }

    /// Thousand-millionths of something.
    pub(crate) fn nanos(number: u64) -> Self {
        Self { nanos: i128::from(number), form: Form::Decimal }
    }

    /// A number of bytes.
    pub(crate) fn bytes(number: u64) -> Self {
        Self { nanos: i128::from(number) * NANO, form: Form::Binary }
    }

    pub(crate) fn is_zero(self) -> bool {
        self.nanos == 0
    }

    pub(crate) fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// Without a remainder?
    pub(crate) fn is_whole(self) -> bool {
        self.nanos % NANO == 0
    }

    /// This less the other one.
    pub(crate) fn less(self, other: Self) -> Self {
        self + Self { nanos: -other.nanos, ..other }
    }

    /// How many times the other one this is.
    pub(crate) fn ratio(self, other: Self) -> f64 {
        self.nanos as f64 / other.nanos as f64
    }

    /// In thousandths, rounded up; `None` below zero.
    pub(crate) fn millis(self) -> Option<u64> {
        let millis = NANO / 1000;
        u64::try_from((self.nanos + millis - 1).div_euclid(millis)).ok()
    }
}

/// Of a suffix: the form, and how many times 1024 or 10 it stands for.
fn unit(suffix: &str) -> Option<(Form, i64)> {
    if let Some(at) = DECIMAL.iter().position(|known| *known == suffix) {
        return Some((Form::Decimal, (at as i64 - 3) * 3));
    }
    if let Some(at) = BINARY.iter().position(|known| *known == suffix) {
        return Some((Form::Binary, at as i64));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // Beyond this it makes no difference.
    let power = digits.parse().unwrap_or(FAR).min(FAR);
    Some((Form::Exponent, if exponent.starts_with('-') { -power } else { power }))
}

/// Digits times a power of ten, in thousand-millionths; what there are no numbers for is the largest.
fn decimal(digits: &str, power: i64) -> i128 {
    let digits = digits.trim_start_matches('0');
    let places = digits.len() as i64 + power + PLACES;
    if digits.is_empty() {
        return 0;
    }
    if places > MOST_DIGITS {
        return MAX;
    }
    // Of the digits those that count, and whether there is anything behind them.
    let (counted, rest) = digits.split_at(places.clamp(0, digits.len() as i64) as usize);
    let zeros = (places - counted.len() as i64).max(0) as u32;
    let number = counted.parse().unwrap_or(0) * 10_i128.pow(zeros);
    (number + i128::from(rest.bytes().any(|digit| digit != b'0'))).min(MAX)
}

/// A number times a power of 1024, in thousand-millionths; what there are no numbers for is the largest.
fn binary(whole: &str, part: &str, power: i64) -> i128 {
    let factor = 1024_i128.pow(power as u32);
    let whole = whole.trim_start_matches('0');
    if whole.len() as i64 + PLACES > MOST_DIGITS {
        return MAX;
    }
    let whole = whole.parse().unwrap_or(0_i128);
    // What is behind these makes a difference only in that it is there.
    let (counted, rest) = part.split_at(part.len().min(EXACT));
    let rest = i128::from(rest.bytes().any(|digit| digit != b'0'));
    let top = counted.parse().unwrap_or(0_i128) * factor + rest;
    let bottom = 10_i128.pow(counted.len() as u32);
    let below = match bottom {
        ..=NANO => top * (NANO / bottom),
        _ => top / (bottom / NANO) + i128::from(top % (bottom / NANO) != 0),
    };
    whole.checked_mul(factor * NANO).map_or(MAX, |number| (number + below).min(MAX))
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.nanos.partial_cmp(&other.nanos)
    }
}

impl Add for Quantity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let form = if self.is_zero() { other.form } else { self.form };
        Self { nanos: self.nanos.saturating_add(other.nanos).clamp(-MAX, MAX), form }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        if self.form == Form::Binary && self.is_whole() && self.nanos.abs() >= 1024 * NANO {
            let (mut number, mut power) = (self.nanos / NANO, 0);
            while number % 1024 == 0 && power + 1 < BINARY.len() {
                number /= 1024;
                power += 1;
            }
            return write!(f, "{number}{}", BINARY[power]);
        }
        let (mut number, mut power) = (self.nanos, 0);
        while number % 1000 == 0 && power + 1 < DECIMAL.len() {
            number /= 1000;
            power += 1;
        }
        match (self.form, power as i32 * 3 - 9) {
            (Form::Exponent, 0) => write!(f, "{number}"),
            (Form::Exponent, exponent) => write!(f, "{number}e{exponent}"),
            _ => write!(f, "{number}{}", DECIMAL[power]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn q(text: &str) -> Quantity {
        Quantity::parse(text).unwrap()
    }

    #[test]
    fn more_than_there_are_numbers_for_is_the_largest() {
        let most = Quantity::parse("1.70141183460469231731687303715").expect("a quantity");
        assert!(most > Quantity::parse("1.7").expect("a quantity"));
        assert!(most < Quantity::parse("1.71").expect("a quantity"));
    }

    #[test]
    fn quantities_print_in_their_canonical_form() {
        for (text, canonical) in [
            ("0", "0"),
            ("0Mi", "0"),
            ("1", "1"),
            ("0.1", "100m"),
            ("1.5", "1500m"),
            ("1000m", "1"),
            ("100000", "100k"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("512Ki", "512Ki"),
            ("1023Ki", "1023Ki"),
            ("0.5Ki", "512"),
            ("0.1Ki", "102400m"),
            ("1e3", "1e3"),
            ("12e2", "1200"),
            ("0.0000000001", "1n"),
            ("-1", "-1"),
            ("+2M", "2M"),
            ("1E", "1E"),
            ("99999999999E", "9223372036854775807"),
            ("1e40", "9223372036854775807"),
            ("1e99999999999999999999", "9223372036854775807"),
            ("0e99999999999999999999", "0"),
            ("1e-99999999999999999999", "1e-9"),
            ("123456789012345678901234567890123456789012", "9223372036854775807"),
            ("1.000000000000000000000000000000000000000000", "1"),
            ("0.000000000000000000000000000000000000000001Gi", "1n"),
            ("1.0000000000000000000000000000000000000000Ki", "1Ki"),
            ("0.30000000001Ki", "307200000011n"),
            ("00000000000000000000000000000000000000000001", "1"),
        ] {
            assert_eq!(q(text).to_string(), canonical, "{text}");
        }
        for text in ["", "-", "m", "1.2.3", "1ki", "1 Gi", "1e", "0x1", "1e+-2"] {
            assert!(Quantity::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn sums_keep_the_units_of_what_was_first() {
        assert_eq!((q("0") + q("64Mi") + q("64Mi")).to_string(), "128Mi");
        assert_eq!((q("100m") + q("1")).to_string(), "1100m");
        assert_eq!(q("1Gi").less(q("1Mi")).to_string(), "1023Mi");
        assert!(q("1Gi") > q("1G") && q("1000m") == q("1"));
        assert!(q("1").less(q("2")).is_negative());
        let used = (Quantity::nanos(12_500_000).to_string(), Quantity::bytes(3 << 20).to_string());
        assert_eq!(used, ("12500u".into(), "3Mi".into()));
        assert_eq!(q("500u").millis(), Some(1));
        assert_eq!(q("-1").millis(), None);
    }
}
