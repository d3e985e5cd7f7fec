//! What two or three operations prove by themselves.

use super::super::facts::Shown;
use super::super::leases::time_to_live;
use super::super::operation::Role;
use super::super::revisions::Op;
use super::{Teller, millis, push_once};
use crate::history::Request;
use crate::model::describe;
use crate::verdict::Finding;

impl Teller<'_, '_> {
    pub(in super::super) fn made_first_revision(&self, op: Op) -> Finding {
        let title = format!(
            "{} made revision 1, which is the empty store's",
            self.name(op)
        );
        let lines = vec![
            format!("{} returned revision 1.", self.full(op)),
            "The store starts at revision 1, and each write adds 1.".to_owned(),
        ];
        self.finding(title, lines, &[op])
    }

    pub(in super::super) fn duplicate(&self, revision: i64, first: Op, second: Op) -> Finding {
        let title = format!("two different writes both made revision {revision}");
        let mut lines = vec![
            format!("{} returned revision {revision}.", self.full(first)),
            format!("{} returned revision {revision} too.", self.full(second)),
            "Each write adds exactly 1 to the revision, so two different writes cannot share one."
                .to_owned(),
        ];
        let (one, other) = (self.op(first).member, self.op(second).member);
        if one != other {
            lines.push(format!("{one} and {other} have applied different logs."));
        }
        self.finding(title, lines, &[first, second])
    }

    /// `earlier` must come before `later` by revision, but `later` had returned before `earlier`
    /// was invoked.
    pub(in super::super) fn inversion(&self, earlier: Op, later: Op) -> Finding {
        let low = self.op(earlier).order_revision().unwrap_or(0);
        let high = self.op(later).order_revision().unwrap_or(0);
        let write = matches!(self.op(earlier).role, Role::Write(_));
        let (low_name, high_name) = (self.name(earlier), self.name(later));
        let title = if low == high {
            format!("{high_name} saw revision {high} before the write that made it was invoked")
        } else if write {
            format!(
                "the revision went back: {low_name} made revision {low} after revision {high} had \
                 been returned"
            )
        } else {
            format!(
                "stale read: {low_name} saw revision {low} after revision {high} had been returned"
            )
        };
        let why = if low == high {
            "What saw a revision cannot have returned before the write that made it was invoked."
                .to_owned()
        } else if write {
            format!(
                "A write makes a revision above all that came before it, so it had to make one \
                 above {high}."
            )
        } else {
            format!("A read sees everything that came before it, so it had to see {high} or more.")
        };
        let lines = vec![
            format!("{} returned revision {high}.", self.full(later)),
            format!(
                "{} was invoked after that, and returned revision {low}.",
                self.full(earlier)
            ),
            why,
        ];
        self.finding(title, lines, &[later, earlier])
    }

    /// An answer shows a key-value that its revision's write did not put there.
    pub(in super::super) fn not_written(&self, shown: Shown, writer: Op) -> Finding {
        let (revision, key) = (shown.kv.mod_revision, &shown.kv.key);
        let mut put = None;
        self.op(writer).each_put(|request| {
            if request.key == *key {
                put = Some(&request.value);
            }
        });
        let (title, did) = match put {
            Some(value) => (
                format!("lost write: {key} at revision {revision} is not what its write put there"),
                format!("put {value:?} to {key}"),
            ),
            None => (
                format!("{key} is shown with revision {revision}, which did not write it"),
                format!("did not write {key}"),
            ),
        };
        let lines = vec![
            format!("{} made revision {revision} and {did}.", self.full(writer)),
            format!(
                "{} shows {}.",
                self.full(shown.op),
                describe(Some(shown.kv))
            ),
            "The acknowledged write is lost, or another one was made at the same revision."
                .to_owned(),
        ];
        about(shown, self.finding(title, lines, &[writer, shown.op]))
    }

    /// An answer shows a value that no request can have put there.
    pub(in super::super) fn nobody_wrote(&self, shown: Shown) -> Finding {
        let (revision, key, value) = (shown.kv.mod_revision, &shown.kv.key, &shown.kv.value);
        let shows = format!(
            "{} shows {}.",
            self.full(shown.op),
            describe(Some(shown.kv))
        );
        let wrote = |op: Op| {
            let mut found = false;
            self.op(op)
                .each_put(|put| found |= put.key == *key && put.value == *value);
            found
        };
        let puts = self
            .facts
            .keys
            .get(key)
            .map_or(&[][..], |facts| facts.puts.as_slice());
        let refused = self
            .facts
            .refused_puts
            .get(&(key, value))
            .and_then(|ops| ops.first());
        let (title, lines, ops) = if let Some((made, op)) = puts.iter().find(|(_, op)| wrote(*op)) {
            let title = format!(
                "{key} is shown with revision {revision}, but its write made revision {made}"
            );
            let lines = vec![
                format!(
                    "{} put that value and made revision {made}.",
                    self.full(*op)
                ),
                shows,
                format!("No other request put it, so nothing can have at {revision}."),
            ];
            (title, lines, vec![*op, shown.op])
        } else if let Some(op) = refused {
            let title = format!(
                "a refused request took effect: {key} holds its value since revision {revision}"
            );
            let lines = vec![
                format!(
                    "{} was refused, which claims that it had no effect.",
                    self.full(*op)
                ),
                shows,
                "No other request put that value: the refused one took effect.".to_owned(),
            ];
            (title, lines, vec![*op, shown.op])
        } else {
            let title = format!("{key} holds a value that nobody wrote, at revision {revision}");
            let line = "No request in the history that can have taken effect put that value.";
            (title, vec![shows, line.to_owned()], vec![shown.op])
        };
        about(shown, self.finding(title, lines, &ops))
    }

