//! The pages, and the one sheet of styles in them.

use http::{HeaderValue, StatusCode, header};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use crate::shop::frame::{Call, Failure, Reply};

const STYLE: &str = "\
:root{color-scheme:light dark;--red:#a3122c;--ink:#221c1d;--paper:#fbf7f2;--card:#fff;--line:#e6dcd2}\
@media(prefers-color-scheme:dark){:root{--red:#e8566f;--ink:#f0e8e2;--paper:#191415;--card:#231c1e;--line:#3a2f31}}\
*{box-sizing:border-box}body{margin:0;font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}\
header{display:flex;justify-content:space-between;padding:1rem 2rem;border-bottom:4px solid var(--red)}\
a{color:inherit}header a{font-weight:700;text-decoration:none}main{max-width:64rem;margin:2rem auto;padding:0 1rem}\
.all{display:grid;gap:1rem;grid-template-columns:repeat(auto-fill,minmax(13rem,1fr))}\
.one{padding:1rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem;text-decoration:none}\
.picture{font-size:3rem;line-height:1.2}.price{color:var(--red);font-weight:700}small{opacity:.7}\
form{display:grid;gap:.75rem;max-width:24rem;margin-top:1.5rem}label{display:grid}\
input,button{font:inherit;padding:.5rem .75rem;border:1px solid var(--line);border-radius:.5rem}\
input{background:var(--card);color:inherit}\
button{color:#fff;background:#a3122c;border:0;cursor:pointer}table{width:100%;border-collapse:collapse}\
td,th{text-align:left;padding:.5rem;border-bottom:1px solid var(--line)}";

/// A product as people see it.
pub(super) struct Product {
    pub(super) id: String,
    pub(super) picture: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) cents: u64,
    /// Not known when the stock does not answer.
    pub(super) left: Option<u64>,
}

/// A page, and under which path a gateway shows the shop.
pub(super) struct Page(String);

impl Page {
    pub(super) fn of(call: &Call) -> Self {
        let prefix = call.headers.get("x-forwarded-prefix").and_then(|value| value.to_str().ok());
        Self(prefix.unwrap_or_default().trim_end_matches('/').to_owned())
    }

    fn to(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    pub(super) fn redirect(&self, path: &str) -> Reply {
        let reply = Reply::html(String::new()).status(StatusCode::SEE_OTHER);
        match HeaderValue::from_str(&self.to(path)) {
            Ok(location) => reply.header(header::LOCATION, location),
            Err(_) => reply,
        }
    }

    fn page(&self, title: &str, content: Markup) -> Reply {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width";
                    title { (title) " · The Props Room" }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    header { a href=(self.to("/")) { "🎭 The Props Room" } a href=(self.to("/cart")) { "Cart" } }
                    main { (content) }
                }
            }
        };
        let policy =
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'";
        Reply::html(page.into_string())
            .header(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy))
    }

    pub(super) fn home(&self, products: &[Product]) -> Reply {
        self.page(
            "Everything for the stage",
            html! {
                h1 { "Everything for the stage" }
                div.all {
                    @for one in products {
                        a.one href=(self.to(&format!("/products/{}", one.id))) {
                            div.picture { (one.picture) }
                            strong { (one.name) }
                            div.price { (money(one.cents)) }
                            small { (left(one)) }
                        }
                    }
                }
            },
        )
    }

    pub(super) fn product(&self, one: &Product) -> Reply {
        self.page(&one.name, html! {
            div.picture { (one.picture) }
            h1 { (one.name) }
            p { (one.description) }
            div.price { (money(one.cents)) }
            small { (left(one)) }
            form method="post" action=(self.to("/cart")) {
                input type="hidden" name="product" value=(one.id);
                label { "How many" input type="number" name="quantity" value="1" min="1" max="50"; }
                button { "Into the cart" }
            }
        })
    }

    /// Product, quantity and price of each row.
    pub(super) fn cart(&self, rows: &[(&str, u64, u64)]) -> Reply {
        let total = rows.iter().map(|(_, quantity, cents)| quantity * cents).sum();
        self.page("Cart", html! {
            h1 { "Your cart" }
            @if rows.is_empty() {
                p { "Nothing yet. " a href=(self.to("/")) { "Look around" } }
            } @else {
                table {
                    tr { th { "Product" } th { "Pieces" } th { "Price" } }
                    @for (product, quantity, cents) in rows {
                        tr { td { (product) } td { (quantity) } td { (money(quantity * cents)) } }
                    }
                    tr { th { "Together, before tax" } th {} th.price { (money(total)) } }
                }
                form method="post" action=(self.to("/checkout")) {
                    label { "Mail" input type="email" name="email" required value="you@example.org"; }
                    label { "Address" input name="address" required value="Stage door 7"; }
                    label { "Card" input name="card" required value="4242 4242 4242 4242"; }
                    button { "Buy" }
                }
            }
        })
    }

    pub(super) fn placed(&self, order: &Value) -> Reply {
        let text = |name: &str| order[name].as_str().unwrap_or_default().to_owned();
        self.page("Thank you", html! {
            h1 { "Thank you!" }
            p { "Order " strong #order { (text("order")) } " over " span.price { (money(order["cents"].as_u64().unwrap_or_default())) } "." }
            p { "It comes in " (order["days"].as_u64().unwrap_or_default()) " days; follow it as " (text("tracking")) "." }
            a href=(self.to("/")) { "Back to the shop" }
        })
    }

    pub(super) fn failure(&self, failure: &Failure) -> Reply {
        self.page(
            "Sorry",
            html! {
                h1 { "That did not work" }
                p { (failure.message) }
                a href=(self.to("/")) { "Back to the shop" }
            },
        )
    }
}

fn money(cents: u64) -> String {
    format!("€ {}.{:02}", cents / 100, cents % 100)
}

fn left(product: &Product) -> String {
    product.left.map(|left| format!("{left} left")).unwrap_or_default()
}
