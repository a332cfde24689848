//! The administrator's kubeconfig: the node's own, with the address that leads to it from this machine.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use curtain_machine::files::{create_folder, create_folders, private};
use kube::config::Kubeconfig;

use super::{engine::Engine, names};
use crate::{ClusterSpec, Error};

/// Where kubeadm leaves it in the node.
const IN_NODE: &str = "/etc/kubernetes/admin.conf";

/// Where it is on this machine.
pub(crate) fn path(spec: &ClusterSpec) -> PathBuf {
    spec.home.join("admin.kubeconfig")
}

/// Fetches it from the control plane.
pub(crate) async fn write(engine: &Engine, spec: &ClusterSpec) -> Result<(), Error> {
    let text = engine.run(&names::control_plane(spec), &["cat", IN_NODE]).await?;
    let text = adapted(&text, &names::cluster(spec), spec.api_port)
        .map_err(|why| Error::NodeFile { node: names::control_plane(spec), path: IN_NODE, why })?;
    let path = path(spec);
    save(&path, text.as_bytes()).map_err(|source| Error::File { verb: "write", path, source })
}

/// The kubeconfig `text` for the port of 127.0.0.1 that leads to the API, with kind's name for the context.
fn adapted(text: &str, cluster: &str, port: u16) -> Result<String, String> {
    let mut config = Kubeconfig::from_yaml(text).map_err(|error| error.to_string())?;
    let name = format!("kind-{cluster}");
    for named in &mut config.clusters {
        named.name.clone_from(&name);
        if let Some(cluster) = &mut named.cluster {
            cluster.server = Some(format!("https://127.0.0.1:{port}"));
        }
    }
    for user in &mut config.auth_infos {
        user.name.clone_from(&name);
    }
    for context in &mut config.contexts {
        context.name.clone_from(&name);
        if let Some(context) = &mut context.context {
            context.cluster.clone_from(&name);
            context.user = Some(name.clone());
        }
    }
    config.current_context = Some(name);
    serde_saphyr::to_string(&config).map_err(|error| error.to_string())
}

/// Writes a file that only its owner reads, whole or not at all.
fn save(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        create_folders(folder, create_folder).map_err(|(_, error)| error)?;
    }
    let part = path.with_extension("part");
    let mut file = private().create(true).write(true).truncate(true).open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&part, path)
}

#[cfg(test)]
mod tests {
    use curtain_machine::files::Rights;

    use super::*;

    #[test]
    fn the_address_is_the_one_of_this_machine_and_the_keys_stay() {
        let text = "apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster: {server: 'https://c-control-plane:6443', certificate-authority-data: QQ==}\ncontexts:\n- name: x\n  context: {cluster: c, user: u}\ncurrent-context: x\nusers:\n- name: u\n  user: {client-certificate-data: QQ==, client-key-data: Qg==}\n";
        let config = Kubeconfig::from_yaml(&adapted(text, "curtain-ci", 16443).unwrap()).unwrap();
        assert_eq!(config.current_context.as_deref(), Some("kind-curtain-ci"));
        let cluster = config.clusters[0].cluster.as_ref().unwrap();
        assert_eq!(cluster.server.as_deref(), Some("https://127.0.0.1:16443"));
        assert_eq!(cluster.certificate_authority_data.as_deref(), Some("QQ=="));
        assert_eq!(config.contexts[0].context.as_ref().unwrap().cluster, "kind-curtain-ci");
        assert!(adapted("[", "c", 1).is_err());
    }

    #[test]
    fn the_file_is_whole_and_alone_and_nobody_else_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cluster/admin.kubeconfig");
        save(&path, b"x").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"x");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        let own = private().create(true).write(true).truncate(true).open(dir.path().join("own"));
        let rights = [own.unwrap().metadata().unwrap(), fs::metadata(&path).unwrap()];
        assert_eq!(Rights::of(&rights[0]), Rights::of(&rights[1]));
    }
}
