//! The laws of patches, as models that know nothing of how patches are carried out.
//!
//! Documents and what is done to them are made at random from a fixed seed, so that a run is like any other. What breaks
//! a law is made as small as it still breaks it, and printed. `PROPTEST_CASES=100000` makes a run longer and
//! `PROPTEST_RNG_SEED=7` another one.

mod apply;
mod documents;
mod managers;
mod patches;
mod pods;
mod sets;
mod strategic;

use std::fmt::Debug;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};

/// What a law says of one case.
type Verdict = Result<(), TestCaseError>;

/// Tries a law on so many cases.
fn holds<S: Strategy>(cases: u32, made: &S, law: impl Fn(S::Value) -> Verdict)
where
    S::Value: Debug,
{
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    if matches!(config.rng_seed, RngSeed::Random) {
        config.rng_seed = RngSeed::Fixed(1);
    }
    let seed = config.rng_seed;
    if let Err(broken) = TestRunner::new(config).run(made, law) {
        panic!("PROPTEST_RNG_SEED={seed}: {broken}");
    }
}
