//! A bundle's objects in the cluster, and the wait for them.

use curtain_bundle::{Bundle, Installer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Endpoints, Error, Instance,
    effect::{Boxed, Step},
    progress::Event,
    world::World,
};

/// A bundle of this build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BundleStep {
    /// Its name.
    pub name: String,
}

/// The wait for a bundle's Deployments and conditions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ReadyStep {
    /// The bundle's name.
    pub name: String,
}

impl Step for BundleStep {
    fn name(&self) -> String {
        format!("bundle/{}", self.name)
    }

    fn title(&self) -> String {
        format!("{} installed", self.name)
    }

    fn probe<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<bool, Error>> {
        Box::pin(async move {
            let bundle = Bundle::builtin(&self.name)?;
            let installer = Installer::new(world.client().await?.clone());
            Ok(installer.is_installed(&bundle, &scope(world)?).await?)
        })
    }

    fn act<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async move {
            let bundle = Bundle::builtin(&self.name)?;
            let installer = Installer::new(world.client().await?.clone());
            installer.install(&bundle, &scope(world)?, world.left()).await?;
            Ok(())
        })
    }

    fn undo<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<usize, Error>> {
        Box::pin(async move {
            // Objects go with their cluster; deleting them one by one first would only take time.
            if world.leaving {
                return Ok(0);
            }
            let installer = Installer::new(world.client().await?.clone());
            Ok(installer.uninstall(&self.name, world.left()).await?)
        })
    }
}

impl Step for ReadyStep {
    fn name(&self) -> String {
        format!("ready/{}", self.name)
    }

    fn title(&self) -> String {
        format!("{} ready", self.name)
    }

    fn probe<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<bool, Error>> {
        Box::pin(async move {
            let bundle = Bundle::builtin(&self.name)?;
            let installer = Installer::new(world.client().await?.clone());
            Ok(installer.is_ready(&bundle).await?)
        })
    }

    fn act<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async move {
            let bundle = Bundle::builtin(&self.name)?;
            let installer = Installer::new(world.client().await?.clone());
            let name = self.name();
            let tell = |text: String| world.tell(&name, Event::Detail(text));
            installer.ready(&bundle, world.left(), &tell).await?;
            Ok(())
        })
    }

    fn undo<'a>(&'a self, _: &'a World<'_>) -> Boxed<'a, Result<usize, Error>> {
        Box::pin(async move { Ok(0) })
    }
}

/// What templates of bundles know about the instance.
fn scope(world: &World<'_>) -> Result<Value, Error> {
    let instance = world.instance()?;
    Ok(instance_scope(instance, &instance.endpoints(world.home)?))
}

/// What templates of bundles know about `instance`.
pub(crate) fn instance_scope(instance: &Instance, endpoints: &Endpoints) -> Value {
    json!({
        "name": instance.name,
        "image": instance.image,
        "build": instance.build,
        "ports": instance.ports,
        "endpoints": endpoints,
    })
}
