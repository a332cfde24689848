//! Directories of the node that stand behind PersistentVolumes: what API server, controllers and node agree on.

use std::path::{Path, PathBuf};

/// Who makes and removes them, as StorageClasses and PersistentVolumes name it.
pub(crate) const PROVISIONER: &str = "curtain.dev/host-path";

/// The directory below `root` of the volume of this name; `None` for what is no name of an object, and might lead elsewhere.
pub(crate) fn directory(root: &Path, name: &str) -> Option<PathBuf> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fine = !name.is_empty() && name.len() <= 253 && name.bytes().all(|b| plain(b) || b == b'.');
    let hidden = name.starts_with('.');
    (fine && !hidden).then(|| root.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_directory_of_volumes() {
        let root = Path::new("/volumes");
        assert_eq!(directory(root, "pvc-1.a"), Some(root.join("pvc-1.a")));
        for name in ["", ".", "..", "../pki", "a/b", "/etc", ".a", "A", "a\0b"] {
            assert_eq!(directory(root, name), None, "{name:?}");
        }
    }
}
