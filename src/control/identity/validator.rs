//! Checking a bearer token.

use curtain_role::Instance;
use http::{Uri, uri::InvalidUri};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    errors::ErrorKind,
    jwk::{Jwk, JwkSet},
};

use super::{Caller, Directory, Issuer, JwksCache, key::Claims};

/// Seconds that clocks may differ.
const LEEWAY: u64 = 5;

/// Why a token was not accepted. The text is safe to send.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// No `Authorization: Bearer` header.
    #[error(
        "a bearer token is required in the Authorization header; `{}` prints one", .0.command("token --as WHO")
    )]
    Missing(Instance),
    /// Not a token of ours: malformed, badly signed, or of another issuer's key.
    #[error("the token is not valid: {0}")]
    Invalid(String),
    /// Ours, but too old, for another audience, or without a claim that we need.
    #[error("the token is not valid: {reason}; `{}` prints a fresh one", .instance.command("token --as WHO"))]
    Claims {
        /// What is wrong with it.
        reason: String,
        /// The instance that it is for.
        instance: Instance,
    },
    /// Its subject was removed.
    #[error("the subject {0} of the token does not exist any more")]
    Removed(String),
    /// Signed with a key that the issuer does not have.
    #[error("the token is signed with a key that this instance does not have")]
    UnknownKey,
    /// The issuer's keys could not be fetched.
    #[error("cannot fetch the signing keys from {url}: {reason}")]
    KeysUnavailable {
        /// The key set's URL.
        url: String,
        /// What happened.
        reason: String,
    },
}

/// The control plane's URL makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("the URL of the control plane's keys {url:?} cannot be used: {source}")]
pub struct ControlUrlError {
    /// Where its keys would be.
    pub url: String,
    /// What is wrong with it.
    pub source: InvalidUri,
}

impl TokenError {
    /// The `error` field of the answer.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "MISSING_TOKEN",
            Self::Invalid(_) | Self::UnknownKey => "INVALID_TOKEN",
            Self::Claims { .. } => "INVALID_CLAIMS",
            Self::Removed(_) => "AUTHORIZATION_FAILED",
            Self::KeysUnavailable { .. } => "JWKS_UNAVAILABLE",
        }
    }
}

#[derive(Debug)]
enum Keys {
    Own(JwkSet),
    Remote(Box<JwksCache>),
}

/// Checks tokens of one issuer and audience.
pub struct Validator {
    keys: Keys,
    rules: Validation,
    directory: Option<Directory>,
    instance: Instance,
}

impl std::fmt::Debug for Validator {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Validator").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Validator {
    /// For the api-server itself: its own key, and only subjects that `directory` still has.
    pub fn own(issuer: &Issuer, directory: Directory, instance: Instance) -> Self {
        Self {
            keys: Keys::Own(issuer.jwks()),
            rules: rules(issuer.issuer(), issuer.audience()),
            directory: Some(directory),
            instance,
        }
    }

    /// For other roles: the keys of the control plane at `control`, its base URL; tokens of `issuer` for `audience`.
    ///
    /// # Errors
    /// [`ControlUrlError`].
    pub fn remote(
        control: &Uri,
        issuer: &str,
        audience: &str,
        instance: Instance,
    ) -> Result<Self, ControlUrlError> {
        let url = format!("{}/oauth2/jwks", control.to_string().trim_end_matches('/'));
        let jwks = url.parse().map_err(|source| ControlUrlError { url, source })?;
        Ok(Self {
            keys: Keys::Remote(Box::new(JwksCache::new(jwks))),
            rules: rules(issuer, audience),
            directory: None,
            instance,
        })
    }

    /// What to say of a request without a token.
    pub(super) fn missing(&self) -> TokenError {
        TokenError::Missing(self.instance.clone())
    }

