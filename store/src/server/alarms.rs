//! Alarms that are raised, as in etcd's server/etcdserver/api/v3alarm.

use std::collections::BTreeSet;
use std::sync::Mutex;

use api::pb::etcdserverpb::{AlarmMember, AlarmType};
use prost::Message as _;

use crate::backend::{Backend, Batch, Bucket};

/// Which member has raised which alarm.
#[derive(Debug)]
pub(crate) struct Alarms(Mutex<BTreeSet<(i32, u64)>>);

impl Alarms {
    pub(crate) fn read(backend: &Backend) -> Self {
        Self(Mutex::new(stored(backend)))
    }

    pub(crate) fn read_again(&self, backend: &Backend) {
        *self.lock() = stored(backend);
    }

    /// Gives whether it is new.
    pub(crate) fn raise(&self, batch: &mut Batch<'_>, alarm: AlarmMember) -> bool {
        let new = self.lock().insert((alarm.alarm, alarm.member_id));
        if new {
            batch.put(Bucket::Alarm, &alarm.encode_to_vec(), &[]);
        }
        new
    }

    /// Gives whether it was raised.
    pub(crate) fn disarm(&self, batch: &mut Batch<'_>, alarm: AlarmMember) -> bool {
        let raised = self.lock().remove(&(alarm.alarm, alarm.member_id));
        if raised {
            batch.delete(Bucket::Alarm, &alarm.encode_to_vec());
        }
        raised
    }

    /// Those of a type; of all types for [`AlarmType::None`].
    pub(crate) fn of(&self, kind: AlarmType) -> Vec<AlarmMember> {
        self.lock()
            .iter()
            .filter(|(alarm, _)| kind == AlarmType::None || *alarm == kind as i32)
            .map(|&(alarm, member_id)| AlarmMember { member_id, alarm })
            .collect()
    }

    pub(crate) fn is_raised(&self, kind: AlarmType) -> bool {
        self.lock().iter().any(|(alarm, _)| *alarm == kind as i32)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<(i32, u64)>> {
        self.0.lock().expect("nobody panics while holding it")
    }
}

fn stored(backend: &Backend) -> BTreeSet<(i32, u64)> {
    let pairs = backend.range(Bucket::Alarm, &[], None, 0);
    let alarms = pairs.iter().filter_map(|(key, _)| {
        let alarm = AlarmMember::decode(key.as_slice());
        alarm
            .inspect_err(|error| crate::warning!("unreadable alarm", "error": error.to_string()))
            .ok()
    });
    alarms.map(|alarm| (alarm.alarm, alarm.member_id)).collect()
}
