//! A short run of every target in the ordinary tests: its seeds, and changes of them that are the same every time.
//!
//! `CURTAIN_FUZZ_SECONDS=600 cargo test -p curtain-embedded --lib fuzz` goes on for so long with each target; with
//! `CURTAIN_FUZZ_TRACE=1` every input is printed before it is tried, which tells the one that ends the process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IteratorRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::{TARGETS, call};

/// Changed seeds of a target, and the time for them.
const CHANGES: usize = 4000;
const SECONDS: u64 = 3;
/// Nothing that is this small takes as long, even on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longest input.
const LONGEST: usize = 16 << 10;
/// All seeds together.
const CORPUS: u64 = 200 << 10;

/// What means something to one of the targets.
const WORDS: &str = "{|}|[|]|:|,|\"|null|true|-1|0|1e400|-0.0|9223372036854775808|\\u0000|\u{e9}|$patch|delete|replace|\
$retainKeys|$setElementOrder/containers|metadata|managedFields|spec|f:|k:{\"name\":\"a\"}|(|)| in (|notin (|\
!|=|==|>|\\|Ki|e|m|n|.all(x, |x-kubernetes-preserve-unknown-fields|&a |*a|\n  - |\u{0}|?";

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

/// The seeds of a target, by name.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder(target)).expect("a folder of seeds");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a seed")).collect()
}

fn word(dice: &mut StdRng) -> &'static str {
    WORDS.split('|').choose(dice).unwrap_or_default()
}

/// A seed after some changes.
fn changed(seeds: &[Vec<u8>], dice: &mut StdRng) -> Vec<u8> {
    let mut data = seeds[dice.random_range(0..seeds.len())].clone();
    for _ in 0..dice.random_range(1..=6) {
        let at = dice.random_range(0..=data.len());
        let to = dice.random_range(at..=data.len().min(at + 64));
        match dice.random_range(0..9) {
            0 => data
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte ^= 1 << dice.random_range(0..8)),
            1 => data.iter_mut().skip(at).take(1).for_each(|byte| *byte = dice.random()),
            2 => drop(data.drain(at..to)),
            3 => drop(data.splice(at..at, [dice.random(), dice.random()])),
            4 => {
                drop(data.splice(at..at, word(dice).bytes()));
            }
            5 => {
                drop(data.splice(at..to, word(dice).bytes()));
            }
            // The same over and over: what nests, nests deeply.
            6 => {
                let piece = data[at..to].repeat(dice.random_range(1..200));
                drop(data.splice(at..at, piece));
            }
            7 => {
                let other = &seeds[dice.random_range(0..seeds.len())];
                let from = dice.random_range(0..=other.len());
                let piece = other[from..other.len().min(from + 256)].to_vec();
                drop(data.splice(at..to, piece));
            }
            _ => data.truncate(at),
        }
        data.truncate(LONGEST);
    }
    data
}

fn try_one(target: &str, what: &str, data: &[u8]) {
    if std::env::var_os("CURTAIN_FUZZ_TRACE").is_some() {
        println!("{target} {what}: {}", data.escape_ascii());
    }
    let began = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| call(target, data)));
    let input = data.escape_ascii();
    assert!(outcome.is_ok(), "{target} fails with {what}: b\"{input}\"");
    let took = began.elapsed();
    assert!(took < PATIENCE, "{target} takes {took:?} for {what}: b\"{input}\"");
}

fn replay(target: &str) {
    let seeds = seeds(target);
    for (at, seed) in seeds.iter().enumerate() {
        try_one(target, &format!("seed {at}"), seed);
    }
    let asked = std::env::var("CURTAIN_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let (most, seconds) = asked.map_or((CHANGES, SECONDS), |seconds| (usize::MAX, seconds));
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut dice = StdRng::seed_from_u64(1);
    let mut tried = 0;
    while tried < most && Instant::now() < end {
        let data = changed(&seeds, &mut dice);
        try_one(target, &format!("change {tried}"), &data);
        tried += 1;
    }
    println!("{target}: {} seeds, {tried} changes", seeds.len());
    assert!(tried > 10, "{target} is so slow that next to nothing was tried");
}

macro_rules! replayed {
    ($($target:ident)*) => {
        $(
            #[test]
            fn $target() {
                replay(stringify!($target));
            }
        )*

        #[test]
        fn every_target_is_replayed_and_its_seeds_are_small() {
            let replayed = [$(stringify!($target)),*];
            assert_eq!(TARGETS.map(|(name, _)| name)[..], replayed[..]);
            let mut bytes = 0;
            for target in replayed {
                let entries = std::fs::read_dir(folder(target)).expect("a folder of seeds");
                let sizes = entries.map(|entry| entry.expect("an entry").metadata().expect("its size").len());
                bytes += sizes.sum::<u64>();
                let program = folder(target).join("../../targets").join(format!("{target}.rs"));
                assert!(program.exists(), "{} is missing", program.display());
            }
            assert!(bytes < CORPUS, "{bytes} bytes of seeds");
        }
    };
}

replayed! { protobuf document schema json_patch merge apply selector request spdy channel cel quantity }
