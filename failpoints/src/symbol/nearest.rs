//! The names nearest to one that is not there.

use super::pattern::{Name, Pattern};

/// How many names are given.
const NEAREST: usize = 5;
/// Below this likeness, of 1, a name helps nobody.
const LIKENESS: f64 = 0.4;

/// The full names nearest to a pattern, nearest first.
///
/// What the compiler derived from the function comes first: it shows that the
/// function exists and was inlined.
pub(super) fn nearest<'a>(
    pattern: &Pattern<'_>,
    names: impl Iterator<Item = &'a str>,
) -> Vec<String> {
    let method = |symbol: &str| symbol.rsplit('.').next().unwrap_or_default().to_owned();
    let wanted = method(pattern.symbol());
    let mut scored: Vec<(f64, &str)> = Vec::new();
    for full in names {
        let name = Name::new(full);
        if pattern.matches_origin_of(&name) {
            scored.push((2.0, full));
            continue;
        }
        if !name.derived.is_empty() {
            continue;
        }
        let same = pattern
            .slashes()
            .map_or(name.symbol(), |slashes| name.tail(slashes));
        let mut score = 0.0;
        // A name of twice the length is never near, and comparing is dear.
        if same.len() <= 2 * pattern.base().len() + 8 {
            score = strsim::normalized_levenshtein(pattern.base(), same);
        }
        let method = method(name.symbol());
        if !wanted.is_empty() && method.eq_ignore_ascii_case(&wanted) {
            score = (score + 1.0) / 2.0;
        }
        if score >= LIKENESS {
            scored.push((score, full));
        }
    }
    scored.sort_by(|(a, one), (b, other)| {
        b.total_cmp(a)
            .then(one.len().cmp(&other.len()))
            .then(one.cmp(other))
    });
    scored.dedup_by_key(|(_, name)| *name);
    scored.truncate(NEAREST);
    scored
        .into_iter()
        .map(|(_, name)| name.to_owned())
        .collect()
}
