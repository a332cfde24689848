//! The contract of the commands: what scripts read from them, and two of them at once.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, fs, process::Command, thread};

use curtain_cli::exit::Exit;
use curtain_e2e::{Instance, Output, get};
use serde_json::{Value, json};

fn members(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn object(output: Output) -> Value {
    serde_json::from_str(&output.success()).expect("one JSON object on stdout")
}

const UP: [&str; 6] = ["endpoints", "instance", "kubeconfig", "provider", "ready", "seconds"];

#[test]
fn scripts_read_what_the_contract_says_and_nothing_else() {
    let instance = Instance::up();
    let up = instance.facts().clone();
    assert_eq!(members(&up), UP.into());
    assert_eq!(
        members(&up["endpoints"]),
        ["api", "gateway", "mcp", "observerMcp", "portal", "sreAgentMcp"].into()
    );
    assert_eq!((&up["instance"], &up["provider"]), (&json!(instance.name()), &json!("embedded")));
    assert!(up["seconds"].is_f64(), "{up}");

    // Again: nothing to do, nothing changed.
    let again = object(instance.curtain(&["up", "-o", "json"]));
    assert_eq!(again["endpoints"], up["endpoints"]);
    let status = object(instance.curtain(&["status", "-o", "json"]));
    let expected: BTreeSet<_> = UP.into_iter().chain(["planes"]).collect();
    assert_eq!(members(&status), expected);
    assert_eq!((&status["ready"], &status["endpoints"]), (&json!(true), &up["endpoints"]));
    let planes = status["planes"].as_array().unwrap();
    let names: Vec<_> = planes.iter().map(|plane| plane["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["control", "data", "observability", "workflow"]);
    for plane in planes {
        assert_eq!(plane["ready"], true, "{plane}");
        assert!(plane["deployments"].is_array(), "{plane}");
    }

    // One line on stdout, for `$(…)`.
    let kubeconfig = instance.curtain(&["kubeconfig"]).success();
    assert_eq!(kubeconfig.trim_end(), up["kubeconfig"]);
    let token = instance.curtain(&["token", "--as", "developer"]).success();
    assert_eq!((token.lines().count(), token.trim().split('.').count()), (1, 3), "{token}");
    let url = instance.curtain(&["demo", "deploy", "greeter"]).success();
    assert_eq!(url.lines().count(), 1, "{url}");
    assert_eq!(get(url.trim()).unwrap().status, 200, "it answers at once");
    let removed = instance.curtain(&["demo", "remove", "greeter"]);
    assert_eq!((removed.code, removed.stdout.as_str()), (0, ""), "{removed:?}");
    // Gone means gone: the next deployment meets nothing of the last.
    let again = instance.curtain(&["demo", "deploy", "greeter"]).success();
    assert_eq!(again, url);

    for (args, member) in [
        (&["open", "-o", "json"][..], "url"),
        (&["token", "--as", "admin", "-o", "json"], "token"),
        (&["kubeconfig", "-o", "json"], "kubeconfig"),
    ] {
        let answer = object(instance.curtain(args));
        assert!(answer[member].as_str().is_some_and(|text| !text.is_empty()), "{args:?}: {answer}");
    }
    let nobody = instance.curtain(&["token", "--as", "nobody"]);
    assert_eq!(nobody.code, Exit::NotFound as i32, "{nobody:?}");
    assert!(nobody.stderr.contains("developer@"), "it names those there are: {nobody:?}");
    let unknown = instance.curtain(&["demo", "deploy", "bazaar"]);
    assert_eq!(unknown.code, Exit::NotFound as i32, "{unknown:?}");
    assert!(unknown.stderr.contains("greeter"), "{unknown:?}");
    let checks = object(instance.curtain(&["doctor", "-o", "json"]));
    assert!(checks.as_array().unwrap().iter().all(|check| check["state"] != "failed"), "{checks}");

    let down = object(instance.curtain(&["down", "-o", "json"]));
    assert_eq!(members(&down), ["instance", "leftovers", "removed"].into());
    assert!(down["removed"].as_u64().unwrap() > 0 && down["leftovers"] == json!([]), "{down}");
    let again = object(instance.curtain(&["down", "-o", "json"]));
    assert_eq!(again["removed"], 0);
    instance.assert_no_residue();
}

#[test]
fn two_instances_live_side_by_side_and_go_one_by_one() {
    let first = Instance::prepare();
    let second = format!("{}-too", first.name());
    let names = [first.name(), &second];
    let kube = first.home().join(".kube");
    let mine = "apiVersion: v1\nkind: Config # mine\ncurrent-context: work\ncontexts: [{name: work, context: {}}]\n";
    fs::create_dir(&kube).unwrap();
    fs::write(kube.join("config"), mine).unwrap();
    let both = |args: &[&str]| {
        thread::scope(|scope| {
            let runs = names.map(|name| {
                let mut command = first.command_for(name, args);
                scope.spawn(move || object(Output::of(&mut command)))
            });
            runs.map(|run| run.join().unwrap())
        })
    };
    // Made at the same moment, so that they would choose the same ports.
    let facts = both(&["up", "--merge-kubeconfig", "-o", "json"]);
    let urls: BTreeSet<_> =
        facts.iter().map(|one| one["endpoints"]["portal"].to_string()).collect();
    assert_eq!(urls.len(), 2, "{facts:?}");
    // Nobody guesses which one is meant, and `list` says which there are.
    let unnamed = |args: &[&str]| Output::of(first.command_without_name(args));
    let listed: Value = serde_json::from_str(&unnamed(&["list", "-o", "json"]).success()).unwrap();
    let listed = listed.as_array().unwrap();
    let seen: BTreeSet<_> = listed.iter().map(|one| one["instance"].as_str().unwrap()).collect();
    assert_eq!(seen, names.into());
    assert!(listed.iter().all(|one| one["state"] == "running"), "{listed:?}");
    let which = unnamed(&["status"]);
    assert_eq!(which.code, Exit::NotFound as i32, "{which:?}");
    assert!(names.iter().all(|name| which.stderr.contains(name)), "{which:?}");
    both(&["mcp", "install", "cursor", "-o", "json"]);
    let client = first.home().join(".cursor/mcp.json");
    let entries = || -> Value { serde_json::from_slice(&fs::read(&client).unwrap()).unwrap() };
    assert_eq!(members(&entries()["mcpServers"]).len(), 2, "{}", entries());

    // First in, first out: each takes its own out of the files, and the last one puts them back.
    Output::of(first.command_for(names[0], &["down"])).success();
    let status = object(Output::of(first.command_for(names[1], &["status", "-o", "json"])));
    assert_eq!(status["ready"], true, "the other lives on: {status}");
    let only = object(unnamed(&["status", "-o", "json"]));
    assert_eq!(only["instance"], names[1], "it is the only one");
    let nothing = unnamed(&["down"]);
    assert!(nothing.code == 0 && nothing.stderr.contains(names[1]), "{nothing:?}");
    assert_eq!(members(&entries()["mcpServers"]).len(), 1, "{}", entries());
    let config = fs::read_to_string(kube.join("config")).unwrap();
    assert!(config.contains(&format!("curtain-{second}")), "{config}");
    assert!(!config.contains(&format!("current-context: curtain-{}\n", names[0])), "{config}");
    Output::of(first.command_for(names[1], &["down"])).success();
    assert_eq!(fs::read_to_string(kube.join("config")).unwrap(), mine);
    fs::remove_dir_all(kube).unwrap();
    first.assert_no_residue();
}

#[test]
fn commands_on_one_instance_at_the_same_time_take_turns() {
    let instance = Instance::prepare();
    for verbs in [["up", "up"], ["down", "down"], ["up", "down"], ["down", "up"]] {
        let outputs = thread::scope(|scope| {
            let runs = verbs.map(|verb| {
                let mut command = instance.command(&[verb]);
                scope.spawn(move || Output::of(&mut command))
            });
            runs.map(|run| run.join().unwrap())
        });
        for output in outputs {
            output.success();
        }
    }
    instance.curtain(&["down"]).success();
    instance.assert_no_residue();
}

#[test]
fn no_command_waits_for_ever_and_each_says_for_whom() {
    let instance = Instance::up();
    // Somebody holds the instance.
    let lock = instance.kubeconfig().with_file_name("lock");
    let lock = fs::File::options().write(true).open(lock).unwrap();
    lock.lock().unwrap();
    for verb in ["up", "down"] {
        let busy = instance.curtain(&[verb, "--timeout", "1s"]);
        assert_eq!(busy.code, Exit::Busy as i32, "{busy:?}");
        assert!(busy.stderr.contains(instance.name()), "{busy:?}");
    }
    drop(lock);

    // The node is there and does not answer.
    let node = instance.processes(&["node", "run"]);
    let signal = |name: &str| {
        let status = Command::new("kill").args([name, &node[0].to_string()]).status();
        assert!(status.unwrap().success());
    };
    signal("-STOP");
    for args in [
        &["credentials"][..],
        &["token", "--as", "admin"],
        &["demo", "deploy", "greeter"],
        &["demo", "remove", "greeter"],
    ] {
        let late = instance.curtain(&[args, &["--timeout", "1s"]].concat());
        assert_eq!(late.code, Exit::Timeout as i32, "{late:?}");
        assert!(late.stderr.contains("curtain doctor"), "{late:?}");
    }
    let late = instance.curtain(&["up", "--timeout", "1s"]);
    assert_eq!(late.code, Exit::Timeout as i32, "{late:?}");
    assert!(late.stderr.contains("supervisor.log"), "the end of the log: {late:?}");
    signal("-CONT");
    instance.curtain(&["up"]).success();
    instance.down();
}
