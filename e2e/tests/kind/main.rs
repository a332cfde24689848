//! The provider kind with a real Engine, on nodes whose image was made for the tests (`CURTAIN_KIND_NODE_IMAGE` names a
//! real one instead).

#![allow(clippy::unwrap_used)]

mod tools;

use std::time::Duration;

use curtain_e2e::{Engine, Instance, Output, busybox_archive, eventually, get};

const LIMIT: Duration = Duration::from_secs(60);
const IMAGE: &str = "docker.io/library/shelf:1";

/// A Deployment of [`IMAGE`] and its Service.
const SHELF: &str = r"
apiVersion: apps/v1
kind: Deployment
metadata: {name: shelf, namespace: default}
spec:
  selector: {matchLabels: {app: shelf}}
  template:
    metadata: {labels: {app: shelf}}
    spec:
      containers:
      - name: shelf
        image: docker.io/library/shelf:1
        imagePullPolicy: Never
";

fn code(output: &Output, expected: i32) -> String {
    assert_eq!(output.code, expected, "{}\n{}", output.stdout, output.stderr);
    output.stderr.clone()
}

#[test]
fn the_platform_comes_up_on_nodes_works_is_paused_and_goes() {
    let engine = Engine::start();
    let image = engine.load_node_image();
    let before = engine.scan();
    let mut instance = Instance::prepare_kind(&engine, &image);
    instance.start();
    assert_eq!(instance.facts()["provider"], "kind");

    // kind's own tools know the cluster by these.
    let cluster = format!("curtain-{}", instance.name());
    let filter = format!("label=io.x-k8s.kind.cluster={cluster}");
    let nodes = engine.docker(&["ps", "--filter", &filter, "--format", "{{.Names}}"]).success();
    assert_eq!(nodes.trim(), format!("{cluster}-control-plane"));

    // Again is no more than a look.
    let again = instance.curtain(&instance.up_words()).success();
    assert!(again.contains(r#""ready":true"#) || again.contains(r#""ready": true"#), "{again}");

    let url = instance.curtain(&["demo", "deploy", "greeter"]).success();
    assert_eq!(get(url.trim()).unwrap().status, 200);

    // What the Engine has needs no detour by an archive.
    let archive = instance.scratch().join("mine.tar");
    busybox_archive(&archive, "mine:dev", "from the Engine").unwrap();
    engine.load(&archive);
    let deployed = instance.curtain(&["deploy", "--image", "mine:dev"]);
    assert!(deployed.stderr.contains("from the local Docker Engine, port 8080"), "{deployed:?}");
    assert_eq!(get(deployed.success().trim()).unwrap().body, "from the Engine\n");
    engine.docker(&["image", "rm", "mine:dev"]).success();

    let archive = instance.scratch().join("shelf.tar");
    busybox_archive(&archive, IMAGE, "hello").unwrap();
    let loaded = instance.curtain(&["image", "load", &archive.to_string_lossy()]).success();
    assert!(loaded.contains(IMAGE), "{loaded}");
    assert!(instance.curtain(&["image", "list"]).success().contains(IMAGE));
    instance.kubectl_file("kubectl-1.32", &["apply"], SHELF).success();
    let wait = ["wait", "deployment/shelf", "--for=condition=Available", "--timeout=60s"];
    instance.kubectl("kubectl-1.32", &wait).success();

    // What pods use stays on the nodes, and the platform.
    let archive = instance.scratch().join("idle.tar");
    busybox_archive(&archive, "docker.io/library/idle:1", "idle").unwrap();
    instance.curtain(&["image", "load", &archive.to_string_lossy()]).success();
    let used = code(&instance.curtain(&["image", "remove", "idle:1", "shelf:1"]), 1);
    assert!(used.contains("pod default/shelf-"), "{used}");
    let pruned = instance.curtain(&["image", "prune"]).success();
    assert!(pruned.contains("removed docker.io/library/idle:1"), "{pruned}");
    let left = instance.curtain(&["image", "list"]).success();
    assert!(left.contains(IMAGE) && left.contains("library/curtain:"), "{left}");
    assert!(!left.contains("idle"), "{left}");

    // What the nodes held is there again after they were stopped.
    instance.curtain(&["pause"]).success();
    assert_eq!(engine.docker(&["ps", "--quiet"]).success(), "");
    instance.curtain(&["resume"]).success();
    instance.kubectl("kubectl-1.32", &wait).success();
    eventually("the application to answer again", LIMIT, || match get(url.trim())?.status {
        200 => Ok(()),
        status => Err(status.to_string()),
    });

    instance.down();
    engine.assert_as(&before);
}

#[test]
fn every_step_of_a_cluster_on_nodes_fails_or_dies_and_nothing_is_left() {
    let engine = Engine::start();
    let image = engine.load_node_image();
    let before = engine.scan();
    for (step, when, action) in [
        ("cluster/node-image", "after-do", "kill"),
        ("cluster/network", "after-do", "kill"),
        ("cluster/nodes", "before-do", "fail"),
        ("cluster/nodes", "after-do", "kill"),
        ("cluster/kubernetes", "after-do", "kill"),
        ("cluster/add-ons", "after-do", "fail"),
        ("cluster/platform-image", "after-do", "kill"),
    ] {
        let instance = Instance::prepare_kind(&engine, &image);
        let fault = format!("{step}:{when}:{action}");
        let mut command = instance.command(&instance.up_words());
        let output = Output::of(command.env("CURTAIN_FAULT", &fault));
        assert_ne!(output.code, 0, "{fault}");
        instance.down();
        engine.assert_as(&before);
    }
}

#[test]
fn an_up_that_died_is_completed_by_the_next_and_a_repeated_step_changes_nothing() {
    let engine = Engine::start();
    let image = engine.load_node_image();
    let before = engine.scan();
    let mut instance = Instance::prepare_kind(&engine, &image);
    for fault in ["cluster/nodes:before-do:kill", "cluster/kubernetes:before-do:kill"] {
        let mut command = instance.command(&instance.up_words());
        let output = Output::of(command.env("CURTAIN_FAULT", fault));
        assert_ne!(output.code, 0, "{fault}");
    }
    instance.set("CURTAIN_FAULT", "cluster/kubernetes:after-do:repeat");
    instance.start();
    instance.set("CURTAIN_FAULT", "cluster/nodes:after-undo:fail");
    code(&instance.curtain(&["down"]), 7);
    instance.set("CURTAIN_FAULT", "");
    instance.down();
    engine.assert_as(&before);
}

#[test]
fn an_image_of_no_node_is_said_soon_and_nothing_is_left() {
    let engine = Engine::start();
    let before = engine.scan();
    let instance = Instance::prepare_kind(&engine, &engine.busybox());
    let said = code(&instance.curtain(&instance.up_words()), 8);
    assert!(said.contains("is not a node image") && said.contains("--node-image"), "{said}");
    assert!(said.contains("removed again"), "{said}");
    instance.assert_no_residue();
    engine.assert_as(&before);
}

#[test]
fn a_kubernetes_that_does_not_come_up_leaves_its_evidence() {
    let engine = Engine::start();
    let image = engine.load_faulty_node_image("init-fails");
    let before = engine.scan();
    let mut instance = Instance::prepare_kind(&engine, &image);
    let scratch = instance.scratch().to_string_lossy().into_owned();
    instance.set("TMPDIR", &scratch);
    let said = code(&instance.curtain(&instance.up_words()), 1);
    assert!(said.contains("kubeadm init"), "{said}");
    let archive =
        said.split("what the nodes say is in ").nth(1).and_then(|rest| rest.lines().next());
    let archive = archive.unwrap_or_else(|| panic!("no archive: {said}"));
    let list = std::process::Command::new("tar").args(["tzf", archive]).output().unwrap();
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    for file in ["console.log", "journal.log", "kubelet.log", "inspect.json"] {
        assert!(list.contains(file), "{file} is not in {list}");
    }
    instance.assert_no_residue();
    engine.assert_as(&before);

    // Whoever wants to look at the nodes keeps them.
    let keep = [instance.up_words(), vec!["--keep"]].concat();
    code(&instance.curtain(&keep), 1);
    let names = engine.docker(&["ps", "--all", "--format", "{{.Names}}"]).success();
    assert!(names.contains("control-plane"), "{names}");
    instance.down();
    engine.assert_as(&before);
}

#[test]
fn what_others_made_is_never_touched() {
    let engine = Engine::start();
    let image = engine.load_node_image();
    engine.docker(&["network", "create", "kind"]).success();
    let instance = Instance::prepare_kind(&engine, &image);
    let name = format!("curtain-{}-control-plane", instance.name());
    engine.docker(&["create", "--name", &name, &engine.busybox()]).success();
    let before = engine.scan();
    let said = code(&instance.curtain(&instance.up_words()), 8);
    assert!(said.contains(&name) && said.contains("--name"), "{said}");
    instance.down();
    engine.assert_as(&before);
    engine.docker(&["rm", &name]).success();
    engine.docker(&["network", "rm", "kind"]).success();
}

#[test]
fn workers_join_and_every_node_has_the_images() {
    let engine = Engine::start();
    let image = engine.load_node_image();
    let before = engine.scan();
    let instance = Instance::prepare_kind(&engine, &image);
    // Pods do not run on these workers (`e2e/node/join.rs`), so the planes cannot: it is enough that the cluster is whole.
    let words = [instance.up_words(), vec!["--workers", "2"]].concat();
    let mut command = instance.command(&words);
    let output = Output::of(command.env("CURTAIN_FAULT", "bundle/control:before-do:fail"));
    assert!(output.stderr.contains("injected at bundle/control"), "{}", output.stderr);
    let cluster = format!("curtain-{}", instance.name());
    for node in ["control-plane", "worker", "worker2"] {
        let node = format!("{cluster}-{node}");
        let list = ["exec", &node, "ctr", "--namespace=k8s.io", "images", "list", "--quiet"];
        let images = engine.docker(&list).success();
        assert!(images.contains("docker.io/library/curtain:"), "{node}: {images}");
    }
    let control_plane = format!("{cluster}-control-plane");
    let list = ["exec", &control_plane, "kubectl", "get", "nodes", "--output=name"];
    assert_eq!(engine.docker(&list).success().lines().count(), 3);
    instance.down();
    engine.assert_as(&before);
}

#[test]
fn an_engine_that_goes_away_is_said_and_nothing_is_forgotten() {
    let engine = Engine::start();
    let image = engine.load_node_image();
    let before = engine.scan();
    let mut instance = Instance::prepare_kind(&engine, &image);
    instance.start();
    engine.freeze();
    let said = code(&instance.curtain(&["down"]), 7);
    assert!(said.contains("does not answer within"), "{said}");
    engine.thaw();
    engine.restart();
    instance.curtain(&instance.up_words()).success();
    // The Engine's own processes are others now: it is asked itself what is left.
    let answer = instance.curtain(&["down", "-o", "json"]).success();
    assert!(answer.contains(r#""leftovers": []"#), "{answer}");
    engine.assert_as(&before);
}

#[test]
fn whoever_may_not_use_the_engine_is_told_how() {
    use std::os::unix::fs::PermissionsExt as _;

    let engine = Engine::start();
    let instance = Instance::prepare_kind(&engine, &engine.busybox());
    // Where everybody can run it.
    let folder = instance.scratch().join("bin");
    std::fs::create_dir(&folder).unwrap();
    let program = folder.join("curtain");
    std::fs::copy(curtain_e2e::binary(), &program).unwrap();
    for path in [instance.scratch(), &folder, &program] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let nobody = |words: &[&str]| {
        let mut command = std::process::Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command.arg(&program).args(["up", "--provider"]).args(words);
        command.env_clear().env("DOCKER_HOST", engine.host()).env("HOME", "/nonexistent");
        Output::of(command.env("CURTAIN_HOME", folder.join("homes")))
    };
    // Who asks for workers asks for kind; an embedded cluster could do without an Engine.
    for words in [&["kind"][..], &["auto", "--workers=1"]] {
        let said = code(&nobody(words), 11);
        assert!(said.contains("may not use the Docker Engine"), "{said}");
        assert!(said.contains("usermod -aG docker"), "{said}");
    }
}

#[test]
fn nodes_of_a_machine_with_the_same_folders_are_somebody_elses() {
    let engine = Engine::start();
    let image = engine.load_node_image();
    let before = engine.scan();
    let instance = Instance::prepare_kind(&engine, &image);
    let mut command = instance.command(&instance.up_words());
    let output = Output::of(command.env("CURTAIN_FAULT", "cluster/kubernetes:before-do:kill"));
    assert_ne!(output.code, 0);
    let made = engine.scan();
    // Another machine shares the Engine, and has nothing where this one has its instance.
    std::fs::remove_dir_all(instance.home().join(".local")).unwrap();
    let said = code(&instance.curtain(&instance.up_words()), 8);
    assert!(said.contains("did not make"), "{said}");
    instance.curtain(&["down"]).success();
    engine.assert_as(&made);

    let name = format!("curtain-{}-control-plane", instance.name());
    engine.docker(&["rm", "--force", "--volumes", &name]).success();
    engine.docker(&["network", "rm", "kind"]).success();
    engine.assert_as(&before);
}
