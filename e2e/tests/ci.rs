//! What a CI job needs: an instance around a command that goes however the command ends, instances that expire, a pause
//! that loses nothing, and evidence without secrets.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    fs,
    os::unix::net::UnixListener,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use curtain_cli::exit::Exit;
use curtain_e2e::{Instance, Output, eventually, get};
use serde_json::{Value, json};

const KUBECTL: &str = "kubectl-1.37";
const LIMIT: Duration = Duration::from_secs(60);

/// `curtain run -- sh -c SCRIPT`, with the clients on its path.
fn run(home: &Instance, options: &[&str], script: &str) -> Command {
    let mut command = home.command_without_name(&["run"]);
    command.args(options).args(["--", "sh", "-c", script]);
    let clients = home.clients.path("");
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", clients.display()));
    command.env("KUBECACHEDIR", home.scratch()).env("PYTHON", home.clients.python());
    command
}

/// Asks the REST API with what is in the environment.
const ASK: &str = r#""$PYTHON" -c '
import json, os, urllib.request as u
ask = u.Request(os.environ["CURTAIN_API_URL"] + "/api/v1/namespaces", headers={"Authorization": "Bearer " + os.environ["CURTAIN_TOKEN"]})
print([one["metadata"]["name"] if "metadata" in one else one["name"] for one in json.load(u.urlopen(ask))["items"]])'"#;

#[test]
fn a_command_has_an_instance_of_its_own_and_its_code_is_passed_on() {
    let home = Instance::prepare();
    let script = format!(
        r#"set -e
        {ASK}
        kubectl-1.37 get namespace openchoreo-control-plane -o name
        "$0" status -o json >status.json
        for url in "$CURTAIN_PORTAL_URL" "$CURTAIN_MCP_URL" "$CURTAIN_OBSERVER_MCP_URL" "$CURTAIN_GATEWAY_URL"; do
          echo "$url" | sed 's/[0-9][0-9]*/N/'
        done
        test "$CURTAIN_NAME" = "$CURTAIN_INSTANCE"
        echo "$CURTAIN_NAME"
        exit 7"#
    );
    let mut command = run(&home, &[], &script);
    // The name of the shell's script: where the program is.
    let ended = Output::of(command.arg(curtain_e2e::binary()).current_dir(home.scratch()));
    assert_eq!(ended.code, 7, "{ended:?}");
    let lines: Vec<_> = ended.stdout.lines().collect();
    let [namespaces, namespace, portal, mcp, observer, gateway, name] = lines[..] else {
        panic!("only what the command says is on stdout: {ended:?}")
    };
    assert_eq!(namespaces, "['default']");
    assert_eq!(namespace, "namespace/openchoreo-control-plane");
    assert_eq!((portal, gateway), ("http://localhost:N", "http://localhost:N"));
    assert_eq!((mcp, observer), ("http://localhost:N/mcp", "http://localhost:N/observer/mcp"));
    assert!(name.starts_with("run-"), "{name}");
    let status: Value =
        serde_json::from_slice(&fs::read(home.scratch().join("status.json")).unwrap()).unwrap();
    assert_eq!((&status["ready"], &status["instance"]), (&json!(true), &json!(name)));
    home.assert_no_residue();

    // What cannot be run is said before anything is made; what somebody else made is theirs.
    let none = Output::of(home.command_without_name(&["run", "--", "no-such-program"]));
    assert_eq!(none.code, Exit::NotStarted as i32, "{none:?}");
    home.assert_no_residue();
    let killed = Output::of(
        run(
            &home,
            &["--name", "mine"],
            r#"
        "$0" run --name mine -- true; test $? = 14 && kill -9 $$"#,
        )
        .arg(curtain_e2e::binary()),
    );
    assert_eq!(killed.code, 128 + 9, "{killed:?}");
    assert!(killed.stderr.contains("there is an instance \"mine\" already"), "{killed:?}");
    home.assert_no_residue();
}

