//! Every step of `up` and `down` goes wrong once, and nothing is left; `scripts/chaos up` does all of it.

#![allow(clippy::unwrap_used)]

use curtain_cli::exit::Exit;
use curtain_e2e::{Instance, Output};

/// The steps of `up`, as this binary has them: a new one is covered without anyone remembering.
fn steps(instance: &Instance) -> Vec<String> {
    let text = instance.curtain(&["plan", "-o", "json"]).success();
    serde_json::from_str(&text).unwrap()
}

/// `up` with everything it can do.
const UP: &[&str] = &["up", "--merge-kubeconfig"];

/// Runs a verb with a fault; it must not succeed unless the fault is a repetition.
fn with_fault(instance: &Instance, verb: &[&str], fault: &str) {
    let output = instance.command(verb).env("CURTAIN_FAULT", fault).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.success(), fault.ends_with(":repeat"), "{verb:?}, {fault}: {said}");
}

#[test]
fn a_killed_step_of_up_is_undone_by_down() {
    let instance = Instance::prepare();
    for step in steps(&instance) {
        with_fault(&instance, UP, &format!("{step}:after-do:kill"));
        instance.curtain(&["down"]).success();
        instance.assert_no_residue();
    }
}

#[test]
fn a_failed_step_of_up_is_completed_by_the_next_and_a_repeated_one_changes_nothing() {
    let instance = Instance::prepare();
    for step in steps(&instance) {
        with_fault(&instance, UP, &format!("{step}:before-do:fail"));
        instance.curtain(UP).success();
        instance.curtain(&["down"]).success();
        instance.assert_no_residue();
    }
    with_fault(&instance, UP, "cluster:after-do:repeat,bundle/control:after-do:repeat");
    instance.curtain(&["down"]).success();
    instance.assert_no_residue();
}

#[test]
fn a_killed_failed_or_repeated_step_of_down_is_finished_by_the_next() {
    let instance = Instance::prepare();
    for fault in ["cluster:before-undo:kill", "cluster:after-undo:fail", "home:before-undo:kill"] {
        instance.curtain(UP).success();
        with_fault(&instance, &["down"], fault);
        instance.curtain(&["down"]).success();
        instance.assert_no_residue();
    }
    instance.curtain(UP).success();
    with_fault(&instance, &["down"], "cluster:after-undo:repeat");
    instance.assert_no_residue();
}

#[test]
fn a_killed_or_repeated_step_of_wiring_a_client_is_undone_by_down() {
    let instance = Instance::prepare();
    instance.curtain(UP).success();
    let install = ["mcp", "install", "cursor"];
    let file = instance.home().join(".cursor/mcp.json");
    let client = format!("client/cursor:{}", file.display());
    for step in ["agent/cursor-1", &client] {
        for fault in ["before-do:kill", "after-do:kill", "after-do:fail"] {
            with_fault(&instance, &install, &format!("{step}:{fault}"));
        }
        with_fault(&instance, &install, &format!("{step}:after-do:repeat"));
        assert!(file.exists());
        // So that the next step's faults meet nothing that is done.
        instance.curtain(&["mcp", "uninstall", "cursor"]).success();
        assert!(!file.exists());
    }
    instance.curtain(&install).success();
    with_fault(&instance, &["down"], &format!("{client}:after-undo:kill"));
    assert!(!file.exists());
    instance.curtain(&["down"]).success();
    instance.assert_no_residue();
}

#[test]
fn a_run_that_failed_ends_with_its_own_code_whatever_is_left() {
    let instance = Instance::prepare();
    let mut run = instance.command(&["run"]);
    run.args(["--", "true"]).env("CURTAIN_FAULT", "cluster:after-do:fail,cluster:before-undo:fail");
    let run = Output::of(&mut run);
    assert_eq!(run.code, Exit::Failed as i32, "{run:?}");
    let why = run.stderr.find("cluster (AfterDo)").expect("why it failed");
    let left = run.stderr.find("not everything could be undone").expect("what is left");
    assert!(why < left, "{run:?}");
    instance.curtain(&["down"]).success();
    instance.assert_no_residue();
}
