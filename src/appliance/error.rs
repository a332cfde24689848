//! What can go wrong with an instance, and what to do about it.
//!
//! Commands stand in backticks and without the instance: [`crate::InstanceName::in_commands`] adds it where they are
//! shown.

use std::{fmt, io, path::PathBuf, time::Duration};

/// What each refusal of the control plane begins with.
const DENIED: &str = "denied: ";

/// The class of an error; the command line has an exit code for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The instance does not exist.
    NotFound,
    /// The instance exists already.
    Exists,
    /// A port of this machine belongs to somebody else.
    PortInUse,
    /// No space is left.
    DiskFull,
    /// Input from the user that cannot be used.
    BadInput,
    /// Something did not happen in time.
    Timeout,
    /// The machine lacks something.
    Unmet,
    /// Another command works on the instance.
    Busy,
    /// The instance was made by another build.
    VersionMismatch,
    /// The instance does not answer.
    Unreachable,
    /// The caller may not do this.
    Denied,
    /// Somebody wanted it to end.
    Interrupted,
    /// Anything else.
    Other,
}

/// What became of the state of before, where an instance did not start from a snapshot.
#[derive(Debug)]
pub enum Back {
    /// The instance runs from it again, or is paused as it was.
    Running,
    /// It is in its place, and was not started.
    InPlace,
    /// It is in its place, and does not start either.
    Stopped(Box<Error>),
    /// It could not be brought into its place.
    Beside {
        /// Where it is.
        path: PathBuf,
        /// Why it is there still.
        source: Box<Error>,
    },
}

impl fmt::Display for Back {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running => f.write_str("it is as it was before"),
            Self::InPlace => f.write_str(
                "what it was before is in its place again, and `curtain resume` starts it",
            ),
            Self::Stopped(error) => write!(
                f,
                "what it was before is in its place again, whole, and does not start either: {error}; `curtain resume` \
                 tries again"
            ),
            Self::Beside { path, source } => write!(
                f,
                "what it was before is whole, in {}, and could not be put back: {source}; `curtain resume` tries again",
                path.display()
            ),
        }
    }
}

