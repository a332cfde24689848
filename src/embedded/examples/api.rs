//! The API server alone, to point clients at.
//!
//! `cargo run -p curtain-embedded --example api -- DIRECTORY` keeps its database and keys there, writes
//! `DIRECTORY/kubeconfig`, and serves until Ctrl-C. There are no controllers and no node.
#![allow(clippy::print_stderr, reason = "an example is a program")]

use std::error::Error;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use curtain_embedded::apiserver::{Server, ServerConfig};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory: PathBuf = std::env::args_os().nth(1).ok_or("usage: api DIRECTORY")?.into();
    std::fs::create_dir_all(&directory)?;
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
    };
    let begin = std::time::Instant::now();
    let server = Server::start(config, stop.clone()).await?;
    std::fs::write(directory.join("kubeconfig"), kubeconfig)?;
    eprintln!("serving https://{address} after {:?}", begin.elapsed());
    tokio::signal::ctrl_c().await?;
    stop.cancel();
    server.stopped().await;
    Ok(())
}
