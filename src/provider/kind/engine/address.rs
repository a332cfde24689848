//! Where an Engine may be: the variables, contexts and sockets that Docker's own tools go by.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{Error, Surroundings};

/// The Engine's own socket or pipe.
pub(crate) const USUAL: &str =
    if cfg!(windows) { "npipe:////./pipe/docker_engine" } else { "unix:///var/run/docker.sock" };
/// Pipes of Engines on Windows, and whose they are.
const PIPES: [(&str, &str); 2] =
    [(USUAL, "Docker Desktop"), ("npipe:////./pipe/dockerDesktopLinuxEngine", "Docker Desktop")];

/// An address, and how it became known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// As in `DOCKER_HOST`.
    pub(crate) address: String,
    /// What names it, for people.
    pub(crate) by: String,
    /// Whether the user asked for this one: then no other will do.
    pub(crate) named: bool,
}

/// Every place where an Engine may be, the most wanted first. What the user names stands alone.
///
/// # Errors
/// A context that does not exist or cannot be read.
pub(crate) fn candidates(around: &Surroundings) -> Result<Vec<Found>, Error> {
    if let Some(address) = &around.docker_host {
        let by = "DOCKER_HOST".to_owned();
        return Ok(vec![Found { address: address.clone(), by, named: true }]);
    }
    if let Some(found) = context(around)? {
        return Ok(vec![found]);
    }
    let found = |(address, by): (String, &str)| Found { address, by: by.to_owned(), named: false };
    if cfg!(windows) {
        let there = PIPES.into_iter().filter(|(address, _)| is_there(&pipe(address)));
        return Ok(there.map(|(address, by)| found((address.to_owned(), by))).collect());
    }
    let there = sockets(around).into_iter().filter(|(path, _)| path.exists());
    Ok(there.map(|(path, by)| found((format!("unix://{}", path.display()), by))).collect())
}

/// The pipe of an address `npipe://…`, as Windows writes it.
pub(crate) fn pipe(address: &str) -> String {
    address.trim_start_matches("npipe://").replace('/', "\\")
}

/// Whether there is such a pipe. Looking at one opens it, which a busy one refuses.
pub(crate) fn is_there(pipe: &str) -> bool {
    !matches!(Path::new(pipe).try_exists(), Ok(false))
}

/// The usual sockets and whose they are.
fn sockets(around: &Surroundings) -> Vec<(PathBuf, &'static str)> {
    let mut sockets = vec![(PathBuf::from("/var/run/docker.sock"), "Docker Engine")];
    let below = |folder: &Option<PathBuf>, path: &str| folder.as_ref().map(|it| it.join(path));
    for (folder, path, by) in [
        (&around.runtime_dir, "docker.sock", "rootless Docker"),
        (&around.home, ".docker/run/docker.sock", "Docker Desktop"),
        (&around.home, ".docker/desktop/docker.sock", "Docker Desktop"),
        (&around.home, ".colima/default/docker.sock", "Colima"),
        (&around.home, ".rd/docker.sock", "Rancher Desktop"),
        (&around.runtime_dir, "podman/podman.sock", "Podman"),
    ] {
        sockets.extend(below(folder, path).map(|path| (path, by)));
    }
    sockets.push((PathBuf::from("/run/podman/podman.sock"), "Podman"));
    sockets
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientFile {
    current_context: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    name: String,
    endpoints: Endpoints,
}

#[derive(Deserialize)]
struct Endpoints {
    docker: Option<Endpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint {
    host: Option<String>,
}

/// The context in use, unless it is the default one, which means the usual sockets.
fn context(around: &Surroundings) -> Result<Option<Found>, Error> {
    let Some(folder) = &around.docker_config else { return Ok(None) };
    let (name, by) = match &around.docker_context {
        Some(name) => (name.clone(), "DOCKER_CONTEXT".to_owned()),
        None => {
            let path = folder.join("config.json");
            // A file that Docker itself cannot read is not ours to complain about.
            let file = std::fs::read(&path)
                .ok()
                .and_then(|bytes| serde_json::from_slice::<ClientFile>(&bytes).ok());
            match file.and_then(|file| file.current_context) {
                Some(name) => (name, format!("the current context in {}", path.display())),
                None => return Ok(None),
            }
        }
    };
    if name.is_empty() || name == "default" {
        return Ok(None);
    }
    let address = endpoint(folder, &name).ok_or_else(|| Error::NoContext {
        name: name.clone(),
        by: by.clone(),
        folder: folder.clone(),
    })?;
    Ok(Some(Found { address, by: format!("context {name:?}, {by}"), named: true }))
}

/// Contexts lie in folders called after a hash of their name; their file says the name itself.
fn endpoint(folder: &Path, name: &str) -> Option<String> {
    let entries = std::fs::read_dir(folder.join("contexts/meta")).ok()?;
    entries
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("meta.json")).ok())
        .filter_map(|bytes| serde_json::from_slice::<Meta>(&bytes).ok())
        .find(|meta| meta.name == name)
        .and_then(|meta| meta.endpoints.docker?.host)
}

