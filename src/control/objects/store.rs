//! Reading and removing objects.

use kube::{
    Api, Client,
    api::{DeleteParams, Preconditions},
};

use super::{Error, Kind, Object, Place, Verb, judge::is_binding, kind};
use crate::{
    audit::trail,
    authz::{Attributes, Authorizer, Hierarchy, Question, Via, described},
    identity::Caller,
};

/// The label of namespaces that belong to the platform; others are invisible.
pub(super) const CONTROL_PLANE_LABEL: &str = curtain_platform::types::labels::CONTROL_PLANE;

/// Who asks, and through which door.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The verified sender.
    pub caller: &'a Caller,
    /// The door.
    pub via: Via,
}

/// All objects, behind one authorizer. Cheap to clone.
#[derive(Clone)]
pub struct Objects {
    pub(super) client: Client,
    pub(super) authorizer: Authorizer,
}

impl std::fmt::Debug for Objects {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Objects").finish_non_exhaustive()
    }
}

impl Objects {
    /// Objects of the cluster behind `client`, as `authorizer` lets callers see them.
    pub fn new(client: Client, authorizer: Authorizer) -> Self {
        Self { client, authorizer }
    }

    /// The client, for what needs more than one object.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The one that decides.
    pub fn authorizer(&self) -> &Authorizer {
        &self.authorizer
    }

    /// The collection of `kind`. The namespace goes into a URL as it is: only a name may pass.
    pub(super) fn api(&self, kind: &Kind, namespace: &str) -> Result<Api<Object>, Error> {
        let resource = kind.resource();
        if !kind.is_namespaced() {
            return Ok(Api::all_with(self.client.clone(), &resource));
        }
        check_namespace(kind, namespace)?;
        Ok(Api::namespaced_with(self.client.clone(), namespace, &resource))
    }

    /// Whether who asks may do `verb` to the object `name` of `kind`; an empty name is one that is not known yet.
    pub(super) fn authorize(
        &self,
        ask: Ask<'_>,
        (kind, name, verb): (&Kind, &str, Verb),
        at: &Hierarchy,
        attributes: &Attributes,
    ) -> Result<(), Error> {
        let question = Question { action: &kind.action(verb), at, attributes };
        let object = kind.object(name);
        Ok(self.authorizer.authorize(ask.caller, ask.via, question, &object)?)
    }

    /// The object `name` for our own use: the caller is not judged, and must not get to see it.
    pub(crate) async fn peek(
        &self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
    ) -> Result<Object, Error> {
        check_name(kind, name)?;
        let found = self.api(kind, namespace)?.get(name).await;
        let object = found.map_err(|error| Error::from_kube(error, kind, name))?;
        if kind.place == Place::Namespace && !is_ours(&object) {
            return Err(Error::NotFound { kind: kind.kind, name: name.to_owned() });
        }
        Ok(object)
    }

    /// The object `name` if the caller may do `verb` to it.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`].
    pub async fn get_for(
        &self,
        ask: Ask<'_>,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        verb: Verb,
    ) -> Result<Object, Error> {
        // Before the audit line: that is to name objects, and these may be anything.
        check_namespace(kind, namespace)?;
        check_name(kind, name)?;
        let what = (kind, name, verb);
        let known = kind.place_of_name(namespace, name);
        let at = known.clone().unwrap_or_else(|| kind.somewhere(namespace));
        trail::asked(&kind.action(verb), &kind.object(name), &at);
        if let Some(at) = &known {
            self.authorize(ask, what, at, &Attributes::default())?;
        }
        let object = self.peek(kind, namespace, name).await?;
        if known.is_none() {
            let at = kind.place_of(namespace, &object);
            let attributes = kind.attributes(namespace, &object.data, verb);
            self.authorize(ask, what, &at, &attributes)?;
        }
        Ok(object)
    }

    /// The object `name`.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`].
    pub async fn get(
        &self,
        ask: Ask<'_>,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
    ) -> Result<Object, Error> {
        self.get_for(ask, kind, namespace, name, Verb::View).await
    }

    /// Removes the object `name`: exactly the one the caller was judged for. What it owns follows later.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`].
    pub async fn delete(
        &self,
        ask: Ask<'_>,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
    ) -> Result<(), Error> {
        let object = self.get_for(ask, kind, namespace, name, Verb::Delete).await?;
        let uid = object.metadata.uid.clone();
        let preconditions = Preconditions { uid, resource_version: None };
        let options =
            DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let deleted = self.api(kind, namespace)?.delete(name, &options).await;
        deleted.map_err(|error| Error::from_kube(error, kind, name))?;
        if is_binding(kind) {
            trail::given("revoke", &described(&object));
        }
        Ok(())
    }
}

/// Whether a namespace belongs to the platform.
fn is_ours(namespace: &Object) -> bool {
    let labels = namespace.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(CONTROL_PLANE_LABEL)).is_some_and(|value| value == "true")
}

/// Callers name the namespace, too; of what lives in none, it is unused.
pub(super) fn check_namespace(kind: &Kind, namespace: &str) -> Result<(), Error> {
    match kind.is_namespaced() {
        true => check_name(self::kind("Namespace"), namespace),
        false => Ok(()),
    }
}

/// A name goes into a URL: only what the API server would take may pass.
pub(super) fn check_name(kind: &Kind, name: &str) -> Result<(), Error> {
    let plain =
        |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || "-.".contains(char);
    let ends = |char: Option<char>| char.is_some_and(|char| char.is_ascii_alphanumeric());
    if name.len() <= 253
        && name.chars().all(plain)
        && ends(name.chars().next())
        && ends(name.chars().next_back())
    {
        return Ok(());
    }
    Err(Error::BadRequest(format!(
        "{name:?} is not a name for a {}: use at most 253 lower-case letters, digits, '-' and '.', \
         beginning and ending with a letter or digit",
        kind.kind
    )))
}
