//! Services: defaults, validation, and the addresses and node ports that admission gives out.

mod columns;

use curtain_schema::FieldError;
use serde_json::{Value, json};

use super::super::meta::{immutable, is_dns_1035_label, is_dns_label};
use super::super::template::one_of;
use super::super::{Admission, Strategy, ValueExt};
use crate::apiserver::Api;
use crate::apiserver::addresses::{Addresses, addresses_of};
use crate::apiserver::status::ApiError;

pub(super) use columns::COLUMNS;

pub(super) const SERVICE: Strategy = Strategy {
    default,
    prepare,
    validate,
    settle: Some(settle),
    released: Some(released),
    name: is_dns_1035_label,
    ..Strategy::PLAIN
};

fn default(service: &mut Value) {
    let spec = service.sub("spec");
    spec.default_to("type", "ClusterIP");
    spec.default_to("sessionAffinity", "None");
    if spec["sessionAffinity"] == "ClientIP" && spec.at(&["sessionAffinityConfig"]).is_none() {
        spec["sessionAffinityConfig"] = json!({"clientIP": {"timeoutSeconds": 10800}});
    }
    for port in spec.items_mut("ports") {
        port.default_to("protocol", "TCP");
        let number = port["port"].clone();
        if matches!(port.at(&["targetPort"]), None | Some(Value::String(_)))
            && port.text(&["targetPort"]).is_empty()
        {
            port["targetPort"] = number;
        }
    }
    let kind = spec.text(&["type"]).to_owned();
    if kind == "ExternalName" {
        return;
    }
    spec.default_to("internalTrafficPolicy", "Cluster");
    spec.default_to("ipFamilies", json!(["IPv4"]));
    spec.default_to("ipFamilyPolicy", "SingleStack");
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        spec.default_to("externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        spec.default_to("allocateLoadBalancerNodePorts", true);
    }
    if !spec.text(&["clusterIP"]).is_empty() && spec.list(&["clusterIPs"]).is_empty() {
        spec["clusterIPs"] = json!([spec["clusterIP"]]);
    }
}

/// An update that leaves the addresses out keeps them.
fn prepare(service: &mut Value, old: Option<&Value>) {
    let Some(old) = old else {
        service["status"] = json!({"loadBalancer": {}});
        return;
    };
    let kinds = (service.text(&["spec", "type"]).to_owned(), old.text(&["spec", "type"]));
    if kinds.0 == "ExternalName" || kinds.1 == "ExternalName" {
        return;
    }
    if service.text(&["spec", "clusterIP"]).is_empty() && old.at(&["spec", "clusterIP"]).is_some() {
        service["spec"]["clusterIP"] = old["spec"]["clusterIP"].clone();
        service["spec"]["clusterIPs"] = old["spec"]["clusterIPs"].clone();
    }
    if matches!(kinds.0.as_str(), "NodePort" | "LoadBalancer") {
        let known = old.list(&["spec", "ports"]).to_vec();
        for port in
            service["spec"].items_mut("ports").filter(|p| p.int(&["nodePort"]).unwrap_or(0) == 0)
        {
            let same = known
                .iter()
                .find(|k| k["port"] == port["port"] && k["protocol"] == port["protocol"]);
            if let Some(number) = same.and_then(|k| k.at(&["nodePort"])) {
                port["nodePort"] = number.clone();
            }
        }
    } else {
        for port in service["spec"].items_mut("ports") {
            port.drop_field("nodePort");
        }
        service["spec"].drop_field("externalTrafficPolicy");
    }
}

