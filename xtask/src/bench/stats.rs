//! Medians and ratios.

use std::time::Duration;

/// The middle of some values; of an even number, the mean of the two in the middle. None of nothing.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

/// The median of some durations, in seconds.
pub(crate) fn median_s(values: impl IntoIterator<Item = Duration>) -> Option<f64> {
    median(values.into_iter().map(|value| value.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_outlier_does_not_move_the_median() {
        assert_eq!(median([1.0, 100.0, 2.0, 3.0, 2.5]), Some(2.5));
    }

    #[test]
    fn of_an_even_number_the_middle_is_between_two() {
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn nothing_has_no_median() {
        assert_eq!(median([]), None);
        assert_eq!(median_s([]), None);
        assert_eq!(median_s([Duration::from_millis(1500)]), Some(1.5));
    }
}
