//! UDP datagrams with a header of our own, for raw sockets.

use std::net::SocketAddrV4;

const IP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const UDP: u8 = 17;
/// What fits behind both headers.
pub(super) const MAX_PAYLOAD: usize = 65_535 - IP_HEADER - UDP_HEADER;

/// An IPv4 packet that carries `payload` from `source` to `target`. Length,
/// identification and header checksum are left to the kernel, as `IP_HDRINCL` does.
/// A payload above [`MAX_PAYLOAD`] is cut.
pub(super) fn udp(source: SocketAddrV4, target: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(MAX_PAYLOAD)];
    let mut packet = Vec::with_capacity(IP_HEADER + UDP_HEADER + payload.len());
    packet.extend_from_slice(&[0x45, 0, 0, 0, 0, 0, 0, 0, 64, UDP, 0, 0]);
    packet.extend_from_slice(&source.ip().octets());
    packet.extend_from_slice(&target.ip().octets());
    packet.extend_from_slice(&source.port().to_be_bytes());
    packet.extend_from_slice(&target.port().to_be_bytes());
    packet.extend_from_slice(&((UDP_HEADER + payload.len()) as u16).to_be_bytes());
    packet.extend_from_slice(&[0, 0]);
    packet.extend_from_slice(payload);
    let sum =
        checksum(&packet[IP_HEADER - 8..], u32::from(UDP) + (UDP_HEADER + payload.len()) as u32);
    packet[IP_HEADER + 6..IP_HEADER + 8].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// The internet checksum over `bytes`, starting from `sum`; zero means "none"
/// in UDP and is therefore written as its other form.
fn checksum(bytes: &[u8], mut sum: u32) -> u16 {
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    match !((sum & 0xffff) + (sum >> 16)) as u16 {
        0 => 0xffff,
        sum => sum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_covers_addresses_ports_and_an_odd_tail() {
        let packet = udp("10.0.0.1:53".parse().unwrap(), "10.0.0.2:4000".parse().unwrap(), b"odd");
        assert_eq!(packet.len(), 31);
        assert_eq!(packet[24..26], 11_u16.to_be_bytes());
        // Adding everything up again, checksum included, gives all ones.
        let mut sum = u32::from(UDP) + 11;
        for pair in packet[12..].chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        assert_eq!(sum, 0xffff);
    }
}
