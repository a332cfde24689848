//! Images of the Docker Engine on this machine: what somebody has just built, for a cluster with a store of its own.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use futures::{StreamExt, stream::BoxStream};
use tokio::runtime::Handle;

use crate::{
    Error, Surroundings,
    kind::{Engine, find, optional},
};

/// An image that the machine's Engine has.
#[derive(Clone, Debug)]
pub struct LocalImage {
    engine: Engine,
    reference: String,
    /// Its digest, as the Engine tells it.
    pub id: String,
    /// The TCP ports that it says it listens on, lowest first.
    pub ports: Vec<u16>,
}

/// The image `reference` of the machine's Engine; `None` where there is no Engine, or none that answers, or where it
/// has no such image.
///
/// # Errors
/// An Engine that is there and may not be asked, or that fails.
pub async fn local_image(
    around: &Surroundings,
    reference: &str,
) -> Result<Option<LocalImage>, Error> {
    let engine = match find(around).await {
        Ok((engine, _)) => engine,
        Err(Error::NoEngine { .. } | Error::NoEngineAnywhere) => return Ok(None),
        Err(error) => return Err(error),
    };
    let answer = async { optional(engine.api().inspect_image(reference).await) };
    let found = engine.call(format!("look for the image {reference}"), answer).await?;
    let Some(found) = found else { return Ok(None) };
    let id = found.id.unwrap_or_default();
    let exposed = found.config.and_then(|config| config.exposed_ports).unwrap_or_default();
    let mut ports: Vec<u16> = exposed.iter().filter_map(|port| tcp(port)).collect();
    ports.sort_unstable();
    Ok(Some(LocalImage { engine, reference: reference.to_owned(), id, ports }))
}

/// The number of `8080/tcp`.
fn tcp(exposed: &str) -> Option<u16> {
    match exposed.split_once('/') {
        Some((number, "tcp")) => number.parse().ok(),
        Some(_) => None,
        None => exposed.parse().ok(),
    }
}

impl LocalImage {
    /// The image as `docker save` writes it. To be read on a thread that may block.
    pub fn archive(&self) -> Box<dyn Read + Send> {
        let (engine, reference) = (self.engine.clone(), self.reference.clone());
        let chunks = self.engine.api().export_image(&self.reference).map(move |chunk| {
            chunk.map_err(|error| {
                io::Error::other(engine.error(format!("save the image {reference}"), error))
            })
        });
        Box::new(Chunks { runtime: Handle::current(), chunks: chunks.boxed(), rest: Bytes::new() })
    }
}

/// A stream, read by a thread that waits for it.
struct Chunks {
    runtime: Handle,
    chunks: BoxStream<'static, io::Result<Bytes>>,
    rest: Bytes,
}

impl Read for Chunks {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.runtime.block_on(self.chunks.next()) {
                Some(chunk) => self.rest = chunk?,
                None => return Ok(0),
            }
        }
        let length = self.rest.len().min(into.len());
        self.rest.copy_to_slice(&mut into[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ports_of_tcp_count() {
        let ports: Vec<_> = ["8080/tcp", "53/udp", "9090", "x/tcp", "70000/tcp"].map(tcp).into();
        assert_eq!(ports, [Some(8080), None, Some(9090), None, None]);
    }

    #[test]
    fn chunks_are_read_as_one_until_an_error() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let chunks = ["ab", "", "cde"].map(|text| Ok(Bytes::from_static(text.as_bytes())));
        let broken = [Err(io::Error::other("gone"))];
        let chunks = futures::stream::iter(chunks.into_iter().chain(broken)).boxed();
        let mut reader = Chunks { runtime: runtime.handle().clone(), chunks, rest: Bytes::new() };
        let mut text = Vec::new();
        let error = reader.read_to_end(&mut text).unwrap_err();
        assert_eq!((text.as_slice(), error.to_string().as_str()), (b"abcde".as_slice(), "gone"));
    }
}
