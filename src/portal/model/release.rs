//! The releases of a component.

use super::{Lane, text};
use crate::backend::User;
use crate::error::BackendError;
use crate::login::encode;
use crate::pages::component::Place;
use serde_json::Value;

/// The releases of a component, newest first.
pub(crate) async fn releases(user: &User<'_>, place: &Place) -> Result<Vec<Value>, BackendError> {
    let (namespace, component) = (encode(&place.namespace), encode(&place.component));
    let path = format!("/namespaces/{namespace}/componentreleases?component={component}");
    let mut releases = user.list(&path).await?;
    releases.retain(|release| {
        text(release, "/spec/owner/componentName") == place.component
            && text(release, "/spec/owner/projectName") == place.project
    });
    let made = |release: &Value| {
        let [time, name] = ["/metadata/creationTimestamp", "/metadata/name"];
        (text(release, time).to_owned(), text(release, name).to_owned())
    };
    releases.sort_by_key(|release| std::cmp::Reverse(made(release)));
    Ok(releases)
}

/// Whether an environment may go back to a release: one made before the one that runs there. The way forward is
/// promotion, which follows the pipeline.
pub(crate) fn is_way_back(newest_first: &[Value], lane: &Lane, release: &str) -> bool {
    let place = |name: &str| {
        newest_first.iter().position(|release| text(release, "/metadata/name") == name)
    };
    let runs = lane.binding.as_ref().and_then(|binding| place(&binding.release));
    matches!((runs, place(release)), (Some(runs), Some(wanted)) if wanted > runs)
}
