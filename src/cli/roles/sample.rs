//! `curtain sample`: the applications that the binary carries.

use std::net::Ipv4Addr;

use clap::Subcommand;
use curtain_role::Shutdown;
use curtain_sample::greeter;

use super::ended;
use crate::failure::Failure;

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
}

impl Sample {
    pub(super) async fn run(self, shutdown: Shutdown) -> Result<(), Failure> {
        match self {
            Self::Greeter { port, greeting, host } => {
                let config = greeter::Config {
                    listen: (Ipv4Addr::UNSPECIFIED, port).into(),
                    greeting,
                    host,
                    log: Box::new(std::io::stdout()),
                };
                ended(greeter::run(config, shutdown).await)
            }
        }
    }
}
