//! The example `api` as a process of its own, which is killed.

#[path = "../shared/beside.rs"]
mod beside;

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub(crate) use beside::connect;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A running server, which does not outlive this.
pub(crate) struct Server {
    pub(crate) child: Child,
    /// Of a cluster administrator.
    pub(crate) kubeconfig: PathBuf,
}

impl Server {
    /// The example `api`.
    pub(crate) fn program() -> Outcome<PathBuf> {
        beside::program("api")
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
