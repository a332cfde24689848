//! Property names as CEL spells them.

/// Words that CEL keeps to itself.
const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// Whether CEL keeps a word to itself, so that nothing can be called like it.
pub fn is_reserved(word: &str) -> bool {
    RESERVED.contains(&word)
}

/// The name by which CEL selects a property whose own name is not an identifier, or `None` when
/// the property is not reachable. As Kubernetes has it: `__`, `.`, `-`, `/` and CEL's
/// keywords are spelled out between double underscores.
pub fn escape_property(name: &str) -> Option<String> {
    if is_reserved(name) {
        return Some(format!("__{name}__"));
    }
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return None;
    }
    let mut escaped = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(character) = rest.chars().next() {
        let taken = if rest.starts_with("__") {
            escaped.push_str("__underscores__");
            2
        } else {
            match character {
                '.' => escaped.push_str("__dot__"),
                '-' => escaped.push_str("__dash__"),
                '/' => escaped.push_str("__slash__"),
                c if c.is_ascii_alphanumeric() || c == '_' => escaped.push(c),
                _ => return None,
            }
            character.len_utf8()
        };
        rest = &rest[taken..];
    }
    Some(escaped)
}
