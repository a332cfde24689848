//! The server as a process, which is killed.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::Outcome;

/// A running server, which does not outlive this.
pub(crate) struct Server {
    child: Child,
    kubeconfig: PathBuf,
}

impl Server {
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

    /// A client with a connection of its own.
    pub(crate) async fn client(&self) -> Outcome<Client> {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig)?;
        let options = KubeConfigOptions::default();
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
        config.read_timeout = None;
        Ok(Client::try_from(config)?)
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
