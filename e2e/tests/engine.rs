//! The tests' Docker Engine and node image by themselves, driven by Docker's command line as a provider drives them by
//! the API: what a provider's tests rest on is proven here first.

#![allow(clippy::unwrap_used)]

use std::{
    fs::File,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use curtain_e2e::{Clients, Engine, Output, Residue, busybox_archive, eventually, get};

const LIMIT: Duration = Duration::from_secs(60);
const IMAGE: &str = "docker.io/library/shelf:1";
const NODE_PORT: u16 = 30_080;

/// A node container with the settings that kind gives its own, on the network `kind`.
struct Node<'a> {
    engine: &'a Engine,
    name: String,
    scratch: tempfile::TempDir,
}

impl<'a> Node<'a> {
    #[track_caller]
    fn start(engine: &'a Engine, image: &str, name: &str, role: &str) -> Self {
        let (own, label) = (format!("--name={name}"), format!("io.x-k8s.kind.role={role}"));
        let settings = [
            "run",
            "--detach",
            "--tty",
            &own,
            &format!("--hostname={name}"),
            "--label=io.x-k8s.kind.cluster=one",
            &format!("--label={label}"),
            "--privileged",
            "--security-opt=seccomp=unconfined",
            "--security-opt=apparmor=unconfined",
            "--tmpfs=/tmp",
            "--tmpfs=/run",
            "--volume=/var",
            "--volume=/lib/modules:/lib/modules:ro",
            "--network=kind",
            "--restart=on-failure:1",
            "--init=false",
            "--cgroupns=private",
            "--env=KUBECONFIG=/etc/kubernetes/admin.conf",
            "--publish=127.0.0.1::6443",
            &format!("--publish=127.0.0.1::{NODE_PORT}"),
            image,
        ];
        engine.docker(&settings).success();
        Self { engine, name: name.to_owned(), scratch: tempfile::tempdir().unwrap() }
    }

    /// The same, and waits until it can be used.
    #[track_caller]
    fn ready(engine: &'a Engine, image: &str, name: &str, role: &str) -> Self {
        let node = Self::start(engine, image, name, role);
        eventually("the node to boot", LIMIT, || {
            let log = engine.docker(&["logs", name]).ok()?;
            let booted = log
                .lines()
                .any(|line| line.contains("Reached target") && line.contains("Multi-User System"));
            if booted { Ok(()) } else { Err(log) }
        });
        node
    }

    fn exec(&self, words: &[&str]) -> Output {
        self.engine.docker(&[&["exec", &self.name], words].concat())
    }

    /// Executes a program that reads `input`.
    fn feed(&self, words: &[&str], input: File) -> Output {
        let words = [&["exec", "--interactive", &self.name], words].concat();
        Output::fed(&mut self.engine.command(&words), input)
    }

    /// Puts kubeadm's configuration where kind puts it.
    #[track_caller]
    fn configure(&self, text: &str) {
        let path = self.scratch.path().join("kubeadm.conf");
        File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        let input = File::open(path).unwrap();
        self.feed(&["cp", "/dev/stdin", "/kind/kubeadm.conf"], input).success();
    }

    fn init(&self) -> Output {
        self.exec(&[
            "kubeadm",
            "init",
            "--config=/kind/kubeadm.conf",
            "--skip-token-print",
            "--skip-phases=preflight",
            "--v=6",
        ])
    }

    fn join(&self) -> Output {
        self.exec(&[
            "kubeadm",
            "join",
            "--config=/kind/kubeadm.conf",
            "--skip-phases=preflight",
            "--v=6",
        ])
    }

    /// Where a port of the container is reached.
    #[track_caller]
    fn address(&self, port: u16) -> String {
        self.engine.docker(&["port", &self.name, &port.to_string()]).success().trim().to_owned()
    }

    /// The administrator's kubeconfig, for this side of the mapped port.
    #[track_caller]
    fn kubeconfig(&self) -> PathBuf {
        let text = self.exec(&["cat", "/etc/kubernetes/admin.conf"]).success();
        let inside = format!("https://{}:6443", self.name);
        assert!(text.contains(&inside), "{text}");
        let path = self.scratch.path().join("kubeconfig");
        let outside = format!("https://{}", self.address(6443));
        std::fs::write(&path, text.replace(&inside, &outside)).unwrap();
        path
    }

    fn kubectl(&self, release: &str, args: &[&str]) -> Output {
        let mut command = Command::new(Clients::find().path(release));
        command.args(args).env("KUBECONFIG", self.scratch.path().join("kubeconfig"));
        Output::of(command.env("KUBECACHEDIR", self.scratch.path()))
    }

