//! A bare cluster of a program's own, whose processes are the example `cluster`.

#[path = "../shared/beside.rs"]
mod beside;

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use curtain_embedded::{ClusterConfig, FrontDoor, destroy, halt, init, residue, start};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, Client};

use crate::bare::settings;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const START: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends, with all its processes, when dropped; its files stay then, to tell what went wrong.
pub(crate) struct Instance {
    pub(crate) config: ClusterConfig,
}

impl Instance {
    /// Makes what a cluster starts with. Services called in `doors` get a listener of the host each, to their port 80.
    pub(crate) fn new(name: &str, home: &Path, doors: &[&str]) -> Outcome<Self> {
        let mut config = settings(name, home.to_owned(), beside::program("cluster")?, address(0))?;
        config.front_doors = doors
            .iter()
            .zip(1..)
            .map(|(service, number)| FrontDoor {
                listen: address(number),
                namespace: "default".to_owned(),
                service: (*service).to_owned(),
                port: 80,
            })
            .collect();
        init(&config)?;
        Ok(Self { config })
    }

    /// Runs it, if it does not run already.
    pub(crate) fn start(&self) -> Outcome<()> {
        Ok(start(&self.config, START)?)
    }

    /// A client of an administrator, once pods are accepted.
    pub(crate) async fn client(&self) -> Outcome<Client> {
        let client = beside::connect(&self.config.admin_kubeconfig()).await?;
        let accounts = Api::<ServiceAccount>::default_namespaced(client.clone());
        let made = async {
            while accounts.get_opt("default").await?.is_none() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok::<(), kube::Error>(())
        };
        tokio::time::timeout(PATIENCE, made).await??;
        Ok(client)
    }

    /// Ends and removes it; what is left nevertheless.
    pub(crate) fn remove(self) -> Outcome<Vec<String>> {
        destroy(&self.config)?;
        let left = residue(&self.config)?;
        Ok(left.into_iter().map(|left| format!("{left:?}")).collect())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Err(error) = halt(&self.config) {
            eprintln!("{}: {error}", self.config.home.display());
        }
    }
}

/// A loopback address that no other process uses.
fn address(number: u8) -> SocketAddr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    (Ipv4Addr::new(127, 210 + high % 40, low, number + 1), 6443).into()
}
