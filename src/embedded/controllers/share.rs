//! Numbers that may be a share of all.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// The number itself, or the percentage of `all`, rounded `up` or down.
pub(super) fn share(value: &IntOrString, all: i32, up: bool) -> i32 {
    match value {
        IntOrString::Int(n) => *n,
        IntOrString::String(text) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or_default();
            let parts = percent.saturating_mul(i64::from(all));
            let whole =
                if up { parts.saturating_add(99).div_euclid(100) } else { parts.div_euclid(100) };
            i32::try_from(whole).unwrap_or(i32::MAX)
        }
    }
}
