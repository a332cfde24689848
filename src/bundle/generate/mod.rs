//! Keys and passwords a bundle needs: read if they are there, made if not, never overwritten. Only the certificate of
//! a leaf that nears its end is [made anew](renew).

mod keys;
mod renew;

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use serde_json::{Map, Value, json};

pub use renew::{Renewal, renew_leaves};

use crate::{
    Bundle, Error,
    format::{Generate, What},
    inventory::BUNDLE_LABEL,
};

type Data = BTreeMap<String, Vec<u8>>;

/// Makes sure that every secret of `bundle` exists, and returns their public parts for templates:
/// `<name>.certificate` (PEM) where there is one.
pub(crate) async fn ensure(client: &Client, bundle: &Bundle) -> Result<Value, Error> {
    let mut known: BTreeMap<&str, Data> = BTreeMap::new();
    let mut public = Map::new();
    for wanted in &bundle.manifest.generate {
        let data = one(client, bundle.name(), wanted, &known).await?;
        let certificate = data
            .get("tls.crt")
            .or(data.get("ca.crt"))
            .map(|pem| String::from_utf8_lossy(pem).into_owned());
        public.insert(
            wanted.name.clone(),
            json!({ "certificate": certificate, "secret": wanted.secret }),
        );
        known.insert(&wanted.name, data);
    }
    Ok(Value::Object(public))
}

async fn one(
    client: &Client,
    bundle: &str,
    wanted: &Generate,
    known: &BTreeMap<&str, Data>,
) -> Result<Data, Error> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &wanted.namespace);
    let fail = |what: &str| {
        Error::api(bundle, format!("{what} Secret {}/{}", wanted.namespace, wanted.secret))
    };
    if let Some(found) = secrets.get_opt(&wanted.secret).await.map_err(fail("read"))? {
        return Ok(data(found));
    }
    let foreign = match &wanted.what {
        What::Leaf { ca: authority, .. }
        | What::Trust { of: authority }
        | What::Copy { of: authority } => elsewhere(client, bundle, authority).await?,
        _ => None,
    };
    let mut known = known.clone();
    if let Some((authority, data)) = &foreign {
        known.insert(authority, data.clone());
    }
    let made = make(bundle, wanted, &known)?;
    let mut labels = wanted.labels.clone();
    labels.insert(BUNDLE_LABEL.to_owned(), bundle.to_owned());
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(wanted.secret.clone()),
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        type_: made.contains_key("tls.crt").then(|| "kubernetes.io/tls".to_owned()),
        data: Some(
            made.iter().map(|(key, value)| (key.clone(), ByteString(value.clone()))).collect(),
        ),
        ..Secret::default()
    };
    match secrets.create(&PostParams::default(), &secret).await {
        Ok(_) => Ok(made),
        // Somebody was faster: theirs counts.
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            secrets.get(&wanted.secret).await.map(data).map_err(fail("read"))
        }
        Err(error) => Err(fail("create")(error)),
    }
}

/// The authority in the Secret `namespace/name` of another bundle; `None` for a name in this one.
async fn elsewhere<'a>(
    client: &Client,
    bundle: &str,
    authority: &'a str,
) -> Result<Option<(&'a str, Data)>, Error> {
    let Some((namespace, name)) = authority.split_once('/') else { return Ok(None) };
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let found = secrets.get(name).await;
    let found = found.map_err(Error::api(bundle, format!("read Secret {authority}")))?;
    Ok(Some((authority, data(found))))
}

fn data(secret: Secret) -> Data {
    secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect()
}

fn make(bundle: &str, wanted: &Generate, known: &BTreeMap<&str, Data>) -> Result<Data, Error> {
    let key =
        |why: String| Error::Key { bundle: bundle.to_owned(), name: wanted.name.clone(), why };
    let pair = match &wanted.what {
        What::Ca { common_name } => keys::authority(common_name).map_err(key)?,
        What::Leaf { ca, common_name, dns_names, usages } => {
            let authority = known
                .get(ca.as_str())
                .ok_or_else(|| key(format!("there is no authority {ca:?} before it")))?;
            keys::leaf(authority, common_name, dns_names, usages, Timestamp::now()).map_err(key)?
        }
        What::KeyPair => keys::key().map_err(key)?,
        What::Trust { of } => {
            let certificate = known.get(of.as_str()).and_then(|authority| authority.get("tls.crt"));
            let certificate = certificate.ok_or_else(|| key(format!("{of} has no tls.crt")))?;
            Data::from([("ca.crt".to_owned(), certificate.clone())])
        }
        What::Copy { of } => {
            let original = known.get(of.as_str());
            original.ok_or_else(|| key(format!("there is no Secret {of} before it")))?.clone()
        }
        What::Password { key, data } => {
            let mut fields: Data =
                data.iter().map(|(key, value)| (key.clone(), value.clone().into_bytes())).collect();
            fields.insert(
                key.clone(),
                URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()).into_bytes(),
            );
            fields
        }
    };
    Ok(pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(yaml: &str) -> Generate {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn a_password_is_long_and_random_and_keeps_its_fixed_fields() {
        let wanted = wanted(
            "{type: password, name: admin, namespace: n, secret: s, key: password, data: {username: admin@x}}",
        );
        let (one, two) = (
            make("b", &wanted, &BTreeMap::new()).unwrap(),
            make("b", &wanted, &BTreeMap::new()).unwrap(),
        );
        assert_eq!(one["username"], b"admin@x");
        assert_eq!(one["password"].len(), 43);
        assert_ne!(one["password"], two["password"]);
    }

    #[test]
    fn a_leaf_needs_its_authority_first() {
        let leaf = wanted(
            "{type: leaf, name: l, namespace: n, secret: s, ca: root, commonName: c, dnsNames: [a.b], usages: [server, client]}",
        );
        assert!(make("b", &leaf, &BTreeMap::new()).unwrap_err().to_string().contains("root"));
        let ca = make(
            "b",
            &wanted("{type: ca, name: root, namespace: n, secret: r, commonName: root}"),
            &BTreeMap::new(),
        );
        let known = BTreeMap::from([("root", ca.unwrap())]);
        let made = make("b", &leaf, &known).unwrap();
        assert_eq!(made["ca.crt"], known["root"]["tls.crt"]);
        assert!(String::from_utf8_lossy(&made["tls.key"]).contains("BEGIN PRIVATE KEY"));
    }

    #[test]
    fn a_copy_is_the_same_and_needs_its_original() {
        let copy = wanted("{type: copy, name: c, namespace: n, secret: c, of: m/s}");
        assert!(make("b", &copy, &BTreeMap::new()).unwrap_err().to_string().contains("m/s"));
        let original = Data::from([("client-id".to_owned(), b"agent".to_vec())]);
        let known = BTreeMap::from([("m/s", original.clone())]);
        assert_eq!(make("b", &copy, &known).unwrap(), original);
    }
}
