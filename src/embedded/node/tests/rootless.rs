//! A cluster of an ordinary user's, who has one id and no account. Root runs the story as such a user.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use k8s_openapi::api::core::v1::Service;
use kube::api::AttachParams;
use nix::unistd::geteuid;

use super::streams::{program, rest};
use super::*;
use crate::rootless::ImageStore;

const NAME: &str = "node::tests::rootless::an_ordinary_user_has_a_cluster";
/// Nobody's.
const USER: u32 = 60_999;

#[test]
fn an_ordinary_user_has_a_cluster() {
    if !geteuid().is_root() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(story());
    }
    let dir = tempfile::tempdir().unwrap();
    chown(dir.path(), Some(USER), Some(USER)).unwrap();
    // Where this one is, the user may not get to.
    let copy = dir.path().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let ended = Command::new(&copy)
        .args(["--exact", NAME, "--nocapture"])
        .env("TMPDIR", dir.path())
        .current_dir("/")
        .uid(USER)
        .gid(USER)
        .output()
        .unwrap();
    let said = [ended.stdout, ended.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(ended.status.success() && said[0].contains("1 passed"), "{}", said.concat());
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|one| one.unwrap().path()).collect();
    assert_eq!(left, [copy]);
}

async fn story() {
    let mut cluster = TestCluster::new("user");
    let listen = super::super::testing::free_address();
    let (namespace, service) = ("default".to_owned(), "web".to_owned());
    cluster.config.front_doors.push(FrontDoor { listen, namespace, service, port: 80 });
    crate::init(&cluster.config).unwrap();
    start(&cluster);
    let client = client(&cluster).await;
    runs_as_who_it_wants(&client).await;
    has_images(&cluster, &client).await;
    let api = serves(&client, listen).await;

    let output = AttachParams::default();
    let words = program(&["cat", "/proc/self/status"]);
    let mut process = api.exec("web", words, &output).await.unwrap();
    let status = rest(process.stdout()).await;
    assert!(status.contains("\nUid:\t65532\t65532\t65532\t65532\n"), "{status}");
    assert!(status.contains("\nCapEff:\t0000000000000000\n"), "{status}");

    // What root's node has of limits, this one has not, and says so.
    let nodes: Api<Node> = Api::all(client.clone());
    let conditions = eventually("the node tells its conditions", async || {
        nodes.list(&ListParams::default()).await.ok()?.items.pop()?.status?.conditions
    })
    .await;
    let limits = conditions.iter().find(|one| one.type_ == "LimitsUnenforced").unwrap();
    assert_eq!(
        (limits.status.as_str(), limits.reason.as_deref()),
        ("True", Some("NoControlGroups"))
    );

    // The node ends, and its pods go on.
    let before = processes(&["program", "serve"]);
    assert_eq!(before.len(), 1);
    let settings = cluster.config.path();
    let of_node = ["node", "run", "--config", settings.to_str().unwrap()];
    let node = processes(&of_node);
    kill(node[0]);
    eventually("another node runs", async || {
        let now = processes(&of_node);
        (now.len() == 1 && now != node).then_some(())
    })
    .await;
    answers(listen).await;
    assert_eq!(processes(&["program", "serve"]), before);

    // The one process outside ends, and everything inside with it.
    kill(read_record(&cluster.config).unwrap().pid);
    eventually("everything has ended", async || {
        let all = [processes(&["program", "serve"]), processes(&["node"])].concat();
        all.is_empty().then_some(())
    })
    .await;
    start(&cluster);
    eventually("the pod serves again", async || {
        let pod = api.get("web").await.ok()?;
        (ready(&pod) && pod.status?.container_statuses?[0].restart_count > 0).then_some(())
    })
    .await;
    answers(listen).await;
}

/// Processes of this program with these arguments first.
fn processes(words: &[&str]) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let has = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut line = line.split(|byte| *byte == 0).skip(1);
        words.iter().all(|word| line.next() == Some(word.as_bytes()))
    };
    // In no namespace of users that the machine's other processes are in, root's among them, who do not show theirs.
    let own = std::fs::read_link("/proc/self/ns/user").unwrap();
    let owned = |pid: &i32| {
        std::fs::read_link(format!("/proc/{pid}/ns/user")).is_ok_and(|theirs| theirs != own)
    };
    pids.filter(owned).filter(has).collect()
}

