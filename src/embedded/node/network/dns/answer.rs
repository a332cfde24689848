//! Answers from the index; pure.

use std::net::Ipv4Addr;

use hickory_proto::op::{Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, PTR, SOA, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::name::{Asked, DOMAIN, dashed, parse};
use crate::node::network::index::{Index, Key, Protocol};
use crate::node::network::object::Service;
use crate::node::network::settings::Settings;

/// Seconds for which a client may keep an answer: short, because endpoints move.
const TTL: u32 = 5;

/// What to do with a query.
#[derive(Debug)]
pub(super) enum Answer {
    /// Send this.
    Here(Message),
    /// Ask the host's resolvers.
    Elsewhere,
}

/// Records found for a name, or `None` when there is no such name.
type Found = Option<Vec<RData>>;

/// Answer `query`; `None` when it is not one.
pub(super) fn answer(settings: &Settings, index: &Index, query: &Message) -> Option<Answer> {
    if query.metadata.message_type != MessageType::Query {
        return None;
    }
    if query.metadata.op_code != OpCode::Query {
        return Some(Answer::Here(failure(query, ResponseCode::NotImp)));
    }
    let [question] = &query.queries[..] else {
        return Some(Answer::Here(failure(query, ResponseCode::FormErr)));
    };
    let name = question.name().to_ascii().to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    let found = match lookup(settings, index, name) {
        Lookup::Elsewhere if settings.offline => {
            return Some(Answer::Here(failure(query, ResponseCode::Refused)));
        }
        Lookup::Elsewhere => return Some(Answer::Elsewhere),
        Lookup::Here(found) => found,
    };
    Some(Answer::Here(respond(query, question, found)))
}

/// A response without records.
pub(super) fn failure(query: &Message, code: ResponseCode) -> Message {
    let mut response =
        Message::new(query.metadata.id, MessageType::Response, query.metadata.op_code);
    response.metadata = Metadata::response_from_request(&query.metadata);
    response.metadata.response_code = code;
    response.metadata.recursion_available = true;
    response.add_queries(query.queries.iter().cloned());
    response
}

enum Lookup {
    Here(Found),
    Elsewhere,
}

fn lookup(settings: &Settings, index: &Index, name: &str) -> Lookup {
    let here = |addresses: Found| Lookup::Here(addresses);
    match parse(name) {
        Asked::Outside => Lookup::Elsewhere,
        Asked::Inner => here(Some(Vec::new())),
        Asked::Nothing => here(None),
        Asked::Localhost => here(Some(vec![address(Ipv4Addr::LOCALHOST)])),
        Asked::Namespace(namespace) => here(index.has_namespace(namespace).then(Vec::new)),
        Asked::Service(name, namespace) => here(service(index, &Key::new(namespace, name))),
        Asked::Endpoint(name, service, namespace) => {
            here(endpoint(index, name, &Key::new(namespace, service)))
        }
        Asked::Port(port, protocol, service, namespace) => {
            here(ports(index, port, protocol, &Key::new(namespace, service)))
        }
        Asked::Pod(ip) => here(settings.pods.contains(ip).then(|| vec![address(ip)])),
        Asked::Reverse(ip) => {
            if settings.pods.contains(ip) || settings.services.contains(ip) {
                here(reverse(index, ip))
            } else {
                Lookup::Elsewhere
            }
        }
    }
}

/// All records a Service's own name has; the question picks by type.
fn service(index: &Index, key: &Key) -> Found {
    let service = index.service(key)?;
    if let Some(name) = &service.external_name {
        return Some(vec![RData::CNAME(CNAME(fully(name)?))]);
    }
    let mut records: Vec<RData> = match service.cluster_ip {
        Some(ip) => vec![address(ip)],
        None => ready(index, key).map(|(ip, _)| address(ip)).collect(),
    };
    for port in &service.ports {
        records.extend(targets(index, key, service, port));
    }
    Some(records)
}

fn endpoint(index: &Index, name: &str, key: &Key) -> Found {
    index.service(key).filter(|service| service.is_headless())?;
    let is_meant = |(ip, hostname): &(Ipv4Addr, Option<&str>)| match hostname {
        Some(hostname) => *hostname == name,
        None => dashed(name) == Some(*ip),
    };
    let records: Vec<_> = ready(index, key).filter(is_meant).map(|(ip, _)| address(ip)).collect();
    (!records.is_empty()).then_some(records)
}

fn ports(index: &Index, name: &str, protocol: &str, key: &Key) -> Found {
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return None,
    };
    let service = index.service(key)?;
    let port =
        service.ports.iter().find(|port| *port.name == *name && port.protocol == protocol)?;
    Some(targets(index, key, service, port))
}

