//! Decoding header blocks of HTTP/2 (RFC 7541), as far as somebody who only reads along needs to.
//!
//! One decoder per direction: the table that both ends keep is kept here a third time. Its size is whatever the
//! encoder says in the blocks themselves, up to [`MOST`]; an encoder that wants more is not followed.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::Lost;
use super::huffman;

/// The size that every connection begins with.
const INITIAL: usize = 4096;
/// Larger tables are not followed.
const MOST: usize = 16 * 1024;
/// What an entry counts besides its text.
const OVERHEAD: usize = 32;

/// An entry of the table.
type Field = (Box<[u8]>, Box<[u8]>);
/// A name and value as they are in a block.
type Literal<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// The state of one direction.
pub(super) struct Decoder {
    /// The newest first.
    table: VecDeque<Field>,
    size: usize,
    limit: usize,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { table: VecDeque::new(), size: 0, limit: INITIAL }
    }

    /// Calls `field` for each name and value of a whole block.
    ///
    /// # Errors
    /// The block is not valid, and what follows cannot be understood any more.
    pub(super) fn decode(
        &mut self,
        mut block: &[u8],
        mut field: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), Lost> {
        let block = &mut block;
        while let Some(first) = block.first().copied() {
            if first & 0x80 != 0 {
                let index = number(block, 7)?;
                let (name, value) = self.entry(index)?;
                field(name, value);
            } else if first & 0x40 != 0 {
                let (name, value) = self.literal(block, 6)?;
                field(&name, &value);
                let entry = (name.into_owned().into(), value.into_owned().into());
                self.add(entry);
            } else if first & 0x20 != 0 {
                let limit = number(block, 5)?;
                if limit > MOST {
                    return Err(Lost);
                }
                self.limit = limit;
                self.shrink(limit);
            } else {
                let (name, value) = self.literal(block, 4)?;
                field(&name, &value);
            }
        }
        Ok(())
    }

    /// A field that is written out; its name may be one of the table's.
    fn literal<'a>(&self, block: &mut &'a [u8], bits: u8) -> Result<Literal<'a>, Lost> {
        let name = match number(block, bits)? {
            0 => text(block)?,
            index => Cow::Owned(self.entry(index)?.0.to_vec()),
        };
        Ok((name, text(block)?))
    }

    fn entry(&self, index: usize) -> Result<(&[u8], &[u8]), Lost> {
        let at = index.checked_sub(1).ok_or(Lost)?;
        if let Some((name, value)) = STATIC.get(at) {
            return Ok((name.as_bytes(), value.as_bytes()));
        }
        let (name, value) = self.table.get(at - STATIC.len()).ok_or(Lost)?;
        Ok((name, value))
    }

    fn add(&mut self, entry: Field) {
        let size = entry.0.len() + entry.1.len() + OVERHEAD;
        self.shrink(self.limit.saturating_sub(size));
        // One that does not fit empties the table, and is not added.
        if size <= self.limit {
            self.size += size;
            self.table.push_front(entry);
        }
    }

    fn shrink(&mut self, limit: usize) {
        while self.size > limit {
            let Some((name, value)) = self.table.pop_back() else { return };
            self.size -= name.len() + value.len() + OVERHEAD;
        }
    }
}

/// An integer whose first `bits` are in the first byte.
fn number(block: &mut &[u8], bits: u8) -> Result<usize, Lost> {
    let most = (1_usize << bits) - 1;
    let (first, mut rest) = block.split_first().ok_or(Lost)?;
    let mut value = usize::from(*first) & most;
    if value == most {
        for shift in (0..28).step_by(7) {
            let (byte, after) = rest.split_first().ok_or(Lost)?;
            rest = after;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                *block = rest;
                return Ok(value);
            }
        }
        return Err(Lost);
    }
    *block = rest;
    Ok(value)
}

fn text<'a>(block: &mut &'a [u8]) -> Result<Cow<'a, [u8]>, Lost> {
    let coded = block.first().ok_or(Lost)? & 0x80 != 0;
    let length = number(block, 7)?;
    let (text, rest) = block.split_at_checked(length).ok_or(Lost)?;
    *block = rest;
    match coded {
        true => huffman::decode(text).map(Cow::Owned).ok_or(Lost),
        false => Ok(Cow::Borrowed(text)),
    }
}

