//! `authorizer.group("apps").resource("deployments").check("create").allowed()`: what somebody may do.
//!
//! Who decides is the caller's: an [`Authorizer`] is asked one [`Check`] at a time.

use super::value_type;
use crate::budget::{self, OVERHEAD};
use crate::functions::{Args, Outcome, boolean, failed, string};
use cel::common::types::{STRING_TYPE, Type};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};
use std::fmt;
use std::sync::Arc;

/// A check costs as much as so many loop steps.
const COST: usize = 100;

/// What is asked: whether somebody may do something with a resource, or with a path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Check {
    /// Namespace and name of the ServiceAccount that is meant; else it is whoever the authorizer is made for.
    pub account: Option<(String, String)>,
    /// The path, when no resource is meant.
    pub path: String,
    /// What is to be done.
    pub verb: String,
    /// API group, empty for core.
    pub group: String,
    /// Plural resource.
    pub resource: String,
    /// Subresource.
    pub subresource: String,
    /// Namespace, empty for all or none.
    pub namespace: String,
    /// Object name, empty for all.
    pub name: String,
}

type Decide = dyn Fn(&Check) -> Option<String> + Send + Sync;

/// Decides checks, for the variable of that name.
#[derive(Clone)]
pub struct Authorizer {
    decide: Arc<Decide>,
    check: Check,
}

impl Authorizer {
    /// Asks `decide`, which gives the reason where something is allowed.
    pub fn new(decide: impl Fn(&Check) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { decide: Arc::new(decide), check: Check::default() }
    }

    /// The same one, with a check of a resource begun.
    #[must_use]
    pub fn about(mut self, check: Check) -> Self {
        self.check = check;
        self
    }

    pub(crate) fn into_val(self) -> Box<dyn Val> {
        match self.check.resource.is_empty() {
            true => Box::new(Asking(self)),
            false => Box::new(ResourceCheck(self)),
        }
    }

    /// A copy that is asked about something else, after what it costs was taken from the budget.
    fn with(&self, change: impl FnOnce(&mut Check)) -> Result<Self, ExecutionError> {
        budget::read(OVERHEAD + self.bytes())?;
        let mut changed = self.clone();
        change(&mut changed.check);
        Ok(changed)
    }

    fn bytes(&self) -> usize {
        let check = &self.check;
        let account = check.account.as_ref().map_or(0, |(space, name)| space.len() + name.len());
        let about = [&check.path, &check.verb, &check.group, &check.resource];
        let whose = [&check.subresource, &check.namespace, &check.name];
        account + about.into_iter().chain(whose).map(String::len).sum::<usize>()
    }
}

impl PartialEq for Authorizer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.decide, &other.decide) && self.check == other.check
    }
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authorizer").field(&self.check).finish()
    }
}

value_type!(
    /// An authorizer that was asked nothing yet.
    Asking(Authorizer), "kubernetes.authorization.Authorizer", ASKING
);

value_type!(
    /// One that is asked about a path.
    PathCheck(Authorizer), "kubernetes.authorization.PathCheck", PATH
);

value_type!(
    /// One that is asked about a group.
    GroupCheck(Authorizer), "kubernetes.authorization.GroupCheck", GROUP
);

value_type!(
    /// One that is asked about a resource.
    ResourceCheck(Authorizer), "kubernetes.authorization.ResourceCheck", RESOURCE
);

value_type!(
    /// The reason where something is allowed.
    Decision(Option<String>), "kubernetes.authorization.Decision", DECISION
);

/// The bytes that one of these takes, beyond those that every value does.
pub(super) fn bytes(value: &dyn Val) -> usize {
    if let Some(it) = value.downcast_ref::<Asking>() {
        it.0.bytes()
    } else if let Some(it) = value.downcast_ref::<PathCheck>() {
        it.0.bytes()
    } else if let Some(it) = value.downcast_ref::<GroupCheck>() {
        it.0.bytes()
    } else if let Some(it) = value.downcast_ref::<ResourceCheck>() {
        it.0.bytes()
    } else {
        value.downcast_ref::<Decision>().and_then(|it| it.0.as_ref()).map_or(0, String::len)
    }
}

fn filled(function: &str, what: &str, args: &Args<'_, '_>) -> Result<String, ExecutionError> {
    let text = super::read(args, 1)?;
    if text.trim().is_empty() {
        return Err(failed(function, format!("{what} must not be empty")));
    }
    Ok(text.to_owned())
}

