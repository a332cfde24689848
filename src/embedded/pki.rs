//! Directories, keys and certificates of a cluster, and the administrator's kubeconfig.
//!
//! Everything is P-256. The authority is made once; a leaf is made when it is absent, when two thirds of its life
//! are over, or when it does not carry the names it must. Private keys are 0600 and leave the directory only inside
//! `admin.kubeconfig`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::files::{self, Batch};
use crate::{ClusterConfig, Error};

const AUTHORITY_DAYS: i64 = 3650;
const LEAF_DAYS: i64 = 825;

/// Paths of the cluster's keys and certificates (PEM; keys as PKCS #8).
#[derive(Debug, Clone)]
pub struct PkiPaths {
    /// The authority that signs server, administrator and node certificates.
    pub ca_cert: PathBuf,
    /// Its key.
    pub ca_key: PathBuf,
    /// Serving certificate of the API server.
    pub apiserver_cert: PathBuf,
    /// Its key.
    pub apiserver_key: PathBuf,
    /// Key that signs ServiceAccount tokens (ES256).
    pub service_account_key: PathBuf,
}

impl ClusterConfig {
    /// Where [`init`] puts keys and certificates.
    pub fn pki(&self) -> PkiPaths {
        let dir = self.pki_dir();
        PkiPaths {
            ca_cert: dir.join("ca.crt"),
            ca_key: dir.join("ca.key"),
            apiserver_cert: dir.join("apiserver.crt"),
            apiserver_key: dir.join("apiserver.key"),
            service_account_key: dir.join("sa.key"),
        }
    }
}

/// Makes what a cluster needs before its first start: directories, keys, certificates, settings file, kubeconfig.
///
/// May be repeated; what is there and good stays as it is.
pub fn init(config: &ClusterConfig) -> Result<(), Error> {
    for dir in [
        config.home.clone(),
        config.pki_dir(),
        config.data_dir(),
        config.pods_dir(),
        config.logs_dir(),
        config.run_dir(),
    ] {
        files::make_private_dir(&dir)?;
    }
    let mut batch = Batch::default();
    batch.add(&config.path(), &config.encode()?);
    let authority = Authority::load_or_make(config, &mut batch)?;
    let node = config.node_name();
    for leaf in [
        serving_certificate(config),
        Leaf::client("admin", "curtain-admin", "system:masters"),
        Leaf::client("node", &format!("system:node:{node}"), "system:nodes"),
    ] {
        authority.leaf(config, &leaf, &mut batch)?;
    }
    let service_accounts = config.pki().service_account_key;
    if !service_accounts.exists() {
        batch.add(&service_accounts, generate("sa")?.serialize_pem().as_bytes());
    }
    add_kubeconfig(config, &mut batch)?;
    batch.write()
}

/// A certificate to be issued.
struct Leaf {
    name: &'static str,
    common_name: String,
    organization: Option<String>,
    dns: Vec<String>,
    addresses: Vec<IpAddr>,
    usage: ExtendedKeyUsagePurpose,
}

impl Leaf {
    fn client(name: &'static str, common_name: &str, organization: &str) -> Self {
        Self {
            name,
            common_name: common_name.to_owned(),
            organization: Some(organization.to_owned()),
            dns: Vec::new(),
            addresses: Vec::new(),
            usage: ExtendedKeyUsagePurpose::ClientAuth,
        }
    }
}

