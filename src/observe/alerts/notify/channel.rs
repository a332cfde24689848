//! The settings of channels, as the control plane left them here.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client};

use crate::NAMESPACE;

/// How long the API server may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where channels are looked up.
#[derive(Clone)]
pub(in crate::alerts) struct Directory(Client);

/// A way to tell people. Not `Debug`: it holds secrets.
pub(super) enum Channel {
    Webhook(Webhook),
    Email(Email),
}

/// How a receiver wants to be spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// The alert as it is.
    Json,
    /// An incoming webhook of Slack, or of what speaks like it.
    Slack,
    /// Events API v2 of PagerDuty.
    PagerDuty,
}

/// A web address.
pub(super) struct Webhook {
    pub(super) url: Uri,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) template: Option<String>,
    pub(super) format: Format,
    /// Of PagerDuty: the header `routing-key`, which is sent in the body.
    pub(super) routing_key: String,
}

/// A mail.
pub(super) struct Email {
    pub(super) from: String,
    pub(super) to: Vec<String>,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) any_certificate: bool,
    pub(super) username: String,
    pub(super) password: String,
    pub(super) subject: String,
    pub(super) body: String,
}

type Settings = BTreeMap<String, String>;

impl Directory {
    pub(in crate::alerts) fn new(client: Client) -> Self {
        Directory(client)
    }

    /// The channel of a namespace of the control plane. The error is a sentence.
    pub(super) async fn find(&self, namespace: &str, name: &str) -> Result<Channel, String> {
        let object = format!("{namespace}.{name}");
        let configs: Api<ConfigMap> = Api::namespaced(self.0.clone(), NAMESPACE);
        let secrets: Api<Secret> = Api::namespaced(self.0.clone(), NAMESPACE);
        let both = async { tokio::try_join!(configs.get_opt(&object), secrets.get_opt(&object)) };
        let found = tokio::time::timeout(PATIENCE, both).await;
        let found = found.map_err(|_| format!("channel {name}: no answer from the API server"))?;
        let (config, secret) = found.map_err(|error| format!("channel {name}: {error}"))?;
        let Some(config) = config else {
            return Err(format!(
                "there is no notification channel {name} in namespace {namespace}, or what it refers to is missing"
            ));
        };
        let secret = secret.and_then(|secret| secret.data).unwrap_or_default();
        let secret = secret
            .into_iter()
            .filter_map(|(key, value)| Some((key, String::from_utf8(value.0).ok()?)));
        Channel::of(config.data.unwrap_or_default(), secret.collect())
            .map_err(|why| format!("channel {name}: {why}"))
    }
}

impl Channel {
    /// From the data of its ConfigMap and Secret.
    fn of(settings: Settings, secrets: Settings) -> Result<Channel, String> {
        let get = |key: &str| settings.get(key).or(secrets.get(key)).cloned().unwrap_or_default();
        if get("type") == "email" {
            let to = get("to");
            let to = to.trim_start_matches('[').trim_end_matches(']').split_whitespace();
            let port = get("smtp.port");
            return Ok(Channel::Email(Email {
                from: get("from"),
                to: to.map(str::to_owned).collect(),
                host: get("smtp.host"),
                port: port.parse().map_err(|_| format!("smtp.port is {port:?}, no port"))?,
                any_certificate: get("smtp.tls.insecureSkipVerify") == "true",
                username: get("smtp.auth.username"),
                password: get("smtp.auth.password"),
                subject: get("template.subject"),
                body: get("template.body"),
            }));
        }
        let mut webhook = Webhook::to(&get("webhook.url"))?;
        webhook.template =
            settings.get("webhook.payloadTemplate").filter(|text| !text.is_empty()).cloned();
        webhook.format = match (get("webhook.format").as_str(), webhook.url.host()) {
            ("slack", _) | ("", Some("hooks.slack.com")) => Format::Slack,
            ("pagerduty", _) | ("", Some("events.pagerduty.com" | "events.eu.pagerduty.com")) => {
                Format::PagerDuty
            }
            _ => Format::Json,
        };
        for name in get("webhook.headers").split(',').filter(|name| !name.is_empty()) {
            let value = get(&format!("webhook.header.{name}"));
            if webhook.format == Format::PagerDuty && name.eq_ignore_ascii_case("routing-key") {
                webhook.routing_key = value;
                continue;
            }
            let wrong = || format!("the header {name} cannot be sent");
            let header = HeaderName::try_from(name).map_err(|_| wrong())?;
            let mut value = HeaderValue::try_from(value).map_err(|_| wrong())?;
            value.set_sensitive(true);
            webhook.headers.push((header, value));
        }
        Ok(Channel::Webhook(webhook))
    }
}

impl Webhook {
    /// One that is sent the alert as it is.
    pub(super) fn to(url: &str) -> Result<Webhook, String> {
        let parsed: Uri =
            url.parse().map_err(|error| format!("the URL {url:?} is none: {error}"))?;
        if !matches!(parsed.scheme_str(), Some("http" | "https")) || parsed.host().is_none() {
            return Err(format!("the URL {url:?} is neither of http nor of https"));
        }
        Ok(Webhook {
            url: parsed,
            headers: Vec::new(),
            template: None,
            format: Format::Json,
            routing_key: String::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(pairs: &[(&str, &str)]) -> Result<Webhook, String> {
        let settings = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        match Channel::of(settings.collect(), Settings::new())? {
            Channel::Webhook(webhook) => Ok(webhook),
            Channel::Email(_) => Err("a mail".to_owned()),
        }
    }

    #[test]
    fn a_receiver_is_known_by_its_host_or_by_what_the_channel_says() {
        for (url, format, wanted) in [
            ("https://hooks.slack.com/services/T/B/x", "", Format::Slack),
            ("https://events.pagerduty.com/v2/enqueue", "", Format::PagerDuty),
            ("https://chat.example/hook", "slack", Format::Slack),
            ("https://hooks.slack.com/services/T/B/x", "json", Format::Json),
            ("http://receiver.test/alerts", "", Format::Json),
        ] {
            let found = webhook(&[("webhook.url", url), ("webhook.format", format)]);
            assert_eq!(found.map(|webhook| webhook.format), Ok(wanted), "{url}");
        }
        for url in ["", "receiver", "ftp://a/b", "/alerts"] {
            assert!(webhook(&[("webhook.url", url)]).is_err(), "{url}");
        }
    }

    #[test]
    fn the_key_of_pagerduty_is_no_header() {
        let found = webhook(&[
            ("webhook.url", "https://events.pagerduty.com/v2/enqueue"),
            ("webhook.headers", "Routing-Key,X-Team"),
            ("webhook.header.Routing-Key", "secret"),
            ("webhook.header.X-Team", "shop"),
        ])
        .expect("good");
        assert_eq!((found.routing_key.as_str(), found.headers.len()), ("secret", 1));
    }
}
