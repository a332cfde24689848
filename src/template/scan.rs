//! Finds the expressions in a string.

use crate::error::Problem;

/// A piece of a string.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'t> {
    Text(&'t str),
    Expression(&'t str),
}

/// Splits a string. An expression that is never closed is text, with all that follows.
pub(crate) fn scan(text: &str) -> Result<Vec<Piece<'_>>, Problem> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let inside = &rest[start + 2..];
        let Some(length) = expression_length(inside).map_err(|()| nested(rest))? else { break };
        if start > 0 {
            pieces.push(Piece::Text(&rest[..start]));
        }
        pieces.push(Piece::Expression(inside[..length].trim()));
        rest = &inside[length + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

/// The single expression of a string that is nothing else but white space.
pub(crate) fn single<'t>(pieces: &[Piece<'t>]) -> Option<&'t str> {
    let blank = |piece: &Piece<'_>| matches!(piece, Piece::Text(text) if text.trim().is_empty());
    let mut expressions = pieces.iter().filter(|piece| !blank(piece));
    match (expressions.next(), expressions.next()) {
        (Some(Piece::Expression(expression)), None) => Some(expression),
        _ => None,
    }
}

fn nested(text: &str) -> Problem {
    Problem::Nested(text.trim().chars().take(120).collect())
}

/// Bytes up to the brace that closes an expression whose opening one was just passed; `None` if
/// nothing closes it, an error if another expression opens inside.
fn expression_length(inside: &str) -> Result<Option<usize>, ()> {
    let bytes = inside.as_bytes();
    let mut depth = 1usize;
    let mut quote = None;
    let mut index = 0;
    let mut opens_inside = false;
    while let Some(&byte) = bytes.get(index) {
        match (quote, byte) {
            (Some(_), b'\\') => index += 1,
            (Some(open), _) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'$') if bytes.get(index + 1) == Some(&b'{') => opens_inside = true,
            (None, b'{') => depth += 1,
            (None, b'}') => {
                depth -= 1;
                if depth == 0 {
                    return if opens_inside { Err(()) } else { Ok(Some(index)) };
                }
            }
            _ => {}
        }
        index += 1;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::Piece::{Expression, Text};
    use super::{scan, single};

    #[test]
    fn strings_split_at_expressions() {
        assert_eq!(scan("plain $x {y}"), Ok(vec![Text("plain $x {y}")]));
        assert_eq!(scan("a${x}b"), Ok(vec![Text("a"), Expression("x"), Text("b")]));
        assert_eq!(scan("${x}${ y }"), Ok(vec![Expression("x"), Expression("y")]));
        assert_eq!(scan("unclosed ${a"), Ok(vec![Text("unclosed ${a")]));
        assert_eq!(scan("${x} ${y"), Ok(vec![Expression("x"), Text(" ${y")]));
        assert_eq!(scan("${{'a': '}'}}"), Ok(vec![Expression("{'a': '}'}")]));
        assert_eq!(scan(r"${'it\'s }'}"), Ok(vec![Expression(r"'it\'s }'")]));
        assert_eq!(scan("${\"$\"}{x}"), Ok(vec![Expression("\"$\""), Text("{x}")]));
        assert_eq!(scan("${'${x}'}"), Ok(vec![Expression("'${x}'")]));
        assert!(scan("${ f(${a}) }").is_err());
    }

    #[test]
    fn one_expression_may_stand_between_white_space() {
        assert_eq!(single(&scan(" ${x}\n").unwrap_or_default()), Some("x"));
        assert_eq!(single(&scan("${x}${y}").unwrap_or_default()), None);
        assert_eq!(single(&scan("a${x}").unwrap_or_default()), None);
    }
}
