//! What an instance is: provider, image and ports, decided once and kept for its life.

use std::{
    fs,
    io::{self, Read},
    net::{Ipv4Addr, TcpListener},
};

use curtain_provider::{ClusterSpec, Door, Settings};
use serde::{Deserialize, Serialize};

use crate::{Error, Home, InstanceName, home::write_atomic};

/// Version of `instance.json` this build writes.
pub(crate) const VERSION: u32 = 1;

/// An instance, as stored in its home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// Version of this format.
    pub version: u32,
    /// The instance's name.
    pub name: InstanceName,
    /// Name of the provider of its cluster.
    pub provider: String,
    /// Build that made it: the first twelve hex digits of the program's SHA-256.
    pub build: String,
    /// Reference of the platform's image.
    pub image: String,
    /// Its ports on 127.0.0.1.
    pub ports: Ports,
    /// What was decided about its cluster.
    #[serde(default, skip_serializing_if = "Settings::is_default")]
    pub settings: Settings,
}

/// Ports on 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// Portal, REST API and identity.
    pub portal: u16,
    /// MCP with a bearer token.
    pub mcp: u16,
    /// Applications.
    pub gateway: u16,
    /// The cluster's API.
    pub api: u16,
    /// Ports of the cluster's nodes, one for each door.
    #[serde(default)]
    pub node: NodePorts,
}

/// Ports of the cluster's nodes that lead to the doors; 0 in instances that were made before they were chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodePorts {
    /// Of the door `portal`.
    pub portal: u16,
    /// Of the door `mcp`.
    pub mcp: u16,
    /// Of the door `gateway`.
    pub gateway: u16,
}

/// Ports that are taken if nobody has them, in the order of [`Ports`].
const PREFERRED: [u16; 4] = [8080, 8081, 19080, 6443];
/// The same for [`NodePorts`].
const PREFERRED_NODE: [u16; 3] = [30080, 30081, 31908];
/// Where Kubernetes has its node ports.
const NODE_PORTS: std::ops::RangeInclusive<u16> = 30000..=32767;

/// URLs of an instance, as `up -o json` prints them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoints {
    /// The web portal.
    pub portal: String,
    /// The REST API; clients add `/api/v1`.
    pub api: String,
    /// The control plane's MCP server (bearer token).
    pub mcp: String,
    /// The observer's MCP server (bearer token).
    pub observer_mcp: String,
    /// The SRE agent's MCP server (bearer token).
    pub sre_agent_mcp: String,
    /// Where applications answer.
    pub gateway: String,
}

impl Instance {
    /// Reads the instance in `home`; `None` if there is none.
    ///
    /// # Errors
    /// A file that cannot be read or understood.
    pub fn read(home: &Home) -> Result<Option<Self>, Error> {
        let path = home.state();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::file("read", path, source)),
        };
        let instance: Self = serde_json::from_slice(&bytes)
            .map_err(|error| Error::Stored { path: path.clone(), why: error.to_string() })?;
        if instance.version > VERSION {
            let why = format!(
                "it has version {}, and this build knows versions up to {VERSION}",
                instance.version
            );
            return Err(Error::Stored { path, why });
        }
        Ok(Some(instance))
    }

    pub(crate) fn write(&self, home: &Home) -> Result<(), Error> {
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::file("write", home.state(), io::Error::other(error)))?;
        write_atomic(&home.state(), &bytes)
    }

    /// The cluster this instance wants.
    pub fn cluster(&self, home: &Home) -> ClusterSpec {
        let door = |name: &str, port, namespace: &str, service_port, node_port| Door {
            name: name.to_owned(),
            port,
            namespace: namespace.to_owned(),
            service: "gateway-default".to_owned(),
            service_port,
            node_port,
        };
        let node = self.ports.node;
        let (control, data) = ("openchoreo-control-plane", "openchoreo-data-plane");
        ClusterSpec {
            provider: self.provider.clone(),
            instance: self.name.to_string(),
            home: home.cluster(),
            binary: home.image_program(),
            image: self.image.clone(),
            api_port: self.ports.api,
            doors: vec![
                door("portal", self.ports.portal, control, 8080, node.portal),
                door("mcp", self.ports.mcp, control, 8081, node.mcp),
                door("gateway", self.ports.gateway, data, 19080, node.gateway),
            ],
            settings: self.settings.clone(),
        }
    }

    /// Where the instance answers.
    ///
    /// # Errors
    /// A provider that cannot expose a door.
    pub fn endpoints(&self, home: &Home) -> Result<Endpoints, Error> {
        let spec = self.cluster(home);
        let provider = curtain_provider::by_name(&self.provider)?;
        let (portal, mcp, gateway) = (
            provider.expose(&spec, "portal")?,
            provider.expose(&spec, "mcp")?,
            provider.expose(&spec, "gateway")?,
        );
        Ok(Endpoints {
            api: portal.clone(),
            portal,
            observer_mcp: format!("{mcp}/observer/mcp"),
            sre_agent_mcp: format!("{mcp}/sre-agent/mcp"),
            mcp: format!("{mcp}/mcp"),
            gateway,
        })
    }
}

