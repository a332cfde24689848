//! One change at every door.

use curtain_e2e::{Agent, Answer, Clients, Server, Visitor, eventually, get_as, put_as};
use serde_json::json;

use crate::{BINDINGS, LIMIT, stage::Stage};

const COMPONENT: &str = "/namespaces/default/projects/default/components/greeter";

/// Going back, of which an agent and a person are told the same by tools, over REST, and in the portal.
pub(crate) fn the_same_at_every_door(stage: &mut Stage) {
    let api = stage.instance.endpoint("api");
    let url = format!("{api}{BINDINGS}/greeter-staging");
    let back = stage.releases[0].clone();
    // Of the version that is there now, as the portal does it.
    let by_rest = |token: &str| {
        let mut binding = get_as(token, &url).unwrap();
        binding["spec"]["releaseName"] = json!(back);
        put_as(token, &url, &binding).unwrap()
    };
    let claude = stage.token.clone();
    let refusal = stage.attempt("rollback").unwrap_err();
    let answer = by_rest(&claude);
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(answer.body.contains(denied(&refusal)), "{answer:?} does not say {refusal:?}");
    let refused = stage.instance.curtain(&["open", "--as", "claude-1", "--print"]);
    assert!(refused.stderr.contains("only people sign in to a browser"), "{refused:?}");
    stage
        .instance
        .curtain(&["agent", "grant", "claude-1", "rollback", "--env", "staging"])
        .success();
    eventually("the grant to count", LIMIT, || stage.attempt("rollback"));
    eventually("REST to let it through", LIMIT, || match by_rest(&claude) {
        answer if answer.status == 200 => Ok(()),
        answer => Err(answer.body),
    });
    assert_eq!(stage.runs("staging"), back);
    stage.forward();
    stage.instance.curtain(&["agent", "revoke", "claude-1", "--all"]).success();
    eventually("the agent to be stopped", LIMIT, || match stage.attempt("rollback") {
        Err(again) if again == refusal => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(by_rest(&claude).body, answer.body);

    // A developer, who may until it is forbidden.
    let token = stage.instance.token("developer");
    let mcp = stage.instance.endpoint("mcp");
    let http = Server::Http { url: &mcp, token: &token };
    let mut tools = Agent::connect(&stage.instance, "legacy", &http);
    let portal = Visitor::enter(&stage.instance, "developer");
    let call = json!({"namespace_name": "default", "binding_name": "greeter-staging",
        "release_name": back});
    let mut by_tool = || tools.call("update_release_binding", call.clone());
    let fields = [("environment", "staging"), ("release", back.as_str())];
    let in_portal = || portal.submit(&format!("{COMPONENT}/rollback"), &fields);
    let freeze = ["apply", "--validate=false"];
    stage.instance.kubectl_file(Clients::KUBECTLS[1], &freeze, FREEZE).success();
    eventually("the freeze to count", LIMIT, || {
        let Err(refusal) = by_tool() else {
            stage.forward();
            return Err("the tool goes back".to_owned());
        };
        let (_, said) = refusal.split_once("default/freeze forbids ").ok_or(&refusal)?;
        for answer in [by_rest(&token), in_portal()] {
            // JSON and a page have quotes in their own ways.
            let body = answer.body.replace("\\\"", "\"").replace("&quot;", "\"");
            assert!(answer.status == 403 && body.contains(said), "{answer:?} is not {said:?}");
        }
        Ok(())
    });
    stage.kubectl(&["delete", "authzrolebinding", "freeze"]);
    eventually("the end of the freeze", LIMIT, by_tool);
    for (door, done) in [(&(|| by_rest(&token)) as &dyn Fn() -> Answer, 200), (&in_portal, 303)] {
        stage.forward();
        // The controller may write what it has done at the same time.
        eventually("the door to let it through", LIMIT, || match door() {
            answer if answer.status == done => Ok(()),
            answer if answer.status == 409 => Err(answer.body),
            answer => panic!("{answer:?}"),
        });
        assert_eq!(stage.runs("staging"), back);
    }
    // Who may deploy may not let others.
    let wish = [("agent", "claude-1"), ("kind", "scale"), ("minutes", "60")];
    let answer = portal.submit("/agents/grant", &wish);
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(answer.body.contains("authzrolebinding:create"), "{answer:?}");
}

/// In the first environment, auto-deploy would bring the newest release again.
pub(crate) fn only_what_stays_is_gone_back_to(stage: &mut Stage) {
    let grant = ["agent", "grant", "claude-1", "rollback", "--env", "development"];
    stage.instance.curtain(&grant).success();
    let call = json!({"namespace_name": "default", "binding_name": "greeter-development",
        "release_name": stage.releases[0]});
    eventually("the grant to count", LIMIT, || {
        match stage.claude.call("update_release_binding", call.clone()) {
            Err(refusal) if refusal.contains("auto-deploy of component greeter would") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    assert_eq!(stage.runs("development"), stage.releases[1]);
    let off = r#"{"spec": {"autoDeploy": false}}"#;
    stage.kubectl(&["patch", "component", "greeter", "--type=merge", "-p", off]);
    stage.claude.call("update_release_binding", call).unwrap();
    assert_eq!(stage.runs("development"), stage.releases[0]);
}

/// What a refusal says, and how it is lifted.
fn denied(refusal: &str) -> &str {
    refusal.find("denied: ").map_or(refusal, |at| &refusal[at..])
}

const FREEZE: &str = r#"
apiVersion: openchoreo.dev/v1alpha1
kind: AuthzRoleBinding
metadata: {name: freeze, namespace: default}
spec:
  effect: deny
  entitlement: {claim: groups, value: developers}
  roleMappings:
  - roleRef: {kind: ClusterAuthzRole, name: config-fix}
"#;
