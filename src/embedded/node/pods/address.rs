//! Addresses for pods: each keeps its own for as long as its object is there and can run.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::Cidr;

/// Hands out addresses in turn, so that one is used again as late as possible. The first two and the last of the range
/// are not for pods.
#[derive(Debug)]
pub(super) struct Addresses {
    range: Cidr,
    taken: BTreeSet<Ipv4Addr>,
    next: u32,
}

impl Addresses {
    pub(super) fn new(range: Cidr) -> Self {
        Self { range, taken: BTreeSet::new(), next: 2 }
    }

    /// A free address.
    pub(super) fn take(&mut self) -> Option<Ipv4Addr> {
        let last = u32::try_from(self.range.size() - 1).unwrap_or(u32::MAX);
        for _ in 2..last {
            let ip = self.range.host(self.next);
            self.next = if self.next + 1 >= last { 2 } else { self.next + 1 };
            if self.taken.insert(ip) {
                return Some(ip);
            }
        }
        None
    }

    /// Takes an address that a pod has already; whether it is one for pods, and was free.
    pub(super) fn keep(&mut self, ip: Ipv4Addr) -> bool {
        let last = u32::try_from(self.range.size() - 1).unwrap_or(u32::MAX);
        let number = ip.to_bits().wrapping_sub(self.range.network().to_bits());
        if !(2..last).contains(&number) || !self.taken.insert(ip) {
            return false;
        }
        let after = if number + 1 >= last { 2 } else { number + 1 };
        self.next = self.next.max(after);
        true
    }

    pub(super) fn give_back(&mut self, ip: Ipv4Addr) {
        self.taken.remove(&ip);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_round_and_never_collide() {
        let mut addresses = Addresses::new("10.0.0.0/29".parse().unwrap());
        assert!(addresses.keep(Ipv4Addr::new(10, 0, 0, 3)));
        assert!(!addresses.keep(Ipv4Addr::new(10, 0, 0, 3)), "it is somebody's");
        let mut take = || addresses.take().map(|ip| ip.octets()[3]);
        assert_eq!(
            [take(), take(), take(), take(), take()],
            [Some(4), Some(5), Some(6), Some(2), None]
        );
        addresses.give_back(Ipv4Addr::new(10, 0, 0, 5));
        assert_eq!(addresses.take(), Some(Ipv4Addr::new(10, 0, 0, 5)));
    }

    #[test]
    fn after_the_last_address_comes_the_first_not_the_broadcast() {
        let mut addresses = Addresses::new("10.0.0.0/29".parse().unwrap());
        assert!(addresses.keep(Ipv4Addr::new(10, 0, 0, 6)));
        for none in [[192, 168, 0, 1], [10, 0, 0, 1], [10, 0, 0, 7]] {
            assert!(!addresses.keep(Ipv4Addr::from(none)), "{none:?} is not for pods");
        }
        assert_eq!(addresses.take(), Some(Ipv4Addr::new(10, 0, 0, 2)));
    }
}
