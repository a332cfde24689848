//! The values of an owner at one moment, as bytes: number of the series, kind and value, each as short as it can be.

use crate::metrics::wire::{Requests, Value};

const GAUGE: u64 = 0;
const INCREASE: u64 = 1;
const REQUESTS: u64 = 2;
/// Beside the kind: the value is a float, and not a whole number.
const FLOAT: u64 = 4;
/// Bits of the kind.
const KIND: u32 = 3;
/// Beyond this, whole numbers are not exact.
const WHOLE: f64 = 9e15;

/// Values by the number of their series, in its order.
pub(super) type Values = Vec<(i64, Value)>;

/// Packs values that are in the order of their series.
pub(super) fn pack(values: &Values) -> Vec<u8> {
    let mut out = Vec::with_capacity(values.len() * 5);
    let mut last = 0;
    for (series, value) in values {
        put(&mut out, series.wrapping_sub(last).unsigned_abs());
        last = *series;
        match value {
            Value::Gauge(value) => number(&mut out, GAUGE, *value),
            Value::Increase(value) => number(&mut out, INCREASE, *value),
            Value::Requests(requests) => {
                put(&mut out, (requests.buckets.len() as u64) << KIND | REQUESTS);
                put(&mut out, requests.count);
                put(&mut out, requests.micros);
                for (bucket, count) in &requests.buckets {
                    put(&mut out, u64::from(*bucket));
                    put(&mut out, *count);
                }
            }
        }
    }
    out
}

fn number(out: &mut Vec<u8>, kind: u64, value: f64) {
    if (0.0..WHOLE).contains(&value) && value.fract() == 0.0 {
        put(out, (value as u64) << KIND | kind);
    } else {
        put(out, kind | FLOAT);
        out.extend(value.to_le_bytes());
    }
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads what was packed. Ends at bytes that make no sense.
pub(super) struct Unpack<'a> {
    bytes: &'a [u8],
    series: i64,
}

/// A value that is not taken out unless it is wanted.
pub(super) fn unpack(bytes: &[u8]) -> Unpack<'_> {
    Unpack { bytes, series: 0 }
}

impl Unpack<'_> {
    fn take(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// The next value whose series is `wanted`, without looking closely at others.
    pub(super) fn next_of(&mut self, wanted: impl Fn(i64) -> bool) -> Option<(i64, Value)> {
        loop {
            let step = self.take()?;
            self.series = self.series.wrapping_add(step as i64);
            let head = self.take()?;
            let (kind, rest) = (head & 3, head >> KIND);
            if kind == REQUESTS {
                let (count, micros) = (self.take()?, self.take()?);
                if wanted(self.series) {
                    let mut requests = Requests { count, micros, ..Requests::default() };
                    for _ in 0..rest {
                        let (bucket, count) = (self.take()?, self.take()?);
                        requests.buckets.insert(bucket as u8, count);
                    }
                    return Some((self.series, Value::Requests(requests)));
                }
                for _ in 0..rest * 2 {
                    self.take()?;
                }
                continue;
            }
            let value = if head & FLOAT != 0 {
                let (bytes, rest) = self.bytes.split_first_chunk::<8>()?;
                self.bytes = rest;
                f64::from_le_bytes(*bytes)
            } else {
                rest as f64
            };
            if wanted(self.series) {
                let make = if kind == GAUGE { Value::Gauge } else { Value::Increase };
                return Some((self.series, make(value)));
            }
        }
    }
}

impl Iterator for Unpack<'_> {
    type Item = (i64, Value);

    fn next(&mut self) -> Option<(i64, Value)> {
        self.next_of(|_| true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        let requests = Requests { count: 300, micros: 1, buckets: [(2, 1), (13, 299)].into() };
        vec![
            (1, Value::Gauge(0.0)),
            (2, Value::Gauge(123_456_789.0)),
            (900, Value::Gauge(-0.5)),
            (901, Value::Requests(requests)),
            (70_000, Value::Increase(1e300)),
            (70_001, Value::Increase(7.0)),
        ]
    }

    #[test]
    fn what_was_packed_comes_back() {
        let bytes = pack(&values());
        assert_eq!(unpack(&bytes).collect::<Values>(), values());
        assert!(bytes.len() < 50, "{}", bytes.len());
        let mut some = unpack(&bytes);
        assert_eq!(some.next_of(|series| series > 901), Some(values()[4].clone()));
    }

    #[test]
    fn bytes_that_make_no_sense_end_it() {
        let bytes = pack(&values());
        for length in 0..bytes.len() {
            assert!(unpack(&bytes[..length]).count() < values().len());
        }
        assert_eq!(unpack(&[0xff; 40]).count(), 0);
    }
}
