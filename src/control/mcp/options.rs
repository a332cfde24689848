//! What a client chooses by the query of the URL.

use super::{Access, Tool};

/// `?toolsets=a,b&readonly=true&filterByAuthz=false`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    /// Lists only tools of these sets; every one stays callable.
    toolsets: Option<Vec<String>>,
    /// Lists and calls only tools that change nothing.
    pub(super) readonly: bool,
    /// Lists and calls only what the caller has a permission for.
    pub(super) filter_by_authz: bool,
}

impl Options {
    /// Reads the query; a boolean that is none is ignored.
    pub(super) fn parse(query: Option<&str>) -> Self {
        let mut options = Self { toolsets: None, readonly: false, filter_by_authz: true };
        for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match key.as_ref() {
                "toolsets" => {
                    let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
                    options.toolsets = Some(names.map(str::to_owned).collect());
                }
                "readonly" => options.readonly = flag(&value).unwrap_or(false),
                "filterByAuthz" => options.filter_by_authz = flag(&value).unwrap_or(true),
                _ => {}
            }
        }
        options
    }

    /// Whether the client wants `tool` in its list, permissions aside.
    pub(super) fn wants(&self, tool: &Tool) -> bool {
        let chosen = self.toolsets.as_ref().is_none_or(|chosen| {
            tool.toolsets.iter().any(|set| chosen.iter().any(|name| name == set))
        });
        chosen && (!self.readonly || tool.access == Access::Read)
    }
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "true" | "1" | "t" | "T" | "TRUE" | "True" => Some(true),
        "false" | "0" | "f" | "F" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_chooses() {
        let none = Options { toolsets: None, readonly: false, filter_by_authz: true };
        assert_eq!(Options::parse(None), none);
        assert_eq!(Options::parse(Some("readonly=maybe&filterByAuthz=perhaps&x=y")), none);
        let chosen =
            Options::parse(Some("toolsets=namespace,%20pe,&readonly=1&filterByAuthz=false"));
        assert_eq!(chosen.toolsets, Some(vec!["namespace".to_owned(), "pe".to_owned()]));
        assert!(chosen.readonly && !chosen.filter_by_authz);
    }
}