/// A container that wants to be somebody, with a volume of its group and one in memory.
async fn runs_as_who_it_wants(client: &Client) {
    let mut who = pod("who", &["cat", "/proc/self/status"]);
    who["spec"]["securityContext"] =
        json!({"runAsUser": 1234, "runAsGroup": 99, "runAsNonRoot": true, "fsGroup": 2000});
    who["spec"]["volumes"] =
        json!([{"name": "v", "emptyDir": {}}, {"name": "m", "emptyDir": {"medium": "Memory"}}]);
    let mut writer = who["spec"]["containers"][0].clone();
    for (name, path) in [("disk", "/v/file"), ("memory", "/m/file")] {
        writer["name"] = name.into();
        writer["args"] = json!(["program", "write", path]);
        writer["volumeMounts"] =
            json!([{"name": "v", "mountPath": "/v"}, {"name": "m", "mountPath": "/m"}]);
        who["spec"]["containers"].as_array_mut().unwrap().push(writer.clone());
    }
    let api = create(client, who).await;
    in_phase(&api, "who", "Succeeded").await;
    let main = LogParams { container: Some("main".into()), ..LogParams::default() };
    let status = api.logs("who", &main).await.unwrap();
    for line in
        ["Uid:\t1234\t1234\t1234\t1234", "Gid:\t99\t99\t99\t99", "CapEff:\t0000000000000000"]
    {
        assert!(status.contains(line), "{line} in {status}");
    }
    // Nothing said is root, here too: of the namespace.
    create(client, pod("root", &["cat", "/proc/self/status"])).await;
    in_phase(&api, "root", "Succeeded").await;
    let status = api.logs("root", &LogParams::default()).await.unwrap();
    assert!(status.contains("Uid:\t0\t0\t0\t0"), "{status}");
}

/// An image whose files are others', and of which an upper layer hides some.
async fn has_images(cluster: &TestCluster, client: &Client) {
    let layers = [
        tar_of(&[("dir/one", b"first"), ("dir/two", b"below"), ("gone/file", b"x")]),
        tar_of(&[("dir/two", b"second"), (".wh.gone", b"")]),
    ];
    let archive = docker_save("data:1", &layers, &layers);
    let store = ImageStore { binary: &cluster.config.binary, home: &cluster.config.home };
    let refused = store.load_if(&mut archive.as_slice(), |names, _| {
        assert!(names.contains("docker.io/library/data:1"), "{names:?}");
        Err("not wanted".to_owned())
    });
    assert_eq!(refused.unwrap_err().to_string(), "not wanted");
    let loaded = store.load_if(&mut archive.as_slice(), |_, _| Ok(())).unwrap();
    assert_eq!(loaded.len(), 1);
    let mut reader = pod("reader", &["cat", "/data/dir/two"]);
    reader["spec"]["volumes"] = json!([{"name": "v", "image": {"reference": "data:1"}}]);
    reader["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "v", "mountPath": "/data"}]);
    let mut hidden = reader["spec"]["containers"][0].clone();
    hidden["name"] = "hidden".into();
    hidden["args"] = json!(["program", "list", "/data"]);
    reader["spec"]["containers"].as_array_mut().unwrap().push(hidden);
    let api = create(client, reader).await;
    in_phase(&api, "reader", "Succeeded").await;
    let of = |name: &str| LogParams { container: Some(name.into()), ..LogParams::default() };
    assert_eq!(api.logs("reader", &of("main")).await.unwrap().trim_end(), "second");
    assert_eq!(api.logs("reader", &of("hidden")).await.unwrap().trim_end(), "dir");
    api.delete("reader", &DeleteParams::default()).await.unwrap();
    eventually("the pod is gone", async || {
        api.get_opt("reader").await.ok()?.is_none().then_some(())
    })
    .await;
    eventually("the image can go", async || store.remove(&["data:1".to_owned()]).ok()).await;
}

/// A pod behind a Service, as the platform's are: not root, and with a probe.
async fn serves(client: &Client, listen: std::net::SocketAddr) -> Api<Pod> {
    let mut web = pod("web", &["serve", "80"]);
    web["spec"]["restartPolicy"] = "Always".into();
    web["spec"]["securityContext"] =
        json!({"runAsUser": 65_532, "runAsGroup": 65_532, "runAsNonRoot": true});
    web["spec"]["containers"][0]["readinessProbe"] = json!({"httpGet": {"port": 80, "path": "/"}});
    let api = create(client, web).await;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}});
    let services: Api<Service> = Api::default_namespaced(client.clone());
    let service = Patch::Apply(&service);
    let made = services.patch("web", &PatchParams::apply("test"), &service).await.unwrap();
    eventually("the pod is ready", async || ready(&api.get("web").await.ok()?).then_some(())).await;
    answers(listen).await;
    // From another pod, by the Service's own address.
    let address = format!("{}:80", made.spec.unwrap().cluster_ip.unwrap());
    create(client, pod("asks", &["reach", &address])).await;
    in_phase(&api, "asks", "Succeeded").await;
    assert_eq!(api.logs("asks", &LogParams::default()).await.unwrap(), "hello\n");
    api
}

async fn answers(listen: std::net::SocketAddr) {
    let ask = move || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(listen)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: web\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    eventually("the front door answers", async || {
        let answer = tokio::task::spawn_blocking(ask).await.unwrap().ok()?;
        answer.ends_with("hello").then_some(())
    })
    .await;
}
