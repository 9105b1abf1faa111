//! Numbers that many threads count up at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// So many more.
    pub fn add(&self, many: u64) {
        self.0.fetch_add(many, Ordering::Relaxed);
    }

    /// So many.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Grows and shrinks.
#[derive(Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// So many.
    pub fn set(&self, many: u64) {
        self.0.store(many, Ordering::Relaxed);
    }

    /// So many.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// One more, until what this gives is dropped.
    pub fn hold(&self) -> InUse {
        self.0.fetch_add(1, Ordering::Relaxed);
        InUse(Arc::clone(&self.0))
    }
}

/// One of what a gauge counts.
#[derive(Debug)]
#[must_use = "dropped, it is not counted any more"]
pub struct InUse(Arc<AtomicU64>);

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A counter for each of some words.
#[derive(Debug)]
pub struct ByWord(Vec<(&'static str, Counter)>);

impl ByWord {
    /// All of them at nothing: a series that is there from the start is one that `rate()` sees the first event of.
    pub fn new(words: &[&'static str]) -> ByWord {
        ByWord(words.iter().map(|word| (*word, Counter::default())).collect())
    }

    /// One more of this word; what is none of the words is not counted.
    pub fn add(&self, word: &str) {
        if let Some((_, counter)) = self.0.iter().find(|(known, _)| *known == word) {
            counter.add(1);
        }
    }

    /// Each word, and how many.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(word, counter)| (*word, counter.get()))
    }
}

/// How many observations were at most as great as each of some bounds.
#[derive(Debug)]
pub struct Histogram {
    /// So many of what is observed make one of what is shown.
    scale: f64,
    /// Each bound, with those that are at most it and greater than the one before.
    buckets: Vec<(u64, Counter)>,
    /// Those that are greater than the last bound.
    beyond: Counter,
    sum: Counter,
}

impl Histogram {
    /// Of plain numbers.
    pub fn plain(bounds: &[u64]) -> Histogram {
        Histogram {
            scale: 1.0,
            buckets: bounds.iter().map(|bound| (*bound, Counter::default())).collect(),
            beyond: Counter::default(),
            sum: Counter::default(),
        }
    }

    /// Of times from a tenth of a millisecond (a request from memory) to ten seconds (a disk that is about to fail):
    /// counted in microseconds, shown in seconds.
    pub fn durations() -> Histogram {
        let bounds = [
            100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000,
            10_000_000,
        ];
        Histogram { scale: 1e6, ..Histogram::plain(&bounds) }
    }

    /// One observation.
    pub fn observe(&self, value: u64) {
        let bucket = self.buckets.iter().find(|(bound, _)| value <= *bound);
        bucket.map_or(&self.beyond, |(_, counter)| counter).add(1);
        self.sum.add(value);
    }

    /// One observation, of [`Histogram::durations`].
    pub fn observe_time(&self, time: Duration) {
        self.observe(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// Each bound as it is shown, with all that are at most it.
    pub fn cumulative(&self) -> Vec<(f64, u64)> {
        let mut total = 0;
        let up_to = |(bound, counter): &(u64, Counter)| {
            total += counter.get();
            (self.shown(*bound), total)
        };
        self.buckets.iter().map(up_to).collect()
    }

    /// How many are greater than the last bound.
    pub fn beyond(&self) -> u64 {
        self.beyond.get()
    }

    /// Of all observations, as it is shown.
    pub fn sum(&self) -> f64 {
        self.shown(self.sum.get())
    }

    #[allow(clippy::cast_precision_loss, reason = "a number for a graph")]
    fn shown(&self, value: u64) -> f64 {
        value as f64 / self.scale
    }
}
