//! Mails: what they look like, and how they reach a server.
//!
//! Port 465 speaks TLS at once, any other after STARTTLS. A name and password go nowhere without TLS but to this very
//! machine.

use std::net::IpAddr;

use base64::Engine as _;
use curtain_role::dns::Resolver;
use tokio::net::TcpStream;

use super::channel::Email;
use super::smtp::{Session, Wire, wrap};
use super::{tls, words};
use crate::alerts::delivery::{Attempt, Errand};

/// The port of SMTP inside TLS.
const IMPLICIT_TLS: u16 = 465;
/// Characters of a line of base64.
const WIDTH: usize = 76;

/// Sends the mail of an alert.
pub(super) async fn send(email: &Email, errand: &Errand) -> Result<(), Attempt> {
    let fill = |what: &str, template: &str| {
        let filled = words::text(template, errand);
        filled.map_err(|why| Attempt::Hopeless(format!("template.{what}: {why}")))
    };
    let (subject, body) = (fill("subject", &email.subject)?, fill("body", &email.body)?);
    let bad = |address: &&String| {
        address.is_empty()
            || address.chars().any(|c| c.is_whitespace() || "<>".contains(c) || c.is_control())
    };
    if email.host.is_empty() || email.to.is_empty() {
        return Err(Attempt::Hopeless(
            "the channel names no mail server, or nobody to write to".into(),
        ));
    }
    if let Some(address) = email.to.iter().chain([&email.from]).find(bad) {
        return Err(Attempt::Hopeless(format!("{address:?} is no address")));
    }
    let mail = compose(email, &errand.delivery.id, &subject, &body);
    deliver(email, &mail)
        .await
        .map_err(|why| Attempt::Failed(format!("{}:{}: {why}", email.host, email.port)))
}

async fn deliver(email: &Email, mail: &str) -> Result<(), String> {
    let (wire, address) = connect(&email.host, email.port).await?;
    let mut session = if email.port == IMPLICIT_TLS {
        let wire = wrap(wire, &email.host, tls::config(email.any_certificate)?).await?;
        Session::begin(wire, true).await?
    } else {
        let session = Session::begin(wire, false).await?;
        session.secure(&email.host, tls::config(email.any_certificate)?).await?
    };
    if !email.username.is_empty() {
        if !may_tell_password(session.secure, address) {
            return Err(
                "the server offers no STARTTLS, and passwords are not sent in the clear".into()
            );
        }
        session.authenticate(&email.username, &email.password).await?;
    }
    session.send(&email.from, &email.to, mail).await
}

/// Whether a name and password may go there.
fn may_tell_password(secure: bool, server: IpAddr) -> bool {
    secure || server.is_loopback()
}

async fn connect(host: &str, port: u16) -> Result<(Box<dyn Wire>, IpAddr), String> {
    let addresses = Resolver::default().lookup(host).await.map_err(|error| error.to_string())?;
    let mut last = format!("{host} has no address");
    for address in addresses {
        match TcpStream::connect((address, port)).await {
            Ok(stream) => return Ok((Box::new(stream), address)),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

/// The mail as it is sent. The text is base64, so no line of it is too long or looks like the end.
fn compose(email: &Email, id: &str, subject: &str, body: &str) -> String {
    let encode = |text: &str| base64::prelude::BASE64_STANDARD.encode(text);
    let subject: String = subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    // An encoded word holds at most 75 characters.
    let words: Vec<String> = chunks(&subject, 40)
        .into_iter()
        .map(|part| {
            if subject.is_ascii() {
                part.to_owned()
            } else {
                format!("=?utf-8?B?{}?=", encode(part))
            }
        })
        .collect();
    let subject = if subject.is_ascii() { words.concat() } else { words.join("\r\n ") };
    let domain = email.from.rsplit('@').next().unwrap_or("localhost");
    let now = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC);
    let date = jiff::fmt::rfc2822::to_string(&now).unwrap_or_default();
    let encoded = encode(body);
    let lines = chunks(&encoded, WIDTH).join("\r\n");
    format!(
        "From: <{}>\r\nTo: {}\r\nSubject: {subject}\r\nDate: {date}\r\nMessage-ID: <{id}@{domain}>\r\n\
         Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{lines}",
        email.from,
        email.to.iter().map(|to| format!("<{to}>")).collect::<Vec<_>>().join(",\r\n "),
    )
}

/// `text` in parts of at most `bytes`, cut between characters.
fn chunks(text: &str, bytes: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (part, after) = rest.split_at(rest.floor_char_boundary(bytes));
        parts.push(part);
        rest = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_goes_nowhere_in_the_clear() {
        let [far, here] = ["192.0.2.1", "127.0.0.1"].map(|ip| ip.parse().expect("an address"));
        assert!(!may_tell_password(false, far));
        assert!(may_tell_password(true, far) && may_tell_password(false, here));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(chunks("aäbc", 2), ["a", "ä", "bc"]);
        assert_eq!(chunks("", 2), Vec::<&str>::new());
    }
}
