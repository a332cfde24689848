//! P-256 keys and certificates.

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};

use super::Data;
use crate::format::Usage;

const AUTHORITY_DAYS: i64 = 3_650;
const LEAF_DAYS: i64 = 825;

/// A key alone: `tls.key`.
pub(super) fn key() -> Result<Data, String> {
    Ok(Data::from([("tls.key".to_owned(), generate()?.serialize_pem().into_bytes())]))
}

/// A certificate authority: `tls.crt`, `tls.key`, `ca.crt`.
pub(super) fn authority(common_name: &str) -> Result<Data, String> {
    let key = generate()?;
    let mut params = params(common_name, &[], Timestamp::now(), AUTHORITY_DAYS)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let certificate = params.self_signed(&key).map_err(|error| error.to_string())?.pem();
    Ok(pair(certificate.clone(), &key, certificate))
}

/// A certificate signed by `authority` at `now`: `tls.crt`, `tls.key`, `ca.crt`.
pub(super) fn leaf(
    authority: &Data,
    common_name: &str,
    dns_names: &[String],
    usages: &[Usage],
    now: Timestamp,
) -> Result<Data, String> {
    let field = |name: &str| {
        let bytes = authority.get(name).ok_or(format!("its authority has no {name}"))?;
        String::from_utf8(bytes.clone())
            .map_err(|error| format!("{name} of its authority: {error}"))
    };
    let (certificate, ca_key) = (field("tls.crt")?, field("tls.key")?);
    let ca_key = KeyPair::from_pem(&ca_key).map_err(|error| error.to_string())?;
    let issuer =
        Issuer::from_ca_cert_pem(&certificate, ca_key).map_err(|error| error.to_string())?;
    let key = generate()?;
    let mut params = params(common_name, dns_names, now, LEAF_DAYS)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = usages
        .iter()
        .map(|usage| match usage {
            Usage::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Usage::Client => ExtendedKeyUsagePurpose::ClientAuth,
        })
        .collect();
    params.use_authority_key_identifier_extension = true;
    let signed = params.signed_by(&key, &issuer).map_err(|error| error.to_string())?;
    Ok(pair(signed.pem(), &key, certificate))
}

fn generate() -> Result<KeyPair, String> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| error.to_string())
}

fn params(
    common_name: &str,
    dns_names: &[String],
    now: Timestamp,
    days: i64,
) -> Result<CertificateParams, String> {
    let mut params =
        CertificateParams::new(dns_names.to_vec()).map_err(|error| error.to_string())?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    params.distinguished_name = name;
    // An hour back, for clocks that disagree.
    let day = |timestamp: Timestamp| {
        let date = timestamp.to_zoned(jiff::tz::TimeZone::UTC).date();
        rcgen::date_time_ymd(
            i32::from(date.year()),
            date.month().unsigned_abs(),
            date.day().unsigned_abs(),
        )
    };
    params.not_before = day(now - SignedDuration::from_hours(1));
    params.not_after = day(now + SignedDuration::from_hours(24 * days));
    Ok(params)
}

fn pair(certificate: String, key: &KeyPair, authority: String) -> Data {
    Data::from([
        ("tls.crt".to_owned(), certificate.into_bytes()),
        ("tls.key".to_owned(), key.serialize_pem().into_bytes()),
        ("ca.crt".to_owned(), authority.into_bytes()),
    ])
}
