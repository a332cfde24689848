//! Getting into an instance: credentials, tokens, and the portal's one-time link.

use std::time::Duration;

use http::{Method, Request, header};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Endpoints, Error, Home, Homes, Identity, Instance, http::send, identity, pause,
    status::existing, world::kube_client,
};

/// How long the identity service may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Who gives tokens.
const ASKED: &str = "the identity service";
/// Who answers for everything else.
const API: &str = "the API";
/// Whom the owner of the machine acts as.
pub const ADMINISTRATOR: &str = "admin@openchoreo.dev";
/// What helps an identity that is not let in.
const SECRET: &str = "`curtain credentials` shows who may sign in, with what the instance expects";

/// A way into one instance, as its administrator.
#[derive(Clone, Debug)]
pub struct Access {
    home: Home,
    instance: Instance,
    endpoints: Endpoints,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
}

impl Access {
    /// A way into the instance of `home`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an instance that does not exist.
    pub fn to(homes: &Homes, home: &Home) -> Result<Self, Error> {
        let instance = existing(homes, home)?;
        let endpoints = instance.endpoints(home)?;
        Ok(Self { home: home.clone(), instance, endpoints })
    }

    /// Where the instance answers.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// What the instance is.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// The cluster it runs on.
    pub fn cluster(&self) -> curtain_provider::ClusterSpec {
        self.instance.cluster(&self.home)
    }

    /// A client of the cluster's API as its administrator.
    ///
    /// # Errors
    /// A kubeconfig that cannot be used, or an instance that is paused.
    pub async fn kube(&self) -> Result<kube::Client, Error> {
        pause::awake(&self.home)?;
        let provider = curtain_provider::by_name(&self.instance.provider)?;
        kube_client(&provider.kubeconfig(&self.cluster())).await
    }

    /// Every user and agent with their credentials.
    ///
    /// # Errors
    /// A cluster that does not answer.
    pub async fn identities(&self) -> Result<Vec<Identity>, Error> {
        identity::list(&self.kube().await?).await
    }

    /// A token of `who`, a user or an agent, valid for an hour.
    ///
    /// # Errors
    /// An unknown identity, or an identity service that does not answer.
    pub async fn token(&self, who: &str) -> Result<String, Error> {
        let identities = self.identities().await?;
        let identity = identity::find(&identities, who)?;
        let form = match identity.kind.as_str() {
            "user" => [
                ("grant_type", "password"),
                ("username", &identity.name),
                ("password", &identity.secret),
            ],
            _ => [
                ("grant_type", "client_credentials"),
                ("client_id", &identity.name),
                ("client_secret", &identity.secret),
            ],
        };
        let body = form
            .iter()
            .map(|(key, value)| format!("{key}={}", encode(value)))
            .collect::<Vec<_>>()
            .join("&");
        let url = format!("{}/oauth2/token", self.endpoints.api);
        let request = Request::post(&url)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body)
            .map_err(|error| Error::Unreachable { what: url.clone(), why: error.to_string() })?;
        let response = send(request, ANSWER).await?;
        let status = response.status();
        if !status.is_success() {
            let why = said(response.body());
            let to = format!("give a token to {}", identity.name);
            // A wrong password is a bad request in the words of OAuth.
            let code = if status.as_u16() == 400 { 401 } else { status.as_u16() };
            return Err(Error::answered(code, ASKED, &to, why, SECRET));
        }
        let answer: TokenAnswer = serde_json::from_slice(response.body())
            .map_err(|error| Error::Unreachable { what: url, why: error.to_string() })?;
        Ok(answer.access_token)
    }

    /// A link that signs `who` in to the portal, once, within a minute.
    ///
    /// # Errors
    /// As for [`Access::token`].
    pub async fn login_link(&self, who: &str) -> Result<String, Error> {
        let answer = self
            .post(
                "make a one-time link",
                &format!("{}/oauth2/login-code", self.endpoints.api),
                &self.token(who).await?,
            )
            .await?;
        let code = answer["code"].as_str().ok_or_else(|| Error::Unreachable {
            what: ASKED.to_owned(),
            why: "it answered without a code".to_owned(),
        })?;
        Ok(format!("{}/login?code={}", self.endpoints.portal, encode(code)))
    }

    /// What the REST API answers to `method` at `path`, below `/api/v1`, asked as the instance's administrator to do
    /// what `to` says.
    ///
    /// # Errors
    /// As for [`Access::token`], and what the API refuses.
    pub async fn api(
        &self,
        to: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Error> {
        let token = self.token(ADMINISTRATOR).await?;
        let url = format!("{}/api/v1{path}", self.endpoints.api);
        self.exchange((API, to), method, &url, &token, body).await
    }

    async fn post(&self, to: &str, url: &str, token: &str) -> Result<Value, Error> {
        self.exchange((ASKED, to), Method::POST, url, token, Some(&json!({}))).await
    }

    async fn exchange(
        &self,
        (asked, to): (&'static str, &str),
        method: Method,
        url: &str,
        token: &str,
        body: Option<&Value>,
    ) -> Result<Value, Error> {
        let unreachable = |why: String| Error::Unreachable { what: url.to_owned(), why };
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.map(Value::to_string).unwrap_or_default())
            .map_err(|error| unreachable(error.to_string()))?;
        let response = send(request, ANSWER).await?;
        let status = response.status();
        if !status.is_success() {
            let why = said(response.body());
            return Err(Error::answered(status.as_u16(), asked, to, why, SECRET));
        }
        if response.body().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(response.body()).map_err(|error| unreachable(error.to_string()))
    }
}

/// The status of `url` on this machine, answered by anyone.
///
/// # Errors
/// [`Error::Unreachable`].
pub async fn probe(url: &str, timeout: Duration) -> Result<u16, Error> {
    let request = Request::get(url)
        .body(String::new())
        .map_err(|error| Error::Unreachable { what: url.to_owned(), why: error.to_string() })?;
    Ok(send(request, timeout).await?.status().as_u16())
}

/// What an error answer says, on one line.
pub(crate) fn said(body: &[u8]) -> String {
    let fallback = || String::from_utf8_lossy(body).trim().chars().take(200).collect::<String>();
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return fallback() };
    let known =
        ["error_description", "message", "error"].iter().find_map(|key| value[key].as_str());
    known.map_or_else(fallback, str::to_owned)
}

/// Percent-encodes everything but what RFC 3986 calls unreserved.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte))
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_encoded_and_errors_are_read() {
        assert_eq!(encode("a b+c@d.e"), "a%20b%2Bc%40d.e");
        assert_eq!(
            said(br#"{"error":"invalid_grant","error_description":"wrong password"}"#),
            "wrong password"
        );
        assert_eq!(said(b"plain"), "plain");
    }
}
