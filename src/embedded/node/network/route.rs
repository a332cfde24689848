//! Addresses and routes of a pod's namespace, over rtnetlink.

use std::io;
use std::net::Ipv4Addr;

use nix::sys::socket::SockProtocol;

use super::netlink::{ACK, Batch, CREATE, REPLACE, REQUEST};

const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_OIF: u16 = 4;
const RTA_PREFSRC: u16 = 7;
const AF_INET: u8 = 2;
const IFF_UP: u32 = 1;
/// `lo` has index 1 in every network namespace.
const LOOPBACK: u32 = 1;

/// Bring `lo` up, give it `ip`/32 and make all of IPv4 local to it.
///
/// The source hint of the route is what makes the pod's connections carry its
/// own address instead of the one they are going to.
pub(super) fn configure(ip: Ipv4Addr) -> io::Result<()> {
    let mut batch = Batch::default();
    batch.message(RTM_NEWLINK, REQUEST | ACK, |body| {
        body.raw(&[0; 4]);
        body.raw(&LOOPBACK.to_ne_bytes());
        body.raw(&IFF_UP.to_ne_bytes());
        body.raw(&IFF_UP.to_ne_bytes());
    });
    batch.message(RTM_NEWADDR, REQUEST | ACK | CREATE | REPLACE, |body| {
        body.raw(&[AF_INET, 32, 0, 0]);
        body.raw(&LOOPBACK.to_ne_bytes());
        body.attribute(IFA_LOCAL, &ip.octets());
        body.attribute(IFA_ADDRESS, &ip.octets());
    });
    batch.message(RTM_NEWROUTE, REQUEST | ACK | CREATE | REPLACE, |body| {
        let (table_local, boot, host, local) = (255, 3, 254, 2);
        body.raw(&[AF_INET, 0, 0, 0, table_local, boot, host, local]);
        body.raw(&[0; 4]);
        body.attribute(RTA_OIF, &LOOPBACK.to_ne_bytes());
        body.attribute(RTA_PREFSRC, &ip.octets());
    });
    batch.send(SockProtocol::NetlinkRoute)
}
