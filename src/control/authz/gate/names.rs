//! Whether what a caller names is there, as far as the caller may see it.
//!
//! A query about a name that nobody knows has an empty answer, which reads as if nothing had happened. Names are looked
//! up with the caller's own token, so that nobody learns here of what is hidden elsewhere.

use std::fmt::{self, Display, Formatter};

use bytes::Bytes;
use http::{Request, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{Gate, GateError};
use crate::identity::Secret;

/// Names that a refusal lists at most.
const MOST_NAMES: usize = 50;
/// A name comes from outside: it stays one segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-');

/// What is meant by a name in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named<'a> {
    /// The namespace itself.
    Namespace,
    /// A project.
    Project(&'a str),
    /// A component, of a project.
    Component(&'a str, &'a str),
    /// An environment.
    Environment(&'a str),
}

/// A name that is not there, with those that are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// `component "shp" in project shop`
    what: String,
    known: Vec<String>,
    more: bool,
}

impl Display for Absent {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "there is no {}", self.what)?;
        if self.known.is_empty() {
            return f.write_str("; there are none that you may see");
        }
        write!(f, "; there are: {}", self.known.join(", "))?;
        f.write_str(if self.more { " and more" } else { "" })
    }
}

impl Gate {
    /// What of `named` is not there, or nothing. Who may not see it is told nothing, too: what they ask for is judged like
    /// anything else. It is not remembered: ask only where there is reason to doubt.
    ///
    /// # Errors
    /// [`GateError`], when the control plane does not say.
    pub async fn absent(
        &self,
        token: &Secret,
        namespace: &str,
        named: Named<'_>,
    ) -> Result<Option<Absent>, GateError> {
        let escaped = |name: &str| utf8_percent_encode(name, SEGMENT).to_string();
        let at = format!("namespaces/{}", escaped(namespace));
        let (list, name, what) = match named {
            Named::Namespace => {
                ("namespaces".to_owned(), namespace, format!("namespace {namespace:?}"))
            }
            Named::Project(name) => (
                format!("{at}/projects"),
                name,
                format!("project {name:?} in namespace {namespace}"),
            ),
            Named::Component(project, name) => {
                let what = format!("component {name:?} in project {project}");
                (format!("{at}/components"), name, what)
            }
            Named::Environment(name) => {
                let what = format!("environment {name:?} in namespace {namespace}");
                (format!("{at}/environments"), name, what)
            }
        };
        let (status, found) = self.look_up(token, &format!("{list}/{}", escaped(name))).await?;
        match (status, named) {
            // A component of another project is not the one that was named.
            (StatusCode::OK, Named::Component(project, _))
                if found["spec"]["owner"]["projectName"] != project => {}
            (StatusCode::OK | StatusCode::FORBIDDEN, _) => return Ok(None),
            // What cannot be a name is none.
            (StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST, _) => {}
            (status, _) => return Err(self.unavailable(format!("it answered {status}: {found}"))),
        }
        let mut list = format!("{list}?limit={MOST_NAMES}");
        if let Named::Component(project, _) = named {
            list = format!("{list}&project={}", escaped(project));
        }
        let (_, list) = self.look_up(token, &list).await?;
        let names = list["items"].as_array().into_iter().flatten();
        let known = names.filter_map(|item| item["metadata"]["name"].as_str()).map(str::to_owned);
        let more = list["pagination"]["nextCursor"].is_string();
        Ok(Some(Absent { what, known: known.collect(), more }))
    }

    /// What the control plane answers for a path of its API.
    async fn look_up(&self, token: &Secret, path: &str) -> Result<(StatusCode, Value), GateError> {
        let request = Request::get(format!("{}/api/v1/{path}", self.base));
        let (status, body) = self.exchange(request, token, Bytes::new()).await?;
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use curtain_role::Instance;
    use serde_json::json;

    use super::*;
    use crate::authz::Via;
    use crate::testing::Platform;

    #[tokio::test]
    async fn a_name_that_is_not_there_is_told_with_those_that_are() {
        let platform = Platform::start().await;
        let make = async |kind: &str, name: &str, spec| {
            let object = json!({
                "apiVersion": "openchoreo.dev/v1alpha1", "kind": kind,
                "metadata": {"name": name, "namespace": "team"}, "spec": spec,
            });
            platform.apply(object).await
        };
        let spec = json!({
            "deploymentPipelineRef": {"name": "default"},
            "type": {"kind": "ClusterProjectType", "name": "default"},
        });
        for project in ["bank", "shop"] {
            make("Project", project, spec.clone()).await;
        }
        let component = json!({
            "owner": {"projectName": "shop"},
            "componentType": {"kind": "ClusterComponentType", "name": "deployment/service"},
        });
        make("Component", "web", component).await;
        let gate =
            Gate::new(&platform.base.parse().expect("a URL"), Instance::new("ci"), Via::Observer);
        let token = async |who: &str| Secret::new(platform.token(who).await);
        let told = async |token: &Secret, namespace: &str, named| {
            let absent = gate.absent(token, namespace, named).await.expect("an answer");
            absent.map(|absent| absent.to_string())
        };
        let one = token("one").await;
        for named in [
            Named::Namespace,
            Named::Project("shop"),
            Named::Component("shop", "web"),
            Named::Environment("development"),
        ] {
            assert_eq!(told(&one, "team", named).await, None, "{named:?}");
        }
        for (namespace, named, words) in [
            ("teem", Named::Namespace, r#"there is no namespace "teem"; there are: team"#),
            (
                "team",
                Named::Project("shp"),
                r#"there is no project "shp" in namespace team; there are: bank, shop"#,
            ),
            (
                "team",
                Named::Project("../x?a=b"),
                r#"there is no project "../x?a=b" in namespace team; there are: bank, shop"#,
            ),
            (
                "team",
                Named::Component("shop", "wep"),
                r#"there is no component "wep" in project shop; there are: web"#,
            ),
            (
                "team",
                Named::Component("bank", "web"),
                r#"there is no component "web" in project bank; there are none that you may see"#,
            ),
            (
                "team",
                Named::Environment("dev"),
                r#"there is no environment "dev" in namespace team; there are: development"#,
            ),
        ] {
            let told = told(&one, namespace, named).await;
            assert_eq!(told.as_deref(), Some(words));
        }
    }

    #[tokio::test]
    async fn whoever_may_not_see_a_name_is_told_nothing_of_it() {
        let platform = Platform::start().await;
        let role = json!({
            "apiVersion": "openchoreo.dev/v1alpha1", "kind": "ClusterAuthzRoleBinding",
            "metadata": {"name": "blind"},
            "spec": {
                "effect": "deny", "entitlement": {"claim": "sub", "value": "one"},
                "roleMappings": [{"roleRef": {"kind": "ClusterAuthzRole", "name": "admin"}}],
            },
        });
        platform.apply(role).await;
        let gate =
            Gate::new(&platform.base.parse().expect("a URL"), Instance::new("ci"), Via::Observer);
        let token = Secret::new(platform.token("one").await);
        // Until the policy is known.
        for _ in 0..400 {
            let absent = gate.absent(&token, "team", Named::Project("shp")).await;
            if absent.expect("an answer").is_none() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("what is hidden was told for four seconds");
    }
}