    /// Who sent `token`.
    ///
    /// # Errors
    /// [`TokenError`] says what is wrong with it.
    pub async fn validate(&self, token: &str) -> Result<Caller, TokenError> {
        let invalid = |error: jsonwebtoken::errors::Error| TokenError::Invalid(error.to_string());
        let claims = |reason: &str| TokenError::Claims {
            reason: reason.to_owned(),
            instance: self.instance.clone(),
        };
        let header = jsonwebtoken::decode_header(token).map_err(invalid)?;
        let kid = header.kid.ok_or_else(|| TokenError::Invalid("it names no key".to_owned()))?;
        let key: Jwk = match &self.keys {
            Keys::Own(keys) => keys.find(&kid).cloned().ok_or(TokenError::UnknownKey)?,
            Keys::Remote(cache) => cache.key(&kid).await?,
        };
        let key = DecodingKey::from_jwk(&key).map_err(invalid)?;
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &self.rules)
            .map_err(|error| match error.kind() {
                ErrorKind::ExpiredSignature => claims("it has expired"),
                ErrorKind::InvalidAudience => claims("it is for another audience"),
                ErrorKind::InvalidIssuer => claims("it is of another issuer"),
                ErrorKind::MissingRequiredClaim(claim) => claims(&format!("it lacks {claim}")),
                _ => invalid(error),
            })?
            .claims;
        if let Some(directory) = &self.directory {
            // Groups come from the directory, so that taking one away works at once.
            let subject = directory
                .find(&claims.sub, claims.typ)
                .ok_or_else(|| TokenError::Removed(claims.sub.clone()))?;
            return Ok(Caller { groups: subject.groups, ..claims.into() });
        }
        Ok(claims.into())
    }
}

fn rules(issuer: &str, audience: &str) -> Validation {
    let mut rules = Validation::new(Algorithm::ES256);
    rules.set_issuer(&[issuer]);
    rules.set_audience(&[audience]);
    rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    rules.validate_nbf = true;
    rules.leeway = LEEWAY;
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Subject, SubjectKind, TOKEN_SECONDS};

    fn issuer(audience: &str) -> Issuer {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("key");
        Issuer::new(
            key.serialize_pem().as_bytes(),
            "http://openchoreo.localhost".into(),
            audience.into(),
        )
        .expect("issuer")
    }

    fn subject() -> Subject {
        Subject {
            name: "claude-1".into(),
            kind: SubjectKind::Agent,
            groups: vec!["agents".into()],
            display_name: "Claude".into(),
        }
    }

    fn own(issuer: &Issuer) -> Validator {
        Validator {
            directory: None,
            ..Validator::own(issuer, Directory::default(), Instance::new("ci"))
        }
    }

    fn now() -> u64 {
        jsonwebtoken::get_current_timestamp()
    }

    #[tokio::test]
    async fn a_token_of_ours_names_its_caller() {
        let issuer = issuer("openchoreo");
        let token = issuer.issue(&subject(), now()).expect("token");
        let caller = own(&issuer).validate(token.expose()).await.expect("valid");
        assert_eq!(caller.to_string(), "agent claude-1");
        assert_eq!(caller.groups, ["agents"]);
        assert_eq!(
            caller.entitlements().collect::<Vec<_>>(),
            [("groups", "agents"), ("sub", "claude-1")]
        );
    }

    #[tokio::test]
    async fn tokens_that_are_not_good_are_refused_with_the_reason() {
        let issuer = issuer("openchoreo");
        let validator = own(&issuer);
        let old = issuer.issue(&subject(), now() - TOKEN_SECONDS - 60).expect("token");
        let error = validator.validate(old.expose()).await.expect_err("expired");
        assert_eq!(error.code(), "INVALID_CLAIMS");
        let said = "the token is not valid: it has expired; `curtain token --as WHO --name ci` prints a fresh one";
        assert_eq!(error.to_string(), said);
        assert!(
            validator
                .missing()
                .to_string()
                .contains("`curtain token --as WHO --name ci` prints one")
        );

        let stranger = self::issuer("openchoreo").issue(&subject(), now()).expect("token");
        assert!(matches!(validator.validate(stranger.expose()).await, Err(TokenError::UnknownKey)));

        let good = issuer.issue(&subject(), now()).expect("token");
        let (head, signature) = good.expose().rsplit_once('.').expect("three parts");
        let flipped = if signature.starts_with('A') { "B" } else { "A" };
        let forged = format!("{head}.{flipped}{}", &signature[1..]);
        assert_eq!(validator.validate(&forged).await.expect_err("forged").code(), "INVALID_TOKEN");
        assert_eq!(validator.validate("x").await.expect_err("garbage").code(), "INVALID_TOKEN");
    }

    #[tokio::test]
    async fn another_audience_or_a_removed_subject_is_refused() {
        let issuer = issuer("openchoreo");
        let token = issuer.issue(&subject(), now()).expect("token");
        let elsewhere =
            Validator { rules: rules("http://openchoreo.localhost", "else"), ..own(&issuer) };
        assert_eq!(
            elsewhere.validate(token.expose()).await.expect_err("aud").code(),
            "INVALID_CLAIMS"
        );
        let strict = Validator::own(&issuer, Directory::default(), Instance::default());
        assert!(matches!(strict.validate(token.expose()).await, Err(TokenError::Removed(_))));
    }
}
