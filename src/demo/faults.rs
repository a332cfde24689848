//! The ways to break a service of the shop: what each changes, and what one sees then.
//!
//! Each is a change of the service's own settings, such as people make by mistake, or of its image. The names of the
//! variables are the services' own; they are checked against each other where both are known, in the command line.

use serde::Serialize;
use serde_json::{Value, json};

/// Where the shop's objects are.
pub const NAMESPACE: &str = "default";
/// The project whose services can be broken.
pub const PROJECT: &str = "shop";

/// Whose address is wrong where a service has one.
const UPSTREAMS: [(&str, &str); 4] = [
    ("web", "UPSTREAM_CATALOG"),
    ("cart", "UPSTREAM_CART_STORE"),
    ("checkout", "UPSTREAM_PRICES"),
    ("load", "UPSTREAM_WEB"),
];

/// All services of the shop, the one that only asks at the end.
pub const SERVICES: [&str; 11] = [
    "web",
    "catalog",
    "prices",
    "stock",
    "cart",
    "cart-store",
    "checkout",
    "payment",
    "shipping",
    "mail",
    "load",
];

/// Those that answer requests.
const SERVERS: &[&str] = SERVICES.split_at(SERVICES.len() - 1).0;

/// A way to break services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Its name.
    pub name: &'static str,
    /// What is done.
    pub change: &'static str,
    /// What one sees then.
    pub see: &'static str,
    /// The services it can be made in.
    pub services: &'static [&'static str],
}

/// Every fault.
pub const FAULTS: [Fault; 10] = [
    Fault {
        name: "bad-config",
        change: "a setting of the service becomes nonsense",
        see: "the service answers 500 and logs the bad value; checkout fails, or whatever else needs the service",
        services: &SERVICES,
    },
    Fault {
        name: "wrong-upstream",
        change: "the address of a service that it calls is one where nobody listens",
        see: "503; the service logs `cannot reach … connection refused`",
        services: &["web", "cart", "checkout", "load"],
    },
    Fault {
        name: "error-rate",
        change: "every third request fails",
        see: "a third of the answers of the service are 500",
        services: SERVERS,
    },
    Fault {
        name: "latency",
        change: "every answer takes one and a half seconds longer",
        see: "slow pages; in a trace, the span of the service is the long one",
        services: SERVERS,
    },
    Fault {
        name: "memory-leak",
        change: "the service keeps ten megabytes more each second",
        see: "within seconds its pod ends as OOMKilled, and again after each restart",
        services: &SERVICES,
    },
    Fault {
        name: "crash-loop",
        change: "the service ends with an error half a second after its start",
        see: "its pod restarts and restarts: CrashLoopBackOff; callers get 503",
        services: &SERVICES,
    },
    Fault {
        name: "full-queue",
        change: "nobody sends mails any more, and few may wait",
        see: "after two orders mail answers 503, `the queue is full`, and so does checkout",
        services: &["mail"],
    },
    Fault {
        name: "expired-certificate",
        change: "payment's certificate is of the past",
        see: "checkout answers 503 and logs `certificate expired`",
        services: &["payment"],
    },
    Fault {
        name: "bad-image",
        change: "a new release has an image that does not exist",
        see: "the new pod waits with ErrImagePull; the release binding is not ready, the old pod serves on",
        services: &SERVICES,
    },
    Fault {
        name: "missing-secret",
        change: "a setting refers to a secret that does not exist",
        see: "the release binding says RenderingFailed and names the secret; the old pod serves on",
        services: &SERVICES,
    },
];

/// A name that says nothing here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// There is no such service in the shop.
    #[error("there is no service {name:?} in the shop; there are: {known}")]
    Service {
        /// The name that was given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// There is no such fault, or not for this service.
    #[error(
        "{service} has no fault {name:?}; it has: {known}; `curtain demo faults` tells what they do"
    )]
    Fault {
        /// The name that was given.
        name: String,
        /// The service.
        service: String,
        /// The names there are for it.
        known: String,
    },
}

