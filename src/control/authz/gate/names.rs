//! Whether what a caller names is there, and what there is for a name that is missing, as far as the caller may see it.
//!
//! A query about a name that nobody knows has an empty answer, which reads as if nothing had happened. Names are looked
//! up with the caller's own token, so that nobody learns here of what is hidden elsewhere.

use std::fmt::{self, Display, Formatter};

use bytes::Bytes;
use http::Request;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::{Gate, GateError};
use crate::{identity::Secret, mcp::Arguments, objects::Names};

/// A name comes from outside: it stays one value of a query.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-');

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
    names: Names,
}

impl Display for Absent {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "there is no {}; {}", self.what, self.names)
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
        let (scope, what) = match named {
            Named::Namespace => (vec![], format!("namespace {namespace:?}")),
            Named::Project(name) => {
                (vec![("project", name)], format!("project {name:?} in namespace {namespace}"))
            }
            Named::Component(project, name) => (
                vec![("project", project), ("component", name)],
                format!("component {name:?} in project {project}"),
            ),
            Named::Environment(name) => (
                vec![("environment", name)],
                format!("environment {name:?} in namespace {namespace}"),
            ),
        };
        let escaped = |name: &str| utf8_percent_encode(name, VALUE).to_string();
        let mut url = format!("{}/api/v1/authz/names?namespace={}", self.base, escaped(namespace));
        for (key, name) in scope {
            url = format!("{url}&{key}={}", escaped(name));
        }
        let found: Found = self.ask(Request::get(url), token, Bytes::new()).await?;
        let Found { absent, names } = found;
        Ok(absent.then_some(Absent { what, names }))
    }

    /// What there is to choose from for an argument called `missing`, `namespace` for example, that a call left out; with
    /// what is `given`, as far as the caller may see it. Nothing, too, where the control plane does not say.
    pub async fn choices(&self, token: &Secret, missing: &str, given: &Arguments) -> Option<Names> {
        let within: &[&str] = match missing {
            "namespace" => &[],
            "project" | "environment" => &["namespace"],
            "component" => &["namespace", "project"],
            _ => return None,
        };
        let mut url = format!("{}/api/v1/authz/choices?of={missing}", self.base);
        for key in within {
            let name = Some(given.text(key)).filter(|name| !name.is_empty())?;
            url = format!("{url}&{key}={}", utf8_percent_encode(name, VALUE));
        }
        match self.ask(Request::get(url), token, Bytes::new()).await {
            Ok(names) => names,
            Err(error) => {
                tracing::warn!(%error, missing, "names to choose from cannot be told");
                None
            }
        }
    }
}

/// What the control plane answers.
#[derive(Deserialize)]
struct Found {
    absent: bool,
    #[serde(flatten)]
    names: Names,
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
        // The agent has asked for something else; that these names were looked up is no act of it.
        let token = platform.token("one").await;
        let project = "/api/v1/namespaces/team/projects/shop";
        platform.send(&token, http::Method::GET, project, None).await;
        let (_, audit) = platform.send(&token, http::Method::GET, "/api/v1/audit", None).await;
        let calls = audit["items"].as_array().expect("items").iter();
        let calls: Vec<_> = calls.filter_map(|item| item["call"].as_str()).collect();
        assert_eq!(calls, ["GET /api/v1/namespaces/{namespace}/projects/{name}"], "{audit}");
    }

    #[tokio::test]
    async fn whoever_sees_a_part_may_choose_from_that() {
        let platform = Platform::start().await;
        let spec = json!({
            "deploymentPipelineRef": {"name": "default"},
            "type": {"kind": "ClusterProjectType", "name": "default"},
        });
        for project in ["bank", "shop"] {
            let object = json!({
                "apiVersion": "openchoreo.dev/v1alpha1", "kind": "Project",
                "metadata": {"name": project, "namespace": "team"}, "spec": spec,
            });
            platform.apply(object).await;
        }
        let gate =
            Gate::new(&platform.base.parse().expect("a URL"), Instance::new("ci"), Via::Observer);
        let token = Secret::new(platform.token("one").await);
        let choices = async |missing: &str, given: Arguments| {
            gate.choices(&token, missing, &given).await.map(|names| names.to_string())
        };
        assert_eq!(
            choices("namespace", Arguments::default()).await.as_deref(),
            Some("there are: team")
        );
        let team = || Arguments::default().with("namespace", "team");
        assert_eq!(choices("project", team()).await.as_deref(), Some("there are: bank, shop"));
        assert_eq!(choices("environment", team()).await.as_deref(), Some("there are: development"));
        assert_eq!(choices("component", team()).await, None, "of which project?");
        assert_eq!(choices("from", team()).await, None);

        let grant = json!({
            "apiVersion": "openchoreo.dev/v1alpha1", "kind": "AuthzRoleBinding",
            "metadata": {"name": "shop", "namespace": "team"},
            "spec": {
                "entitlement": {"claim": "sub", "value": "one"},
                "roleMappings": [{
                    "roleRef": {"kind": "ClusterAuthzRole", "name": "agent-reader"},
                    "scope": {"project": "shop"},
                }],
            },
        });
        platform.apply(grant).await;
        let admin = platform.token("admin").await;
        let all = "/api/v1/clusterauthzrolebindings/agents";
        let (status, body) = platform.send(&admin, http::Method::DELETE, all, None).await;
        assert_eq!(status, 204, "{body}");
        // Until the policy is known.
        for _ in 0..400 {
            let told = choices("project", team()).await;
            if told.as_deref() == Some("there are: shop") {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("after four seconds it is {:?}", choices("project", team()).await);
    }

    #[tokio::test]
    async fn a_control_plane_that_does_not_answer_does_not_say_that_there_are_none() {
        let busy = async || http::StatusCode::TOO_MANY_REQUESTS;
        let router = axum::Router::new().fallback(busy);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        let gate = Gate::new(&base.parse().expect("a URL"), Instance::new("ci"), Via::Observer);
        let absent = gate.absent(&Secret::new("t".to_owned()), "team", Named::Project("shp")).await;
        assert!(matches!(absent, Err(GateError::Unavailable { .. })), "{absent:?}");
        server.abort();
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
