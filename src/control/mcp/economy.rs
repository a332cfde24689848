//! Keeping results small: an agent pays for every word, and some clients refuse long ones.

/// Bytes of rows in a result when the caller did not say how many it wants: less than two thousand tokens.
pub const TYPICAL: usize = 5 * 1024;
/// Bytes of rows in any result: less than ten thousand tokens. Clients refuse results beyond 25 000.
pub const MOST: usize = 24 * 1024;
/// A longer line is cut, in bytes.
const LONGEST_LINE: usize = 1000;

/// What a line that was cut ends in.
const CUT: &str = " … (cut)";

/// `line`, or its beginning and a mark when it is very long.
pub fn cut(line: &str) -> String {
    if line.len() <= LONGEST_LINE {
        return line.to_owned();
    }
    format!("{}{CUT}", &line[..line.floor_char_boundary(LONGEST_LINE)])
}

/// Bytes of `line` in JSON, as far as it is shown.
pub fn cost(line: &str) -> usize {
    let shown = &line[..line.floor_char_boundary(LONGEST_LINE)];
    let bytes: usize = shown.bytes().map(escaped).sum();
    if shown.len() < line.len() { bytes + CUT.len() } else { bytes }
}

/// Bytes of `byte` in a JSON string: `\n`, `\u001b`, or itself.
fn escaped(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    }
}

/// Keeps as many of the first rows as fit into `budget`, at least one; returns how many had to go.
pub fn fit<T>(rows: &mut Vec<T>, budget: usize, bytes: impl Fn(&T) -> usize) -> usize {
    let mut used = 0;
    let kept = rows
        .iter()
        .take_while(|row| {
            used += bytes(row);
            used <= budget
        })
        .count()
        .max(1)
        .min(rows.len());
    let gone = rows.len() - kept;
    rows.truncate(kept);
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        let cut = cut(&"ä".repeat(LONGEST_LINE));
        assert!(cut.len() < LONGEST_LINE + 20 && cut.ends_with("ä … (cut)"), "{cut}");
    }

    #[test]
    fn what_fits_stays_in_its_order() {
        let mut rows = vec![MOST / 2, MOST / 2, 1];
        assert_eq!((fit(&mut rows, MOST, |row| *row), rows.len()), (1, 2));
        let mut one = vec![2 * MOST];
        assert_eq!((fit(&mut one, MOST, |row| *row), one.len()), (0, 1));
        assert_eq!(fit(&mut Vec::<usize>::new(), MOST, |row| *row), 0);
    }

    #[test]
    fn a_line_costs_what_it_has_in_json() {
        let ends = |text: &str| serde_json::to_string(&cut(text)).expect("JSON").len() - 2;
        let every: String = (0..=0x7f_u8).map(char::from).collect();
        for text in ["a \"b\"", "\u{1b}[31mno\u{1b}[0m\n", &every, &"\0".repeat(2000), "ä🙂"] {
            assert_eq!(cost(text), ends(text), "{text:?}");
        }
    }
}
