//! What a component is called.

use crate::reference::parts;

/// The longest name of a component, so that every name that is made of it fits.
const LONGEST: usize = 40;

/// The name of a component that runs `image`: the last part of the image's name, as far as it can be one. Nothing, if
/// nothing of it can.
pub fn component_name(image: &str) -> Option<String> {
    let (path, _) = parts(image);
    let last = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let plain: String =
        last.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '-' }).collect();
    let plain = plain.trim_matches(|char: char| char == '-' || char.is_ascii_digit());
    let short = plain.get(..LONGEST).unwrap_or(plain).trim_end_matches('-');
    (!short.is_empty()).then(|| short.to_owned())
}

/// What is wrong with `name`, if anything.
pub fn name_fault(name: &str) -> Option<String> {
    let part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends = name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.ends_with('-');
    let fits = ends && name.chars().all(part) && name.len() <= LONGEST;
    (!fits).then(|| {
        format!(
            "Use at most {LONGEST} lower-case letters, digits and hyphens, beginning with a letter."
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_named_after_its_image() {
        for (image, name) in [
            ("my:dev", "my"),
            ("docker.io/library/my_app:1.2", "my-app"),
            ("localhost:5000/team/Shop.Web@sha256:0123", "shop-web"),
            ("registry:5000/api", "api"),
        ] {
            assert_eq!(component_name(image).as_deref(), Some(name), "{image}");
        }
        assert_eq!(component_name("x/123"), None);
        let long = component_name(&format!("{}-b", "a".repeat(LONGEST - 1)));
        assert_eq!(long, Some("a".repeat(LONGEST - 1)));
        assert_eq!(long.as_deref().and_then(name_fault), None);
    }

    #[test]
    fn a_name_that_cannot_be_one_is_told_so() {
        for name in ["", "Web", "1a", "a-", "a_b", &"a".repeat(LONGEST + 1)] {
            assert!(name_fault(name).is_some(), "{name}");
        }
        assert_eq!(name_fault("web-1"), None);
    }
}
