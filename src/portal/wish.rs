//! What a person filled in to deploy an image: what is meant, or what is wrong with which field.

use crate::reference;
use serde::Deserialize;

/// The port of those who name none.
pub(crate) const USUAL_PORT: u16 = 8080;
/// The longest name of a component, so that every name that is made of it fits.
const LONGEST_NAME: usize = 40;

/// What was filled in.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Wish {
    #[serde(default)]
    pub(crate) image: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) port: String,
    /// `registry` for an image that the cluster has or pulls; else the person's machine has it.
    #[serde(default)]
    pub(crate) from: String,
}

/// What is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct App {
    pub(crate) image: String,
    pub(crate) name: String,
    pub(crate) port: u16,
}

/// What is wrong with a form, by field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    pub(crate) image: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) port: Option<String>,
}

impl Wish {
    /// Whether a command of the person's machine is to deploy it.
    pub(crate) fn is_local(&self) -> bool {
        self.from != "registry"
    }

    /// The application that is meant, or what is wrong. What passes holds nothing that a shell would read as more
    /// than a word.
    pub(crate) fn check(&self) -> Result<App, Faults> {
        let image = self.image.trim();
        let mut faults = Faults { image: reference::fault(image), ..Faults::default() };
        let name = match self.name.trim() {
            // That the name of what is no image is none for a component is no fault of its own.
            "" if faults.image.is_some() => "x".to_owned(),
            "" => name_of(image),
            name => name.to_owned(),
        };
        faults.name = name_fault(&name);
        let port = self.port_given().unwrap_or_else(|fault| {
            faults.port = Some(fault);
            None
        });
        if faults != Faults::default() {
            return Err(faults);
        }
        Ok(App { image: image.to_owned(), name, port: port.unwrap_or(USUAL_PORT) })
    }

    /// The port that was named, if any was.
    pub(crate) fn port_given(&self) -> Result<Option<u16>, String> {
        match self.port.trim() {
            "" => Ok(None),
            port => match port.parse() {
                Ok(port) if port > 0 => Ok(Some(port)),
                _ => Err("A port is a number from 1 to 65535.".to_owned()),
            },
        }
    }
}

/// What is wrong with the name of a component, if anything.
pub(crate) fn name_fault(name: &str) -> Option<String> {
    let part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends = name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.ends_with('-');
    let fits = ends && name.chars().all(part) && name.len() <= LONGEST_NAME;
    (!fits).then(|| {
        format!(
            "Use at most {LONGEST_NAME} lower-case letters, digits and hyphens, beginning with a letter."
        )
    })
}

/// The last part of an image's name, as far as it can name a component.
pub(crate) fn name_of(image: &str) -> String {
    let path = image.split('@').next().unwrap_or(image);
    let last = path.rsplit('/').next().unwrap_or(path);
    let last = last.split(':').next().unwrap_or(last).to_ascii_lowercase();
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = last.chars().map(plain).take(LONGEST_NAME).collect();
    name.trim_matches(|c: char| c == '-' || c.is_ascii_digit()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Wish, name_of};

    #[test]
    fn a_component_is_named_after_its_image() {
        for (image, name) in [
            ("my:dev", "my"),
            ("docker.io/library/my_app:1.2", "my-app"),
            ("localhost:5000/team/Shop.Web@sha256:0123", "shop-web"),
            ("registry:5000/api", "api"),
        ] {
            assert_eq!(name_of(image), name, "{image}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_at_its_field() {
        let wish = |image: &str, name: &str, port: &str| Wish {
            image: image.to_owned(),
            name: name.to_owned(),
            port: port.to_owned(),
            from: String::new(),
        };
        let app = wish(" ghcr.io/a/web:1 ", "", "").check().unwrap();
        assert_eq!((app.name.as_str(), app.port), ("web", 8080));
        for image in ["", "a b", "$(x)", "a;b", "-v", "a'b", "ü", "Web"] {
            let faults = wish(image, "", "").check().unwrap_err();
            assert!(faults.image.is_some() && faults.name.is_none(), "{image}");
        }
        for name in ["Web", "1a", "a-", "a_b", &"a".repeat(41)] {
            let faults = wish("a:1", name, "").check().unwrap_err();
            assert!(faults.name.is_some() && faults.image.is_none(), "{name}");
        }
        for port in ["0", "65536", "x"] {
            assert!(wish("a:1", "", port).check().unwrap_err().port.is_some(), "{port}");
        }
    }
}
