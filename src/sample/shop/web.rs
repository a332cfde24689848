//! The shop that people see: pages made here, with neither scripts nor anything from elsewhere.

mod pages;

use http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use tokio::join;

use super::{
    cart::{Contents, is_id},
    frame::{Answering, Call, Failure, Level, Reply, Route, Service, Settings, Upstream},
    messages::{LEVELS, Numbers, Products, QUOTE},
};
use pages::{Page, Product};

/// The cookie that names a visitor's cart.
const COOKIE: &str = "shop";

pub(super) struct Web {
    catalog: Upstream,
    prices: Upstream,
    stock: Upstream,
    cart: Upstream,
    checkout: Upstream,
}

impl Web {
    pub(super) fn new(settings: &Settings) -> Self {
        let upstream = |name| Upstream::new(settings, name);
        Self {
            catalog: upstream("catalog"),
            prices: upstream("prices"),
            stock: upstream("stock"),
            cart: upstream("cart"),
            checkout: upstream("checkout"),
        }
    }

    async fn products(&self, call: &Call, found: Vec<Value>) -> Result<Vec<Product>, Failure> {
        let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let ids: Vec<String> = found.iter().map(|one| text(one, "id")).collect();
        let asked = Products { ids };
        let (prices, levels) = join!(
            self.prices.rpc::<Numbers>(call, QUOTE, &asked),
            self.stock.rpc::<Numbers>(call, LEVELS, &asked),
        );
        let prices = prices?;
        // A shop without its stock at hand still sells: checkout looks for itself.
        let levels = levels.unwrap_or_else(|failure| {
            call.log(Level::Warn, "levels are not shown", &json!({ "error": failure.message }));
            Numbers::default()
        });
        let products = found.iter().map(|one| {
            let id = text(one, "id");
            Product {
                cents: prices.of(&id).unwrap_or_default(),
                left: levels.of(&id),
                picture: text(one, "picture"),
                name: text(one, "name"),
                description: text(one, "description"),
                id,
            }
        });
        Ok(products.collect())
    }

    async fn home(&self, call: &Call) -> Result<Reply, Failure> {
        let path = ("/products", "/products");
        let mut all = self.catalog.http(call, Method::GET, path, None).await?;
        let Value::Array(found) = all["products"].take() else {
            return Err(Failure::new(StatusCode::BAD_GATEWAY, "catalog has no products"));
        };
        Ok(Page::of(call).home(&self.products(call, found).await?))
    }

    async fn product(&self, call: &Call) -> Result<Reply, Failure> {
        if !is_id(&call.id) {
            return Err(Failure::missing("there is no such product"));
        }
        let path = format!("/products/{}", call.id);
        let found = self.catalog.http(call, Method::GET, ("/products/{id}", &path), None).await?;
        let products = self.products(call, vec![found]).await?;
        products.first().map_or_else(
            || Err(Failure::missing("there is no such product")),
            |one| Ok(Page::of(call).product(one)),
        )
    }

    async fn contents(&self, call: &Call) -> Result<Contents, Failure> {
        let Some(visitor) = visitor(call) else { return Ok(Contents::default()) };
        let path = format!("/carts/{visitor}");
        let value = self.cart.http(call, Method::GET, ("/carts/{id}", &path), None).await?;
        serde_json::from_value(value)
            .map_err(|error| Failure::own(format!("the cart is broken: {error}")))
    }

    async fn show_cart(&self, call: &Call) -> Result<Reply, Failure> {
        let contents = self.contents(call).await?;
        let ids = contents.items.iter().map(|item| item.product.clone()).collect();
        let prices = self.prices.rpc::<Numbers>(call, QUOTE, &Products { ids }).await?;
        let rows = contents.items.iter().map(|item| {
            (item.product.as_str(), item.quantity, prices.of(&item.product).unwrap_or_default())
        });
        Ok(Page::of(call).cart(&rows.collect::<Vec<_>>()))
    }

    async fn add(&self, call: &Call) -> Result<Reply, Failure> {
        let known = visitor(call);
        let visitor = known.clone().unwrap_or_else(|| call.order());
        let quantity: u64 = field(call, "quantity").parse().unwrap_or(1);
        let body = json!({ "product": field(call, "product"), "quantity": quantity });
        let path = format!("/carts/{visitor}/items");
        self.cart.http(call, Method::POST, ("/carts/{id}/items", &path), Some(&body)).await?;
        let reply = Page::of(call).redirect("/cart");
        let cookie = format!("{COOKIE}={visitor}; Path=/; HttpOnly; SameSite=Strict");
        Ok(match HeaderValue::from_str(&cookie) {
            Ok(cookie) if known.is_none() => reply.header(header::SET_COOKIE, cookie),
            _ => reply,
        })
    }

    async fn check_out(&self, call: &Call) -> Result<Reply, Failure> {
        let visitor = visitor(call)
            .ok_or_else(|| Failure::new(StatusCode::CONFLICT, "there is nothing in your cart"))?;
        let order = json!({
            "cart": visitor,
            "email": field(call, "email"),
            "address": field(call, "address"),
            "card": field(call, "card"),
        });
        let path = ("/orders", "/orders");
        let placed = self.checkout.http(call, Method::POST, path, Some(&order)).await?;
        Ok(Page::of(call).placed(&placed))
    }
}

impl Service for Web {
    fn routes(&self) -> &'static [Route] {
        const {
            &[
                Route::get("/"),
                Route::get("/products/{id}"),
                Route::get("/cart"),
                Route::post("/cart"),
                Route::post("/checkout"),
            ]
        }
    }

    fn answer<'a>(&'a self, call: &'a Call) -> Answering<'a> {
        Box::pin(async move {
            match call.asks() {
                ("GET", "/") => self.home(call).await,
                ("GET", "/cart") => self.show_cart(call).await,
                ("POST", "/cart") => self.add(call).await,
                ("POST", _) => self.check_out(call).await,
                _ => self.product(call).await,
            }
        })
    }

    fn page(&self, call: &Call, failure: &Failure) -> Option<Reply> {
        Some(Page::of(call).failure(failure))
    }
}

/// Whose cart it is.
fn visitor(call: &Call) -> Option<String> {
    let cookies = call.headers.get_all(header::COOKIE).iter();
    let mut pairs = cookies.filter_map(|all| all.to_str().ok()).flat_map(|all| all.split(';'));
    let named = pairs.find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='));
    named.filter(|id| is_id(id)).map(str::to_owned)
}

/// A field of the form that was sent.
fn field(call: &Call, name: &str) -> String {
    let mut fields = form_urlencoded::parse(&call.body);
    fields.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}