fn validate(service: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let Some(spec) = service.at(&["spec"]) else {
        errors.push(FieldError::required("spec", ""));
        return;
    };
    one_of(
        spec,
        "type",
        &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
        "spec.type",
        errors,
    );
    one_of(spec, "sessionAffinity", &["ClientIP", "None"], "spec.sessionAffinity", errors);
    let kind = spec.text(&["type"]);
    let headless = spec["clusterIP"] == "None";
    let ports = spec.list(&["ports"]);
    if kind == "ExternalName" {
        if spec.text(&["externalName"]).is_empty() {
            errors.push(FieldError::required("spec.externalName", ""));
        }
    } else if ports.is_empty() && !headless {
        errors.push(FieldError::required("spec.ports", ""));
    }
    let mut names = std::collections::HashSet::new();
    let mut numbers = std::collections::HashSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{index}]");
        let name = port.text(&["name"]);
        if name.is_empty() {
            if ports.len() > 1 {
                errors.push(FieldError::required(format!("{path}.name"), ""));
            }
        } else if let Some(why) = is_dns_label(name) {
            errors.push(FieldError::invalid(format!("{path}.name"), name.into(), why));
        } else if !names.insert(name.to_owned()) {
            errors.push(FieldError::duplicate(format!("{path}.name"), name.into()));
        }
        let number = port.int(&["port"]).unwrap_or_default();
        for (field, value) in [("port", Some(number)), ("targetPort", port.int(&["targetPort"]))] {
            if value.is_some_and(|n| !(1..=65535).contains(&n)) {
                let why = "must be between 1 and 65535, inclusive";
                errors.push(FieldError::invalid(format!("{path}.{field}"), value.into(), why));
            }
        }
        one_of(port, "protocol", &["SCTP", "TCP", "UDP"], &format!("{path}.protocol"), errors);
        if !numbers.insert((number, port.text(&["protocol"]).to_owned())) {
            errors.push(FieldError::duplicate(path.clone(), port.clone()));
        }
        if port.int(&["nodePort"]).unwrap_or(0) != 0 && matches!(kind, "ClusterIP" | "ExternalName")
        {
            let why = format!("may not be used when `type` is '{kind}'");
            errors.push(FieldError::forbidden(format!("{path}.nodePort"), why));
        }
    }
    let address = spec.text(&["clusterIP"]);
    if !matches!(address, "" | "None") && address.parse::<std::net::IpAddr>().is_err() {
        let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        errors.push(FieldError::invalid("spec.clusterIPs[0]", address.into(), why));
    }
    if let Some(old) = old
        && kind != "ExternalName"
        && !old.text(&["spec", "clusterIP"]).is_empty()
        && old.at(&["spec", "clusterIP"]) != spec.at(&["clusterIP"])
    {
        errors.push(immutable("spec.clusterIP", spec.at(&["clusterIP"])));
    }
}

fn settle(
    admission: &Admission<'_>,
    service: &mut Value,
    old: Option<&Value>,
) -> Result<(), ApiError> {
    let addresses = &admission.api.addresses;
    let name = service.text(&["metadata", "name"]).to_owned();
    let fail = |error: FieldError| ApiError::invalid("", "Service", &name, vec![error]);
    let kind = service.text(&["spec", "type"]).to_owned();
    let kept = old.map(addresses_of).unwrap_or_default();
    let mut taken = Addresses::default();
    let give_back = |taken: &Addresses, error: FieldError| {
        addresses.release(taken);
        Err(fail(error))
    };
    if kind != "ExternalName" {
        match service.text(&["spec", "clusterIP"]).to_owned().as_str() {
            "None" => {}
            "" => {
                let Some(ip) = addresses.any_ip() else {
                    return give_back(
                        &taken,
                        FieldError::forbidden(
                            "spec.clusterIPs",
                            "the range of cluster IPs is full",
                        ),
                    );
                };
                taken.ip = Some(ip);
                service["spec"]["clusterIP"] = ip.to_string().into();
            }
            text => {
                if let Ok(ip) = text.parse()
                    && kept.ip != Some(ip)
                {
                    if let Err(why) = addresses.this_ip(ip) {
                        return give_back(
                            &taken,
                            FieldError::invalid("spec.clusterIPs", json!([text]), why),
                        );
                    }
                    taken.ip = Some(ip);
                }
            }
        }
        service["spec"]["clusterIPs"] = json!([service["spec"]["clusterIP"]]);
    }
    if kind == "NodePort"
        || (kind == "LoadBalancer" && service["spec"]["allocateLoadBalancerNodePorts"] != false)
    {
        for (index, port) in service["spec"].items_mut("ports").enumerate() {
            let path = format!("spec.ports[{index}].nodePort");
            match port.int(&["nodePort"]).unwrap_or(0) {
                0 => match addresses.any_port() {
                    Some(number) => {
                        taken.ports.push(number);
                        port["nodePort"] = number.into();
                    }
                    None => {
                        return give_back(
                            &taken,
                            FieldError::forbidden(path, "the range of node ports is full"),
                        );
                    }
                },
                wanted => {
                    let number = u16::try_from(wanted).unwrap_or(0);
                    if kept.ports.contains(&number) || taken.ports.contains(&number) {
                        continue;
                    }
                    if let Err(why) = addresses.this_port(number) {
                        return give_back(&taken, FieldError::invalid(path, wanted.into(), why));
                    }
                    taken.ports.push(number);
                }
            }
        }
    }
    if admission.dry_run {
        addresses.release(&taken);
    }
    Ok(())
}

fn released(api: &Api, gone: &Value, kept: Option<&Value>) {
    let kept = kept.map(addresses_of).unwrap_or_default();
    let mut gone = addresses_of(gone);
    gone.ip = gone.ip.filter(|ip| kept.ip != Some(*ip));
    gone.ports.retain(|port| !kept.ports.contains(port));
    api.addresses.release(&gone);
}
