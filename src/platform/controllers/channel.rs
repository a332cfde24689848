//! Notification channels: their settings and secrets go to the observability plane, where alerts are.
//!
//! There they are a ConfigMap and a Secret in the plane's own namespace, so that the observer needs to read no other.
//! Upstream puts them into a namespace like the channel's; the [name](remote_name) says here which one that was.

use super::context::{Context, Error, JSON, send};
use super::queue::Outcome;
use super::rendered::{PLANE, Remote, ground, observability};
use super::store::{Entry, Key, Store, What};
use crate::remote::PlaneRef;
use crate::types::{
    ChannelSecretKey, ChannelType, ObservabilityAlertsNotificationChannel as Channel,
    ObservabilityAlertsNotificationChannelSpec, SecretValueSource, labels,
};
use base64::Engine as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const FINALIZER: &str = "openchoreo.dev/notification-channel-cleanup";
/// Our field manager, and the value of the label that marks what we made.
const MANAGER: &str = "observabilityalertsnotificationchannel-controller";
/// The namespace of an observability plane that its observer lives in.
const NAMESPACE: &str = "openchoreo-observability-plane";
/// How a webhook's receiver wants to be spoken to: `slack`, `pagerduty` or `json`. Told by its host when absent.
const FORMAT: &str = "curtain.dev/webhook-format";
/// Secrets are read, not watched, for which a right to all of them would be needed: a new value is seen this late.
const REREAD: Duration = Duration::from_secs(60);
/// How soon a Secret that is not there is looked for again.
const RETRY: Duration = Duration::from_secs(10);

/// The name that both objects of a channel have in its plane. No namespace has a dot in its name.
fn remote_name(channel: &Entry) -> String {
    format!("{}.{}", channel.namespace(), channel.name())
}

/// The channel of an environment that rules use which name none.
pub(super) fn default_of(store: &Store, namespace: &str, environment: &str) -> Option<String> {
    let mut channels = of(store, namespace, environment);
    channels.find(|channel| is_default(channel)).map(|channel| channel.name().to_owned())
}

/// The channels of an environment that stay.
fn of<'s>(
    store: &'s Store,
    namespace: &str,
    environment: &'s str,
) -> impl Iterator<Item = &'s Entry> {
    store
        .of(What::ObservabilityAlertsNotificationChannel, namespace)
        .filter(move |c| !c.deleting() && *c.links.environment == *environment)
}

fn is_default(channel: &Entry) -> bool {
    channel.spec::<Channel>().is_ok_and(|spec| spec.is_env_default)
}

/// One pass over a channel.
pub(super) async fn reconcile(ctx: &Context, key: &Key) -> Result<Outcome, Error> {
    let Some(channel) = ctx.get(key.what, &key.namespace, &key.name) else {
        return Ok(Outcome::Settled);
    };
    if channel.deleting() {
        return finalize(ctx, &channel).await;
    }
    let spec = channel.spec::<Channel>()?;
    let lonely = ctx
        .read(|store| !of(store, &key.namespace, &spec.environment).any(|other| is_default(other)));
    if lonely {
        // The answer to this write brings the channel back here.
        let patch = json!({ "spec": { "isEnvDefault": true } });
        ctx.merge::<Channel>(&key.namespace, &key.name, &patch).await?;
        return Ok(Outcome::Settled);
    }
    let plane = ctx.read(|store| {
        let ground = ground(store, &key.namespace, &spec.environment)?;
        observability(store, &ground.data_plane_spec)
    });
    let plane = match plane {
        Ok(plane) => plane,
        Err(error) => {
            // Its environment or plane wakes it.
            tracing::info!(%key, %error, "a notification channel waits");
            return Ok(Outcome::Settled);
        }
    };
    ctx.add_finalizer::<Channel>(&channel, FINALIZER).await?;
    if channel.annotation(PLANE) != Some(&plane.path()) {
        let patch = json!({ "metadata": { "annotations": { PLANE: plane.path() } } });
        ctx.merge::<Channel>(&key.namespace, &key.name, &patch).await?;
    }
    let secrets = match secrets(ctx, &channel, &spec).await? {
        Ok(secrets) => secrets,
        Err(missing) => {
            tracing::warn!(%key, "a notification channel cannot be used: {missing}");
            return Ok(Outcome::Again(RETRY));
        }
    };
    let remote = ctx.remotes.open(&plane)?;
    let again = if secrets.is_empty() { Outcome::Settled } else { Outcome::Again(REREAD) };
    let encode = |(key, value): (String, String)| {
        (key, base64::engine::general_purpose::STANDARD.encode(value))
    };
    let secrets: BTreeMap<String, String> = secrets.into_iter().map(encode).collect();
    put(&remote, &channel, "ConfigMap", "configmaps", json!(settings(&channel, &spec))).await?;
    put(&remote, &channel, "Secret", "secrets", json!(secrets)).await?;
    Ok(again)
}

/// Takes both objects back, then lets the channel go.
async fn finalize(ctx: &Context, channel: &Entry) -> Result<Outcome, Error> {
    let plane = channel.annotation(PLANE).and_then(PlaneRef::parse);
    let registered = |plane: &PlaneRef| {
        ctx.read(|store| store.get(What::ClusterObservabilityPlane, "", &plane.name).is_some())
    };
    // What a plane has that is no longer registered is out of reach.
    if let Some(plane) = plane.filter(registered) {
        let remote = ctx.remotes.open(&plane)?;
        for plural in ["configmaps", "secrets"] {
            delete(&remote, channel, plural).await?;
        }
    }
    if let Some(current) =
        ctx.get(What::ObservabilityAlertsNotificationChannel, channel.namespace(), channel.name())
    {
        ctx.drop_finalizer::<Channel>(&current, FINALIZER).await?;
    }
    Ok(Outcome::Settled)
}