    /// A write changed a key that an answer shows unchanged since before.
    pub(in super::super) fn unseen_write(
        &self,
        shown: Shown,
        writer: Op,
        revision: i64,
    ) -> Finding {
        let (key, at) = (&shown.kv.key, shown.current_at);
        let title = format!(
            "lost write: {} does not show the write to {key} at revision {revision}",
            self.name(shown.op)
        );
        let lines = vec![
            format!(
                "{} changed {key} at revision {revision}.",
                self.full(writer)
            ),
            format!(
                "{} shows the state at revision {at}, and there {}.",
                self.full(shown.op),
                describe(Some(shown.kv))
            ),
            format!("At revision {at} the write at {revision} must be seen: it is lost."),
        ];
        let mut finding = self.finding(title, lines, &[writer, shown.op]);
        push_once(&mut finding.revisions, revision);
        about(shown, finding)
    }

    pub(in super::super) fn pinned_to_future(&self, op: Op, revision: i64) -> Finding {
        let header = self.op(op).proves_revision().unwrap_or(0);
        let title = format!(
            "{} read revision {revision} at revision {header}",
            self.name(op)
        );
        let lines = vec![format!(
            "{} asked for revision {revision} and was answered at revision {header}, when that did \
             not exist yet: the answer had to be an error.",
            self.full(op),
        )];
        self.finding(title, lines, &[op])
    }

    /// The title and the first line of a phantom revision, and the operation that first proves
    /// that the revision exists.
    pub(super) fn must_exist(&self, gap: i64) -> (String, String, Op) {
        let all = &self.operations.all;
        let proves = |op: &Op| {
            let revision = all[*op].proves_revision().unwrap_or(0);
            revision > gap || revision == gap && !matches!(all[*op].role, Role::Write(_))
        };
        let first = (0..all.len())
            .filter(proves)
            .min_by_key(|op| (all[*op].ret, *op));
        let op = first.expect("a gap lies at or below a revision that was returned");
        let proven = self.op(op).proves_revision().unwrap_or(0);
        let saw = match self.op(op).role {
            Role::SawCompacted(_) => {
                format!("was told that a revision below {proven} is compacted")
            }
            _ => format!("returned revision {proven}"),
        };
        let title = format!("phantom revision: nothing can have made revision {gap}");
        let line = format!(
            "{} {saw}, so revision {gap} had been made by then.",
            self.full(op)
        );
        (title, line, op)
    }

    /// The first revisions up to `gap` need more writes than there are.
    pub(in super::super) fn phantom(&self, gap: i64, gaps: usize, candidates: usize) -> Finding {
        let (title, first, op) = self.must_exist(gap);
        let mut lines = vec![first];
        lines.push(if candidates == 0 {
            format!(
                "No acknowledged write made revision {gap}, and by then no write whose result is \
                 unknown had been invoked, and no lease can have expired."
            )
        } else {
            format!(
                "Of the revisions up to {gap}, {gaps} were not made by an acknowledged write, but \
                 by then only {candidates} writes with unknown result had been invoked or leases \
                 can have expired."
            )
        });
        let by = self.op(op).ret;
        let granted = self.operations.all.iter().filter(|op| {
            matches!(op.request, Request::LeaseGrant { .. })
                && matches!(op.role, Role::Read(_) | Role::Maybe)
                && op.call <= by
        });
        let expiry = granted
            .map(|op| op.call.saturating_add(time_to_live(op)))
            .min();
        if let Some(expiry) = expiry.filter(|expiry| *expiry > by) {
            lines.push(format!(
                "Leases had been granted by then, but none can have expired before {}.",
                millis(expiry)
            ));
        }
        let mut finding = self.finding(title, lines, &[op]);
        push_once(&mut finding.revisions, gap);
        finding
    }
}

/// Names what was shown too.
fn about(shown: Shown, mut finding: Finding) -> Finding {
    push_once(&mut finding.revisions, shown.kv.mod_revision);
    push_once(&mut finding.keys, shown.kv.key.to_string());
    finding
}
