//! Effects: everything an instance does to the machine, as data that can be undone.

use std::pin::Pin;

use serde::{Deserialize, Serialize};

use crate::{Error, steps, world::World};

/// A boxed future of a step. Plans run on one thread, so it need not be `Send`.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// One effect on the machine, as the ledger stores it. It holds all that undoing needs, since the
/// process that undoes is rarely the one that did. Variants and fields are only ever added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Effect {
    /// The instance's folder.
    Home(steps::home::HomeStep),
    /// The kept copy of the program.
    Binary(steps::binary::BinaryStep),
    /// The cluster.
    Cluster(steps::cluster::ClusterStep),
    /// The instance's own kubeconfig.
    Kubeconfig(steps::kubeconfig::KubeconfigStep),
    /// A bundle's objects.
    Bundle(steps::bundle::BundleStep),
    /// A bundle that is waited for.
    Ready(steps::bundle::ReadyStep),
    /// The front doors that are waited for.
    Doors(steps::doors::DoorsStep),
    /// The instance's context in the user's kubeconfig.
    MergedKubeconfig(steps::merged::MergedStep),
    /// An agent's identity.
    Agent(steps::agent::AgentStep),
    /// An entry in the configuration of an MCP client.
    Client(steps::client::ClientStep),
}

impl Effect {
    /// The behaviour behind the data.
    pub(crate) fn step(&self) -> &dyn Step {
        match self {
            Self::Home(step) => step,
            Self::Binary(step) => step,
            Self::Cluster(step) => step,
            Self::Kubeconfig(step) => step,
            Self::Bundle(step) => step,
            Self::Ready(step) => step,
            Self::Doors(step) => step,
            Self::MergedKubeconfig(step) => step,
            Self::Agent(step) => step,
            Self::Client(step) => step,
        }
    }

    /// The name of the step, for example `bundle/control`.
    pub(crate) fn name(&self) -> String {
        self.step().name()
    }

    #[cfg(test)]
    pub(crate) fn bundle(name: &str) -> Self {
        Self::Bundle(steps::bundle::BundleStep { name: name.to_owned() })
    }
}

/// How an effect is brought about, found and taken back. All three may be repeated, and may meet a
/// half-done effect of a process that died.
pub(crate) trait Step: Send + Sync {
    /// Its name, unique within an instance.
    fn name(&self) -> String;
    /// A few words for people.
    fn title(&self) -> String;
    /// Whether the effect is there in full.
    fn probe<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<bool, Error>>;
    /// Brings the effect about.
    fn act<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<(), Error>>;
    /// Takes the effect back and returns how many things were removed.
    fn undo<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<usize, Error>>;
}
