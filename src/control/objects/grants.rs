//! What is granted to agents: role bindings that name them.

use std::time::Duration;

use kube::{ResourceExt as _, api::ListParams};
use serde::Deserialize;

use super::{Ask, Error, Kind, Object, Objects, Verb, kind, store::check_name};
use crate::authz::{Attributes, GRANT_KINDS, GrantKind, Granted, Hierarchy, Terms};

/// The longest time for which something is granted.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
/// The kinds of a binding.
const BINDINGS: [&str; 2] = ["AuthzRoleBinding", "ClusterAuthzRoleBinding"];

/// What somebody asks to grant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// The kind of change.
    pub kind: String,
    /// Where.
    #[serde(default = "usual")]
    pub namespace: String,
    /// In it; every project if empty.
    #[serde(default)]
    pub project: String,
    /// In that; every component if empty.
    #[serde(default)]
    pub component: String,
    /// Every one if empty.
    #[serde(default)]
    pub environment: String,
    /// For how long.
    pub seconds: u64,
}

fn usual() -> String {
    "default".to_owned()
}

fn bad(reason: impl Into<String>) -> Error {
    Error::BadRequest(reason.into())
}

impl Objects {
    /// What is granted to each of `agents` now, as far as who asks may see it; everybody may see their own.
    ///
    /// # Errors
    /// [`Error::Cluster`].
    pub async fn grants(
        &self,
        ask: Ask<'_>,
        agents: &[String],
    ) -> Result<Vec<Vec<Granted>>, Error> {
        let bindings = self.bindings().await?;
        let now = self.authorizer.now();
        let shown = |agent: &String| {
            let seen = bindings.iter().filter(|(kind, binding)| {
                *agent == ask.caller.subject || self.may(ask, kind, Verb::View, binding)
            });
            seen.filter_map(|(_, binding)| Granted::of(binding, agent, now)).collect()
        };
        Ok(agents.iter().map(shown).collect())
    }

    /// Grants `wish` to `agent`. The same again prolongs it, or makes it shorter.
    ///
    /// # Errors
    /// [`Error::BadRequest`] for what makes no sense, [`Error::Denied`].
    pub async fn grant(&self, ask: Ask<'_>, agent: &str, wish: Wish) -> Result<Granted, Error> {
        let terms = self.terms(agent, wish)?;
        let row = kind("AuthzRoleBinding");
        let at = Hierarchy::namespace(&terms.namespace);
        // Only who may grant gets to know what there is; whoever may not is refused below.
        let create = row.action(Verb::Create);
        if self.authorizer.allows(ask.caller, &create, &at, &Attributes::default()) {
            self.check_place(ask, &terms).await?;
        }
        let (name, document) = (terms.name(), terms.document());
        let made = match self.create(ask, row, &terms.namespace, document.clone()).await {
            Err(Error::Exists { .. }) => {
                self.replace(ask, row, &terms.namespace, &name, document, None).await?
            }
            made => made?,
        };
        Granted::of(&made, agent, self.authorizer.now())
            .ok_or_else(|| bad("the grant was over before it was made"))
    }

    /// Takes back what was granted to `agent`: of the roles `roles`, or all if that is empty.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Cluster`]; what was taken back by then stays so.
    pub async fn revoke(
        &self,
        ask: Ask<'_>,
        agent: &str,
        roles: &[String],
    ) -> Result<Vec<Granted>, Error> {
        let now = self.authorizer.now();
        let mut revoked = Vec::new();
        for (kind, binding) in self.bindings().await? {
            let Some(granted) = Granted::of(&binding, agent, now) else { continue };
            let wanted = roles.is_empty() || granted.roles.iter().any(|role| roles.contains(role));
            // A binding that forbids something was never granted.
            if !wanted || granted.denies {
                continue;
            }
            match self.delete(ask, kind, &granted.namespace, &granted.binding).await {
                Ok(()) | Err(Error::NotFound { .. }) => revoked.push(granted),
                Err(error) => return Err(error),
            }
        }
        Ok(revoked)
    }

    fn terms(&self, agent: &str, wish: Wish) -> Result<Terms, Error> {
        let Some(grant_kind) = GrantKind::named(&wish.kind) else {
            let known: Vec<_> = GRANT_KINDS.iter().map(|kind| kind.name).collect();
            let known = known.join(", ");
            return Err(bad(format!("{:?} is no kind of change; there are {known}", wish.kind)));
        };
        let time = Duration::from_secs(wish.seconds);
        if time.is_zero() || time > LONGEST {
            return Err(bad("a grant lasts between a second and a year"));
        }
        if !wish.environment.is_empty() && !grant_kind.keeps_to_environment() {
            let kind = grant_kind.name;
            return Err(bad(format!(
                "{kind} cannot be kept to one environment: grant it without one, for a project"
            )));
        }
        if !wish.component.is_empty() && wish.project.is_empty() {
            return Err(bad("a component is named with its project"));
        }
        for (named, name) in [
            ("Namespace", &wish.namespace),
            ("Project", &wish.project),
            ("Component", &wish.component),
            ("Environment", &wish.environment),
        ] {
            if named == "Namespace" || !name.is_empty() {
                check_name(kind(named), name)?;
            }
        }
        let now = self.authorizer.now();
        // A whole second, as people write it.
        let expires = now.as_second().saturating_add_unsigned(wish.seconds);
        let expires =
            jiff::Timestamp::from_second(expires).map_err(|error| bad(error.to_string()))?;
        Ok(Terms {
            agent: agent.to_owned(),
            kind: grant_kind,
            namespace: wish.namespace,
            project: wish.project,
            component: wish.component,
            environment: wish.environment,
            expires,
        })
    }

    /// A grant for what is not there is a slip of the pen.
    async fn check_place(&self, ask: Ask<'_>, terms: &Terms) -> Result<(), Error> {
        let namespace = terms.namespace.as_str();
        if let Err(missing) = self.peek(kind("Namespace"), "", namespace).await {
            return Err(self.told(ask, kind("Namespace"), ("", None), missing).await);
        }
        for (named, name) in [
            ("Environment", &terms.environment),
            ("Project", &terms.project),
            ("Component", &terms.component),
        ] {
            if name.is_empty() {
                continue;
            }
            let row = kind(named);
            let found = match self.peek(row, namespace, name).await {
                Ok(found) => found,
                Err(missing) => {
                    let project = Some(terms.project.as_str()).filter(|_| named == "Component");
                    return Err(self.told(ask, row, (namespace, project), missing).await);
                }
            };
            if named == "Component" {
                let place = row.place_of(namespace, &found);
                if place.project != terms.project {
                    let (project, wanted) = (place.project, &terms.project);
                    return Err(bad(format!(
                        "component {name} is of project {project}, not {wanted}"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Every role binding, of namespaces and of the installation.
    async fn bindings(&self) -> Result<Vec<(&'static Kind, Object)>, Error> {
        let mut all = Vec::new();
        for row in BINDINGS.map(kind) {
            let api = kube::Api::<Object>::all_with(self.client.clone(), &row.resource());
            let listed = api.list(&ListParams::default()).await;
            let listed = listed.map_err(|error| Error::from_kube(error, row, ""))?;
            all.extend(listed.items.into_iter().map(|binding| (row, binding)));
        }
        Ok(all)
    }

    fn may(&self, ask: Ask<'_>, kind: &Kind, verb: Verb, object: &Object) -> bool {
        let at = kind.place_of(&object.namespace().unwrap_or_default(), object);
        self.authorizer.allows(ask.caller, &kind.action(verb), &at, &Attributes::default())
    }
}
