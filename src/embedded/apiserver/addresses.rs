//! Cluster IPs and node ports: which are in use.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::kinds::ValueExt;

const NODE_PORTS: std::ops::RangeInclusive<u16> = 30000..=32767;

/// What one Service holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Addresses {
    /// Its cluster IP.
    pub ip: Option<IpAddr>,
    /// Its node ports.
    pub ports: Vec<u16>,
}

#[derive(Default)]
struct Used {
    ips: HashSet<Ipv4Addr>,
    ports: HashSet<u16>,
    next_ip: u32,
    next_port: u16,
}

/// The allocator. It is filled from the stored Services at start.
pub(super) struct Allocator {
    network: u32,
    size: u32,
    used: Mutex<Used>,
}

impl Allocator {
    /// `network/prefix`, for example 10.96.0.0/16. The first sixteen addresses are given only to who asks for them.
    pub(super) fn new(network: Ipv4Addr, prefix: u8) -> Self {
        let size = 1u32.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(u32::MAX);
        Self { network: u32::from(network), size, used: Mutex::default() }
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks a stored Service's addresses.
    pub(super) fn restore(&self, service: &Value) {
        let held = addresses_of(service);
        let mut used = self.used();
        if let Some(IpAddr::V4(ip)) = held.ip {
            used.ips.insert(ip);
        }
        used.ports.extend(held.ports);
    }

    /// A free address.
    pub(super) fn any_ip(&self) -> Option<IpAddr> {
        const RESERVED: u32 = 16;
        let mut used = self.used();
        let free = self.size.checked_sub(RESERVED + 1)?;
        for step in 0..free {
            let offset = RESERVED + (used.next_ip + step) % free;
            let ip = Ipv4Addr::from(self.network + offset);
            if used.ips.insert(ip) {
                used.next_ip = (used.next_ip + step + 1) % free;
                return Some(ip.into());
            }
        }
        None
    }

    /// This address, or why not.
    pub(super) fn this_ip(&self, ip: IpAddr) -> Result<(), String> {
        let inside = match ip {
            IpAddr::V4(ip) => {
                u32::from(ip).checked_sub(self.network).is_some_and(|o| o > 0 && o < self.size)
            }
            IpAddr::V6(_) => false,
        };
        let IpAddr::V4(ip) = ip else {
            return Err("failed to allocate IP: only IPv4 is served".into());
        };
        if !inside {
            return Err(format!(
                "failed to allocate IP {ip}: the provided IP is not in the valid range. The range of valid IPs is {}/{}",
                Ipv4Addr::from(self.network),
                32 - self.size.trailing_zeros()
            ));
        }
        if self.used().ips.insert(ip) {
            Ok(())
        } else {
            Err(format!("failed to allocate IP {ip}: provided IP is already allocated"))
        }
    }

    /// A free node port.
    pub(super) fn any_port(&self) -> Option<u16> {
        let mut used = self.used();
        let count = NODE_PORTS.end() - NODE_PORTS.start() + 1;
        for step in 0..count {
            let offset = (used.next_port + step) % count;
            if used.ports.insert(NODE_PORTS.start() + offset) {
                used.next_port = (offset + 1) % count;
                return Some(NODE_PORTS.start() + offset);
            }
        }
        None
    }

    /// This node port, or why not.
    pub(super) fn this_port(&self, port: u16) -> Result<(), String> {
        if !NODE_PORTS.contains(&port) {
            return Err(
                "provided port is not in the valid range. The range of valid ports is 30000-32767"
                    .into(),
            );
        }
        if self.used().ports.insert(port) {
            Ok(())
        } else {
            Err("provided port is already allocated".into())
        }
    }

    /// Gives addresses back.
    pub(super) fn release(&self, held: &Addresses) {
        let mut used = self.used();
        if let Some(IpAddr::V4(ip)) = held.ip {
            used.ips.remove(&ip);
        }
        for port in &held.ports {
            used.ports.remove(port);
        }
    }
}

/// What a Service document holds.
pub(super) fn addresses_of(service: &Value) -> Addresses {
    let ports = service.list(&["spec", "ports"]).iter().filter_map(|p| p.int(&["nodePort"]));
    Addresses {
        ip: service.text(&["spec", "clusterIP"]).parse().ok(),
        ports: ports.filter_map(|n| u16::try_from(n).ok()).filter(|n| *n != 0).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_given_once_and_taken_back() {
        let allocator = Allocator::new(Ipv4Addr::new(10, 96, 0, 0), 27);
        let mut given = HashSet::new();
        while let Some(ip) = allocator.any_ip() {
            assert!(given.insert(ip));
        }
        assert_eq!(given.len(), 15);
        let first: IpAddr = "10.96.0.16".parse().unwrap();
        assert!(allocator.this_ip(first).unwrap_err().contains("already allocated"));
        allocator.release(&Addresses { ip: Some(first), ports: vec![] });
        assert_eq!(allocator.any_ip(), Some(first));
        assert!(allocator.this_ip("10.96.0.10".parse().unwrap()).is_ok());
        assert!(
            allocator.this_ip("10.97.0.1".parse().unwrap()).unwrap_err().contains("valid range")
        );
        assert_eq!(allocator.any_port(), Some(30000));
        assert!(allocator.this_port(30000).is_err() && allocator.this_port(80).is_err());
        assert_eq!(allocator.any_port(), Some(30001));
    }
}
