//! The smallest sequence that still differs in the same way.

use std::time::{Duration, Instant};

use crate::clean::clean;
use crate::pair::{Difference, Pair};
use crate::step::Step;
use crate::tally::Tally;

/// After this long it is small enough.
const LONG_ENOUGH: Duration = Duration::from_secs(30);

pub(crate) struct Shrinker<'a> {
    pair: &'a mut Pair,
    signature: String,
    until: Instant,
}

impl<'a> Shrinker<'a> {
    pub(crate) fn new(pair: &'a mut Pair, signature: String) -> Self {
        Self {
            pair,
            signature,
            until: Instant::now() + LONG_ENOUGH,
        }
    }

    /// Drops requests, then fields of requests; none if the whole does not differ again.
    pub(crate) async fn shrink(mut self, steps: &[Step]) -> Option<(Vec<Step>, Difference)> {
        let mut found = self.try_again(steps).await?;
        let mut steps = steps[..=found.step].to_vec();
        let mut chunk = steps.len().div_ceil(2);
        loop {
            let mut start = 0;
            while start < steps.len() && Instant::now() < self.until {
                let end = (start + chunk).min(steps.len());
                let fewer = [&steps[..start], &steps[end..]].concat();
                match self.try_again(&fewer).await {
                    Some(difference) => {
                        steps = fewer[..=difference.step].to_vec();
                        found = difference;
                    }
                    None => start = end,
                }
            }
            if chunk == 1 {
                break;
            }
            chunk = chunk.div_ceil(2);
        }
        for index in 0..steps.len() {
            self.simplify(&mut steps, &mut found, index).await;
        }
        Some((steps, found))
    }

    async fn simplify(&mut self, steps: &mut [Step], found: &mut Difference, index: usize) {
        let Some(request) = steps[index].request_mut() else {
            return;
        };
        let fields: Vec<_> = request.fields().map(|(field, _)| field).collect();
        for field in fields {
            if Instant::now() > self.until {
                return;
            }
            let mut simpler = steps.to_vec();
            if let Some(request) = simpler[index].request_mut() {
                request.clear_field(&field);
            }
            if let Some(difference) = self.try_again(&simpler).await
                && difference.step + 1 == steps.len()
            {
                steps.clone_from_slice(&simpler);
                *found = difference;
            }
        }
    }

    async fn try_again(&mut self, steps: &[Step]) -> Option<Difference> {
        let difference = self.pair.run(steps, &mut Tally::default()).await;
        let alive = difference
            .as_ref()
            .is_none_or(|found| found.deaths.is_empty());
        if !alive || !clean(self.pair, steps).await {
            self.pair.restart().await;
        }
        difference.filter(|found| found.signature() == self.signature)
    }
}
