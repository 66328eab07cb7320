//! What is said of several measurements of one thing.

/// Numbers in ascending order.
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut numbers: Vec<f64> = numbers.into_iter().collect();
        numbers.sort_by(f64::total_cmp);
        Self(numbers)
    }

    pub(crate) fn median(&self) -> f64 {
        self.at(0.5)
    }

    /// The number below which this share of the others lies, between the two nearest.
    pub(crate) fn at(&self, share: f64) -> f64 {
        let Some(last) = self.0.len().checked_sub(1) else {
            return f64::NAN;
        };
        let place = share * last as f64;
        let (below, above) = (place.floor(), place.ceil());
        let number = |place: f64| self.0.get(place as usize).copied().unwrap_or(f64::NAN);
        number(below) + (number(above) - number(below)) * (place - below)
    }

    pub(crate) fn least(&self) -> f64 {
        self.at(0.0)
    }

    pub(crate) fn most(&self) -> f64 {
        self.at(1.0)
    }
}

/// One thing, measured in turns with what it is compared with.
pub(crate) struct Pairs(Vec<(f64, f64)>);

impl Pairs {
    pub(crate) fn of(pairs: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// What stands above the line.
    pub(crate) fn above(&self) -> Sample {
        Sample::of(self.0.iter().map(|pair| pair.0))
    }

    /// What stands below it.
    pub(crate) fn below(&self) -> Sample {
        Sample::of(self.0.iter().map(|pair| pair.1))
    }

    /// The ratio of each turn.
    pub(crate) fn ratios(&self) -> Sample {
        Sample::of(self.0.iter().map(|pair| pair.0 / pair.1))
    }

    /// The difference of each turn.
    pub(crate) fn differences(&self) -> Sample {
        Sample::of(self.0.iter().map(|pair| pair.0 - pair.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_nearest_numbers() {
        let sample = Sample::of([4.0, 1.0, 3.0, 2.0]);
        assert_eq!(sample.median(), 2.5);
        assert_eq!((sample.least(), sample.most()), (1.0, 4.0));
        assert!((sample.at(0.95) - 3.85).abs() < 1e-9);
        assert!(Sample::of([]).median().is_nan());
    }

    #[test]
    fn ratios_are_of_turns_and_not_of_medians() {
        let pairs = Pairs::of([(1.0, 2.0), (9.0, 3.0), (2.0, 1.0)]);
        assert_eq!(pairs.ratios().median(), 2.0);
        assert_eq!(pairs.differences().median(), 1.0);
    }
}
