//! The GitHub Action, run as a runner runs it: its step, what the job gets of it, and its end.

#![allow(clippy::unwrap_used)]

mod node_image;
mod runner;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use curtain_e2e::{Clients, Instance, Output, binary, get};

use runner::Runner;

#[test]
fn a_step_brings_an_instance_and_its_end_takes_it_away() {
    let instance = Instance::prepare();
    let runner = Runner::new(&instance, "root");
    let step = runner.run("main.js", "");
    assert_eq!(step.code, 0, "{step:?}");
    let outputs = runner.values("output");
    let names: Vec<_> = outputs.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["api", "command", "gateway", "kubeconfig", "mcp", "observer-mcp", "portal", "token"]
    );
    assert_eq!(get(&outputs["portal"]).unwrap().status / 100, 3, "it sends on to the sign-in");

    // Later steps: the kubeconfig, the binary on the PATH, and which instance is meant.
    let mut kubectl = Command::new(instance.clients.path(Clients::KUBECTLS[1]));
    kubectl.args(["--kubeconfig", &outputs["kubeconfig"], "get", "projects", "-A"]);
    Output::of(kubectl.env("KUBECACHEDIR", instance.scratch())).success();
    let later = runner.values("env");
    let bin = runner.text("path");
    let mut status = Command::new(Path::new(bin.trim()).join("curtain"));
    let status =
        Output::of(status.arg("status").env("HOME", instance.home()).envs(&later)).success();
    assert!(status.contains(instance.name()), "{status}");

    // Every secret is masked, and printed for that alone.
    let mut credentials = Command::new(binary());
    credentials.args(["credentials", "-o", "json"]).env("HOME", instance.home()).envs(&later);
    let credentials: serde_json::Value =
        serde_json::from_str(&Output::of(credentials).success()).unwrap();
    let mut secrets: Vec<_> =
        credentials.as_array().unwrap().iter().filter_map(|one| one["secret"].as_str()).collect();
    assert!(!secrets.is_empty());
    secrets.push(&outputs["token"]);
    for secret in secrets {
        assert!(step.stdout.contains(&format!("::add-mask::{secret}\n")), "{}", step.stdout);
        let others = step.stdout.replace(&format!("::add-mask::{secret}\n"), "");
        let said = [
            others,
            step.stderr.clone(),
            runner.text("summary"),
            runner.text("state"),
            runner.text("env"),
        ];
        assert!(!said.concat().contains(secret), "{said:?}");
    }
    let summary = runner.text("summary");
    assert!(summary.contains(&outputs["portal"]) && summary.contains("on embedded"), "{summary}");

    let end = runner.run("post.js", "");
    assert_eq!(end.code, 0, "{end:?}");
    assert!(end.stdout.contains("nothing left"), "{end:?}");
    assert_eq!(runner.left(), [""; 0]);
    instance.assert_no_residue();
}

#[test]
fn a_job_that_is_not_roots_asks_sudo_and_fails_where_something_is_left() {
    let instance = Instance::prepare();
    let runner = Runner::new(&instance, "somebody").for_somebody();
    let step = runner.run("main.js", "");
    assert_eq!(step.code, 0, "{step:?}");
    let outputs = runner.values("output");
    assert!(outputs["command"].starts_with("sudo -n -E /"), "{outputs:?}");
    assert!(fs::read_to_string(&outputs["kubeconfig"]).unwrap().contains("server: "));
    let asked = runner.text("sudo-was-asked");
    assert!(asked.contains(" up ") && asked.contains("kubeconfig"), "{asked}");

    let end = runner.run("post.js", "cluster:before-undo:fail");
    assert_eq!(end.code, 1, "{end:?}");
    assert!(end.stdout.contains("::error::curtain down failed"), "{end:?}");
    let end = runner.run("post.js", "");
    assert_eq!((end.code, runner.left()), (0, Vec::new()), "{end:?}");
    instance.assert_no_residue();
}

#[test]
fn a_step_that_fails_says_so_and_its_end_still_cleans_up() {
    let instance = Instance::prepare();
    let runner = Runner::new(&instance, "fails");
    let step = runner.run("main.js", "cluster:after-do:fail");
    assert_eq!(step.code, 1, "{step:?}");
    assert!(step.stdout.contains("::error::curtain up failed: exit code 1"), "{step:?}");
    let outputs = runner.values("output");
    assert!(!outputs.contains_key("token"));
    let bundle = format!("curtain-support-{}.tar.gz", instance.name());
    let bundle = Path::new(&outputs["evidence"]).join(bundle);
    let listed = Output::of(Command::new("tar").arg("-tzf").arg(bundle)).success();
    assert!(listed.lines().count() > 1, "what is known of the failure: {listed}");
    let end = runner.run("post.js", "");
    assert_eq!(end.code, 0, "{end:?}");
    instance.assert_no_residue();
}

#[test]
fn what_is_known_of_a_failure_is_there_for_the_next_step() {
    let instance = Instance::prepare();
    let mut runner = Runner::new(&instance, "evidence").for_somebody();
    // A curtain whose `up` collects something about its nodes and fails, and which makes bundles.
    runner.binary = runner.dir.join("curtain");
    let text = "#!/bin/sh\ncase \"$1 $2\" in
        up*) echo \"$@\" >\"$0-was-asked\"; echo nodes >\"/tmp/curtain-evidence-$3-now.tar.gz\"; exit 4 ;;
        'support-bundle --help') ;;
        support-bundle*) echo bundle >\"$2\" ;;
        *) exit 1 ;;
    esac\n";
    fs::write(&runner.binary, text).unwrap();
    fs::set_permissions(&runner.binary, fs::Permissions::from_mode(0o755)).unwrap();
    let step = runner.run("main.js", "");
    assert!(step.code == 1 && step.stdout.contains("exit code 4"), "{step:?}");
    // Hosted runners have an Engine: what is not asked for is not left to `auto`.
    let asked = runner.text("curtain-was-asked");
    assert!(asked.contains(" --provider embedded"), "{asked}");
    let folder = PathBuf::from(&runner.values("output")["evidence"]);
    let nodes = format!("curtain-evidence-{}-now.tar.gz", instance.name());
    let bundle = format!("curtain-support-{}.tar.gz", instance.name());
    for (file, text) in [(nodes, "nodes\n"), (bundle, "bundle\n")] {
        assert_eq!(fs::read_to_string(folder.join(&file)).unwrap(), text);
        let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(folder.join(&file)).unwrap());
        assert_eq!(owner, 1001, "the next step may read it");
    }
}
