//! An image as a component, by the two objects that `curtain deploy --image` makes: the same again replaces it.

use crate::backend::User;
use crate::error::{BackendError, PageError};
use crate::forms::Submitted;
use crate::login::encode;
use crate::model::text;
use crate::pages::component::Place;
use crate::pages::deploy as page;
use crate::server::Portal;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// A label of every component that was made this way, and who is said to manage it.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "curtain-deploy");
/// The port of those who name none.
pub(crate) const USUAL_PORT: u16 = 8080;
/// The longest name of a component, so that every name that is made of it fits.
const LONGEST_NAME: usize = 40;
const LONGEST_IMAGE: usize = 512;

/// What was filled in.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Wish {
    pub(crate) image: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) port: String,
    /// `registry` for an image that the cluster has or pulls, which not every cluster does; else the person's machine has it.
    #[serde(default)]
    pub(crate) from: String,
}

/// What is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct App {
    pub(crate) image: String,
    pub(crate) name: String,
    pub(crate) port: u16,
}

/// What is wrong with a form, by field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    pub(crate) image: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) port: Option<String>,
}

impl Wish {
    /// The application that is meant, or what is wrong. What passes holds nothing that a shell would read as more
    /// than a word.
    pub(crate) fn check(&self) -> Result<App, Faults> {
        let mut faults = Faults::default();
        let image = self.image.trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || "._:/@-".contains(c);
        let begins = image.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !begins || !image.chars().all(plain) || image.len() > LONGEST_IMAGE {
            let words = "Name an image, such as docker.io/library/nginx:1.29.";
            faults.image = Some(words.to_owned());
        }
        let name = match self.name.trim() {
            "" => name_of(image),
            name => name.to_owned(),
        };
        let part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let ends = name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.ends_with('-');
        if !ends || !name.chars().all(part) || name.len() > LONGEST_NAME {
            faults.name = Some(format!(
                "Use at most {LONGEST_NAME} lower-case letters, digits and hyphens, beginning with a letter."
            ));
        }
        let port = match self.port.trim() {
            "" => Some(USUAL_PORT),
            port => port.parse().ok().filter(|port| *port > 0),
        };
        if port.is_none() {
            faults.port = Some("A port is a number from 1 to 65535.".to_owned());
        }
        match port {
            Some(port) if faults == Faults::default() => {
                Ok(App { image: image.to_owned(), name, port })
            }
            _ => Err(faults),
        }
    }
}

/// The last part of an image's name, as far as it can name a component.
fn name_of(image: &str) -> String {
    let path = image.split('@').next().unwrap_or(image);
    let last = path.rsplit('/').next().unwrap_or(path);
    let last = last.split(':').next().unwrap_or(last).to_ascii_lowercase();
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = last.chars().map(plain).take(LONGEST_NAME).collect();
    name.trim_matches(|c: char| c == '-' || c.is_ascii_digit()).to_owned()
}

/// Deploys an image of a registry; for one of the person's machine, says how.
pub(crate) async fn deploy(
    State(portal): State<Arc<Portal>>,
    Path((namespace, project)): Path<(String, String)>,
    Submitted { session, form }: Submitted<Wish>,
) -> Result<Response, PageError> {
    let at = (namespace.as_str(), project.as_str());
    let user = portal.backend.of(&session.token);
    let app = match form.check() {
        Ok(app) if form.from != "registry" => {
            let page = page::Deploy { local: Some(app), ..page::Deploy::of(form) };
            return page.answer(&portal, &session, at).await;
        }
        Ok(app) => app,
        Err(faults) => {
            let page = page::Deploy { faults, ..page::Deploy::of(form) };
            return page.answer(&portal, &session, at).await;
        }
    };
    match app.apply(&user, at).await {
        Ok(()) => {
            tracing::info!(component = app.name, image = app.image, "deployed");
            let place = Place { namespace, project, component: app.name };
            Ok(Redirect::to(&place.href()).into_response())
        }
        Err(BackendError::SignedOut) => Err(BackendError::SignedOut.into()),
        Err(error) => {
            let page = page::Deploy { problem: Some(error), ..page::Deploy::of(form) };
            page.answer(&portal, &session, at).await
        }
    }
}

