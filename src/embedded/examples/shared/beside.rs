//! Another example, as a process of its own, and a client of what it serves.

use std::error::Error;
use std::path::{Path, PathBuf};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The example of this name, which lies beside the program that runs.
pub(crate) fn program(name: &str) -> Outcome<PathBuf> {
    let program = std::env::current_exe()?.with_file_name(name);
    match program.exists() {
        true => Ok(program),
        false => Err(format!("{} is not there; build the examples", program.display()).into()),
    }
}

/// A client with a connection of its own, whose watches last.
pub(crate) async fn connect(kubeconfig: &Path) -> Outcome<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    config.read_timeout = None;
    Ok(Client::try_from(config)?)
}
