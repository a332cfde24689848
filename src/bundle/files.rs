//! The files the program carries: `bundles/` and `manifests/` of the repository.

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The text of one file; `path` as in the repository.
pub(crate) fn read(path: &str) -> Option<&'static str> {
    FILES.iter().find(|(name, _)| *name == path).map(|(_, text)| *text)
}

/// Every file in or below `folder`, in order.
pub(crate) fn below(folder: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let prefix = format!("{}/", folder.trim_end_matches('/'));
    FILES.iter().filter(move |(name, _)| name.starts_with(&prefix)).copied()
}
