//! Keeping results small: an agent pays for every word, and some clients refuse long ones.

/// Bytes of rows in a result when the caller did not say how many it wants: less than two thousand tokens.
pub const TYPICAL: usize = 5 * 1024;
/// Bytes of rows in any result: less than ten thousand tokens. Clients refuse results beyond 25 000.
pub const MOST: usize = 24 * 1024;
/// A longer line is cut, in bytes.
const LONGEST_LINE: usize = 1000;

/// `line`, or its beginning and a mark when it is very long.
pub fn cut(line: &str) -> String {
    if line.len() <= LONGEST_LINE {
        return line.to_owned();
    }
    format!("{} … (cut)", &line[..line.floor_char_boundary(LONGEST_LINE)])
}

/// Bytes of `line` in JSON, as far as it is shown.
pub fn cost(line: &str) -> usize {
    let shown = &line[..line.floor_char_boundary(LONGEST_LINE)];
    shown.len() + shown.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count()
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
        assert_eq!(cost("a \"b\""), 7);
    }
}
