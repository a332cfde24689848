//! A server in a thread of its own, as the node runs it, with throw-away keys.

use std::error::Error;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use curtain_embedded::apiserver::{Server, ServerConfig};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use tokio_util::sync::CancellationToken;

/// A running server.
pub(crate) struct Served {
    /// Of a cluster administrator.
    pub(crate) kubeconfig: PathBuf,
    stop: CancellationToken,
    thread: std::thread::JoinHandle<()>,
}

impl Served {
    /// Keeps database and kubeconfig in `directory`; returns once requests are answered.
    pub(crate) fn start(directory: &Path) -> Result<Self, Box<dyn Error + Send + Sync>> {
        std::fs::create_dir_all(directory)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;

        let ca_key = KeyPair::generate()?;
        let mut ca = CertificateParams::new(vec![])?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(DnType::CommonName, "example-ca");
        let ca_pem = ca.self_signed(&ca_key)?.pem();
        let issuer = Issuer::new(ca, ca_key);
        let server_key = KeyPair::generate()?;
        let server = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()])?;
        let server = server.signed_by(&server_key, &issuer)?.pem();
        let admin_key = KeyPair::generate()?;
        let mut admin = CertificateParams::new(vec![])?;
        admin.distinguished_name = DistinguishedName::new();
        admin.distinguished_name.push(DnType::CommonName, "admin");
        admin.distinguished_name.push(DnType::OrganizationName, "system:masters");
        let admin = admin.signed_by(&admin_key, &issuer)?.pem();

        let encode = |pem: &str| BASE64_STANDARD.encode(pem);
        let kubeconfig = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: example\n\
             contexts: [{{name: example, context: {{cluster: example, user: admin}}}}]\n\
             clusters: [{{name: example, cluster: {{server: 'https://{address}', certificate-authority-data: {}}}}}]\n\
             users: [{{name: admin, user: {{client-certificate-data: {}, client-key-data: {}}}}}]\n",
            encode(&ca_pem),
            encode(&admin),
            encode(&admin_key.serialize_pem()),
        );
        let kubeconfig_path = directory.join("kubeconfig");
        std::fs::write(&kubeconfig_path, kubeconfig)?;
        let stop = CancellationToken::new();
        let config = ServerConfig {
            database: directory.join("objects.redb"),
            listeners: vec![listener],
            certificate: server.into(),
            key: server_key.serialize_pem().into(),
            ca: ca_pem.into(),
            token_key: KeyPair::generate()?.serialize_pem().into(),
            service_cidr: (Ipv4Addr::new(10, 96, 0, 0), 16),
            advertise: address,
            offline: false,
        };
        let (ready, started) = std::sync::mpsc::channel();
        let stopping = stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return drop(ready.send(Err(error.to_string()))),
            };
            runtime.block_on(async move {
                match Server::start(config, stopping).await {
                    Ok(server) => {
                        let _ = ready.send(Ok(()));
                        server.stopped().await;
                    }
                    Err(error) => drop(ready.send(Err(error.to_string()))),
                }
            });
        });
        started.recv()??;
        Ok(Self { kubeconfig: kubeconfig_path, stop, thread })
    }

    /// Ends it and waits.
    pub(crate) fn stop(self) {
        self.stop.cancel();
        let _ = self.thread.join();
    }
}
