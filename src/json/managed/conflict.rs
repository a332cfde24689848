//! Conflicts, worded as Kubernetes words them.

use std::collections::BTreeMap;

/// One field that another manager owns with another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The other manager as messages name it, such as `"kubectl" using apps/v1`.
    pub manager: String,
    /// The field, such as `.spec.replicas`.
    pub field: String,
}

impl Conflict {
    /// The message of the Status cause (its type is `FieldManagerConflict`).
    pub fn message(&self) -> String {
        format!("conflict with {}", self.manager)
    }
}

/// All conflicts of one apply, by manager, then field. `Display` is the Status message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflicts(pub Vec<Conflict>);

impl std::fmt::Display for Conflicts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let [only] = self.0.as_slice() {
            return write!(f, "Apply failed with 1 conflict: {}: {}", only.message(), only.field);
        }
        let mut managers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for conflict in &self.0 {
            managers.entry(&conflict.manager).or_default().push(&conflict.field);
        }
        write!(f, "Apply failed with {} conflicts: ", self.0.len())?;
        for (at, (manager, fields)) in managers.into_iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            write!(f, "conflicts with {manager}:")?;
            for field in fields {
                write!(f, "\n- {field}")?;
            }
        }
        Ok(())
    }
}