/// What is no secret, under upstream's keys.
fn settings(
    channel: &Entry,
    spec: &ObservabilityAlertsNotificationChannelSpec,
) -> BTreeMap<String, String> {
    let mut data = BTreeMap::new();
    let mut set = |key: &str, value: &str| _ = data.insert(key.to_owned(), value.to_owned());
    set("type", spec.r#type.as_str());
    set("isEnvDefault", &spec.is_env_default.to_string());
    if let (ChannelType::Email, Some(email)) = (spec.r#type, &spec.email_config) {
        set("from", &email.from);
        set("to", &format!("[{}]", email.to.join(" ")));
        set("smtp.host", &email.smtp.host);
        set("smtp.port", &email.smtp.port.to_string());
        set("smtp.tls.insecureSkipVerify", &email.smtp.tls.insecure_skip_verify.to_string());
        set("template.subject", &email.template.subject);
        set("template.body", &email.template.body);
    }
    if let (ChannelType::Webhook, Some(webhook)) = (spec.r#type, &spec.webhook_config) {
        set("webhook.url", &webhook.url);
        if let Some(template) = &webhook.payload_template {
            set("webhook.payloadTemplate", template);
        }
        if let Some(format) = channel.annotation(FORMAT) {
            set("webhook.format", format);
        }
        let names: Vec<&str> = webhook.headers.keys().map(String::as_str).collect();
        set("webhook.headers", &names.join(","));
        for (name, header) in &webhook.headers {
            if let Some(value) = &header.value {
                set(&format!("webhook.header.{name}"), value);
            }
        }
    }
    data
}

/// What is secret, under upstream's keys; or which part of it is not there.
async fn secrets(
    ctx: &Context,
    channel: &Entry,
    spec: &ObservabilityAlertsNotificationChannelSpec,
) -> Result<Result<BTreeMap<String, String>, String>, Error> {
    let want = |key: &str, source: &SecretValueSource| {
        source.secret_key_ref.clone().map(|reference| (key.to_owned(), reference))
    };
    let mut wanted = Vec::new();
    if let (ChannelType::Email, Some(email)) = (spec.r#type, &spec.email_config) {
        wanted.extend(want("smtp.auth.username", &email.smtp.auth.username));
        wanted.extend(want("smtp.auth.password", &email.smtp.auth.password));
    }
    if let (ChannelType::Webhook, Some(webhook)) = (spec.r#type, &spec.webhook_config) {
        for (name, header) in &webhook.headers {
            let source = header.value_from.as_ref();
            wanted.extend(source.and_then(|s| want(&format!("webhook.header.{name}"), s)));
        }
    }
    let mut values = BTreeMap::new();
    for (key, ChannelSecretKey { name, key: inner }) in wanted {
        match value(ctx, channel.namespace(), &name, &inner).await? {
            Some(value) => _ = values.insert(key, value),
            None => {
                let namespace = channel.namespace();
                return Ok(Err(format!("Secret {namespace}/{name} has no readable key {inner}")));
            }
        }
    }
    Ok(Ok(values))
}

/// A key of a Secret of the control plane, trimmed; `None` when there is none, or it is no text.
async fn value(
    ctx: &Context,
    namespace: &str,
    name: &str,
    key: &str,
) -> Result<Option<String>, Error> {
    let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
    let answer = send(&ctx.control, "read", name, http::Method::GET, &path, JSON, Vec::new()).await;
    let text = match answer {
        Ok(text) => text,
        Err(error) if error.code() == Some(404) => return Ok(None),
        Err(error) => return Err(error),
    };
    let secret: Value = serde_json::from_str(&text).unwrap_or_default();
    let encoded = secret["data"][key].as_str();
    let bytes = encoded.and_then(|e| base64::engine::general_purpose::STANDARD.decode(e).ok());
    Ok(bytes.and_then(|b| String::from_utf8(b).ok()).map(|text| text.trim().to_owned()))
}

async fn put(
    remote: &Arc<Remote>,
    channel: &Entry,
    kind: &str,
    plural: &str,
    data: Value,
) -> Result<(), Error> {
    let name = remote_name(channel);
    let mut labels = json!({
        "app.kubernetes.io/managed-by": MANAGER,
        labels::NAMESPACE: channel.namespace(),
        labels::ENVIRONMENT: &*channel.links.environment,
    });
    // The longest name of an object is no label.
    if channel.name().len() <= 63 {
        labels["app.kubernetes.io/name"] = json!(channel.name());
        labels["openchoreo.dev/notification-channel-name"] = json!(channel.name());
    }
    let body = json!({
        "apiVersion": "v1", "kind": kind,
        "metadata": { "name": name, "namespace": NAMESPACE, "labels": labels },
        "data": data,
    });
    let path =
        format!("/api/v1/namespaces/{NAMESPACE}/{plural}/{name}?fieldManager={MANAGER}&force=true");
    let (body, patch) = (body.to_string().into_bytes(), "application/apply-patch+yaml");
    send(&remote.client, "apply", &name, http::Method::PATCH, &path, patch, body).await.map(drop)
}

async fn delete(remote: &Arc<Remote>, channel: &Entry, plural: &str) -> Result<(), Error> {
    let name = remote_name(channel);
    let path = format!("/api/v1/namespaces/{NAMESPACE}/{plural}/{name}");
    let gone =
        send(&remote.client, "delete", &name, http::Method::DELETE, &path, JSON, Vec::new()).await;
    match gone {
        Err(error) if error.code() != Some(404) => Err(error),
        _ => Ok(()),
    }
}
