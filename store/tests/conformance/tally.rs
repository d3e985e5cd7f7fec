//! What was asked, and how often it was refused.

use std::collections::BTreeMap;
use std::fmt;

#[derive(Default)]
pub(crate) struct Tally {
    steps: BTreeMap<&'static str, Count>,
}

#[derive(Default)]
struct Count {
    all: u64,
    errors: BTreeMap<String, u64>,
}

impl Tally {
    pub(crate) fn count(&mut self, name: &'static str, outcome: &[String]) {
        let count = self.steps.entry(name).or_default();
        count.all += 1;
        if let [line] = outcome
            && line.starts_with("error")
        {
            *count.errors.entry(line.clone()).or_default() += 1;
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (name, count) in other.steps {
            let sum = self.steps.entry(name).or_default();
            sum.all += count.all;
            for (error, times) in count.errors {
                *sum.errors.entry(error).or_default() += times;
            }
        }
    }

    pub(crate) fn requests(&self) -> u64 {
        self.steps.values().map(|count| count.all).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in &self.steps {
            writeln!(f, "{:8} {name}", count.all)?;
            for (error, times) in &count.errors {
                writeln!(f, "         {times:6} {error}")?;
            }
        }
        Ok(())
    }
}
