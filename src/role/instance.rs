//! The instance a role belongs to, as the commands it tells people must name it.

/// The name of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance(String);

impl Instance {
    /// The name of the instance that a command without `--name` means.
    pub const DEFAULT: &str = "default";

    /// The instance `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// A command line that acts on this instance: `words` are what follows the program's name, such as `open`.
    pub fn command(&self, words: &str) -> String {
        if self.0 == Self::DEFAULT {
            format!("curtain {words}")
        } else {
            format!("curtain {words} --name {}", self.0)
        }
    }
}

/// The instance that is meant when nothing is said.
impl Default for Instance {
    fn default() -> Self {
        Self::new(Self::DEFAULT)
    }
}

#[cfg(test)]
mod tests {
    use super::Instance;

    #[test]
    fn only_another_instance_than_the_usual_one_is_named() {
        assert_eq!(
            Instance::default().command("demo deploy greeter"),
            "curtain demo deploy greeter"
        );
        assert_eq!(Instance::new("ci").command("kubeconfig"), "curtain kubeconfig --name ci");
    }
}
