use std::collections::BTreeMap;
use std::ops::Bound;

use super::{Bucket, Pair};

/// Writes that are still to be committed: the last one of every key, `None` where it is removed.
#[derive(Default)]
pub(super) struct Pending([BTreeMap<Vec<u8>, Option<Vec<u8>>>; Bucket::ALL.len()]);

impl Pending {
    pub(super) fn write(&mut self, bucket: Bucket, key: &[u8], value: Option<Vec<u8>>) {
        self.0[bucket as usize].insert(key.to_vec(), value);
    }

    /// `Some(None)`: removed. `None`: not written.
    pub(super) fn get(&self, bucket: Bucket, key: &[u8]) -> Option<Option<Vec<u8>>> {
        self.0[bucket as usize].get(key).cloned()
    }

    /// Takes over later writes.
    pub(super) fn absorb(&mut self, later: &mut Self) {
        for (earlier, later) in self.0.iter_mut().zip(&mut later.0) {
            // Not `append`, which walks all of `earlier`.
            earlier.extend(std::mem::take(later));
        }
    }

    pub(super) fn buckets(
        &self,
    ) -> impl Iterator<Item = (Bucket, &BTreeMap<Vec<u8>, Option<Vec<u8>>>)> {
        Bucket::ALL
            .into_iter()
            .map(|bucket| (bucket, &self.0[bucket as usize]))
            .filter(|(_, writes)| !writes.is_empty())
    }

    /// These writes over pairs that lie below, both in key order.
    pub(super) fn over<E>(
        &self,
        bucket: Bucket,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
        below: impl Iterator<Item = Result<Pair, E>>,
    ) -> Result<Vec<Pair>, E> {
        if end.is_some_and(|end| end <= start) {
            return Ok(Vec::new());
        }
        let bounds = (
            Bound::Included(start),
            end.map_or(Bound::Unbounded, Bound::Excluded),
        );
        let mut above = self.0[bucket as usize].range::<[u8], _>(bounds).peekable();
        let mut below = below.peekable();
        let mut pairs = Vec::new();
        while limit == 0 || pairs.len() < limit {
            let from_below = match (above.peek(), below.peek()) {
                (None, None) => break,
                (None, Some(_)) | (_, Some(Err(_))) => true,
                (Some(_), None) => false,
                (Some((above, _)), Some(Ok((below, _)))) => below < *above,
            };
            if from_below {
                pairs.extend(below.next().transpose()?);
                continue;
            }
            let Some((key, value)) = above.next() else {
                break;
            };
            if matches!(below.peek(), Some(Ok((below, _))) if below == key) {
                below.next();
            }
            if let Some(value) = value {
                pairs.push((key.clone(), value.clone()));
            }
        }
        Ok(pairs)
    }
}
