//! How the binary is linked.
//!
//! Generic code is often the same for several types: in a release the linker keeps one of each. That is a word of LLD, the
//! linker that Rust brings for x86-64.
//!
//! A position-independent static binary relocates itself at every start, and each of the two dozen processes of an
//! instance then holds megabytes of private pages that are the same in all of them. At a fixed address these pages stay
//! shared with the file. Stack, heap and mappings are still placed at random.

fn main() {
    println!("cargo::rerun-if-changed=src/build.rs");
    let set = |name: &str| std::env::var(name).unwrap_or_default();
    let is_static =
        set("CARGO_CFG_TARGET_FEATURE").split(',').any(|feature| feature == "crt-static");
    if is_static && set("CARGO_CFG_TARGET_OS") == "linux" && set("CARGO_CFG_TARGET_ENV") == "gnu" {
        // The last of -static-pie, -no-pie and their kin counts.
        println!("cargo::rustc-link-arg-bins=-no-pie");
        println!("cargo::rustc-link-arg-bins=-static");
        if set("PROFILE") == "release" && set("CARGO_CFG_TARGET_ARCH") == "x86_64" {
            println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
        }
    }
}
