//! What a word means that names an image: a path, or a reference, and why it is none.

/// Longest reference and longest tag.
const LONGEST: (usize, usize) = (512, 128);
/// Digits of a digest.
const DIGEST: usize = 64;
/// How the names of archives end.
const ARCHIVES: [&str; 5] = [".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.xz"];
const EXAMPLE: &str = "Name an image, such as docker.io/library/nginx:1.29.";

/// What is wrong with `image` as `registry/repository:tag@digest`, if anything.
pub fn fault(image: &str) -> Option<String> {
    if image.is_empty() {
        return Some(EXAMPLE.to_owned());
    }
    if let Some((scheme, _)) = image.split_once("://") {
        return Some(format!("Leave out {scheme}://: a name begins with its registry. {EXAMPLE}"));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "._:/@-".contains(c);
    if let Some(wrong) = image.chars().find(|c| !plain(*c)) {
        return Some(format!("{wrong:?} cannot be in the name of an image. {EXAMPLE}"));
    }
    if image.len() > LONGEST.0 {
        return Some(format!("It is longer than {} letters. {EXAMPLE}", LONGEST.0));
    }
    let (named, digest) = match image.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (image, None),
    };
    let (path, tag) = match named.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (named, None),
    };
    let mut parts: Vec<&str> = path.split('/').collect();
    let first = parts[0];
    if parts.len() > 1 && (first.contains(['.', ':']) || first == "localhost") {
        if !is_registry(first) {
            return Some(format!("{first:?} is no registry: a host, and maybe : and a port."));
        }
        parts.remove(0);
    }
    parts.iter().find_map(|part| part_fault(part)).or_else(|| {
        let tag = tag.filter(|tag| !is_tag(tag)).map(|tag| match tag {
            "" => "There is no tag after the last colon.".to_owned(),
            tag => {
                format!("{tag:?} is no tag: letters, digits, _, . and -, {} at most.", LONGEST.1)
            }
        });
        let digest = || {
            let digest = digest.filter(|digest| !is_digest(digest))?;
            Some(format!("{digest:?} is no digest: sha256: and {DIGEST} hexadecimal digits."))
        };
        tag.or_else(digest)
    })
}

/// Whether no image can be called `word`, and archives are.
pub fn is_path(word: &str) -> bool {
    // What follows the last `:` is a tag, whatever it looks like.
    let tagged = word.rsplit('/').next().is_some_and(|last| last.contains(':'));
    let archive = ARCHIVES.iter().any(|end| word.to_ascii_lowercase().ends_with(end));
    word.starts_with(['/', '.', '~'])
        || word.ends_with('/')
        || word.contains('\\')
        || (archive && !tagged)
}

/// Whether two references name the same image once what people leave out is filled in.
pub fn same(one: &str, other: &str) -> bool {
    let full = |reference: &str| {
        let (path, version) = parts(reference);
        let path = path.strip_prefix("docker.io/").unwrap_or(path);
        let path = path.strip_prefix("library/").unwrap_or(path);
        (path.to_owned(), version.unwrap_or(":latest").to_owned())
    };
    full(one) == full(other)
}

/// `name` and `:tag` or `@digest`, if there is one.
pub(crate) fn parts(image: &str) -> (&str, Option<&str>) {
    if let Some(at) = image.find('@') {
        return (&image[..at], Some(&image[at..]));
    }
    match image.rfind(':') {
        Some(at) if !image[at..].contains('/') => (&image[..at], Some(&image[at..])),
        _ => (image, None),
    }
}

fn is_registry(host: &str) -> bool {
    let (name, port) = host.split_once(':').unwrap_or((host, "443"));
    let edge = |c: char| c.is_ascii_alphanumeric();
    let inner = |c: char| edge(c) || c == '.' || c == '-';
    let named = name.starts_with(edge) && name.ends_with(edge) && name.chars().all(inner);
    named && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn part_fault(part: &str) -> Option<String> {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if part.is_empty() {
        return Some("A part of its name is empty: before, after or between slashes.".to_owned());
    }
    if part.contains(|c: char| c.is_ascii_uppercase()) {
        return Some(format!("{part:?} has capital letters; the name of an image has none."));
    }
    if part.contains(':') {
        return Some(format!("{part:?}: a colon stands before a port or a tag only."));
    }
    let ends = part.starts_with(edge) && part.ends_with(edge);
    (!ends).then(|| format!("{part:?} has to begin and end with a letter or a digit."))
}

fn is_tag(tag: &str) -> bool {
    let first = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.starts_with(first)
        && tag.chars().all(|c| first(c) || c == '.' || c == '-')
        && tag.len() <= LONGEST.1
}

fn is_digest(digest: &str) -> bool {
    let digits = digest.strip_prefix("sha256:").unwrap_or_default();
    digits.len() == DIGEST && digits.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_path_is_no_name() {
        for path in
            ["./none", "nofile.tar", "a/b.tar.gz", "b.TGZ", "c.tar.zst", "~/a", "a\\b", "a/"]
        {
            assert!(is_path(path), "{path}");
        }
        for name in ["nothere:1", "ghcr.io/a/web:1", "localhost:5000/a", "app:1.tar", "tar"] {
            assert!(!is_path(name), "{name}");
        }
    }

    #[test]
    fn what_people_leave_out_of_a_reference_is_filled_in() {
        assert!(same("my:dev", "docker.io/library/my:dev"));
        assert!(same("my", "docker.io/library/my:latest"));
        assert!(!same("my:1", "my:2") && !same("other/my", "my"));
    }

    #[test]
    fn names_of_images_are_none_of_the_faults() {
        let digest = format!("web@sha256:{}", "0".repeat(64));
        let both = format!("ghcr.io/a/web:1@sha256:{}", "a".repeat(64));
        for image in [
            "nginx",
            "my:dev",
            "docker.io/library/my_app:1.2",
            "localhost:5000/team/shop.web:V1_x-2",
            "localhost/a--b",
            "10.0.0.1:80/x",
            &digest,
            &both,
        ] {
            assert_eq!(fault(image), None, "{image}");
        }
    }

    #[test]
    fn what_is_no_name_of_an_image_is_told_why() {
        let long = format!("a:{}", "x".repeat(129));
        for (image, why) in [
            ("", "Name an image"),
            ("https://ghcr.io/a/web", "Leave out https://"),
            ("a b", "' ' cannot be in"),
            ("$(x)", "'$' cannot be in"),
            ("ü", "'ü' cannot be in"),
            ("ghcr.io/team/Shop:1", "\"Shop\" has capital letters"),
            ("a//b", "is empty"),
            ("/a", "is empty"),
            ("ghcr.io/", "is empty"),
            ("-v", "\"-v\" has to begin"),
            ("a/web_", "\"web_\" has to begin and end"),
            ("my:", "no tag after the last colon"),
            ("my:-x", "\"-x\" is no tag"),
            (&long, "is no tag"),
            ("my:1:2", "\"my:1\": a colon"),
            ("reg.example:x/web", "\"reg.example:x\" is no registry"),
            ("reg.example:70000/web", "is no registry"),
            ("web@sha256:01", "\"sha256:01\" is no digest"),
            ("web@", "\"\" is no digest"),
        ] {
            let found = fault(image).unwrap_or_else(|| panic!("{image} passes"));
            assert!(found.contains(why), "{image}: {found}");
        }
    }
}