impl App {
    /// Creates both objects, or replaces those that were made this way.
    async fn apply(&self, user: &User<'_>, at: (&str, &str)) -> Result<(), BackendError> {
        let (component, workload) = self.objects(at.1);
        let base = format!("/namespaces/{}", encode(at.0));
        let mine = |found: &Value| {
            let managed = found["metadata"]["labels"][MANAGED_BY.0] == MANAGED_BY.1;
            let there = text(found, "/spec/owner/projectName");
            if managed && there == at.1 {
                return Ok(());
            }
            let why = match managed {
                true => format!("component {} is in project {there} already", self.name),
                false => format!("there is a component {} that was made in another way", self.name),
            };
            Err(BackendError::Conflict(format!("{why}; choose another name")))
        };
        // Before anything is made: a component that can have no workload would stay behind.
        match user.get(&format!("{base}/workloads/{}", encode(&self.name))).await {
            Ok(found) if text(&found, "/spec/owner/componentName") != self.name => {
                let owner = text(&found, "/spec/owner/componentName");
                let why = format!("there is a workload {} of component {owner}", self.name);
                return Err(BackendError::Conflict(format!("{why}; choose another name")));
            }
            Ok(_) | Err(BackendError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        put(user, &format!("{base}/components"), &self.name, component, mine).await?;
        put(user, &format!("{base}/workloads"), &self.name, workload, |_| Ok(())).await
    }

    fn objects(&self, project: &str) -> (Value, Value) {
        let component = json!({
            "metadata": {"name": self.name, "labels": {MANAGED_BY.0: MANAGED_BY.1}},
            "spec": {
                "owner": {"projectName": project},
                "componentType": {"kind": "ClusterComponentType", "name": "deployment/service"},
                "autoDeploy": true,
            },
        });
        let workload = json!({
            "metadata": {"name": self.name},
            "spec": {
                "owner": {"projectName": project, "componentName": self.name},
                "container": {"image": self.image},
                "endpoints": {"http": {
                    "type": "HTTP", "port": self.port, "visibility": ["external"], "basePath": "/",
                }},
            },
        });
        (component, workload)
    }
}

/// Creates an object, or gives the one that is there another spec if `may` lets it.
async fn put(
    user: &User<'_>,
    list: &str,
    name: &str,
    object: Value,
    may: impl FnOnce(&Value) -> Result<(), BackendError>,
) -> Result<(), BackendError> {
    let path = format!("{list}/{}", encode(name));
    match user.get_versioned(&path).await {
        Err(BackendError::NotFound(_)) => user.post(list, &object).await.map(drop),
        Err(other) => Err(other),
        Ok((mut found, version)) => {
            may(&found)?;
            found["spec"] = object["spec"].clone();
            if let Value::Object(map) = &mut found {
                map.remove("status");
            }
            user.put(&path, &found, version.as_deref()).await.map(drop)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Wish, name_of};

    #[test]
    fn a_component_is_named_after_its_image() {
        for (image, name) in [
            ("my:dev", "my"),
            ("docker.io/library/my_app:1.2", "my-app"),
            ("localhost:5000/team/Shop.Web@sha256:0123", "shop-web"),
            ("registry:5000/api", "api"),
        ] {
            assert_eq!(name_of(image), name, "{image}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_at_its_field() {
        let wish = |image: &str, name: &str, port: &str| Wish {
            image: image.to_owned(),
            name: name.to_owned(),
            port: port.to_owned(),
            from: String::new(),
        };
        let app = wish(" ghcr.io/a/web:1 ", "", "").check().unwrap();
        assert_eq!((app.name.as_str(), app.port), ("web", 8080));
        for image in ["", "a b", "$(x)", "a;b", "-v", "a'b", "ü"] {
            assert!(wish(image, "web", "").check().unwrap_err().image.is_some(), "{image}");
        }
        for name in ["Web", "1a", "a-", "a_b", &"a".repeat(41)] {
            let faults = wish("a:1", name, "").check().unwrap_err();
            assert!(faults.name.is_some() && faults.image.is_none(), "{name}");
        }
        for port in ["0", "65536", "x"] {
            assert!(wish("a:1", "", port).check().unwrap_err().port.is_some(), "{port}");
        }
    }
}
