//! Telling people: takes what is due from the database, asks for the channel's settings, and delivers.
//!
//! A delivery takes a bounded time and is tried again with growing pauses. A crash between a receiver's answer and our
//! note of it tells twice, never not at all; the header `Curtain-Delivery` and PagerDuty's deduplication key say so.

mod bodies;
mod channel;
mod mail;
mod smtp;
mod tls;
mod web;
mod words;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use curtain_role::{ROLE_TOKEN, Shutdown, Web};
use futures::future::join_all;
use http::{HeaderName, HeaderValue, Uri, header};
use tokio::sync::Notify;

pub(super) use channel::Directory;

use super::Store;
use super::delivery::{Attempt, Errand, Event};
use crate::asked::nanoseconds;
use crate::database::run;
use channel::{Channel, Format, Webhook};

/// How long one delivery may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait when nothing is due, and after the database failed.
const REST: Duration = Duration::from_secs(60);

/// Delivers what is due.
pub(super) struct Courier {
    store: Store,
    directory: Directory,
    web: Web,
    rca: Option<Uri>,
    news: Arc<Notify>,
}

impl Courier {
    pub(super) fn new(
        store: Store,
        directory: Directory,
        rca: Option<Uri>,
        news: Arc<Notify>,
    ) -> Self {
        Courier { store, directory, web: Web::default(), rca, news }
    }

    /// Delivers until `shutdown`.
    pub(super) async fn run(self, shutdown: Shutdown) {
        loop {
            let pause = self.round().await;
            tokio::select! {
                () = shutdown.wait() => return,
                () = self.news.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Delivers what is due now; returns how long there is nothing to do.
    pub(super) async fn round(&self) -> Duration {
        loop {
            let now = nanoseconds(jiff::Timestamp::now());
            let (errands, next) = match run(&self.store, move |store| store.due(now)).await {
                Ok(due) => due,
                Err(error) => {
                    tracing::error!(%error, "what is to be delivered cannot be read");
                    return REST;
                }
            };
            if errands.is_empty() {
                let until = next.map_or(REST, |next| {
                    Duration::from_nanos(next.saturating_sub(now).unsigned_abs())
                });
                return until.min(REST);
            }
            join_all(errands.into_iter().map(|errand| self.deliver(errand))).await;
        }
    }

    async fn deliver(&self, errand: Errand) {
        let attempt = match tokio::time::timeout(PATIENCE, self.attempt(&errand)).await {
            Ok(attempt) => attempt,
            Err(_) => Attempt::Failed(format!("no answer within {} s", PATIENCE.as_secs())),
        };
        if let Attempt::Failed(reason) = &attempt {
            let channel = &errand.delivery.channel;
            tracing::warn!(channel, reason, "a notification failed, and is tried again");
        }
        let (id, channel) = (errand.delivery.id.clone(), errand.delivery.channel.clone());
        let now = nanoseconds(jiff::Timestamp::now());
        let noted = run(&self.store, move |store| store.attempted(&errand.delivery, attempt, now));
        match noted.await {
            Ok(None) => {}
            Ok(Some(reason)) => {
                tracing::error!(
                    notification = id,
                    channel,
                    reason,
                    "a notification could not be delivered"
                );
            }
            Err(error) => {
                tracing::error!(notification = id, %error, "a delivery could not be noted")
            }
        }
    }

    async fn attempt(&self, errand: &Errand) -> Attempt {
        let result = match errand.delivery.event {
            Event::Rca => self.ask_for_cause(errand).await,
            _ => self.tell(errand).await,
        };
        result.err().unwrap_or(Attempt::Done)
    }

    async fn ask_for_cause(&self, errand: &Errand) -> Result<(), Attempt> {
        // Configured when it was planned, and not any more.
        let Some(base) = &self.rca else { return Ok(()) };
        let url =
            format!("{}/api/v1alpha1/rca-agent/analyze", base.to_string().trim_end_matches('/'));
        let mut webhook = Webhook::to(&url).map_err(Attempt::Hopeless)?;
        webhook.headers.push(role_token().await.map_err(Attempt::Failed)?);
        let body = bodies::rca(&errand.alert).to_string();
        web::post(&self.web, &webhook, &errand.delivery.id, body.into())
            .await
            .map_err(Attempt::Failed)
    }

    async fn tell(&self, errand: &Errand) -> Result<(), Attempt> {
        let namespace = &errand.alert.rule.place.namespace;
        let channel = self.directory.find(namespace, &errand.delivery.channel).await;
        match channel.map_err(Attempt::Failed)? {
            Channel::Webhook(webhook) => match body(errand, &webhook)? {
                Some(body) => {
                    let sent = web::post(&self.web, &webhook, &errand.delivery.id, body).await;
                    sent.map_err(Attempt::Failed)
                }
                None => Ok(()),
            },
            // Mails tell of beginnings, as upstream's do.
            Channel::Email(_) if errand.delivery.event == Event::Resolve => Ok(()),
            Channel::Email(email) => mail::send(&email, errand).await,
        }
    }
}

/// The header that proves to another role that this is the observer. The token is renewed from time to time.
async fn role_token() -> Result<(HeaderName, HeaderValue), String> {
    let token = tokio::fs::read_to_string(ROLE_TOKEN).await;
    let token = token.map_err(|error| format!("cannot read {ROLE_TOKEN}: {error}"))?;
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.trim()))
        .map_err(|_| format!("{ROLE_TOKEN} holds no token"))?;
    value.set_sensitive(true);
    Ok((header::AUTHORIZATION, value))
}

/// What a webhook is sent; `None` when its receiver does not want to know.
fn body(errand: &Errand, webhook: &Webhook) -> Result<Option<Bytes>, Attempt> {
    let resolved = errand.delivery.event == Event::Resolve;
    let value = match (webhook.format, &webhook.template) {
        (Format::PagerDuty, None) => bodies::pagerduty(errand, &webhook.routing_key),
        (Format::Slack, None) => bodies::slack(errand),
        // A template has no word for what is over.
        _ if resolved => return Ok(None),
        (_, Some(template)) => {
            let rendered = words::json(template, errand);
            rendered.map_err(|why| Attempt::Hopeless(format!("payloadTemplate: {why}")))?
        }
        (Format::Json, None) => words::all(errand),
    };
    Ok(Some(value.to_string().into()))
}

#[cfg(test)]
pub(super) mod tests;
