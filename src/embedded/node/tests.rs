//! Whole clusters: supervisor, node and pods of the test executable itself, seen through the API. They need root.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Node, Pod};
use kube::api::{DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, ResourceExt};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use serde_json::json;

use super::confine::Identity;
use super::images::tests::{docker_save, tar_of};
use super::supervisor::{ProcessRecord, read_record};
use super::testing::TestCluster;
use crate::{Error, FrontDoor};

mod disk;
mod ephemeral;
mod former;
mod host_ports;
mod images;
mod kube_rs;
mod policy;
mod pulls;
mod rootless;
mod sidecars;
mod sight;
mod streams;
mod volumes;

const PATIENCE: Duration = Duration::from_secs(120);

async fn client(cluster: &TestCluster) -> Client {
    let kubeconfig = Kubeconfig::read_from(cluster.config.admin_kubeconfig()).unwrap();
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
    Client::try_from(config).unwrap()
}

fn start(cluster: &TestCluster) {
    crate::start(&cluster.config, PATIENCE).unwrap();
}

fn pod(name: &str, words: &[&str]) -> serde_json::Value {
    let args: Vec<&str> = ["program"].iter().chain(words).copied().collect();
    json!({"metadata": {"name": name, "labels": {"app": name}}, "spec": {
        "restartPolicy": "Never", "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "main", "image": "curtain:test", "args": args}]}})
}

async fn create(client: &Client, pod: serde_json::Value) -> Api<Pod> {
    let api: Api<Pod> = Api::default_namespaced(client.clone());
    let pod = serde_json::from_value(pod).unwrap();
    // The namespace's default account is made by a controller; until then pods are refused.
    eventually("the pod is accepted", async || {
        match api.create(&PostParams::default(), &pod).await {
            Ok(_) => Some(()),
            Err(kube::Error::Api(error)) if error.code == 403 => None,
            Err(error) => panic!("{error}"),
        }
    })
    .await;
    api
}

async fn eventually<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let poll = async {
        loop {
            if let Some(found) = check().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, poll).await {
        Ok(found) => found,
        Err(_) => panic!("waited {} s: {what}", PATIENCE.as_secs()),
    }
}

async fn in_phase(api: &Api<Pod>, name: &str, phase: &str) -> Pod {
    eventually(&format!("{name} is {phase}"), async || {
        let pod = api.get(name).await.ok()?;
        let found = pod.status.as_ref()?.phase.clone()?;
        (found == phase).then_some(pod)
    })
    .await
}

fn ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True")
}

/// The node's process.
fn node_pid(cluster: &TestCluster) -> Option<i32> {
    child(cluster, "run")
}

/// A process of this role, as the supervisor's child.
fn child(cluster: &TestCluster, role: &str) -> Option<i32> {
    let supervisor = read_record(&cluster.config)?.pid;
    let children =
        std::fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children")).ok()?;
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(|pid: &i32| {
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        command.split(|byte| *byte == 0).nth(2) == Some(role.as_bytes())
    })
}

fn kill(pid: i32) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
        .unwrap();
}

#[tokio::test]
async fn a_pod_runs_to_its_end_and_tells() {
    let cluster = TestCluster::new("end");
    start(&cluster);
    let client = client(&cluster).await;
    let api = create(&client, pod("three", &["exit", "3"])).await;
    let ended = in_phase(&api, "three", "Failed").await;
    let status = &ended.status.unwrap().container_statuses.unwrap()[0];
    let end = status.state.as_ref().unwrap().terminated.as_ref().unwrap();
    assert_eq!((end.exit_code, end.reason.as_deref()), (3, Some("Error")));

    create(&client, pod("hello", &["env", "KUBERNETES_SERVICE_HOST"])).await;
    in_phase(&api, "hello", "Succeeded").await;
    let log = api.logs("hello", &LogParams::default()).await.unwrap();
    assert_eq!(log, "10.96.0.1\n");

    create(&client, pod("token", &["list", "/var/run/secrets/kubernetes.io/serviceaccount"])).await;
    in_phase(&api, "token", "Succeeded").await;
    let log = api.logs("token", &LogParams::default()).await.unwrap();
    for name in ["token", "ca.crt", "namespace"] {
        assert!(log.lines().any(|line| line == name), "{name} in {log}");
    }

    let mut absent = pod("absent", &[]);
    absent["spec"]["containers"][0]["image"] = "nowhere/app:1".into();
    create(&client, absent).await;
    let message = eventually("the missing image is told", async || {
        let pod = api.get("absent").await.ok()?;
        let status = pod.status?.container_statuses?.remove(0);
        status.state?.waiting?.message
    })
    .await;
    let load = format!("`curtain image load FILE --name {}`", cluster.config.instance);
    assert!(message.contains(&load), "{message}");

    for name in ["three", "hello", "token", "absent"] {
        api.delete(name, &DeleteParams::default()).await.unwrap();
    }
    eventually("pods are gone", async || {
        api.list(&ListParams::default()).await.ok()?.items.is_empty().then_some(())
    })
    .await;
    eventually("their files are gone", async || {
        let mut left = std::fs::read_dir(cluster.config.pods_dir()).ok()?;
        left.next().is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn pods_and_connections_outlive_the_node() {
    let mut cluster = TestCluster::new("outlive");
    let listen = super::testing::free_address();
    cluster.config.front_doors.push(FrontDoor {
        listen,
        namespace: "default".into(),
        service: "web".into(),
        port: 80,
    });
    crate::init(&cluster.config).unwrap();
    start(&cluster);
    let client = client(&cluster).await;
    let mut web = pod("web", &["serve", "8080"]);
    web["spec"]["restartPolicy"] = "Always".into();
    web["spec"]["containers"][0]["readinessProbe"] =
        json!({"httpGet": {"port": 8080, "path": "/"}});
    let api = create(&client, web).await;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}});
    let services: Api<k8s_openapi::api::core::v1::Service> =
        Api::default_namespaced(client.clone());
    let service = Patch::Apply(&service);
    services.patch("web", &PatchParams::apply("test"), &service).await.unwrap();
    eventually("the pod is ready", async || ready(&api.get("web").await.ok()?).then_some(())).await;
    let answer = || {
        tokio::task::spawn_blocking(move || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(listen)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(b"GET / HTTP/1.1\r\nhost: web\r\n\r\n")?;
            let mut buffer = [0; 256];
            let count = stream.read(&mut buffer)?;
            Ok(String::from_utf8_lossy(&buffer[..count]).into_owned())
        })
    };
    eventually("the front door answers", async || {
        answer().await.unwrap().ok().filter(|text| text.ends_with("hello"))
    })
    .await;

    let container = || {
        let uid_dirs = crate::node::cgroup::Tree::of(&cluster.config).unwrap().unwrap();
        uid_dirs.group("pods").processes()
    };
    let before = container();
    assert_eq!(before.len(), 1);
    let node = node_pid(&cluster).unwrap();
    kill(node);
    // Made while there is no node, or while it starts: it waits in the queue.
    let queued = answer();
    eventually("another node runs", async || node_pid(&cluster).filter(|pid| *pid != node)).await;
    eventually("the API answers", async || api.get("web").await.ok()).await;
    let text = queued.await.unwrap().expect("the connection was kept");
    // The Services are read before the first connection is refused for lack of them, or it is tried again.
    if !text.ends_with("hello") {
        eventually("the front door answers again", async || {
            answer().await.unwrap().ok().filter(|text| text.ends_with("hello"))
        })
        .await;
    }
    let pod = in_phase(&api, "web", "Running").await;
    let status = &pod.status.unwrap().container_statuses.unwrap()[0];
    assert_eq!(status.restart_count, 0);
    assert_eq!(container(), before, "the pod keeps its process");

    // And it is still in the node's hands.
    api.delete("web", &DeleteParams::default()).await.unwrap();
    eventually("the pod is gone", async || api.get_opt("web").await.ok()?.is_none().then_some(()))
        .await;
    assert!(container().is_empty());
}

