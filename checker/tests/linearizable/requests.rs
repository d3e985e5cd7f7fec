//! What simulated clients ask for.

use checker::history::*;

use super::Simulation;

impl Simulation {
    fn key(&mut self) -> Bytes {
        format!("k{}", self.dice.below(self.shape.keys)).into()
    }

    fn value(&mut self) -> Bytes {
        self.fresh += 1;
        let value = match self.shape.values {
            0 => self.fresh,
            values => self.dice.below(values),
        };
        format!("v{value}").into()
    }

    fn lease(&mut self) -> i64 {
        match self.shape.leases {
            0 => {
                let known: Vec<i64> = self.leases.keys().copied().collect();
                if known.is_empty() {
                    0
                } else {
                    *self.dice.pick(&known)
                }
            }
            leases => i64::try_from(1 + self.dice.below(leases)).unwrap(),
        }
    }

    pub(super) fn request(&mut self) -> Request {
        let key = self.key();
        match self.dice.below(100) {
            0..35 => Request::Put(self.put(key)),
            35..55 => Request::Range(self.range(key)),
            55..65 => Request::Delete(self.delete(key)),
            65..85 => {
                let txn = self.txn(key, true);
                Request::Txn(txn)
            }
            85..88 => {
                let back = i64::try_from(self.dice.below(8)).unwrap();
                let revision = (self.store.revision() + 1 - back).max(1);
                Request::Compact {
                    revision,
                    physical: false,
                }
            }
            88..92 => {
                self.fresh += 1;
                let new = i64::try_from(self.fresh).unwrap();
                let id = if self.shape.leases == 0 {
                    new
                } else {
                    self.lease()
                };
                Request::LeaseGrant { id, ttl: 1 }
            }
            92..95 => Request::LeaseRevoke { id: self.lease() },
            95..97 => Request::LeaseKeepAlive { id: self.lease() },
            _ => {
                let range = RangeRequest {
                    serializable: true,
                    ..self.range(key)
                };
                Request::Range(RangeRequest {
                    revision: 0,
                    ..range
                })
            }
        }
    }

    fn put(&mut self, key: Bytes) -> PutRequest {
        let lease = if self.dice.percent(15) {
            self.lease()
        } else {
            0
        };
        let mut put = PutRequest {
            key,
            value: self.value(),
            lease,
            ..Default::default()
        };
        put.prev_kv = self.dice.percent(30);
        if self.dice.percent(5) {
            put.ignore_value = true;
            put.value = Bytes::default();
        } else if self.dice.percent(5) {
            put.ignore_lease = true;
            put.lease = 0;
        }
        put
    }

    fn delete(&mut self, key: Bytes) -> DeleteRequest {
        let prev_kv = self.dice.percent(50);
        if self.dice.percent(20) {
            let range_end = Bytes::from("k").prefix_end();
            return DeleteRequest {
                key,
                range_end,
                prev_kv,
            };
        }
        DeleteRequest {
            key,
            prev_kv,
            ..Default::default()
        }
    }

    fn range(&mut self, key: Bytes) -> RangeRequest {
        let mut range = RangeRequest {
            key,
            ..Default::default()
        };
        if self.dice.percent(50) {
            range.key = "k".into();
            range.range_end = if self.dice.percent(50) {
                range.key.prefix_end()
            } else {
                "\0".into()
            };
            range.limit = if self.dice.percent(30) { 2 } else { 0 };
            range.count_only = self.dice.percent(10);
            range.keys_only = self.dice.percent(10);
            if self.dice.percent(20) {
                range.sort_target = *self.dice.pick(&[
                    SortTarget::Key,
                    SortTarget::Mod,
                    SortTarget::Value,
                    SortTarget::Version,
                    SortTarget::Create,
                ]);
                range.sort_order = *self.dice.pick(&[SortOrder::Ascend, SortOrder::Descend]);
            }
            if self.dice.percent(10) {
                range.min_mod_revision = (self.store.revision() - 3).max(0);
            }
        }
        if self.dice.percent(25) {
            let back = i64::try_from(self.dice.below(6)).unwrap();
            range.revision = (self.store.revision() + 1 - back).max(1);
        }
        range
    }

    fn txn(&mut self, key: Bytes, nest: bool) -> TxnRequest {
        let known = self.seen.get(&key).copied().unwrap_or(0);
        let target = match self.dice.below(4) {
            0 => CompareTarget::Version(i64::try_from(self.dice.below(3)).unwrap()),
            1 => CompareTarget::Value(self.value()),
            2 => CompareTarget::Create(known),
            _ => CompareTarget::Mod(known),
        };
        let result = *self.dice.pick(&[
            CompareResult::Equal,
            CompareResult::Equal,
            CompareResult::Greater,
            CompareResult::Less,
            CompareResult::NotEqual,
        ]);
        let range_end = if self.dice.percent(10) {
            "\0".into()
        } else {
            Bytes::default()
        };
        let compare = vec![Compare {
            key: key.clone(),
            range_end,
            result,
            target,
        }];
        let other = self.key();
        let mut success = vec![TxnOp::Put(self.put(key.clone()))];
        if other != key {
            success.push(if self.dice.percent(50) {
                TxnOp::Put(self.put(other))
            } else {
                TxnOp::Delete(DeleteRequest {
                    key: other,
                    prev_kv: true,
                    ..Default::default()
                })
            });
        }
        if nest && self.dice.percent(10) {
            let mut inner = self.txn("n".into(), false);
            inner.success.truncate(1);
            success.push(TxnOp::Txn(inner));
        }
        let look = RangeRequest {
            revision: 0,
            ..self.range(key.clone())
        };
        success.push(TxnOp::Range(look.clone()));
        let mut failure = vec![TxnOp::Range(look)];
        if self.dice.percent(20) {
            failure.push(TxnOp::Delete(DeleteRequest {
                key,
                ..Default::default()
            }));
        }
        TxnRequest {
            compare,
            success,
            failure,
        }
    }
}
