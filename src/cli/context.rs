//! What every verb starts from: the instance that is meant, and how to answer.

use std::{path::PathBuf, time::Duration};

use curtain_appliance::{
    DEFAULT, FaultPlan, Home, Homes, InstanceName, access::Access, clients::Scope,
};
use directories::{BaseDirs, ProjectDirs};

use crate::{
    args::Common,
    environment,
    exit::Exit,
    failure::Failure,
    fit,
    output::{self, Format, Style},
};

/// How long a command that waited in vain may take to say for what.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Which instance a verb means where nobody names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unnamed {
    /// A new one of its own.
    Own,
    /// The one called `default`, whatever others there are: what is made or taken away is never guessed.
    Default,
    /// The only one there is, or else `default`.
    Only,
}

/// The surroundings of a verb.
pub(crate) struct Context {
    pub(crate) homes: Homes,
    pub(crate) home: Home,
    /// The folder of all instances, if it is not the default.
    pub(crate) custom_home: Option<PathBuf>,
    pub(crate) format: Format,
    /// What `--timeout` says.
    pub(crate) timeout: Option<Duration>,
    pub(crate) faults: FaultPlan,
    pub(crate) style: Style,
}

impl Context {
    /// The surroundings of a verb, which means `unnamed` where nobody names an instance.
    pub(crate) fn new(common: &Common, unnamed: Unnamed) -> Result<Self, Failure> {
        let custom_home = environment::path(environment::HOME);
        let root = match &custom_home {
            Some(root) => root.clone(),
            None => ProjectDirs::from("", "", "curtain")
                .map(|folders| folders.data_local_dir().to_owned())
                .ok_or_else(|| {
                    Failure::new(
                        Exit::Usage,
                        "there is no home folder; set CURTAIN_HOME to a folder",
                    )
                })?,
        };
        let usage = |error: curtain_appliance::Error| Failure::new(Exit::Usage, error.to_string());
        let homes = Homes::new(root);
        let name = match (&common.name, unnamed) {
            (Some(name), _) => name.parse().map_err(usage)?,
            (None, Unnamed::Own) => InstanceName::random("run"),
            (None, unnamed) => match environment::variable(environment::NAME) {
                Some(name) => name.to_string_lossy().parse().map_err(usage)?,
                None if unnamed == Unnamed::Only => homes.usual()?,
                None => DEFAULT.parse().map_err(usage)?,
            },
        };
        let home = homes.instance(&name);
        let faults = environment::variable(environment::FAULT).unwrap_or_default();
        let faults =
            faults.to_string_lossy().parse().map_err(|why| Failure::new(Exit::Usage, why))?;
        Ok(Self {
            homes,
            home,
            custom_home,
            format: common.output,
            timeout: common.timeout,
            faults,
            style: Style::stdout(),
        })
    }

    /// The same for another instance.
    pub(crate) fn beside(&self, name: InstanceName) -> Self {
        Self {
            homes: self.homes.clone(),
            home: self.homes.instance(&name),
            custom_home: self.custom_home.clone(),
            format: self.format,
            timeout: self.timeout,
            faults: self.faults.clone(),
            style: self.style,
        }
    }

    /// How long a verb may take: what the user said, or `usual` seconds.
    pub(crate) fn timeout(&self, usual: u64) -> Duration {
        self.timeout.unwrap_or(Duration::from_secs(usual))
    }

    /// The flags by which another command of this program is about the same instance, answers alike and may take as long.
    pub(crate) fn flags(&self) -> Vec<String> {
        let mut flags = vec![format!("--name={}", self.home.name())];
        flags.push(format!("--output={}", self.format.word()));
        flags.extend(self.timeout.map(|limit| format!("--timeout={}s", limit.as_secs())));
        flags
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// How wide a table may be, if it must fit.
    pub(crate) fn columns(&self) -> Option<usize> {
        if self.format == Format::Wide { None } else { fit::columns() }
    }

    /// A way into the instance, which must exist.
    pub(crate) fn access(&self) -> Result<Access, Failure> {
        Ok(Access::to(&self.homes, &self.home)?)
    }

    /// `failure`, with `how` to go on or back, where something of the instance is recorded.
    pub(crate) fn recorded(&self, failure: Failure, how: &str) -> Failure {
        if !self.home.exists() {
            return failure;
        }
        let space = if failure.exit == Exit::DiskFull { "free some space; " } else { "" };
        failure.next(format!("{space}what was done is recorded: {how}"))
    }

    /// Waits for `answer` of the instance, for as long as the user says or `usual` seconds.
    pub(crate) async fn within<T>(
        &self,
        usual: u64,
        answer: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let limit = self.timeout(usual);
        tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| {
            let name = self.home.name();
            let message =
                format!("instance {name} did not answer within {:.0} s", limit.as_secs_f32());
            let next = "`curtain doctor` looks for the cause";
            Err(Failure::new(Exit::Timeout, message).next(next))
        })
    }

    /// How long what runs [`Self::within`] the limit may wait by itself: a little less, so that it still says for what.
    pub(crate) fn inner(&self, usual: u64) -> Duration {
        let limit = self.timeout(usual);
        limit - (limit / 10).min(LAST_WORDS)
    }

    /// Writes a note for people, with the instance in its commands.
    pub(crate) fn note(&self, text: &str) {
        output::note(&self.home.name().in_commands(text));
    }
}

/// This user's folders.
pub(crate) fn user() -> Result<Scope, Failure> {
    let folders = BaseDirs::new()
        .ok_or_else(|| Failure::new(Exit::Failed, "there is no home folder; set HOME"))?;
    Ok(Scope::User { home: folders.home_dir().to_owned(), config: folders.config_dir().to_owned() })
}

/// The file that `--merge-kubeconfig` edits.
pub(crate) fn kubeconfig() -> Result<PathBuf, Failure> {
    // A list of files is read by kubectl as one; its first is where it writes.
    if let Some(list) = environment::variable("KUBECONFIG")
        && let Some(first) = std::env::split_paths(&list).find(|path| !path.as_os_str().is_empty())
    {
        return Ok(std::path::absolute(&first).unwrap_or(first));
    }
    match user()? {
        Scope::User { home, .. } => Ok(home.join(".kube/config")),
        Scope::Project(folder) => Ok(folder.join(".kube/config")),
    }
}
