//! Blocks of addresses.

use std::net::IpAddr;

use curtain_schema::FieldError;
use serde_json::Value;

use super::super::ValueExt;

/// An address of a family as a number, and how many bits of it count.
struct Block {
    v6: bool,
    address: u128,
    bits: u32,
}

impl Block {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let (v6, address) = match address.parse().ok()? {
            IpAddr::V4(address) => (false, u128::from(u32::from(address)) << 96),
            IpAddr::V6(address) => (true, u128::from(address)),
        };
        let most = if v6 { 128 } else { 32 };
        let bits = bits.parse().ok().filter(|bits| *bits <= most)?;
        Some(Self { v6, address, bits })
    }

    /// It is more than the other, which lies in it.
    fn exceeds(&self, other: &Self) -> bool {
        let within = |address: u128| address.checked_shr(128 - self.bits).unwrap_or(0);
        self.v6 == other.v6
            && self.bits < other.bits
            && within(self.address) == within(other.address)
    }
}

/// What is wrong with the `ipBlock` of a peer.
pub(super) fn validate(block: &Value, path: &str, errors: &mut Vec<FieldError>) {
    const WHY: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    let text = block.text(&["cidr"]);
    if text.is_empty() {
        return errors.push(FieldError::required(format!("{path}.cidr"), ""));
    }
    let Some(whole) = Block::parse(text) else {
        return errors.push(FieldError::invalid(format!("{path}.cidr"), text.into(), WHY));
    };
    for (index, except) in block.list(&["except"]).iter().enumerate() {
        let why = match except.as_str().and_then(Block::parse) {
            None => WHY,
            Some(except) if whole.exceeds(&except) => continue,
            Some(_) => "must be a strict subset of `cidr`",
        };
        errors.push(FieldError::invalid(format!("{path}.except[{index}]"), except.clone(), why));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn exceptions_lie_in_their_block() {
        for (cidr, except, fine) in [
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("0.0.0.0/0", "10.1.0.0/16", true),
            ("::/0", "2001:db8::/64", true),
            ("10.0.0.0/8", "10.0.0.0/8", false),
            ("10.0.0.0/8", "11.0.0.0/16", false),
            ("10.0.0.0/8", "2001:db8::/64", false),
            ("10.0.0.0/8", "10.1.0.0/33", false),
            ("10.0.0.0", "10.1.0.0/16", false),
        ] {
            let mut errors = Vec::new();
            validate(&json!({"cidr": cidr, "except": [except]}), "b", &mut errors);
            assert_eq!(errors.is_empty(), fine, "{cidr} {except}: {errors:?}");
        }
    }
}
