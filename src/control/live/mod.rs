//! What a release binding looks like in its plane right now: objects, events and logs.
//!
//! The rendered releases that a binding controls say which objects there are and in which plane; each is read live
//! through the cluster gateway. Nothing else of the plane can be seen this way: an object that is not rendered by the
//! binding, or a pod that none of its workloads selects, is not found.
//!
//! Invariants: the caller is judged for the binding and its environment before anything is read from a plane; Secrets
//! are shown without their data; every answer of a plane has a bound in time and size.

mod events;
mod logs;
mod plane;
mod tree;

use curtain_platform::remote::Planes;

use crate::{
    authz::{Attributes, Question},
    objects::{Ask, Error, Object, Objects, kind, text_at},
};

pub use logs::{LogLine, LogQuery};
pub use tree::Node;

/// The longest a plane may take to answer.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);

/// The way into the planes.
#[derive(Clone)]
pub struct Live {
    objects: Objects,
    planes: Planes,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Live").finish_non_exhaustive()
    }
}

impl Live {
    /// Reaches planes by `planes` for what `objects` lets callers see.
    pub fn new(objects: Objects, planes: Planes) -> Self {
        Self { objects, planes }
    }

    /// The binding, if the caller may look at it and do `action` there.
    async fn binding(
        &self,
        ask: Ask<'_>,
        namespace: &str,
        name: &str,
        action: Option<&str>,
    ) -> Result<Object, Error> {
        let row = kind("ReleaseBinding");
        let binding = self.objects.get(ask, row, namespace, name).await?;
        if let Some(action) = action {
            let at = row.place_of(namespace, &binding);
            let environment = text_at(&binding.data, &["spec", "environment"]);
            let attributes = Attributes::environment(namespace, &environment);
            let question = Question { action, at: &at, attributes: &attributes };
            let authorizer = self.objects.authorizer();
            authorizer.authorize(ask.caller, ask.via, question, &row.object(name))?;
        }
        Ok(binding)
    }
}

/// Waits for a plane, but not forever.
async fn bounded<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| {
        Err(Error::PlaneUnavailable(format!(
            "the plane did not answer within {} s; is its cluster-agent connected?",
            PATIENCE.as_secs()
        )))
    })
}

/// What a plane said, for the caller.
fn plane_error(error: kube::Error) -> Error {
    match error {
        kube::Error::Api(status) => Error::PlaneUnavailable(format!(
            "the plane answered {}: {}",
            status.code, status.message
        )),
        other => Error::PlaneUnavailable(format!(
            "cannot reach the plane through the cluster gateway: {other}"
        )),
    }
}

#[cfg(test)]
mod tests;
