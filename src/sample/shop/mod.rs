//! The shop: eleven services that sell props for the stage, to be looked at, broken and healed.
//!
//! ```text
//! load ─► web ─┬─► catalog ◄─┐
//!              ├─► cart ─────┴─► cart-store
//!              ├─► prices, stock (gRPC)
//!              └─► checkout ─► cart, prices, stock, shipping, payment (gRPC over TLS), mail
//! ```
//!
//! Entry points: [`run`], and [`SERVICES`], their names. Each is a file of its own over one [`frame`].

mod cart;
mod cart_store;
mod catalog;
mod checkout;
pub mod frame;
mod load;
mod mail;
mod messages;
mod payment;
mod prices;
mod shipping;
mod stock;
mod web;

use std::{
    io::{self, Write},
    net::SocketAddr,
    sync::Arc,
};

use curtain_role::Shutdown;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use frame::{Failure, Frame, Identity, Level, Log, Served, Service, Settings, serve};

/// The names of all services.
pub const SERVICES: [&str; 11] = [
    "web",
    "catalog",
    "prices",
    "stock",
    "cart",
    "cart-store",
    "checkout",
    "payment",
    "shipping",
    "mail",
    "load",
];
/// Days for which the certificate of payment is valid; below zero it has expired.
pub const CERTIFICATE_DAYS: &str = "CERTIFICATE_DAYS";

/// What a service runs with.
pub struct Config {
    /// One of [`SERVICES`].
    pub service: String,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where payment takes TLS.
    pub listen_tls: SocketAddr,
    /// What it is told; see the services for the names.
    pub settings: Settings,
    /// Receives a line for what happens.
    pub log: Box<dyn Write + Send>,
}

/// Why a service did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such service.
    #[error("there is no service {0:?} in the shop; there are: {known}", known = SERVICES.join(", "))]
    Unknown(String),
    /// The address is taken or not ours.
    #[error("cannot listen on {addr}: {source}; choose another port with --port")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// Its settings or surroundings do not let it work.
    #[error("{0}")]
    Ended(String),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Ended(failure.message)
    }
}

/// Serves until `shutdown`.
///
/// # Errors
/// An unknown service, an address that cannot be used, a setting that cannot be read at the start.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Error> {
    let bind =
        async |addr| TcpListener::bind(addr).await.map_err(|source| Error::Listen { addr, source });
    let plain = bind(config.listen).await?;
    let tls = if config.service == "payment" { Some(bind(config.listen_tls).await?) } else { None };
    serve_on(config, plain, tls, shutdown).await
}

async fn serve_on(
    config: Config,
    plain: TcpListener,
    tls: Option<TcpListener>,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let name = SERVICES.into_iter().find(|name| *name == config.service);
    let Some(name) = name else { return Err(Error::Unknown(config.service)) };
    let log = Log::new(name, config.log);
    // Who asks waits longer than those who are asked, so that it learns which of them was late.
    let limit = match name {
        "load" => 10_000,
        "web" => 5_000,
        _ => 2_000,
    };
    let frame = Frame::new(name, config.settings, log, limit, name == "web", &shutdown)?;
    let frame = Arc::new(frame);
    let (service, acceptor) = make(&frame, &shutdown)?;
    frame.log.write(
        Level::Info,
        None,
        "listening",
        &json!({ "address": config.listen.to_string() }),
    );
    let served = Served { frame: Arc::clone(&frame), service };
    let plain = serve(served.clone(), plain, None, shutdown.clone());
    let tls = async {
        match (tls, acceptor) {
            (Some(listener), Some(acceptor)) => {
                serve(served, listener, Some(acceptor), shutdown.clone()).await;
            }
            _ => shutdown.wait().await,
        }
    };
    tokio::select! {
        _ = async { tokio::join!(plain, tls) } => Ok(()),
        reason = frame.meanwhile(&shutdown) => match reason {
            None => Ok(()),
            Some(reason) => {
                frame.log.write(Level::Error, None, &reason, &json!({}));
                Err(Error::Ended(reason))
            }
        },
    }
}

fn make(
    frame: &Arc<Frame>,
    shutdown: &Shutdown,
) -> Result<(Arc<dyn Service>, Option<TlsAcceptor>), Failure> {
    let settings = &frame.settings;
    let service: Arc<dyn Service> = match frame.name {
        "web" => Arc::new(web::Web::new(settings)),
        "catalog" => Arc::new(catalog::Catalog),
        "prices" => Arc::new(prices::Prices),
        "stock" => Arc::new(stock::Stock::default()),
        "cart" => Arc::new(cart::Cart::new(settings)),
        "cart-store" => Arc::new(cart_store::CartStore::open(settings.text("CART_FILE"))?),
        "checkout" => Arc::new(checkout::Checkout::new(settings)),
        "shipping" => Arc::new(shipping::Shipping),
        "mail" => Arc::new(mail::Mail::start(frame)?),
        "load" => Arc::new(load::Load::start(frame, shutdown)?),
        _ => {
            let days = settings.signed(CERTIFICATE_DAYS, 90)?;
            let identity = Identity::new(frame.name, days)?;
            let service = Arc::new(payment::Payment { authority: identity.authority });
            return Ok((service, Some(identity.acceptor)));
        }
    };
    Ok((service, None))
}

/// The variables that `service` reads, besides the standard ones of OpenTelemetry.
pub fn variables(service: &str) -> Vec<String> {
    use frame::faults::{CRASH, ERROR_EVERY, LATENCY, LEAK};
    let own: &[&str] = match service {
        "cart-store" => &["CART_FILE"],
        "checkout" => &[checkout::TAX],
        "payment" => &[CERTIFICATE_DAYS],
        "mail" => &[mail::QUEUE, mail::WORKERS],
        "load" => &[load::RATE],
        _ => &[],
    };
    let common = [frame::TIMEOUT, CRASH, ERROR_EVERY, LATENCY, LEAK];
    let addresses = upstreams(service).iter().flat_map(|name| frame::Upstream::variables(name));
    let own = own.iter().chain(&common).map(|name| (*name).to_owned());
    own.chain(addresses).collect()
}

/// Whom `service` asks.
fn upstreams(service: &str) -> &'static [&'static str] {
    match service {
        "web" => &["catalog", "prices", "stock", "cart", "checkout"],
        "cart" => &["cart-store", "catalog"],
        "checkout" => {
            &["cart", "prices", "stock", "shipping", "payment", "payment-authority", "mail"]
        }
        "load" => &["web"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests;
