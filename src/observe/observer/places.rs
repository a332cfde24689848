//! Where a query may look: where its caller may, and where there is something.
//!
//! A place of which anything is stored is one, even if it is no more: telemetry outlives components. Of any other, the
//! control plane knows whether it is a misspelt name.

use std::sync::Arc;

use curtain_control::authz::{Gate, Named};
use curtain_control::mcp::Call;

use super::Refusal;
use crate::asked::Place;
use crate::database::{Database, DatabaseError, run};

/// What decides of places.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    gate: Arc<Gate>,
    kept: Arc<[Database]>,
}

impl Places {
    /// With all that is kept.
    pub(crate) fn new(gate: Arc<Gate>, kept: impl IntoIterator<Item = Database>) -> Self {
        Places { gate, kept: kept.into_iter().collect() }
    }

    /// Refuses what the caller may not do there.
    pub(crate) async fn check(
        &self,
        call: Call<'_>,
        action: &str,
        place: &Place,
    ) -> Result<(), Refusal> {
        Ok(self.gate.check(call, action, place.site()).await?)
    }

    /// The same for a place that the caller named, which there has to be.
    pub(crate) async fn admit(
        &self,
        call: Call<'_>,
        action: &str,
        place: &Place,
    ) -> Result<(), Refusal> {
        self.check(call, action, place).await?;
        if self.has(place.clone()).await? {
            return Ok(());
        }
        let Place { namespace, project, component, environment } = place;
        let within = Place { namespace: namespace.clone(), ..Place::default() };
        let of = |project: &String| Place { project: project.clone(), ..within.clone() };
        let mut names = vec![(Named::Namespace, within.clone())];
        if !project.is_empty() {
            names.push((Named::Project(project), of(project)));
        }
        if !component.is_empty() {
            let place = Place { component: component.clone(), ..of(project) };
            names.push((Named::Component(project, component), place));
        }
        if !environment.is_empty() {
            let place = Place { environment: environment.clone(), ..within };
            names.push((Named::Environment(environment), place));
        }
        for (named, place) in names {
            if self.has(place).await? {
                continue;
            }
            if let Some(absent) = self.gate.absent(call.token, namespace, named).await? {
                return Err(Refusal::Absent(absent));
            }
        }
        Ok(())
    }

    /// Whether anything is stored of it.
    async fn has(&self, place: Place) -> Result<bool, DatabaseError> {
        run(&self.kept, move |kept| {
            for one in kept.iter() {
                if one.has(&place)? {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await
    }
}