/// A field of `/proc/<pid>/status`.
fn status_of(pid: i32, field: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
    line.unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The node's process once it is ready to serve.
async fn serving_node(cluster: &TestCluster, former: Option<i32>) -> i32 {
    let pid =
        eventually("a node runs", async || node_pid(cluster).filter(|pid| Some(*pid) != former))
            .await;
    let client = client(cluster).await;
    eventually("the API answers", async || client.apiserver_version().await.ok()).await;
    pid
}

#[tokio::test]
async fn the_node_has_no_privileges() {
    let cluster = TestCluster::new("powers");
    start(&cluster);
    let identity = Identity::of(&cluster.config).expect("this test needs root");
    let mut node = serving_node(&cluster, None).await;
    for again in [true, false] {
        let four = |id: u32| vec![id.to_string(); 4].join(" ");
        assert_eq!(status_of(node, "Uid"), four(identity.uid));
        assert_eq!(status_of(node, "Gid"), four(identity.gid));
        assert_eq!(status_of(node, "Groups"), "");
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(status_of(node, set), "0000000000000000", "{set}");
        }
        assert_eq!(status_of(node, "NoNewPrivs"), "1");
        assert_eq!(status_of(node, "Seccomp"), "2");
        // Its threads too: what blocks is done on others.
        for thread in std::fs::read_dir(format!("/proc/{node}/task")).unwrap() {
            let thread = thread.unwrap().file_name().to_str().unwrap().parse().unwrap();
            assert_eq!(status_of(thread, "CapEff"), "0000000000000000");
        }
        // Of the machine's files it has these; a home elsewhere would add its own first directory.
        let home = cluster.config.home.components().nth(1).unwrap();
        let home = home.as_os_str().to_str().unwrap();
        for entry in std::fs::read_dir(format!("/proc/{node}/root/")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(
                ["dev", "etc", "proc", "run", "mnt", "sys", home].contains(&name.as_str()),
                "{name}"
            );
        }
        if again {
            kill(node);
            node = serving_node(&cluster, Some(node)).await;
        }
    }
    let supervisor = read_record(&cluster.config).unwrap().pid;
    assert_eq!(status_of(supervisor, "Uid"), "0 0 0 0");
    // Keys and settings stay root's; nobody else gets near the home.
    let mode = |path: &Path| {
        let meta = path.metadata().unwrap();
        (meta.uid(), meta.permissions().mode() & 0o7777)
    };
    assert_eq!(mode(&cluster.config.home), (0, 0o710));
    assert_eq!(mode(&cluster.config.pki().ca_key), (0, 0o600));
    assert_eq!(mode(&cluster.config.path()), (0, 0o600));
    assert_eq!(mode(&cluster.config.data_dir()), (identity.uid, 0o700));
    assert_eq!(mode(&cluster.config.logs_dir()), (0, 0o2750));
    // What it knows of the machine, it has from before.
    let nodes: Api<Node> = Api::all(client(&cluster).await);
    let told = eventually("the node is registered", async || {
        let node = nodes.list(&ListParams::default()).await.ok()?.items.pop()?;
        let status = node.status?;
        Some((status.node_info?.os_image, status.capacity?.remove("cpu")?.0))
    })
    .await;
    let machine = super::machine::Machine::read();
    assert_eq!(told, (machine.os, machine.cpus.to_string()));
}

