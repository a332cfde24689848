//! Names that end up in objects. Their formulas are part of the API: clients and stored objects know them.

use curtain_template::{MAX_NAME, name_gen};

/// The RenderedRelease of a project's own objects in an environment.
pub(super) fn project_release(project: &str, environment: &str) -> String {
    name_gen(MAX_NAME, &[&format!("p_{project}"), environment])
}

/// The release of a component with this content.
pub(super) fn component_release(component: &str, hash: &str) -> String {
    format!("{component}-{hash}")
}

/// The binding that auto-deploy makes.
pub(super) fn binding(component: &str, environment: &str) -> String {
    format!("{component}-{environment}")
}

/// The RenderedRelease of a component in an environment.
pub(super) fn rendered_release(component: &str, environment: &str) -> String {
    format!("{component}-{environment}")
}

/// Its objects for the observability plane.
pub(super) fn observability_release(component: &str, environment: &str) -> String {
    format!("{component}-{environment}-observability")
}

#[cfg(test)]
mod tests {
    #[test]
    fn project_releases_cannot_meet_component_releases() {
        let name = super::project_release("shop", "development");
        assert!(name.starts_with("p-shop-development-"), "{name}");
    }
}
