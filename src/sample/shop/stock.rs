//! Knows how much is left, sets items aside for orders, and has more delivered before it runs out.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use http::StatusCode;
use serde_json::json;

use super::{
    frame::{Answering, Call, Failure, Level, Reply, Route, Service},
    messages::{Done, LEVELS, Number, Numbers, Products, RELEASE, RESERVE},
};

/// Pieces after a delivery.
const FULL: u64 = 500;
/// With fewer than this left, a delivery comes.
const LOW: u64 = 50;

#[derive(Default)]
pub(super) struct Stock {
    /// What was taken since the last delivery.
    taken: Mutex<BTreeMap<String, u64>>,
}

impl Stock {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn levels(&self, ids: Vec<String>) -> Numbers {
        let taken = self.lock();
        let level = |product: String| {
            let value = FULL - taken.get(&product).copied().unwrap_or_default();
            Number { product, value }
        };
        Numbers { numbers: ids.into_iter().map(level).collect() }
    }

    /// All or nothing; the products that were delivered for it.
    fn reserve(&self, items: &Numbers) -> Result<Vec<String>, Failure> {
        let mut taken = self.lock();
        if let Some(item) = items.numbers.iter().find(|item| item.value > FULL - LOW) {
            let why =
                format!("{} pieces of {} are more than there ever are", item.value, item.product);
            return Err(Failure::new(StatusCode::CONFLICT, why));
        }
        let mut delivered = Vec::new();
        for item in &items.numbers {
            let now = taken.get(&item.product).copied().unwrap_or_default() + item.value;
            let after = if now > FULL - LOW { 0 } else { now };
            if after == 0 && now > 0 {
                delivered.push(item.product.clone());
            }
            // A product that is not sold cannot be in an order: the prices know it.
            taken.insert(item.product.clone(), after);
        }
        Ok(delivered)
    }

    fn release(&self, items: &Numbers) {
        let mut taken = self.lock();
        for item in &items.numbers {
            if let Some(before) = taken.get_mut(&item.product) {
                *before = before.saturating_sub(item.value);
            }
        }
    }
}

impl Service for Stock {
    fn routes(&self) -> &'static [Route] {
        const { &[Route::rpc(LEVELS), Route::rpc(RESERVE), Route::rpc(RELEASE)] }
    }

    fn answer<'a>(&'a self, call: &'a Call) -> Answering<'a> {
        Box::pin(async move {
            match call.asks().1 {
                LEVELS => {
                    let asked: Products = call.message()?;
                    Ok(Reply::message(&self.levels(asked.ids)))
                }
                RESERVE => {
                    let delivered = self.reserve(&call.message()?)?;
                    if !delivered.is_empty() {
                        call.log(Level::Info, "a delivery came", &json!({ "products": delivered }));
                    }
                    Ok(Reply::message(&Done {}))
                }
                _ => {
                    self.release(&call.message()?);
                    Ok(Reply::message(&Done {}))
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(value: u64) -> Numbers {
        Numbers { numbers: vec![Number { product: "moon".into(), value }] }
    }

    #[test]
    fn what_is_taken_is_gone_until_it_is_put_back_or_delivered() {
        let stock = Stock::default();
        let left = || stock.levels(vec!["moon".into()]).of("moon").unwrap();
        assert_eq!(left(), 500);
        assert!(stock.reserve(&items(450)).unwrap().is_empty());
        assert_eq!(left(), 50);
        stock.release(&items(10));
        assert_eq!(left(), 60);
        assert_eq!(stock.reserve(&items(11)).unwrap(), ["moon"]);
        assert_eq!(left(), 500);
        assert_eq!(stock.reserve(&items(451)).unwrap_err().status.as_u16(), 409);
    }
}
