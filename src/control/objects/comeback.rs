//! Going back to an earlier release, also where auto-deploy goes forward again.

use serde_json::Value;

use super::{Error, Object, Objects, kind, text_at};
use curtain_platform::types::DeploymentPipelineSpec;

impl Objects {
    /// Refuses to let a release binding go back to an earlier release when the component's auto-deploy would bring the
    /// newest one again: it would be said to be done, and undone at once.
    pub(super) async fn stays(
        &self,
        namespace: &str,
        before: &Object,
        after: &Object,
    ) -> Result<(), Error> {
        if !self.goes_back(namespace, before, after).await {
            return Ok(());
        }
        let spec = &after.data["spec"];
        let component = text_at(spec, &["owner", "componentName"]);
        let environment = text_at(spec, &["environment"]);
        let project = text_at(spec, &["owner", "projectName"]);
        if self.entered(namespace, &project, &component).await.as_ref() != Some(&environment) {
            return Ok(());
        }
        Err(Error::Invalid(format!(
            "auto-deploy of component {component} would bring its newest release back to {environment} at once; \
             switch it off before (autoDeploy of the component, auto_deploy of patch_component), or mend the workload"
        )))
    }

    /// Whether the release of `after` is an earlier one of the component that the release binding `before` is about.
    pub(super) async fn goes_back(&self, namespace: &str, before: &Object, after: &Object) -> bool {
        self.steps_back(namespace, before, after).await == Some(true)
    }

    /// The same; nothing if that cannot be told, since one of the releases is not there or of something else.
    pub(super) async fn steps_back(
        &self,
        namespace: &str,
        before: &Object,
        after: &Object,
    ) -> Option<bool> {
        let (there, wanted) = (release_of(before), release_of(after));
        if there == wanted {
            return Some(false);
        }
        let releases = kind("ComponentRelease");
        let there = self.peek(releases, namespace, &there).await.ok()?;
        let wanted = self.peek(releases, namespace, &wanted).await.ok()?;
        let place = kind("ReleaseBinding").place_of(namespace, before);
        if [&there, &wanted].iter().any(|release| releases.place_of(namespace, release) != place) {
            return None;
        }
        let made =
            |release: &Object| release.metadata.creation_timestamp.as_ref().map(|time| time.0);
        Some(made(&wanted)? < made(&there)?)
    }

    /// Where the component's new releases go by themselves, if they do.
    async fn entered(&self, namespace: &str, project: &str, component: &str) -> Option<String> {
        let spec = async |of: &'static str, name: &str| -> Option<Value> {
            let mut found = self.peek(kind(of), namespace, name).await.ok()?;
            Some(found.data["spec"].take())
        };
        if spec("Component", component).await?["autoDeploy"] != true {
            return None;
        }
        let project = spec("Project", project).await?;
        let pipeline = text_at(&project, &["deploymentPipelineRef", "name"]);
        let pipeline = spec("DeploymentPipeline", &pipeline).await?;
        let pipeline: DeploymentPipelineSpec = serde_json::from_value(pipeline).ok()?;
        pipeline.root().map(str::to_owned)
    }
}

/// The release that a release binding names.
pub(super) fn release_of(binding: &Object) -> String {
    text_at(&binding.data, &["spec", "releaseName"])
}
