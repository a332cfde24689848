use super::*;

fn settings(version: &Version) -> Settings {
    Settings {
        version: version.clone(),
        cluster: "curtain-ci".to_owned(),
        node: "curtain-ci-control-plane".to_owned(),
        address: "172.18.0.2".to_owned(),
        control_plane: "curtain-ci-control-plane".to_owned(),
        alone: true,
        rootless: false,
        cgroups: 2,
    }
}

fn join() -> Join {
    Join::parse(
        "kubeadm join curtain-ci-control-plane:6443 --token abcdef.0123456789abcdef \
         --discovery-token-ca-cert-hash sha256:00ff \n",
    )
    .unwrap()
}

#[test]
fn the_configurations_of_the_last_five_minor_versions() {
    for text in ["v1.33.12", "v1.34.11", "v1.35.8", "v1.36.4", "v1.37.0"] {
        let version: Version = text.parse().unwrap();
        insta::assert_snapshot!(format!("init-{text}"), settings(&version).init());
        let worker = Settings { node: "curtain-ci-worker".to_owned(), ..settings(&version) };
        insta::assert_snapshot!(format!("join-{text}"), worker.join(&join()));
    }
}

#[test]
fn the_configurations_of_the_last_version_with_maps_of_arguments() {
    let version: Version = "v1.30.14".parse().unwrap();
    let shared = Settings { alone: false, rootless: true, cgroups: 1, ..settings(&version) };
    insta::assert_snapshot!("init-v1.30.14", shared.init());
    insta::assert_snapshot!("join-v1.30.14", shared.join(&join()));
}

#[test]
fn kubelets_on_control_groups_of_version_1_are_told_not_to_mind() {
    let version: Version = "v1.36.4".parse().unwrap();
    let init = |cgroups| Settings { cgroups, ..settings(&version) }.init();
    assert!(init(1).contains(r#""failCgroupV1": false"#));
    assert!(!init(2).contains("failCgroupV1"));
}

#[test]
fn what_is_not_a_usable_version_is_said() {
    assert!("v1.21.1".parse::<Version>().unwrap_err().contains("1.21 is too old"));
    for bad in ["", "v2.0.0", "1", "busybox"] {
        assert!(bad.parse::<Version>().is_err(), "{bad}");
    }
}

#[test]
fn a_token_is_never_shown() {
    let shown = format!("{:?}", join());
    assert!(!shown.contains("abcdef") && !shown.contains("00ff"), "{shown}");
    assert!(Join::parse("kubeadm join").is_none());
}
