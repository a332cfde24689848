//! Whose telemetry it is: the platform's names and uids, as labels say them.

use std::collections::{BTreeMap, HashMap};

use rusqlite::Row;
use serde::{Deserialize, Serialize};

/// Names and uids of the platform's objects. What labels do not say is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Owner {
    /// The platform's namespace.
    pub namespace: String,
    /// Name of the project.
    pub project: String,
    /// Name of the component.
    pub component: String,
    /// Name of the environment.
    pub environment: String,
    /// Uid of the project.
    pub project_uid: String,
    /// Uid of the component.
    pub component_uid: String,
    /// Uid of the environment.
    pub environment_uid: String,
}

/// Columns of a table that knows owners, for its definition.
macro_rules! owner_columns {
    () => {
        "namespace TEXT NOT NULL, project TEXT NOT NULL, component TEXT NOT NULL, environment TEXT NOT NULL, \
         project_uid TEXT NOT NULL, component_uid TEXT NOT NULL, environment_uid TEXT NOT NULL"
    };
}
pub(crate) use owner_columns;

/// Their names, in the order of [`Owner::values`] and [`Owner::read`].
pub(crate) const COLUMNS: &str =
    "namespace, project, component, environment, project_uid, component_uid, environment_uid";

/// The rows of a place, whose four names are the parameters 1 to 4.
pub(crate) const IN_PLACE: &str = "namespace = ?1 AND (?2 = '' OR project = ?2) \
     AND (?3 = '' OR component = ?3) AND (?4 = '' OR environment = ?4)";

impl Owner {
    /// As the labels of an object say.
    pub(crate) fn of(labels: &BTreeMap<String, String>) -> Owner {
        let label =
            |name: &str| labels.get(&format!("openchoreo.dev/{name}")).cloned().unwrap_or_default();
        Owner {
            namespace: label("namespace"),
            project: label("project"),
            component: label("component"),
            environment: label("environment"),
            project_uid: label("project-uid"),
            component_uid: label("component-uid"),
            environment_uid: label("environment-uid"),
        }
    }

    /// What is missing here, from `other`; a uid only where it is of the same name.
    pub(crate) fn or(mut self, other: &Owner) -> Owner {
        let fill = |mine: &mut String, others: &String| {
            if mine.is_empty() {
                mine.clone_from(others);
            }
        };
        fill(&mut self.namespace, &other.namespace);
        fill(&mut self.project, &other.project);
        fill(&mut self.component, &other.component);
        fill(&mut self.environment, &other.environment);
        if self.project == other.project {
            fill(&mut self.project_uid, &other.project_uid);
        }
        if self.component == other.component {
            fill(&mut self.component_uid, &other.component_uid);
        }
        if self.environment == other.environment {
            fill(&mut self.environment_uid, &other.environment_uid);
        }
        self
    }

    /// The values of [`COLUMNS`].
    pub(crate) fn values(&self) -> [&str; 7] {
        let Owner { namespace, project, component, environment, .. } = self;
        let uids = [&self.project_uid, &self.component_uid, &self.environment_uid];
        let [project_uid, component_uid, environment_uid] = uids.map(String::as_str);
        [namespace, project, component, environment, project_uid, component_uid, environment_uid]
    }

    /// From the columns of a row that start at `at`.
    pub(crate) fn read(row: &Row<'_>, at: usize) -> rusqlite::Result<Owner> {
        Ok(Owner {
            namespace: row.get(at)?,
            project: row.get(at + 1)?,
            component: row.get(at + 2)?,
            environment: row.get(at + 3)?,
            project_uid: row.get(at + 4)?,
            component_uid: row.get(at + 5)?,
            environment_uid: row.get(at + 6)?,
        })
    }
}

/// Leaves out former incarnations of components that were made anew under the same name. Later numbers are newer.
pub(crate) fn newest<T>(rows: &mut BTreeMap<i64, T>, owner: impl Fn(&T) -> &Owner) {
    let mut newest: HashMap<(String, String), String> = HashMap::new();
    for one in rows.values().map(&owner).filter(|one| !one.component_uid.is_empty()) {
        newest.insert((one.project.clone(), one.component.clone()), one.component_uid.clone());
    }
    rows.retain(|_, row| {
        let one = owner(row);
        // Without a uid nobody can tell; it is shown rather than hidden.
        one.component_uid.is_empty()
            || newest.get(&(one.project.clone(), one.component.clone())) == Some(&one.component_uid)
    });
}

/// Numbers as an SQL list.
pub(crate) fn list<'a>(ids: impl Iterator<Item = &'a i64>) -> String {
    ids.map(i64::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(component: &str, uid: &str) -> Owner {
        Owner {
            project: "shop".into(),
            component: component.into(),
            component_uid: uid.into(),
            ..Owner::default()
        }
    }

    #[test]
    fn a_component_made_anew_hides_its_former_self_and_nobody_else() {
        let mut rows = BTreeMap::from([
            (1, owner("cart", "old")),
            (2, owner("web", "w")),
            (3, owner("cart", "new")),
            (4, owner("cart", "")),
        ]);
        newest(&mut rows, |one| one);
        assert_eq!(rows.keys().copied().collect::<Vec<_>>(), [2, 3, 4]);
    }

    #[test]
    fn what_labels_do_not_say_comes_from_the_namespace() {
        let labels = BTreeMap::from([
            ("openchoreo.dev/component".to_owned(), "cart".to_owned()),
            ("openchoreo.dev/environment".to_owned(), "staging".to_owned()),
        ]);
        let around = Owner {
            namespace: "default".into(),
            project: "shop".into(),
            environment: "development".into(),
            project_uid: "p".into(),
            environment_uid: "e".into(),
            ..Owner::default()
        };
        let found = Owner::of(&labels).or(&around);
        assert_eq!(found.values(), ["default", "shop", "cart", "staging", "p", "", ""]);
    }
}
