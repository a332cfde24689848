//! The pod network: no bridge, no veth pair, no address on the host.
//!
//! Every pod has its own network namespace in which *all* of IPv4 is local
//! (`ip route add local default dev lo`). A TPROXY rule hands whatever is not
//! for the pod itself to one transparent listener, and the node's proxy serves
//! that listener: Services, cluster DNS, other pods, the world outside.
//!
//! Invariants:
//! - the source of a connection is the listener that accepted it; an address
//!   in a packet is never believed;
//! - an address inside the pod or Service range without an owner is refused,
//!   never dialled through the host;
//! - every socket is made by the pod's shim and handed over, so the node needs
//!   no privilege here and queued connections outlive a crash of the node.
//!
//! Entry points: [`sandbox`] for the shim (synchronous, no runtime).

pub mod sandbox;

mod netlink;
mod nft;
mod route;