/// The table that everybody has (appendix A).
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    fn fields(decoder: &mut Decoder, hex: &str) -> String {
        let mut all = Vec::new();
        let add = |name: &[u8], value: &[u8]| {
            all.push(format!(
                "{}={}",
                String::from_utf8_lossy(name),
                String::from_utf8_lossy(value)
            ));
        };
        decoder.decode(&bytes(hex), add).unwrap();
        all.join(" ")
    }

    fn table(decoder: &Decoder) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        decoder
            .table
            .iter()
            .map(|(name, value)| format!("{}={}", text(name), text(value)))
            .collect()
    }

    #[test]
    fn integers_of_the_standard() {
        assert_eq!(number(&mut &[0b1110_1010][..], 5).unwrap(), 10);
        let mut block = &[0b0001_1111, 0b1001_1010, 0b0000_1010, 7][..];
        assert_eq!(number(&mut block, 5).unwrap(), 1337);
        assert_eq!(block, [7]);
        assert!(number(&mut &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..], 5).is_err());
        assert!(number(&mut &[0xff][..], 5).is_err());
    }

    /// RFC 7541, C.2.
    #[test]
    fn single_fields_of_the_standard() {
        let mut decoder = Decoder::new();
        let custom = "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
        assert_eq!(fields(&mut decoder, custom), "custom-key=custom-header");
        assert_eq!((table(&decoder).len(), decoder.size), (1, 55));
        let mut decoder = Decoder::new();
        let plain = "040c 2f73 616d 706c 652f 7061 7468";
        assert_eq!(fields(&mut decoder, plain), ":path=/sample/path");
        let secret = "1008 7061 7373 776f 7264 0673 6563 7265 74";
        assert_eq!(fields(&mut decoder, secret), "password=secret");
        assert_eq!(fields(&mut decoder, "82"), ":method=GET");
        assert!(table(&decoder).is_empty());
    }

    /// RFC 7541, C.3 and C.4: the same requests without and with Huffman coding.
    #[test]
    fn requests_of_the_standard() {
        let plain = [
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "8286 84be 5808 6e6f 2d63 6163 6865",
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        ];
        let coded = [
            "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
            "8286 84be 5886 a8eb 1064 9cbf",
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        ];
        for blocks in [plain, coded] {
            let mut decoder = Decoder::new();
            let start = ":method=GET :scheme=http :path=/ :authority=www.example.com";
            assert_eq!(fields(&mut decoder, blocks[0]), start);
            assert_eq!(fields(&mut decoder, blocks[1]), format!("{start} cache-control=no-cache"));
            assert_eq!(
                fields(&mut decoder, blocks[2]),
                ":method=GET :scheme=https :path=/index.html :authority=www.example.com \
                 custom-key=custom-value"
            );
            let after =
                ["custom-key=custom-value", "cache-control=no-cache", ":authority=www.example.com"];
            assert_eq!((table(&decoder), decoder.size), (after.map(String::from).to_vec(), 164));
        }
    }

    /// RFC 7541, C.6: a table of 256 bytes lets the oldest entries go.
    #[test]
    fn responses_of_the_standard() {
        let mut decoder = Decoder::new();
        decoder.limit = 256;
        let first = "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 \
                     2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3";
        let date = "date=Mon, 21 Oct 2013 20:13:21 GMT";
        let rest = format!("cache-control=private {date} location=https://www.example.com");
        assert_eq!(fields(&mut decoder, first), format!(":status=302 {rest}"));
        assert_eq!(decoder.size, 222);
        assert_eq!(fields(&mut decoder, "4883 640e ffc1 c0bf"), format!(":status=307 {rest}"));
        assert_eq!((table(&decoder)[0].as_str(), decoder.size), (":status=307", 222));
        let third = "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab \
                     77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f \
                     9587 3160 65c0 03ed 4ee5 b106 3d50 07";
        let last = fields(&mut decoder, third);
        assert!(
            last.starts_with(":status=200 cache-control=private date=Mon, 21 Oct 2013 20:13:22")
        );
        assert!(last.contains("content-encoding=gzip set-cookie=foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU;"));
        assert_eq!((table(&decoder).len(), decoder.size), (3, 215));
    }

    #[test]
    fn the_table_never_grows_beyond_its_bounds() {
        let mut decoder = Decoder::new();
        // A size update to zero empties the table; one beyond what is followed is refused.
        fields(&mut decoder, "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572");
        fields(&mut decoder, "20");
        assert_eq!((decoder.size, decoder.table.len()), (0, 0));
        assert!(decoder.decode(&[0x3f, 0xff, 0xff, 0x07], |_, _| {}).is_err());
        // An entry larger than the table.
        let mut large = vec![0x40, 1, b'a', 0x7f, 0x81, 0x7f];
        large.extend([b'x'; 16_384]);
        let mut decoder = Decoder::new();
        decoder.decode(&large, |_, _| {}).unwrap();
        assert!(decoder.table.is_empty());
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for hex in ["80", "c0", "be", "41", "4105", "0085 ffff ffff ff00", "7f80 8080 8080 01"] {
            assert!(Decoder::new().decode(&bytes(hex), |_, _| {}).is_err(), "{hex}");
        }
    }
}