/// Gives this thread, and what it starts, an `/etc` that is written to in `scratch`, and not on the machine.
fn own_etc(scratch: &Path) {
    let folders = ["upper", "work"].map(|name| scratch.join(name));
    for folder in &folders {
        std::fs::create_dir(folder).unwrap();
    }
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    let [upper, work] = folders.each_ref().map(|folder| folder.display());
    let options = format!("lowerdir=/etc,upperdir={upper},workdir={work}");
    mount(Some("overlay"), "/etc", Some("overlay"), MsFlags::empty(), Some(&*options)).unwrap();
}

#[tokio::test]
async fn a_home_below_what_the_node_sees_of_the_machine_is_not_hidden() {
    let scratch = tempfile::tempdir().unwrap();
    own_etc(scratch.path());
    let cluster = TestCluster::below(Path::new("/etc"), "etc");
    start(&cluster);
    serving_node(&cluster, None).await;
}

#[tokio::test]
async fn an_image_that_is_loaded_meanwhile_is_found_by_the_node() {
    let cluster = TestCluster::new("image");
    start(&cluster);
    let client = client(&cluster).await;
    let mut stored = pod("stored", &[]);
    stored["spec"]["containers"][0] =
        json!({"name": "main", "image": "shelf/app:1", "command": ["/bin/app"]});
    let api = create(&client, stored).await;
    let state = async || api.get("stored").await.ok()?.status?.container_statuses?.remove(0).state;
    eventually("the image is missed", async || state().await?.waiting?.message).await;
    let layer = tar_of(&[("bin/app", b"not a program")]);
    let archive =
        docker_save("shelf/app:1", std::slice::from_ref(&layer), std::slice::from_ref(&layer));
    crate::images::load(&cluster.config.home, archive.as_slice()).unwrap();
    let ended = eventually("it is tried", async || state().await?.terminated).await;
    assert!(ended.message.unwrap().contains("/bin/app"));
}