    #[track_caller]
    fn import(&self) {
        let archive = self.scratch.path().join("image.tar");
        busybox_archive(&archive, IMAGE, "hello from a node").unwrap();
        let words = [
            "ctr",
            "--namespace=k8s.io",
            "images",
            "import",
            "--all-platforms",
            "--digests",
            "--snapshotter=overlayfs",
            "-",
        ];
        self.feed(&words, File::open(archive).unwrap()).success();
    }

    #[track_caller]
    fn remove(self) {
        self.engine.docker(&["rm", "--force", "--volumes", &self.name]).success();
    }
}

/// What kubeadm is told, in the form of its version 1.36.
fn configuration(control_plane: &str, token: &str) -> String {
    let registration = "nodeRegistration: {criSocket: 'unix:///run/containerd/containerd.sock'}";
    format!(
        r"
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.36.4
clusterName: one
controlPlaneEndpoint: {control_plane}:6443
apiServer: {{certSANs: [localhost, 127.0.0.1], extraArgs: [{{name: runtime-config, value: ''}}]}}
networking: {{podSubnet: 10.244.0.0/16, serviceSubnet: 10.96.0.0/16}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
bootstrapTokens: [{{token: {token}}}]
{registration}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
{registration}
discovery:
  bootstrapToken: {{apiServerEndpoint: '{control_plane}:6443', token: {token}, unsafeSkipCAVerification: true}}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
"
    )
}

const TOKEN: &str = "abcdef.0123456789abcdef";

fn shelf() -> String {
    format!(
        r"
apiVersion: apps/v1
kind: Deployment
metadata: {{name: shelf}}
spec:
  selector: {{matchLabels: {{app: shelf}}}}
  template:
    metadata: {{labels: {{app: shelf}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: {IMAGE}
        ports: [{{name: web, containerPort: 8080}}]
        readinessProbe: {{httpGet: {{path: /, port: web}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: shelf}}
spec:
  type: NodePort
  selector: {{app: shelf}}
  ports: [{{port: 80, targetPort: web, nodePort: {NODE_PORT}}}]
"
    )
}

#[track_caller]
fn answers(node: &Node<'_>) {
    let url = format!("http://{}/", node.address(NODE_PORT));
    eventually("the Service to answer through the mapped port", LIMIT, || {
        let answer = get(&url)?;
        if answer.status == 200 && answer.body.contains("hello from a node") {
            return Ok(());
        }
        let pods = node.kubectl("kubectl-1.37", &["describe", "pods"]).ok()?;
        Err(format!("{} {}\n{pods}", answer.status, answer.body))
    });
}

#[test]
fn a_node_container_has_a_cluster_that_survives_a_stop_and_leaves_nothing() {
    let engine = Engine::start();
    let image = engine.load_node_image();
    let home = tempfile::tempdir().unwrap();
    let (before, residue) = (engine.scan(), Residue::scan(home.path()));
    engine.docker(&["network", "create", "kind"]).success();
    let node = Node::ready(&engine, &image, "one-control-plane", "control-plane");
    node.configure(&configuration("one-control-plane", TOKEN));
    node.init().success();
    node.kubeconfig();

    for release in Clients::KUBECTLS {
        let nodes = node.kubectl(release, &["get", "nodes"]).success();
        assert!(nodes.contains("one-control-plane"), "{nodes}");
        node.kubectl(release, &["wait", "node", "--all", "--for=condition=Ready"]).success();
    }
    let untaint = ["taint", "nodes", "--all", "node-role.kubernetes.io/control-plane-"];
    let inside = node.exec(&[&["kubectl"], &untaint[..]].concat()).success();
    assert!(inside.contains("untainted"), "{inside}");
    node.import();
    let listed = node.exec(&["crictl", "images", "-o", "json"]).success();
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["images"][0]["repoTags"][0], IMAGE, "{listed}");
    let manifest = node.scratch.path().join("shelf.yaml");
    std::fs::write(&manifest, shelf()).unwrap();
    node.kubectl("kubectl-1.32", &["apply", "-f", &manifest.to_string_lossy()]).success();
    answers(&node);

    engine.docker(&["stop", "--time=20", "one-control-plane"]).success();
    let state = ["inspect", "--format={{.State.ExitCode}}", "one-control-plane"];
    let log = engine.docker(&["logs", "one-control-plane"]).success();
    assert_eq!(engine.docker(&state).success().trim(), "0", "not halted in time: {log}");
    engine.docker(&["start", "one-control-plane"]).success();
    // A port that Docker chose is another one now.
    node.kubeconfig();
    eventually("the API server to be back", LIMIT, || {
        node.kubectl("kubectl-1.37", &["get", "deployment", "shelf"]).ok()
    });
    answers(&node);

    node.remove();
    engine.docker(&["network", "rm", "kind"]).success();
    engine.assert_as(&before);
    residue.assert_gone_since();
}

#[test]
fn workers_join_with_the_token_and_without_it_do_not() {
    let engine = Engine::start();
    let image = engine.load_node_image();
    let before = engine.scan();
    engine.docker(&["network", "create", "kind"]).success();
    let control = Node::ready(&engine, &image, "one-control-plane", "control-plane");
    let worker = Node::ready(&engine, &image, "one-worker", "worker");
    control.configure(&configuration("one-control-plane", TOKEN));
    control.init().success();
    control.kubeconfig();

    worker.configure(&configuration("one-control-plane", "abcdef.fedcba9876543210"));
    let refused = worker.join();
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("token is not known"), "{refused:?}");
    worker.configure(&configuration("one-control-plane", TOKEN));
    worker.join().success();
    let printed = ["kubeadm", "token", "create", "--ttl=15m", "--print-join-command"];
    let printed = control.exec(&printed).success();
    let words: Vec<_> = printed.split_whitespace().collect();
    assert_eq!(words[..3], ["kubeadm", "join", "one-control-plane:6443"], "{printed}");
    let pinned = |hash: &str| {
        let pin = format!("caCertHashes: ['{hash}']");
        configuration("one-control-plane", words[4]).replace("unsafeSkipCAVerification: true", &pin)
    };
    worker.configure(&pinned("sha256:00"));
    let stranger = worker.join();
    assert!(stranger.code != 0 && stranger.stderr.contains("pinned"), "{stranger:?}");
    worker.configure(&pinned(words[6]));
    worker.join().success();
    worker.import();
    let wait = ["wait", "node", "one-worker", "--for=condition=Ready", "--timeout=30s"];
    control.kubectl("kubectl-1.37", &wait).success();

    worker.remove();
    control.remove();
    engine.docker(&["network", "rm", "kind"]).success();
    engine.assert_as(&before);
}

#[test]
fn an_engine_that_starts_again_keeps_the_nodes_and_one_that_hangs_does_not_answer() {
    let engine = Engine::start();
    let image = engine.load_node_image();
    let before = engine.scan();
    engine.docker(&["network", "create", "kind"]).success();
    let node = Node::ready(&engine, &image, "one-control-plane", "control-plane");
    node.configure(&configuration("one-control-plane", TOKEN));
    node.init().success();

    engine.restart();
    engine.docker(&["start", "one-control-plane"]).success();
    node.kubeconfig();
    eventually("the API server to be back", LIMIT, || {
        node.kubectl("kubectl-1.37", &["get", "--raw", "/readyz"]).ok()
    });

    engine.freeze();
    let mut asked = engine.command(&["info"]).stdout(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(asked.try_wait().unwrap(), None, "no answer from a daemon that is stopped");
    engine.thaw();
    assert!(asked.wait().unwrap().success());

    node.remove();
    engine.docker(&["network", "rm", "kind"]).success();
    engine.assert_as(&before);
}

#[test]
fn what_is_to_go_wrong_goes_wrong() {
    let engine = Engine::start();
    let image = engine.load_node_image();
    engine.docker(&["network", "create", "kind"]).success();
    let node = Node::ready(&engine, &image, "one-control-plane", "control-plane");
    let old = configuration("one-control-plane", TOKEN).replace("v1beta4", "v1beta2");
    node.configure(&old);
    let refused = node.init();
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("does not know ClusterConfiguration"), "{refused:?}");
    node.remove();

    let ends = engine.load_faulty_node_image("entrypoint-fails");
    let node = Node::start(&engine, &ends, "one-control-plane", "control-plane");
    eventually("the container to give up", LIMIT, || {
        let format = "--format={{.State.Status}} {{.RestartCount}}";
        let state = engine.docker(&["inspect", format, "one-control-plane"]).ok()?;
        if state.trim() == "exited 1" { Ok(()) } else { Err(state) }
    });
    node.remove();

    let fails = engine.load_faulty_node_image("init-fails");
    let node = Node::ready(&engine, &fails, "one-control-plane", "control-plane");
    node.configure(&configuration("one-control-plane", TOKEN));
    let failed = node.init();
    assert_ne!(failed.code, 0);
    assert!(failed.stderr.contains("init fails"), "{failed:?}");
    node.remove();

    for image in [ends, fails] {
        engine.docker(&["image", "rm", &image]).success();
    }
    engine.docker(&["network", "rm", "kind"]).success();
}