/// SRV records of one port: the Service, or each endpoint of a headless one.
fn targets(
    index: &Index,
    key: &Key,
    service: &Service,
    port: &crate::node::network::object::Port,
) -> Vec<RData> {
    let srv = |number, target: Option<Name>| Some(RData::SRV(SRV::new(0, 100, number, target?)));
    let own = format!("{}.{}.svc.{DOMAIN}", key.name, key.namespace);
    if !service.is_headless() {
        return srv(port.port, fully(&own)).into_iter().collect();
    }
    let of_slice = index.endpoints(key).filter(|(_, endpoint)| endpoint.ready);
    of_slice
        .filter_map(|(slice, endpoint)| {
            let label = match &endpoint.hostname {
                Some(hostname) => hostname.to_string(),
                None => endpoint.address.to_string().replace('.', "-"),
            };
            srv(slice.port(port)?, fully(&format!("{label}.{own}")))
        })
        .collect()
}

fn reverse(index: &Index, ip: Ipv4Addr) -> Found {
    let own = |key: &Key| format!("{}.{}.svc.{DOMAIN}", key.name, key.namespace);
    let name = match index.owner(ip) {
        Some((key, _)) => own(key),
        None => {
            let (key, label) = index.headless_name(ip)?;
            format!("{label}.{}", own(key))
        }
    };
    Some(vec![RData::PTR(PTR(fully(&name)?))])
}

