//! Names of instances.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Error;

/// The name of an instance: a DNS label of at most 32 characters, since names of processes,
/// cgroups, nodes and cookies derive from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstanceName(String);

/// The instance that is meant when nothing is said.
pub const DEFAULT: &str = "default";

const LONGEST: usize = 32;
/// What a random name is made of: nothing that is taken for something else.
const ALPHABET: &[u8] = b"bcdfghjkmnpqrstvwxz23456789";

impl InstanceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name that begins with `prefix`, a short word, and is hardly anybody else's.
    pub fn random(prefix: &str) -> Self {
        let letter = || char::from(ALPHABET[rand::random_range(0..ALPHABET.len())]);
        Self(format!("{prefix}-{}", std::iter::repeat_with(letter).take(6).collect::<String>()))
    }

    /// Whether this is the instance that is meant when nothing is said.
    pub fn is_default(&self) -> bool {
        self.0 == DEFAULT
    }

    /// ` --name N`, where a command line needs it to mean this instance.
    pub fn flag(&self) -> String {
        if self.is_default() { String::new() } else { format!(" --name {self}") }
    }

    /// `text` with [`Self::flag`] in every command of curtain that it gives in backticks: whoever writes such a text
    /// rarely knows the instance, and without it the command would be about another one.
    pub fn in_commands(&self, text: &str) -> String {
        let mut parts = text.split("`curtain ");
        let mut named = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            named.push_str("`curtain ");
            let command = part.lines().next().unwrap_or_default().split_once('`');
            let (command, rest) = match command {
                Some((command, _)) => part.split_at(command.len()),
                None => (part, ""),
            };
            named.push_str(command);
            if !rest.is_empty() && !command.contains("--name") {
                named.push_str(&self.flag());
            }
            named.push_str(rest);
        }
        named
    }
}

impl FromStr for InstanceName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if is_label(text, LONGEST) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::BadName { name: text.to_owned() })
        }
    }
}

/// Whether `text` is a DNS label of at most `longest` characters, and so a file's name everywhere.
pub(crate) fn is_label(text: &str, longest: usize) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=longest).contains(&text.len())
        && text.chars().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

impl TryFrom<String> for InstanceName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<InstanceName> for String {
    fn from(name: InstanceName) -> Self {
        name.0
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::InstanceName;

    #[test]
    fn labels_are_names_and_paths_are_not() {
        for good in ["default", "a", "ci-17", &"x".repeat(32)] {
            assert!(good.parse::<InstanceName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a/b", "..", "a b", "ü", &"x".repeat(33)] {
            assert!(bad.parse::<InstanceName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_random_name_is_one_and_another_each_time() {
        let names = [(); 2].map(|()| InstanceName::random("run").to_string());
        assert_ne!(names[0], names[1]);
        for name in names {
            assert!(name.starts_with("run-") && name.parse::<InstanceName>().is_ok(), "{name}");
        }
    }

    #[test]
    fn commands_in_a_text_are_about_the_instance() {
        let text = "`curtain down` and `curtain mcp install x`, not `kubectl` or\n`curtain up --name b`; `curtain x";
        let default: InstanceName = "default".parse().unwrap();
        assert_eq!(default.in_commands(text), text);
        let other: InstanceName = "ci".parse().unwrap();
        assert_eq!(
            other.in_commands(text),
            "`curtain down --name ci` and `curtain mcp install x --name ci`, not `kubectl` or\n\
             `curtain up --name b`; `curtain x"
        );
    }
}
