//! A node image: to its provider like `kindest/node`, inside Curtain's embedded cluster (see `node/main.rs`).

use std::{fs, io, path::Path, process::Command};

use serde_json::json;

use crate::{Clients, archive::Image, instance::built};

/// The image's name. The version is the one that its `kubeadm` says it has.
pub(crate) const REFERENCE: &str = "docker.io/curtain-e2e/node:v1.36.4";
const VERSION: &str = "v1.36.4";

/// The programs that are one binary.
const PROGRAMS: [&str; 7] =
    ["kubeadm", "ctr", "crictl", "containerd", "journalctl", "systemctl", "join-server"];

/// What a node needs to be found in, where kind's node images have it.
const NETWORK: &str = r#"# would you kindly template this file
apiVersion: v1
kind: ConfigMap
metadata:
  name: pod-network
  namespace: kube-system
data:
  podSubnet: "{{ .PodSubnet }}"
"#;

const STORAGE: &str = r"apiVersion: v1
kind: ConfigMap
metadata:
  name: storage
  namespace: kube-system
data:
  class: standard
";

/// Writes the image as `docker save` does.
pub(crate) fn write(path: &Path) -> io::Result<()> {
    let mut image = Image::create(path)?;
    image.layer(base)?;
    let kubectl = fs::read(Clients::find().path(Clients::KUBECTLS[0]))?;
    image.layer(|layer| layer.file("usr/bin/kubectl", &kubectl, 0o755))?;
    let program = stripped(&built("curtain-e2e-node"))?;
    image.layer(|layer| {
        layer.file("usr/local/bin/entrypoint", &program, 0o755)?;
        PROGRAMS
            .iter()
            .try_for_each(|name| layer.link(&format!("usr/local/bin/{name}"), "entrypoint"))
    })?;
    image.finish(
        REFERENCE,
        &json!({
            "Env": [
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "container=docker",
            ],
            "Entrypoint": ["/usr/local/bin/entrypoint", "/sbin/init"],
            "StopSignal": "SIGRTMIN+3",
            "WorkingDir": "/",
        }),
    )
}

fn base(layer: &mut crate::archive::Layer) -> io::Result<()> {
    for dir in [
        "dev",
        "etc/kubernetes/manifests",
        "kind",
        "lib/modules",
        "proc",
        "root",
        "run",
        "sbin",
        "sys",
        "var/lib",
    ] {
        layer.dir(dir, 0o755)?;
    }
    layer.dir("tmp", 0o1777)?;
    let busybox = fs::read("/bin/busybox")?;
    layer.file("bin/busybox", &busybox, 0o755)?;
    let applets = Command::new("/bin/busybox").arg("--list").output()?;
    for applet in String::from_utf8_lossy(&applets.stdout).lines().filter(|name| *name != "busybox")
    {
        layer.link(&format!("bin/{applet}"), "busybox")?;
    }
    for (path, text) in [
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
        ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
        ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
        ("etc/os-release", "PRETTY_NAME=\"Curtain's node image for tests\"\n"),
        ("kind/version", VERSION),
        ("kind/manifests/default-cni.yaml", NETWORK),
        ("kind/manifests/default-storage.yaml", STORAGE),
    ] {
        layer.file(path, text.as_bytes(), 0o644)?;
    }
    Ok(())
}

/// The program without its symbols, which are most of it.
fn stripped(program: &Path) -> io::Result<Vec<u8>> {
    let out = tempfile::NamedTempFile::new()?;
    let status = Command::new("strip").arg("-o").arg(out.path()).arg(program).status()?;
    if !status.success() {
        return Err(io::Error::other(format!("strip {}: {status}", program.display())));
    }
    fs::read(out.path())
}