/// A failed operation on an instance.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a name an instance can have.
    #[error(
        "{name:?} cannot be the name of an instance: use 1 to 32 lower-case letters, digits and dashes, \
         with a letter or digit at both ends"
    )]
    BadName {
        /// The name that was given.
        name: String,
    },
    /// Not a name an agent can have.
    #[error(
        "{name:?} cannot be the name of an agent: use 1 to 40 lower-case letters, digits and dashes, \
         with a letter or digit at both ends"
    )]
    BadAgent {
        /// The name that was given.
        name: String,
    },
    /// Not a name a snapshot can have.
    #[error(
        "{name:?} cannot be the name of a snapshot: use 1 to 63 lower-case letters, digits and dashes, \
         with a letter or digit at both ends"
    )]
    BadSnapshot {
        /// The name that was given.
        name: String,
    },
    /// There is no such snapshot.
    #[error("there is no snapshot {name:?} of this instance; there {}", listed(known))]
    UnknownSnapshot {
        /// The name that was given.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// There is a snapshot already.
    #[error("{file} is there already; choose another name, or replace it by --replace", file = .file.display())]
    SnapshotExists {
        /// The file.
        file: PathBuf,
    },
    /// A snapshot that another build made.
    #[error(
        "{file} was saved by another build of curtain ({there}; this instance is of {here}), and only that one knows its \
         state; restore it into an instance of that build", file = .file.display()
    )]
    SnapshotBuild {
        /// The file.
        file: PathBuf,
        /// The build that made it.
        there: String,
        /// The build of the instance.
        here: String,
    },
    /// A snapshot of something else.
    #[error(
        "{file} cannot be restored into instance {instance}: {why}, and names, paths and addresses are in its state; \
         `curtain snapshot list` shows those of this instance", file = .file.display()
    )]
    OtherSnapshot {
        /// The file.
        file: PathBuf,
        /// The instance.
        instance: String,
        /// What differs.
        why: String,
    },
    /// An instance that was stopped for a moment, and does not go on.
    #[error(
        "{done}, and the instance did not start again: {source}; nothing of it is lost, `curtain resume` tries again"
    )]
    NotAgain {
        /// What became of what was to be done.
        done: String,
        /// Why it does not start.
        source: Box<Error>,
    },
    /// An instance that does not start from a snapshot.
    #[error("the instance did not start from the snapshot: {source}; {back}")]
    NotRestored {
        /// Why it does not.
        source: Box<Error>,
        /// What became of the state of before.
        back: Back,
    },
    /// Somebody else has this name.
    #[error("{name} is a {kind} of this instance; choose another name for the agent")]
    Taken {
        /// The name that was given.
        name: String,
        /// `user`, for example.
        kind: String,
    },
    /// The agent of a client goes with the client.
    #[error("{agent} is what {client} acts as; `curtain mcp uninstall {client}` removes both")]
    Wired {
        /// The agent.
        agent: String,
        /// The client.
        client: String,
    },
    /// There is no instance of this name.
    #[error("there is no instance {instance:?}{}; `curtain up` creates it", instead(.others))]
    NotFound {
        /// The name that was given.
        instance: String,
        /// The instances there are.
        others: Vec<String>,
    },
    /// There is an instance of this name, and it is not ours to use.
    #[error(
        "there is an instance {instance:?} already, and only a new one is taken down again; \
         choose another name, or take it down first by `curtain down`"
    )]
    Exists {
        /// The name that was given.
        instance: String,
    },
    /// A time that ends beyond the calendar.
    #[error("{:.0} h is too long a time", .time.as_secs_f64() / 3_600.0)]
    TooLong {
        /// The time that was given.
        time: Duration,
    },
    /// Another command holds the instance.
    #[error(
        "another curtain command is working on instance {instance:?} (waited {:.0} s); try again when it is done",
        .waited.as_secs_f32()
    )]
    Busy {
        /// The instance.
        instance: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// Another command holds the folder of all instances.
    #[error(
        "another curtain command is editing the folder of all instances, {folder} (waited {:.0} s); \
         try again when it is done",
        .waited.as_secs_f32(), folder = .folder.display()
    )]
    FolderBusy {
        /// The folder.
        folder: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A build for another system has nothing to make the image of.
    #[error(
        "this curtain for {system} cannot make the platform's image, as it carries no program for Linux; use a released \
         one, or name the static program for Linux in CURTAIN_LINUX_PROGRAM when it is built",
        system = std::env::consts::OS
    )]
    NoLinuxProgram,
    /// A file could not be read or written.
    #[error("cannot {verb} {path}: {source}", path = .path.display())]
    File {
        /// What was tried: `write`, `read`, `create the folder`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A stored file is not what this build understands.
    #[error("{path} cannot be understood: {why}; it was written by another version of curtain or changed by hand", path = .path.display())]
    Stored {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The instance was made by another build.
    #[error(
        "instance {instance:?} was made by another build of curtain ({there}; this is {here}); \
         run `curtain down` and `curtain up` to recreate it, or use {binary}", binary = .binary.display()
    )]
    VersionMismatch {
        /// The instance.
        instance: String,
        /// Build that made it.
        there: String,
        /// This build.
        here: String,
        /// The kept copy of the build that made it.
        binary: PathBuf,
    },
    /// An instance that is wanted to reach what it does not, or the other way round.
    #[error(
        "instance {instance} is {} and stays so: that is chosen when an instance is made; leave --offline out to go on \
         with it, or take it down by `curtain down` and make it anew", if *.offline { "offline" } else { "not offline" }
    )]
    Reach {
        /// The instance.
        instance: String,
        /// Whether it is offline.
        offline: bool,
    },
    /// A step of a plan failed.
    #[error("step {step:?} failed: {source}")]
    Step {
        /// Its name.
        step: String,
        /// The cause.
        source: Box<Error>,
    },
    /// Nodes of the cluster failed.
    #[error("{source}{}", aftermath(.evidence.as_deref(), *.taken_back))]
    Nodes {
        /// The cause.
        source: Box<Error>,
        /// The archive that explains it, if it could be written.
        evidence: Option<PathBuf>,
        /// Whether everything that was made has been removed again.
        taken_back: bool,
    },
    /// A fault that a test asked for.
    #[error("a fault was injected at {at}")]
    Injected {
        /// Where.
        at: String,
    },
    /// The whole operation took longer than it may.
    #[error("{what} took longer than {:.0} s; `curtain status` shows what is not ready, `--timeout` gives it longer", .waited.as_secs_f32())]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
    },
    /// A client's configuration file cannot be edited.
    #[error("cannot edit {path}: {why}; the file was left as it is", path = .path.display())]
    Client {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A client nobody here knows.
    #[error("there is no MCP client {name:?}; known: {known}")]
    UnknownClient {
        /// The name that was given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// There is no such sample system.
    #[error("there is no demo {name:?}; there are: {known}")]
    UnknownDemo {
        /// The name that was given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// There is no such service in the shop, or no such fault for it.
    #[error(transparent)]
    UnknownFault(#[from] curtain_demo::Unknown),
    /// A service of the shop does not run where it was meant.
    #[error(
        "{service} does not run in {environment}; `curtain demo deploy shop` brings it to development"
    )]
    NotDeployed {
        /// The service.
        service: String,
        /// The environment.
        environment: String,
    },
    /// A service is broken already.
    #[error("{service} is broken by {fault} already; `curtain demo heal {service}` ends that")]
    Broken {
        /// The service.
        service: String,
        /// The fault.
        fault: String,
    },
    /// The instance's API or front door does not answer.
    #[error("{what} does not answer: {why}; `curtain status` says more, `curtain up` repairs")]
    Unreachable {
        /// What was asked.
        what: String,
        /// What happened.
        why: String,
    },
    /// The instance was stopped on purpose.
    #[error("instance {instance} is paused since {since}; `curtain resume` starts it again")]
    Paused {
        /// Its name.
        instance: String,
        /// Since when.
        since: jiff::Timestamp,
    },
    /// The instance refused.
    #[error("{asked} refused to {to}: {why}; {next}")]
    Refused {
        /// Who was asked, a noun.
        asked: &'static str,
        /// To do what.
        to: String,
        /// What it said.
        why: String,
        /// What to do about it.
        next: &'static str,
    },
    /// Whoever it was done as may not do it.
    #[error("{why}")]
    Denied {
        /// What is missing and who can grant it, in the control plane's words.
        why: String,
    },
    /// The instance has no space left.
    #[error("cannot {to}: {why}")]
    Full {
        /// What was tried.
        to: String,
        /// What the instance said.
        why: String,
    },
    /// The instance could not.
    #[error(
        "cannot {to}: {}", answer(.asked, *.status, .why)
    )]
    Answered {
        /// Who was asked, a noun.
        asked: &'static str,
        /// To do what.
        to: String,
        /// The HTTP status.
        status: u16,
        /// What it said.
        why: String,
    },
    /// Something that is needed is not there, and does not come by itself.
    #[error("{what} cannot get ready: {why}")]
    Lacking {
        /// What was waited for.
        what: String,
        /// What it lacks.
        why: String,
    },
    /// Something that runs and does not answer.
    #[error("{what} does not answer: {why}; {next}")]
    Unheard {
        /// What was waited for.
        what: String,
        /// What is known of it.
        why: String,
        /// What to do.
        next: String,
    },
    /// An image that cannot be deployed as it is.
    #[error("cannot deploy {image}: {why}; {next}")]
    Image {
        /// The image, or where it was looked for.
        image: String,
        /// What is wrong with it.
        why: String,
        /// What to do.
        next: &'static str,
    },
    /// An image that is nowhere.
    #[error("there is no image {image}: {why}; {next}")]
    NoImage {
        /// The name or path that was given.
        image: String,
        /// Where it was looked for.
        why: String,
        /// What to do.
        next: &'static str,
    },
    /// A component that somebody made in another way.
    #[error(
        "there is a component {component:?} already, which was not made by `curtain deploy`; choose another name by \
         --component"
    )]
    Foreign {
        /// The component.
        component: String,
    },
    /// There is no such user or agent.
    #[error("there is no identity {who:?} in this instance; there are: {known}")]
    UnknownIdentity {
        /// The name that was given.
        who: String,
        /// The names there are.
        known: String,
    },
    /// There is no such agent among those that were added.
    #[error("there is no identity {who:?} that `curtain agent add` made; there {}", listed(known))]
    UnknownAgent {
        /// The name that was given.
        who: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// There is no such project.
    #[error("there is no project {name:?}; there {}", listed(known))]
    UnknownProject {
        /// The name that was given.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// There is no such project or namespace.
    #[error("there is no {what} {name:?}{}; there {}", within(.namespace), listed(known))]
    UnknownPlace {
        /// `project` or `namespace`.
        what: &'static str,
        /// The name that was given.
        name: String,
        /// The namespace of a project.
        namespace: Option<String>,
        /// The names there are.
        known: Vec<String>,
    },
    /// There is no such component.
    #[error("there is no component {name:?} in {place}; there {}", listed(known))]
    UnknownComponent {
        /// The name that was given.
        name: String,
        /// Where it was looked for.
        place: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The provider failed.
    #[error(transparent)]
    Provider(#[from] curtain_provider::Error),
    /// A bundle could not be installed.
    #[error(transparent)]
    Bundle(#[from] curtain_bundle::Error),
}

impl Error {
    /// What `asked` (a noun, like the next ones a part of a sentence) answered with `status` to an attempt `to` do
    /// something, about which it said `why`. `next` is what helps someone whom it does not let.
    pub(crate) fn answered(
        status: u16,
        asked: &'static str,
        to: &str,
        why: String,
        next: &'static str,
    ) -> Self {
        let to = to.to_owned();
        match status {
            // The control plane's own refusals say who can do what about them.
            403 if why.starts_with(DENIED) => Self::Denied { why },
            401 | 403 => Self::Refused { asked, to, why, next },
            507 => Self::Full { to, why },
            _ => Self::Answered { asked, to, status, why },
        }
    }

    /// Whether the cluster's nodes have what explains this.
    pub(crate) fn is_in_nodes(&self) -> bool {
        match self {
            Self::Step { source, .. } => source.is_in_nodes(),
            Self::Provider(error) => error.is_in_nodes(),
            _ => false,
        }
    }

    /// A failed file operation.
    pub(crate) fn file(verb: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File { verb, path: path.into(), source }
    }

    /// The class of this error.
    pub fn kind(&self) -> Kind {
        match self {
            Self::BadName { .. }
            | Self::BadAgent { .. }
            | Self::BadSnapshot { .. }
            | Self::OtherSnapshot { .. }
            | Self::TooLong { .. }
            | Self::Reach { .. }
            | Self::Client { .. }
            | Self::Image { .. } => Kind::BadInput,
            Self::NotFound { .. }
            | Self::UnknownClient { .. }
            | Self::UnknownIdentity { .. }
            | Self::UnknownAgent { .. }
            | Self::UnknownSnapshot { .. }
            | Self::UnknownProject { .. }
            | Self::UnknownPlace { .. }
            | Self::UnknownComponent { .. }
            | Self::UnknownDemo { .. }
            | Self::UnknownFault(_)
            | Self::NoImage { .. }
            | Self::NotDeployed { .. } => Kind::NotFound,
            Self::NoLinuxProgram => Kind::Unmet,
            Self::Exists { .. }
            | Self::SnapshotExists { .. }
            | Self::Foreign { .. }
            | Self::Taken { .. }
            | Self::Wired { .. } => Kind::Exists,
            Self::Busy { .. } | Self::FolderBusy { .. } => Kind::Busy,
            Self::VersionMismatch { .. } | Self::SnapshotBuild { .. } => Kind::VersionMismatch,
            Self::Timeout { .. } | Self::Unheard { .. } => Kind::Timeout,
            Self::Unreachable { .. } | Self::Paused { .. } => Kind::Unreachable,
            Self::Answered { status, .. } if *status >= 500 => Kind::Unreachable,
            Self::Refused { .. } | Self::Denied { .. } => Kind::Denied,
            Self::Full { .. } => Kind::DiskFull,
            Self::File { source, .. } if full(source) => Kind::DiskFull,
            Self::File { source, .. } if forbidden(source) => Kind::Unmet,
            Self::Step { source, .. }
            | Self::Nodes { source, .. }
            | Self::NotAgain { source, .. }
            | Self::NotRestored { source, .. } => source.kind(),
            Self::Provider(error) => match error.kind() {
                curtain_provider::Kind::PortInUse => Kind::PortInUse,
                curtain_provider::Kind::DiskFull => Kind::DiskFull,
                curtain_provider::Kind::BadInput => Kind::BadInput,
                curtain_provider::Kind::Timeout => Kind::Timeout,
                curtain_provider::Kind::Unmet => Kind::Unmet,
                curtain_provider::Kind::NotFound => Kind::NotFound,
                curtain_provider::Kind::Interrupted => Kind::Interrupted,
                curtain_provider::Kind::Other => Kind::Other,
            },
            Self::Bundle(error) => match error.kind() {
                curtain_bundle::Kind::BadInput => Kind::BadInput,
                curtain_bundle::Kind::Timeout => Kind::Timeout,
                curtain_bundle::Kind::DiskFull => Kind::DiskFull,
                curtain_bundle::Kind::Unreachable => Kind::Unreachable,
                curtain_bundle::Kind::Other => Kind::Other,
            },
            Self::File { .. }
            | Self::Stored { .. }
            | Self::Injected { .. }
            | Self::Lacking { .. }
            | Self::Broken { .. }
            | Self::Answered { .. } => Kind::Other,
        }
    }
}

/// What became of nodes that failed.
fn aftermath(evidence: Option<&std::path::Path>, taken_back: bool) -> String {
    let mut text = String::new();
    if let Some(path) = evidence {
        text.push_str(&format!("\nwhat the nodes say is in {}", path.display()));
    }
    if taken_back {
        text.push_str("\nwhat was made is removed again; --keep leaves the nodes to be looked at");
    }
    text
}

fn full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn forbidden(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// The instances that could be meant.
fn instead(others: &[String]) -> String {
    match others {
        [] => String::new(),
        others => format!("; there are: {}, and --name says which is meant", others.join(", ")),
    }
}

/// Where a name was looked for.
fn within(namespace: &Option<String>) -> String {
    namespace.as_ref().map(|namespace| format!(" in namespace {namespace}")).unwrap_or_default()
}

/// What follows "there": the names, or that there are none.
fn listed(known: &[String]) -> String {
    if known.is_empty() { "are none".to_owned() } else { format!("are: {}", known.join(", ")) }
}

/// What `asked` said; that it is an answer of HTTP matters where nobody understood the other.
fn answer(asked: &str, status: u16, why: &str) -> String {
    match status {
        400 | 404 | 409 | 422 => why.to_owned(),
        _ if status < 500 => format!("{asked} answered {status}: {why}"),
        _ => format!(
            "{asked} answered {status}: {why}; `curtain status` says more, `curtain up` repairs"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_sentence() {
        let said = |status: u16| {
            let error = Error::answered(
                status,
                "the cluster",
                "read the identities",
                "so it is".to_owned(),
                "`curtain up` helps",
            );
            (error.to_string(), error.kind())
        };
        let refused = "the cluster refused to read the identities: so it is; `curtain up` helps";
        assert_eq!(said(401), (refused.to_owned(), Kind::Denied));
        assert_eq!(said(403), (refused.to_owned(), Kind::Denied));
        let denied = "denied: component:view on project shop. A person can allow it: so";
        let error =
            Error::answered(403, "the API", "look", denied.to_owned(), "`curtain up` helps");
        assert_eq!((error.to_string(), error.kind()), (denied.to_owned(), Kind::Denied));
        let full = "cannot read the identities: so it is";
        assert_eq!(said(507), (full.to_owned(), Kind::DiskFull));
        let not_there = "cannot read the identities: so it is";
        assert_eq!(said(404), (not_there.to_owned(), Kind::Other));
        let broken = "cannot read the identities: the cluster answered 500: so it is; \
                      `curtain status` says more, `curtain up` repairs";
        assert_eq!(said(500), (broken.to_owned(), Kind::Unreachable));
    }
}
