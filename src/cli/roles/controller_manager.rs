//! `curtain controller-manager`.

use curtain_platform::{
    controllers::{self, Config},
    remote,
};
use curtain_role::{Health, Shutdown};

use super::ended;
use crate::failure::Failure;

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
        let config = Config { control, planes, health: health.clone() };
        tokio::select! {
            outcome = controllers::run(config, shutdown) => ended(outcome),
            outcome = served => ended(outcome),
        }
    }
}
