//! Tokens of ServiceAccounts that are kept in Secrets: whoever makes a Secret of this type for an account finds a token, the
//! namespace and the cluster's authorities in it.
//!
//! The token is good for as long as the Secret is there with it in it, and the account. Without its account the Secret goes.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::cache::{Cache, Change};
use super::key::Key;
use super::queue::Queue;
use super::registry::Registry;

/// The Secrets that are looked at.
const FIELDS: &str = "type=kubernetes.io/service-account-token";
/// Whose token it is.
const ACCOUNT: &str = "kubernetes.io/service-account.name";
const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";
/// The longest time that may be asked for: it is meant to have no end of its own.
const LIFETIME: i64 = 1 << 32;

struct Controller {
    client: Client,
    /// PEM of the certificates that sign the API server's.
    authority: String,
    secrets: Arc<Cache<Secret>>,
    queue: Queue<Key>,
}

/// Makes the controller.
pub(super) fn register(registry: &mut Registry) {
    let controller = Arc::new(Controller {
        client: registry.client.clone(),
        authority: registry.config.authority.clone(),
        secrets: registry.cache_of(FIELDS),
        queue: Queue::new(),
    });
    registry.tell_of(FIELDS, &controller, Controller::secret_changed);
    registry.tell(&controller, Controller::account_changed);
    registry.work(async move { controller.work().await });
}

fn account_of(secret: &Secret) -> &str {
    secret.annotations().get(ACCOUNT).map_or("", String::as_str)
}

fn has_token(secret: &Secret) -> bool {
    let token = secret.data.as_ref().and_then(|data| data.get("token"));
    token.is_some_and(|token| !token.0.is_empty())
}

/// Whether all is in the Secret that is to be.
fn is_complete(secret: &Secret, account: &ServiceAccount, authority: &str) -> bool {
    let has = |entry: &str, value: &str| {
        let found = secret.data.as_ref().and_then(|data| data.get(entry));
        found.is_some_and(|found| found.0 == value.as_bytes())
    };
    has_token(secret)
        && has("ca.crt", authority)
        && has("namespace", &secret.namespace().unwrap_or_default())
        && secret.annotations().get(ACCOUNT_UID) == account.uid().as_ref()
}

impl Controller {
    fn secret_changed(&self, change: &Change<Secret>) {
        if let Some(secret) = &change.new {
            self.queue.add(Key::of(secret.as_ref()));
        }
    }

    /// One that is gone takes its tokens along.
    fn account_changed(&self, change: &Change<ServiceAccount>) {
        let Some(account) = change.latest() else { return };
        let namespace = account.namespace().unwrap_or_default();
        for secret in self.secrets.in_namespace(&namespace) {
            if account_of(&secret) == account.name_any() {
                self.queue.add(Key::of(secret.as_ref()));
            }
        }
    }

    /// Works for ever.
    async fn work(&self) {
        let what = "the Secret with an account's token";
        self.queue.work(what, |key| async move { self.reconcile(&key).await }).await;
    }

    async fn reconcile(&self, key: &Key) -> Result<(), kube::Error> {
        let Some(secret) = self.secrets.get(key) else { return Ok(()) };
        if secret.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &key.namespace);
        // Asked for, for what is watched may not have been told yet.
        let account = accounts.get_opt(account_of(&secret)).await?;
        let known = secret.annotations().get(ACCOUNT_UID);
        let account = account.filter(|one| known.is_none_or(|uid| Some(uid) == one.uid().as_ref()));
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &key.namespace);
        let Some(account) = account else {
            let seen =
                Preconditions { uid: secret.uid(), resource_version: secret.resource_version() };
            let params = DeleteParams { preconditions: Some(seen), ..DeleteParams::default() };
            return again_if_changed(secrets.delete(&key.name, &params).await.map(drop));
        };
        if is_complete(&secret, &account, &self.authority) {
            return Ok(());
        }
        let mut data = json!({
            "ca.crt": BASE64_STANDARD.encode(&self.authority),
            "namespace": BASE64_STANDARD.encode(&*key.namespace),
        });
        if !has_token(&secret) {
            let token = token(&accounts, &account, &secret).await?;
            data["token"] = BASE64_STANDARD.encode(token).into();
        }
        let change = json!({
            "metadata": {
                "resourceVersion": secret.resource_version(),
                "annotations": {ACCOUNT_UID: account.uid()},
            },
            "data": data,
        });
        let answer =
            secrets.patch(&key.name, &PatchParams::default(), &Patch::Merge(&change)).await;
        again_if_changed(answer.map(|answer| self.secrets.put(answer)))
    }
}

/// What has changed or gone meanwhile is told, and looked at again.
fn again_if_changed(answer: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match answer {
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        answer => answer,
    }
}

/// A token that ends with the Secret.
async fn token(
    accounts: &Api<ServiceAccount>,
    account: &ServiceAccount,
    secret: &Secret,
) -> Result<String, kube::Error> {
    let bound = BoundObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Secret".to_owned()),
        name: secret.metadata.name.clone(),
        uid: secret.uid(),
    };
    let request = TokenRequest {
        spec: Some(TokenRequestSpec {
            bound_object_ref: Some(bound),
            expiration_seconds: Some(LIFETIME),
            ..TokenRequestSpec::default()
        }),
        ..TokenRequest::default()
    };
    let name = account.name_any();
    let answer = accounts.create_token_request(&name, &PostParams::default(), &request).await?;
    Ok(answer.status.and_then(|status| status.token).unwrap_or_default())
}