pub(super) fn register(env: &mut Env) -> Result<(), DeclarationError> {
    let text_of = || vec![STRING_TYPE];
    let asking = || ASKING.to_owned();
    env.add_member_overload("path", "authorizer.path(string)", asking(), text_of(), |args| {
        let path = filled("path", "path", &args)?;
        Ok(CowVal::owned(PathCheck(Asking::arg(&args, 0)?.0.with(|check| check.path = path)?)))
    })?;
    env.add_member_overload("group", "authorizer.group(string)", asking(), text_of(), |args| {
        let group = super::read(&args, 1)?.to_owned();
        Ok(CowVal::owned(GroupCheck(Asking::arg(&args, 0)?.0.with(|check| check.group = group)?)))
    })?;
    env.add_member_overload(
        "serviceAccount",
        "authorizer.serviceAccount(string, string)",
        asking(),
        vec![STRING_TYPE, STRING_TYPE],
        account,
    )?;
    env.add_member_overload(
        "resource",
        "groupcheck.resource(string)",
        GROUP.to_owned(),
        text_of(),
        |args| {
            let resource = filled("resource", "resource", &args)?;
            let asked = &GroupCheck::arg(&args, 0)?.0;
            Ok(CowVal::owned(ResourceCheck(asked.with(|check| check.resource = resource)?)))
        },
    )?;
    narrowing(env)?;
    for (id, owner) in [("pathcheck", &PATH), ("resourcecheck", &RESOURCE)] {
        let id = format!("{id}.check(string)");
        env.add_member_overload("check", &id, owner.to_owned(), text_of(), decided)?;
    }
    let told = || Type::to_owned(&DECISION);
    env.add_member_overload("allowed", "decision.allowed()", told(), vec![], |args| {
        Ok(boolean(Decision::arg(&args, 0)?.0.is_some()))
    })?;
    env.add_member_overload("reason", "decision.reason()", told(), vec![], |args| {
        Ok(string(Decision::arg(&args, 0)?.0.as_deref().unwrap_or_default()))
    })?;
    // Whoever decides never fails.
    env.add_member_overload("errored", "decision.errored()", told(), vec![], |_| {
        Ok(boolean(false))
    })?;
    env.add_member_overload("error", "decision.error()", told(), vec![], |_| Ok(string("")))
}

/// What a check of a resource is narrowed by. Roles know no selectors: these narrow nothing.
fn narrowing(env: &mut Env) -> Result<(), DeclarationError> {
    type Narrow = (&'static str, cel::common::functions::Function);
    let all: [Narrow; 5] = [
        ("subresource", |args| narrowed(&args, |check| &mut check.subresource)),
        ("namespace", |args| narrowed(&args, |check| &mut check.namespace)),
        ("name", |args| narrowed(&args, |check| &mut check.name)),
        ("fieldSelector", |args| Ok(CowVal::owned(ResourceCheck::arg(&args, 0)?.clone()))),
        ("labelSelector", |args| Ok(CowVal::owned(ResourceCheck::arg(&args, 0)?.clone()))),
    ];
    all.into_iter().try_for_each(|(name, function)| {
        let id = format!("resourcecheck.{name}(string)");
        env.add_member_overload(name, &id, RESOURCE.to_owned(), vec![STRING_TYPE], function)
    })
}

fn narrowed<'b, 'v>(
    args: &Args<'b, 'v>,
    field: impl FnOnce(&mut Check) -> &mut String,
) -> Outcome<'b, 'v> {
    let value = super::read(args, 1)?.to_owned();
    let asked = &ResourceCheck::arg(args, 0)?.0;
    Ok(CowVal::owned(ResourceCheck(asked.with(|check| *field(check) = value)?)))
}

fn account<'b, 'v>(args: Args<'b, 'v>) -> Outcome<'b, 'v> {
    let (namespace, name) = (super::read(&args, 1)?, super::read(&args, 2)?);
    let label = |text: &str| {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !text.is_empty()
            && text.len() <= 63
            && text.chars().all(inner)
            && !text.starts_with('-')
            && !text.ends_with('-')
    };
    if !(name.len() <= 253 && name.split('.').all(label)) {
        return Err(failed("serviceAccount", "Invalid service account name"));
    }
    if !label(namespace) {
        return Err(failed("serviceAccount", "Invalid service account namespace"));
    }
    let account = Some((namespace.to_owned(), name.to_owned()));
    Ok(CowVal::owned(Asking(Asking::arg(&args, 0)?.0.with(|check| check.account = account)?)))
}

fn decided<'b, 'v>(args: Args<'b, 'v>) -> Outcome<'b, 'v> {
    budget::spend(COST)?;
    let asked = match PathCheck::arg(&args, 0) {
        Ok(path) => &path.0,
        Err(_) => &ResourceCheck::arg(&args, 0)?.0,
    };
    let verb = super::read(&args, 1)?.to_owned();
    let asked = asked.with(|check| check.verb = verb)?;
    Ok(CowVal::owned(Decision((asked.decide)(&asked.check))))
}
