//! A container's environment.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{Container, EnvVar};

use super::expand::expand;
use super::fields::Fields;
use super::objects::Objects;

/// The variables in the order in which they were first set: later ones win, `$(NAME)` sees earlier ones.
#[derive(Debug, Default)]
pub(super) struct Environment {
    names: Vec<String>,
    values: BTreeMap<String, String>,
}

impl Environment {
    pub(super) fn set(&mut self, name: &str, value: String) {
        if self.values.insert(name.to_owned(), value).is_none() {
            self.names.push(name.to_owned());
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }

    /// `NAME=value` pairs.
    pub(super) fn pairs(&self) -> Vec<String> {
        let pair = |name: &String| Some(format!("{name}={}", self.values.get(name)?));
        self.names.iter().filter_map(pair).collect()
    }
}

/// Where a pod finds the API server, as every pod is told.
fn api_server(environment: &mut Environment, ip: Ipv4Addr) {
    for (name, value) in [
        ("KUBERNETES_SERVICE_HOST", ip.to_string()),
        ("KUBERNETES_SERVICE_PORT", "443".to_owned()),
        ("KUBERNETES_SERVICE_PORT_HTTPS", "443".to_owned()),
        ("KUBERNETES_PORT", format!("tcp://{ip}:443")),
        ("KUBERNETES_PORT_443_TCP", format!("tcp://{ip}:443")),
        ("KUBERNETES_PORT_443_TCP_PROTO", "tcp".to_owned()),
        ("KUBERNETES_PORT_443_TCP_PORT", "443".to_owned()),
        ("KUBERNETES_PORT_443_TCP_ADDR", ip.to_string()),
    ] {
        environment.set(name, value);
    }
}

/// Builds the environment: the image's, the host name, the API server's address, `envFrom`, `env`.
///
/// # Errors
/// The sentence a kubelet would show: which object or key is missing.
pub(super) async fn build(
    container: &Container,
    image: &[String],
    fields: Fields<'_>,
    hostname: &str,
    api_server_ip: Ipv4Addr,
    objects: &Objects,
) -> Result<Environment, String> {
    let mut environment = Environment::default();
    for pair in image {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        environment.set(name, value.to_owned());
    }
    environment.set("HOSTNAME", hostname.to_owned());
    api_server(&mut environment, api_server_ip);

    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let values = if let Some(reference) = &source.config_map_ref {
            let optional = reference.optional == Some(true);
            objects.config_map(&reference.name, optional).await?.map(|map| map.text)
        } else if let Some(reference) = &source.secret_ref {
            let optional = reference.optional == Some(true);
            objects.secret(&reference.name, optional).await?.map(|map| map.text)
        } else {
            None
        };
        for (name, value) in values.into_iter().flatten() {
            environment.set(&format!("{prefix}{name}"), value);
        }
    }
    for variable in container.env.iter().flatten() {
        if let Some(value) = value_of(variable, &environment, container, fields, objects).await? {
            environment.set(&variable.name, value);
        }
    }
    Ok(environment)
}

async fn value_of(
    variable: &EnvVar,
    so_far: &Environment,
    container: &Container,
    fields: Fields<'_>,
    objects: &Objects,
) -> Result<Option<String>, String> {
    let Some(source) = &variable.value_from else {
        let value = variable.value.as_deref().unwrap_or_default();
        return Ok(Some(expand(value, |name| so_far.get(name))));
    };
    if let Some(field) = &source.field_ref {
        return fields.field(&field.field_path).map(Some);
    }
    if let Some(resource) = &source.resource_field_ref {
        return fields.resource(resource, Some(container)).map(Some);
    }
    let (found, what, name, key, optional) = if let Some(key) = &source.config_map_key_ref {
        let optional = key.optional == Some(true);
        (objects.config_map(&key.name, optional).await?, "ConfigMap", &key.name, &key.key, optional)
    } else if let Some(key) = &source.secret_key_ref {
        let optional = key.optional == Some(true);
        (objects.secret(&key.name, optional).await?, "Secret", &key.name, &key.key, optional)
    } else {
        return Err(format!("the source of variable {} is not supported", variable.name));
    };
    match found.and_then(|map| map.text.get(key).cloned()) {
        Some(value) => Ok(Some(value)),
        None if optional => Ok(None),
        None => Err(format!("couldn't find key {key} in {what} {}/{name}", objects.namespace())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_values_win_and_order_is_kept() {
        let mut environment = Environment::default();
        environment.set("B", "1".into());
        environment.set("A", "2".into());
        environment.set("B", "3".into());
        assert_eq!(environment.pairs(), ["B=3", "A=2"]);
    }
}
