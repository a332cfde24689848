//! What it costs to send something, how long that takes, and the number by which it is followed.

use serde::Deserialize;
use serde_json::json;

use super::frame::{Answering, Call, Failure, Reply, Route, Service};

#[derive(Deserialize)]
struct Parcel {
    pieces: u64,
    #[serde(default)]
    order: String,
    #[serde(default)]
    address: String,
}

pub(super) struct Shipping;

impl Service for Shipping {
    fn routes(&self) -> &'static [Route] {
        const { &[Route::post("/quotes"), Route::post("/shipments")] }
    }

    fn answer<'a>(&'a self, call: &'a Call) -> Answering<'a> {
        Box::pin(async move {
            let parcel: Parcel = call.json()?;
            if call.asks().1 == "/quotes" {
                let days = if parcel.pieces > 20 { 5 } else { 2 };
                return Ok(Reply::json(&json!({ "cents": cents(parcel.pieces), "days": days })));
            }
            if parcel.order.is_empty() || parcel.address.trim().is_empty() {
                return Err(Failure::bad("a shipment needs an order and an address"));
            }
            Ok(Reply::json(&json!({ "tracking": format!("SHIP-{}", parcel.order) })))
        })
    }
}

/// A basic price and a bit for every five pieces.
fn cents(pieces: u64) -> u64 {
    490 + 150 * (pieces / 5)
}

#[cfg(test)]
mod tests {
    #[test]
    fn more_costs_more() {
        assert_eq!([1, 4, 5, 50].map(super::cents), [490, 490, 640, 1990]);
    }
}
