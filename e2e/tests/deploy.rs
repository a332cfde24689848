//! An image of one's own in one line: what `curtain deploy` makes of it, makes anew, and refuses.

#![allow(clippy::unwrap_used)]

use std::{path::PathBuf, time::Duration};

use curtain_e2e::{Agent, Clients, Instance, Server, binary, busybox_archive, eventually, get};
use serde_json::{Value, json};

const IMAGE: &str = "docker.io/library/my_app:dev";

/// The image of somebody else's component.
const OTHERS: &str = "docker.io/library/others:1";

/// An archive of [`IMAGE`] that serves `marker`.
fn archive(instance: &Instance, marker: &str) -> PathBuf {
    let path = instance.scratch().join(format!("{marker}.tar"));
    busybox_archive(&path, IMAGE, marker).unwrap();
    path
}

#[test]
fn an_archive_answers_at_its_url_and_the_same_name_again_replaces_it() {
    let instance = Instance::up();
    let one = archive(&instance, "one");
    let deployed = instance.curtain(&["deploy", "--image", one.to_str().unwrap()]);
    assert!(deployed.stderr.contains("component my-app in project default"), "{deployed:?}");
    let url = deployed.success();
    assert_eq!(get(url.trim()).unwrap().body, "one\n");

    // Another image of the same name, at the same place as soon as the command has ended.
    let two = archive(&instance, "two");
    let again = instance.curtain(&["deploy", "--image", two.to_str().unwrap(), "-o", "json"]);
    let again: Value = serde_json::from_str(&again.success()).unwrap();
    assert_eq!(
        (&again["from"], &again["image"], &again["url"]),
        (&"archive".into(), &IMAGE.into(), &url.trim().into(),)
    );
    assert_eq!(get(url.trim()).unwrap().body, "two\n");

    // By its name, as the cluster has it; nothing changes.
    let named = ["deploy", "--image", "my_app:dev", "--component", "my-app", "-o", "json"];
    let named: Value = serde_json::from_str(&instance.curtain(&named).success()).unwrap();
    assert_eq!(named["from"], "cluster");

    // Its state follows its pods.
    eventually("a component that is ready", Duration::from_secs(30), || {
        let listed = instance.curtain(&["component", "list", "-o", "json"]).success();
        let listed: Value = serde_json::from_str(&listed).unwrap();
        let (one, place) = (&listed[0], &listed[0]["environments"][0]);
        assert_eq!((&one["name"], &one["project"]), (&json!("my-app"), &json!("default")));
        let told = (&place["environment"], &place["urls"][0]);
        assert_eq!(told, (&json!("development"), &json!(url.trim())), "{listed}");
        if place["state"] == "Ready" { Ok(()) } else { Err(listed.to_string()) }
    });
    let nowhere = instance.curtain(&["component", "list", "--project", "shp"]);
    let said = "there is no project \"shp\" in namespace default; there are: default";
    assert!(nowhere.code == 3 && nowhere.stderr.contains(said), "{nowhere:?}");

    // It goes with all that was made of it, on record, and another project's is not meant.
    let typo = instance.curtain(&["component", "delete", "my-ap"]);
    assert!(typo.code == 3 && typo.stderr.contains("there are: my-app"), "{typo:?}");
    let other = instance.curtain(&["component", "delete", "my-app", "--project", "shop"]);
    assert!(other.code == 3 && other.stderr.contains("my-app in project default"), "{other:?}");
    let deleted = instance.curtain(&["component", "delete", "my-app", "-o", "json"]);
    let deleted: Value = serde_json::from_str(&deleted.success()).unwrap();
    assert_eq!(
        (&deleted["project"], &deleted["workloads"], &deleted["environments"]),
        (&json!("default"), &json!(["my-app"]), &json!(["development"]))
    );
    let left = |kinds: &str| {
        let left = ["get", kinds, "-A", "-o", "name"];
        let left = instance.kubectl(Clients::KUBECTLS[1], &left).success();
        if left.contains("my-app") { Err(left) } else { Ok(()) }
    };
    left("components,workloads,componentreleases,releasebindings,renderedreleases").unwrap();
    // A program that does not listen to signals has its time.
    eventually("its pods to end", Duration::from_secs(60), || left("pods"));
    let record = instance.curtain(&["audit", "--action", "component:delete"]).success();
    assert!(record.contains("Component/my-app"), "{record}");
    instance.down();
}

#[test]
fn what_listens_elsewhere_is_told_where() {
    let instance = Instance::up();
    let one = archive(&instance, "one");
    let deploy = |port| ["deploy", "--image", one.to_str().unwrap(), "--port", port];
    let lost = instance.curtain(&deploy("9999"));
    assert_eq!(lost.code, 4, "{lost:?}");
    for words in [
        "component my-app does not answer",
        "connections to port 9999 are refused",
        "something listens at port 8080",
        "with --port 8080",
        " logs my-app-",
    ] {
        assert!(lost.stderr.contains(words), "{words}: {lost:?}");
    }
    // What it says goes on.
    let url = instance.curtain(&deploy("8080")).success();
    assert_eq!(get(url.trim()).unwrap().body, "one\n");
    instance.down();
}

