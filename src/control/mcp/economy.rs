//! Keeping results small: an agent pays for every word, and some clients refuse long ones.

/// Bytes of lines in one result: a few thousand tokens. Clients refuse results beyond 25 000.
const MOST_BYTES: usize = 24 * 1024;
/// A longer line is cut, in bytes.
const LONGEST_LINE: usize = 1000;

/// `line`, or its beginning and a mark when it is very long.
pub fn cut(line: &str) -> String {
    if line.len() <= LONGEST_LINE {
        return line.to_owned();
    }
    format!("{} … (cut)", &line[..line.floor_char_boundary(LONGEST_LINE)])
}

/// Keeps as many of the first rows as fit into a result, at least one; returns how many had to go.
pub fn fit<T>(rows: &mut Vec<T>, bytes: impl Fn(&T) -> usize) -> usize {
    let mut used = 0;
    let kept = rows
        .iter()
        .take_while(|row| {
            used += bytes(row);
            used <= MOST_BYTES
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
        let mut rows = vec![MOST_BYTES / 2, MOST_BYTES / 2, 1];
        assert_eq!((fit(&mut rows, |row| *row), rows.len()), (1, 2));
        let mut one = vec![2 * MOST_BYTES];
        assert_eq!((fit(&mut one, |row| *row), one.len()), (0, 1));
        assert_eq!(fit(&mut Vec::<usize>::new(), |row| *row), 0);
    }
}
