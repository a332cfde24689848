//! What is refused, before anything is touched.

use std::{fs, path::PathBuf, time::Duration};

use curtain_provider::{Settings, Stop};

use super::{Restore, Save, SnapshotName, Source, list, remove, restore, save};
use crate::{
    Back, Before, Error, FaultPlan, Home, Homes, Instance, Kind, NodePorts, Ports, Stay, Up,
    home::create_private, instance::build_id, lock::Lock, progress::Silent,
};

const MINUTE: Duration = Duration::from_secs(60);

fn up() -> Up {
    Up {
        request: curtain_provider::Request::default(),
        program: std::env::current_exe().unwrap(),
        version: "0".to_owned(),
        timeout: None,
        evidence: PathBuf::from("/nonexistent"),
        merge_kubeconfig: None,
        before: Before::Any,
        stay: Stay::default(),
        faults: FaultPlan::default(),
    }
}

/// An instance on `provider` by `build`, which never ran.
fn made(homes: &Homes, provider: &str, build: &str) -> Home {
    let home = homes.instance(&"lab".parse().unwrap());
    create_private(home.path()).unwrap();
    let instance = Instance {
        version: 1,
        name: home.name().clone(),
        provider: provider.to_owned(),
        build: build.to_owned(),
        image: "docker.io/library/curtain:0".to_owned(),
        ports: Ports { portal: 1, mcp: 2, gateway: 3, api: 4, node: NodePorts::default() },
        settings: Settings::default(),
    };
    instance.write(&home).unwrap();
    home
}

fn files(home: &Home) -> Vec<String> {
    let entries = fs::read_dir(home.path()).unwrap().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn name() -> SnapshotName {
    "step-1".parse().unwrap()
}

/// What the verbs say that stop an instance.
async fn unstopped(homes: &Homes, home: &Home) -> Vec<Error> {
    let stop = Stop::after(MINUTE);
    let how = Save { name: None, to: None, replace: false, up: up() };
    let back = Restore { from: Source::Named(name()), up: up() };
    vec![
        save(homes, home, &how, &stop, &Silent).await.unwrap_err(),
        restore(homes, home, &back, &stop, &Silent).await.unwrap_err(),
    ]
}

/// What all of them say.
async fn refused(homes: &Homes, home: &Home) -> Vec<Error> {
    let mut errors = unstopped(homes, home).await;
    errors.push(list(homes, home).unwrap_err());
    errors.push(remove(homes, home, &name(), MINUTE).await.unwrap_err());
    errors
}

#[tokio::test]
async fn an_instance_on_kind_is_told_why_it_has_no_snapshots_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let homes = Homes::new(dir.path());
    let home = made(&homes, "kind", "b");
    for error in refused(&homes, &home).await {
        let said = error.to_string();
        assert_eq!(error.kind(), Kind::BadInput, "{said}");
        for part in ["on kind", "inside of the node containers", "`curtain pause`", "embedded"] {
            assert!(said.contains(part), "{said}");
        }
    }
    assert_eq!(files(&home), ["instance.json"]);
}

#[tokio::test]
async fn an_instance_that_does_not_exist_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let homes = Homes::new(dir.path().join("data"));
    let home = homes.instance(&"lab".parse().unwrap());
    for error in refused(&homes, &home).await {
        assert!(matches!(&error, Error::NotFound { instance, .. } if instance == "lab"), "{error}");
    }
    assert!(!homes.root().exists());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn whoever_could_not_start_it_again_does_not_stop_it() {
    if curtain_machine::process::user() != 0 {
        println!("NOT RUN: only root has embedded clusters");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let homes = Homes::new(dir.path());
    let home = made(&homes, "embedded", "another");
    for error in unstopped(&homes, &home).await {
        assert_eq!(error.kind(), Kind::VersionMismatch, "{error}");
    }
    assert_eq!(files(&home), ["instance.json"]);

    // By this build, but with nothing that could be saved.
    let build = build_id(&std::env::current_exe().unwrap()).unwrap().0;
    made(&homes, "embedded", &build);
    let stop = Stop::after(MINUTE);
    let how = Save { name: None, to: None, replace: false, up: up() };
    let error = save(&homes, &home, &how, &stop, &Silent).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot save "), "{error}");
    // Whoever waits for another command can be told to end.
    let lock = Lock::existing(&home, Duration::ZERO).await.unwrap();
    let asked = Stop::after(MINUTE);
    asked.ask();
    let error = save(&homes, &home, &how, &asked, &Silent).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Interrupted, "{error}");
    drop(lock);
    let taken = dir.path().join("taken");
    fs::write(&taken, "theirs").unwrap();
    let how = Save { to: Some(taken.clone()), ..how };
    let error = save(&homes, &home, &how, &stop, &Silent).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Exists, "{error}");
    let back = Restore { from: Source::File(taken.clone()), up: up() };
    let error = restore(&homes, &home, &back, &stop, &Silent).await.unwrap_err();
    assert_eq!(error.kind(), Kind::BadInput, "{error}");
    assert_eq!(fs::read_to_string(&taken).unwrap(), "theirs");
    assert_eq!(files(&home), ["instance.json", "lock"]);
}

#[test]
fn what_could_not_be_restored_says_what_there_is_now() {
    let source = || Box::new(Error::Injected { at: "x".to_owned() });
    let said = |back: Back| Error::NotRestored { source: source(), back }.to_string();
    assert!(said(Back::Running).ends_with("; it is as it was before"));
    assert!(said(Back::InPlace).ends_with("in its place again, and `curtain resume` starts it"));
    let beside = Back::Beside { path: "/x/cluster.restoring".into(), source: source() };
    for stuck in [said(Back::Stopped(source())), said(beside)] {
        assert!(stuck.contains("whole") && stuck.contains("`curtain resume`"), "{stuck}");
    }
}