/// `host:port` with a numeric loopback address, if that is where `host` leads.
pub(crate) fn on_this_machine(host: &str) -> Option<String> {
    let host = host.trim_end_matches('/').replacen("localhost", "127.0.0.1", 1);
    let address = match host.parse::<SocketAddr>() {
        Ok(address) => address,
        Err(_) => SocketAddr::new(host.parse::<IpAddr>().ok()?, 2375),
    };
    address.ip().is_loopback().then(|| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(around: &Surroundings) -> Vec<String> {
        candidates(around).unwrap().into_iter().map(|found| found.address).collect()
    }

    #[test]
    fn a_named_engine_stands_alone() {
        let dir = tempfile::tempdir().unwrap();
        let meta = dir.path().join("contexts/meta/abc");
        std::fs::create_dir_all(&meta).unwrap();
        let text =
            r#"{"Name":"colima","Metadata":{},"Endpoints":{"docker":{"Host":"unix:///c.sock"}}}"#;
        std::fs::write(meta.join("meta.json"), text).unwrap();
        let file = r#"{"auths":{},"currentContext":"colima"}"#;
        std::fs::write(dir.path().join("config.json"), file).unwrap();
        let mut around =
            Surroundings { docker_config: Some(dir.path().to_owned()), ..Surroundings::default() };
        assert_eq!(addresses(&around), ["unix:///c.sock"]);
        around.docker_context = Some("gone".into());
        let error = candidates(&around).unwrap_err().to_string();
        assert!(error.contains("gone") && error.contains("DOCKER_CONTEXT"), "{error}");
        around.docker_host = Some("tcp://127.0.0.1:2375".into());
        assert_eq!(addresses(&around), ["tcp://127.0.0.1:2375"]);
    }

    #[test]
    fn a_pipe_is_written_as_windows_does() {
        assert_eq!(pipe("npipe:////./pipe/docker_engine"), r"\\.\pipe\docker_engine");
    }

    #[cfg(unix)]
    #[test]
    fn without_a_name_the_sockets_that_exist_are_tried() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(".colima/default");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("docker.sock"), "").unwrap();
        let around = Surroundings { home: Some(dir.path().to_owned()), ..Surroundings::default() };
        let colima = format!("unix://{}", folder.join("docker.sock").display());
        assert!(addresses(&around).contains(&colima));
    }

    #[test]
    fn only_addresses_of_this_machine_are_used() {
        assert_eq!(on_this_machine("localhost:2375").as_deref(), Some("127.0.0.1:2375"));
        assert_eq!(on_this_machine("[::1]:1/").as_deref(), Some("[::1]:1"));
        assert_eq!(on_this_machine("127.0.0.1").as_deref(), Some("127.0.0.1:2375"));
        assert_eq!(on_this_machine("10.0.0.1:2375"), None);
        assert_eq!(on_this_machine("example.org:2375"), None);
    }
}
