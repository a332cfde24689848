//! Name lookup without the C library.

use std::{
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use hickory_resolver::TokioResolver;
use hyper_util::client::legacy::connect::dns::Name;
use tower::Service;

/// Looks names up as `/etc/resolv.conf` says, with hickory.
///
/// `localhost` and every name below it are 127.0.0.1 without asking anybody (RFC 6761 §6.3): the front doors of an
/// instance have such names, and few resolvers know the ones below. Clones share one resolver and its small cache.
#[derive(Debug, Clone, Default)]
pub struct Resolver(Arc<OnceLock<TokioResolver>>);

impl Resolver {
    /// The addresses of `host`, an address literal or a name. The error says which name and why.
    pub async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        if let Some(known) = known(host) {
            return Ok(vec![known]);
        }
        let found = self.resolver()?.lookup_ip(host).await.map_err(|source| {
            io::Error::new(io::ErrorKind::NotFound, format!("cannot resolve {host}: {source}"))
        })?;
        Ok(found.iter().collect())
    }

    fn resolver(&self) -> io::Result<&TokioResolver> {
        if let Some(resolver) = self.0.get() {
            return Ok(resolver);
        }
        let mut builder = TokioResolver::builder_tokio().map_err(|source| {
            io::Error::other(format!("cannot read /etc/resolv.conf: {source}"))
        })?;
        let options = builder.options_mut();
        options.timeout = Duration::from_secs(2);
        options.attempts = 2;
        options.cache_size = 64;
        // A Service may appear the moment after it was asked for: never remember that a name was missing.
        options.negative_max_ttl = Some(Duration::ZERO);
        let resolver = builder
            .build()
            .map_err(|source| io::Error::other(format!("cannot set up name lookup: {source}")))?;
        Ok(self.0.get_or_init(|| resolver))
    }
}

/// The address of a host that nobody is asked for: a literal, `localhost` and what is below it.
pub fn known(host: &str) -> Option<IpAddr> {
    let literal = host.trim_matches(['[', ']']).parse().ok();
    literal.or_else(|| is_localhost(host).then_some(Ipv4Addr::LOCALHOST.into()))
}

fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = self.clone();
        Box::pin(async move {
            let found = resolver.lookup(name.as_str()).await?;
            // The connector fills the port in.
            Ok(found.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect::<Vec<_>>().into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn localhost_and_below_need_nobody() {
        let resolver = Resolver::default();
        for name in ["localhost", "api.openchoreo.localhost", "LOCALHOST."] {
            let found = resolver.lookup(name).await.expect(name);
            assert_eq!(found, [IpAddr::from([127, 0, 0, 1])], "{name}");
        }
    }

    #[tokio::test]
    async fn literals_are_taken_as_they_are() {
        let resolver = Resolver::default();
        assert_eq!(resolver.lookup("10.96.0.1").await.expect("v4"), [IpAddr::from([10, 96, 0, 1])]);
        assert!(resolver.lookup("[::1]").await.expect("v6")[0].is_loopback());
    }
}
