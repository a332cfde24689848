//! `semver("1.2.3")`: versions by the rules of semver.org.

use super::value_type;
use crate::budget::OVERHEAD;
use crate::functions::{Args, boolean, integer};
use cel::common::value::CowVal;
use cel::{DeclarationError, Env, ExecutionError};
use std::cmp::Ordering;

/// Build metadata is checked and forgotten: it does not order versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parts {
    numbers: [u64; 3],
    pre_release: Vec<String>,
}

impl Parts {
    pub(super) fn bytes(&self) -> usize {
        self.pre_release.iter().map(|part| OVERHEAD + part.len()).sum()
    }
}

value_type!(
    /// A version.
    Version(Parts), "kubernetes.Semver", TYPE
);

pub(super) fn register(env: &mut Env) -> Result<(), DeclarationError> {
    super::parser(
        env,
        ("semver", |args| {
            super::parsed("semver", &args, parse).map(|parts| CowVal::owned(Version(parts)))
        }),
        ("isSemver", |args| super::is(&args, parse)),
    )?;
    let own = || TYPE.to_owned();
    env.add_member_overload("major", "semver.major()", own(), vec![], |args| {
        Ok(integer(Version::arg(&args, 0)?.0.numbers[0] as i64))
    })?;
    env.add_member_overload("minor", "semver.minor()", own(), vec![], |args| {
        Ok(integer(Version::arg(&args, 0)?.0.numbers[1] as i64))
    })?;
    env.add_member_overload("patch", "semver.patch()", own(), vec![], |args| {
        Ok(integer(Version::arg(&args, 0)?.0.numbers[2] as i64))
    })?;
    env.add_member_overload("compareTo", "semver.compareTo(s)", own(), vec![own()], |args| {
        Ok(integer(order(&args)? as i64))
    })?;
    env.add_member_overload("isGreaterThan", "semver.gt(s)", own(), vec![own()], |args| {
        Ok(boolean(order(&args)? == Ordering::Greater))
    })?;
    env.add_member_overload("isLessThan", "semver.lt(s)", own(), vec![own()], |args| {
        Ok(boolean(order(&args)? == Ordering::Less))
    })
}

/// Which of two versions comes first.
fn order(args: &Args<'_, '_>) -> Result<Ordering, ExecutionError> {
    let (left, right) = (Version::arg(args, 0)?, Version::arg(args, 1)?);
    super::walk(left)?;
    Ok(compare(&left.0, &right.0))
}

fn parse(text: &str) -> Result<Parts, String> {
    let wrong = || format!("`{text}` is not a semantic version, like 1.2.3 or 1.2.3-rc.1");
    let (version, build) = text.split_once('+').map_or((text, None), |(v, b)| (v, Some(b)));
    let (core, pre) = version.split_once('-').map_or((version, None), |(c, p)| (c, Some(p)));
    let plain = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    if build.is_some_and(|build| !build.split('.').all(plain)) {
        return Err(wrong());
    }
    let leads_with_zero = |part: &str| {
        part.len() > 1 && part.starts_with('0') && part.bytes().all(|b| b.is_ascii_digit())
    };
    let mut pre_release = Vec::new();
    for part in pre.into_iter().flat_map(|pre| pre.split('.')) {
        if !plain(part) || leads_with_zero(part) {
            return Err(wrong());
        }
        pre_release.push(part.to_owned());
    }
    let mut numbers = [0u64; 3];
    let mut parts = core.split('.');
    for number in &mut numbers {
        let part = parts.next().filter(|part| !leads_with_zero(part)).ok_or_else(wrong)?;
        if !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        *number = part.parse().map_err(|_| wrong())?;
    }
    if parts.next().is_some() { Err(wrong()) } else { Ok(Parts { numbers, pre_release }) }
}

/// A release comes after its pre-releases; numbers come before words, and fewer parts before more.
fn compare(left: &Parts, right: &Parts) -> Ordering {
    let by_part = |(a, b): (&String, &String)| match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => a.cmp(b),
    };
    left.numbers.cmp(&right.numbers).then_with(|| {
        match (left.pre_release.is_empty(), right.pre_release.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => left
                .pre_release
                .iter()
                .zip(&right.pre_release)
                .map(by_part)
                .find(|order| order.is_ne())
                .unwrap_or(left.pre_release.len().cmp(&right.pre_release.len())),
        }
    })
}
