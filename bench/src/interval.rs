//! The confidence interval of a mean.

use std::f64::consts::{FRAC_2_PI, FRAC_PI_2};

use serde::Serialize;

/// A mean and its confidence interval by Student's t: the values have to be independent, and their
/// mean about normally distributed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// The interval that holds the true mean with this confidence, between 0 and 1. `None` for
    /// fewer than two values.
    pub fn new(values: &[f64], confidence: f64) -> Option<Self> {
        let freedom = u32::try_from(values.len()).ok()?.checked_sub(1)?;
        if freedom == 0 {
            return None;
        }
        let count = f64::from(freedom) + 1.0;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let error = (squares / f64::from(freedom) / count).sqrt();
        let half = student(confidence, freedom) * error;
        Some(Self {
            mean,
            low: mean - half,
            high: mean + half,
        })
    }
}

/// The two-sided quantile of Student's t distribution: the t with P(|T| <= t) = `probability`.
fn student(probability: f64, freedom: u32) -> f64 {
    let (mut low, mut high) = (0.0, FRAC_PI_2);
    // Bisection: one step for each bit of the result.
    for _ in 0..f64::MANTISSA_DIGITS {
        let middle = f64::midpoint(low, high);
        if within(middle, freedom) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    low.tan() * f64::from(freedom).sqrt()
}

/// The probability that the absolute value of a variable of Student's t distribution is at most
/// `tan(angle) * sqrt(freedom)` (Abramowitz and Stegun, 26.7.3 and 26.7.4).
fn within(angle: f64, freedom: u32) -> f64 {
    let (sine, cosine) = angle.sin_cos();
    let odd = freedom % 2;
    let mut term = if odd == 1 { cosine } else { 1.0 };
    let mut sum = 0.0;
    let mut next = odd + 1;
    while next < freedom {
        sum += term;
        term *= cosine * cosine * f64::from(next) / f64::from(next + 1);
        next += 2;
    }
    if odd == 1 {
        FRAC_2_PI * (angle + sine * sum)
    } else {
        sine * sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_printed_tables() {
        for (probability, freedom, expected) in [
            (0.95, 1, 12.706),
            (0.95, 2, 4.303),
            (0.95, 3, 3.182),
            (0.95, 4, 2.776),
            (0.95, 9, 2.262),
            (0.95, 29, 2.045),
            (0.95, 120, 1.980),
            (0.99, 2, 9.925),
            (0.99, 9, 3.250),
            (0.99, 30, 2.750),
        ] {
            let quantile = student(probability, freedom);
            assert!(
                (quantile - expected).abs() < 0.0005,
                "{probability} of {freedom}: {quantile}"
            );
        }
    }

    #[test]
    fn an_interval_lies_around_the_mean() {
        let interval = Interval::new(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.95).expect("enough values");
        assert!((interval.mean - 3.0).abs() < 1e-9);
        assert!((interval.low - 1.0368).abs() < 1e-4);
        assert!((interval.high - 4.9632).abs() < 1e-4);
    }

    #[test]
    fn equal_values_give_an_interval_of_no_width() {
        let interval = Interval::new(&[2.5; 4], 0.95).expect("enough values");
        assert_eq!((interval.low, interval.high), (2.5, 2.5));
    }

    #[test]
    fn one_value_gives_no_interval() {
        assert_eq!(Interval::new(&[], 0.95), None);
        assert_eq!(Interval::new(&[1.0], 0.95), None);
    }
}
