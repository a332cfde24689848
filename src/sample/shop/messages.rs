//! What the services say to each other over gRPC. Field numbers never change.

use prost::Message;

/// Asks what products cost.
pub(crate) const QUOTE: &str = "/shop.Prices/Quote";
/// Asks how much is left of products.
pub(crate) const LEVELS: &str = "/shop.Stock/Levels";
/// Sets items aside.
pub(crate) const RESERVE: &str = "/shop.Stock/Reserve";
/// Puts items back.
pub(crate) const RELEASE: &str = "/shop.Stock/Release";
/// Takes money.
pub(crate) const CHARGE: &str = "/shop.Payment/Charge";
/// Gives it back.
pub(crate) const REFUND: &str = "/shop.Payment/Refund";

/// Products by id.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Products {
    #[prost(string, repeated, tag = "1")]
    pub(crate) ids: Vec<String>,
}

/// A number for each product: cents, or pieces that are left.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Numbers {
    #[prost(message, repeated, tag = "1")]
    pub(crate) numbers: Vec<Number>,
}

/// A number for a product.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Number {
    #[prost(string, tag = "1")]
    pub(crate) product: String,
    #[prost(uint64, tag = "2")]
    pub(crate) value: u64,
}

impl Numbers {
    pub(crate) fn of(&self, product: &str) -> Option<u64> {
        self.numbers.iter().find(|one| one.product == product).map(|one| one.value)
    }
}

/// What is paid for.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Charge {
    #[prost(string, tag = "1")]
    pub(crate) order: String,
    #[prost(string, tag = "2")]
    pub(crate) card: String,
    #[prost(uint64, tag = "3")]
    pub(crate) cents: u64,
}

/// That it was paid, or paid back.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Receipt {
    #[prost(string, tag = "1")]
    pub(crate) charge: String,
}

/// Nothing but that it is done.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Done {}
