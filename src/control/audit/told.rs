//! Why something failed, without what the caller sent.
//!
//! Whoever refuses a value likes to quote it: API servers (`Invalid value: "…"`), parsers (`invalid type: string "…"`) and
//! this API. Invariant: nothing between quotes is kept but the path of a field that is unknown, nor anything after a value
//! without quotes.

/// The longest text that is looked at, in bytes; a reason is much shorter.
const LONGEST: usize = 4 << 10;
/// What comes before the path of a field that there is not, and the longest such path, in bytes.
const UNKNOWN: &str = "unknown field ";
const LONGEST_PATH: usize = 120;

/// `text` with an ellipsis for whatever it quotes.
pub(super) fn unquoted(text: &str) -> String {
    let mut rest = &text[..text.floor_char_boundary(LONGEST)];
    let mut kept = String::with_capacity(rest.len());
    while let Some(char) = rest.chars().next() {
        let after = &rest[char.len_utf8()..];
        // An apostrophe stands inside or after a word.
        let opens = matches!(char, '"' | '`')
            || (char == '\'' && !kept.ends_with(|before: char| before.is_alphanumeric()));
        if opens {
            let end = end_of_quote(after, char);
            let quoted = &after[..end.unwrap_or(0)];
            kept.push_str(if kept.ends_with(UNKNOWN) && is_path(quoted) { quoted } else { "…" });
            let Some(end) = end else { break };
            rest = &after[end + char.len_utf8()..];
            continue;
        }
        kept.push(char);
        rest = after;
        // `Invalid value: 5: must be …`; and where an object begins, nobody sees its end.
        if kept.ends_with(" value: ") && !rest.starts_with(['"', '`', '\'']) {
            kept.push('…');
            break;
        }
    }
    kept
}

/// Whether `text` can be the path of a field.
fn is_path(text: &str) -> bool {
    let plain = |char: char| char.is_ascii_alphanumeric() || "-_./[]".contains(char);
    (1..=LONGEST_PATH).contains(&text.len()) && text.chars().all(plain)
}

/// Where in `text` the quote ends that began before it with `mark`, which a backslash takes its meaning from.
fn end_of_quote(text: &str, mark: char) -> Option<usize> {
    let mut escaped = false;
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' if mark != '`' => escaped = true,
            _ if char == mark => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::unquoted;

    #[test]
    fn what_is_quoted_is_left_out_and_the_rest_is_said() {
        for (said, kept) in [
            (
                r#"spec.key: Invalid value: "hunter2": spec.key in body should match '^[a-z]+$'"#,
                "spec.key: Invalid value: …: spec.key in body should match …",
            ),
            (
                r#"spec.mode: Unsupported value: "hunter2": supported values: "A", "B"; spec.on: Required value"#,
                "spec.mode: Unsupported value: …: supported values: …, …; spec.on: Required value",
            ),
            (r#"spec.a: Invalid value: "hun\"ter2": no"#, "spec.a: Invalid value: …: no"),
            ("spec.a: Invalid value: 4711: too big", "spec.a: Invalid value: …"),
            (r#"spec.a[1]: Duplicate value: {"name":"hunter2"}"#, "spec.a[1]: Duplicate value: …"),
            (
                r#"metadata: invalid type: string "hunter2", expected a map"#,
                "metadata: invalid type: string …, expected a map",
            ),
            (
                "the body: invalid type: integer `4711`, expected",
                "the body: invalid type: integer …, expected",
            ),
            (r#"unknown field "spec.autoDeploi""#, "unknown field spec.autoDeploi"),
            ("unknown field `--key=hunter2`, expected `a`", "unknown field …, expected …"),
            (r#"cut within "hunter2"#, "cut within …"),
            ("the cluster's API server said 'hunter2'", "the cluster's API server said …"),
            (
                "Environment not found: dev; there are: development",
                "Environment not found: dev; there are: development",
            ),
        ] {
            assert_eq!(unquoted(said), kept);
        }
    }
}
