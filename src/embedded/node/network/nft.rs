//! The one nftables chain of a pod's namespace.
//!
//! ```text
//! table ip curtain {
//!   chain pre { type filter hook prerouting priority mangle; policy drop;
//!     ip daddr POD accept
//!     ip daddr 127.0.0.0/8 accept
//!     tproxy to 127.0.0.1:PORT accept          # TCP and UDP only
//!   }
//! }
//! ```
//!
//! The policy matters: with `accept`, `lo` would answer pings for the whole
//! internet, and with the node down the pod's own wildcard listeners would
//! answer for every Service.

use std::io;
use std::net::SocketAddrV4;

use nix::sys::socket::SockProtocol;

use super::netlink::{ACK, APPEND, Batch, Body, CREATE, REQUEST};

const TABLE: &str = "curtain";
const CHAIN: &str = "pre";
const IPV4: u8 = 2;

const SUBSYSTEM: u16 = 10;
const NEWTABLE: u16 = SUBSYSTEM << 8;
const DELTABLE: u16 = SUBSYSTEM << 8 | 2;
const NEWCHAIN: u16 = SUBSYSTEM << 8 | 3;
const NEWRULE: u16 = SUBSYSTEM << 8 | 6;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

const NF_DROP: u32 = 0;
const NF_ACCEPT: u32 = 1;
const PREROUTING: u32 = 0;
const PRIORITY_MANGLE: i32 = -150;
/// Offset of the destination in an IPv4 header.
const DADDR: u32 = 16;
const REG_VERDICT: u32 = 0;
const REG_1: u32 = 1;
const REG_2: u32 = 2;

/// Install the chain for a pod with address `ip`, replacing one of an earlier
/// run; everything else goes to `proxy`.
pub(super) fn install(ip: std::net::Ipv4Addr, proxy: SocketAddrV4) -> io::Result<()> {
    let mut batch = Batch::default();
    batch.message(BATCH_BEGIN, REQUEST, |body| generic(body, 0, SUBSYSTEM));
    // Creating before deleting makes the deletion succeed on the first run too.
    table(&mut batch, NEWTABLE, CREATE);
    table(&mut batch, DELTABLE, 0);
    table(&mut batch, NEWTABLE, CREATE);
    batch.message(NEWCHAIN, REQUEST | ACK | CREATE, |body| {
        generic(body, IPV4, 0);
        body.text(1, TABLE);
        body.text(3, CHAIN);
        body.nested(4, |hook| {
            hook.number(1, PREROUTING);
            hook.number(2, PRIORITY_MANGLE as u32);
        });
        body.number(5, NF_DROP);
        body.text(7, "filter");
    });
    rule(&mut batch, |list| {
        load_destination(list, 4);
        equals(list, &ip.octets());
        accept(list);
    });
    rule(&mut batch, |list| {
        load_destination(list, 1);
        equals(list, &[127]);
        accept(list);
    });
    rule(&mut batch, |list| {
        immediate(list, REG_1, &proxy.ip().octets());
        immediate(list, REG_2, &proxy.port().to_be_bytes());
        expression(list, "tproxy", |data| {
            data.number(1, IPV4.into());
            data.number(2, REG_1);
            data.number(3, REG_2);
        });
        accept(list);
    });
    batch.message(BATCH_END, REQUEST, |body| generic(body, 0, SUBSYSTEM));
    batch.send(SockProtocol::NetlinkNetFilter)
}

/// The header shared by all netfilter messages.
fn generic(body: &mut Body, family: u8, resource: u16) {
    body.raw(&[family, 0]);
    body.raw(&resource.to_be_bytes());
}

fn table(batch: &mut Batch, kind: u16, flags: u16) {
    batch.message(kind, REQUEST | ACK | flags, |body| {
        generic(body, IPV4, 0);
        body.text(1, TABLE);
    });
}

fn rule(batch: &mut Batch, expressions: impl FnOnce(&mut Body)) {
    batch.message(NEWRULE, REQUEST | ACK | CREATE | APPEND, |body| {
        generic(body, IPV4, 0);
        body.text(1, TABLE);
        body.text(2, CHAIN);
        body.nested(4, expressions);
    });
}

fn expression(list: &mut Body, name: &str, data: impl FnOnce(&mut Body)) {
    list.nested(1, |element| {
        element.text(1, name);
        element.nested(2, data);
    });
}

fn load_destination(list: &mut Body, length: u32) {
    let network_header = 1;
    expression(list, "payload", |data| {
        data.number(1, REG_1);
        data.number(2, network_header);
        data.number(3, DADDR);
        data.number(4, length);
    });
}

fn equals(list: &mut Body, value: &[u8]) {
    expression(list, "cmp", |data| {
        data.number(1, REG_1);
        data.number(2, 0);
        data.nested(3, |data| data.attribute(1, value));
    });
}

fn immediate(list: &mut Body, register: u32, value: &[u8]) {
    expression(list, "immediate", |data| {
        data.number(1, register);
        data.nested(2, |data| data.attribute(1, value));
    });
}

fn accept(list: &mut Body) {
    expression(list, "immediate", |data| {
        data.number(1, REG_VERDICT);
        data.nested(2, |data| data.nested(2, |verdict| verdict.number(1, NF_ACCEPT)));
    });
}
