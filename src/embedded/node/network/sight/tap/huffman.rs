//! The Huffman code of HPACK (RFC 7541, appendix B).
//!
//! The code is canonical: among codes of one length the symbols are in order, so the lengths say it all.

/// Bits per byte value.
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];
const SHORTEST: usize = 5;
const LONGEST: usize = 30;

/// The code by length: the first code, how many there are, and where their symbols begin.
struct Code {
    first: [u32; LONGEST + 1],
    count: [u32; LONGEST + 1],
    start: [usize; LONGEST + 1],
    symbols: [u8; 256],
}

/// The end-of-string symbol is the last code of all, and in no string: it is left out.
const CODE: Code = build();

const fn build() -> Code {
    let mut code = Code {
        first: [0; LONGEST + 1],
        count: [0; LONGEST + 1],
        start: [0; LONGEST + 1],
        symbols: [0; 256],
    };
    let (mut length, mut next, mut filled) = (1, 0_u32, 0);
    while length <= LONGEST {
        next <<= 1;
        code.first[length] = next;
        code.start[length] = filled;
        let mut symbol = 0;
        while symbol < 256 {
            if LENGTHS[symbol] as usize == length {
                code.symbols[filled] = symbol as u8;
                filled += 1;
                next += 1;
            }
            symbol += 1;
        }
        code.count[length] = next - code.first[length];
        length += 1;
    }
    code
}

/// The string that `input` stands for; `None` when it is not a valid encoding.
pub(super) fn decode(input: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(input.len() * 8 / SHORTEST);
    let (mut bits, mut held) = (0_u64, 0);
    for byte in input {
        bits = bits << 8 | u64::from(*byte);
        held += 8;
        while let Some((symbol, length)) = symbol(bits, held) {
            text.push(symbol);
            held -= length;
        }
        // Longer than any code: the end-of-string symbol.
        if held >= LONGEST {
            return None;
        }
    }
    // Filled up with less than a byte of ones.
    let rest = (1_u64 << held) - 1;
    (held < 8 && bits & rest == rest).then_some(text)
}

/// The symbol at the head of the `held` lowest of `bits`, and its length.
fn symbol(bits: u64, held: usize) -> Option<(u8, usize)> {
    for length in SHORTEST..=held.min(LONGEST) {
        let code = (bits >> (held - length)) as u32 & ((1 << length) - 1);
        let nth = code.wrapping_sub(CODE.first[length]);
        if nth < CODE.count[length] {
            return Some((CODE.symbols[CODE.start[length] + nth as usize], length));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The code of a symbol, found from the other side.
    fn encode(text: &[u8]) -> Vec<u8> {
        let (mut bits, mut held, mut out) = (0_u64, 0, Vec::new());
        for byte in text {
            let length = usize::from(LENGTHS[usize::from(*byte)]);
            let at = CODE.symbols.iter().position(|symbol| symbol == byte).unwrap();
            let code = u64::from(CODE.first[length]) + (at - CODE.start[length]) as u64;
            bits = (bits << length) | code;
            held += length;
            while held >= 8 {
                held -= 8;
                out.push((bits >> held) as u8);
            }
        }
        if held > 0 {
            out.push((bits << (8 - held)) as u8 | (0xff >> held));
        }
        out
    }

    #[test]
    fn the_lengths_make_a_complete_code() {
        let end = 1.0 / f64::from(1 << LONGEST);
        let sum: f64 = LENGTHS.iter().map(|bits| 0.5_f64.powi((*bits).into())).sum();
        assert_eq!(sum + end, 1.0);
    }

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)).unwrap(), all);
        for byte in all {
            assert_eq!(decode(&encode(&[byte])), Some(vec![byte]));
        }
    }

    #[test]
    fn examples_of_the_standard() {
        let www = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        assert_eq!(decode(&www).unwrap(), b"www.example.com");
        assert_eq!(decode(&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]).unwrap(), b"no-cache");
        assert_eq!(decode(&[]).unwrap(), b"");
    }

    #[test]
    fn wrong_padding_and_the_end_symbol_are_refused() {
        assert_eq!(decode(&[0xff]), None, "a whole byte of padding");
        assert_eq!(decode(&[0x00]), None, "zeros");
        assert_eq!(decode(&[0xff, 0xff, 0xff, 0xff]), None, "the end of a string");
    }
}
