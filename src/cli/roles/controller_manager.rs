//! `curtain controller-manager`.

use std::{convert::Infallible, time::Duration};

use curtain_bundle::Renewal;
use curtain_platform::{
    controllers::{self, Config},
    remote,
};
use curtain_role::{Health, Shutdown};
use jiff::Timestamp;
use kube::Client;

use super::ended;
use crate::failure::Failure;

/// How often certificates are looked at: often enough for any life that is worth renewing.
const LOOK_AT_CERTIFICATES: Duration = Duration::from_secs(3600);

#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    common: super::Common,
    #[command(flatten)]
    planes: super::Planes,
}

impl Flags {
    pub(super) async fn run(self, shutdown: Shutdown) -> Result<(), Failure> {
        let health = Health::default();
        let served =
            health.clone().serve(self.common.at(self.common.health_port), shutdown.clone());
        let control = match self.common.kube().client().await {
            Ok(client) => client,
            Err(error) => return ended(Err(error)),
        };
        let planes = remote::Planes::Gateway(self.planes.gateway());
        let renewing = renew(control.clone());
        let config = Config { control, planes, health: health.clone() };
        tokio::select! {
            outcome = controllers::run(config, shutdown) => ended(outcome),
            outcome = served => ended(outcome),
            never = renewing => match never {},
        }
    }
}

/// Renews the certificates of the instance, for ever.
async fn renew(client: Client) -> Infallible {
    loop {
        let Renewal { renewed, failed } =
            curtain_bundle::renew_leaves(&client, Timestamp::now()).await;
        if !renewed.is_empty() {
            tracing::info!(?renewed, "certificates were renewed");
        }
        for error in failed {
            tracing::warn!(%error, "a certificate could not be renewed yet");
        }
        tokio::time::sleep(LOOK_AT_CERTIFICATES).await;
    }
}
