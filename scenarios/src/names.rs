//! Closed lists of names, and the nearest of them to a name that is in none.

/// Names of `checker::verdict::Guarantee`, which this crate does not depend on.
pub const GUARANTEES: [&str; 8] = [
    "linearizable",
    "durable",
    "converges",
    "watch",
    "refused-has-no-effect",
    "auth-consistent",
    "process-stays-up",
    "live",
];

/// The end of an error about an unknown name: the nearest known ones, and all of them.
pub(crate) fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<_> = known.into_iter().collect();
    let all = known.join(", ");
    match nearest(name, &known) {
        hint if hint.is_empty() => format!("; allowed: {all}"),
        hint => format!("{hint} Allowed: {all}"),
    }
}

/// `; did you mean "a" or "b"?`, or nothing where none is near.
pub(crate) fn nearest(name: &str, known: &[&str]) -> String {
    let mut scored: Vec<_> = known
        .iter()
        .map(|k| (strsim::jaro_winkler(&name.to_lowercase(), k), *k))
        .filter(|(score, k)| *score > 0.85 || strsim::osa_distance(name, k) <= 2.min(k.len() / 2))
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let names: Vec<_> = scored
        .iter()
        .take(2)
        .map(|(_, k)| format!("{k:?}"))
        .collect();
    match names.is_empty() {
        true => String::new(),
        false => format!("; did you mean {}?", names.join(" or ")),
    }
}

/// `m1`, `m2`, …: names that only members have.
pub(crate) fn is_member_name(name: &str) -> bool {
    name.strip_prefix('m')
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let known = ["defragment", "kill", "restart"];
        assert_eq!(
            nearest("defragg", &known),
            r#"; did you mean "defragment"?"#
        );
        assert_eq!(nearest("KILL", &known), r#"; did you mean "kill"?"#);
        assert_eq!(nearest("zzz", &known), "");
    }
}
