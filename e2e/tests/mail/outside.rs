//! The world outside of the cluster: an address that is not the machine's loopback, and authorities that it trusts.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
};

use nix::mount::{MsFlags, mount, umount};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Where the machine keeps the authorities, which pods of the platform have as theirs.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// There until dropped.
pub(crate) struct Outside {
    folder: PathBuf,
    trusted: Issuer<'static, KeyPair>,
}

impl Outside {
    /// Of the addresses for documentation; no pod reaches 127.0.0.1 of the machine.
    pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 25);

    /// Makes the address and lets the machine trust an authority, and no other. For a test that runs apart.
    pub(crate) fn open(folder: &Path) -> Self {
        assert!(device("add"), "cannot add {} to the loopback device", Outside::ADDRESS);
        let (trusted, certificate) = authority("known to the machine");
        let file = folder.join("authorities");
        fs::write(&file, certificate).unwrap();
        let none = None::<&str>;
        mount(Some(&file), AUTHORITIES, none, MsFlags::MS_BIND, none)
            .unwrap_or_else(|error| panic!("{AUTHORITIES}: {error}"));
        Self { folder: folder.to_owned(), trusted }
    }

    /// Files of a certificate for the address and its key: of the trusted authority, or of one that nobody knows.
    pub(crate) fn certificate(&self, trusted: bool) -> [PathBuf; 2] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([Self::ADDRESS.to_string()]).unwrap();
        let certificate = if trusted {
            params.signed_by(&key, &self.trusted)
        } else {
            params.signed_by(&key, &authority("known to nobody").0)
        };
        let files = ["crt", "key"].map(|kind| self.folder.join(format!("{trusted}.{kind}")));
        fs::write(&files[0], certificate.unwrap().pem()).unwrap();
        fs::write(&files[1], key.serialize_pem()).unwrap();
        files
    }
}

/// A new authority called `name`, and its certificate.
fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), certificate)
}

/// Adds the address to the loopback device, or takes it away; whether that worked.
fn device(verb: &str) -> bool {
    let address = format!("{}/32", Outside::ADDRESS);
    let mut command = Command::new("/bin/busybox");
    command.args(["ip", "address", verb, &address, "dev", "lo"]);
    command.status().is_ok_and(|status| status.success())
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = umount(AUTHORITIES);
        // Whether it works or not: the network namespace ends with the test.
        device("del");
    }
}
