//! What reads bytes of strangers, each as one function, and what has to hold of whatever it reads.
//!
//! A target never panics, whatever it is given; it takes time and memory in proportion to it; and what it reads means the
//! same when it is written and read again. `cargo test` replays the seeds in `src/embedded/fuzz/corpus` and some thousand
//! changes of them ([`replay`]); `src/embedded/fuzz` is the same for libFuzzer, which goes on for as long as it is let.

mod documents;
mod expressions;
mod patches;
#[cfg(test)]
mod replay;
mod requests;

/// A target: its name, which is that of the folder of its seeds, and what to call.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 12] = [
    ("protobuf", documents::protobuf),
    ("document", documents::document),
    ("schema", documents::schema),
    ("json_patch", patches::json_patch),
    ("merge", patches::merge),
    ("apply", patches::apply),
    ("selector", requests::selector),
    ("request", requests::request),
    ("spdy", super::stream::fuzz_frames),
    ("channel", super::stream::fuzz_channels),
    ("cel", expressions::cel),
    ("quantity", expressions::quantity),
];

/// Calls one by its name; `false` if there is none.
pub fn call(name: &str, data: &[u8]) -> bool {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    target.map(|(_, call)| call(data)).is_some()
}

/// The parts of a document that several targets take: `{"a": …, "b": …}`.
fn parts<const N: usize>(data: &[u8], names: [&str; N]) -> Option<[serde_json::Value; N]> {
    let mut all: serde_json::Value = serde_json::from_slice(data).ok()?;
    Some(names.map(|name| all.get_mut(name).map(serde_json::Value::take).unwrap_or_default()))
}
