//! An image of one's own in one line: what `curtain deploy` makes of it, makes anew, and refuses.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use curtain_e2e::{Clients, Instance, busybox_archive, get};
use serde_json::Value;

const IMAGE: &str = "docker.io/library/my_app:dev";

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
    instance.down();
}

#[test]
fn what_cannot_run_is_refused_with_what_it_says_and_nothing_of_others_is_touched() {
    let instance = Instance::up();
    let missing = instance.curtain(&["deploy", "--image", "no-such-image:1"]);
    assert_eq!(missing.code, 1, "{missing:?}");
    let said = "component no-such-image cannot get ready: ErrImagePull";
    assert!(missing.stderr.contains(said), "{missing:?}");

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
