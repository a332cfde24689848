//! Going back where auto-deploy goes forward again.

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
