//! The whole instance in one file, and back: what it had then it has again, whatever happened since, and whoever dies on
//! the way leaves one state or the other.

#![allow(clippy::unwrap_used)]

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use curtain_cli::exit::Exit;
use curtain_e2e::{Instance, Output, eventually, get};
use serde_json::Value;

const KUBECTL: &str = "kubectl-1.37";
const LIMIT: Duration = Duration::from_secs(60);
/// Exchanged, and not started.
const AFTER: &str = "snapshot/exchange:after-do:fail";
const IMAGE: &str = "docker.io/library/shelf:1";

/// A pod with a volume, which writes there when it starts.
const KEEPER: &str = r#"
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: keeper}
spec:
  selector: {matchLabels: {app: keeper}}
  template:
    metadata: {labels: {app: keeper}}
    spec:
      securityContext: {runAsUser: 1000, fsGroup: 2000}
      containers:
      - name: main
        image: docker.io/library/shelf:1
        command: [/bin/sh, -c, 'echo started >> /data/log; sleep 600']
        volumeMounts: [{name: data, mountPath: /data}]
      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
"#;

fn json(output: Output) -> Value {
    serde_json::from_str(&output.success()).unwrap()
}

fn step(instance: &Instance) -> String {
    let path = "jsonpath={.data.step}";
    instance.kubectl(KUBECTL, &["get", "configmap", "lab", "-o", path]).success()
}

fn set_step(instance: &Instance, step: &str) {
    let manifest = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: lab}}\ndata: {{step: {step:?}}}\n"
    );
    instance.kubectl_file(KUBECTL, &["apply"], &manifest).success();
}

fn beside(instance: &Instance, name: &str) -> PathBuf {
    instance.home().join(".local/share/curtain").join(instance.name()).join(name)
}