#[test]
fn what_cannot_run_is_refused_with_what_it_says_and_nothing_of_others_is_touched() {
    let instance = Instance::up();
    // On no port 1 is there a registry.
    let missing = instance.curtain(&["deploy", "--image", "localhost:1/no-such-image:1"]);
    // The nodes of kind find out by themselves.
    let (code, said) = match std::env::var("CURTAIN_E2E_PROVIDER").as_deref() {
        Ok("kind") => (1, "component no-such-image cannot get ready: ErrImagePull"),
        _ => (4, "no-such-image:1 cannot be found out: localhost cannot be reached"),
    };
    assert!(missing.code == code && missing.stderr.contains(said), "{missing:?}");
    let lost = instance.curtain(&["deploy", "--image", "a:1", "--project", "shoop"]);
    let said = "there is no project \"shoop\"; there are: default";
    assert!(lost.code == 3 && lost.stderr.contains(said), "{lost:?}");
    let typo = instance.curtain(&["deploy", "--image", "nofile.tar"]);
    assert!(typo.code == 3 && typo.stderr.contains("no such file"), "{typo:?}");
    let components = ["get", "components", "-o", "name"];
    let components = instance.kubectl(Clients::KUBECTLS[1], &components).success();
    assert!(!components.contains("nofile"), "{components}");
    if code == 4 {
        assert!(!components.contains("no-such-image"), "nothing is made: {components}");
    }

    instance.curtain(&["demo", "deploy", "greeter"]).success();
    let one = archive(&instance, "one");
    let taken =
        instance.curtain(&["deploy", "--image", one.to_str().unwrap(), "--component", "greeter"]);
    assert!(taken.code != 0 && taken.stderr.contains("was not made by"), "{taken:?}");
    let image = ["get", "workload", "greeter", "-o", "jsonpath={.spec.container.image}"];
    let image = instance.kubectl(Clients::KUBECTLS[1], &image).success();
    assert!(!image.contains("my_app"), "{image}");

    let folder = instance.scratch().to_str().unwrap().to_owned();
    let bad = instance.curtain(&["deploy", "--image", &folder]);
    assert_ne!(bad.code, 0, "{bad:?}");
    instance.down();
}

#[test]
fn an_agent_deploys_an_image_as_itself_once_a_person_lets_it() {
    let instance = Instance::up();
    instance.curtain(&["agent", "add", "claude-1"]).success();
    let serve = ["mcp", "serve", "--stdio", "--as", "claude-1", "--name", instance.name()];
    let line: Vec<String> = std::iter::once(binary().to_string_lossy().into_owned())
        .chain(serve.map(String::from))
        .collect();
    let mut agent = Agent::connect(&instance, "legacy", &Server::Stdio(&line));
    assert!(agent.tools().contains(&"deploy_image"), "{}", agent.hello);
    let others = instance.scratch().join("others.tar");
    busybox_archive(&others, OTHERS, "others").unwrap();
    let asked = |path: &PathBuf| json!({"image": path.to_str().unwrap(), "component_name": "mine"});
    let one = asked(&archive(&instance, "one"));
    let refusal = agent.call("deploy_image", one.clone()).unwrap_err();
    assert!(refusal.contains("denied: component:create on"), "{refusal}");
    let images = instance.curtain(&["image", "list"]).success();
    assert!(!images.contains("my_app"), "nothing is given to the cluster: {images}");

    // What the refusal says, done as it is written.
    let command = refusal.split_once("can allow it: ").map(|(_, command)| command.trim());
    instance.shell(command.unwrap_or_else(|| panic!("no command in {refusal}"))).success();
    let limit = Duration::from_secs(30);
    let deployed =
        eventually("the grant to count", limit, || agent.call("deploy_image", one.clone()));
    let url = deployed["url"].as_str().unwrap();
    assert_eq!(get(url).unwrap().body, "one\n");
    agent.call("deploy_image", asked(&archive(&instance, "two"))).unwrap();
    assert_eq!(get(url).unwrap().body, "two\n", "another image of the same name");

    // What a name of others means is not the agent's to say; nothing of what is refused is kept.
    instance.curtain(&["deploy", "--image", others.to_str().unwrap()]).success();
    let images = ["get", "pods", "-A", "-o", "jsonpath={.items[*].spec.containers[*].image}"];
    let images = instance.kubectl(Clients::KUBECTLS[1], &images).success();
    let platform = images.split_whitespace().find(|image| image.contains("/curtain:")).unwrap();
    let before = instance.curtain(&["image", "list", "-o", "json"]).success();
    for (name, why) in [(OTHERS, "not this component's alone"), (platform, "the platform's own")] {
        let path = instance.scratch().join("foreign.tar");
        busybox_archive(&path, name, "foreign").unwrap();
        let refusal = agent.call("deploy_image", asked(&path)).unwrap_err();
        assert!(refusal.contains(why), "{refusal}");
        assert_eq!(instance.curtain(&["image", "list", "-o", "json"]).success(), before);
    }
    // Not even after its own component has been told to run that name.
    let theirs = json!({"image": OTHERS, "component_name": "mine"});
    agent.call("deploy_image", theirs).unwrap();
    let path = instance.scratch().join("foreign.tar");
    busybox_archive(&path, OTHERS, "foreign").unwrap();
    let refusal = agent.call("deploy_image", asked(&path)).unwrap_err();
    assert!(refusal.contains("not this component's alone"), "{refusal}");
    agent.call("deploy_image", asked(&archive(&instance, "two"))).unwrap();

    let record = instance.curtain(&["audit", "--by", "claude-1", "-o", "json"]).success();
    for action in ["component:create", "workload:create", "workload:update", "releasebinding:"] {
        assert!(record.contains(action), "{action}: {record}");
    }
    // The person's own command makes of it what it makes of any.
    let named = ["deploy", "--image", "my_app:dev", "--component", "mine", "-o", "json"];
    let named: Value = serde_json::from_str(&instance.curtain(&named).success()).unwrap();
    assert_eq!((&named["from"], &named["url"]), (&"cluster".into(), &url.into()));
    drop(agent);
    instance.down();
}
