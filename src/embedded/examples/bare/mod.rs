//! The settings of a bare cluster, whose one image is its own binary.

use std::net::SocketAddr;
use std::path::PathBuf;

use curtain_embedded::{ClusterConfig, Error, Reach, Registries};

/// What its containers run.
pub(crate) const IMAGE: &str = "docker.io/library/curtain:dev";

pub(crate) fn settings(
    instance: &str,
    home: PathBuf,
    binary: PathBuf,
    api_listen: SocketAddr,
) -> Result<ClusterConfig, Error> {
    Ok(ClusterConfig {
        version: ClusterConfig::VERSION,
        instance: instance.to_owned(),
        home,
        binary,
        own_image: IMAGE.to_owned(),
        api_listen,
        front_doors: Vec::new(),
        service_cidr: "10.96.0.0/16".parse()?,
        pod_cidr: "10.244.0.0/16".parse()?,
        reach: Reach::default(),
        registries: Registries::default(),
        sight: true,
        offline: false,
    })
}
