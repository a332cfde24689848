//! What the Engine says of the machine it runs on.

use bollard::models::SystemInfo;

use super::engine::Engine;
use crate::Error;

/// The Engine's machine, as far as nodes are concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    /// Version of the Engine.
    pub(crate) version: String,
    /// Its operating system, for example `Docker Desktop`.
    pub(crate) system: String,
    /// What its containers run on, `linux` or `windows`; empty if it does not say.
    pub(crate) containers: String,
    /// Its architecture as images call it; empty if it does not say.
    pub(crate) architecture: String,
    /// Memory of the machine in bytes.
    pub(crate) memory: u64,
    /// Its processors.
    pub(crate) cpus: u64,
    /// Version of control groups, 1 or 2.
    pub(crate) cgroups: u8,
    /// The time there, RFC 3339.
    pub(crate) time: String,
    /// Where the Engine keeps its data, on its machine.
    pub(crate) root: String,
    /// Whether user ids are remapped, which privileged containers must not be.
    pub(crate) remapped: bool,
    /// Whether the Engine runs without root.
    pub(crate) rootless: bool,
    /// Whether nodes need `/dev/mapper`: storage on btrfs, zfs or xfs.
    pub(crate) device_mapper: bool,
    /// Whether nodes need `/dev/fuse` by name: a rootless Engine gives it to none.
    pub(crate) fuse: bool,
}

impl Machine {
    /// Asks the Engine.
    ///
    /// # Errors
    /// An Engine that does not answer.
    pub(crate) async fn of(engine: &Engine) -> Result<Self, Error> {
        let info = engine.call("ask the Engine about its machine", engine.api().info()).await?;
        Ok(Self::from(info))
    }

    /// Checks that it can run the program that the platform's image holds, which is for the architecture that this
    /// one is for.
    ///
    /// # Errors
    /// [`Error::OtherContainers`] and [`Error::OtherArchitecture`].
    pub(crate) fn runs_the_platform(&self, engine: &Engine) -> Result<(), Error> {
        let address = engine.address().to_owned();
        if !["", "linux"].contains(&self.containers.as_str()) {
            return Err(Error::OtherContainers { address, theirs: self.containers.clone() });
        }
        let ours = image_architecture(std::env::consts::ARCH);
        if self.architecture.is_empty() || self.architecture == ours {
            return Ok(());
        }
        Err(Error::OtherArchitecture { address, theirs: self.architecture.clone(), ours })
    }

    /// Its clock, in seconds since 1970; 0 if it does not say.
    pub(crate) fn seconds(&self) -> i64 {
        self.time.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_second)
    }
}

/// What images call the architecture that kernels and compilers call `name`.
pub(crate) fn image_architecture(name: &str) -> &str {
    match name {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

impl From<SystemInfo> for Machine {
    fn from(info: SystemInfo) -> Self {
        let security = info.security_options.unwrap_or_default();
        let has = |name: &str| security.iter().any(|one| one.contains(&format!("name={name}")));
        let driver = info.driver.unwrap_or_default();
        let backing = info.driver_status.unwrap_or_default().into_iter().flatten();
        let storage: Vec<String> = std::iter::once(driver).chain(backing).collect();
        let rootless = has("rootless");
        Self {
            version: info.server_version.unwrap_or_default(),
            system: info.operating_system.unwrap_or_default(),
            containers: info.os_type.unwrap_or_default(),
            architecture: image_architecture(&info.architecture.unwrap_or_default()).to_owned(),
            memory: info.mem_total.and_then(|bytes| bytes.try_into().ok()).unwrap_or(0),
            cpus: info.ncpu.and_then(|count| count.try_into().ok()).unwrap_or(0),
            cgroups: match info.cgroup_version.map(|version| version.to_string()).as_deref() {
                Some("2") => 2,
                _ => 1,
            },
            time: info.system_time.unwrap_or_default(),
            root: info.docker_root_dir.unwrap_or_default(),
            remapped: has("userns"),
            rootless,
            device_mapper: storage.iter().any(|one| ["btrfs", "zfs", "xfs"].contains(&&**one)),
            fuse: rootless,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_to_nodes_is_read_from_the_engines_answer() {
        let info: SystemInfo = serde_json::from_str(
            r#"{"ServerVersion":"27.1","OSType":"linux","Architecture":"aarch64","MemTotal":8000000000,"NCPU":4,"CgroupVersion":"2",
                "Driver":"overlay2","DriverStatus":[["Backing Filesystem","xfs"]],
                "SecurityOptions":["name=seccomp,profile=builtin","name=rootless","name=cgroupns"]}"#,
        )
        .unwrap();
        let machine = Machine::from(info);
        assert_eq!((machine.cgroups, machine.cpus), (2, 4));
        assert_eq!((&*machine.containers, &*machine.architecture), ("linux", "arm64"));
        assert!(machine.rootless && machine.fuse && machine.device_mapper && !machine.remapped);
    }
}
