//! Links: ways and shapes drawn, and the other ends found.

use super::Steps;
use crate::check;
use crate::plan::{Action, How, Shape, Target};
use crate::scenario::{ActionSpec, CutSpec, DoSpec, EndsSpec, SlowSpec};

impl Steps<'_, '_> {
    /// The shape of a cut; none if that is the leader away.
    pub(super) fn shape(&mut self, spec: &DoSpec, index: usize) -> Option<Shape> {
        let ActionSpec::Cut(cut) = &spec.action else {
            return Some(Shape::default());
        };
        let shape = *self.log.pick(&cut.shape);
        if cut.shape.len() > 1 {
            let known = Shape::ALL.iter().find(|(_, known)| *known == shape);
            let path = format!("steps.{}.action.shape", index + 1);
            self.log.note(path, known.map_or("", |(name, _)| *name));
        }
        shape
    }

    pub(super) fn cut(
        &mut self,
        spec: &CutSpec,
        shape: Shape,
        index: usize,
        target: Target,
    ) -> Action {
        let how = *self.log.pick(&spec.how);
        if spec.how.len() > 1 {
            let known = How::ALL.iter().find(|(_, known)| *known == how);
            let path = format!("steps.{}.action.how", index + 1);
            self.log.note(path, known.map_or("", |(name, _)| *name));
        }
        Action::Cut {
            target,
            how,
            shape,
            to: self.to(&spec.ends, index),
            clients: spec.ends.clients,
        }
    }

    pub(super) fn slow_link(&mut self, spec: &SlowSpec, index: usize, target: Target) -> Action {
        let path = |name: &str| format!("steps.{}.action.{name}", index + 1);
        let delay_us = self.log.count(path("delay_us"), &spec.delay);
        let jitter_us = self.log.count(path("jitter_us"), &spec.jitter);
        let rate = self.log.count(path("bytes_per_second"), &spec.bandwidth);
        Action::SlowLink {
            target,
            to: self.to(&spec.ends, index),
            clients: spec.ends.clients,
            delay_us,
            jitter_us,
            bytes_per_second: (rate > 0).then_some(rate),
            seed: self.log.stream.bits().to_string(),
        }
    }

    pub(super) fn to(&mut self, spec: &EndsSpec, index: usize) -> Option<Target> {
        let choices = spec.to.as_ref()?;
        let text = self.log.pick(choices);
        let target = self.target(text, None);
        if choices.len() > 1 || text.ends_with("random") {
            let path = format!("steps.{}.action.to", index + 1);
            self.log.note(path, check::show(&target));
        }
        Some(target)
    }
}
