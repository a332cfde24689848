//! Header blocks: names and values with their lengths, deflated with a dictionary that both ends know.
//!
//! Each direction of a session is one deflate stream: a block can be read only after all that came before it.

use std::sync::LazyLock;

use bytes::{Buf as _, BufMut as _};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::frame::Malformed;

/// Largest inflated block: those of clients have 60 bytes.
const LARGEST: usize = 16 << 10;

/// Names and values that the dictionary begins with, each after its length in four bytes.
const WORDS: &str = "options|head|post|put|delete|trace|accept|accept-charset|accept-encoding|\
accept-language|accept-ranges|age|allow|authorization|cache-control|connection|content-base|content-encoding|\
content-language|content-length|content-location|content-md5|content-range|content-type|date|etag|expect|expires|\
from|host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|location|max-forwards|\
pragma|proxy-authenticate|proxy-authorization|range|referer|retry-after|server|te|trailer|transfer-encoding|upgrade|\
user-agent|vary|via|warning|www-authenticate|method|get|status|200 OK|version|HTTP/1.1|url|public|set-cookie|\
keep-alive|origin";

/// What the dictionary ends with.
const TEXT: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505\
203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden\
404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept \
Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,\
application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdch\
charset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

static DICTIONARY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut dictionary = Vec::new();
    for word in WORDS.split('|') {
        dictionary.put_u32(word.len() as u32);
        dictionary.put_slice(word.as_bytes());
    }
    dictionary.put_slice(TEXT.as_bytes());
    dictionary
});

/// The headers of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Headers(pub(super) Vec<(String, String)>);

impl Headers {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.0.iter();
        all.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Reads the blocks of one direction.
pub(super) struct Inflater(Decompress);

impl Inflater {
    pub(super) fn new() -> Self {
        Self(Decompress::new(true))
    }

    pub(super) fn read(&mut self, block: &[u8]) -> Result<Headers, Malformed> {
        let plain = self.inflate(block)?;
        parse(&plain).ok_or(Malformed::Headers("their lengths do not add up"))
    }

    fn inflate(&mut self, mut block: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut plain = Vec::new();
        let mut buffer = [0; 1024];
        loop {
            let before = (self.0.total_in(), self.0.total_out());
            let done = self.0.decompress(block, &mut buffer, FlushDecompress::Sync);
            let read = (self.0.total_in() - before.0) as usize;
            let written = (self.0.total_out() - before.1) as usize;
            block = block.get(read..).unwrap_or_default();
            plain.extend_from_slice(&buffer[..written]);
            if plain.len() > LARGEST {
                return Err(Malformed::Headers("they are too large"));
            }
            match done {
                Ok(Status::StreamEnd) => return Err(Malformed::Headers("no more can follow")),
                Ok(Status::Ok | Status::BufError) if written == buffer.len() => {}
                Ok(Status::Ok | Status::BufError) if block.is_empty() => return Ok(plain),
                Ok(_) if read == 0 && written == 0 => {
                    return Err(Malformed::Headers("their end cannot be read"));
                }
                Ok(_) => {}
                Err(error) if error.needs_dictionary().is_some() => {
                    let known = self.0.set_dictionary(&DICTIONARY);
                    known.map_err(|_| Malformed::Headers("they need another dictionary"))?;
                }
                Err(_) => return Err(Malformed::Headers("they are not deflated")),
            }
        }
    }
}

fn parse(mut plain: &[u8]) -> Option<Headers> {
    let count = plain.try_get_u32().ok()?;
    let mut headers = Vec::new();
    let mut text = || {
        let length = plain.try_get_u32().ok()? as usize;
        let (text, rest) = plain.split_at_checked(length)?;
        plain = rest;
        Some(String::from_utf8_lossy(text).into_owned())
    };
    for _ in 0..count {
        headers.push((text()?, text()?));
    }
    Some(Headers(headers))
}

/// Writes the blocks of one direction.
pub(super) struct Deflater(Compress);

impl Deflater {
    pub(super) fn new() -> Self {
        let mut compress = Compress::new(Compression::fast(), true);
        // Refused only by a stream that has begun already.
        let _ = compress.set_dictionary(&DICTIONARY);
        Self(compress)
    }

    pub(super) fn write(&mut self, headers: &Headers) -> Vec<u8> {
        let mut plain = Vec::new();
        plain.put_u32(headers.0.len() as u32);
        for text in headers.0.iter().flat_map(|(name, value)| [name, value]) {
            plain.put_u32(text.len() as u32);
            plain.put_slice(text.as_bytes());
        }
        // Deflated text that does not shrink grows by a few bytes; the flush adds some, too.
        let mut block = Vec::with_capacity(plain.len() + 256);
        let _ = self.0.compress_vec(&plain, &mut block, FlushCompress::Sync);
        block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Headers(pairs.iter().map(own).collect())
    }

    #[test]
    fn the_dictionary_is_everybodys() {
        let mut sums = (1_u32, 0_u32);
        for byte in DICTIONARY.iter() {
            sums.0 = (sums.0 + u32::from(*byte)) % 65521;
            sums.1 = (sums.1 + sums.0) % 65521;
        }
        assert_eq!((DICTIONARY.len(), sums.1 << 16 | sums.0), (1423, 0xe3c6_a7c2));
    }

    #[test]
    fn blocks_of_one_direction_build_on_each_other() {
        let (mut deflater, mut inflater) = (Deflater::new(), Inflater::new());
        let long = "x".repeat(4000);
        let all = [
            headers(&[("streamtype", "error"), ("port", "80"), ("requestid", "0")]),
            Headers::default(),
            headers(&[("streamtype", "data"), ("port", "80"), ("long", &long)]),
        ];
        let blocks: Vec<Vec<u8>> = all.iter().map(|one| deflater.write(one)).collect();
        for (block, expected) in blocks.iter().zip(&all) {
            assert_eq!(inflater.read(block).unwrap(), *expected);
        }
        assert!(Inflater::new().read(&blocks[2]).is_err(), "not without those before");
    }

    #[test]
    fn a_small_block_cannot_fill_the_memory() {
        let bomb = headers(&[("a", &"x".repeat(10 << 20))]);
        let mut plain = Vec::new();
        plain.put_u32(1);
        for text in [&bomb.0[0].0, &bomb.0[0].1] {
            plain.put_u32(text.len() as u32);
            plain.put_slice(text.as_bytes());
        }
        let mut block = Vec::with_capacity(1 << 20);
        let mut compress = Compress::new(Compression::best(), true);
        compress.compress_vec(&plain, &mut block, FlushCompress::Sync).unwrap();
        let error = Inflater::new().read(&block).unwrap_err();
        assert_eq!(error, Malformed::Headers("they are too large"));
    }

    #[test]
    fn lengths_that_do_not_add_up_are_refused() {
        let wrong: [&[u8]; 5] = [
            b"",
            b"\0\0\0",
            b"\0\0\0\x01",
            b"\0\0\0\x01\0\0\0\x09port",
            b"\xff\xff\xff\xff\0\0\0\0",
        ];
        for plain in wrong {
            assert_eq!(parse(plain), None, "{plain:?}");
        }
        assert_eq!(parse(b"\0\0\0\x01\0\0\0\x01a\0\0\0\x01b").unwrap().get("A"), Some("b"));
    }
}
