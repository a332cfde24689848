//! Every project that a person may see, with what is in it and how that is doing: a few lists for each namespace, and one
//! for each project only where somebody may not see the incidents of a whole namespace.

use crate::backend::User;
use crate::error::{BackendError, softly};
use crate::health::{Health, Open};
use crate::incidents::{self, MOST, is_open};
use crate::login::encode;
use crate::model::{Status, text};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

/// So many questions are asked at once.
const AT_ONCE: usize = 4;

/// A namespace with its projects.
pub(crate) struct Namespace {
    pub(crate) namespace: Value,
    pub(crate) projects: Vec<Row>,
    /// Why it is not known how they are doing.
    pub(crate) unknown: Option<String>,
}

/// A project. What the person may not see is not there.
pub(crate) struct Row {
    pub(crate) project: Value,
    pub(crate) components: Option<usize>,
    /// Of each component in each environment where it has a binding, as far as bindings and incidents tell.
    pub(crate) health: Vec<Health>,
    pub(crate) open: Option<Incidents>,
}

/// How many incidents are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Incidents {
    pub(crate) count: usize,
    /// There may be more, as there are too many to look at.
    pub(crate) more: bool,
}

/// Reads all of it.
pub(crate) async fn all(user: &User<'_>) -> Result<Vec<Namespace>, BackendError> {
    let namespaces = user.list("/namespaces").await?;
    let read = namespaces.into_iter().map(|namespace| of(user, namespace));
    stream::iter(read).buffered(AT_ONCE).try_collect().await
}

async fn of(user: &User<'_>, namespace: Value) -> Result<Namespace, BackendError> {
    let name = text(&namespace, "/metadata/name").to_owned();
    let list = |kind: &str| format!("/namespaces/{}/{kind}", encode(&name));
    let paths = ["projects", "components", "releasebindings"].map(list);
    let (projects, components, bindings, incidents) = tokio::join!(
        user.list(&paths[0]),
        user.list(&paths[1]),
        user.list(&paths[2]),
        open(user, &name, ""),
    );
    let (projects, components, bindings) = (projects?, softly(components)?, softly(bindings)?);
    let (found, mut unknown) = match incidents {
        Ok(found) => (Some(found), None),
        // Who may not see those of a namespace may see those of a project.
        Err(BackendError::Forbidden(_)) => (None, None),
        Err(error) => (None, softly::<()>(Err(error))?.err()),
    };
    let asks = unknown.is_none();
    let rows = projects.into_iter().map(|project| {
        let (found, components, bindings) = (&found, &components, &bindings);
        let namespace = name.as_str();
        async move {
            let name = text(&project, "/metadata/name").to_owned();
            let of = |one: &&Value| text(one, "/spec/owner/projectName") == name;
            let components = components.as_ref().ok().map(|all| all.iter().filter(of).count());
            let found = match found {
                Some(found) => Ok(Some(found.of(&name))),
                None if asks && components != Some(0) => {
                    softly(open(user, namespace, &name).await)?.map(Some)
                }
                None => Ok(None),
            };
            let (found, why) = (found.as_ref().ok().cloned().flatten(), found.err());
            let at = found.as_ref().map(|found| Open::of(&found.open)).unwrap_or_default();
            let doing = |binding: &Value| {
                let [component, environment] =
                    ["/spec/owner/componentName", "/spec/environment"].map(|at| text(binding, at));
                Health::of(Status::of(binding), false, at.is_at(component, environment))
            };
            let bindings = bindings.iter().flatten().filter(of);
            let row = Row {
                health: bindings.map(doing).collect(),
                open: found.map(|found| Incidents { count: found.open.len(), more: found.more }),
                components,
                project,
            };
            Ok::<_, BackendError>((row, why))
        }
    });
    let rows: Vec<(Row, Option<String>)> =
        stream::iter(rows).buffered(AT_ONCE).try_collect().await?;
    let mut projects = Vec::new();
    for (row, why) in rows {
        unknown = unknown.or(why);
        projects.push(row);
    }
    Ok(Namespace { namespace, projects, unknown })
}

/// Incidents that are open.
#[derive(Clone)]
struct Found {
    open: Vec<Value>,
    more: bool,
}

impl Found {
    fn of(&self, project: &str) -> Found {
        let own = self.open.iter().filter(|one| text(one, "/labels/projectName") == project);
        Found { open: own.cloned().collect(), more: self.more }
    }
}

/// Those of a namespace, or of one of its projects.
async fn open(user: &User<'_>, namespace: &str, project: &str) -> Result<Found, BackendError> {
    let mut open = incidents::of(user, (namespace, project), "").await?;
    let more = open.len() >= MOST;
    open.retain(is_open);
    Ok(Found { open, more })
}
