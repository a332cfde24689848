//! Service account tokens: ES256 JWTs bound to an account and, if asked for, to a pod.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD as BASE64};
use curtain_schema::FieldError;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey};
use serde_json::{Value, json};

use super::super::Api;
use super::super::kinds::ValueExt;
use super::super::status::{ApiError, Qualified};
use super::super::store::{Key, Object};
use super::User;

/// Issuer of all tokens, and the audience of those that name none.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not one of our tokens.
    #[error("the token is malformed or not signed by this cluster")]
    Malformed,
    /// Its time is over, or has not come.
    #[error("service account token has expired")]
    Expired,
    /// It is for somebody else.
    #[error("the token's audience is not among the expected ones")]
    Audience,
    /// The account, or the pod that it is bound to, is gone or has been replaced.
    #[error("service account token has been invalidated")]
    Invalidated,
}

/// Signs and checks tokens.
pub struct Tokens {
    key: EcdsaKeyPair,
    key_id: String,
    random: SystemRandom,
}

impl Tokens {
    /// `pkcs8` is a P-256 private key in DER.
    pub fn new(pkcs8: &[u8]) -> Result<Self, ring::error::KeyRejected> {
        let random = SystemRandom::new();
        let key =
            EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random)?;
        use sha2::Digest as _;
        let key_id = BASE64.encode(sha2::Sha256::digest(key.public_key().as_ref()));
        Ok(Self { key, key_id, random })
    }

    /// Signs the claims.
    pub fn sign(&self, claims: &Value) -> Result<String, ring::error::Unspecified> {
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": self.key_id});
        let signed =
            format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        let signature = self.key.sign(&self.random, signed.as_bytes())?;
        Ok(format!("{signed}.{}", BASE64.encode(signature.as_ref())))
    }

    /// The public key as a JSON Web Key Set.
    pub fn jwks(&self) -> Value {
        // 0x04, x, y.
        let point = self.key.public_key().as_ref();
        let (x, y) = point.get(1..).unwrap_or_default().split_at(point.len().saturating_sub(1) / 2);
        json!({"keys": [{"use": "sig", "kty": "EC", "kid": self.key_id, "crv": "P-256", "alg": "ES256",
            "x": BASE64.encode(x), "y": BASE64.encode(y)}]})
    }

    fn claims(&self, token: &str) -> Option<Value> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let header: Value = serde_json::from_slice(&BASE64.decode(header).ok()?).ok()?;
        if header["alg"] != "ES256" {
            return None;
        }
        let key = UnparsedPublicKey::new(
            &signature::ECDSA_P256_SHA256_FIXED,
            self.key.public_key().as_ref(),
        );
        key.verify(signed.as_bytes(), &BASE64.decode(signature).ok()?).ok()?;
        serde_json::from_slice(&BASE64.decode(payload).ok()?).ok()
    }

    /// Who the token speaks for, and for which of the expected audiences (none given: the API server's own).
    pub fn authenticate(
        &self,
        api: &Api,
        token: &str,
        expected: &[String],
    ) -> Result<(User, Vec<String>), TokenError> {
        let claims = self.claims(token).ok_or(TokenError::Malformed)?;
        let now = Timestamp::now().as_second();
        if claims["iss"] != ISSUER {
            return Err(TokenError::Malformed);
        }
        let times = (claims.int(&["exp"]), claims.int(&["nbf"]));
        if times.0.is_none_or(|exp| exp <= now) || times.1.is_some_and(|nbf| nbf > now + 60) {
            return Err(TokenError::Expired);
        }
        let own = [ISSUER.to_owned()];
        let expected = if expected.is_empty() { &own } else { expected };
        let audiences: Vec<String> = claims
            .list(&["aud"])
            .iter()
            .filter_map(Value::as_str)
            .filter(|aud| expected.iter().any(|e| e == aud))
            .map(str::to_owned)
            .collect();
        if audiences.is_empty() {
            return Err(TokenError::Audience);
        }
        let bound = &claims["kubernetes.io"];
        let namespace = bound.text(&["namespace"]);
        let alive = |plural: &str, what: &str| {
            let key = Key::new(namespace, bound.text(&[what, "name"]));
            let object = api.store.get(&format!("/{plural}").into(), &key);
            object.is_some_and(|object| object.uid() == bound.text(&[what, "uid"]))
        };
        if !alive("serviceaccounts", "serviceaccount")
            || (bound.at(&["pod"]).is_some() && !alive("pods", "pod"))
            || (bound.at(&["secret"]).is_some()
                && !(alive("secrets", "secret") && is_kept(api, bound, token)))
        {
            return Err(TokenError::Invalidated);
        }
        let groups =
            ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
        let mut user = User::new(claims.text(&["sub"]), groups);
        user.uid = bound.text(&["serviceaccount", "uid"]).into();
        let mut extra = |name: &str, value: &str| {
            if !value.is_empty() {
                user.extra
                    .push((format!("authentication.kubernetes.io/{name}"), vec![value.to_owned()]));
            }
        };
        let id = claims.text(&["jti"]);
        extra("credential-id", &if id.is_empty() { String::new() } else { format!("JTI={id}") });
        extra("node-name", bound.text(&["node", "name"]));
        extra("node-uid", bound.text(&["node", "uid"]));
        extra("pod-name", bound.text(&["pod", "name"]));
        extra("pod-uid", bound.text(&["pod", "uid"]));
        Ok((user, audiences))
    }
}

