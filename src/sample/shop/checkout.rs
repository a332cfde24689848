//! Turns a cart into an order: prices, stock, shipping, payment and a mail, and everything undone if one step fails.

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    cart::Contents,
    frame::{Answering, Call, Failure, Level, Reply, Route, Service, Settings, Upstream},
    messages::{
        CHARGE, Charge, Done, Number, Numbers, Products, QUOTE, REFUND, RELEASE, RESERVE, Receipt,
    },
};

/// What is added to the prices, in percent.
pub(super) const TAX: &str = "TAX_PERCENT";

#[derive(Deserialize)]
struct Order {
    cart: String,
    email: String,
    address: String,
    card: String,
}

pub(super) struct Checkout {
    cart: Upstream,
    prices: Upstream,
    stock: Upstream,
    shipping: Upstream,
    payment: Upstream,
    mail: Upstream,
}

impl Checkout {
    pub(super) fn new(settings: &Settings) -> Self {
        let authority = Upstream::new(settings, "payment-authority");
        Self {
            cart: Upstream::new(settings, "cart"),
            prices: Upstream::new(settings, "prices"),
            stock: Upstream::new(settings, "stock"),
            shipping: Upstream::new(settings, "shipping"),
            payment: Upstream::new(settings, "payment").with_trust(authority),
            mail: Upstream::new(settings, "mail"),
        }
    }

    async fn check_out(&self, call: &Call) -> Result<Value, Failure> {
        let tax = call.frame.settings.number(TAX, 19)?;
        let order: Order = call.json()?;
        let path = format!("/carts/{}", order.cart);
        let contents = self.cart.http(call, Method::GET, ("/carts/{id}", &path), None).await?;
        let contents: Contents = serde_json::from_value(contents)
            .map_err(|error| Failure::own(format!("the cart is broken: {error}")))?;
        if contents.items.is_empty() {
            return Err(Failure::new(StatusCode::CONFLICT, "the cart is empty"));
        }
        let subtotal = self.subtotal(call, &contents).await?;
        let items = Numbers {
            numbers: contents
                .items
                .iter()
                .map(|item| Number { product: item.product.clone(), value: item.quantity })
                .collect(),
        };
        self.stock.rpc::<Done>(call, RESERVE, &items).await?;
        let sold = self.sell(call, &order, &items, subtotal + subtotal * tax / 100).await;
        if sold.is_err() {
            self.undo("stock", call, self.stock.rpc::<Done>(call, RELEASE, &items)).await;
        }
        let sold = sold?;
        // The order stands. A cart that stays full is a nuisance, and said.
        let emptied = self.cart.http(call, Method::DELETE, ("/carts/{id}", &path), None).await;
        if let Err(failure) = emptied {
            let why = json!({ "error": failure.message });
            call.log(Level::Warn, "the cart of an order was not emptied", &why);
        }
        Ok(sold)
    }

    async fn subtotal(&self, call: &Call, contents: &Contents) -> Result<u64, Failure> {
        let ids = contents.items.iter().map(|item| item.product.clone()).collect();
        let prices: Numbers = self.prices.rpc(call, QUOTE, &Products { ids }).await?;
        let costs = contents.items.iter().map(|item| {
            let price = prices.of(&item.product);
            price.map(|price| price * item.quantity).ok_or_else(|| {
                Failure::new(StatusCode::BAD_GATEWAY, format!("prices left {} out", item.product))
            })
        });
        costs.sum()
    }

    /// Everything that is done for items set aside.
    async fn sell(
        &self,
        call: &Call,
        order: &Order,
        items: &Numbers,
        cents: u64,
    ) -> Result<Value, Failure> {
        let id = call.order();
        let pieces: u64 = items.numbers.iter().map(|item| item.value).sum();
        let parcel = json!({ "pieces": pieces, "order": id, "address": order.address });
        let quote =
            self.shipping.http(call, Method::POST, ("/quotes", "/quotes"), Some(&parcel)).await?;
        let total = cents + quote["cents"].as_u64().unwrap_or_default();
        let charge = Charge { order: id.clone(), card: order.card.clone(), cents: total };
        let receipt: Receipt = self.payment.rpc(call, CHARGE, &charge).await?;
        let sent = self.send(call, order, &id, &parcel).await;
        if sent.is_err() {
            self.undo("payment", call, self.payment.rpc::<Receipt>(call, REFUND, &receipt)).await;
        }
        let tracking = sent?;
        Ok(json!({ "order": id, "cents": total, "tracking": tracking, "days": quote["days"] }))
    }

    async fn send(
        &self,
        call: &Call,
        order: &Order,
        id: &str,
        parcel: &Value,
    ) -> Result<Value, Failure> {
        let mail = json!({ "to": order.email, "subject": format!("Your order {id}") });
        self.mail.http(call, Method::POST, ("/messages", "/messages"), Some(&mail)).await?;
        let shipments = ("/shipments", "/shipments");
        let sent = self.shipping.http(call, Method::POST, shipments, Some(parcel)).await?;
        Ok(sent["tracking"].clone())
    }

    async fn undo<T>(
        &self,
        what: &str,
        call: &Call,
        undoing: impl Future<Output = Result<T, Failure>>,
    ) {
        if let Err(failure) = undoing.await {
            let why = json!({ "error": failure.message });
            call.log(Level::Error, &format!("what {what} did for a failed order stays"), &why);
        }
    }
}

impl Service for Checkout {
    fn routes(&self) -> &'static [Route] {
        const { &[Route::post("/orders")] }
    }

    fn answer<'a>(&'a self, call: &'a Call) -> Answering<'a> {
        Box::pin(async move { Ok(Reply::json(&self.check_out(call).await?)) })
    }
}
