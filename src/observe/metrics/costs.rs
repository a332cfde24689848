//! What requested resources cost, and what would be enough.
//!
//! A component costs what it requests, whether it uses it or not: nobody else can have it meanwhile.

use std::collections::BTreeMap;

use super::Store;
use super::ask::Window;
use super::names::{CPU, CPU_LIMIT, CPU_REQUEST, MEMORY, MEMORY_LIMIT, MEMORY_REQUEST};
use super::wire::{INTERVAL, Value};
use crate::database::DatabaseError;
use crate::owner::Owner;

const GIB: f64 = (1u64 << 30) as f64;
const MIB: f64 = (1u64 << 20) as f64;
/// Recommended above what was used, whatever that was for 95 % of the time.
const HEADROOM: f64 = 1.2;
/// Limits above requests.
const CPU_BURST: f64 = 2.0;
const MEMORY_BURST: f64 = 1.5;
/// The least that is recommended: a thousandth of a core, and five MiB.
const LEAST_CPU: f64 = 0.001;
const LEAST_MEMORY: f64 = 5.0 * MIB;
/// Uses are told apart that differ by one percent.
const RESOLUTION: f64 = 1.01;

/// What an hour costs, in US dollars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prices {
    /// Of a core.
    pub cpu_hour: f64,
    /// Of a GiB of memory.
    pub memory_hour: f64,
}

impl Default for Prices {
    /// About what a core and a GiB cost in large clouds.
    fn default() -> Self {
        Prices { cpu_hour: 0.0316, memory_hour: 0.0042 }
    }
}

/// Cores and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Amount {
    pub(super) cpu: f64,
    pub(super) memory: f64,
}

impl Prices {
    /// What `amount` costs in some hours: processor time, memory.
    pub(super) fn of(&self, amount: Amount, hours: f64) -> Amount {
        Amount {
            cpu: amount.cpu * hours * self.cpu_hour,
            memory: amount.memory / GIB * hours * self.memory_hour,
        }
    }
}

/// What a component cost in a stretch of time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cost {
    pub(super) owner: Owner,
    /// Seconds since 1970; the end is not included.
    pub(super) between: (i64, i64),
    pub(super) cost: Amount,
    /// Which part of it was used, 0 to 1.
    pub(super) efficiency: f64,
}

/// Requests and limits of a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Profile {
    pub(super) request: Amount,
    pub(super) limit: Amount,
}

/// What a component's pods have, and what would be enough for them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Recommendation {
    pub(super) owner: Owner,
    pub(super) current: Profile,
    pub(super) recommended: Profile,
    /// Hours of all its pods together.
    pub(super) pod_hours: f64,
}

fn hours(ticks: f64) -> f64 {
    ticks * INTERVAL as f64 / 3600.0
}

impl Store {
    /// What the components of a place cost, one record a component and step, of those that were there.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub(super) fn costs(
        &self,
        window: &Window,
        prices: Prices,
    ) -> Result<Vec<Cost>, DatabaseError> {
        let names = [CPU, CPU_REQUEST, MEMORY, MEMORY_REQUEST];
        // The end is not included.
        let (start, end) = window.between;
        self.scan(
            &window.place,
            (start, end - 1),
            |name| names.contains(&name),
            |connection, scan| {
                // Requested and used, in core hours and byte hours.
                let mut sums: BTreeMap<(usize, i64), (Amount, Amount)> = BTreeMap::new();
                scan.each(
                    connection,
                    |_, _| {},
                    |moment, series, value| {
                        let Value::Gauge(value) = value else { return };
                        let series = &scan.series[series];
                        let step = (moment.time - start).max(0) / window.step;
                        let (requested, used) = sums.entry((series.owner, step)).or_default();
                        let amount = value * hours(moment.ticks as f64);
                        match series.name.as_str() {
                            CPU_REQUEST => requested.cpu += amount / 1e9,
                            MEMORY_REQUEST => requested.memory += amount,
                            CPU => used.cpu += amount / 1e9,
                            _ => used.memory += amount,
                        }
                    },
                )?;
                let record =
                    |((owner, step), (requested, used)): ((usize, i64), (Amount, Amount))| {
                        let cost = prices.of(requested, 1.0);
                        let used = prices.of(used, 1.0);
                        let paid = cost.cpu + cost.memory;
                        let from = start + step * window.step;
                        Cost {
                            owner: scan.owners[owner].clone(),
                            between: (from, end.min(from + window.step)),
                            cost,
                            efficiency: if paid > 0.0 {
                                // What is used beyond a request is not paid for.
                                (used.cpu.min(cost.cpu) + used.memory.min(cost.memory)) / paid
                            } else {
                                0.0
                            },
                        }
                    };
                Ok(sums.into_iter().map(record).collect())
            },
        )
    }

    /// What would be enough for the pods of a place's components.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub(super) fn recommendations(
        &self,
        window: &Window,
    ) -> Result<Vec<Recommendation>, DatabaseError> {
        let names = [CPU, CPU_REQUEST, CPU_LIMIT, MEMORY, MEMORY_REQUEST, MEMORY_LIMIT];
        self.scan(
            &window.place,
            window.between,
            |name| names.contains(&name),
            |connection, scan| {
                let mut seen: Vec<Seen> = Vec::new();
                seen.resize_with(scan.owners.len(), Seen::default);
                scan.each(
                    connection,
                    |_, _| {},
                    |moment, series, value| {
                        let Value::Gauge(value) = value else { return };
                        let series = &scan.series[series];
                        let seen = &mut seen[series.owner];
                        match series.name.as_str() {
                            CPU => seen.cpu.add(value / 1e9, moment.ticks),
                            MEMORY => {
                                seen.memory.add(value, moment.ticks);
                                seen.pod_ticks += moment.ticks;
                            }
                            name => seen.now(moment.time, name, value),
                        }
                    },
                )?;
                let owners = scan.owners.iter().cloned().zip(seen);
                let measured = owners.filter(|(_, seen)| seen.pod_ticks > 0);
                Ok(measured.map(|(owner, seen)| seen.recommend(owner)).collect())
            },
        )
    }
}

