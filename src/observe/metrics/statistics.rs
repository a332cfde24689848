//! Many values in few words.

use super::resources::Points;

/// What is told of a series instead of its points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Statistics {
    pub(super) mean: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) p95: f64,
    pub(super) last: f64,
    /// By which factor the last third differs from the first one.
    trend: Option<f64>,
}

/// A smaller difference is none.
const FLAT: f64 = 0.1;

/// `None` of nothing.
pub(super) fn statistics(points: &Points) -> Option<Statistics> {
    let values: Vec<f64> = points.iter().flatten().copied().collect();
    let last = *values.last()?;
    let third = values.len() / 3;
    let trend = (third > 0).then(|| {
        let (first, last) = (mean(&values[..third]), mean(&values[values.len() - third..]));
        (first.abs() > f64::EPSILON).then(|| last / first - 1.0)
    });
    Some(Statistics {
        mean: mean(&values),
        min: values.iter().copied().fold(f64::INFINITY, f64::min),
        max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        p95: quantile(&values, 0.95)?,
        last,
        trend: trend.flatten(),
    })
}

impl Statistics {
    /// `flat`, `up 40 %`, `down 12 %`, `up 8 times`.
    pub(super) fn trend(&self) -> String {
        match self.trend {
            None => "unknown".to_owned(),
            Some(trend) if trend.abs() < FLAT => "flat".to_owned(),
            Some(trend) if trend >= 3.0 => format!("up {:.0} times", trend + 1.0),
            Some(trend) if trend > 0.0 => format!("up {:.0} %", trend * 100.0),
            Some(trend) => format!("down {:.0} %", -trend * 100.0),
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The value that the fraction `of` (0 to 1) of `values` does not exceed. `None` of nothing.
pub(super) fn quantile(values: &[f64], of: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (of * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

/// Means of so many stretches of equal length, or fewer.
pub(super) fn thinned(points: &Points, count: usize) -> Points {
    let length = points.len().div_ceil(count.max(1)).max(1);
    let mean_of = |points: &[Option<f64>]| {
        let values: Vec<f64> = points.iter().flatten().copied().collect();
        (!values.is_empty()).then(|| mean(&values))
    };
    points.chunks(length).map(mean_of).collect()
}

/// `value` with four digits that mean something.
pub(super) fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let digits = 3 - value.abs().log10().floor() as i32;
    if digits <= 0 {
        return value.round();
    }
    let scale = 10f64.powi(digits.min(12));
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_in_few_words() {
        let points = |values: &[f64]| values.iter().copied().map(Some).collect::<Points>();
        let found = statistics(&points(&[1.0, 1.0, 2.0, 5.0, 1.4, 1.4])).expect("some");
        assert_eq!((found.min, found.max, found.last, found.p95), (1.0, 5.0, 1.4, 5.0));
        assert_eq!(found.trend(), "up 40 %");
        let trend = |values: &[f64]| statistics(&points(values)).expect("some").trend();
        assert_eq!(trend(&[1.0, 9.0, 1.05]), "flat");
        assert_eq!(trend(&[4.0, 9.0, 1.0]), "down 75 %");
        assert_eq!(trend(&[1.0, 9.0, 8.0]), "up 8 times");
        assert_eq!(trend(&[0.0, 9.0, 8.0]), "unknown");
        assert_eq!(statistics(&vec![None, None]), None);
    }

    #[test]
    fn few_points_are_means_of_many() {
        let points = vec![Some(1.0), Some(3.0), None, None, Some(5.0), None];
        assert_eq!(thinned(&points, 3), [Some(2.0), None, Some(5.0)]);
        assert_eq!(thinned(&points, 100), points);
    }

    #[test]
    fn numbers_have_four_digits() {
        let cases = [
            (123_456.7, 123_457.0),
            (0.001_234_56, 0.001_235),
            (1.0, 1.0),
            (-0.5, -0.5),
            (f64::NAN, 0.0),
        ];
        for (value, wanted) in cases {
            assert!((rounded(value) - wanted).abs() < 1e-12, "{value}");
        }
    }
}
