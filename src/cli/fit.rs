//! Tables that are as wide as the terminal: what is too long ends, or begins, with an ellipsis.
//!
//! Invariant: nothing is cut where nobody looks at it through a terminal.

use std::io::{self, IsTerminal as _};

use terminal_size::{Width, terminal_size_of};

/// Between two columns.
const GAP: usize = 2;
/// What a cell keeps at least.
const LEAST: usize = 8;

/// What of a cell goes where a column is too wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Nothing.
    Never,
    /// Its beginning.
    Start,
    /// Its end.
    End,
    /// Its end, and nothing of it as long as something can go elsewhere.
    EndLast,
}

/// How wide the terminal is that stdout is, if it is one.
pub(crate) fn columns() -> Option<usize> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    terminal_size_of(stdout).map(|(Width(width), _)| usize::from(width)).filter(|width| *width > 0)
}

/// Cuts the widest of the columns that `cuts` lets, those that come last after all others, until the rows fit into `width`
/// or nothing can be cut any more; returns whether anything was.
pub(crate) fn fit(rows: &mut [Vec<String>], cuts: &[Cut], width: usize) -> bool {
    let widest = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let mut widths: Vec<usize> =
        (0..cuts.len()).map(|column| widest(column).unwrap_or(0)).collect();
    let gaps = GAP * cuts.len().saturating_sub(1);
    for turn in [&[Cut::Start, Cut::End][..], &[Cut::EndLast]] {
        while widths.iter().sum::<usize>() + gaps > width {
            let can = widths.iter_mut().zip(cuts).filter(|(_, cut)| turn.contains(cut));
            match can.map(|(width, _)| width).max() {
                Some(widest) if *widest > LEAST => *widest -= 1,
                _ => break,
            }
        }
    }
    let mut any = false;
    for row in rows {
        for ((cell, width), how) in row.iter_mut().zip(&widths).zip(cuts) {
            let long = cell.chars().count();
            if long <= *width {
                continue;
            }
            any = true;
            let kept = width.saturating_sub(1);
            *cell = match how {
                Cut::Start => format!("…{}", cell.chars().skip(long - kept).collect::<String>()),
                Cut::End | Cut::EndLast | Cut::Never => {
                    format!("{}…", cell.chars().take(kept).collect::<String>())
                }
            };
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::table;

    const CUTS: [Cut; 3] = [Cut::Never, Cut::End, Cut::Start];

    fn rows() -> Vec<Vec<String>> {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        vec![
            row(["WHO", "OBJECT", "WHERE"]),
            row([
                "claude-1",
                "ReleaseBinding/wéb-development",
                "default/project/shop/component/web",
            ]),
        ]
    }

    #[test]
    fn what_is_widest_is_cut_until_the_rows_fit() {
        let mut cut = rows();
        assert!(fit(&mut cut, &CUTS, 50));
        let text = table(&cut);
        assert!(text.lines().all(|line| line.chars().count() <= 50), "{text}");
        assert_eq!(cut[1], ["claude-1", "ReleaseBinding/wéb…", "…shop/component/web"]);
        assert_eq!(cut[0], rows()[0], "headings stay");
    }

    #[test]
    fn what_comes_last_is_whole_until_the_others_are_short() {
        let cuts = [Cut::Never, Cut::EndLast, Cut::Start];
        let mut cut = rows();
        assert!(fit(&mut cut, &cuts, 50));
        assert_eq!(cut[1], ["claude-1", "ReleaseBinding/wéb-development", "…ent/web"]);
        let mut narrower = rows();
        assert!(fit(&mut narrower, &cuts, 40));
        assert_eq!(narrower[1], ["claude-1", "ReleaseBinding/wéb-…", "…ent/web"]);
    }

    #[test]
    fn what_fits_stays_and_a_little_of_each_is_kept_however_narrow_it_is() {
        let mut whole = rows();
        assert!(!fit(&mut whole, &CUTS, 200));
        assert_eq!(whole, rows());
        let mut narrow = rows();
        assert!(fit(&mut narrow, &CUTS, 10));
        assert_eq!(narrow[1], ["claude-1", "Release…", "…ent/web"]);
    }
}
