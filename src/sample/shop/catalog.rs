//! Knows the products by heart.

use serde_json::{Value, json};

use super::frame::{Answering, Call, Failure, Reply, Route, Service};

/// Id, picture, name and description.
const PRODUCTS: [(&str, &str, &str, &str); 12] = [
    ("velvet", "🎭", "Velvet curtain", "Four metres of red, and heavy enough to end any scene"),
    ("spotlight", "🔦", "Spotlight", "Finds whoever hoped not to be seen"),
    ("glasses", "🔭", "Opera glasses", "The last row is the new first row"),
    ("fog", "🌫️", "Fog machine", "Hides what the carpenters did not finish"),
    ("lamp", "💡", "Prompter's lamp", "Light for one line at a time"),
    ("tickets", "🎟️", "Roll of tickets", "Five hundred seats, numbered by hand"),
    ("script", "📜", "Bound script", "With wide margins for second thoughts"),
    ("weight", "🏋️", "Stage weight", "Keeps the castle from falling on the king"),
    ("carpet", "🟥", "Red carpet", "Ten steps of fame, washable"),
    ("moon", "🌙", "Paper moon", "Full every night, matinees included"),
    ("thunder", "⛈️", "Thunder sheet", "Weather on demand"),
    ("bell", "🔔", "Encore bell", "Rung once too often since 1871"),
];

pub(super) struct Catalog;

impl Service for Catalog {
    fn routes(&self) -> &'static [Route] {
        const { &[Route::get("/products"), Route::get("/products/{id}")] }
    }

    fn answer<'a>(&'a self, call: &'a Call) -> Answering<'a> {
        Box::pin(async move {
            let mut all = PRODUCTS.into_iter();
            match call.id.as_str() {
                "" => Ok(Reply::json(&json!({ "products": all.map(product).collect::<Vec<_>>() }))),
                id => match all.find(|one| one.0 == id) {
                    Some(one) => Ok(Reply::json(&product(one))),
                    None => Err(Failure::missing(format!("there is no product {id:?}"))),
                },
            }
        })
    }
}

fn product((id, picture, name, description): (&str, &str, &str, &str)) -> Value {
    json!({ "id": id, "picture": picture, "name": name, "description": description })
}
