//! The control plane's own door, entered as one identity: what that identity may not do is refused there, in the words
//! that everybody hears, and what it does is on record there.

use std::time::Duration;

use http::{Method, Request, StatusCode, header};
use json_patch::merge;
use serde_json::{Value, json};

use super::NAMESPACE;
use crate::{
    Error,
    access::{Access, encode, said},
    http::send,
};

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// How often a change is made anew when somebody else was faster.
const TRIES: usize = 5;
/// Who answers.
const ASKED: &str = "the API";

/// The way in.
pub(super) struct Door {
    base: String,
    token: String,
}

/// An object, and the version that it was read in.
type Versioned = (Value, Option<String>);

/// A request to do what `to` says at `path`, below `/api/v1`.
struct Ask<'a> {
    to: &'a str,
    method: Method,
    path: &'a str,
    body: Option<&'a Value>,
    version: Option<&'a str>,
}

impl Door {
    /// The door of `access` for `who`.
    ///
    /// # Errors
    /// As [`Access::token`].
    pub(super) async fn of(access: &Access, who: &str) -> Result<Self, Error> {
        let token = access.token(who).await?;
        Ok(Self { base: format!("{}/api/v1", access.endpoints().api), token })
    }

    /// A door at `base` that lets everybody in.
    #[cfg(test)]
    pub(super) fn at(base: String) -> Self {
        Self { base, token: String::new() }
    }

    /// The object `name` of the collection `list`, if there is one.
    pub(super) async fn find(&self, list: &str, name: &str) -> Result<Option<Value>, Error> {
        Ok(self.read(list, name).await?.map(|(object, _)| object))
    }

    /// Refuses a project that is not there, with those that are. Who may see none is not told: what it asks for is judged
    /// like anything else.
    ///
    /// # Errors
    /// [`Error::UnknownProject`].
    pub(super) async fn has_project(&self, name: &str) -> Result<(), Error> {
        match self.find("projects", name).await {
            Ok(None) => {}
            Ok(Some(_)) | Err(Error::Denied { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
        let path = format!("{}?limit=500", collection("projects"));
        let to = "list the projects";
        let ask = Ask { to, method: Method::GET, path: &path, body: None, version: None };
        let (answer, _) = self.ask(ask).await?;
        let items = answer["items"].as_array().into_iter().flatten();
        let known = items.filter_map(|item| item["metadata"]["name"].as_str()).map(str::to_owned);
        Err(Error::UnknownProject { name: name.to_owned(), known: known.collect() })
    }

    /// Every object of the collection `list` that belongs to `component`.
    pub(super) async fn of_component(
        &self,
        list: &str,
        component: &str,
    ) -> Result<Vec<Value>, Error> {
        let path = format!("{}?limit=500&component={}", collection(list), encode(component));
        let to = format!("list the {list} of {component}");
        let ask = Ask { to: &to, method: Method::GET, path: &path, body: None, version: None };
        let (mut answer, _) = self.ask(ask).await?;
        Ok(serde_json::from_value(answer["items"].take()).unwrap_or_default())
    }

    /// Makes the object, without what is null in it.
    pub(super) async fn create(&self, list: &str, object: &Value) -> Result<(), Error> {
        let (to, path) = (format!("create {}", called(list, object)), collection(list));
        let mut new = json!({});
        merge(&mut new, object);
        let (method, body) = (Method::POST, Some(&new));
        let ask = Ask { to: &to, method, path: &path, body, version: None };
        self.ask(ask).await.map(drop)
    }

    /// Makes the object of the collection `list` that is called as `wanted`, or gives the one that is there what
    /// `wanted` has: a member that is null is taken away, and what is not named stays.
    pub(super) async fn put(&self, list: &str, wanted: &Value) -> Result<(), Error> {
        let name = wanted["metadata"]["name"].as_str().unwrap_or_default();
        let mut tries = 0;
        loop {
            tries += 1;
            let Some((mut object, version)) = self.read(list, name).await? else {
                return self.create(list, wanted).await;
            };
            merge(&mut object, wanted);
            match self.replace(list, &object, version.as_deref()).await {
                Err(Error::Answered { status: 409, .. }) if tries < TRIES => {}
                answered => return answered,
            }
        }
    }

    /// Puts `object` in the place of the one called so, which must be of `version`.
    pub(super) async fn replace(
        &self,
        list: &str,
        object: &Value,
        version: Option<&str>,
    ) -> Result<(), Error> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let (to, path) = (format!("update {}", called(list, object)), one(list, name));
        let (method, body) = (Method::PUT, Some(object));
        let ask = Ask { to: &to, method, path: &path, body, version };
        self.ask(ask).await.map(drop)
    }

    /// Whether each of `actions` is allowed on `component` of `project`.
    pub(super) async fn allows(
        &self,
        actions: &[&str],
        (project, component): (&str, &str),
    ) -> Result<Vec<bool>, Error> {
        let at = json!({"namespace": NAMESPACE, "project": project, "component": component});
        let question = |action: &&str| json!({"action": action, "resource": {"type": "component", "id": component, "hierarchy": at}});
        let body = Value::Array(actions.iter().map(question).collect());
        let to = "ask what is allowed";
        let path = "/authz/evaluates";
        let ask = Ask { to, method: Method::POST, path, body: Some(&body), version: None };
        let (answers, _) = self.ask(ask).await?;
        Ok(actions.iter().enumerate().map(|(at, _)| answers[at]["decision"] == true).collect())
    }

    async fn read(&self, list: &str, name: &str) -> Result<Option<Versioned>, Error> {
        let (to, path) = (format!("look up {name} of the {list}"), one(list, name));
        let ask = Ask { to: &to, method: Method::GET, path: &path, body: None, version: None };
        match self.ask(ask).await {
            Ok(found) => Ok(Some(found)),
            Err(Error::Answered { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn ask(&self, ask: Ask<'_>) -> Result<Versioned, Error> {
        let url = format!("{}{}", self.base, ask.path);
        let unreachable = |why: String| Error::Unreachable { what: url.clone(), why };
        let mut request = Request::builder()
            .method(ask.method)
            .uri(&url)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(version) = ask.version {
            request = request.header(header::IF_MATCH, version);
        }
        let request = request.body(ask.body.map(Value::to_string).unwrap_or_default());
        let request = request.map_err(|error| unreachable(error.to_string()))?;
        let response = send(request, ANSWER).await?;
        let status = response.status();
        if status == StatusCode::FORBIDDEN {
            return Err(Error::Denied { why: said(response.body()) });
        }
        if !status.is_success() {
            let next = "`curtain status` says whether the instance is up";
            return Err(Error::answered(
                status.as_u16(),
                ASKED,
                ask.to,
                said(response.body()),
                next,
            ));
        }
        let version = response.headers().get(header::ETAG);
        let version = version.and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let value = serde_json::from_slice(response.body());
        Ok((value.map_err(|error| unreachable(error.to_string()))?, version))
    }
}

fn collection(list: &str) -> String {
    format!("/namespaces/{NAMESPACE}/{list}")
}

fn one(list: &str, name: &str) -> String {
    format!("{}/{}", collection(list), encode(name))
}

/// `component my`, of the collection `components`.
fn called(list: &str, object: &Value) -> String {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    format!("{} {name}", list.trim_end_matches('s'))
}