#[test]
fn a_rehearsal_shows_everything_once_and_leaves_nothing() {
    let home = Instance::prepare();
    let sheet = Output::of(home.command_without_name(&["doctor", "--workshop"]));
    assert_eq!(sheet.code, 0, "{sheet:?}");
    for line in [
        "ok    platform up",
        "ok    shop up",
        "ok    memory used",
        "ok    taken away",
        "\nREADY  curtain ",
    ] {
        assert!(sheet.stdout.contains(line), "{line} is missing: {sheet:?}");
    }
    home.assert_no_residue();

    // A step that fails is on the sheet, and what was begun goes all the same.
    let failing = |faults: &str, code: Exit| {
        let mut command = home.command_without_name(&["doctor", "--workshop"]);
        let sheet = Output::of(command.env("CURTAIN_FAULT", faults));
        assert_eq!(sheet.code, code as i32, "{sheet:?}");
        let last = sheet.stdout.lines().next_back().unwrap_or_default();
        assert!(last.starts_with("NOT READY  curtain "), "{sheet:?}");
        sheet
    };
    let sheet = failing("cluster:after-do:fail", Exit::Failed);
    assert!(sheet.stdout.contains("FAIL  rehearsal"), "{sheet:?}");
    assert!(sheet.stdout.contains("\nok    taken away"), "{sheet:?}");
    home.assert_no_residue();

    // What could not be taken away is said, and goes with the next command.
    for (faults, code, played) in [
        ("cluster:after-do:fail,cluster:before-undo:fail", Exit::Failed, "FAIL  rehearsal"),
        ("cluster:before-undo:fail", Exit::Leftovers, "ok    shop up"),
    ] {
        let sheet = failing(faults, code);
        for line in [played, "\nFAIL  taken away", "`curtain down --name workshop-"] {
            assert!(sheet.stdout.contains(line), "{line} is missing: {sheet:?}");
        }
        let next = Output::of(home.command_without_name(&["list"]));
        assert!(next.code == 0 && next.stderr.contains("removed instance workshop-"), "{next:?}");
        home.assert_no_residue();
    }
}

/// How `command` ends with an Engine that never answers, if it is interrupted as it asks that for the time `nth`; how
/// often it asked.
fn unanswered(mut command: Command, socket: &Path, nth: Option<usize>) -> (Output, usize) {
    let engine = UnixListener::bind(socket).unwrap();
    engine.set_nonblocking(true).unwrap();
    command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
    // Where a cluster could be made, is chosen.
    command.env("CURTAIN_PROVIDER", "auto");
    let mut asked = Vec::new();
    let mut child = start(&mut command);
    eventually("the command to end", LIMIT, || {
        if let Ok((question, _)) = engine.accept() {
            asked.push(question);
            if nth == Some(asked.len()) {
                signal("-INT", &child.id().to_string());
            }
        }
        child.try_wait().unwrap().map(drop).ok_or_else(|| format!("asked {} times", asked.len()))
    });
    fs::remove_file(socket).unwrap();
    let ended = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let output = Output {
        command: format!("{command:?}"),
        code: ended.status.code().unwrap_or(-1),
        stdout: text(&ended.stdout),
        stderr: text(&ended.stderr),
    };
    (output, asked.len())
}

#[test]
fn a_rehearsal_that_is_interrupted_before_there_is_an_instance_makes_none() {
    let home = Instance::prepare();
    let socket = home.scratch().join("engine");
    let doctor = |words: &[&str], nth: Option<usize>| {
        unanswered(home.command_without_name(words), &socket, nth)
    };
    let (checks, looks) = doctor(&["doctor"], None);
    assert!(looks > 0, "{checks:?}");
    // During the checks, and then as the rehearsal chooses where its cluster comes from.
    for nth in [1, looks + 1] {
        let (sheet, _) = doctor(&["doctor", "--workshop"], Some(nth));
        assert_eq!(sheet.code, Exit::Interrupted as i32, "{sheet:?}");
        assert!(sheet.stderr.contains("interrupted"), "{sheet:?}");
        assert_eq!(sheet.stdout.contains("NOT READY  curtain "), nth > 1, "{sheet:?}");
        home.assert_no_residue();
    }
}

