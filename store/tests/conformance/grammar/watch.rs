//! Watches: created with all options, cancelled, and what they deliver.

use api::pb::etcdserverpb::{self as pb, watch_request::RequestUnion};

use super::{Dice, kv};
use crate::step::Step;
use crate::translate::at;
use crate::wire;

fn step_of(stream: usize, request_union: Option<RequestUnion>) -> Step {
    let request = pb::WatchRequest { request_union };
    Step::Watch {
        stream,
        request: wire::dynamic(wire::message("etcdserverpb.WatchRequest"), &request),
        user: None,
    }
}

pub(super) fn create(dice: &mut Dice) -> Step {
    let (key, range_end) = kv::span(dice);
    let filters = match dice.between(0, 7) {
        0 => vec![0],
        1 => vec![1],
        2 => vec![0, 1],
        3 if dice.one_in(4) => vec![7],
        _ => vec![],
    };
    let create = pb::WatchCreateRequest {
        key,
        range_end,
        start_revision: match dice.between(0, 19) {
            0..=7 => 0,
            8..=9 => 1,
            10 => at(100),
            _ => at(dice.between(0, 10)),
        },
        progress_notify: dice.one_in(4),
        filters,
        prev_kv: dice.one_in(2),
        watch_id: dice.weighted(&[(12, 0), (3, 1), (3, 2), (2, 3), (1, 77), (1, -1), (1, -7)]),
        fragment: dice.one_in(4),
    };
    step_of(stream(dice), Some(RequestUnion::CreateRequest(create)))
}

fn stream(dice: &mut Dice) -> usize {
    dice.weighted(&[(3, 0), (1, 1)])
}

/// Events that are on their way when a watch is cancelled may be lost or not, so all must be there.
fn cancel(dice: &mut Dice) -> [Step; 2] {
    let cancel = pb::WatchCancelRequest {
        watch_id: dice.pick(&[0, 0, 1, 1, 2, 3, 42, -1]),
    };
    let step = step_of(stream(dice), Some(RequestUnion::CancelRequest(cancel)));
    [Step::Settle, step]
}

/// Steps of a sequence that watches.
pub(super) fn steps(dice: &mut Dice) -> Vec<Step> {
    match dice.between(0, 29) {
        0..=5 => vec![create(dice)],
        6..=7 => cancel(dice).into(),
        8 if dice.one_in(3) => vec![step_of(stream(dice), None)],
        8 => vec![Step::Settle],
        _ => vec![kv::step(dice)],
    }
}
