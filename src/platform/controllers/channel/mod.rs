//! Notification channels: their settings and secrets go to the observability plane, where alerts are.
//!
//! There they are a ConfigMap and a Secret in the plane's own namespace, so that the observer needs to read no other.
//! Upstream puts them into a namespace like the channel's; the [name](remote_name) says here which one that was.

mod data;

use crate::controllers::context::{Context, Error, JSON, send};
use crate::controllers::queue::Outcome;
use crate::controllers::rendered::{PLANE, Remote, ground, observability};
use crate::controllers::store::{Entry, Key, Store, What};
use crate::remote::PlaneRef;
use crate::types::{ObservabilityAlertsNotificationChannel as Channel, labels};
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
/// Secrets are read, not watched, for which a right to all of them would be needed: a new value is seen this late.
const REREAD: Duration = Duration::from_secs(60);
/// How soon a Secret that is not there is looked for again.
const RETRY: Duration = Duration::from_secs(10);

/// The name that both objects of a channel have in its plane. No namespace has a dot in its name.
fn remote_name(channel: &Entry) -> String {
    format!("{}.{}", channel.namespace(), channel.name())
}

/// The channel of an environment that rules use which name none.
pub(in crate::controllers) fn default_of(
    store: &Store,
    namespace: &str,
    environment: &str,
) -> Option<String> {
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
pub(in crate::controllers) async fn reconcile(ctx: &Context, key: &Key) -> Result<Outcome, Error> {
    let Some(channel) = ctx.get(key.what, &key.namespace, &key.name) else {
        return Ok(Outcome::Settled);
    };
    if channel.deleting() {
        return finalize(ctx, &channel).await;
    }
    let spec = channel.spec::<Channel>()?;
    let lonely = ctx.read(|store| !of(store, &key.namespace, &spec.environment).any(is_default));
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
    let secrets = match data::secrets(ctx, &channel, &spec).await? {
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
    put(&remote, &channel, "ConfigMap", "configmaps", json!(data::settings(&channel, &spec)))
        .await?;
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