/// What a fault does to a service.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Entries of the container's variables.
    Variables(Vec<Value>),
    /// The workload's image.
    Image,
}

/// The fault called `name`, or the usual one of `service`.
///
/// # Errors
/// A service that does not exist, a fault that does not, or one that this service cannot have.
pub fn find(service: &str, name: Option<&str>) -> Result<Fault, Unknown> {
    if !SERVICES.contains(&service) {
        let known = SERVICES.join(", ");
        return Err(Unknown::Service { name: service.to_owned(), known });
    }
    let usual = match service {
        "mail" => "full-queue",
        "payment" => "expired-certificate",
        _ => "bad-config",
    };
    let name = name.unwrap_or(usual);
    let possible = FAULTS.into_iter().filter(|fault| fault.services.contains(&service));
    possible.clone().find(|fault| fault.name == name).ok_or_else(|| Unknown::Fault {
        name: name.to_owned(),
        service: service.to_owned(),
        known: possible.map(|fault| fault.name).collect::<Vec<_>>().join(", "),
    })
}

/// What the fault called `name` changes in `service`.
pub fn change(service: &str, name: &str) -> Change {
    let set = |key: &str, value: &str| json!({ "key": key, "value": value });
    let variables = match name {
        "bad-config" if service == "checkout" => vec![set("TAX_PERCENT", "nineteen")],
        "bad-config" => vec![set("REQUEST_TIMEOUT_MS", "soon")],
        "wrong-upstream" => {
            let upstream = UPSTREAMS.iter().find(|(known, _)| *known == service);
            upstream.map(|(_, variable)| set(variable, "127.0.0.1:9")).into_iter().collect()
        }
        "error-rate" => vec![set("FAULT_ERROR_EVERY", "3")],
        "latency" => vec![set("FAULT_LATENCY_MS", "1500")],
        "memory-leak" => vec![set("FAULT_LEAK_KB", "1024")],
        "crash-loop" => vec![set("FAULT_CRASH_AFTER_MS", "500")],
        "full-queue" => vec![set("MAIL_WORKERS", "0"), set("MAIL_QUEUE_SIZE", "2")],
        "expired-certificate" => vec![set("CERTIFICATE_DAYS", "-1")],
        "missing-secret" => vec![json!({
            "key": "SHOP_API_KEY",
            "valueFrom": { "secretKeyRef": { "name": "shop-api-key", "key": "key" } },
        })],
        _ => return Change::Image,
    };
    Change::Variables(variables)
}

/// Every variable that a fault gives a service a value by: service, variable and value.
pub fn variables() -> impl Iterator<Item = (&'static str, String, String)> {
    FAULTS
        .into_iter()
        .flat_map(|fault| fault.services.iter().map(move |service| (*service, fault)))
        .filter_map(|(service, fault)| match change(service, fault.name) {
            Change::Variables(variables) => Some((service, variables)),
            Change::Image => None,
        })
        .flat_map(|(service, variables)| {
            variables.into_iter().filter_map(move |one| {
                let value = one["value"].as_str()?.to_owned();
                Some((service, one["key"].as_str()?.to_owned(), value))
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_has_a_usual_fault_and_only_possible_ones() {
        for service in SERVICES {
            let usual = find(service, None).unwrap();
            assert!(usual.services.contains(&service));
        }
        assert_eq!(find("checkout", None).unwrap().name, "bad-config");
        let error = find("mail", Some("expired-certificate")).unwrap_err().to_string();
        assert!(error.contains("full-queue") && error.contains("mail"), "{error}");
        let error = find("bazaar", None).unwrap_err().to_string();
        assert!(error.contains("cart-store"), "{error}");
    }

    #[test]
    fn every_fault_changes_something_of_its_own() {
        for fault in FAULTS {
            for service in fault.services {
                match change(service, fault.name) {
                    Change::Variables(variables) => {
                        assert!(!variables.is_empty(), "{} of {service}", fault.name);
                    }
                    Change::Image => assert_eq!(fault.name, "bad-image"),
                }
            }
        }
    }
}
