//! What a person filled in to deploy an image: what is meant, or what is wrong with which field.

use curtain_deploy::{App, USUAL_PORT, component_name, name_fault, reference_fault};
use serde::Deserialize;

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

    /// The application that is meant in a project of a namespace, or what is wrong.
    pub(crate) fn check(&self, (namespace, project): (&str, &str)) -> Result<App, Faults> {
        let image = self.image.trim();
        let mut faults = Faults { image: reference_fault(image), ..Faults::default() };
        let name = self.component(faults.image.is_none().then_some(image));
        faults.name = name.as_deref().and_then(name_fault);
        let port = self.port_given().unwrap_or_else(|fault| {
            faults.port = Some(fault);
            None
        });
        match name {
            Some(name) if faults == Faults::default() => Ok(App {
                name,
                namespace: namespace.to_owned(),
                project: project.to_owned(),
                image: image.to_owned(),
                id: None,
                port: port.unwrap_or(USUAL_PORT),
            }),
            _ => Err(faults),
        }
    }

    /// The component that is named, or else the one that `image` names, if that is one: empty where nothing of it can.
    pub(crate) fn component(&self, image: Option<&str>) -> Option<String> {
        match self.name.trim() {
            "" => image.map(|image| component_name(image).unwrap_or_default()),
            name => Some(name.to_owned()),
        }
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

#[cfg(test)]
mod tests {
    use super::Wish;

    #[test]
    fn what_is_wrong_is_said_at_its_field() {
        let wish = |image: &str, name: &str, port: &str| Wish {
            image: image.to_owned(),
            name: name.to_owned(),
            port: port.to_owned(),
            from: String::new(),
        };
        let app = wish(" ghcr.io/a/web:1 ", "", "").check(("default", "shop")).unwrap();
        assert_eq!((app.name.as_str(), app.port), ("web", 8080));
        for image in ["", "a b", "$(x)", "a;b", "-v", "a'b", "ü", "Web"] {
            let faults = wish(image, "", "").check(("default", "shop")).unwrap_err();
            assert!(faults.image.is_some() && faults.name.is_none(), "{image}");
        }
        for name in ["Web", "1a", "a-", "a_b", &"a".repeat(41)] {
            let faults = wish("a:1", name, "").check(("default", "shop")).unwrap_err();
            assert!(faults.name.is_some() && faults.image.is_none(), "{name}");
        }
        for port in ["0", "65536", "x"] {
            assert!(
                wish("a:1", "", port).check(("default", "shop")).unwrap_err().port.is_some(),
                "{port}"
            );
        }
    }
}
