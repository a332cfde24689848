//! What an embedded cluster is made of: the one settings file every process of an instance reads.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use curtain_role::Instance;
use serde::{Deserialize, Serialize};

use crate::files;
use crate::{Error, Reach, Registries};

/// The settings of one embedded cluster, stored as `<home>/config.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterConfig {
    /// Version of this file's format; [`ClusterConfig::VERSION`] is the one written and read here.
    pub version: u32,
    /// Name of the instance; the node is called `curtain-<instance>`.
    pub instance: String,
    /// Everything the cluster keeps lies below this absolute directory.
    pub home: PathBuf,
    /// The executable that node and shims are started from: a copy that does not change while the instance lives.
    pub binary: PathBuf,
    /// Image reference that stands for `binary` itself.
    pub own_image: String,
    /// Where the API server listens on the host: a loopback address, unless others shall reach it.
    pub api_listen: SocketAddr,
    /// Host listeners that lead to Services.
    pub front_doors: Vec<FrontDoor>,
    /// Range of the Services' virtual addresses.
    pub service_cidr: Cidr,
    /// Range of the pods' addresses.
    pub pod_cidr: Cidr,
    /// How others reach the node.
    #[serde(default)]
    pub reach: Reach,
    /// How the registries of images are asked.
    #[serde(default)]
    pub registries: Registries,
    /// Whether the node looks at its pods' connections and counts them.
    #[serde(default = "yes")]
    pub sight: bool,
    /// Whether pods, pulls of images and questions to webhooks stay on this machine; pods on the host's own network are not held.
    #[serde(default)]
    pub offline: bool,
}

fn yes() -> bool {
    true
}

/// A host listener that leads to one port of a Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrontDoor {
    /// Host address to accept connections on.
    pub listen: SocketAddr,
    /// Namespace of the Service.
    pub namespace: String,
    /// Name of the Service.
    pub service: String,
    /// Port of the Service (not of its pods).
    pub port: u16,
}

impl ClusterConfig {
    /// The format version this build writes and reads.
    pub const VERSION: u32 = 1;

    /// Reads the settings file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let bytes = files::read(path)?;
        let mut config: Self = serde_json::from_slice(&bytes)
            .map_err(|source| Error::Format { path: path.to_owned(), source })?;
        if config.version != Self::VERSION {
            return Err(Error::Version {
                path: path.to_owned(),
                found: config.version,
                known: Self::VERSION,
            });
        }
        config.registries.offline = config.offline;
        Ok(config)
    }

    /// Writes the settings to [`ClusterConfig::path`] (0600, atomically).
    pub fn write(&self) -> Result<(), Error> {
        files::make_private_dir(&self.home)?;
        files::write_private(&self.path(), &self.encode()?)
    }

    /// The content of the settings file.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec_pretty(self)
            .map_err(|source| Error::Format { path: self.path(), source })
    }

    /// The settings file itself.
    pub fn path(&self) -> PathBuf {
        self.home.join("config.json")
    }

    /// Name of the one node.
    pub fn node_name(&self) -> String {
        self.reach.node_name.clone().unwrap_or_else(|| format!("curtain-{}", self.instance))
    }

    /// Where this machine itself reaches the API server: loopback, when it listens on every address.
    pub fn api_address(&self) -> SocketAddr {
        let mut address = self.api_listen;
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        address
    }

    /// A command of this program that acts on this instance: `words` are what follows the program's name.
    pub(crate) fn command(&self, words: &str) -> String {
        Instance::new(&self.instance).command(words)
    }

    /// Certificates and keys.
    pub fn pki_dir(&self) -> PathBuf {
        self.home.join("pki")
    }

    /// The administrator's kubeconfig.
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.home.join("admin.kubeconfig")
    }

    /// Objects of the API server.
    pub fn data_dir(&self) -> PathBuf {
        self.home.join("data")
    }

    /// What pods keep while they exist: volumes and writable layers.
    pub fn pods_dir(&self) -> PathBuf {
        self.home.join("pods")
    }

    /// Seccomp profiles that pods name as `Localhost`; whoever owns the machine puts them there.
    pub fn seccomp_dir(&self) -> PathBuf {
        self.home.join("seccomp")
    }

    /// What outlives pods: the directories of PersistentVolumes that are made for claims.
    pub fn volumes_dir(&self) -> PathBuf {
        self.home.join("volumes")
    }

    /// Container logs in CRI format, `<namespace>_<pod>_<uid>/<container>/<attempt>.log`.
    pub fn logs_dir(&self) -> PathBuf {
        self.home.join("logs")
    }

    /// Process records and the supervisor's lock.
    pub fn run_dir(&self) -> PathBuf {
        self.home.join("run")
    }

    /// Address of the Service `default/kubernetes`: the first of the service range.
    pub fn api_service_ip(&self) -> Ipv4Addr {
        self.service_cidr.host(1)
    }

    /// Address of the cluster's name server: the tenth of the service range.
    pub fn dns_service_ip(&self) -> Ipv4Addr {
        self.service_cidr.host(10)
    }
}

/// An IPv4 range, written `a.b.c.d/len`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr {
    network: Ipv4Addr,
    prefix: u8,
}

