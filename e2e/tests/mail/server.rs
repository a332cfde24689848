//! A mail server that others wrote, run by `e2e/smtp_server.py`.

use std::{
    io::{BufRead as _, BufReader},
    net::Ipv4Addr,
    path::Path,
    process::{Child, ChildStdin, Command},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use curtain_e2e::{Clients, piped};
use serde_json::Value;

/// One that lets in who has the [`NAME`](Self::NAME) and the [`PASSWORD`](Self::PASSWORD); it ends when dropped.
pub(crate) struct MailServer {
    process: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Where it listens.
    pub(crate) port: u16,
}

impl MailServer {
    pub(crate) const NAME: &str = "curtain";
    pub(crate) const PASSWORD: &str = "drawn at eight";

    /// Listens at `address`, with STARTTLS where it has the files of a certificate and its key.
    pub(crate) fn start(clients: &Clients, address: Ipv4Addr, tls: Option<[&Path; 2]>) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("smtp_server.py");
        let mut command = Command::new(clients.mail_python());
        command
            .arg(script)
            .arg(address.to_string())
            .arg(Self::NAME)
            .args(tls.into_iter().flatten());
        command.env("CURTAIN_E2E_PASSWORD", Self::PASSWORD);
        let mut process = piped(&mut command);
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (told, lines) = channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| told.send(line))
        });
        let mut server = Self { process, input, lines, port: 0 };
        server.port = server.line(Duration::from_secs(20)).unwrap().parse().unwrap();
        server
    }

    /// The next mail that it took, or that none came within `limit`.
    pub(crate) fn mail(&self, limit: Duration) -> Result<Value, String> {
        self.line(limit).map(|line| serde_json::from_str(&line).unwrap())
    }

    fn line(&self, limit: Duration) -> Result<String, String> {
        self.lines.recv_timeout(limit).map_err(|error| format!("no line of it: {error}"))
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.input.take();
        let _ = self.process.wait();
    }
}
