//! Who is calling: tokens, the people and agents that may have them, and the check of both.
//!
//! The api-server is the instance's own identity provider. Subjects are Secrets labelled `curtain.dev/identity`, so
//! whoever may write those Secrets decides who exists; a subject whose Secret is gone is refused at once, whatever
//! token it still holds. Tokens are ES256 JWTs of an hour, signed with the one key of the instance.
//!
//! Entry points: [`Issuer`] signs, [`Directory`] knows the subjects, [`routes`] serves `/oauth2` and `/.well-known`,
//! [`Validator`] checks tokens here and in other roles, [`bearer`] is the layer in front of an API, and
//! [`client::TokenClient`] fetches tokens for clients of ours.
//!
//! Invariants: secrets are compared as digests in constant time and appear in no log and no `Debug`; failures are
//! counted per name and slowed down; a login code works once.

pub mod bearer;
mod caller;
pub mod client;
mod codes;
mod directory;
mod doorman;
mod jwks;
mod key;
mod limiter;
pub mod routes;
mod secret;
mod validator;

pub use caller::{Caller, SubjectKind};
pub use codes::LoginCodes;
pub use curtain_role::Secret;
pub use directory::{Directory, Subject, watch_subjects};
pub use doorman::{Doorman, require_role};
pub use jwks::JwksCache;
pub use key::{Issuer, KeyError, TOKEN_SECONDS};
pub use limiter::Limiter;
pub use validator::{ControlUrlError, TokenError, Validator};

/// The label that makes a Secret a subject; its value is the [`SubjectKind`].
pub const IDENTITY_LABEL: &str = "curtain.dev/identity";

#[cfg(test)]
mod tests;
