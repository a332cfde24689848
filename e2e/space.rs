//! A namespace of its own for one release of kubectl.

use crate::clients::Output;
use crate::instance::Instance;

/// What [`Instance::space`] makes.
pub struct Space<'a> {
    pub(crate) instance: &'a Instance,
    pub(crate) release: &'static str,
    pub(crate) name: String,
}

impl Space<'_> {
    /// The namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs kubectl in the namespace.
    pub fn kubectl(&self, args: &[&str]) -> Output {
        self.instance.kubectl(self.release, &[&["-n", self.name.as_str()], args].concat())
    }

    /// What kubectl says of a manifest that it applies in the namespace.
    #[track_caller]
    pub fn apply(&self, manifest: &str) -> String {
        let args = ["-n", &self.name, "apply"];
        self.instance.kubectl_file(self.release, &args, manifest).success()
    }
}
