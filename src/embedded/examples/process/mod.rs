//! The example `api` as a process of its own, which is killed.

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A running server, which does not outlive this.
pub(crate) struct Server {
    pub(crate) child: Child,
    /// Of a cluster administrator.
    pub(crate) kubeconfig: PathBuf,
}

/// A client with a connection of its own.
pub(crate) async fn connect(kubeconfig: &Path) -> Outcome<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    config.read_timeout = None;
    Ok(Client::try_from(config)?)
}

impl Server {
    /// The example `api`, which lies beside the program that runs.
    pub(crate) fn program() -> Outcome<PathBuf> {
        let program = std::env::current_exe()?.with_file_name("api");
        match program.exists() {
            true => Ok(program),
            false => Err(format!("{} is not there; build the examples", program.display()).into()),
        }
    }

    /// Starts the example `api` on a directory; returns once it serves.
    pub(crate) fn start(program: &Path, directory: &Path) -> Outcome<Server> {
        let mut child = Command::new(program).arg(directory).stderr(Stdio::piped()).spawn()?;
        let errors = child.stderr.take().ok_or("the server has no standard error")?;
        let server = Server { child, kubeconfig: directory.join("kubeconfig") };
        // It says one line when it serves, and ends when it can't.
        let mut said = String::new();
        BufReader::new(errors).read_line(&mut said)?;
        if said.starts_with("serving after") {
            return Ok(server);
        }
        Err(format!("{} does not serve: {said}", program.display()).into())
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) -> Outcome<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, unless something failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
