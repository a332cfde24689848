//! The sending half of SMTP (RFC 5321), with STARTTLS (RFC 3207) and PLAIN and LOGIN (RFC 4954).

use std::sync::Arc;

use base64::Engine as _;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio_rustls::TlsConnector;

/// Bytes of the longest line of a reply.
const LONGEST: u64 = 4096;
/// Lines of the longest reply.
const LINES: usize = 64;

/// What a session runs over.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// A conversation with a mail server. Errors are sentences.
pub(super) struct Session {
    wire: BufReader<Box<dyn Wire>>,
    /// What the server said it can do.
    offers: Vec<String>,
    pub(super) secure: bool,
}

impl Session {
    /// Says hello to who is at the other end.
    pub(super) async fn begin(wire: Box<dyn Wire>, secure: bool) -> Result<Session, String> {
        let mut session = Session { wire: BufReader::new(wire), offers: Vec::new(), secure };
        session.reply("the connection", 220).await?;
        session.hello().await?;
        Ok(session)
    }

    async fn hello(&mut self) -> Result<(), String> {
        // What we are called tells a server nothing that it does not see.
        let lines = self.ask("EHLO localhost", "EHLO", 250).await?;
        self.offers = lines.into_iter().skip(1).map(|line| line.to_ascii_uppercase()).collect();
        Ok(())
    }

    fn offered(&self, name: &str) -> Option<&str> {
        let offers = self.offers.iter().map(String::as_str);
        offers.filter_map(|offer| offer.strip_prefix(name)).next()
    }

    /// Goes on inside TLS, if the server can.
    pub(super) async fn secure(
        mut self,
        host: &str,
        config: ClientConfig,
    ) -> Result<Session, String> {
        if self.secure || self.offered("STARTTLS").is_none() {
            return Ok(self);
        }
        self.ask("STARTTLS", "STARTTLS", 220).await?;
        if !self.wire.buffer().is_empty() {
            return Err("the server spoke before TLS was there".into());
        }
        let wire = wrap(self.wire.into_inner(), host, config).await?;
        let wire = BufReader::new(wire);
        let mut session = Session { wire, offers: Vec::new(), secure: true };
        // What was offered outside of TLS does not count.
        session.hello().await?;
        Ok(session)
    }

    /// Shows who we are.
    pub(super) async fn authenticate(&mut self, name: &str, password: &str) -> Result<(), String> {
        let encode = |text: &str| base64::prelude::BASE64_STANDARD.encode(text);
        let offered = self.offered("AUTH").unwrap_or_default().to_owned();
        let offers = |method: &str| offered.split_whitespace().any(|one| one == method);
        if offers("PLAIN") {
            let line = format!("AUTH PLAIN {}", encode(&format!("\0{name}\0{password}")));
            self.ask(&line, "AUTH PLAIN", 235).await?;
        } else if offers("LOGIN") {
            self.ask("AUTH LOGIN", "AUTH LOGIN", 334).await?;
            self.ask(&encode(name), "AUTH LOGIN", 334).await?;
            self.ask(&encode(password), "AUTH LOGIN", 235).await?;
        } else {
            return Err("the server takes neither PLAIN nor LOGIN".into());
        }
        Ok(())
    }

    /// Hands a mail over, whose lines end in CR LF and are none of them a lone dot.
    pub(super) async fn send(
        &mut self,
        from: &str,
        to: &[String],
        mail: &str,
    ) -> Result<(), String> {
        self.ask(&format!("MAIL FROM:<{from}>"), "MAIL FROM", 250).await?;
        for receiver in to {
            self.ask(&format!("RCPT TO:<{receiver}>"), &format!("RCPT TO {receiver}"), 250).await?;
        }
        self.ask("DATA", "DATA", 354).await?;
        self.ask(&format!("{mail}\r\n."), "the mail", 250).await?;
        // The mail is taken: what comes of our good-bye does not matter.
        _ = self.ask("QUIT", "QUIT", 221).await;
        Ok(())
    }

    /// Sends a line and takes the reply; `what` names it in errors, for the line may hold a secret.
    async fn ask(&mut self, line: &str, what: &str, wanted: u16) -> Result<Vec<String>, String> {
        let failed = |error: std::io::Error| format!("{what}: {error}");
        self.wire.write_all(format!("{line}\r\n").as_bytes()).await.map_err(failed)?;
        self.wire.flush().await.map_err(failed)?;
        self.reply(what, wanted).await
    }

    /// The lines of a reply without their codes.
    async fn reply(&mut self, what: &str, wanted: u16) -> Result<Vec<String>, String> {
        let mut lines = Vec::new();
        loop {
            let mut bytes = Vec::new();
            let read = (&mut self.wire).take(LONGEST).read_until(b'\n', &mut bytes).await;
            read.map_err(|error| format!("{what}: {error}"))?;
            let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            let code = line.get(..3).and_then(|code| code.parse::<u16>().ok());
            let Some(code) = code.filter(|_| lines.len() < LINES) else {
                return Err(format!("{what}: the server said {line:?}, which is no reply"));
            };
            let more = line.as_bytes().get(3) == Some(&b'-');
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            if !more {
                return match code == wanted {
                    true => Ok(lines),
                    false => Err(format!("{what}: the server answered {code} {}", lines.join(" "))),
                };
            }
        }
    }
}

/// A connection inside TLS.
pub(super) async fn wrap(
    wire: Box<dyn Wire>,
    host: &str,
    config: ClientConfig,
) -> Result<Box<dyn Wire>, String> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| format!("{host:?} is no name that a certificate can have"))?;
    let wrapped = TlsConnector::from(Arc::new(config)).connect(name, wire).await;
    Ok(Box::new(wrapped.map_err(|error| format!("TLS: {error}"))?))
}