/// What was seen of a component.
#[derive(Default)]
struct Seen {
    cpu: Uses,
    memory: Uses,
    pod_ticks: i64,
    last: i64,
    current: Profile,
}

impl Seen {
    /// A request or limit: those of the newest moment count, and of its pods the highest.
    fn now(&mut self, time: i64, name: &str, value: f64) {
        if time > self.last {
            (self.last, self.current) = (time, Profile::default());
        }
        if time < self.last {
            return;
        }
        let Profile { request, limit } = &mut self.current;
        let (into, value) = match name {
            CPU_REQUEST => (&mut request.cpu, value / 1e9),
            CPU_LIMIT => (&mut limit.cpu, value / 1e9),
            MEMORY_REQUEST => (&mut request.memory, value),
            _ => (&mut limit.memory, value),
        };
        *into = into.max(value);
    }

    fn recommend(self, owner: Owner) -> Recommendation {
        let cpu = (self.cpu.quantile(0.95) * HEADROOM).max(LEAST_CPU);
        let memory = (self.memory.quantile(0.95) * HEADROOM).max(LEAST_MEMORY);
        // A program that was larger for a moment must not be killed for it the next time.
        let memory_limit = (memory * MEMORY_BURST).max(self.memory.most * HEADROOM);
        let recommended = Profile {
            request: Amount { cpu, memory },
            limit: Amount { cpu: cpu * CPU_BURST, memory: memory_limit },
        };
        let pod_hours = hours(self.pod_ticks as f64);
        Recommendation { owner, current: self.current, recommended, pod_hours }
    }
}

/// How often how much was used.
#[derive(Default)]
struct Uses {
    by_size: BTreeMap<i32, i64>,
    most: f64,
}

impl Uses {
    fn add(&mut self, value: f64, ticks: i64) {
        self.most = self.most.max(value);
        let size = if value > 0.0 { value.log(RESOLUTION).ceil() as i32 } else { i32::MIN };
        *self.by_size.entry(size).or_default() += ticks;
    }

    fn quantile(&self, of: f64) -> f64 {
        let all: i64 = self.by_size.values().sum();
        let mut left = (all as f64 * of).ceil() as i64;
        for (size, ticks) in &self.by_size {
            left -= ticks;
            if left <= 0 {
                return if *size == i32::MIN { 0.0 } else { RESOLUTION.powi(*size).min(self.most) };
            }
        }
        0.0
    }
}

/// As Kubernetes writes cores, rounded up to a thousandth.
pub(super) fn cores(value: f64) -> String {
    // Not up because of the last bit of a float.
    format!("{}m", (value * 1000.0 - 1e-6).max(0.0).ceil())
}

/// As Kubernetes writes bytes, rounded up to a MiB.
pub(super) fn mebibytes(value: f64) -> String {
    format!("{}Mi", (value / MIB - 1e-6).max(0.0).ceil())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_of_uses_is_right_within_a_percent() {
        let mut uses = Uses::default();
        for value in 1..=100 {
            uses.add(f64::from(value), 1);
        }
        let found = uses.quantile(0.95);
        assert!((95.0..=96.0).contains(&found), "{found}");
        assert_eq!(Uses::default().quantile(0.95), 0.0);
        let mut idle = Uses::default();
        idle.add(0.0, 7);
        assert_eq!(idle.quantile(0.95), 0.0);
    }

    #[test]
    fn quantities_are_rounded_up() {
        assert_eq!(
            (cores(0.0231), cores(0.23), cores(0.0)),
            ("24m".into(), "230m".into(), "0m".into())
        );
        assert_eq!((mebibytes(5.0 * MIB), mebibytes(5.1 * MIB)), ("5Mi".into(), "6Mi".into()));
    }
}