impl Cidr {
    /// The range that holds `address`, with its host bits cleared. `prefix` above 32 counts as 32.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Self {
        let prefix = prefix.min(32);
        Self { network: Ipv4Addr::from_bits(address.to_bits() & mask(prefix)), prefix }
    }

    /// First address of the range.
    pub fn network(&self) -> Ipv4Addr {
        self.network
    }

    /// Number of leading bits that all addresses share.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// How many addresses the range has.
    pub fn size(&self) -> u64 {
        1 << (32 - u32::from(self.prefix))
    }

    /// Whether `address` lies in the range.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.prefix) == self.network.to_bits()
    }

    /// The `n`th address of the range, counted from its network address; wraps inside the range.
    pub fn host(&self, n: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network.to_bits() | (n & !mask(self.prefix)))
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or_default()
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

impl FromStr for Cidr {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = || Error::Cidr(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(invalid)?;
        let address: Ipv4Addr = address.parse().map_err(|_| invalid())?;
        let prefix: u8 = prefix.parse().map_err(|_| invalid())?;
        let cidr = Self::new(address, prefix);
        if prefix > 32 || cidr.network != address {
            return Err(invalid());
        }
        Ok(cidr)
    }
}

impl Serialize for Cidr {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cidr_knows_its_addresses() {
        let cidr: Cidr = "10.96.0.0/16".parse().unwrap();
        assert_eq!(cidr.to_string(), "10.96.0.0/16");
        assert_eq!(cidr.host(10), Ipv4Addr::new(10, 96, 0, 10));
        assert!(cidr.contains(Ipv4Addr::new(10, 96, 255, 1)));
        assert!(!cidr.contains(Ipv4Addr::new(10, 97, 0, 1)));
        assert_eq!(Cidr::new(Ipv4Addr::UNSPECIFIED, 0).size(), 1 << 32);
        for bad in ["10.96.0.1/16", "10.96.0.0", "10.96.0.0/33", "x/8"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn another_version_of_the_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = sample(dir.path());
        config.version = 2;
        config.write().unwrap();
        let error = ClusterConfig::read(&config.path()).unwrap_err();
        assert!(matches!(error, Error::Version { found: 2, .. }), "{error}");
    }

    #[test]
    fn the_file_keeps_everything() {
        let dir = tempfile::tempdir().unwrap();
        let config = sample(dir.path());
        config.write().unwrap();
        assert_eq!(ClusterConfig::read(&config.path()).unwrap(), config);
    }

    #[test]
    fn a_file_that_knows_nothing_of_reach_still_reads() {
        let dir = tempfile::tempdir().unwrap();
        let config = sample(dir.path());
        let mut older: serde_json::Value =
            serde_json::from_slice(&config.encode().unwrap()).unwrap();
        for newer in ["reach", "registries", "sight", "offline"] {
            older.as_object_mut().unwrap().remove(newer).unwrap();
        }
        files::write_private(&config.path(), older.to_string().as_bytes()).unwrap();
        let read = ClusterConfig::read(&config.path()).unwrap();
        assert_eq!(read, config);
        assert_eq!(read.node_name(), "curtain-test");
    }

    #[test]
    fn a_cluster_that_is_offline_stays_so() {
        let dir = tempfile::tempdir().unwrap();
        let config = ClusterConfig { offline: true, ..sample(dir.path()) };
        files::write_private(&config.path(), &config.encode().unwrap()).unwrap();
        let read = ClusterConfig::read(&config.path()).unwrap();
        assert!(crate::node::network::Settings::from(&read).offline);
        assert!(!read.registries.may_ask("ghcr.io"));
    }

    #[test]
    fn what_earlier_builds_wrote_of_registries_reads_and_the_cluster_decides() {
        let dir = tempfile::tempdir().unwrap();
        for offline in [true, false] {
            let config = ClusterConfig { offline, ..sample(dir.path()) };
            let mut older: serde_json::Value =
                serde_json::from_slice(&config.encode().unwrap()).unwrap();
            older["registries"]["offline"] = true.into();
            files::write_private(&config.path(), older.to_string().as_bytes()).unwrap();
            let read = ClusterConfig::read(&config.path()).unwrap();
            assert_eq!(read.registries.may_ask("ghcr.io"), !offline);
        }
    }

    #[test]
    fn every_address_means_loopback_to_the_machine_itself() {
        let mut config = sample(Path::new("/nowhere"));
        config.api_listen = "0.0.0.0:6443".parse().unwrap();
        assert_eq!(config.api_address().to_string(), "127.0.0.1:6443");
        config.api_listen = "192.0.2.1:6443".parse().unwrap();
        assert_eq!(config.api_address(), config.api_listen);
    }

    fn sample(home: &Path) -> ClusterConfig {
        ClusterConfig {
            version: ClusterConfig::VERSION,
            instance: "test".into(),
            home: home.to_owned(),
            binary: "/bin/true".into(),
            own_image: "docker.io/library/curtain:test".into(),
            api_listen: SocketAddr::from(([127, 0, 0, 1], 6443)),
            front_doors: vec![FrontDoor {
                listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
                namespace: "default".into(),
                service: "web".into(),
                port: 80,
            }],
            service_cidr: "10.96.0.0/16".parse().unwrap(),
            pod_cidr: "10.244.0.0/16".parse().unwrap(),
            reach: Reach::default(),
            registries: Registries::default(),
            sight: true,
            offline: false,
        }
    }
}