fn serving_certificate(config: &ClusterConfig) -> Leaf {
    let dns = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ];
    let dns = dns.iter().map(ToString::to_string).chain(config.reach.api_names.iter().cloned());
    let mut addresses = vec![IpAddr::from([127, 0, 0, 1]), IpAddr::V4(config.api_service_ip())];
    if !addresses.contains(&config.api_listen.ip()) && !config.api_listen.ip().is_unspecified() {
        addresses.push(config.api_listen.ip());
    }
    Leaf {
        name: "apiserver",
        common_name: "kube-apiserver".to_owned(),
        organization: None,
        dns: dns.collect(),
        addresses,
        usage: ExtendedKeyUsagePurpose::ServerAuth,
    }
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn load_or_make(config: &ClusterConfig, batch: &mut Batch) -> Result<Self, Error> {
        let paths = config.pki();
        let fail = |source| Error::Certificate { name: "ca".to_owned(), source };
        // The certificate is written last: a key without one is left over from a crash and is replaced.
        if !paths.ca_cert.exists() {
            let key = generate("ca")?;
            batch.add(&paths.ca_key, key.serialize_pem().as_bytes());
            let mut params = CertificateParams::default();
            params.distinguished_name = subject(&format!("curtain-{}", config.instance), None);
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages = vec![
                KeyUsagePurpose::KeyCertSign,
                KeyUsagePurpose::CrlSign,
                KeyUsagePurpose::DigitalSignature,
            ];
            valid_for(&mut params, AUTHORITY_DAYS);
            let certificate = params.self_signed(&key).map_err(fail)?;
            batch.add(&paths.ca_cert, certificate.pem().as_bytes());
        }
        let text = |path: &Path| -> Result<String, Error> {
            Ok(String::from_utf8_lossy(&batch.read(path)?).into_owned())
        };
        let key = KeyPair::from_pem(&text(&paths.ca_key)?).map_err(fail)?;
        let issuer = Issuer::from_ca_cert_pem(&text(&paths.ca_cert)?, key).map_err(fail)?;
        Ok(Self { issuer })
    }

    fn leaf(&self, config: &ClusterConfig, leaf: &Leaf, batch: &mut Batch) -> Result<(), Error> {
        let dir = config.pki_dir();
        let cert_path = dir.join(format!("{}.crt", leaf.name));
        if still_good(&cert_path, leaf) {
            return Ok(());
        }
        let fail = |source| Error::Certificate { name: leaf.name.to_owned(), source };
        let key = generate(leaf.name)?;
        let mut params = CertificateParams::new(leaf.dns.clone()).map_err(fail)?;
        params.subject_alt_names.extend(leaf.addresses.iter().copied().map(SanType::IpAddress));
        params.distinguished_name = subject(&leaf.common_name, leaf.organization.as_deref());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![leaf.usage.clone()];
        params.use_authority_key_identifier_extension = true;
        valid_for(&mut params, LEAF_DAYS);
        let certificate = params.signed_by(&key, &self.issuer).map_err(fail)?;
        batch.add(&dir.join(format!("{}.key", leaf.name)), key.serialize_pem().as_bytes());
        batch.add(&cert_path, certificate.pem().as_bytes());
        Ok(())
    }
}

/// Whether a stored leaf can stay: readable, in the first two thirds of its life, with all its names.
fn still_good(path: &Path, leaf: &Leaf) -> bool {
    let Ok(bytes) = std::fs::read(path) else {
        return false;
    };
    let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(&bytes) else {
        return false;
    };
    let Ok((_, certificate)) = X509Certificate::from_der(&pem.contents) else {
        return false;
    };
    let from = certificate.validity().not_before.timestamp();
    let until = certificate.validity().not_after.timestamp();
    let now = Timestamp::now().as_second();
    let young = now >= from && now - from < (until - from) / 3 * 2;
    let names = match certificate.subject_alternative_name() {
        Ok(Some(extension)) => extension.value.general_names.clone(),
        _ => Vec::new(),
    };
    let holds = |wanted: GeneralName<'_>| names.contains(&wanted);
    let addresses = leaf.addresses.iter().all(|address| match address {
        IpAddr::V4(v4) => holds(GeneralName::IPAddress(&v4.octets())),
        IpAddr::V6(v6) => holds(GeneralName::IPAddress(&v6.octets())),
    });
    young && addresses && leaf.dns.iter().all(|name| holds(GeneralName::DNSName(name)))
}

fn generate(name: &str) -> Result<KeyPair, Error> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
        .map_err(|source| Error::Certificate { name: name.to_owned(), source })
}

fn subject(common_name: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, common_name);
    name
}

/// Valid from an hour ago (clocks differ) for `days`.
fn valid_for(params: &mut CertificateParams, days: i64) {
    let start = Timestamp::now() - SignedDuration::from_hours(1);
    let date = |at: Timestamp| {
        let date = at.to_zoned(jiff::tz::TimeZone::UTC).date();
        rcgen::date_time_ymd(
            i32::from(date.year()),
            date.month().unsigned_abs(),
            date.day().unsigned_abs(),
        )
    };
    params.not_before = date(start);
    params.not_after = date(start + SignedDuration::from_hours(24 * days));
}

