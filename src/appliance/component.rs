//! Deleting a component with all that the platform made of it.
//!
//! Invariant: it is asked for through the control plane's API, so that whoever may not is refused there and what is
//! done is on record; the platform itself takes away what the component owns, and that is waited for. Its pods are told
//! to end then, and have the time that they always have.

use std::time::Duration;

use http::Method;
use kube::runtime::wait::{await_condition, conditions::is_deleted};
use serde_json::Value;

use crate::{
    Error,
    access::{Access, encode},
    demo::api,
};

/// Pages of a list that are read.
const MOST_PAGES: usize = 20;

/// Seconds that [`delete`] usually gets.
pub const USUAL: u64 = 90;

/// Which component.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its name, which is unique in the namespace.
    pub name: &'a str,
    /// Where it is.
    pub namespace: &'a str,
    /// The project it must be in, if one is named.
    pub project: Option<&'a str>,
}

/// What was removed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Removed {
    /// The component.
    pub component: String,
    /// Its project.
    pub project: String,
    /// Where it was.
    pub namespace: String,
    /// Names of its workloads.
    pub workloads: Vec<String>,
    /// Names of its releases.
    pub releases: Vec<String>,
    /// The environments that it had a release binding for.
    pub environments: Vec<String>,
}

/// Deletes a component, waits until it and what it owns are gone, and tells what that was.
///
/// # Errors
/// [`Error::UnknownComponent`] with those there are, what the control plane refuses, or a component that is still there
/// after `timeout`.
pub async fn delete(
    access: &Access,
    wanted: Wanted<'_>,
    timeout: Duration,
) -> Result<Removed, Error> {
    let Wanted { name, namespace, .. } = wanted;
    let base = format!("/namespaces/{}", encode(namespace));
    let path = format!("{base}/components/{}", encode(name));
    let found = match access.api("look up the component", Method::GET, &path, None).await {
        Ok(found) if wanted.is_in(project_of(&found)) => found,
        Ok(found) => return Err(elsewhere(wanted, project_of(&found))),
        Err(Error::Answered { status: 404, .. }) => {
            let all = list(access, &format!("{base}/components?")).await?;
            return Err(unknown(wanted, &all));
        }
        Err(error) => return Err(error),
    };
    let client = access.kube().await?;
    let owned = |kind: &str| format!("{base}/{kind}?component={}&", encode(name));
    let workloads = list(access, &owned("workloads")).await?;
    let releases = list(access, &owned("componentreleases")).await?;
    let bindings = list(access, &owned("releasebindings")).await?;
    let to = format!("delete component {name}");
    access.api(&to, Method::DELETE, &path, None).await?;
    // Not through the API, where each look would be on record.
    let components = api(&client, "Component", "components", namespace);
    let uid = found["metadata"]["uid"].as_str().unwrap_or_default();
    let gone = await_condition(components, name, is_deleted(uid));
    let late = || {
        let what = format!("removing component {name}, which goes on,");
        Error::Timeout { what, waited: timeout }
    };
    let gone = tokio::time::timeout(timeout, gone).await.map_err(|_| late())?;
    gone.map_err(|error| Error::Unreachable {
        what: "the cluster".to_owned(),
        why: error.to_string(),
    })?;
    Ok(Removed {
        component: name.to_owned(),
        project: project_of(&found).to_owned(),
        namespace: namespace.to_owned(),
        workloads: each(&workloads, "/metadata/name"),
        releases: each(&releases, "/metadata/name"),
        environments: each(&bindings, "/spec/environment"),
    })
}

impl Wanted<'_> {
    fn is_in(&self, project: &str) -> bool {
        self.project.is_none_or(|wanted| wanted == project)
    }
}

/// Every item of a list at `path`, to which its limit is put.
pub(crate) async fn list(access: &Access, path: &str) -> Result<Vec<Value>, Error> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    for _ in 0..MOST_PAGES {
        let path = format!("{path}limit=100{cursor}");
        let mut page = access.api("list what there is", Method::GET, &path, None).await?;
        all.extend(page["items"].as_array_mut().map(std::mem::take).unwrap_or_default());
        match page["pagination"]["nextCursor"].as_str().filter(|next| !next.is_empty()) {
            Some(next) => cursor = format!("&cursor={}", encode(next)),
            None => break,
        }
    }
    Ok(all)
}

pub(crate) fn project_of(component: &Value) -> &str {
    component["spec"]["owner"]["projectName"].as_str().unwrap_or_default()
}

/// What `pointer` says in each item of a list.
fn each(list: &[Value], pointer: &str) -> Vec<String> {
    list.iter().filter_map(|item| item.pointer(pointer)?.as_str()).map(str::to_owned).collect()
}

/// A component that is not among `all`, told with those that could be meant.
fn unknown(wanted: Wanted<'_>, all: &[Value]) -> Error {
    let here = all.iter().filter(|item| wanted.is_in(project_of(item)));
    let known = here.filter_map(|item| item["metadata"]["name"].as_str()).map(str::to_owned);
    Error::UnknownComponent {
        name: wanted.name.to_owned(),
        place: place(wanted),
        known: known.collect(),
    }
}

/// A component of another project than the one that is named.
fn elsewhere(wanted: Wanted<'_>, project: &str) -> Error {
    let known = vec![format!("{} in project {project}", wanted.name)];
    Error::UnknownComponent { name: wanted.name.to_owned(), place: place(wanted), known }
}

fn place(wanted: Wanted<'_>) -> String {
    match wanted.project {
        Some(project) => format!("project {project} of namespace {}", wanted.namespace),
        None => format!("namespace {}", wanted.namespace),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Kind;

    #[test]
    fn a_component_that_is_not_there_is_told_with_those_that_are() {
        let all = [
            json!({"metadata": {"name": "web"}, "spec": {"owner": {"projectName": "shop"}}}),
            json!({"metadata": {"name": "my"}, "spec": {"owner": {"projectName": "default"}}}),
        ];
        let wanted = |project| Wanted { name: "wep", namespace: "default", project };
        let told = |error: Error| (error.kind(), error.to_string());
        let said = "there is no component \"wep\" in namespace default; there are: web, my";
        assert_eq!(told(unknown(wanted(None), &all)), (Kind::NotFound, said.to_owned()));
        let said =
            "there is no component \"wep\" in project shop of namespace default; there are: web";
        assert_eq!(told(unknown(wanted(Some("shop")), &all)).1, said);
        let said =
            "there is no component \"wep\" in project x of namespace default; there are none";
        assert_eq!(told(unknown(wanted(Some("x")), &all)).1, said);
        let said = told(elsewhere(wanted(Some("x")), "shop")).1;
        assert!(said.ends_with("there are: wep in project shop"), "{said}");
    }

    #[test]
    fn one_of_another_project_is_not_meant() {
        let wanted = |project| Wanted { name: "my", namespace: "default", project };
        assert!(wanted(None).is_in("shop") && wanted(Some("shop")).is_in("shop"));
        assert!(!wanted(Some("default")).is_in("shop"));
    }

    #[test]
    fn what_is_removed_is_named() {
        let list = [json!({"metadata": {"name": "my-1"}, "spec": {"environment": "development"}})];
        assert_eq!(each(&list, "/spec/environment"), ["development"]);
        assert_eq!(each(&list, "/metadata/name"), ["my-1"]);
        assert!(each(&[], "/metadata/name").is_empty());
    }
}
