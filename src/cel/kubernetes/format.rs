//! `format.dns1123Label().validate(name)`: the formats of Kubernetes names and values.

use super::value_type;
use crate::functions::text;
use base64::Engine as _;
use cel::common::types::{CelList, CelOptional, CelString, STRING_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env};

value_type!(
    /// A format, by its name.
    Format(&'static str), "kubernetes.NamedFormat", TYPE
);

type Getter = (&'static str, cel::common::functions::Function);

macro_rules! formats {
    ($($name:literal),+ $(,)?) => {
        const NAMES: &[&str] = &[$($name),+];
        const GETTERS: &[Getter] = &[$((
            concat!("format.", $name),
            |_| Ok(CowVal::owned(Format($name))),
        )),+];
    };
}

formats! {
    "dns1123Label", "dns1123LabelPrefix", "dns1123Subdomain", "dns1123SubdomainPrefix",
    "dns1035Label", "dns1035LabelPrefix", "qualifiedName", "labelValue", "uri", "uuid", "byte",
    "date", "datetime",
}

pub(super) fn register(env: &mut Env) -> Result<(), DeclarationError> {
    for (name, getter) in GETTERS {
        env.add_overload(name, name, vec![], *getter)?;
    }
    env.add_overload("format.named", "format.named", vec![STRING_TYPE], |args| {
        let found = NAMES.iter().find(|name| **name == text(&args, 0));
        Ok(CowVal::owned(match found {
            Some(name) => CelOptional::of(Box::new(Format(name))),
            None => CelOptional::none(),
        }))
    })?;
    let string = vec![STRING_TYPE];
    env.add_member_overload(
        "validate",
        "format.validate(string)",
        TYPE.to_owned(),
        string,
        |args| {
            let Format(name) = Format::arg(&args, 0)?;
            Ok(CowVal::owned(match problem(name, super::read(&args, 1)?) {
                None => CelOptional::none(),
                Some(message) => {
                    let items: Vec<Box<dyn Val>> = vec![Box::new(CelString::from(message))];
                    CelOptional::of(Box::new(CelList::from(items)))
                }
            }))
        },
    )
}

/// What is wrong with a value, if anything is.
fn problem(format: &str, value: &str) -> Option<String> {
    let base = format.trim_end_matches("Prefix");
    // A prefix may end where more is to come.
    let value = if base == format { value } else { value.trim_end_matches('-') };
    let (fits, rule) = match base {
        "dns1123Label" => (label(value, false), "a lower-case DNS label of at most 63 characters"),
        "dns1035Label" => (
            label(value, true),
            "a lower-case DNS label of at most 63 characters that begins with a letter",
        ),
        "dns1123Subdomain" => (
            value.len() <= 253 && value.split('.').all(|part| label_of(part, 253, false)),
            "lower-case DNS labels joined by dots, at most 253 characters",
        ),
        "qualifiedName" => {
            let (prefix, name) = value.split_once('/').map_or((None, value), |(p, n)| (Some(p), n));
            let prefix_fits =
                prefix.is_none_or(|prefix| problem("dns1123Subdomain", prefix).is_none());
            (
                prefix_fits && word(name),
                "a name of at most 63 characters, with an optional DNS prefix",
            )
        }
        "labelValue" => (
            value.is_empty() || word(value),
            "empty, or at most 63 letters, digits, `-`, `_` and `.` that begin and end with one of the first two",
        ),
        "uri" => (value.contains(':') || value.starts_with('/'), "a URI"),
        "uuid" => (uuid(value), "a UUID"),
        "byte" => (base64::engine::general_purpose::STANDARD.decode(value).is_ok(), "base64 text"),
        "date" => (
            value.parse::<jiff::civil::Date>().is_ok() && value.len() == 10,
            "a date like 2026-11-22",
        ),
        "datetime" => {
            (value.parse::<jiff::Timestamp>().is_ok(), "a time like 2026-11-22T13:00:00Z")
        }
        _ => (false, "of a known format"),
    };
    (!fits).then(|| format!("must be {rule}"))
}

fn label(value: &str, letter_first: bool) -> bool {
    label_of(value, 63, letter_first)
}

fn label_of(value: &str, longest: usize, letter_first: bool) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    !value.is_empty()
        && value.len() <= longest
        && value.starts_with(|c: char| plain(c) && !(letter_first && c.is_ascii_digit()))
        && value.ends_with(plain)
        && value.chars().all(|c| plain(c) || c == '-')
}

fn word(value: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric();
    !value.is_empty()
        && value.len() <= 63
        && value.starts_with(plain)
        && value.ends_with(plain)
        && value.chars().all(|c| plain(c) || "-_.".contains(c))
}

fn uuid(value: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let mut parts = value.split('-');
    lengths.iter().all(|length| {
        parts.next().is_some_and(|part| {
            part.len() == *length && part.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    }) && parts.next().is_none()
}
