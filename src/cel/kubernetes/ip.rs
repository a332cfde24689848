//! `ip("10.0.0.1")` and `cidr("10.0.0.0/8")`.

use super::value_type;
use crate::functions::{Args, boolean, failed, integer, string, text};
use cel::common::types::{STRING_TYPE, Type};
use cel::common::value::CowVal;
use cel::{DeclarationError, Env, ExecutionError};
use std::net::IpAddr;

value_type!(
    /// An address.
    Ip(IpAddr), "net.IP", IP
);

value_type!(
    /// An address and the length of its network's prefix.
    Cidr((IpAddr, u8)), "net.CIDR", CIDR
);

pub(super) fn register(env: &mut Env) -> Result<(), DeclarationError> {
    super::parser(
        env,
        ("ip", |args| super::parsed("ip", &args, address).map(|ip| CowVal::owned(Ip(ip)))),
        ("isIP", |args| super::is(&args, address)),
    )?;
    super::parser(
        env,
        ("cidr", |args| super::parsed("cidr", &args, network).map(|net| CowVal::owned(Cidr(net)))),
        ("isCIDR", |args| super::is(&args, network)),
    )?;
    env.add_overload("ip.isCanonical", "ip.isCanonical", vec![STRING_TYPE], |args| {
        let ip = super::parsed("ip.isCanonical", &args, address)?;
        Ok(boolean(ip.to_string() == text(&args, 0)))
    })?;
    addresses(env)?;
    networks(env)
}

fn addresses(env: &mut Env) -> Result<(), DeclarationError> {
    let ip = || IP.to_owned();
    env.add_overload("string", "ip_to_string", vec![ip()], |args| {
        Ok(string(Ip::arg(&args, 0)?.0.to_string()))
    })?;
    env.add_member_overload("family", "ip.family()", ip(), vec![], |args| {
        Ok(integer(if Ip::arg(&args, 0)?.0.is_ipv4() { 4 } else { 6 }))
    })?;
    env.add_member_overload("isUnspecified", "ip.isUnspecified()", ip(), vec![], |args| {
        Ok(boolean(Ip::arg(&args, 0)?.0.is_unspecified()))
    })?;
    env.add_member_overload("isLoopback", "ip.isLoopback()", ip(), vec![], |args| {
        Ok(boolean(Ip::arg(&args, 0)?.0.is_loopback()))
    })?;
    env.add_member_overload("isLinkLocalMulticast", "ip.llm()", ip(), vec![], |args| {
        Ok(boolean(match Ip::arg(&args, 0)?.0 {
            IpAddr::V4(v4) => v4.octets()[..3] == [224, 0, 0],
            IpAddr::V6(v6) => v6.segments()[0] & 0xff0f == 0xff02,
        }))
    })?;
    env.add_member_overload("isLinkLocalUnicast", "ip.llu()", ip(), vec![], |args| {
        Ok(boolean(link_local(Ip::arg(&args, 0)?.0)))
    })?;
    env.add_member_overload("isGlobalUnicast", "ip.isGlobalUnicast()", ip(), vec![], |args| {
        let ip = Ip::arg(&args, 0)?.0;
        let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
        let special = ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || broadcast;
        Ok(boolean(!special && !link_local(ip)))
    })
}

fn link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.segments()[0] & 0xffc0 == 0xfe80,
    }
}

fn networks(env: &mut Env) -> Result<(), DeclarationError> {
    let cidr = || CIDR.to_owned();
    let types: [fn() -> Type; 2] = [|| STRING_TYPE, || IP.to_owned()];
    for (id, argument) in ["cidr.containsIP(string)", "cidr.containsIP(ip)"].iter().zip(types) {
        env.add_member_overload("containsIP", id, cidr(), vec![argument()], |args| {
            let (network, length) = Cidr::arg(&args, 0)?.0;
            let ip = given_ip(&args)?;
            let inside = same_family(network, ip) && masked(ip, length) == masked(network, length);
            Ok(boolean(inside))
        })?;
    }
    let types: [fn() -> Type; 2] = [|| STRING_TYPE, || CIDR.to_owned()];
    for (id, argument) in ["cidr.containsCIDR(string)", "cidr.containsCIDR(cidr)"].iter().zip(types)
    {
        env.add_member_overload("containsCIDR", id, cidr(), vec![argument()], |args| {
            let (outer, length) = Cidr::arg(&args, 0)?.0;
            let (inner, inner_length) = given_network(&args)?;
            let inside = same_family(outer, inner)
                && inner_length >= length
                && masked(inner, length) == masked(outer, length);
            Ok(boolean(inside))
        })?;
    }
    env.add_overload("string", "cidr_to_string", vec![cidr()], |args| {
        let (ip, length) = Cidr::arg(&args, 0)?.0;
        Ok(string(format!("{ip}/{length}")))
    })?;
    env.add_member_overload("ip", "cidr.ip()", cidr(), vec![], |args| {
        Ok(CowVal::owned(Ip(Cidr::arg(&args, 0)?.0.0)))
    })?;
    env.add_member_overload("masked", "cidr.masked()", cidr(), vec![], |args| {
        let (ip, length) = Cidr::arg(&args, 0)?.0;
        Ok(CowVal::owned(Cidr((masked(ip, length), length))))
    })?;
    env.add_member_overload("prefixLength", "cidr.prefixLength()", cidr(), vec![], |args| {
        Ok(integer(i64::from(Cidr::arg(&args, 0)?.0.1)))
    })
}

fn given_ip(args: &Args<'_, '_>) -> Result<IpAddr, ExecutionError> {
    match Ip::arg(args, 1) {
        Ok(ip) => Ok(ip.0),
        Err(_) => address(super::read(args, 1)?).map_err(|message| failed("containsIP", message)),
    }
}

fn given_network(args: &Args<'_, '_>) -> Result<(IpAddr, u8), ExecutionError> {
    match Cidr::arg(args, 1) {
        Ok(cidr) => Ok(cidr.0),
        Err(_) => network(super::read(args, 1)?).map_err(|message| failed("containsCIDR", message)),
    }
}

fn same_family(left: IpAddr, right: IpAddr) -> bool {
    left.is_ipv4() == right.is_ipv4()
}

fn masked(ip: IpAddr, length: u8) -> IpAddr {
    match ip {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

/// An address without zone; IPv4 inside IPv6 is refused, as Kubernetes does.
fn address(text: &str) -> Result<IpAddr, String> {
    match text.parse() {
        Ok(IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_some() => {
            Err(format!("`{text}` is an IPv4 address written as IPv6"))
        }
        Ok(ip) => Ok(ip),
        Err(_) => Err(format!("`{text}` is not an IP address")),
    }
}

fn network(text: &str) -> Result<(IpAddr, u8), String> {
    let wrong = || format!("`{text}` is not an address with a prefix length, like 10.0.0.0/8");
    let (ip, length) = text.split_once('/').ok_or_else(wrong)?;
    let ip = address(ip)?;
    let plain = length == "0" || !length.starts_with(['0', '+']);
    let length: u8 = length.parse().ok().filter(|_| plain).ok_or_else(wrong)?;
    let longest = if ip.is_ipv4() { 32 } else { 128 };
    if length <= longest { Ok((ip, length)) } else { Err(wrong()) }
}
