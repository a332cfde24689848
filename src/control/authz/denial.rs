//! A refusal that helps: what is missing, and how a person can grant it.

use curtain_role::Instance;
use serde_json::Value;

use super::{Decision, GrantKind, Hierarchy, Question, grant::Grant};
use crate::identity::{Caller, SubjectKind};

/// What every refusal begins with.
pub const DENIED: &str = "denied: ";

/// Why a caller may not do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// `agent claude-1`.
    caller: String,
    /// The `sub` that a grant would name.
    subject: String,
    /// The missing action.
    pub action: String,
    /// Where it is missing.
    pub at: Hierarchy,
    /// What of the policy it is.
    decision: Decision,
    /// `<namespace>/<environment>`, when it is about one.
    environment: Option<String>,
    /// What a person can grant to the agent that asked, if there is such a kind.
    kind: Option<&'static GrantKind>,
    instance: Instance,
}

impl Denial {
    /// Why `decision`, which is no yes, answers `question` for `caller` in `instance`.
    pub fn new(
        caller: &Caller,
        question: Question<'_>,
        decision: &Decision,
        instance: &Instance,
    ) -> Self {
        Self {
            caller: caller.to_string(),
            subject: caller.subject.clone(),
            action: question.action.to_owned(),
            at: question.at.clone(),
            decision: decision.clone(),
            environment: question.attributes.environment.clone(),
            kind: match caller.kind {
                SubjectKind::Agent => GrantKind::for_action(question.action),
                SubjectKind::User | SubjectKind::Service => None,
            },
            instance: instance.clone(),
        }
    }

    /// The same, for a change that is only `part` of the action: less can be granted.
    pub fn of_part(mut self, part: &str) -> Self {
        self.kind = self.kind.and(GrantKind::for_action(part)).or(self.kind);
        self
    }

    /// Whether a binding forbids it outright.
    pub fn is_explicit(&self) -> bool {
        self.decision.is_forbidden()
    }

    /// What is missing, in one sentence. Every refusal there is begins with it, whatever door says it.
    pub fn reason(&self) -> String {
        let Self { action, at, .. } = self;
        let place = match (self.agent_grant(), self.environment_name(), &self.environment) {
            (Some(_), Some(name), _) => return format!("{DENIED}{action} in {name}"),
            (Some(_), None, _) => return format!("{DENIED}{action} on {at}"),
            (None, _, Some(environment)) => format!("{at}, environment {environment}"),
            (None, _, None) => at.to_string(),
        };
        format!("{DENIED}{action} on {place}: {}", self.decision.why(&self.caller))
    }

    /// What a person can do about it: a command that grants exactly the missing action, exactly there.
    pub fn remedy(&self) -> String {
        if let Some(command) = self.agent_grant() {
            return format!("A person can allow it: {command}");
        }
        if self.is_vague() && !self.is_explicit() {
            return "No grant is suggested: it is not known which project, component and environment this is about, and \
                    what allows it everywhere allows more than this. Name what is there."
                .to_owned();
        }
        let who = "A person who may administer access can";
        match &self.decision {
            Decision::Forbidden { binding } => format!("{who} change {binding}."),
            // A condition of the grant's own keeps it to the environment; of what else a condition may look at, it
            // has none, and would be wider than what was refused.
            Decision::Missing { unmet: Some(binding) } if self.environment.is_some() => {
                let command = self.command();
                format!("{who} widen the condition of {binding}, or allow it: {command}")
            }
            Decision::Missing { unmet: Some(binding) } => {
                format!("{who} widen the condition of {binding}.")
            }
            Decision::Missing { unmet: None } | Decision::Allowed { .. } => {
                format!("{who} allow it: {}", self.command())
            }
        }
    }

    /// The command that grants a kind of change to the agent, if there is one that is enough, and every name in it can
    /// stand in a shell's line as it is.
    fn agent_grant(&self) -> Option<String> {
        let kind = self.kind.filter(|_| !self.is_explicit() && !self.is_vague())?;
        let Hierarchy { namespace, project, component, resource } = &self.at;
        if namespace.is_empty() || !resource.is_empty() {
            return None;
        }
        let mut words = format!("agent grant {} {}", self.subject, kind.name);
        let mut names = vec![self.subject.as_str()];
        let usual = namespace == "default";
        // One that is to be made cannot be named yet.
        let component = if self.action == "component:create" { "" } else { component };
        for (flag, name) in [
            ("namespace", if usual { "" } else { namespace }),
            ("project", project),
            ("component", component),
            ("env", self.environment_name().unwrap_or_default()),
        ] {
            if !name.is_empty() {
                words.push_str(&format!(" --{flag} {name}"));
                names.push(name);
            }
        }
        words.push_str(" --for 1h");
        names.iter().all(|name| is_plain(name)).then(|| self.instance.command(&words))
    }

    /// Whether it is a change of something of a component, and not known of which or where: a grant would be wider.
    fn is_vague(&self) -> bool {
        let Some((resource, verb)) = self.action.split_once(':') else { return false };
        let is_of_component =
            ["component", "workload", "componentrelease", "releasebinding"].contains(&resource);
        let is_one = self.action == "component:create" || !self.at.component.is_empty();
        let is_somewhere = resource != "releasebinding" || self.environment.is_some();
        is_of_component
            && verb != "view"
            && (self.at.project.is_empty() || !is_one || !is_somewhere)
    }

    fn environment_name(&self) -> Option<&str> {
        self.environment.as_deref()?.split_once('/').map(|(_, name)| name)
    }

    fn command(&self) -> String {
        // One document after the other: kubectl validates a list only by OpenAPI v2.
        // Names come from the request: none may end the shell's quotes.
        let grant = self.grant().map(|document| document.to_string()).join(" ");
        let grant = grant.replace('\'', "\\u0027");
        let kubeconfig = self.instance.command("kubeconfig");
        format!("echo '{grant}' | kubectl --kubeconfig \"$({kubeconfig})\" apply -f -")
    }

    /// A role with the one action and a binding of it to the caller, in the one environment if it is about one.
    fn grant(&self) -> [Value; 2] {
        let Self { subject, action, at, .. } = self;
        Grant { subject, action, at, environment: self.environment.as_deref() }.documents()
    }
}

/// Whether `name` means itself to every shell, and is no flag.
fn is_plain(name: &str) -> bool {
    let plain = |char: char| char.is_ascii_alphanumeric() || "-_.@".contains(char);
    name.chars().all(plain) && name.starts_with(|char: char| char.is_ascii_alphanumeric())
}

/// Reason and remedy.
impl std::fmt::Display for Denial {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}. {}", self.reason(), self.remedy())
    }
}

#[cfg(test)]
mod tests;
