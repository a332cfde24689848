//! Ingresses.

mod backend;
mod columns;
mod rules;

use curtain_schema::FieldError;
use serde_json::Value;

use super::super::meta::is_dns_subdomain;
use super::super::{Admission, Strategy, ValueExt};
use super::ingress_class;
use crate::apiserver::admission::Operation;
use crate::apiserver::status::ApiError;

pub(super) use columns::COLUMNS;

pub(super) const INGRESS: Strategy = Strategy { validate, admit: Some(admit), ..Strategy::PLAIN };

/// How classes were named before there were any.
const CLASS: &str = "kubernetes.io/ingress.class";

/// One that names no class gets the one for all, if there is one.
fn admit(
    admission: &Admission<'_>,
    ingress: &mut Value,
    _: Option<&Value>,
) -> Result<(), ApiError> {
    let named = ingress.at(&["spec", "ingressClassName"]).is_some()
        || ingress.at(&["metadata", "annotations", CLASS]).is_some();
    if admission.operation == Operation::Create
        && !named
        && let Some(class) = ingress_class::of_others(admission.api)
    {
        ingress.sub("spec")["ingressClassName"] = class.into();
    }
    Ok(())
}

fn validate(ingress: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    rules::validate(&ingress["spec"], errors);
    let class = ingress.at(&["spec", "ingressClassName"]).and_then(Value::as_str);
    if let Some(class) = class
        && let Some(why) = is_dns_subdomain(class)
    {
        errors.push(FieldError::invalid("spec.ingressClassName", class.into(), why));
    }
    let annotation = ingress.at(&["metadata", "annotations", CLASS]).and_then(Value::as_str);
    if let (None, Some(class), Some(annotation)) = (old, class, annotation)
        && class != annotation
    {
        let why = "must match `ingressClassName` when both are specified";
        errors.push(FieldError::invalid(format!("annotations.{CLASS}"), annotation.into(), why));
    }
    status(ingress, errors);
}

fn status(ingress: &Value, errors: &mut Vec<FieldError>) {
    for (index, point) in ingress.list(&["status", "loadBalancer", "ingress"]).iter().enumerate() {
        let at = |field: &str| format!("status.loadBalancer.ingress[{index}].{field}");
        let (ip, host) = (point.text(&["ip"]), point.text(&["hostname"]));
        if !ip.is_empty() && ip.parse::<std::net::IpAddr>().is_err() {
            let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
            errors.push(FieldError::invalid(at("ip"), ip.into(), why));
        }
        if !host.is_empty() {
            let at = at("hostname");
            rules::no_address(host, &at, errors);
            if let Some(why) = is_dns_subdomain(host) {
                errors.push(FieldError::invalid(at, host.into(), why));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    pub(super) fn errors(ingress: &Value) -> Vec<String> {
        let mut errors = Vec::new();
        validate(ingress, None, &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn classes_agree_and_addresses_are_some() {
        let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
        let mut ingress = json!({
            "metadata": {"annotations": {CLASS: "a"}},
            "spec": {"ingressClassName": "a", "defaultBackend": backend},
            "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}, {"hostname": "a.example"}, {}]}},
        });
        assert_eq!(errors(&ingress), Vec::<String>::new());
        ingress["spec"]["ingressClassName"] = "b".into();
        ingress["status"]["loadBalancer"]["ingress"][0]["ip"] = "ten".into();
        ingress["status"]["loadBalancer"]["ingress"][1]["hostname"] = "10.0.0.1".into();
        ingress["status"]["loadBalancer"]["ingress"][2] = json!({"hostname": "*.example"});
        let mut found = errors(&ingress);
        let wild = found.pop().unwrap();
        let words =
            "status.loadBalancer.ingress[2].hostname: Invalid value: \"*.example\": a lowercase";
        assert!(wild.starts_with(words), "only rules have wildcards: {wild}");
        assert_eq!(
            found,
            [
                "annotations.kubernetes.io/ingress.class: Invalid value: \"a\": must match `ingressClassName` when both are specified",
                "status.loadBalancer.ingress[0].ip: Invalid value: \"ten\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
                "status.loadBalancer.ingress[1].hostname: Invalid value: \"10.0.0.1\": must be a DNS name, not an IP address",
            ]
        );
    }
}