impl Ports {
    /// The preferred ports, each replaced by a free one where it is busy or belongs to one of `others`.
    ///
    /// # Errors
    /// No port is free.
    pub(crate) fn choose(others: &[Self]) -> Result<Self, Error> {
        let taken = |port: u16| others.iter().any(|other| other.all().contains(&port));
        // Held together until all are chosen, so that no port is chosen twice.
        let mut held = Vec::new();
        let mut chosen = [0; 4];
        for (slot, preferred) in chosen.iter_mut().zip(PREFERRED) {
            let wanted = (!taken(preferred)).then(|| bind(preferred).ok()).flatten();
            let listener = match wanted {
                Some(listener) => listener,
                None => free(&taken)?,
            };
            *slot = port(&listener)?;
            held.push(listener);
        }
        let [portal, mcp, gateway, api] = chosen;
        let node = NodePorts::choose(&taken, &mut held)?;
        Ok(Self { portal, mcp, gateway, api, node })
    }

    /// The doors for people that have another port than the usual one, which was in use when the instance was made: what
    /// is behind it, the usual port, and the port.
    pub fn moved(self) -> Vec<(&'static str, u16, u16)> {
        let doors = ["the portal", "the MCP servers", "the gateway of applications"];
        let ports = [self.portal, self.mcp, self.gateway];
        let all = doors.into_iter().zip(PREFERRED).zip(ports);
        all.filter(|((_, usual), port)| usual != port)
            .map(|((door, usual), port)| (door, usual, port))
            .collect()
    }

    fn all(self) -> [u16; 7] {
        let NodePorts { portal, mcp, gateway } = self.node;
        [self.portal, self.mcp, self.gateway, self.api, portal, mcp, gateway]
    }
}

impl NodePorts {
    /// The preferred ports, each replaced by the next free one where it is busy or `taken`. A node may be this machine.
    fn choose(taken: &dyn Fn(u16) -> bool, held: &mut Vec<TcpListener>) -> Result<Self, Error> {
        let mut chosen = [0; 3];
        for (slot, preferred) in chosen.iter_mut().zip(PREFERRED_NODE) {
            let found = std::iter::once(preferred)
                .chain(NODE_PORTS)
                .filter(|port| !taken(*port))
                .find_map(|port| bind(port).ok());
            let listener = found.ok_or_else(|| {
                let source = io::Error::from(io::ErrorKind::AddrInUse);
                Error::file("find a free node port on", "127.0.0.1", source)
            })?;
            *slot = port(&listener)?;
            held.push(listener);
        }
        let [portal, mcp, gateway] = chosen;
        Ok(Self { portal, mcp, gateway })
    }
}

fn bind(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

fn port(listener: &TcpListener) -> Result<u16, Error> {
    let address = listener
        .local_addr()
        .map_err(|source| Error::file("look at the listener of", "127.0.0.1", source))?;
    Ok(address.port())
}

fn free(taken: &dyn Fn(u16) -> bool) -> Result<TcpListener, Error> {
    loop {
        let listener =
            bind(0).map_err(|source| Error::file("find a free port on", "127.0.0.1", source))?;
        if !taken(port(&listener)?) {
            return Ok(listener);
        }
    }
}

/// The first twelve hex digits of the SHA-256 of the program at `path`, and its size in bytes.
pub(crate) fn build_id(path: &std::path::Path) -> Result<(String, u64), Error> {
    // A debug build is large, and this hash is as fast there as in a release.
    use ring::digest::{Context, SHA256};
    let hash = || -> io::Result<(String, u64)> {
        let mut file = fs::File::open(path)?;
        let mut context = Context::new(&SHA256);
        let mut buffer = vec![0; 256 << 10];
        let mut size = 0;
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                count => {
                    context.update(&buffer[..count]);
                    size += count as u64;
                }
            }
        }
        let digest = context.finish();
        Ok((digest.as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect(), size))
    };
    hash().map_err(|source| Error::file("read", path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_others_and_busy_ports_are_not_chosen() {
        let first = Ports::choose(&[]).unwrap();
        let held: Vec<_> = first.all().iter().map(|port| bind(*port)).collect();
        let second = Ports::choose(&[]).unwrap();
        assert!(
            second.all().iter().all(|port| !first.all().contains(port)),
            "{first:?} {second:?}"
        );
        drop(held);
        let third = Ports::choose(&[first]).unwrap();
        assert!(third.all().iter().all(|port| !first.all().contains(port)), "{first:?} {third:?}");
    }

    #[test]
    fn a_door_that_is_elsewhere_is_told() {
        let node = NodePorts::default();
        let usual = Ports { portal: 8080, mcp: 8081, gateway: 19080, api: 1, node };
        assert_eq!(usual.moved(), []);
        let moved = Ports { portal: 8082, ..usual }.moved();
        assert_eq!(moved, [("the portal", 8080, 8082)]);
    }

    #[test]
    fn an_instance_is_read_as_it_was_written_and_a_newer_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let home = crate::Homes::new(dir.path()).instance(&"x".parse().unwrap());
        assert!(Instance::read(&home).unwrap().is_none());
        crate::home::create_private(home.path()).unwrap();
        let mut instance = Instance {
            version: VERSION,
            name: "x".parse().unwrap(),
            provider: "embedded".into(),
            build: "0".repeat(12),
            image: "docker.io/library/curtain:0".into(),
            ports: Ports { portal: 1, mcp: 2, gateway: 3, api: 4, node: NodePorts::default() },
            settings: Settings::default(),
        };
        instance.write(&home).unwrap();
        assert_eq!(Instance::read(&home).unwrap(), Some(instance.clone()));
        instance.version = 99;
        instance.write(&home).unwrap();
        assert!(Instance::read(&home).unwrap_err().to_string().contains("version 99"));
    }

    #[test]
    fn the_build_id_is_the_hash_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        fs::write(&path, "abc").unwrap();
        assert_eq!(build_id(&path).unwrap(), ("ba7816bf8f01".to_owned(), 3));
    }
}
