//! Carts of visitors: a list of products and how many, kept by the cart store.

use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::frame::{Answering, Call, Failure, Reply, Route, Service, Settings, Upstream};

/// Different products in one cart.
const KINDS: usize = 50;
/// Pieces of one product.
const PIECES: u64 = 50;

/// What a visitor means to buy.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Contents {
    pub(super) items: Vec<Item>,
}

/// A product and how many of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Item {
    pub(super) product: String,
    pub(super) quantity: u64,
}

pub(super) struct Cart {
    store: Upstream,
    catalog: Upstream,
}

impl Cart {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            store: Upstream::new(settings, "cart-store"),
            catalog: Upstream::new(settings, "catalog"),
        }
    }

    async fn read(&self, call: &Call) -> Result<Contents, Failure> {
        let path = format!("/keys/{}", call.id);
        match self.store.http(call, Method::GET, ("/keys/{id}", &path), None).await {
            Ok(value) => serde_json::from_value(value).map_err(|error| {
                Failure::own(format!("the cart that was kept is broken: {error}"))
            }),
            Err(failure) if failure.status == StatusCode::NOT_FOUND => Ok(Contents::default()),
            Err(failure) => Err(failure),
        }
    }

    async fn add(&self, call: &Call) -> Result<Contents, Failure> {
        let item: Item = call.json()?;
        if !(1..=PIECES).contains(&item.quantity) || !is_id(&item.product) {
            return Err(Failure::bad("a product and a quantity from 1 to 50 are needed"));
        }
        let path = format!("/products/{}", item.product);
        self.catalog.http(call, Method::GET, ("/products/{id}", &path), None).await?;
        let mut contents = self.read(call).await?;
        let kinds = contents.items.len();
        match contents.items.iter_mut().find(|known| known.product == item.product) {
            Some(known) => known.quantity = (known.quantity + item.quantity).min(PIECES),
            None if kinds == KINDS => return Err(Failure::bad("the cart is full")),
            None => contents.items.push(item),
        }
        let path = format!("/keys/{}", call.id);
        let body = json!(contents);
        self.store.http(call, Method::PUT, ("/keys/{id}", &path), Some(&body)).await?;
        Ok(contents)
    }
}

impl Service for Cart {
    fn routes(&self) -> &'static [Route] {
        const {
            &[
                Route::get("/carts/{id}"),
                Route::delete("/carts/{id}"),
                Route::post("/carts/{id}/items"),
            ]
        }
    }

    fn answer<'a>(&'a self, call: &'a Call) -> Answering<'a> {
        Box::pin(async move {
            if !is_id(&call.id) {
                return Err(Failure::bad("a cart is named by up to 64 letters, digits and dashes"));
            }
            let contents = match call.asks().0 {
                "GET" => self.read(call).await?,
                "POST" => self.add(call).await?,
                _ => {
                    let path = format!("/keys/{}", call.id);
                    self.store.http(call, Method::DELETE, ("/keys/{id}", &path), None).await?;
                    Contents::default()
                }
            };
            Ok(Reply::json(&json!(contents)))
        })
    }
}

/// Whether `text` can be part of a path as it is.
pub(super) fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
