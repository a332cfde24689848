//! Signing certificates anew before they end.
//!
//! A leaf is renewed at two thirds of its life, by the authority that signed it: whoever trusts the authority notices
//! nothing. Secrets keep their names, and who mounts them reads them again. Authorities are not renewed: they live ten
//! years, and replacing one is a matter of everybody who trusts it.

use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, Client, api::PostParams};
use x509_parser::{pem::parse_x509_pem, prelude::X509Certificate};

use super::{data, keys};
use crate::{
    Error, files,
    format::{Generate, Manifest, What},
};

/// What became of the leaves that were due.
#[derive(Debug, Default)]
pub struct Renewal {
    /// The Secrets, `namespace/name`, that have new certificates.
    pub renewed: Vec<String>,
    /// Why others have none: a Secret that cannot be read or written, or a broken authority.
    pub failed: Vec<Error>,
}

/// Renews every leaf of the program's bundles that has lived two thirds of its life at `now`. One that cannot be
/// renewed keeps no other from it. Bundles that are not installed have none.
pub async fn renew_leaves(client: &Client, now: Timestamp) -> Renewal {
    let mut outcome = Renewal::default();
    for name in crate::Bundle::builtin_names() {
        let manifest = match manifest(name) {
            Ok(manifest) => manifest,
            Err(error) => {
                outcome.failed.push(error);
                continue;
            }
        };
        for wanted in &manifest.generate {
            match renew(client, &manifest, wanted, now).await {
                Ok(secret) => outcome.renewed.extend(secret),
                Err(error) => outcome.failed.push(error),
            }
        }
    }
    outcome
}

/// The manifest alone: the documents of a bundle are large.
fn manifest(bundle: &str) -> Result<Manifest, Error> {
    let file = format!("bundles/{bundle}/bundle.yaml");
    let text = files::read(&file).ok_or_else(|| Error::Unknown { name: bundle.to_owned() })?;
    serde_saphyr::from_str(text).map_err(|error| Error::Broken {
        bundle: bundle.to_owned(),
        file,
        document: None,
        why: error.to_string(),
    })
}

async fn renew(
    client: &Client,
    manifest: &Manifest,
    wanted: &Generate,
    now: Timestamp,
) -> Result<Option<String>, Error> {
    let What::Leaf { ca, common_name, dns_names, usages } = &wanted.what else { return Ok(None) };
    let title = format!("{}/{}", wanted.namespace, wanted.secret);
    let fail = |what: &str| Error::api(&manifest.name, format!("{what} Secret {title}"));
    let key =
        |why: String| Error::Key { bundle: manifest.name.clone(), name: wanted.name.clone(), why };
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &wanted.namespace);
    let Some(mut secret) = secrets.get_opt(&wanted.secret).await.map_err(fail("read"))? else {
        return Ok(None);
    };
    let pem = secret.data.as_ref().and_then(|data| data.get("tls.crt"));
    let pem = pem.map(|pem| pem.0.as_slice()).unwrap_or_default();
    if !is_due(pem, now).map_err(key)? {
        return Ok(None);
    }
    let authority = authority(client, manifest, ca).await?;
    let made = keys::leaf(&authority, common_name, dns_names, usages, now).map_err(key)?;
    let fields = secret.data.get_or_insert_default();
    fields.extend(made.into_iter().map(|(name, value)| (name, ByteString(value))));
    // With the version that was read: a change in between is not overwritten.
    secrets
        .replace(&wanted.secret, &PostParams::default(), &secret)
        .await
        .map_err(fail("renew"))?;
    Ok(Some(title))
}

/// Whether a certificate is in the last third of its life, or past it.
fn is_due(pem: &[u8], now: Timestamp) -> Result<bool, String> {
    let (_, block) = parse_x509_pem(pem).map_err(|error| format!("its tls.crt: {error}"))?;
    let certificate: X509Certificate<'_> =
        block.parse_x509().map_err(|error| format!("its tls.crt: {error}"))?;
    let validity = certificate.validity();
    let (from, until) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    Ok(now.as_second() - from >= (until - from) / 3 * 2)
}

async fn authority(client: &Client, manifest: &Manifest, ca: &str) -> Result<super::Data, Error> {
    let (namespace, name) = match ca.split_once('/') {
        Some(elsewhere) => elsewhere,
        None => manifest
            .generate
            .iter()
            .find(|other| other.name == ca)
            .map(|other| (other.namespace.as_str(), other.secret.as_str()))
            .ok_or_else(|| Error::Key {
                bundle: manifest.name.clone(),
                name: ca.to_owned(),
                why: "there is no such authority".to_owned(),
            })?,
    };
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let found = secrets.get(name).await;
    let what = format!("read Secret {namespace}/{name}");
    found.map(data).map_err(Error::api(&manifest.name, what))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::format::Usage;

    #[test]
    fn a_leaf_is_due_after_two_thirds_of_its_life() {
        let now = Timestamp::now();
        let ca = keys::authority("ca").unwrap();
        let leaf = keys::leaf(&ca, "leaf", &[], &[Usage::Client], now).unwrap();
        let at = |days: i64| is_due(&leaf["tls.crt"], now + SignedDuration::from_hours(24 * days));
        let due: Vec<bool> = [0, 548, 551, 1000].map(|days| at(days).unwrap()).into();
        assert_eq!(due, [false, false, true, true]);
        assert!(is_due(b"nonsense", now).unwrap_err().contains("tls.crt"));
    }
}
