//! Where the agent acts, and what it tries.

use curtain_e2e::{Agent, Clients, Instance, Server, Visitor, binary, eventually, get_as, post_as};
use serde_json::{Value, json};

use crate::{BINDINGS, LIMIT};

/// The greeter, which runs its second release in staging, and an agent that would like to change that.
pub(crate) struct Stage {
    pub(crate) claude: Agent,
    pub(crate) instance: Instance,
    /// The agent's own.
    pub(crate) token: String,
    pub(crate) releases: [String; 2],
    replicas: u32,
}

impl Stage {
    pub(crate) fn set() -> Self {
        let instance = Instance::up();
        instance.curtain(&["demo", "deploy", "greeter"]).success();
        instance.curtain(&["agent", "add", "claude-1"]).success();
        let serve = ["mcp", "serve", "--stdio", "--as", "claude-1", "--name", instance.name()];
        let line: Vec<String> = std::iter::once(binary().to_string_lossy().into_owned())
            .chain(serve.map(String::from))
            .collect();
        let claude = eventually("the identity to count", LIMIT, || {
            let mut agent = Agent::connect(&instance, "legacy", &Server::Stdio(&line));
            agent.call("list_namespaces", json!({})).map(|_| agent)
        });
        let token = instance.token("claude-1");
        let mut stage =
            Self { claude, instance, token, releases: [const { String::new() }; 2], replicas: 1 };
        let first = stage.runs("development");
        let staging = json!({"metadata": {"name": "greeter-staging"}, "spec": {
            "owner": {"projectName": "default", "componentName": "greeter"},
            "environment": "staging", "releaseName": first}});
        let url = format!("{}{BINDINGS}", stage.instance.endpoint("api"));
        post_as(&stage.instance.token("admin"), &url, &staging).unwrap();
        // Releases are as old as they are said to be, to the second.
        let change = r#"{"spec": {"container": {"env": [{"key": "CALL", "value": "second"}]}}}"#;
        let kubectl = |args: &[&str]| stage.instance.kubectl(Clients::KUBECTLS[1], args);
        let workload = kubectl(&["get", "workloads", "-o", "name"]).success();
        kubectl(&["patch", workload.trim(), "--type=merge", "-p", change]).success();
        let second = eventually("a second release", LIMIT, || match stage.runs("development") {
            release if release == first => Err(release),
            release => Ok(release),
        });
        stage.releases = [first, second];
        stage.forward();
        stage
    }

    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        self.instance.kubectl(Clients::KUBECTLS[1], args).success()
    }

    /// The release of an environment.
    pub(crate) fn runs(&self, environment: &str) -> String {
        let name = format!("greeter-{environment}");
        self.kubectl(&["get", "releasebinding", &name, "-o", "jsonpath={.spec.releaseName}"])
    }

    /// Brings the second release to staging again.
    pub(crate) fn forward(&self) {
        let release = json!({"spec": {"releaseName": self.releases[1]}}).to_string();
        self.kubectl(&["patch", "releasebinding/greeter-staging", "--type=merge", "-p", &release]);
    }

    /// What the agent is told when it tries the change that is `kind`, and undoes it where it would be none again.
    pub(crate) fn attempt(&mut self, kind: &str) -> Result<(), String> {
        let staging = |change: Value| {
            let mut call = json!({"namespace_name": "default", "binding_name": "greeter-staging"});
            call.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            ("update_release_binding", call)
        };
        let (tool, call) = match kind {
            "restart" => staging(json!({"restart": true})),
            "scale" => {
                let replicas = 3 - self.replicas;
                staging(json!({"component_type_environment_configs": {"replicas": replicas}}))
            }
            "rollback" => staging(json!({"release_name": self.releases[0]})),
            "config-fix" => staging(json!({"restart": true, "release_name": self.releases[0]})),
            "deploy" => (
                "create_release_binding",
                json!({"namespace_name": "default", "project_name": "default",
                    "component_name": "greeter", "environment": "production",
                    "release_name": self.releases[0]}),
            ),
            _ => (
                "delete_release_binding",
                json!({"namespace_name": "default", "binding_name": "greeter-staging"}),
            ),
        };
        self.claude.call(tool, call)?;
        match kind {
            "scale" => self.replicas = 3 - self.replicas,
            "rollback" => {
                assert_eq!(self.runs("staging"), self.releases[0]);
                self.forward();
            }
            "deploy" => {
                self.kubectl(&["delete", "releasebinding", "greeter-production"]);
            }
            _ => {}
        }
        Ok(())
    }

    /// The command that a refusal of the change `kind` prints.
    pub(crate) fn refused(&mut self, kind: &str) -> String {
        let refusal = self.attempt(kind).unwrap_err();
        let command = refusal.split_once("A person can allow it: ").map(|(_, it)| it.trim());
        let command = command.unwrap_or_else(|| panic!("no command in {refusal}")).to_owned();
        let environment = if kind == "deploy" { "production" } else { "staging" };
        let wanted = format!(
            "curtain agent grant claude-1 {kind} --project default --component greeter --env {environment} --for 1h \
             --name {}",
            self.instance.name()
        );
        assert_eq!(command, wanted);
        command
    }

    /// The kinds that are granted, which every door shows alike.
    pub(crate) fn granted(&self, portal: &Visitor) -> Vec<String> {
        let kinds = |agents: &Value| -> Vec<String> {
            let agent = agents.as_array().unwrap().iter().find(|one| one["name"] == "claude-1");
            let grants = agent.unwrap()["grants"].as_array().unwrap();
            grants.iter().map(|grant| grant["roles"][0].as_str().unwrap().to_owned()).collect()
        };
        let listed = self.instance.curtain(&["agent", "list", "-o", "json"]).success();
        let listed = kinds(&serde_json::from_str(&listed).unwrap());
        // The agent itself is told the same.
        let url = format!("{}/api/v1/agents", self.instance.endpoint("api"));
        let own = get_as(&self.token, &url).unwrap();
        assert_eq!(kinds(&own["items"]), listed);
        let page = portal.page("/agents").body;
        for kind in ["restart", "scale", "rollback", "deploy"] {
            let shown = page.contains(&format!("aria-label=\"Revoke {kind} from claude-1\""));
            assert_eq!(shown, listed.iter().any(|one| one == kind), "{kind}: {page}");
        }
        listed
    }
}
