//! What can be wrong, said clearly, with the right exit code, and nothing lost.

#![allow(clippy::unwrap_used)]

use std::{fs, net::TcpListener, path::Path, process::Command, time::Duration};

use curtain_cli::exit::Exit;
use curtain_e2e::{Instance, Output, eventually};

const KUBECTL: &str = "kubectl-1.37";

#[test]
fn an_unknown_instance_is_named_and_down_of_it_is_fine() {
    let nobody = Instance::prepare();
    for args in [
        &["status"][..],
        &["doctor"],
        &["token", "--as", "admin"],
        &["credentials"],
        &["kubeconfig"],
        &["open", "--print"],
        &["image", "load", "none.tar"],
        &["image", "list"],
        &["demo", "deploy", "greeter"],
        &["demo", "remove", "greeter"],
        &["mcp", "serve", "--stdio", "--as", "admin"],
        &["mcp", "config", "cursor"],
        &["mcp", "install", "cursor"],
        &["mcp", "uninstall"],
        &["pause"],
        &["resume"],
        &["snapshot", "save"],
        &["snapshot", "restore", "step-1"],
        &["snapshot", "list"],
        &["snapshot", "remove", "step-1"],
        &["support-bundle", "none.tar.gz"],
    ] {
        let output = nobody.curtain(args);
        assert_eq!(output.code, Exit::NotFound as i32, "{output:?}");
        assert!(output.stderr.contains(nobody.name()), "{output:?}");
        assert!(output.stderr.contains("curtain up"), "{output:?}");
        assert_eq!(output.stdout, "", "{output:?}");
    }
    let down = nobody.curtain(&["down", "-o", "json"]).success();
    let down: serde_json::Value = serde_json::from_str(&down).unwrap();
    assert_eq!(down, serde_json::json!({"instance": nobody.name(), "removed": 0, "leftovers": []}));
    for args in [
        &["up", "--provider", "nowhere"][..],
        &["up", "--name", "../escape"],
        &["up", "--name", "Upper"],
        &["up", "--timeout", "soon"],
        &["nonsense"],
    ] {
        // A name given twice is refused as such, so these go without the instance's own.
        let output = Output::of(nobody.command_without_name(args));
        assert_eq!(output.code, Exit::Usage as i32, "{output:?}");
        assert_eq!(output.stdout, "", "{output:?}");
    }
    nobody.assert_no_residue();
}

/// A mount over an empty folder of its own, taken off again when dropped.
struct Mount(std::path::PathBuf);

