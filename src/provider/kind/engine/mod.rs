//! The Docker Engine: a thin layer over its API that bounds every call and explains every refusal.

pub(crate) mod address;
mod exec;

use std::time::Duration;

use bollard::{ClientVersion, Docker, errors::Error as Api};

pub(crate) use exec::last_lines;

use crate::Error;

/// How long an Engine may take to say that it is there.
const GREETING: Duration = Duration::from_secs(3);
/// How long the Engine may take to begin an answer.
const ANSWER: Duration = Duration::from_secs(120);
/// The oldest API that has all that nodes need (a private cgroup namespace): that of Docker 20.10.
const OLDEST: ClientVersion = ClientVersion { major_version: 1, minor_version: 41 };
/// The newest API this is written for; an older Engine is spoken to in its own.
const NEWEST: ClientVersion = ClientVersion { major_version: 1, minor_version: 47 };

/// A Docker Engine that answered.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    docker: Docker,
    address: String,
}

impl Engine {
    /// Connects to the Engine at `address`, as in `DOCKER_HOST`, and settles on a version of its API.
    ///
    /// # Errors
    /// An address that cannot be used, and an Engine that does not answer, may not be asked, or is too old.
    pub(crate) async fn connect(address: &str) -> Result<Self, Error> {
        let docker = open(address)?;
        let greeting = tokio::time::timeout(GREETING, docker.negotiate_version()).await;
        let docker = match greeting {
            Ok(answer) => answer.map_err(|source| unreachable(address, &source))?,
            Err(_) => {
                let why = format!("it does not answer within {} s", GREETING.as_secs());
                return Err(Error::NoEngine { address: address.to_owned(), why });
            }
        };
        if docker.client_version() < OLDEST {
            let version = docker.client_version();
            let why = format!(
                "its API is version {version}, and nodes need {OLDEST} (Docker 20.10) or later"
            );
            return Err(Error::NoEngine { address: address.to_owned(), why });
        }
        Ok(Self { docker, address: address.to_owned() })
    }

    /// The Engine of a cluster.
    ///
    /// # Errors
    /// As for [`Self::connect`]; and a cluster that was made without one.
    pub(crate) async fn of(spec: &crate::ClusterSpec) -> Result<Self, Error> {
        let address = spec.settings.engine.as_deref().unwrap_or(address::USUAL);
        Self::connect(address).await
    }

    /// Its API.
    pub(crate) fn api(&self) -> &Docker {
        &self.docker
    }

    /// Its address, as in `DOCKER_HOST`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Waits for an answer of the Engine, and names what was tried where there is none.
    ///
    /// # Errors
    /// The Engine's refusal, or none in time.
    pub(crate) async fn call<T>(
        &self,
        tried: impl Into<String>,
        answer: impl Future<Output = Result<T, Api>>,
    ) -> Result<T, Error> {
        self.within(ANSWER, tried, answer).await
    }

    /// As [`Self::call`], for at most `limit`.
    ///
    /// # Errors
    /// As for [`Self::call`].
    pub(crate) async fn within<T>(
        &self,
        limit: Duration,
        tried: impl Into<String>,
        answer: impl Future<Output = Result<T, Api>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(limit, answer).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(source)) => Err(self.error(tried, source)),
            Err(_) => Err(self.error(tried, Api::RequestTimeoutError)),
        }
    }

    /// The error that `tried` failed.
    pub(crate) fn error(&self, tried: impl Into<String>, source: Api) -> Error {
        Error::Engine {
            address: self.address.clone(),
            tried: tried.into(),
            source: Box::new(source),
        }
    }
}

/// Whether the Engine says that something does not exist.
pub(crate) fn is_absent(error: &Api) -> bool {
    status(error) == Some(404)
}

/// Whether the Engine says that something exists already, or is just being removed.
pub(crate) fn is_conflict(error: &Api) -> bool {
    status(error) == Some(409)
}

fn status(error: &Api) -> Option<u16> {
    match error {
        Api::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// `Ok(None)` where the Engine says that it does not exist.
///
/// # Errors
/// Every other error.
pub(crate) fn optional<T>(answer: Result<T, Api>) -> Result<Option<T>, Api> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn open(address: &str) -> Result<Docker, Error> {
    let unusable = |why: &str| Error::NoEngine { address: address.to_owned(), why: why.to_owned() };
    let seconds = ANSWER.as_secs();
    #[cfg(unix)]
    if let Some(path) = address.strip_prefix("unix://") {
        if !std::path::Path::new(path).exists() {
            return Err(unusable("there is no such socket"));
        }
        return Docker::connect_with_unix(path, seconds, &NEWEST)
            .map_err(|error| unreachable(address, &error));
    }
    #[cfg(windows)]
    if address.starts_with("npipe://") {
        let pipe = address::pipe(address);
        if !address::is_there(&pipe) {
            return Err(unusable("there is no such pipe; start Docker Desktop"));
        }
        return Docker::connect_with_named_pipe(&pipe, seconds, &NEWEST)
            .map_err(|error| unreachable(address, &error));
    }
    if let Some(host) = address.strip_prefix("tcp://").or(address.strip_prefix("http://")) {
        let host = address::on_this_machine(host).ok_or_else(|| {
            unusable(
                "its nodes would be on another machine, where their ports cannot be reached; \
                 use an Engine on this one",
            )
        })?;
        return Docker::connect_with_http(&host, seconds, &NEWEST)
            .map_err(|error| unreachable(address, &error));
    }
    let local = if cfg!(windows) { "npipe://" } else { "unix://" };
    Err(unusable(&format!("only {local} and tcp:// on this machine can be used")))
}

fn unreachable(address: &str, error: &Api) -> Error {
    let mut why = error.to_string();
    // The cause is at the end of the chain: refused, no permission, no such file.
    let mut next: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::PermissionDenied
        {
            return Error::EngineDenied { address: address.to_owned() };
        }
        why = error.to_string();
        next = error.source();
    }
    Error::NoEngine { address: address.to_owned(), why }
}
