//! Names made from several parts: readable, short enough, and different for different parts.

use sha2::{Digest, Sha256};

/// The longest object name.
pub const MAX_NAME: usize = 253;
/// The longest label value, DNS label and namespace.
pub const MAX_LABEL: usize = 63;

/// A name of at most `limit` bytes made of the parts and a hash over them.
pub fn name_gen(limit: usize, parts: &[&str]) -> String {
    name_gen_with(limit, parts, "")
}

/// Like [`name_gen`], with `extra` going into the hash only.
pub fn name_gen_with(limit: usize, parts: &[&str], extra: &str) -> String {
    let mut hashed = parts.join("-");
    if !extra.is_empty() {
        hashed.push('-');
        hashed.push_str(extra);
    }
    let digest = Sha256::digest(hashed.as_bytes());
    let hash: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    // One separator behind every part, the last of them before the hash.
    let budget = limit.saturating_sub(hash.len() + parts.len());
    let (share, more) = (budget / parts.len().max(1), budget % parts.len().max(1));
    let mut name = String::new();
    for (index, part) in parts.iter().enumerate() {
        let length = share + usize::from(index < more);
        name.extend(sanitise(part).chars().take(length));
        name.push('-');
    }
    name.push_str(&hash);
    name.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

/// Lower case, with everything that no name may hold as `-`.
fn sanitise(part: &str) -> String {
    let replaced: String = part
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '-' })
        .collect();
    replaced.trim_matches(['-', '.']).to_owned()
}

/// 32-bit FNV-1a.
pub fn fnv32(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// 32-bit FNV-1a as eight hexadecimal digits.
pub fn fnv32_hex(text: &str) -> String {
    format!("{:08x}", fnv32(text))
}

#[cfg(test)]
mod tests {
    use super::{MAX_LABEL, MAX_NAME, fnv32_hex, name_gen, name_gen_with};

    #[test]
    fn names_are_those_of_the_reference() {
        let long = "a".repeat(300);
        let cut = format!("{}-component-a250aee3", "a".repeat(122));
        for (parts, name) in [
            (&["project", "component"], "project-component-932d1646"),
            (&["My_Project$", "Component@Name"], "my-project-component-name-40314333"),
            (&["", ""], "3973e022"),
            (&["!!!", "###"], "606b424e"),
            (&["-invalid-start", "invalid-end-"], "invalid-start-invalid-end-f124257d"),
            (&["ProjectName", "ComponentName"], "projectname-componentname-755d4ced"),
            (&["project.name", "component.name"], "project.name-component.name-851db5b2"),
            (&[long.as_str(), "component"], cut.as_str()),
        ] {
            assert_eq!(name_gen(MAX_NAME, parts), name);
        }
    }

    #[test]
    fn names_keep_their_limit_and_feel_the_extra_input() {
        let long = "x".repeat(80);
        let name = name_gen(MAX_LABEL, &["dp", &long, &long]);
        assert!(name.len() <= MAX_LABEL, "{name}");
        assert_ne!(name_gen_with(MAX_NAME, &["a"], "1"), name_gen_with(MAX_NAME, &["a"], "2"));
    }

    #[test]
    fn fnv_is_the_reference() {
        assert_eq!(fnv32_hex("test"), "afd071e5");
        assert_eq!(fnv32_hex(""), "811c9dc5");
    }
}
