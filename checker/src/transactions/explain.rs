//! Anomalies as sentences.

use super::{Anomaly, Dependency, Names, Step};

impl Anomaly {
    /// One sentence that stands alone.
    #[must_use]
    pub fn title(&self, names: &Names<'_>) -> String {
        let t = names.transaction;
        let what = match self {
            Self::Internal { transaction, key } => format!(
                "{} contradicts itself about {}",
                t(*transaction),
                (names.key)(*key)
            ),
            Self::DuplicateElements { key, element, .. } => format!(
                "{} is twice in {}, though it was appended once",
                (names.element)(*element),
                (names.key)(*key)
            ),
            Self::UnwrittenRead { key, element, .. } => format!(
                "{} is in {}, though nobody appends it",
                (names.element)(*element),
                (names.key)(*key)
            ),
            Self::AbortedRead { key, element, .. } => format!(
                "{} is in {}, though its transaction aborted",
                (names.element)(*element),
                (names.key)(*key)
            ),
            Self::IntermediateRead { key, .. } => {
                format!("a read of {} saw half a transaction", (names.key)(*key))
            }
            Self::OutOfOrder { key, .. } => format!(
                "{} holds the appends of a transaction in another order",
                (names.key)(*key)
            ),
            Self::DirtyUpdate { key, .. } => format!(
                "an append to {} came on top of one that aborted",
                (names.key)(*key)
            ),
            Self::IncompatibleOrder { key, .. } => {
                format!("two reads of {} cannot both be right", (names.key)(*key))
            }
            Self::LostUpdate { key, .. } => format!(
                "two transactions appended to the same version of {}",
                (names.key)(*key)
            ),
            Self::Cycle { steps, .. } => format!(
                "{} transactions must each come before the next, and the last before the first",
                steps.len()
            ),
        };
        format!("{}: {what}", self.name())
    }

    /// The argument, one sentence a line; the last says what it rules out.
    #[must_use]
    pub fn sentences(&self, names: &Names<'_>) -> Vec<String> {
        let (t, k, e) = (names.transaction, names.key, names.element);
        let mut lines = match self {
            Self::Internal { transaction, key } => vec![format!(
                "{} read {} as something else than what its own operations before that left there, or with an append of its own that it made later.",
                t(*transaction),
                k(*key)
            )],
            Self::DuplicateElements {
                reader,
                key,
                element,
            } => vec![format!(
                "{} read {} with {} twice, and one transaction appends it, once.",
                t(*reader),
                k(*key),
                e(*element)
            )],
            Self::UnwrittenRead {
                reader,
                key,
                element,
            } => vec![format!(
                "{} read {} with {}, and no transaction appends that.",
                t(*reader),
                k(*key),
                e(*element)
            )],
            Self::AbortedRead {
                writer,
                reader,
                key,
                element,
            } => vec![
                format!(
                    "{} tried to append {} to {}, and aborted.",
                    t(*writer),
                    e(*element),
                    k(*key)
                ),
                format!("{} read {} with it.", t(*reader), k(*key)),
            ],
            Self::IntermediateRead {
                writer,
                reader,
                key,
                element,
            } => vec![
                format!(
                    "{} appended {} to {}, and then more.",
                    t(*writer),
                    e(*element),
                    k(*key)
                ),
                format!(
                    "{} read {} up to {} and no further.",
                    t(*reader),
                    k(*key),
                    e(*element)
                ),
            ],
            Self::OutOfOrder {
                writer,
                reader,
                key,
                elements: [first, then],
            } => vec![
                format!(
                    "{} appended {} to {}, and {} after it.",
                    t(*writer),
                    e(*first),
                    k(*key),
                    e(*then)
                ),
                format!(
                    "{} read {} with {}, and not with {} before it.",
                    t(*reader),
                    k(*key),
                    e(*then),
                    e(*first)
                ),
            ],
            Self::DirtyUpdate {
                aborted,
                committed,
                key,
                elements: [under, over],
            } => vec![
                format!(
                    "{} tried to append {} to {}, and aborted.",
                    t(*aborted),
                    e(*under),
                    k(*key)
                ),
                format!(
                    "{} appended {} after it, and committed.",
                    t(*committed),
                    e(*over)
                ),
            ],
            Self::IncompatibleOrder {
                readers: [one, other],
                key,
                place,
                elements: [here, there],
            } => vec![
                format!(
                    "{} read {} with {} in place {}.",
                    t(*one),
                    k(*key),
                    e(*here),
                    place + 1
                ),
                format!("{} read the same list with {} there.", t(*other), e(*there)),
                "Lists only grow, so one of two reads is the beginning of the other.".to_owned(),
            ],
            Self::LostUpdate {
                key,
                read,
                transactions: [one, other],
            } => vec![
                format!(
                    "{} read {} {}, and appended to it.",
                    t(*one),
                    k(*key),
                    up_to(*read, names)
                ),
                format!("{} read the same, and appended to it as well.", t(*other)),
                "Whichever came second did not see the first.".to_owned(),
            ],
            Self::Cycle { steps, .. } => match stale(steps, names) {
                Some(line) => vec![line],
                None => steps.iter().map(|step| dependency(step, names)).collect(),
            },
        };
        let models = self.weakest_ruled_out().iter().map(|model| model.name());
        let models: Vec<_> = models.collect();
        lines.push(format!(
            "This rules out {}, and every stronger model.",
            models.join(" and ")
        ));
        lines
    }
}

fn up_to(read: Option<u64>, names: &Names<'_>) -> String {
    match read {
        Some(element) => format!("up to {}", (names.element)(element)),
        None => "empty".to_owned(),
    }
}

/// A stale read, in one sentence.
fn stale(steps: &[Step], names: &Names<'_>) -> Option<String> {
    let (rw, back) = match steps {
        [a, b] if b.because == Dependency::RealTime => (a, b),
        [a, b] if a.because == Dependency::RealTime => (b, a),
        _ => return None,
    };
    let Dependency::ReadWrite { key, then, .. } = rw.because else {
        return None;
    };
    let t = names.transaction;
    Some(format!(
        "{} appended {} to {}, {} read {} without it although {} began after {} had returned.",
        t(back.from),
        (names.element)(then),
        (names.key)(key),
        t(rw.from),
        (names.key)(key),
        t(rw.from),
        t(back.from),
    ))
}

fn dependency(step: &Step, names: &Names<'_>) -> String {
    let (t, k, e) = (names.transaction, names.key, names.element);
    let (from, to) = (t(step.from), t(step.to));
    match step.because {
        Dependency::WriteWrite { key, first, then } => format!(
            "{from} appended {} to {}, and {to} appended {} after it.",
            e(first),
            k(key),
            e(then)
        ),
        Dependency::WriteRead { key, element } => format!(
            "{from} appended {} to {}, and {to} read it.",
            e(element),
            k(key)
        ),
        Dependency::ReadWrite { key, read, then } => format!(
            "{from} read {} {}, without {}, which {to} appended.",
            k(key),
            up_to(read, names),
            e(then)
        ),
        Dependency::Process => {
            format!("{from} was answered before the same process sent {to}.")
        }
        Dependency::RealTime => format!("{from} had returned when {to} began."),
    }
}