#[tokio::test]
async fn a_pod_ends_when_its_time_is_over() {
    let cluster = TestCluster::new("deadline");
    start(&cluster);
    let client = client(&cluster).await;
    let mut late = pod("late", &["wait"]);
    late["spec"]["restartPolicy"] = "Always".into();
    late["spec"]["activeDeadlineSeconds"] = 1.into();
    late["spec"]["hostPID"] = true.into();
    let api = create(&client, late).await;
    let ended = in_phase(&api, "late", "Failed").await;
    let status = ended.status.unwrap();
    assert_eq!(status.reason.as_deref(), Some("DeadlineExceeded"));
    let state = status.container_statuses.unwrap()[0].state.clone().unwrap();
    assert!(state.terminated.is_some(), "{state:?}");
    // What it asked for in vain was told.
    let events: Api<Event> = Api::default_namespaced(client);
    eventually("the event names the field", async || {
        let events = events.list(&ListParams::default()).await.ok()?.items;
        let event = events.iter().find(|event| event.reason.as_deref() == Some("FieldsIgnored"))?;
        event.message.as_ref()?.contains("spec.hostPID").then_some(())
    })
    .await;
}

#[tokio::test]
async fn hooks_run_after_the_start_and_before_the_end() {
    let cluster = TestCluster::new("hooks");
    start(&cluster);
    let client = client(&cluster).await;
    let command = |words: &[&str]| {
        let argv = [&["/curtain", "program"], words].concat();
        json!({"exec": {"command": argv}})
    };
    let mut good = pod("good", &["wait"]);
    good["spec"]["volumes"] = json!([{"name": "v", "hostPath": {
        "path": cluster.path("seen"), "type": "DirectoryOrCreate"}}]);
    good["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "v", "mountPath": "/seen"}]);
    good["spec"]["containers"][0]["lifecycle"] = json!({
        "postStart": command(&["write", "/seen/started"]),
        "preStop": command(&["write", "/seen/stopping"])});
    let api = create(&client, good).await;
    eventually("the pod is ready", async || ready(&api.get("good").await.ok()?).then_some(()))
        .await;
    assert!(cluster.path("seen/started").exists(), "ready only after the hook");
    assert!(!cluster.path("seen/stopping").exists());
    api.delete("good", &DeleteParams::default()).await.unwrap();
    eventually("the pod is gone", async || api.get_opt("good").await.ok()?.is_none().then_some(()))
        .await;
    assert!(cluster.path("seen/stopping").exists());

    for (name, hook) in
        [("bad", command(&["exit", "7"])), ("none", json!({"tcpSocket": {"port": 80}}))]
    {
        let mut bad = pod(name, &["wait"]);
        bad["spec"]["containers"][0]["lifecycle"] = json!({"postStart": hook});
        create(&client, bad).await;
        let ended = in_phase(&api, name, "Failed").await;
        assert!(!ready(&ended));
    }
}

#[tokio::test]
async fn a_profile_of_the_machine_says_what_a_container_may_call() {
    let cluster = TestCluster::new("profile");
    let profiles = cluster.config.seccomp_dir();
    std::fs::create_dir(&profiles).unwrap();
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]});
    std::fs::write(profiles.join("no-dirs.json"), profile.to_string()).unwrap();
    start(&cluster);
    let client = client(&cluster).await;
    let held = |name: &str, profile: &str, context: serde_json::Value| {
        let mut held = pod(name, &["directory", "/tmp/new"]);
        let profile = json!({"type": "Localhost", "localhostProfile": profile});
        held["spec"]["securityContext"] = json!({"seccompProfile": profile});
        held["spec"]["containers"][0]["securityContext"] = context;
        held
    };
    let free = json!({"seccompProfile": {"type": "RuntimeDefault"}});
    let careful = json!({"allowPrivilegeEscalation": false, "runAsUser": 1000});
    let api = create(&client, held("free", "no-dirs.json", free)).await;
    create(&client, held("held", "no-dirs.json", json!({}))).await;
    create(&client, held("careful", "no-dirs.json", careful)).await;
    create(&client, held("lost", "none.json", json!({}))).await;
    in_phase(&api, "free", "Succeeded").await;
    for name in ["held", "careful"] {
        let ended = in_phase(&api, name, "Failed").await;
        let status = &ended.status.unwrap().container_statuses.unwrap()[0];
        let end = status.state.as_ref().unwrap().terminated.as_ref().unwrap();
        assert_eq!((end.exit_code, end.reason.as_deref()), (1, Some("Error")), "{end:?}");
    }
    in_phase(&api, "lost", "Failed").await;
    let events: Api<Event> = Api::default_namespaced(client);
    eventually("the profile that is not there is told", async || {
        let events = events.list(&ListParams::default()).await.ok()?.items;
        let said = |event: &Event| {
            let text = event.message.clone().unwrap_or_default();
            text.contains("cannot load the seccomp profile") && text.contains("seccomp/none.json")
        };
        events.iter().any(said).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_program_is_asked_for_its_health_by_grpc() {
    let cluster = TestCluster::new("grpc");
    start(&cluster);
    let client = client(&cluster).await;
    let asked = |name: &str, service: Option<&str>| {
        let mut asked = pod(name, &["health", "9000"]);
        asked["spec"]["containers"][0]["readinessProbe"] =
            json!({"grpc": {"port": 9000, "service": service}, "periodSeconds": 1});
        asked
    };
    let api = create(&client, asked("well", None)).await;
    create(&client, asked("sick", Some("sick"))).await;
    eventually("the pod is ready", async || ready(&api.get("well").await.ok()?).then_some(()))
        .await;
    let events: Api<Event> = Api::default_namespaced(client);
    eventually("the sick one is told", async || {
        let events = events.list(&ListParams::default()).await.ok()?.items;
        let said = "Readiness probe failed: service unhealthy (responded with \"NOT_SERVING\")";
        events.iter().any(|event| event.message.as_deref() == Some(said)).then_some(())
    })
    .await;
    assert!(!ready(&api.get("sick").await.unwrap()));
}

#[tokio::test]
async fn a_request_before_the_end_is_made_once_and_whatever_answers_is_content() {
    let cluster = TestCluster::new("asks");
    start(&cluster);
    let client = client(&cluster).await;
    let asking = |name: &str, hook: serde_json::Value| {
        let note = format!("/seen/{name}");
        let mut asking = pod(name, &["note", "8080", &note]);
        asking["spec"]["terminationGracePeriodSeconds"] = 600.into();
        asking["spec"]["volumes"] = json!([{"name": "v", "hostPath": {
            "path": cluster.path("seen"), "type": "DirectoryOrCreate"}}]);
        let container = &mut asking["spec"]["containers"][0];
        container["volumeMounts"] = json!([{"name": "v", "mountPath": "/seen"}]);
        // It has no handler of the usual signal.
        container["lifecycle"] = json!({"preStop": hook, "stopSignal": "SIGKILL"});
        container["readinessProbe"] = json!({"tcpSocket": {"port": 8080}});
        asking["spec"]["os"] = json!({"name": "linux"});
        asking
    };
    let get = json!({"httpGet": {"port": 8080, "path": "/bye",
        "httpHeaders": [{"name": "X-Who", "value": "kubelet"}]}});
    let api = create(&client, asking("good", get)).await;
    create(&client, asking("refused", json!({"httpGet": {"port": 1}}))).await;
    create(&client, asking("none", json!({"tcpSocket": {"port": 8080}}))).await;
    let begun = std::time::Instant::now();
    for name in ["good", "refused", "none"] {
        eventually("the pod is ready", async || ready(&api.get(name).await.ok()?).then_some(()))
            .await;
        api.delete(name, &DeleteParams::default()).await.unwrap();
        eventually("the pod is gone", async || {
            api.get_opt(name).await.ok()?.is_none().then_some(())
        })
        .await;
    }
    assert!(begun.elapsed() < Duration::from_secs(300), "nobody waits for the grace period");
    let seen = std::fs::read_to_string(cluster.path("seen/good")).unwrap();
    assert!(seen.starts_with("GET /bye HTTP/1.1\r\n"), "{seen}");
    assert!(seen.to_lowercase().contains("\r\nx-who: kubelet\r\n"), "{seen}");
    assert!(seen.contains("kube-lifecycle/"), "{seen}");
    let events: Api<Event> = Api::default_namespaced(client);
    for (name, why) in [("refused", "Get \"10.244."), ("none", "invalid handler: tcpSocket")] {
        eventually("the failed hook is told", async || {
            let events = events.list(&ListParams::default()).await.ok()?.items;
            let told = |event: &&Event| {
                event.reason.as_deref() == Some("FailedPreStopHook")
                    && event.involved_object.name.as_deref() == Some(name)
            };
            let message = events.iter().find(told)?.message.clone()?;
            message.starts_with(&format!("PreStopHook failed: {why}")).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn nothing_is_left_after_the_supervisor_is_killed() {
    let cluster = TestCluster::new("killed");
    start(&cluster);
    let client = client(&cluster).await;
    let api = create(&client, pod("wait", &["wait"])).await;
    let uid = in_phase(&api, "wait", "Running").await.uid().unwrap();
    let supervisor = read_record(&cluster.config).unwrap();
    kill(supervisor.pid);
    eventually("everything dies with the supervisor", async || {
        let left = crate::residue(&cluster.config).unwrap();
        let alive = left.iter().any(|one| matches!(one, crate::Leftover::Process { .. }));
        (!alive).then_some(())
    })
    .await;
    assert!(ProcessRecord::of(supervisor.pid).as_ref() != Some(&supervisor));
    // Started again, the pod's end is known and its files are looked after.
    start(&cluster);
    let pod = in_phase(&api, "wait", "Failed").await;
    assert_eq!(pod.uid().unwrap(), uid);
    crate::destroy(&cluster.config).unwrap();
    assert_eq!(crate::residue(&cluster.config).unwrap(), []);
    assert_eq!(crate::destroy(&cluster.config).unwrap(), crate::Removed::default());
}

#[tokio::test]
async fn stopping_keeps_objects_and_addresses() {
    let cluster = TestCluster::new("stop");
    start(&cluster);
    let client = client(&cluster).await;
    let address = |pod: &Pod| pod.status.as_ref().and_then(|status| status.pod_ip.clone());
    // Has an address before the others do, and is gone.
    let api = create(&client, pod("first", &["exit", "0"])).await;
    let first = address(&in_phase(&api, "first", "Succeeded").await);
    api.delete("first", &DeleteParams::default()).await.unwrap();
    let mut before = Vec::new();
    for name in ["web", "next"] {
        let mut one = pod(name, &["serve", "8080"]);
        one["spec"]["restartPolicy"] = "Always".into();
        create(&client, one).await;
        before.push(address(&in_phase(&api, name, "Running").await));
    }
    assert!(first.is_some() && !before.contains(&first) && before[0] != before[1], "{before:?}");
    crate::stop(&cluster.config, PATIENCE).unwrap();
    assert!(!crate::running(&cluster.config));
    start(&cluster);
    let mut after = Vec::new();
    for name in ["web", "next"] {
        let again = eventually("the pod runs again", async || {
            let pod = api.get(name).await.ok()?;
            let status = &pod.status.as_ref()?.container_statuses.as_ref()?[0];
            let runs = status.restart_count > 0 && status.state.as_ref()?.running.is_some();
            runs.then_some(pod)
        });
        after.push(address(&again.await));
    }
    // Nobody is sent to somebody else by an EndpointSlice of before.
    assert_eq!(after, before);
}

#[test]
fn a_port_in_use_is_named() {
    let cluster = TestCluster::new("port");
    let taken = std::net::TcpListener::bind(cluster.config.api_listen).unwrap();
    let error = crate::start(&cluster.config, PATIENCE).unwrap_err();
    assert!(matches!(error, Error::Start { .. }), "{error:?}");
    let message = error.to_string();
    let address = taken.local_addr().unwrap().to_string();
    assert!(message.contains(&address) && message.contains("another port"), "{message}");
}
