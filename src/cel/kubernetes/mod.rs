//! The libraries Kubernetes adds to CEL: quantities, URLs, IP addresses, formats, versions, and what somebody may do.
//!
//! Each of its types is a value of its own to the interpreter: it can be compared for equality and
//! handed to the functions made for it, nothing else.

mod authz;
mod escape;
mod format;
mod ip;
mod quantity;
mod semver;
mod url;

use crate::budget;
use crate::functions::{Args, Outcome, boolean, failed, size, text};
use cel::common::types::STRING_TYPE;
use cel::{DeclarationError, Env};

pub use authz::{Authorizer, Check};
pub use escape::{escape_property, is_reserved};

#[cfg(test)]
mod tests;

pub(crate) fn register(env: &mut Env) -> Result<(), DeclarationError> {
    quantity::register(env)?;
    url::register(env)?;
    ip::register(env)?;
    format::register(env)?;
    semver::register(env)?;
    authz::register(env)
}

/// The value, if it is of a type that is made here.
pub(crate) fn keep(
    value: &dyn cel::common::value::Val,
) -> Option<Box<dyn cel::common::value::Val>> {
    let all = [
        authz::Asking::kept,
        authz::PathCheck::kept,
        authz::GroupCheck::kept,
        authz::ResourceCheck::kept,
        authz::Decision::kept,
        format::Format::kept,
        ip::Cidr::kept,
        ip::Ip::kept,
        quantity::Quantity::kept,
        semver::Version::kept,
        url::Url::kept,
    ];
    all.into_iter().find_map(|keep| keep(value))
}

/// The bytes that a value takes which is of a type that is made here, beyond those that every value does.
pub(crate) fn bytes(value: &dyn cel::common::value::Val) -> usize {
    if let Some(url) = value.downcast_ref::<url::Url>() {
        url.0.bytes()
    } else if let Some(version) = value.downcast_ref::<semver::Version>() {
        version.0.bytes()
    } else {
        authz::bytes(value)
    }
}

/// Declares a type of the interpreter around a Rust type that can be compared and cloned.
macro_rules! value_type {
    ($(#[$doc:meta])* $name:ident($inner:ty), $cel:literal, $type:ident) => {
        pub(super) static $type: cel::common::types::Type =
            cel::common::types::Type::new_unspecified_type($cel);

        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub(super) struct $name(pub(super) $inner);

        impl cel::common::value::Val for $name {
            fn get_type(&self) -> &cel::common::types::Type {
                &$type
            }
            fn cel_type() -> &'static cel::common::types::Type {
                &$type
            }
            fn equals(&self, other: &dyn cel::common::value::Val) -> bool {
                other.downcast_ref::<$name>() == Some(self)
            }
            fn clone_as_boxed<'v>(&self) -> Box<dyn cel::common::value::Val + 'v> {
                Box::new(self.clone())
            }
            fn as_any(&self) -> Option<&dyn std::any::Any> {
                Some(self)
            }
        }

        impl cel::common::value::StaticVal for $name {}

        impl $name {
            /// The value, if it is one.
            pub(super) fn kept(
                value: &dyn cel::common::value::Val,
            ) -> Option<Box<dyn cel::common::value::Val>> {
                Some(Box::new(value.downcast_ref::<$name>()?.clone()))
            }

            /// The value of an argument. Overloads are picked by type, so it is one.
            fn arg<'a>(
                args: &'a [cel::common::value::CowVal<'_, '_>],
                index: usize,
            ) -> Result<&'a $name, cel::ExecutionError> {
                args.get(index)
                    .and_then(|arg| arg.downcast_ref::<$name>())
                    .ok_or(cel::ExecutionError::MissingArgumentOrTarget)
            }
        }
    };
}
use value_type;

/// Registers `name(string)`, which parses or fails, and `is_name(string)`, which tells whether it
/// would.
fn parser(
    env: &mut Env,
    (name, make): (&str, cel::common::functions::Function),
    (is_name, test): (&str, cel::common::functions::Function),
) -> Result<(), DeclarationError> {
    env.add_overload(name, &format!("{name}(string)"), vec![STRING_TYPE], make)?;
    env.add_overload(is_name, &format!("{is_name}(string)"), vec![STRING_TYPE], test)
}

/// The answer of an `is…` function, after what it costs to read its text was taken from the budget.
fn is<'b, 'v, T>(
    args: &Args<'b, 'v>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Outcome<'b, 'v> {
    Ok(boolean(parse(read(args, 0)?).is_ok()))
}

/// The parsed argument of a conversion, which is counted in the same way.
fn parsed<T>(
    function: &str,
    args: &Args<'_, '_>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, cel::ExecutionError> {
    parse(read(args, 0)?).map_err(|message| failed(function, message))
}

/// The text of an argument, after what it costs to read it was taken from the budget.
fn read<'a>(args: &'a Args<'_, '_>, index: usize) -> Result<&'a str, cel::ExecutionError> {
    let text = text(args, index);
    budget::read(text.len())?;
    Ok(text)
}

/// A value of a type that is made here, after what it costs to go through it was taken from the budget.
fn walk(value: &dyn cel::common::value::Val) -> Result<(), cel::ExecutionError> {
    budget::read(size(value))
}
