//! What the fields of a query are called by whoever asks: an error names what its reader wrote.

/// How a query came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// As a body or a query string of the REST API: `startTime`, `searchScope.project`.
    #[default]
    Rest,
    /// As the arguments of a tool: `start_time`, `project`.
    Tool,
}

impl Spelling {
    /// The field `name`, which is given as tools have it.
    pub(crate) fn field(self, name: &str) -> String {
        if self == Self::Tool {
            return name.to_owned();
        }
        let mut parts = name.split('_');
        let mut field = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (first, rest) = part.split_at(part.len().min(1));
            field.push_str(&first.to_ascii_uppercase());
            field.push_str(rest);
        }
        field
    }

    /// The field `name` of the place to look at.
    pub(crate) fn scope(self, name: &str) -> String {
        match self {
            Self::Rest => format!("searchScope.{}", self.field(name)),
            Self::Tool => name.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_the_name_that_its_caller_knows() {
        let both = [Spelling::Rest, Spelling::Tool];
        assert_eq!(both.map(|one| one.field("start_time")), ["startTime", "start_time"]);
        assert_eq!(both.map(|one| one.field("limit")), ["limit", "limit"]);
        assert_eq!(both.map(|one| one.scope("project")), ["searchScope.project", "project"]);
    }
}