/// Whether the Secret that a token is bound to has it in it, if it is of the type that has.
fn is_kept(api: &Api, bound: &Value, token: &str) -> bool {
    let key = Key::new(bound.text(&["namespace"]), bound.text(&["secret", "name"]));
    api.store.get(&"/secrets".into(), &key).is_some_and(|secret| {
        secret.field(&["type"]) != "kubernetes.io/service-account-token"
            || secret.field(&["data", "token"]) == BASE64_STANDARD.encode(token)
    })
}

/// A new token.
pub struct Issued {
    /// The token itself.
    pub token: String,
    /// Its audiences.
    pub audiences: Vec<String>,
    /// Its lifetime.
    pub seconds: i64,
    /// When it ends, RFC 3339.
    pub expires: String,
}

/// Answers a TokenRequest for the account.
pub fn issue(api: &Api, account: &Object, request: &Value) -> Result<Issued, ApiError> {
    let invalid = |error: FieldError| {
        ApiError::invalid("authentication.k8s.io", "TokenRequest", "", vec![error])
    };
    let seconds = request.int(&["spec", "expirationSeconds"]).unwrap_or(3600);
    if seconds < 600 {
        let why = "may not specify a duration less than 10 minutes";
        return Err(invalid(FieldError::invalid("spec.expirationSeconds", seconds.into(), why)));
    }
    if seconds > 1 << 32 {
        let why = "may not specify a duration larger than 2^32 seconds";
        return Err(invalid(FieldError::invalid("spec.expirationSeconds", seconds.into(), why)));
    }
    let mut audiences: Vec<String> = request
        .list(&["spec", "audiences"])
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    if audiences.is_empty() {
        audiences.push(ISSUER.into());
    }
    let (namespace, name) = (&*account.key.namespace, &*account.key.name);
    let mut bound =
        json!({"namespace": namespace, "serviceaccount": {"name": name, "uid": account.uid()}});
    if let Some(reference) = request.at(&["spec", "boundObjectRef"]) {
        bind(api, &mut bound, namespace, reference)?;
    }
    let now = Timestamp::now().as_second();
    let claims = json!({
        "iss": ISSUER, "sub": format!("system:serviceaccount:{namespace}:{name}"), "aud": audiences,
        "iat": now, "nbf": now, "exp": now + seconds, "jti": uuid::Uuid::new_v4().to_string(),
        "kubernetes.io": bound,
    });
    let token =
        api.tokens.sign(&claims).map_err(|_| ApiError::internal("signing the token failed"))?;
    Ok(Issued { token, audiences, seconds, expires: super::super::time::in_seconds(seconds) })
}

/// Binds the claims to the pod or secret that the request names.
fn bind(api: &Api, bound: &mut Value, namespace: &str, reference: &Value) -> Result<(), ApiError> {
    let (plural, claim) = match reference.text(&["kind"]) {
        "Pod" => ("pods", "pod"),
        "Secret" => ("secrets", "secret"),
        other => {
            return Err(ApiError::bad_request(format!(
                "cannot bind token for object of type {other}"
            )));
        }
    };
    let name = reference.text(&["name"]);
    let what = Qualified { group: "", plural };
    let key = Key::new(namespace, name);
    let object = api
        .store
        .latest(&format!("/{plural}").into(), &key)
        .ok_or_else(|| ApiError::not_found(what, name))?;
    let uid = reference.text(&["uid"]);
    if !uid.is_empty() && uid != object.uid() {
        let why = format!(
            "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
        );
        return Err(ApiError::conflict(what, name, &why));
    }
    bound[claim] = json!({"name": name, "uid": object.uid()});
    if claim == "pod" {
        let node = object.field(&["spec", "nodeName"]);
        if let Some(node) = api.store.get(&"/nodes".into(), &Key::new("", &node)) {
            bound["node"] = json!({"name": *node.key.name, "uid": node.uid()});
        }
    }
    Ok(())
}
