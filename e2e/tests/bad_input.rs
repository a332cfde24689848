//! What can be wrong, said clearly, with the right exit code, and nothing lost.

#![allow(clippy::unwrap_used)]

use std::{net::TcpListener, process::Command, time::Duration};

use curtain_e2e::{Instance, eventually};

/// The exit codes that this file relies on; the table is in `curtain --help`.
mod code {
    pub(super) const USAGE: i32 = 2;
    pub(super) const NOT_FOUND: i32 = 3;
    pub(super) const DISK_FULL: i32 = 6;
    pub(super) const BAD_INPUT: i32 = 8;
}

#[test]
fn an_unknown_instance_is_named_and_down_of_it_is_fine() {
    let nobody = Instance::prepare();
    for args in
        [&["status"][..], &["token", "--as", "admin"], &["kubeconfig"], &["open", "--print"]]
    {
        let output = nobody.curtain(args);
        assert_eq!(output.code, code::NOT_FOUND, "{output:?}");
        assert!(output.stderr.contains(nobody.name()), "{output:?}");
        assert!(output.stderr.contains("curtain up"), "{output:?}");
        assert_eq!(output.stdout, "", "{output:?}");
    }
    let down = nobody.curtain(&["down", "-o", "json"]).success();
    let down: serde_json::Value = serde_json::from_str(&down).unwrap();
    assert_eq!(down["removed"], 0);
    assert_eq!(nobody.curtain(&["up", "--provider", "nowhere"]).code, code::USAGE);
    nobody.assert_no_residue();
}

#[test]
fn a_taken_port_is_replaced_and_stays_with_the_instance() {
    let taken = TcpListener::bind("127.0.0.1:8080");
    let instance = Instance::up();
    let portal = instance.endpoint("portal");
    assert!(!portal.ends_with(":8080"), "8080 is taken, yet the portal is at {portal}");
    drop(taken);
    let again = instance.curtain(&["up", "-o", "json"]).success();
    let again: serde_json::Value = serde_json::from_str(&again).unwrap();
    assert_eq!(again["endpoints"]["portal"], portal.as_str(), "ports stay with the instance");
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
        assert_eq!(output.code, code::BAD_INPUT, "{output:?}");
        assert!(output.stderr.contains("broken.tar"), "{output:?}");
    }
    let images = instance.curtain(&["image", "list", "-o", "json"]).success();
    assert!(!images.contains("broken"), "{images}");

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
    instance.kubectl_file("kubectl-1.37", &["apply"], manifest).success();
    eventually("the binding to say what failed", Duration::from_secs(20), || {
        let path = "jsonpath={.status.conditions[*].message}";
        let get = ["get", "releasebinding", "crooked-development", "-o", path];
        let said = instance.kubectl("kubectl-1.37", &get).ok()?;
        let named = said.contains("spec.replicas") && said.contains("parameters.missing.deeper");
        if named { Ok(()) } else { Err(said) }
    });
    instance.down();
}

#[test]
fn a_full_disk_is_said_and_cleaned_up_after() {
    let nobody = Instance::prepare();
    let small = nobody.scratch().join("small");
    std::fs::create_dir(&small).unwrap();
    let mount = |args: &[&str]| {
        let status = Command::new(args[0]).args(&args[1..]).status().unwrap();
        assert!(status.success(), "{args:?}: NOT RUN without the right to mount");
    };
    mount(&["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small.to_str().unwrap()]);
    let output = nobody.command(&["up"]).env("CURTAIN_HOME", &small).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let down = nobody.command(&["down"]).env("CURTAIN_HOME", &small).output().unwrap();
    mount(&["umount", small.to_str().unwrap()]);
    std::fs::remove_dir(&small).unwrap();
    assert_eq!(output.status.code(), Some(code::DISK_FULL), "{stderr}");
    assert!(stderr.contains("No space left"), "{stderr}");
    assert!(down.status.success(), "{down:?}");
    nobody.assert_no_residue();
}
