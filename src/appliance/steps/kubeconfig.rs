//! The instance's own kubeconfig, at a place that does not depend on the provider.

use std::{fs, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    Error,
    effect::{Boxed, Step},
    home::{remove, write_atomic},
    world::World,
};

/// The file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KubeconfigStep {
    /// Where it is.
    pub path: PathBuf,
}

impl Step for KubeconfigStep {
    fn name(&self) -> String {
        "kubeconfig".to_owned()
    }

    fn title(&self) -> String {
        "kubeconfig of the instance".to_owned()
    }

    fn probe<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<bool, Error>> {
        Box::pin(async move { Ok(fs::read(&self.path).ok() == Some(source(world)?)) })
    }

    fn act<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async move { write_atomic(&self.path, &source(world)?) })
    }

    fn undo<'a>(&'a self, _: &'a World<'_>) -> Boxed<'a, Result<usize, Error>> {
        Box::pin(async move { Ok(usize::from(remove(&self.path)?)) })
    }
}

/// What the provider says about reaching the cluster.
fn source(world: &World<'_>) -> Result<Vec<u8>, Error> {
    let (provider, spec) = world.cluster()?;
    let path = provider.kubeconfig(&spec);
    fs::read(&path).map_err(|source| Error::file("read", path, source))
}
