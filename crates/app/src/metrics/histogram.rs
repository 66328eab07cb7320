//! How long things take, counted in buckets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::text::Text;

/// The upper bounds of the buckets, in seconds: what a visitor notices lies in the middle.
const BOUNDS: [f64; 12] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Durations.
#[derive(Default)]
pub(super) struct Histogram {
    buckets: [AtomicU64; BOUNDS.len()],
    count: AtomicU64,
    microseconds: AtomicU64,
}

impl Histogram {
    pub(super) fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        if let Some(bucket) = BOUNDS.iter().position(|bound| seconds <= *bound) {
            self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }

    pub(super) fn write(&self, text: &mut Text, name: &str, labels: &[(&str, &str)]) {
        let (bucket, mut below) = (format!("{name}_bucket"), 0);
        for (bound, count) in BOUNDS.iter().zip(&self.buckets) {
            below += count.load(Ordering::Relaxed);
            let bound = bound.to_string();
            text.sample(&bucket, &[labels, &[("le", &bound)]].concat(), below);
        }
        // Read last, and never less than what is below a bound.
        let count = self.count.load(Ordering::Relaxed).max(below);
        text.sample(&bucket, &[labels, &[("le", "+Inf")]].concat(), count);
        let seconds = Duration::from_micros(self.microseconds.load(Ordering::Relaxed));
        text.sample(&format!("{name}_sum"), labels, seconds.as_secs_f64());
        text.sample(&format!("{name}_count"), labels, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_all_that_is_below_them() {
        let histogram = Histogram::default();
        for milliseconds in [4, 60, 60, 40_000] {
            histogram.observe(Duration::from_millis(milliseconds));
        }
        let mut text = Text::default();
        histogram.write(&mut text, "it", &[("a", "b")]);
        let text = text.finish();
        for line in [
            "it_bucket{a=\"b\",le=\"0.005\"} 1\n",
            "it_bucket{a=\"b\",le=\"0.1\"} 3\n",
            "it_bucket{a=\"b\",le=\"30\"} 3\n",
            "it_bucket{a=\"b\",le=\"+Inf\"} 4\n",
            "it_sum{a=\"b\"} 40.124\n",
            "it_count{a=\"b\"} 4\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
