//! kind's own program beside ours: it knows our clusters, and the nodes that it makes are set up as ours are.

use std::{collections::BTreeMap, process::Command};

use curtain_e2e::{Clients, Engine, Instance, Output};
use serde_json::{Value, json};

/// `kind WORDS` with the test's Engine.
fn kind(engine: &Engine, instance: &Instance, words: &[&str]) -> String {
    let mut command = Command::new(Clients::find().path("kind"));
    command.args(words).env("DOCKER_HOST", engine.host()).env("HOME", instance.scratch());
    command.env("KIND_EXPERIMENTAL_PROVIDER", "docker").env_remove("DOCKER_CONTEXT");
    Output::of(command.env("KUBECONFIG", instance.scratch().join("kind.kubeconfig"))).success()
}

#[test]
fn kinds_own_program_knows_a_cluster_and_deletes_it() {
    let engine = Engine::start();
    let image = engine.load_node_image();
    let before = engine.scan();
    let mut instance = Instance::prepare_kind(&engine, &image);
    instance.start();
    let cluster = format!("curtain-{}", instance.name());
    let ask = |words: &[&str]| kind(&engine, &instance, words);

    assert_eq!(ask(&["get", "clusters"]).trim(), cluster);
    let nodes = ask(&["get", "nodes", "--name", &cluster]);
    assert_eq!(nodes.trim(), format!("{cluster}-control-plane"));
    ask(&["export", "kubeconfig", "--name", &cluster]);
    let exported = instance.scratch().join("kind.kubeconfig");
    let words = ["--kubeconfig", &exported.to_string_lossy(), "get", "nodes", "--output=name"];
    let nodes = instance.kubectl("kubectl-1.32", &words).success();
    assert_eq!(nodes.trim(), format!("node/{cluster}-control-plane"));

    ask(&["delete", "cluster", "--name", &cluster]);
    // What is left is ours: the network, and what is on this machine.
    instance.down();
    engine.assert_as(&before);
}

#[test]
fn nodes_are_set_up_as_kind_itself_does_it() {
    let engine = Engine::start();
    let image = engine.load_node_image();
    let before = engine.scan();
    let instance = Instance::prepare_kind(&engine, &image);
    let mut command = instance.command(&instance.up_words());
    Output::of(command.env("CURTAIN_FAULT", "cluster/kubernetes:before-do:kill"));
    kind(&engine, &instance, &["create", "cluster", "--name", "theirs", "--image", &image]);

    let ours = setup(&engine, &format!("curtain-{}-control-plane", instance.name()));
    let theirs = setup(&engine, "theirs-control-plane");
    assert_eq!(ours, theirs);

    kind(&engine, &instance, &["delete", "cluster", "--name", "theirs"]);
    instance.down();
    engine.assert_as(&before);
}

/// How a node's container is set up, but for what tells one cluster from another: names, addresses and ports.
fn setup(engine: &Engine, node: &str) -> Value {
    let text = engine.docker(&["inspect", node]).success();
    let mut container: Value = serde_json::from_str(&text).unwrap();
    let mut container = container[0].take();
    let mut host = container["HostConfig"].take();
    let host = host.as_object_mut().unwrap();
    // A list that was not given and one without entries are the same to the Engine.
    host.retain(|_, value| !value.is_null() && *value != json!([]));
    for (_, bindings) in host["PortBindings"].as_object().unwrap() {
        assert_eq!(bindings[0]["HostIp"], "127.0.0.1");
    }
    // Volumes are looked at below, as what they come to.
    for else_where in ["PortBindings", "Mounts"] {
        host.remove(else_where);
    }
    let config = &container["Config"];
    let mut environment = config["Env"].clone();
    // kind hands its own settings on.
    let own = |one: &Value| one.as_str().is_some_and(|one| one.starts_with("KIND_"));
    environment.as_array_mut().unwrap().retain(|one| !own(one));
    let mounts = container["Mounts"].as_array().unwrap().iter();
    let mounts: BTreeMap<_, _> = mounts
        .map(|one| (one["Destination"].as_str().unwrap(), json!([one["Type"], one["RW"]])))
        .collect();
    let networks = container["NetworkSettings"]["Networks"].as_object().unwrap();
    json!({
        "host": host,
        "environment": environment,
        "entrypoint": [config["Entrypoint"], config["Cmd"], config["Tty"], config["StopSignal"]],
        "role": config["Labels"]["io.x-k8s.kind.role"],
        "mounts": mounts,
        "networks": networks.keys().collect::<Vec<_>>(),
    })
}
