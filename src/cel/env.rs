//! Dialects: which functions exist and how strict arithmetic is.

use crate::value::Value;
use crate::{functions, kubernetes, names};
use cel::DeclarationError;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

/// A function a caller registered: values in, a value or a message out.
pub(crate) type Function = Arc<dyn Fn(&[Value]) -> Result<Value, String> + Send + Sync>;

/// What `receiver.method(..)` on a literal identifier stands for.
#[derive(Clone)]
pub(crate) struct Alias {
    pub(crate) receiver: String,
    pub(crate) method: String,
    pub(crate) path: Vec<String>,
    pub(crate) takes_key: bool,
}

/// A receiver some or all of whose fields are variables of their own.
#[derive(Clone)]
pub(crate) struct Group {
    pub(crate) receiver: String,
    /// All fields where it names none.
    pub(crate) field: Option<String>,
}

/// An immutable set of functions and rules to compile and evaluate with. Cloning shares it.
#[derive(Clone)]
pub struct Env(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) cel: Arc<cel::Env>,
    pub(crate) functions: Arc<BTreeMap<String, Function>>,
    pub(crate) aliases: Vec<Alias>,
    pub(crate) groups: Vec<Group>,
    pub(crate) known: Arc<BTreeSet<&'static str>>,
    pub(crate) mixed_numbers: bool,
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Env")
            .field("functions", &self.0.functions.keys().collect::<Vec<_>>())
            .field("mixed_numbers", &self.0.mixed_numbers)
            .finish_non_exhaustive()
    }
}

impl Env {
    /// CEL as Kubernetes has it for `x-kubernetes-validations` and admission: every library, and
    /// arithmetic that does not mix int and double.
    pub fn kubernetes() -> Env {
        static ENV: LazyLock<Env> = LazyLock::new(|| Env::builder().build());
        ENV.clone()
    }

    /// Starts from [`Env::kubernetes`]'s libraries.
    pub fn builder() -> EnvBuilder {
        EnvBuilder {
            functions: BTreeMap::new(),
            aliases: Vec::new(),
            groups: Vec::new(),
            mixed_numbers: false,
        }
    }

    /// The libraries, built once for the process: every dialect has the same.
    fn shared() -> (Arc<cel::Env>, Arc<BTreeSet<&'static str>>) {
        static SHARED: LazyLock<(Arc<cel::Env>, Arc<BTreeSet<&'static str>>)> =
            LazyLock::new(|| {
                let env = libraries().unwrap_or_else(|error| {
                    // A clash of declarations is fixed at build time: the first test would fail.
                    unreachable!("the CEL libraries clash: {error}")
                });
                (Arc::new(env), Arc::new(names::KNOWN.iter().copied().collect()))
            });
        let (env, known) = &*SHARED;
        (Arc::clone(env), Arc::clone(known))
    }
}

fn libraries() -> Result<cel::Env, DeclarationError> {
    let mut env = cel::Env::stdlib();
    // As cel-go, the last entry of a map literal wins.
    env.set_error_on_duplicate_map_keys(false);
    env.add_extension(cel::extensions::strings)?;
    env.add_extension(cel::extensions::encoders)?;
    env.add_extension(cel::extensions::lists)?;
    env.add_extension(cel::extensions::math)?;
    env.add_extension(functions::register)?;
    env.add_extension(kubernetes::register)?;
    Ok(env)
}

/// Collects what a dialect adds to the libraries.
pub struct EnvBuilder {
    functions: BTreeMap<String, Function>,
    aliases: Vec<Alias>,
    groups: Vec<Group>,
    mixed_numbers: bool,
}

impl EnvBuilder {
    /// Registers the global function `name`. It takes any number of arguments and checks them
    /// itself; its error message is shown behind its name.
    #[must_use]
    pub fn function(
        mut self,
        name: &str,
        function: impl Fn(&[Value]) -> Result<Value, String> + Send + Sync + 'static,
    ) -> Self {
        self.functions.insert(name.to_owned(), Arc::new(function));
        self
    }

    /// Makes `receiver.method()` read the variable path, as `configurations.toVolumes()` reads
    /// `derived.volumes`. Only the literal identifier works as receiver.
    #[must_use]
    pub fn alias(mut self, receiver: &str, method: &str, path: &[&str]) -> Self {
        self.aliases.push(Alias {
            receiver: receiver.to_owned(),
            method: method.to_owned(),
            path: path.iter().map(|part| (*part).to_owned()).collect(),
            takes_key: false,
        });
        self
    }

    /// Makes `receiver.method(key)` the optional entry `path[?key]`.
    #[must_use]
    pub fn keyed_alias(mut self, receiver: &str, method: &str, path: &[&str]) -> Self {
        self = self.alias(receiver, method, path);
        if let Some(alias) = self.aliases.last_mut() {
            alias.takes_key = true;
        }
        self
    }

    /// Makes every field of `receiver` a variable of its own, named `receiver.field`: it is found undeclared when an
    /// expression is compiled, and looked up when it is reached. The receiver itself is none.
    #[must_use]
    pub fn variables_of(mut self, receiver: &str) -> Self {
        self.groups.push(Group { receiver: receiver.to_owned(), field: None });
        self
    }

    /// Makes one field of a variable a variable of its own, named `receiver.field`.
    #[must_use]
    pub fn variable_of(mut self, receiver: &str, field: &str) -> Self {
        let (receiver, field) = (receiver.to_owned(), Some(field.to_owned()));
        self.groups.push(Group { receiver, field });
        self
    }

    /// Lets `+ - * / %` mix int and double, and `list[1.0]` index, as contexts that went through
    /// JSON need.
    #[must_use]
    pub fn mixed_numbers(mut self) -> Self {
        self.mixed_numbers = true;
        self
    }

    /// The environment.
    pub fn build(self) -> Env {
        let (cel, known) = Env::shared();
        Env(Arc::new(Inner {
            cel,
            known,
            functions: Arc::new(self.functions),
            aliases: self.aliases,
            groups: self.groups,
            mixed_numbers: self.mixed_numbers,
        }))
    }
}
