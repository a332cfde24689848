//! Whether a place that a caller names is there.
//!
//! One of which there is a report is, even if it is no more: reports outlive components. Of any other, the control plane
//! knows whether it is a misspelt name.

use curtain_control::authz::Named;
use curtain_control::mcp::Call;

use super::refusal::Refusal;
use super::rest::Office;
use super::store::Wanted;

impl Office {
    /// Refuses a place that is not there, with those there are.
    pub(super) async fn exists(&self, call: Call<'_>, wanted: &Wanted) -> Result<(), Refusal> {
        let Wanted { namespace, project, component, environment, .. } = wanted;
        let within = Wanted { namespace: namespace.clone(), limit: 0, ..Wanted::default() };
        let of = |project: &String| Wanted { project: project.clone(), ..within.clone() };
        let mut names = vec![(Named::Namespace, within.clone())];
        if !project.is_empty() {
            names.push((Named::Project(project), of(project)));
        }
        if !component.is_empty() {
            let place = Wanted { component: component.clone(), ..of(project) };
            names.push((Named::Component(project, component), place));
        }
        if !environment.is_empty() {
            let place = Wanted { environment: environment.clone(), ..within };
            names.push((Named::Environment(environment), place));
        }
        for (named, place) in names {
            let (_, reports) = self.analyst.stored(move |store| store.list(&place)).await?;
            if reports > 0 {
                continue;
            }
            if let Some(absent) = self.gate.absent(call.token, namespace, named).await? {
                return Err(Refusal::Absent(absent));
            }
        }
        Ok(())
    }
}
