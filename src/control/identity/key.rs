//! The signing key of the instance and the tokens made with it.

use jsonwebtoken::{
    Algorithm, EncodingKey, Header,
    jwk::{Jwk, JwkSet, KeyOperations, PublicKeyUse, ThumbprintHash},
};
use serde::{Deserialize, Serialize};

use super::{Caller, Secret, Subject, SubjectKind};

/// How long a token is good for.
pub const TOKEN_SECONDS: u64 = 3600;

/// Why the key cannot sign.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not a P-256 private key in PKCS#8 PEM.
    #[error("the signing key is not a P-256 private key in PKCS#8 PEM: {0}")]
    Malformed(#[source] jsonwebtoken::errors::Error),
    /// Signing itself failed.
    #[error("cannot sign a token: {0}")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

/// The claims of a token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) iss: String,
    pub(crate) aud: String,
    pub(crate) sub: String,
    #[serde(default)]
    pub(crate) groups: Vec<String>,
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) typ: SubjectKind,
    pub(crate) iat: u64,
    pub(crate) exp: u64,
    pub(crate) jti: String,
}

impl From<Claims> for Caller {
    fn from(claims: Claims) -> Self {
        Self {
            subject: claims.sub,
            kind: claims.typ,
            groups: claims.groups,
            display_name: claims.name,
            expires: claims.exp,
        }
    }
}

/// Signs tokens with the one key of the instance.
pub struct Issuer {
    key: EncodingKey,
    jwk: Jwk,
    issuer: String,
    audience: String,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Issuer").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Issuer {
    /// Takes the key as PKCS#8 PEM; `issuer` and `audience` are fixed for the life of the instance.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] when the PEM holds no P-256 private key.
    pub fn new(pem: &[u8], issuer: String, audience: String) -> Result<Self, KeyError> {
        let key = EncodingKey::from_ec_pem(pem).map_err(KeyError::Malformed)?;
        let mut jwk =
            Jwk::from_encoding_key(&key, Algorithm::ES256).map_err(KeyError::Malformed)?;
        jwk.common.key_id =
            Some(jwk.thumbprint(ThumbprintHash::SHA256).map_err(KeyError::Malformed)?);
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        jwk.common.key_operations = Some(vec![KeyOperations::Verify]);
        Ok(Self { key, jwk, issuer, audience })
    }

    /// The public half, as served at `/oauth2/jwks`. The key id is the RFC 7638 thumbprint.
    pub fn jwks(&self) -> JwkSet {
        JwkSet { keys: vec![self.jwk.clone()] }
    }

    /// The `iss` of every token.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The `aud` of every token.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// A token for `subject`, issued at `now` (seconds since 1970), good for [`TOKEN_SECONDS`].
    ///
    /// # Errors
    /// [`KeyError::Sign`].
    pub fn issue(&self, subject: &Subject, now: u64) -> Result<Secret, KeyError> {
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: subject.name.clone(),
            groups: subject.groups.clone(),
            name: subject.display_name.clone(),
            typ: subject.kind,
            iat: now,
            exp: now + TOKEN_SECONDS,
            jti: uuid::Uuid::new_v4().to_string(),
        };
        let header =
            Header { kid: self.jwk.common.key_id.clone(), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, &claims, &self.key).map(Secret::new).map_err(KeyError::Sign)
    }
}
