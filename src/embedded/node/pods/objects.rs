//! ConfigMaps, Secrets and tokens of a pod's namespace.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolume, PersistentVolumeClaim, Pod, Secret, ServiceAccount,
};
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};

/// The content of a ConfigMap or Secret.
#[derive(Clone, Default)]
pub(super) struct Content {
    /// Values that are text.
    pub(super) text: BTreeMap<String, String>,
    /// All values.
    pub(super) bytes: BTreeMap<String, Vec<u8>>,
}

/// A token for a pod.
pub(super) struct Token {
    pub(super) text: String,
    pub(super) expires: Timestamp,
}

/// Reads objects on behalf of one pod.
#[derive(Clone)]
pub(super) struct Objects {
    client: Client,
    namespace: String,
}

impl Objects {
    pub(super) fn new(client: Client, namespace: &str) -> Self {
        Self { client, namespace: namespace.to_owned() }
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// A ConfigMap; `None` if it is absent and that is allowed.
    pub(super) async fn config_map(
        &self,
        name: &str,
        optional: bool,
    ) -> Result<Option<Content>, String> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let Some(map) = self.found(api.get_opt(name).await, "configmap", name, optional)? else {
            return Ok(None);
        };
        let text = map.data.unwrap_or_default();
        let mut bytes: BTreeMap<String, Vec<u8>> =
            map.binary_data.into_iter().flatten().map(|(key, value)| (key, value.0)).collect();
        bytes.extend(text.iter().map(|(key, value)| (key.clone(), value.clone().into_bytes())));
        Ok(Some(Content { text, bytes }))
    }

    /// A Secret; `None` if it is absent and that is allowed.
    pub(super) async fn secret(
        &self,
        name: &str,
        optional: bool,
    ) -> Result<Option<Content>, String> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let Some(secret) = self.found(api.get_opt(name).await, "secret", name, optional)? else {
            return Ok(None);
        };
        let bytes: BTreeMap<String, Vec<u8>> =
            secret.data.into_iter().flatten().map(|(key, value)| (key, value.0)).collect();
        let text = bytes
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), String::from_utf8(value.clone()).ok()?)))
            .collect();
        Ok(Some(Content { text, bytes }))
    }

    /// The volume that a claim is bound to.
    pub(super) async fn volume_of(&self, claim: &str) -> Result<PersistentVolume, String> {
        let fail = |why: String| format!("error processing PVC {}/{claim}: {why}", self.namespace);
        let api: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), &self.namespace);
        let found = self.found(api.get_opt(claim).await, "persistentvolumeclaim", claim, false);
        let found = found.map_err(fail)?.ok_or_else(|| fail("it is not there".to_owned()))?;
        let name = found.spec.and_then(|spec| spec.volume_name).unwrap_or_default();
        if name.is_empty() {
            return Err(fail("PVC is not bound".to_owned()));
        }
        let api: Api<PersistentVolume> = Api::all(self.client.clone());
        let volume = api
            .get(&name)
            .await
            .map_err(|error| fail(format!("failed to fetch PV {name} from API server: {error}")))?;
        // The volume has the last word on whose it is; the claim's phase may be behind.
        match volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()) {
            Some(owner) if owner.uid == found.metadata.uid => Ok(volume),
            Some(_) => Err(fail(format!("PV {name} is bound to another PVC"))),
            None => Err(fail("PVC is not bound".to_owned())),
        }
    }

    fn found<T>(
        &self,
        result: kube::Result<Option<T>>,
        what: &str,
        name: &str,
        optional: bool,
    ) -> Result<Option<T>, String> {
        match result {
            Ok(None) if !optional => Err(format!("{what} \"{name}\" not found")),
            Ok(found) => Ok(found),
            Err(error) => Err(format!("cannot read {what} {}/{name}: {error}", self.namespace)),
        }
    }

    /// A token of the pod's ServiceAccount that ends with the pod.
    pub(super) async fn token(
        &self,
        pod: &Pod,
        audience: Option<&str>,
        seconds: i64,
    ) -> Result<Token, String> {
        let spec = pod.spec.as_ref();
        let account = spec
            .and_then(|spec| spec.service_account_name.as_deref())
            .filter(|name| !name.is_empty())
            .unwrap_or("default");
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                audiences: audience.map(|audience| vec![audience.to_owned()]),
                expiration_seconds: Some(seconds),
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".to_owned()),
                    kind: Some("Pod".to_owned()),
                    name: Some(pod.name_any()),
                    uid: pod.uid(),
                }),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &self.namespace);
        let answer = api
            .create_token_request(account, &PostParams::default(), &request)
            .await
            .map_err(|error| format!("cannot get a token of ServiceAccount {account}: {error}"))?;
        let status = answer.status.unwrap_or_default();
        match (status.token, status.expiration_timestamp) {
            (Some(text), Some(expires)) => Ok(Token { text, expires: expires.0 }),
            _ => Err("the API server gave no token".to_owned()),
        }
    }
}