#[test]
fn five_at_once_know_nothing_of_each_other() {
    let home = Instance::prepare();
    let script = |code: usize| {
        format!(
            r#"kubectl-1.37 create configmap "$CURTAIN_NAME" >&2 && echo "$CURTAIN_NAME $CURTAIN_API_URL" &&
            kubectl-1.37 get configmaps -o name | grep run- && exit {code}; exit 99"#
        )
    };
    let ended: Vec<Output> = thread::scope(|scope| {
        let runs: Vec<_> = (0..5)
            .map(|code| {
                let mut command = run(&home, &[], &script(code));
                scope.spawn(move || Output::of(&mut command))
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let mut seen = BTreeSet::new();
    for (code, output) in ended.iter().enumerate() {
        assert_eq!(output.code, code as i32, "{output:?}");
        let lines: Vec<_> = output.stdout.lines().collect();
        let (name, url) = lines[0].split_once(' ').unwrap();
        assert_eq!(lines[1..], [format!("configmap/{name}")], "only its own: {output:?}");
        seen.extend([name, url]);
    }
    assert_eq!(seen.len(), 10, "{seen:?}");
    home.assert_no_residue();
}

fn start(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(name: &str, pid: &str) {
    assert!(Command::new("kill").args([name, pid]).status().unwrap().success());
}

/// Waits for what the command writes once it is there: its process id.
fn ready(file: &Path) -> String {
    eventually("the command to run", LIMIT, || {
        let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
        text.strip_suffix('\n').map(str::to_owned).ok_or(text)
    })
}

#[test]
fn whoever_ends_it_nothing_stays() {
    let home = Instance::prepare();
    let file = home.scratch().join("ready");
    let tell = format!("echo $$ >{}", file.display());

    // A signal goes to the command, which has time to end by itself.
    let script =
        format!(r#"trap 'kill $!; echo interrupted; exit 9' INT; {tell}; sleep 100 & wait"#);
    let child = start(&mut run(&home, &[], &script));
    ready(&file);
    signal("-INT", &child.id().to_string());
    let output = child.wait_with_output().unwrap();
    let said = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((output.status.code(), &*said.0), (Some(9), "interrupted\n"), "{said:?}");
    home.assert_no_residue();

    // Or none at all: killed, it leaves an instance that the next command removes, and no other.
    fs::remove_file(&file).unwrap();
    let mut child = start(&mut run(&home, &[], &format!("{tell}; exec sleep 100")));
    let sleep = ready(&file);
    let list = || Output::of(home.command_without_name(&["status"]));
    let alive = list();
    assert_eq!((alive.code, alive.stderr.contains("removed")), (0, false), "{alive:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    let (first, second) = thread::scope(|scope| {
        let other = scope.spawn(list);
        (list(), other.join().unwrap())
    });
    let said = format!("{}{}", first.stderr, second.stderr);
    assert_eq!(said.matches("removed instance run-").count(), 1, "{said}");
    assert!(said.contains("was killed"), "{said}");
    signal("-KILL", &sleep);
    eventually("the orphaned sleep to be gone", LIMIT, || {
        if Path::new("/proc").join(&sleep).join("cwd").read_link().is_err() {
            Ok(())
        } else {
            Err(sleep.clone())
        }
    });
    home.assert_no_residue();

    // Killed at the very beginning, there is little to remove, and it goes as well.
    let faulty = |fault: &str| {
        Output::of(run(&home, &["--name", "early"], "exit 0").env("CURTAIN_FAULT", fault))
    };
    for fault in ["home:before-do:kill", "home:after-do:kill", "binary:after-do:kill"] {
        assert_eq!(faulty(fault).code, -1);
        let said = list().stderr;
        assert!(said.contains("removed instance early"), "{fault}: {said}");
        home.assert_no_residue();
    }
    // What fails on the way is taken back, with the code of its failure.
    let failed = faulty("cluster:after-do:fail");
    assert_eq!((failed.code, failed.stdout.as_str()), (Exit::Failed as i32, ""), "{failed:?}");
    assert!(failed.stderr.contains("a fault was injected"), "{failed:?}");
    assert!(failed.stderr.contains("Instance early is gone"), "{failed:?}");
    home.assert_no_residue();

    // Before the command began, the instance goes all the same.
    for name in ["-TERM", "-KILL"] {
        let mut child = start(&mut run(&home, &["--name", "early"], "exit 0"));
        let lease = home.home().join(".local/share/curtain/early/cluster");
        eventually("the cluster to be begun", LIMIT, || {
            lease.exists().then_some(()).ok_or(String::new())
        });
        signal(name, &child.id().to_string());
        let ended = child.wait().unwrap();
        if name == "-TERM" {
            assert_eq!(ended.code(), Some(Exit::Interrupted as i32));
        } else {
            assert!(list().stderr.contains("removed instance early"));
        }
        home.assert_no_residue();
    }
}

/// Programs of the instance that run, whoever started them.
fn programs() -> Vec<String> {
    let lines = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let line = String::from_utf8(fs::read(entry.path().join("cmdline")).ok()?).ok()?;
        line.split('\0').next()?.ends_with("curtain").then(|| line.replace('\0', " "))
    });
    lines.collect()
}

fn json(output: Output) -> Value {
    serde_json::from_str(&output.success()).unwrap()
}

#[test]
fn a_paused_instance_keeps_everything_and_an_expired_one_is_removed() {
    let mut instance = Instance::prepare();
    let absent = instance.curtain(&["resume"]);
    assert_eq!(absent.code, Exit::NotFound as i32, "{absent:?}");
    assert_eq!(instance.curtain(&["pause"]).code, Exit::NotFound as i32);
    instance.start();
    let expires = |output: Output| {
        json(output)["expires"].as_str().map(|at| at.parse::<jiff::Timestamp>().unwrap())
    };
    let status = || instance.curtain(&["status", "-o", "json"]);
    assert_eq!(expires(status()), None);
    instance.curtain(&["up", "--ttl", "1h"]).success();
    let hour = expires(status()).unwrap();
    assert_eq!(
        expires(instance.curtain(&["up", "-o", "json"])),
        Some(hour),
        "left by an `up` without"
    );
    let url = instance.curtain(&["demo", "deploy", "greeter"]).success();
    instance.kubectl(KUBECTL, &["create", "configmap", "kept", "--from-literal=a=b"]).success();

    // A node that is deaf to what ends it is killed after a while instead.
    let nodes = instance.processes(&["node", "run"]);
    let status_of_node = fs::read_to_string(format!("/proc/{}/status", nodes[0])).unwrap();
    let blocked = status_of_node.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
    assert_eq!(blocked.trim().trim_start_matches('0'), "", "signals are blocked");

    for again in ["resume", "up"] {
        let paused = json(instance.curtain(&["pause", "-o", "json"]));
        assert!(paused["ended"].as_u64().unwrap() > 0, "{paused}");
        assert_eq!(programs(), [""; 0]);
        let twice = json(instance.curtain(&["pause", "-o", "json"]));
        assert_eq!((&twice["since"], &twice["ended"]), (&paused["since"], &json!(0)));
        let told = instance.curtain(&["status"]);
        assert_eq!(told.code, Exit::Unreachable as i32, "{told:?}");
        assert!(told.stdout.contains("paused since"), "{told:?}");
        assert!(told.stderr.contains("`curtain resume --name"), "{told:?}");
        for asks in [["token", "--as", "developer"], ["demo", "deploy", "greeter"]] {
            let told = instance.curtain(&asks);
            assert_eq!(told.code, Exit::Unreachable as i32, "{told:?}");
            assert!(told.stderr.contains("`curtain resume --name"), "{told:?}");
        }
        let told = instance.curtain(&["status", "-o", "json"]);
        let told: Value = serde_json::from_str(&told.stdout).unwrap();
        assert_eq!((&told["paused"], &told["memory"]), (&paused["since"], &Value::Null));

        let facts = json(instance.curtain(&[again, "-o", "json"]));
        assert_eq!(facts["endpoints"], instance.facts()["endpoints"], "at the same addresses");
        let status = json(status());
        assert_eq!((&status["ready"], &status["paused"]), (&json!(true), &Value::Null));
        instance.kubectl(KUBECTL, &["get", "configmap", "kept"]).success();
        eventually("the greeter to answer again", LIMIT, || {
            let answer = get(url.trim())?;
            (answer.status == 200).then_some(()).ok_or(format!("{answer:?}"))
        });
    }
    // A paused one is removed like any other, here because its time is over.
    assert_eq!(expires(status()), Some(hour));
    let soon = expires(instance.curtain(&["up", "--ttl", "3s", "-o", "json"])).unwrap();
    assert!(soon < hour, "renewed: {soon}");
    // On a slow machine its time may be over before it is paused.
    let paused = instance.curtain(&["pause"]).stderr;
    let left = jiff::Timestamp::now().duration_until(soon);
    thread::sleep(Duration::try_from(left).unwrap_or_default());
    let gone = instance.curtain(&["status"]);
    assert_eq!(gone.code, Exit::NotFound as i32, "{gone:?}");
    let line = format!("removed instance {} (expired {soon})", instance.name());
    assert!(gone.stderr.contains(&line) || paused.contains(&line), "{paused} {gone:?}");
    instance.assert_no_residue();
}

/// Unpacks an archive and returns its files, by their paths below its one folder.
fn unpack(instance: &Instance, archive: &Path) -> Vec<(String, String)> {
    fn walk(dir: &Path, root: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            if entry.path().is_dir() {
                walk(&entry.path(), root, found);
            } else {
                let bytes = fs::read(entry.path()).unwrap();
                let path = entry.path().strip_prefix(root).unwrap().display().to_string();
                found.push((path, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
    }
    let folder = tempfile::tempdir_in(instance.scratch()).unwrap();
    let mut tar = Command::new("tar");
    Output::of(
        tar.arg("-xzf").arg(archive).arg("-C").arg(folder.path()).arg("--strip-components=1"),
    )
    .success();
    let mut found = Vec::new();
    walk(folder.path(), folder.path(), &mut found);
    found
}

/// Everything that gives somebody access to the instance: of its API and in its folder.
fn credentials(instance: &Instance) -> BTreeSet<String> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let mut found = BTreeSet::new();
    for one in json(instance.curtain(&["credentials", "-o", "json"])).as_array().unwrap() {
        found.insert(one["secret"].as_str().unwrap().to_owned());
    }
    found.insert(instance.token("developer"));
    let secrets = json(instance.kubectl(KUBECTL, &["get", "secrets", "-A", "-o", "json"]));
    for secret in secrets["items"].as_array().unwrap() {
        for (key, value) in secret["data"].as_object().into_iter().flatten() {
            let encoded = value.as_str().unwrap();
            let text = String::from_utf8_lossy(&STANDARD.decode(encoded).unwrap()).into_owned();
            let secret =
                ["password", "secret", "token", "key"].iter().any(|word| key.contains(word));
            if secret && text.len() >= 8 {
                found.extend([encoded.to_owned(), text]);
            }
        }
    }
    let kubeconfig = fs::read_to_string(instance.kubeconfig()).unwrap();
    let key = kubeconfig
        .split("client-key-data: ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .trim_matches('"');
    let pem = String::from_utf8(STANDARD.decode(key).unwrap()).unwrap();
    let lines: Vec<_> =
        pem.lines().filter(|line| !line.starts_with("-----")).map(str::to_owned).collect();
    found.insert(key.to_owned());
    found.extend(lines);
    assert!(found.len() > 20, "{}", found.len());
    found
}

#[test]
fn evidence_has_everything_but_the_secrets() {
    use std::os::unix::fs::PermissionsExt as _;
    let instance = Instance::up();
    instance.curtain(&["demo", "deploy", "greeter"]).success();
    let create = |args: &[&str]| instance.kubectl(KUBECTL, &[&["create"], args].concat()).success();
    create(&["secret", "generic", "own", "--from-literal=password=correct-horse-battery"]);
    create(&[
        "configmap",
        "own",
        "--from-literal=mode=plain-to-see",
        "--from-literal=api-key=not-to-be-seen",
    ]);
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "own"}, "spec": {"containers": [{
        "name": "own", "image": "docker.io/library/none:1",
        "env": [{"name": "DB_PASSWORD", "value": "not-to-be-seen"}, {"name": "MODE", "value": "plain-to-see"}]}]}});
    instance.kubectl_file(KUBECTL, &["apply"], &pod.to_string()).success();
    let mut secrets = credentials(&instance);
    secrets.extend([
        "not-to-be-seen".to_owned(),
        "eyJ".to_owned(),
        "PRIVATE KEY-----\n".to_owned(),
    ]);
    let check = |files: &[(String, String)]| {
        for (path, text) in files {
            let shown: Vec<_> = secrets.iter().filter(|secret| text.contains(*secret)).collect();
            assert!(shown.is_empty(), "{path} has {shown:?}");
        }
    };

    let archive = instance.scratch().join("up.tar.gz");
    let bundle = instance.curtain(&["support-bundle", archive.to_str().unwrap()]);
    assert_eq!(bundle.code, 0, "{bundle:?}");
    assert_eq!(bundle.stdout.trim(), archive.to_str().unwrap());
    assert_eq!(fs::metadata(&archive).unwrap().permissions().mode() & 0o777, 0o600);
    let files = unpack(&instance, &archive);
    check(&files);
    let has = |files: &[(String, String)], path: &str, text: &str| {
        let (_, found) =
            files.iter().find(|(name, _)| name.starts_with(path)).unwrap_or_else(|| {
                panic!("no {path} in {:?}", files.iter().map(|(name, _)| name).collect::<Vec<_>>())
            });
        assert!(found.contains(text), "{path} lacks {text:?}: {found}");
    };
    for (path, text) in [
        ("about.json", env!("CARGO_PKG_VERSION")),
        ("doctor.json", "\"ledger\""),
        ("status.json", "\"ready\": true"),
        ("ledger.jsonl", "\"bundle/control\""),
        ("instance.json", instance.name()),
        ("cluster.log", ""),
        ("objects/openchoreo.dev/components.json", "\"greeter\""),
        ("objects/core/events.json", "\"Event\""),
        ("objects/core/secrets.json", "[masked], 21 bytes"),
        ("objects/core/configmaps.json", "plain-to-see"),
        ("objects/core/pods.json", "plain-to-see"),
        ("logs/openchoreo-control-plane/api-server", "\n"),
    ] {
        has(&files, path, text);
    }

    // Nothing answers: what the machine knows is there, and what it does not is said.
    instance.curtain(&["pause"]).success();
    let archive = instance.scratch().join("paused.tar.gz");
    let bundle = instance.curtain(&["support-bundle", archive.to_str().unwrap()]);
    assert_eq!(bundle.code, 0, "{bundle:?}");
    assert!(bundle.stderr.contains("the cluster's API does not answer"), "{bundle:?}");
    let files = unpack(&instance, &archive);
    check(&files);
    has(
        &files,
        "NOT-COLLECTED.txt",
        "objects, events and logs of containers: the cluster's API does not answer",
    );
    has(&files, "status.json", "\"paused\"");
    has(&files, "cluster.log", "");
    let none = instance.scratch().join("none.tar.gz");
    let none =
        Output::of(instance.command_for("none", &["support-bundle", none.to_str().unwrap()]));
    assert_eq!(none.code, Exit::NotFound as i32, "{none:?}");

    // And where `up` failed half-way.
    let half = format!("{}-half", instance.name());
    let failed = instance
        .command_for(&half, &["up"])
        .env("CURTAIN_FAULT", "cluster:before-do:fail")
        .output();
    assert!(!failed.unwrap().status.success());
    let archive = instance.scratch().join("half.tar.gz");
    let bundle = Output::of(
        instance.command_for(&half, &["support-bundle", "-o", "json", archive.to_str().unwrap()]),
    );
    let told = json(bundle);
    assert_eq!(told["file"], archive.to_str().unwrap());
    assert!(told["notCollected"].as_array().unwrap().len() > 1, "{told}");
    let files = unpack(&instance, &archive);
    has(&files, "doctor.json", "incomplete: cluster");
    Output::of(instance.command_for(&half, &["down"])).success();
    instance.down();
}