#[test]
fn an_instance_is_again_what_it_was_when_it_was_saved() {
    let instance = Instance::up();
    instance.load_busybox(IMAGE, "from the shelf");
    let url = instance.curtain(&["demo", "deploy", "greeter"]).success();
    instance.kubectl_file(KUBECTL, &["apply"], KEEPER).success();
    let rollout = || {
        instance
            .kubectl(KUBECTL, &["rollout", "status", "deployment/keeper", "--timeout=60s"])
            .success();
    };
    rollout();
    let shell = |line: &str| {
        let exec = ["exec", "deployment/keeper", "--", "/bin/sh", "-c", line];
        instance.kubectl(KUBECTL, &exec).success()
    };
    shell("echo first > /data/answer; ln -s answer /data/link; chmod 640 /data/answer");
    set_step(&instance, "1");
    instance.curtain(&["agent", "add", "scout"]).success();
    instance.token("scout");

    let empty = instance.curtain(&["snapshot", "list"]).success();
    assert_eq!(empty, "There are no snapshots.\n");
    let saved = json(instance.curtain(&["snapshot", "save", "step-1", "-o", "json"]));
    assert_eq!((&saved["name"], &saved["components"]), (&"step-1".into(), &1.into()), "{saved}");
    assert_eq!(
        (&saved["contents"]["volumes"], &saved["contents"]["images"]),
        (&1.into(), &1.into())
    );
    let file = PathBuf::from(saved["file"].as_str().unwrap());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    // It goes on by itself.
    rollout();
    let listed = json(instance.curtain(&["snapshot", "list", "-o", "json"]));
    assert_eq!(listed, Value::Array(vec![saved.clone()]));
    let text = instance.curtain(&["snapshot", "list"]).success();
    assert!(text.contains("step-1") && text.contains("1 component, "), "{text}");

    // A name is taken once.
    let twice = instance.curtain(&["snapshot", "save", "step-1"]);
    assert_eq!(twice.code, Exit::Exists as i32, "{twice:?}");
    assert!(twice.stderr.contains("--replace"), "{twice:?}");
    let bad = instance.curtain(&["snapshot", "save", "../escape"]);
    assert_eq!(bad.code, Exit::BadInput as i32, "{bad:?}");

    let change = || {
        set_step(&instance, "2");
        shell("echo second > /data/answer; rm /data/link; echo more > /data/more");
        instance.kubectl(KUBECTL, &["create", "configmap", "new", "--from-literal=a=b"]).success();
        instance.curtain(&["agent", "remove", "scout"]).success();
        instance.curtain(&["agent", "add", "late"]).success();
    };
    let as_before = || {
        assert_eq!(step(&instance), "1");
        let none = instance.kubectl(KUBECTL, &["get", "configmap", "new"]);
        assert!(none.stderr.contains("NotFound"), "{none:?}");
        rollout();
        eventually("the pod", LIMIT, || {
            let exec = [
                "exec",
                "deployment/keeper",
                "--",
                "/bin/sh",
                "-c",
                "cat /data/answer; readlink /data/link; ls /data; stat -c '%a %u:%g' /data/answer",
            ];
            let said = instance.kubectl(KUBECTL, &exec).ok()?;
            // As it was, and given to the pod's group again when that started.
            let expected = "first\nanswer\nanswer\nlink\nlog\n660 1000:2000\n";
            if said == expected { Ok(()) } else { Err(said) }
        });
        eventually("scout to sign in", LIMIT, || {
            instance.curtain(&["token", "--as", "scout"]).ok().map(drop)
        });
        let late = instance.curtain(&["token", "--as", "late"]);
        assert_eq!(late.code, Exit::NotFound as i32, "{late:?}");
        eventually("the greeter to answer", LIMIT, || {
            let answer = get(url.trim())?;
            (answer.status == 200).then_some(()).ok_or(format!("{answer:?}"))
        });
        assert!(!beside(&instance, "cluster.restoring").exists());
    };
    change();
    let restored = json(instance.curtain(&["snapshot", "restore", "step-1", "-o", "json"]));
    assert_eq!(restored["running"], true, "{restored}");
    println!("restored in {} s, {} bytes", restored["seconds"], restored["size"]);
    as_before();
    // What is recorded fits: the agent that is back can be removed, the one that is gone can be added.
    change();

    // From a file of the user's, which is whole or not used at all.
    let export = instance.scratch().join("lab.tar.gz");
    let export = export.to_str().unwrap();
    fs::copy(&file, export).unwrap();
    let bytes = fs::read(export).unwrap();
    let cut = instance.scratch().join("cut.tar.gz");
    fs::write(&cut, &bytes[..bytes.len() - 100]).unwrap();
    for broken in [cut.to_str().unwrap(), "/nonexistent.tar.gz", "/etc/hostname"] {
        let refused = instance.curtain(&["snapshot", "restore", "--from", broken]);
        assert_eq!(refused.code, Exit::BadInput as i32, "{refused:?}");
        assert!(refused.stderr.contains(broken), "{refused:?}");
        assert_eq!(step(&instance), "2");
        assert!(!beside(&instance, "cluster.restoring").exists());
    }
    instance.curtain(&["snapshot", "remove", "step-1"]).success();
    let gone = instance.curtain(&["snapshot", "restore", "step-1"]);
    assert_eq!(gone.code, Exit::NotFound as i32, "{gone:?}");
    assert!(gone.stderr.contains("there are none"), "{gone:?}");
    let none = instance.curtain(&["snapshot", "remove", "step-1"]);
    assert_eq!(none.code, Exit::NotFound as i32, "{none:?}");
    let said = instance.curtain(&["snapshot", "restore", "--from", export]).success();
    assert!(said.contains("(snapshot step-1"), "{said}");
    as_before();

    // One that was paused stays so, all the way.
    instance.curtain(&["pause"]).success();
    let mine = tempfile::tempdir().unwrap();
    let save = ["snapshot", "save", "quiet", "--to", mine.path().to_str().unwrap(), "-o", "json"];
    let quiet = json(instance.curtain(&save));
    let quiet = quiet["file"].as_str().unwrap();
    assert_eq!(quiet, mine.path().join("quiet.tar.gz").to_str().unwrap());
    let restored = instance.curtain(&["snapshot", "restore", "--from", quiet]).success();
    assert!(restored.contains("still paused"), "{restored}");
    assert_eq!(instance.processes(&["node", "run"]), [0; 0]);
    instance.curtain(&["resume"]).success();
    as_before();

    // Those of the instance go with it, those of the user do not.
    instance.curtain(&["snapshot", "save"]).success();
    instance.down();
    assert!(fs::metadata(quiet).is_ok(), "{quiet}");
}

