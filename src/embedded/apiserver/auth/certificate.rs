//! Client certificates: the common name is the user, the organizations are the groups.

use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::User;

/// Reads the subject of a certificate that TLS has already verified. `None` when it names nobody.
pub fn user(der: &[u8]) -> Option<User> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?;
    let groups = subject.iter_organization().filter_map(|o| o.as_str().ok());
    (!name.is_empty()).then(|| User::new(name, groups))
}
