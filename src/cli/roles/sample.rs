//! `curtain sample`: the applications that the binary carries.

use std::net::Ipv4Addr;

use clap::{Args, Subcommand};
use curtain_role::Shutdown;
use curtain_sample::{greeter, shop};

use super::ended;
use crate::{environment, failure::Failure};

/// An application.
#[derive(Debug, Subcommand)]
pub(crate) enum Sample {
    /// Greets whoever asks
    Greeter {
        /// Port to listen on
        #[arg(long, default_value_t = 9090)]
        port: u16,
        /// The word before the name
        #[arg(long, env = "GREETING", default_value = "Hello")]
        greeting: String,
        /// Name of the pod
        #[arg(long, env = "HOSTNAME", default_value = "")]
        host: String,
    },
    /// The shop: its pages
    Web(Ports),
    /// The shop: its products
    Catalog(Ports),
    /// The shop: what products cost
    Prices(Ports),
    /// The shop: how much is left
    Stock(Ports),
    /// The shop: what visitors mean to buy
    Cart(Ports),
    /// The shop: where carts are kept
    CartStore(Ports),
    /// The shop: from carts to orders
    Checkout(Ports),
    /// The shop: money from cards
    Payment(Ports),
    /// The shop: what sending costs
    Shipping(Ports),
    /// The shop: a queue of mails
    Mail(Ports),
    /// The shop: its visitors
    Load(Ports),
}

/// Where a service of the shop listens. Its other settings are variables.
#[derive(Debug, Args)]
pub(crate) struct Ports {
    /// Port to listen on
    #[arg(long, default_value_t = 9090)]
    port: u16,
    /// Port for TLS, where it speaks that
    #[arg(long, default_value_t = 9443)]
    tls_port: u16,
}

impl Sample {
    pub(super) async fn run(self, shutdown: Shutdown) -> Result<(), Failure> {
        let (name, ports) = match self {
            Self::Greeter { port, greeting, host } => {
                let config = greeter::Config {
                    listen: (Ipv4Addr::UNSPECIFIED, port).into(),
                    greeting,
                    host,
                    log: Box::new(std::io::stdout()),
                };
                return ended(greeter::run(config, shutdown).await);
            }
            Self::Web(ports) => ("web", ports),
            Self::Catalog(ports) => ("catalog", ports),
            Self::Prices(ports) => ("prices", ports),
            Self::Stock(ports) => ("stock", ports),
            Self::Cart(ports) => ("cart", ports),
            Self::CartStore(ports) => ("cart-store", ports),
            Self::Checkout(ports) => ("checkout", ports),
            Self::Payment(ports) => ("payment", ports),
            Self::Shipping(ports) => ("shipping", ports),
            Self::Mail(ports) => ("mail", ports),
            Self::Load(ports) => ("load", ports),
        };
        let config = shop::Config {
            service: name.to_owned(),
            listen: (Ipv4Addr::UNSPECIFIED, ports.port).into(),
            listen_tls: (Ipv4Addr::UNSPECIFIED, ports.tls_port).into(),
            settings: environment::all().collect(),
            log: Box::new(std::io::stdout()),
        };
        ended(shop::run(config, shutdown).await)
    }
}
