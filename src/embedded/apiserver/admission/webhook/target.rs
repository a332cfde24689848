//! Where a hook listens.
//!
//! A server that is offline connects to nothing beyond its machine, and asks nobody for names: of a host that is neither
//! an address nor `localhost`, not even the question leaves.

use std::io;
use std::net::{IpAddr, SocketAddr};

use curtain_role::dns::{self, Resolver};
use http::Uri;
use serde_json::Value;
use tokio::net::TcpStream;

use super::super::super::Api;
use super::super::super::kinds::ValueExt;
use super::super::super::node::{OFFLINE, beyond_reach};
use super::super::super::store::Key;
use super::hook::Place;

/// A connection to the hook, and the name that its certificate must have.
pub(super) async fn connect(api: &Api, place: &Place) -> Result<(TcpStream, String), String> {
    let failed = |error: io::Error| error.to_string();
    match place {
        Place::Url(url) => {
            let uri: Uri = url.parse().map_err(|why| format!("{url:?} is no URL: {why}"))?;
            let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            let port = uri.port_u16().unwrap_or(443);
            let stream = named(api, &host, port).await.map_err(failed)?;
            Ok((stream, host))
        }
        Place::Service { namespace, name, port, .. } => {
            let key = Key::new(namespace, name);
            let service = api.store.latest(&"/services".into(), &key);
            let service = service.ok_or_else(|| format!("service {name:?} not found"))?.value();
            let host = format!("{name}.{namespace}.svc");
            if service.text(&["spec", "type"]) == "ExternalName" {
                let external = service.text(&["spec", "externalName"]);
                return Ok((named(api, external, *port).await.map_err(failed)?, host));
            }
            let slices = api.store.list(&"discovery.k8s.io/endpointslices".into(), Some(namespace));
            let slices = slices.objects.iter();
            let slices = slices.filter(|s| s.label("kubernetes.io/service-name") == Some(name));
            let slices: Vec<Value> = slices.map(|slice| slice.value()).collect();
            let addresses = endpoints(&service, *port, &slices)
                .ok_or_else(|| format!("no service port {port} found for service {name:?}"))?;
            let mut last = format!("no endpoints available for service {name:?}");
            for address in addresses {
                match reach(api, address).await {
                    Ok(stream) => return Ok((stream, host)),
                    Err(why) => last = undialled(address, &why),
                }
            }
            Err(last)
        }
    }
}

async fn named(api: &Api, host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::other(format!("{host} has no address"));
    let found = match dns::known(host) {
        Some(ip) => vec![ip],
        None if api.offline => {
            return Err(io::Error::other(format!(
                "lookup {host}: {OFFLINE}: no name is asked for but localhost; a Service leads to pods"
            )));
        }
        None => Resolver::default().lookup(host).await?,
    };
    for ip in found {
        match reach(api, (ip, port).into()).await {
            Ok(stream) => return Ok(stream),
            Err(why) => last = io::Error::other(undialled((ip, port).into(), &why)),
        }
    }
    Err(last)
}

/// Connects as a program of the node would; before there is one, as the server itself.
async fn reach(api: &Api, address: SocketAddr) -> io::Result<TcpStream> {
    match api.node() {
        Some(node) => node.dial(address).await,
        None if api.offline && !address.ip().to_canonical().is_loopback() => Err(beyond_reach()),
        None => TcpStream::connect(address).await,
    }
}

/// In the words of real servers, where the system has a word for it.
fn undialled(address: SocketAddr, why: &io::Error) -> String {
    let kind = why.kind();
    match why.raw_os_error() {
        Some(_) => format!("dial tcp {address}: connect: {kind}"),
        None => format!("dial tcp {address}: {why}"),
    }
}

/// Whoever is ready behind a port of the Service, which may not have it.
fn endpoints(service: &Value, port: u16, slices: &[Value]) -> Option<Vec<SocketAddr>> {
    let mut ports = service.list(&["spec", "ports"]).iter();
    let port = ports.find(|p| p.int(&["port"]) == Some(i64::from(port)))?;
    let mut found = Vec::new();
    for slice in slices {
        let mut ports = slice.list(&["ports"]).iter();
        let number = ports.find(|p| p.text(&["name"]) == port.text(&["name"]));
        let Some(number) = number.and_then(|p| u16::try_from(p.int(&["port"])?).ok()) else {
            continue;
        };
        let ready =
            |endpoint: &&Value| endpoint.at(&["conditions", "ready"]) != Some(&false.into());
        for endpoint in slice.list(&["endpoints"]).iter().filter(ready) {
            let addresses = endpoint.list(&["addresses"]).iter().filter_map(Value::as_str);
            let addresses = addresses.filter_map(|ip| ip.parse::<IpAddr>().ok());
            found.extend(addresses.map(|ip| SocketAddr::new(ip, number)));
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_port_of_a_service_leads_to_who_is_ready() {
        let service = json!({"spec": {"ports": [{"name": "web", "port": 80}, {"name": "hook", "port": 443}]}});
        let slice = json!({"ports": [{"name": "web", "port": 8080}, {"name": "hook", "port": 9443}],
            "endpoints": [{"addresses": ["10.0.0.1"]},
                {"addresses": ["10.0.0.2"], "conditions": {"ready": false}},
                {"addresses": ["10.0.0.3"], "conditions": {"ready": true}}]});
        let found = endpoints(&service, 443, &[slice]).unwrap();
        let expected = ["10.0.0.1:9443", "10.0.0.3:9443"].map(|a| a.parse().unwrap());
        assert_eq!(found, expected);
        assert_eq!(endpoints(&service, 444, &[]), None);
    }
}