impl Mount {
    fn over(path: &Path, args: &[&str]) -> Self {
        fs::create_dir_all(path).unwrap();
        let status = Command::new("mount").args(args).arg(path).status().unwrap();
        assert!(status.success(), "mount {args:?} {}", path.display());
        Self(path.to_owned())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_home_that_cannot_be_written_is_said_and_another_one_proposed() {
    let nobody = Instance::prepare();
    let home = nobody.scratch().join("sealed");
    let sealed = Mount::over(&home, &["-t", "tmpfs", "-o", "ro", "tmpfs"]);
    for verb in [&["up"][..], &["down"], &["status"]] {
        let output = Output::of(nobody.command(verb).env("HOME", &home));
        let expected = match verb[0] {
            "up" => Exit::Unmet,
            "down" => Exit::Ok,
            _ => Exit::NotFound,
        };
        assert_eq!(output.code, expected as i32, "{output:?}");
        if verb[0] == "up" {
            assert!(output.stderr.contains("Read-only file system"), "{output:?}");
            assert!(output.stderr.contains("CURTAIN_HOME"), "{output:?}");
        }
    }
    drop(sealed);
    nobody.assert_no_residue();
}

#[test]
fn a_taken_port_is_replaced_and_stays_with_the_instance() {
    let mut instance = Instance::prepare();
    let taken = TcpListener::bind("127.0.0.1:8080");
    instance.start();
    let portal = instance.endpoint("portal");
    assert!(!portal.ends_with(":8080"), "8080 is taken, yet the portal is at {portal}");
    drop(taken);
    let again = instance.curtain(&["up", "-o", "json"]);
    assert!(again.stderr.contains("8080 was in use when the instance was made"), "{again:?}");
    let again: serde_json::Value = serde_json::from_str(&again.success()).unwrap();
    assert_eq!(again["endpoints"]["portal"], portal.as_str(), "ports stay with the instance");
    instance.down();
}

#[test]
fn a_proxy_is_not_asked_for_what_is_on_this_machine() {
    let mut instance = Instance::prepare();
    // One that is not there, and one that is no URL.
    instance.set("https_proxy", "http://127.0.0.1:9");
    instance.set("HTTPS_PROXY", "://");
    instance.set("http_proxy", "http://127.0.0.1:9");
    instance.start();
    instance.curtain(&["demo", "deploy", "greeter"]).success();
    instance.down();
}

#[test]
fn broken_files_and_types_are_explained_and_nothing_is_lost() {
    let instance = Instance::up();

    // An archive that ends early, and one that is none.
    let archive = instance.scratch().join("broken.tar");
    curtain_e2e::busybox_archive(&archive, "docker.io/library/broken:1", "x").unwrap();
    let bytes = std::fs::read(&archive).unwrap();
    for content in [&bytes[..bytes.len() / 2], b"this is no archive"] {
        std::fs::write(&archive, content).unwrap();
        let output = instance.curtain(&["image", "load", archive.to_str().unwrap()]);
        assert_eq!(output.code, Exit::BadInput as i32, "{output:?}");
        assert!(output.stderr.contains("broken.tar"), "{output:?}");
    }
    let images = instance.curtain(&["image", "list", "-o", "json"]).success();
    assert!(!images.contains("broken"), "{images}");

    // A manifest that cannot be is refused with the field's name, and nothing of it is kept.
    let broken = "
apiVersion: openchoreo.dev/v1alpha1
kind: Component
metadata: {name: broken, namespace: default}
spec: {owner: {projectName: 7}, componentType: {kind: ClusterComponentType, name: deployment/service}}
";
    let refused = instance.kubectl_file(KUBECTL, &["apply"], broken);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("spec.owner.projectName"), "{refused:?}");
    assert_eq!(instance.kubectl(KUBECTL, &["get", "component", "broken"]).code, 1);
    let misspelled = broken.replace("projectName: 7", "projectName: default, colour: red");
    let refused = instance.kubectl_file(KUBECTL, &["apply"], &misspelled);
    assert!(refused.stderr.contains("unknown field \"spec.owner.colour\""), "{refused:?}");

    // A template that fails names where and what.
    let manifest = r#"
apiVersion: openchoreo.dev/v1alpha1
kind: ClusterComponentType
metadata: {name: crooked}
spec:
  workloadType: deployment
  resources:
  - id: deployment
    template:
      apiVersion: apps/v1
      kind: Deployment
      metadata: {name: "${metadata.name}"}
      spec: {replicas: "${parameters.missing.deeper}"}
---
apiVersion: openchoreo.dev/v1alpha1
kind: Component
metadata: {name: crooked, namespace: default}
spec:
  owner: {projectName: default}
  autoDeploy: true
  componentType: {kind: ClusterComponentType, name: deployment/crooked}
---
apiVersion: openchoreo.dev/v1alpha1
kind: Workload
metadata: {name: crooked, namespace: default}
spec:
  owner: {projectName: default, componentName: crooked}
  container: {image: "docker.io/library/none:1"}
"#;
    instance.kubectl_file(KUBECTL, &["apply"], manifest).success();
    eventually("the binding to say what failed", Duration::from_secs(20), || {
        let path = "jsonpath={.status.conditions[*].message}";
        let get = ["get", "releasebinding", "crooked-development", "-o", path];
        let said = instance.kubectl(KUBECTL, &get).ok()?;
        let named = said.contains("spec.replicas") && said.contains("parameters.missing.deeper");
        if named { Ok(()) } else { Err(said) }
    });
    instance.down();
}

#[test]
fn a_full_disk_is_said_and_cleaned_up_after() {
    let nobody = Instance::prepare();
    let small = nobody.scratch().join("small");
    let mount = Mount::over(&small, &["-t", "tmpfs", "-o", "size=1m", "tmpfs"]);
    let curtain = |verb: &[&str]| Output::of(nobody.command(verb).env("CURTAIN_HOME", &small));
    let refused = curtain(&["up"]);
    assert_eq!(refused.code, Exit::DiskFull as i32, "{refused:?}");
    assert!(refused.stderr.contains("No space left"), "{refused:?}");
    assert!(refused.stderr.contains("free some space"), "{refused:?}");
    curtain(&["down"]).success();
    assert_eq!(fs::read_dir(&small).unwrap().count(), 0);
    drop(mount);
    nobody.assert_no_residue();
}

#[test]
fn a_disk_that_fills_while_the_instance_runs_stops_writes_and_loses_nothing() {
    // The instance's folder on a small disk: a copy of the program, and forty megabytes more.
    let room = fs::metadata(curtain_e2e::binary()).unwrap().len() / 1_000_000 + 40;
    let mut instance = Instance::prepare();
    let disk = instance.home().join(".local/share/curtain");
    let size = format!("size={room}m");
    let mount = Mount::over(&disk, &["-t", "tmpfs", "-o", &size, "tmpfs"]);
    instance.start();
    let text = format!("--from-literal=text={}", "x".repeat(90_000));
    let write = |name: &str| instance.kubectl(KUBECTL, &["create", "configmap", name, &text]);
    write("before").success();

    let filler = disk.join("filler");
    let fill = || {
        let mut dd = Command::new("dd");
        dd.args(["if=/dev/zero", "bs=64k"]).arg(format!("of={}", filler.display()));
        let output = Output::of(dd);
        assert!(output.stderr.contains("No space left"), "{output:?}");
    };
    fill();
    let mut written = vec!["before".to_owned()];
    let refused = (0..2_000).map(|number| format!("full-{number}")).find_map(|name| {
        let output = write(&name);
        if output.code != 0 {
            return Some(output);
        }
        written.push(name);
        None
    });
    let refused = refused.expect("a full disk refuses writes");
    assert!(refused.stderr.contains("is full: free some space"), "{refused:?}");
    // What was acknowledged can be read, and the instance still says how it is.
    let names = || instance.kubectl(KUBECTL, &["get", "configmaps", "-o", "name"]).success();
    let kept = names();
    assert!(written.iter().all(|name| kept.contains(&format!("configmap/{name}\n"))), "{kept}");
    instance.curtain(&["status"]).success();
    let archive = instance.scratch().join("shelf.tar");
    curtain_e2e::busybox_archive(&archive, "docker.io/library/shelf:1", "x").unwrap();
    let refused = instance.curtain(&["image", "load", archive.to_str().unwrap()]);
    assert_eq!(refused.code, Exit::DiskFull as i32, "{refused:?}");

    // With space again, everything goes on.
    fs::remove_file(&filler).unwrap();
    eventually("writes to be taken again", Duration::from_secs(20), || write("after").ok());
    instance.curtain(&["image", "load", archive.to_str().unwrap()]).success();
    assert!(names().contains("configmap/before\n"));

    // A disk that is full again does not keep the instance from going.
    fill();
    let down = instance.curtain(&["down", "-o", "json"]).success();
    assert!(down.contains("\"leftovers\": []"), "{down}");
    fs::remove_file(&filler).unwrap();
    drop(mount);
    fs::remove_dir_all(instance.home().join(".local")).unwrap();
    instance.assert_no_residue();
}