#[test]
fn whoever_dies_on_the_way_leaves_one_state_or_the_other() {
    let instance = Instance::up();
    let snapshot = |fault: &str, args: &[&str]| {
        let words = [&["snapshot"], args].concat();
        Output::of(instance.command(&words).env("CURTAIN_FAULT", fault))
    };
    let half = beside(&instance, "cluster.restoring");
    let parts = || {
        let files = fs::read_dir(beside(&instance, "snapshots")).unwrap().flatten();
        files.filter(|file| file.file_name().to_string_lossy().starts_with('.')).count()
    };
    set_step(&instance, "1");
    // Of one that failed nothing is left, and the instance goes on; of one that died, as much as the next removes.
    let failed = snapshot("snapshot:after-do:fail", &["save", "step-1"]);
    assert_eq!(failed.code, Exit::Failed as i32, "{failed:?}");
    assert_eq!((step(&instance).as_str(), parts()), ("1", 0));
    for moment in ["before-do", "after-do"] {
        let died = snapshot(&format!("snapshot:{moment}:kill"), &["save", "step-1"]);
        assert_eq!(died.code, -1, "{died:?}");
        let told = instance.curtain(&["status"]);
        assert!(told.stdout.contains("paused since"), "{told:?}");
        instance.curtain(&["resume"]).success();
    }
    assert_eq!(parts(), 1);
    snapshot("", &["save", "step-1"]).success();
    assert_eq!((step(&instance).as_str(), parts()), ("1", 0));

    // A restore that fails is undone; one that dies leaves what it had in place, and the rest goes with the next `up`.
    for (fault, dies, then) in [
        ("snapshot:before-do:fail", false, "2"),
        ("snapshot:after-do:fail", false, "2"),
        ("snapshot/exchange:before-do:fail", false, "2"),
        ("snapshot/exchange:after-do:fail", false, "2"),
        ("snapshot/exchange:after-do:fail,snapshot/back:before-do:fail", false, "2"),
        ("snapshot:before-do:kill", true, "2"),
        ("snapshot:after-do:kill", true, "2"),
        ("snapshot/exchange:before-do:kill", true, "2"),
        ("snapshot/exchange:after-do:kill", true, "1"),
    ] {
        set_step(&instance, "2");
        let ended = snapshot(fault, &["restore", "step-1"]);
        if dies {
            assert_eq!(ended.code, -1, "{fault}: {ended:?}");
            let status = instance.curtain(&["status"]);
            assert!([0, Exit::Unreachable as i32].contains(&status.code), "{fault}: {status:?}");
            let up = if fault.contains("exchange") { "resume" } else { "up" };
            instance.curtain(&[up]).success();
        } else {
            assert_eq!(ended.code, Exit::Failed as i32, "{fault}: {ended:?}");
        }
        if fault.contains("snapshot/back") {
            // What it was before is beside, whole, until a state was seen to start.
            assert!(ended.stderr.contains("cluster.restoring"), "{ended:?}");
            assert!(half.exists());
            let again = Output::of(instance.command(&["up"]).env("CURTAIN_FAULT", AFTER));
            assert_eq!(again.code, Exit::Failed as i32, "{again:?}");
            assert!(again.stderr.contains("`curtain resume --name"), "{again:?}");
            instance.curtain(&["resume"]).success();
        }
        assert_eq!(step(&instance), then, "{fault}");
        assert!(!half.exists(), "{fault}");
        instance.curtain(&["status"]).success();
    }
    // The next restore removes it as well, and so does `down`.
    set_step(&instance, "2");
    assert_eq!(snapshot("snapshot:after-do:kill", &["restore", "step-1"]).code, -1);
    assert!(half.exists());
    snapshot("", &["restore", "step-1"]).success();
    assert!(step(&instance) == "1" && !half.exists());
    // Before anything else it decides what one that died has left undecided: here the state of before is put back first.
    set_step(&instance, "2");
    assert_eq!(snapshot(&AFTER.replace("fail", "kill"), &["restore", "step-1"]).code, -1);
    assert!(half.exists());
    let broken = snapshot("", &["restore", "--from", "/etc/hostname"]);
    assert_eq!(broken.code, Exit::BadInput as i32, "{broken:?}");
    let refused = snapshot("snapshot:before-do:fail", &["restore", "step-1"]);
    assert_eq!(refused.code, Exit::Failed as i32, "{refused:?}");
    instance.curtain(&["resume"]).success();
    assert!(step(&instance) == "2" && !half.exists());
    assert_eq!(snapshot("snapshot/exchange:after-do:kill", &["restore", "step-1"]).code, -1);
    assert!(half.exists());
    instance.down();
}
