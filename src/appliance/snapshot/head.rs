//! What a snapshot says of itself, and whether it is one of an instance.

use std::path::{Path, PathBuf};

use curtain_provider::Contents;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::SnapshotName;
use crate::{Error, Home, Instance, InstanceName, instance::Ports, steps::agent::AgentStep};

/// Version of the format this build writes, and the only one it reads: a state belongs to a build anyway.
const VERSION: u32 = 1;

/// What stands at the beginning of a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Head {
    /// Version of this format.
    version: u32,
    /// The snapshot's name.
    pub(super) name: SnapshotName,
    /// When it was made.
    pub(super) created: Timestamp,
    /// The instance.
    pub(super) instance: InstanceName,
    /// The provider of its cluster.
    provider: String,
    /// The build that the instance was made by.
    build: String,
    /// The instance's folder: paths of volumes in the state begin with it.
    home: PathBuf,
    /// The instance's ports: URLs in the state have them.
    ports: Ports,
    /// Components that it had; unknown if nobody could be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) components: Option<usize>,
    /// The agents that were recorded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) agents: Vec<AgentStep>,
    /// How much there is of everything.
    pub(super) contents: Contents,
}

/// The version alone: what else there is depends on it.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Head {
    /// Of a snapshot `name` of the instance in `home`, made now.
    pub(super) fn new(
        name: SnapshotName,
        created: Timestamp,
        home: &Home,
        instance: &Instance,
    ) -> Self {
        Self {
            version: VERSION,
            name,
            created,
            instance: instance.name.clone(),
            provider: instance.provider.clone(),
            build: instance.build.clone(),
            home: home.path().to_owned(),
            ports: instance.ports,
            components: None,
            agents: Vec::new(),
            contents: Contents::default(),
        }
    }

    /// Reads what the snapshot `file` begins with.
    ///
    /// # Errors
    /// Another version, or something else altogether.
    pub(super) fn parse(bytes: &[u8], file: &Path) -> Result<Self, Error> {
        let unclear = |error: serde_json::Error| Error::Stored {
            path: file.to_owned(),
            why: error.to_string(),
        };
        let Versioned { version } = serde_json::from_slice(bytes).map_err(unclear)?;
        if version != VERSION {
            let why = format!("it has version {version}, and this build knows version {VERSION}");
            return Err(Error::Stored { path: file.to_owned(), why });
        }
        serde_json::from_slice(bytes).map_err(unclear)
    }

    /// Checks that the snapshot `file` is one of the instance in `home`.
    ///
    /// # Errors
    /// What differs.
    pub(super) fn is_of(&self, home: &Home, instance: &Instance, file: &Path) -> Result<(), Error> {
        if self.build != instance.build {
            return Err(Error::SnapshotBuild {
                file: file.to_owned(),
                there: self.build.clone(),
                here: instance.build.clone(),
            });
        }
        let why = if self.instance != instance.name {
            format!("it is one of instance {}", self.instance)
        } else if self.home != home.path() {
            format!("it is one of the instance in {}", self.home.display())
        } else if self.provider != instance.provider {
            format!("it is one of an instance on {}", self.provider)
        } else if self.ports != instance.ports {
            let Ports { portal, mcp, gateway, api, .. } = self.ports;
            format!("its instance had the ports {portal}, {mcp}, {gateway} and {api}")
        } else {
            return Ok(());
        };
        let (file, instance) = (file.to_owned(), instance.name.to_string());
        Err(Error::OtherSnapshot { file, instance, why })
    }
}

#[cfg(test)]
mod tests {
    use curtain_provider::Settings;

    use super::*;
    use crate::{Homes, Kind, NodePorts};

    fn instance() -> (Home, Instance) {
        let home = Homes::new("/data").instance(&"lab".parse().unwrap());
        let instance = Instance {
            version: 1,
            name: "lab".parse().unwrap(),
            provider: "embedded".into(),
            build: "b".repeat(12),
            image: "curtain:b".into(),
            ports: Ports { portal: 1, mcp: 2, gateway: 3, api: 4, node: NodePorts::default() },
            settings: Settings::default(),
        };
        (home, instance)
    }

    fn head() -> Head {
        let (home, instance) = instance();
        let created = "2026-05-04T03:02:01Z".parse().unwrap();
        let mut head = Head::new("step-1".parse().unwrap(), created, &home, &instance);
        head.components = Some(11);
        head.agents = vec![AgentStep::reader("cursor".to_owned(), None)];
        head.contents.entries = 7;
        head
    }

    #[test]
    fn a_head_is_read_as_it_was_written_and_another_version_is_refused() {
        let file = Path::new("/x.tar.gz");
        let bytes = serde_json::to_vec(&head()).unwrap();
        assert_eq!(Head::parse(&bytes, file).unwrap(), head());
        for (bad, why) in [
            (&b"{\"version\": 2, \"new\": true}"[..], "version 2"),
            (b"{}", "version"),
            (b"\0", "expected"),
            (b"{\"version\": 1}", "missing field"),
        ] {
            let error = Head::parse(bad, file).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("/x.tar.gz"), "{error}");
        }
    }

    #[test]
    fn the_stored_format_is_the_one_that_former_builds_wrote() {
        let known = r#"{"version":1,"name":"step-1","created":"2026-05-04T03:02:01Z","instance":"lab",
            "provider":"embedded","build":"bbbbbbbbbbbb","home":"/data/lab",
            "ports":{"portal":1,"mcp":2,"gateway":3,"api":4,"node":{"portal":0,"mcp":0,"gateway":0}},
            "components":11,"agents":[{"agent":"cursor","groups":["agents"]}],
            "contents":{"entries":7,"bytes":0,"room":0,"pods":0,"volumes":0,"images":0}}"#;
        assert_eq!(Head::parse(known.as_bytes(), Path::new("/x")).unwrap(), head());
    }

    #[test]
    fn only_a_snapshot_of_this_instance_in_this_folder_with_this_build_and_ports_is_its_own() {
        let (home, instance) = instance();
        let file = Path::new("/x.tar.gz");
        head().is_of(&home, &instance, file).unwrap();
        let differs = |change: &dyn Fn(&mut Head)| {
            let mut other = head();
            change(&mut other);
            let error = other.is_of(&home, &instance, file).unwrap_err();
            assert!(error.to_string().contains("/x.tar.gz"), "{error}");
            (error.kind(), error.to_string())
        };
        let (kind, said) = differs(&|head| head.build = "c".repeat(12));
        assert_eq!(kind, Kind::VersionMismatch);
        assert!(said.contains("cccccccccccc") && said.contains("bbbbbbbbbbbb"), "{said}");
        for (change, why) in [
            (
                &(|head: &mut Head| head.instance = "other".parse().unwrap()) as &dyn Fn(&mut Head),
                "other",
            ),
            (&|head| head.home = "/elsewhere/lab".into(), "/elsewhere/lab"),
            (&|head| head.provider = "kind".into(), "kind"),
            (&|head| head.ports.portal = 9, "9, 2, 3 and 4"),
        ] {
            let (kind, said) = differs(change);
            assert_eq!(kind, Kind::BadInput, "{said}");
            assert!(said.contains(why), "{said}");
        }
    }
}