fn ready<'a>(
    index: &'a Index,
    key: &Key,
) -> impl Iterator<Item = (Ipv4Addr, Option<&'a str>)> + use<'a> {
    let ready = |(_, endpoint): &(_, &crate::node::network::object::Endpoint)| endpoint.ready;
    let parts = index.endpoints(key).filter(ready);
    parts
        .map(|(_, endpoint)| (endpoint.address, endpoint.hostname.as_deref()))
        .collect::<Vec<_>>()
        .into_iter()
}

fn address(ip: Ipv4Addr) -> RData {
    RData::A(A(ip))
}

fn fully(name: &str) -> Option<Name> {
    let mut name = Name::from_ascii(name).ok()?;
    name.set_fqdn(true);
    Some(name)
}

/// Put what was found into a response: records of the type asked for, or the
/// zone's SOA so that the absence may be remembered for a moment.
fn respond(query: &Message, question: &Query, found: Found) -> Message {
    let code = if found.is_some() { ResponseCode::NoError } else { ResponseCode::NXDomain };
    let mut response = failure(query, code);
    response.metadata.authoritative = true;
    for data in found.into_iter().flatten() {
        let is_alias = data.record_type() == RecordType::CNAME;
        if is_alias || [data.record_type(), RecordType::ANY].contains(&question.query_type()) {
            response.add_answer(Record::from_rdata(question.name().clone(), TTL, data));
        }
    }
    if response.answers.is_empty()
        && let (Some(zone), Some(ns), Some(mail)) = (
            fully(DOMAIN),
            fully(&format!("ns.dns.{DOMAIN}")),
            fully(&format!("hostmaster.{DOMAIN}")),
        )
    {
        let soa = SOA::new(ns, mail, 1, 7200, 1800, 86_400, TTL);
        response.add_authority(Record::from_rdata(zone, TTL, RData::SOA(soa)));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::network::samples;

    fn ask(name: &str, kind: RecordType) -> Option<Message> {
        let mut query = Message::new(7, MessageType::Query, OpCode::Query);
        query.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        match answer(&samples::settings(), &samples::index(), &query).unwrap() {
            // Through the wire format, as a client sees it.
            Answer::Here(message) => Some(Message::from_vec(&message.to_vec().unwrap()).unwrap()),
            Answer::Elsewhere => None,
        }
    }

    /// The response code and the answers' data.
    fn told(name: &str, kind: RecordType) -> (ResponseCode, Vec<String>) {
        let message = ask(name, kind).unwrap();
        assert_eq!(message.metadata.id, 7);
        if message.answers.is_empty() {
            assert_eq!(message.authorities.len(), 1, "negative answers carry the SOA");
        }
        let answers = message.answers.iter().map(|record| record.data.to_string()).collect();
        (message.metadata.response_code, answers)
    }

    fn found(name: &str, kind: RecordType) -> Vec<String> {
        let (code, answers) = told(name, kind);
        assert_eq!(code, ResponseCode::NoError, "{name}");
        answers
    }

    #[test]
    fn a_service_has_its_virtual_address() {
        assert_eq!(found("web.shop.svc.cluster.local.", RecordType::A), ["10.96.0.20"]);
        assert_eq!(found("WEB.Shop.svc.cluster.local.", RecordType::A), ["10.96.0.20"]);
        assert!(found("web.shop.svc.cluster.local.", RecordType::AAAA).is_empty());
        assert!(found("shop.svc.cluster.local.", RecordType::A).is_empty());
    }

    #[test]
    fn a_headless_service_has_the_addresses_of_its_ready_endpoints() {
        let all = found("db.shop.svc.cluster.local.", RecordType::A);
        assert_eq!(all, ["10.244.0.6", "10.244.0.7"]);
        assert_eq!(found("db-0.db.shop.svc.cluster.local.", RecordType::A), ["10.244.0.6"]);
        assert_eq!(found("10-244-0-7.db.shop.svc.cluster.local.", RecordType::A), ["10.244.0.7"]);
        assert_eq!(
            told("db-1.db.shop.svc.cluster.local.", RecordType::A).0,
            ResponseCode::NXDomain
        );
    }

    #[test]
    fn ports_are_found_by_name() {
        let web = found("_http._tcp.web.shop.svc.cluster.local.", RecordType::SRV);
        assert_eq!(web, ["0 100 80 web.shop.svc.cluster.local."]);
        let db = found("_sql._tcp.db.shop.svc.cluster.local.", RecordType::SRV);
        assert_eq!(db[0], "0 100 5432 db-0.db.shop.svc.cluster.local.");
        assert_eq!(db[1], "0 100 5432 10-244-0-7.db.shop.svc.cluster.local.");
        let none = told("_http._udp.web.shop.svc.cluster.local.", RecordType::SRV);
        assert_eq!(none.0, ResponseCode::NXDomain);
    }

    #[test]
    fn other_names_are_asked_elsewhere_or_refused_offline() {
        let mut query = Message::new(7, MessageType::Query, OpCode::Query);
        let name = Name::from_ascii("example.com.").unwrap();
        query.add_query(Query::query(name, RecordType::A));
        let of = |offline| {
            let settings = Settings { offline, ..samples::settings() };
            answer(&settings, &samples::index(), &query).unwrap()
        };
        assert!(matches!(of(false), Answer::Elsewhere));
        let Answer::Here(refusal) = of(true) else { panic!("it leaves the machine") };
        assert_eq!(refusal.metadata.response_code, ResponseCode::Refused);
    }

    #[test]
    fn names_that_do_not_exist_are_said_not_to() {
        for name in ["nope.shop.svc", "web.nope.svc", "nope.svc", "web.shop.svc.shop.svc"] {
            let (code, _) = told(&format!("{name}.cluster.local."), RecordType::A);
            assert_eq!(code, ResponseCode::NXDomain, "{name}");
        }
    }

    #[test]
    fn addresses_lead_back_to_names() {
        let web = found("20.0.96.10.in-addr.arpa.", RecordType::PTR);
        assert_eq!(web, ["web.shop.svc.cluster.local."]);
        let db = found("6.0.244.10.in-addr.arpa.", RecordType::PTR);
        assert_eq!(db, ["db-0.db.shop.svc.cluster.local."]);
        let nobody = told("99.0.96.10.in-addr.arpa.", RecordType::PTR);
        assert_eq!(nobody.0, ResponseCode::NXDomain);
    }

    #[test]
    fn an_external_name_is_an_alias_and_the_world_is_elsewhere() {
        assert_eq!(found("out.shop.svc.cluster.local.", RecordType::A), ["example.org."]);
        assert_eq!(found("10-244-0-9.shop.pod.cluster.local.", RecordType::A), ["10.244.0.9"]);
        assert_eq!(found("api.openchoreo.localhost.", RecordType::A), ["127.0.0.1"]);
        assert!(ask("example.org.", RecordType::A).is_none());
        assert!(ask("4.3.2.1.in-addr.arpa.", RecordType::PTR).is_none());
    }

    #[test]
    fn a_response_is_not_a_query() {
        let message = Message::new(7, MessageType::Response, OpCode::Query);
        assert!(answer(&samples::settings(), &samples::index(), &message).is_none());
    }
}