fn add_kubeconfig(config: &ClusterConfig, batch: &mut Batch) -> Result<(), Error> {
    let dir = config.pki_dir();
    let encoded =
        |name: &str| -> Result<String, Error> { Ok(STANDARD.encode(batch.read(&dir.join(name))?)) };
    let name = config.node_name();
    let content = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: {name}\nclusters:\n- name: {name}\n  cluster:\n    \
         server: https://{server}\n    certificate-authority-data: {ca}\nusers:\n- name: {name}\n  user:\n    \
         client-certificate-data: {cert}\n    client-key-data: {key}\ncontexts:\n- name: {name}\n  context:\n    \
         cluster: {name}\n    user: {name}\n",
        server = config.api_address(),
        ca = encoded("ca.crt")?,
        cert = encoded("admin.crt")?,
        key = encoded("admin.key")?,
    );
    let path = config.admin_kubeconfig();
    if !std::fs::read(&path).is_ok_and(|old| old == content.as_bytes()) {
        batch.add(&path, content.as_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn config(home: &Path) -> ClusterConfig {
        ClusterConfig {
            version: ClusterConfig::VERSION,
            instance: "pki".into(),
            home: home.to_owned(),
            binary: "/bin/true".into(),
            own_image: "docker.io/library/curtain:test".into(),
            api_listen: SocketAddr::from(([127, 0, 0, 1], 6443)),
            front_doors: Vec::new(),
            service_cidr: "10.96.0.0/16".parse().unwrap(),
            pod_cidr: "10.244.0.0/16".parse().unwrap(),
            reach: crate::Reach::default(),
            registries: crate::Registries::default(),
            sight: true,
            offline: false,
        }
    }

    #[test]
    fn a_second_init_changes_no_key() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        init(&config).unwrap();
        let read = |name: &str| std::fs::read(config.pki_dir().join(name)).unwrap();
        let names = ["ca.crt", "ca.key", "apiserver.crt", "admin.key", "node.crt", "sa.key"];
        let before = names.map(read);
        init(&config).unwrap();
        assert_eq!(before, names.map(read));
    }

    #[test]
    fn another_listen_address_gets_another_serving_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        init(&config).unwrap();
        let before = std::fs::read(config.pki().apiserver_cert).unwrap();
        config.api_listen = SocketAddr::from(([127, 0, 0, 2], 6443));
        init(&config).unwrap();
        assert_ne!(before, std::fs::read(config.pki().apiserver_cert).unwrap());
    }

    #[test]
    fn a_name_that_the_serving_certificate_lacks_makes_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        init(&config).unwrap();
        let before = std::fs::read(config.pki().apiserver_cert).unwrap();
        config.api_listen = SocketAddr::from(([0, 0, 0, 0], 6443));
        config.reach.api_names = vec!["one-control-plane".into()];
        init(&config).unwrap();
        let after = std::fs::read(config.pki().apiserver_cert).unwrap();
        assert_ne!(before, after);
        let der = x509_parser::pem::parse_x509_pem(&after).unwrap().1.contents;
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        let names = certificate.subject_alternative_name().unwrap().unwrap().value;
        assert!(names.general_names.contains(&GeneralName::DNSName("one-control-plane")));
        init(&config).unwrap();
        assert_eq!(after, std::fs::read(config.pki().apiserver_cert).unwrap());
        let kubeconfig = std::fs::read_to_string(config.admin_kubeconfig()).unwrap();
        assert!(kubeconfig.contains("server: https://127.0.0.1:6443"), "{kubeconfig}");
    }

    #[test]
    fn leaves_are_signed_by_the_authority() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        init(&config).unwrap();
        let der = |name: &str| {
            let bytes = std::fs::read(config.pki_dir().join(name)).unwrap();
            x509_parser::pem::parse_x509_pem(&bytes).unwrap().1.contents
        };
        let ca = der("ca.crt");
        let (_, ca) = X509Certificate::from_der(&ca).unwrap();
        for name in ["apiserver.crt", "admin.crt", "node.crt"] {
            let leaf = der(name);
            let (_, leaf) = X509Certificate::from_der(&leaf).unwrap();
            leaf.verify_signature(Some(ca.public_key())).unwrap();
        }
        let kubeconfig = std::fs::read_to_string(config.admin_kubeconfig()).unwrap();
        assert!(kubeconfig.contains("server: https://127.0.0.1:6443"));
    }
}
