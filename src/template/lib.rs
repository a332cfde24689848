//! The `${CEL}` template language shared by bundles and the platform.
//!
//! A template is any JSON value; its strings may hold expressions. A string that is exactly one
//! expression becomes the expression's value, whatever its type; in any other string each
//! expression becomes text. Map keys are rendered too. `oc_omit()` removes the key or item it
//! stands for. There is no escape for a literal `${`: write `${"$"}{`.
//!
//! Invariants: the same template and variables give the same bytes; every error carries the path
//! of the string in the template and the expression.
//!
//! Entry points: [`Engine`] (cheap to clone; keeps compiled expressions), [`dialect`] to add
//! functions to it, [`name_gen`] and [`fnv32_hex`], the name rules that controllers share with
//! templates.
//!
//! ```
//! use curtain_template::{Engine, Vars};
//! use serde_json::json;
//! let values = json!({"replicas": 2, "name": "greeter"});
//! let template = json!({"replicas": "${values.replicas}", "host": "${values.name}.localhost"});
//! let vars = Vars::new().with("values", &values);
//! let rendered = Engine::base().render(&template, &vars)?;
//! assert_eq!(rendered, Some(json!({"replicas": 2, "host": "greeter.localhost"})));
//! # Ok::<(), curtain_template::Error>(())
//! ```

mod engine;
mod error;
mod functions;
mod names;
mod scan;
mod text;

pub use curtain_cel::{Env, EnvBuilder, Value, Vars};
pub use engine::{Engine, Item};
pub use error::{Error, Problem};
pub use functions::dialect;
pub use names::{MAX_LABEL, MAX_NAME, fnv32, fnv32_hex, name_gen, name_gen_with};

#[cfg(test)]
mod tests;
