//! The bridge's own tool `deploy_image`: `curtain deploy`, as whoever the bridge acts as.

use std::time::Duration;

use curtain_appliance::{
    access::Access,
    deploy::{Deploy, Origin, USUAL, deploy},
};
use curtain_control::mcp::{
    Access as Effect, Arg,
    ArgKind::{Integer, Text},
    Arguments, Member, Output, Tool,
    bridge::OwnTool,
};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::environment;

static TOOL: Tool = Tool {
    name: "deploy_image",
    description: "Deploy an image of this machine or the cluster (on kind also of a registry) as a component.",
    toolsets: &[],
    args: &[
        Arg::required("image", Text).about("name or archive path"),
        Arg::optional("component_name", Text),
        Arg::optional("project_name", Text),
        Arg::optional("port", Integer),
    ],
    // The control plane judges what the tool writes.
    actions: &[],
    access: Effect::Update,
    output: Output::Object(&[Member::text("url")]),
};

/// The tool for one instance.
pub(super) struct DeployImage {
    pub(super) access: Access,
    /// Whom the bridge acts as.
    pub(super) who: String,
    /// Held by the deploy that is under way: two at a time would only wait for each other's images.
    pub(super) busy: Mutex<()>,
}

impl OwnTool for DeployImage {
    fn tool(&self) -> &'static Tool {
        &TOOL
    }

    fn call(
        &self,
        arguments: Arguments,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Value, String>> + Send + '_>> {
        Box::pin(async move { self.deploy(&arguments).await })
    }
}

impl DeployImage {
    async fn deploy(&self, arguments: &Arguments) -> Result<Value, String> {
        let Ok(_alone) = self.busy.try_lock() else {
            return Err(
                "another deploy of this session is under way; call again once it has ended"
                    .to_owned(),
            );
        };
        let (image, name) = (arguments.text("image"), arguments.optional("component_name"));
        let origin = Origin::of(image).map_err(|error| error.to_string())?;
        // Whether it may is asked before the archive is given to the cluster, and about a component.
        if name.is_none() && matches!(origin, Origin::Archive(_)) {
            return Err("for an archive, component_name is required".to_owned());
        }
        let wrong = |_| "the argument port must be between 1 and 65535".to_owned();
        let port = arguments.integer("port").map(u16::try_from).transpose().map_err(wrong)?;
        if port == Some(0) {
            return Err("the argument port must be between 1 and 65535".to_owned());
        }
        let around = environment::surroundings();
        let asked = Deploy {
            who: &self.who,
            origin,
            name: name.map(str::to_owned),
            port,
            project: arguments.optional("project_name").unwrap_or("default"),
            around: &around,
        };
        let limit = Duration::from_secs(USUAL);
        let deployed = tokio::time::timeout(limit, deploy(&self.access, asked, limit)).await;
        match deployed {
            Ok(Ok(deployed)) => Ok(json!(deployed)),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("{image} is not deployed within {USUAL} s")),
        }
    }
}
