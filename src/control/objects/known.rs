//! What there is instead of what was named.
//!
//! An agent that misspelt a name goes on by itself when it is told the right ones. It is told those that it may see, and
//! nothing where it may see none: what is hidden is not told apart from what is not there.

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

use super::{
    Ask, Error, Kind, ListQuery, Object, Objects, Verb, kind, kind_of, store::check_namespace,
};
use crate::authz::{Attributes, Hierarchy, Question};

/// Names that are told at most.
const MOST_NAMES: usize = 20;

impl Objects {
    /// `error`; where it says that something in `namespace` is not there, with the names there are.
    pub(crate) async fn with_known(&self, ask: Ask<'_>, namespace: &str, error: Error) -> Error {
        let Error::NotFound { kind: named, name } = &error else { return error };
        // Of a part of something there are no names.
        let Some(row) = kind_of(named).filter(|row| row.names(name)) else { return error };
        if row.is_namespaced()
            && let Err(missing) = self.check_namespace_is_there(ask, namespace).await
        {
            return self.told(ask, kind("Namespace"), ("", None), missing).await;
        }
        self.told(ask, row, (namespace, None), error).await
    }

    /// Whether who asks may see objects of `kind` somewhere in `namespace`.
    pub(crate) fn may_see(&self, ask: Ask<'_>, kind: &Kind, namespace: &str) -> bool {
        let (action, at) = (kind.action(Verb::View), kind.somewhere(namespace));
        let question = Question { action: &action, at: &at, attributes: &Attributes::default() };
        self.authorizer.can_anywhere(ask.caller, &action, &at)
            && !self.authorizer.decide(ask.caller.entitlements(), question).is_forbidden()
    }

    /// What there is to say if `component` is not in `project`: where it is, to whoever may see it there; to anybody else it
    /// is not there.
    pub(crate) fn elsewhere(
        &self,
        ask: Ask<'_>,
        namespace: &str,
        component: &Object,
        project: &str,
    ) -> Option<Error> {
        let row = kind("Component");
        let at = row.place_of(namespace, component);
        if at.project == project {
            return None;
        }
        let attributes = row.attributes(namespace, &component.data, Verb::View);
        let (name, real) = (at.component.clone(), &at.project);
        Some(match self.authorizer.allows(ask.caller, &row.action(Verb::View), &at, &attributes) {
            true => Error::BadRequest(format!(
                "component {name} belongs to project {real}, not to {project}"
            )),
            false => Error::NotFound { kind: row.kind, name },
        })
    }

    /// Refuses a namespace that is not there, if the caller may know.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub(crate) async fn check_namespace_is_there(
        &self,
        ask: Ask<'_>,
        namespace: &str,
    ) -> Result<(), Error> {
        let row = kind("Namespace");
        let (action, at) = (row.action(Verb::View), Hierarchy::namespace(namespace));
        if !self.authorizer.allows(ask.caller, &action, &at, &Attributes::default()) {
            return Ok(());
        }
        match self.peek(row, "", namespace).await {
            Err(missing @ Error::NotFound { .. }) => Err(missing),
            // What else there is to say is said where something is done there.
            _ => Ok(()),
        }
    }

    /// `error` about a name of `kind`, with those that the caller may see; of one project's, if one is named.
    pub(super) async fn told(
        &self,
        ask: Ask<'_>,
        kind: &'static Kind,
        (namespace, project): (&str, Option<&str>),
        error: Error,
    ) -> Error {
        let Error::NotFound { kind: named, name } = error else { return error };
        let name = match self.may_see(ask, kind, namespace) {
            true => match self.names(ask, kind, (namespace, project), MOST_NAMES).await {
                Ok(names) => format!("{name}; {names}"),
                // That it is not there stays true.
                Err(_) => name,
            },
            false => name,
        };
        Error::NotFound { kind: named, name }
    }

    /// What could be meant by an argument that names an object of `kind` and was left out; `filter` is what lists of the
    /// kind are filtered by. Nothing, where the caller may see none of them or the cluster does not say.
    pub(crate) async fn choices(
        &self,
        ask: Ask<'_>,
        kind: &'static Kind,
        (namespace, filter): (&str, Option<&str>),
    ) -> Option<Names> {
        match self.may_see(ask, kind, namespace) {
            true => self.names(ask, kind, (namespace, filter), MOST_NAMES).await.ok(),
            false => None,
        }
    }

    /// The first `most` names of `kind` that the caller may see. That they were looked up is no act of the caller's, and
    /// leaves no record.
    ///
    /// # Errors
    /// [`Error::BadRequest`] for what cannot be a namespace, [`Error::Cluster`].
    pub(crate) async fn names(
        &self,
        ask: Ask<'_>,
        kind: &'static Kind,
        (namespace, project): (&str, Option<&str>),
        most: usize,
    ) -> Result<Names, Error> {
        check_namespace(kind, namespace)?;
        let query = ListQuery { namespace, filter: project, limit: most, ..ListQuery::default() };
        let (page, _) = self.visible(ask, kind, query).await?;
        let more = page.next_cursor.is_some();
        let known = page.items.into_iter().filter_map(|item| item.metadata.name).collect();
        Ok(Names { known, more })
    }
}

/// Names that there are, the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Names {
    known: Vec<String>,
    /// Whether there are others.
    more: bool,
}

impl Names {
    /// The only one there is.
    pub(crate) fn only(&self) -> Option<&str> {
        match self.known.as_slice() {
            [only] if !self.more => Some(only),
            _ => None,
        }
    }
}

impl Display for Names {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.known.is_empty() {
            return f.write_str("there are none that you may see");
        }
        write!(f, "there are: {}", self.known.join(", "))?;
        f.write_str(if self.more { " and more" } else { "" })
    }
}
