//! What a channel's ConfigMap and Secret hold.

use crate::controllers::context::{Context, Error, JSON, send};
use crate::controllers::store::Entry;
use crate::types::{
    ChannelSecretKey, ChannelType, ObservabilityAlertsNotificationChannelSpec, SecretValueSource,
};
use base64::Engine as _;
use serde_json::Value;
use std::collections::BTreeMap;

/// How a webhook's receiver wants to be spoken to: `slack`, `pagerduty` or `json`. Told by its host when absent.
const FORMAT: &str = "curtain.dev/webhook-format";

/// What is no secret, under upstream's keys.
pub(super) fn settings(
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
pub(super) async fn secrets(
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
