//! Knows what products cost, in cents.

use super::{
    frame::{Answering, Call, Failure, Reply, Route, Service},
    messages::{Number, Numbers, Products, QUOTE},
};

const PRICES: [(&str, u64); 12] = [
    ("velvet", 48_900),
    ("spotlight", 12_900),
    ("glasses", 5_900),
    ("fog", 17_500),
    ("lamp", 2_450),
    ("tickets", 1_200),
    ("script", 1_850),
    ("weight", 3_300),
    ("carpet", 21_000),
    ("moon", 4_200),
    ("thunder", 9_900),
    ("bell", 2_700),
];

pub(super) struct Prices;

impl Service for Prices {
    fn routes(&self) -> &'static [Route] {
        const { &[Route::rpc(QUOTE)] }
    }

    fn answer<'a>(&'a self, call: &'a Call) -> Answering<'a> {
        Box::pin(async move {
            let asked: Products = call.message()?;
            let quoted = asked.ids.into_iter().map(|product| {
                let found = PRICES.iter().find(|(known, _)| *known == product);
                let (_, value) = found.ok_or_else(|| {
                    Failure::missing(format!("there is no price for {product:?}"))
                })?;
                Ok(Number { product, value: *value })
            });
            Ok(Reply::message(&Numbers { numbers: quoted.collect::<Result<_, Failure>>()? }))
        })
    }
}
