//! Requests in a line.

use checker::history::{
    AuthRequest, ClusterRequest, Compare, CompareResult, CompareTarget, DeleteRequest,
    MaintenanceRequest, PutRequest, RangeRequest, Request, TxnOp, TxnRequest, WatchRequest,
};

use super::{Detail, printable, range};

/// The request in a line.
pub(crate) fn request(request: &Request, detail: Detail) -> String {
    let text = match request {
        Request::Range(asked) => get(asked, detail),
        Request::Put(asked) => put(asked, detail),
        Request::Delete(asked) => delete(asked, detail),
        Request::Txn(asked) => txn(asked, detail),
        Request::Compact { revision, physical } => {
            format!(
                "compact at {revision}{}",
                if *physical { ", physical" } else { "" }
            )
        }
        Request::LeaseGrant { id, ttl } => match id {
            0 => format!("lease grant, {ttl} s"),
            id => format!("lease grant {id:x}, {ttl} s"),
        },
        Request::LeaseRevoke { id } => format!("lease revoke {id:x}"),
        Request::LeaseKeepAlive { id } => format!("lease keep-alive {id:x}"),
        Request::LeaseTimeToLive { id } => format!("lease time-to-live {id:x}"),
        Request::Watch(asked) => watch(asked, detail),
        Request::Authenticate { user, password } => {
            format!("log in as {} with {}", printable(user), printable(password))
        }
        Request::Auth(asked) => auth(asked, detail),
        Request::Cluster(asked) => cluster(asked),
        Request::Maintenance(asked) => maintenance(asked),
    };
    detail.whole(text)
}

fn with_options(mut text: String, options: &[(bool, &str)]) -> String {
    for (_, option) in options.iter().filter(|(set, _)| *set) {
        text.push_str(", ");
        text.push_str(option);
    }
    text
}

fn get(asked: &RangeRequest, detail: Detail) -> String {
    let verb = if asked.count_only {
        "count"
    } else if asked.range_end.is_empty() {
        "get"
    } else {
        "list"
    };
    let mut text = format!("{verb} {}", range(&asked.key, &asked.range_end, detail));
    if asked.revision > 0 {
        text.push_str(&format!(" at {}", asked.revision));
    }
    if asked.limit > 0 {
        text.push_str(&format!(", limit {}", asked.limit));
    }
    let bounded = asked.min_mod_revision != 0
        || asked.max_mod_revision != 0
        || asked.min_create_revision != 0
        || asked.max_create_revision != 0;
    let options = [
        (asked.serializable, "serializable"),
        (asked.keys_only, "keys only"),
        (bounded, "revision bounds"),
    ];
    with_options(text, &options)
}

fn put(asked: &PutRequest, detail: Detail) -> String {
    let mut text = format!(
        "put {} = {}",
        detail.key(&asked.key),
        detail.value(&asked.value)
    );
    if asked.lease != 0 {
        text.push_str(&format!(", lease {:x}", asked.lease));
    }
    let options = [
        (asked.prev_kv, "prev kv"),
        (asked.ignore_value, "ignore value"),
        (asked.ignore_lease, "ignore lease"),
    ];
    with_options(text, &options)
}

fn delete(asked: &DeleteRequest, detail: Detail) -> String {
    let text = format!("delete {}", range(&asked.key, &asked.range_end, detail));
    with_options(text, &[(asked.prev_kv, "prev kv")])
}

fn txn(asked: &TxnRequest, detail: Detail) -> String {
    let branch = |ops: &[TxnOp]| match ops {
        [] => "nothing".to_owned(),
        ops => detail.list(ops, "; ", |op| txn_op(op, detail)),
    };
    if asked.compare.is_empty() {
        return format!("txn {{ {} }}", branch(&asked.success));
    }
    let guards = detail.list(&asked.compare, " and ", |guard| compare(guard, detail));
    let then = branch(&asked.success);
    let otherwise = branch(&asked.failure);
    format!("txn if {guards} {{ {then} }} else {{ {otherwise} }}")
}

fn txn_op(op: &TxnOp, detail: Detail) -> String {
    match op {
        TxnOp::Range(asked) => get(asked, detail),
        TxnOp::Put(asked) => put(asked, detail),
        TxnOp::Delete(asked) => delete(asked, detail),
        TxnOp::Txn(asked) => txn(asked, detail),
    }
}

fn compare(guard: &Compare, detail: Detail) -> String {
    let (what, with) = match &guard.target {
        CompareTarget::Version(with) => ("version", with.to_string()),
        CompareTarget::Create(with) => ("create", with.to_string()),
        CompareTarget::Mod(with) => ("mod", with.to_string()),
        CompareTarget::Value(with) => ("value", detail.value(with)),
        CompareTarget::Lease(with) => ("lease", format!("{with:x}")),
    };
    let sign = match guard.result {
        CompareResult::Equal => "=",
        CompareResult::Greater => ">",
        CompareResult::Less => "<",
        CompareResult::NotEqual => "≠",
    };
    format!(
        "{what}({}) {sign} {with}",
        range(&guard.key, &guard.range_end, detail)
    )
}

fn watch(asked: &WatchRequest, detail: Detail) -> String {
    let mut text = format!("watch {}", range(&asked.key, &asked.range_end, detail));
    if asked.start_revision > 0 {
        text.push_str(&format!(" from {}", asked.start_revision));
    }
    let options = [
        (asked.prev_kv, "prev kv"),
        (asked.progress_notify, "progress"),
        (asked.filter_put, "no puts"),
        (asked.filter_delete, "no deletes"),
    ];
    with_options(text, &options)
}

fn auth(asked: &AuthRequest, detail: Detail) -> String {
    match asked {
        AuthRequest::Enable => "auth enable".into(),
        AuthRequest::Disable => "auth disable".into(),
        AuthRequest::UserAdd { user, .. } => format!("user add {}", printable(user)),
        AuthRequest::UserDelete { user } => format!("user delete {}", printable(user)),
        AuthRequest::UserChangePassword { user, password } => {
            format!("password of {} to {}", printable(user), printable(password))
        }
        AuthRequest::UserGrantRole { user, role } => {
            format!("grant role {} to {}", printable(role), printable(user))
        }
        AuthRequest::UserRevokeRole { user, role } => {
            format!("revoke role {} of {}", printable(role), printable(user))
        }
        AuthRequest::RoleAdd { role } => format!("role add {}", printable(role)),
        AuthRequest::RoleDelete { role } => format!("role delete {}", printable(role)),
        AuthRequest::RoleGrantPermission {
            role,
            key,
            range_end,
        } => {
            format!(
                "let {} use {}",
                printable(role),
                range(key, range_end, detail)
            )
        }
        AuthRequest::RoleRevokePermission {
            role,
            key,
            range_end,
        } => {
            format!(
                "bar {} from {}",
                printable(role),
                range(key, range_end, detail)
            )
        }
    }
}

fn cluster(asked: &ClusterRequest) -> String {
    match asked {
        ClusterRequest::List { linearizable: true } => "member list, linearizable".into(),
        ClusterRequest::List {
            linearizable: false,
        } => "member list".into(),
        ClusterRequest::Add { peer_urls, learner } => {
            let what = if *learner { "learner" } else { "member" };
            format!("add {what} {}", printable(&peer_urls.join(", ")))
        }
        ClusterRequest::Remove { id } => format!("remove member {id:x}"),
        ClusterRequest::Promote { id } => format!("promote member {id:x}"),
    }
}

fn maintenance(asked: &MaintenanceRequest) -> String {
    match asked {
        MaintenanceRequest::Status => "status".into(),
        MaintenanceRequest::HashKv { revision: 0 } => "hash".into(),
        MaintenanceRequest::HashKv { revision } => format!("hash at {revision}"),
        MaintenanceRequest::Defragment => "defragment".into(),
        MaintenanceRequest::MoveLeader { target } => format!("move leader to {target:x}"),
        MaintenanceRequest::AlarmList => "alarm list".into(),
        MaintenanceRequest::AlarmRaise { member } => format!("raise NOSPACE of {member:x}"),
        MaintenanceRequest::AlarmClear { member } => format!("clear NOSPACE of {member:x}"),
        MaintenanceRequest::Snapshot => "snapshot".into(),
    }
}

#[cfg(test)]
mod tests {
    use checker::history::Bytes;

    use super::*;

    #[test]
    fn a_compare_and_set_reads_as_a_sentence() {
        let key = Bytes::from("k/1");
        let target = CompareTarget::Mod(12);
        let guard = Compare {
            key: key.clone(),
            range_end: Bytes::default(),
            result: CompareResult::Equal,
            target,
        };
        let put = PutRequest {
            key: key.clone(),
            value: Bytes::from("v"),
            ..Default::default()
        };
        let get = RangeRequest {
            key,
            serializable: true,
            ..Default::default()
        };
        let txn = TxnRequest {
            compare: vec![guard],
            success: vec![TxnOp::Put(put)],
            failure: vec![TxnOp::Range(get)],
        };
        assert_eq!(
            request(&Request::Txn(txn), Detail::SHORT),
            "txn if mod(k/1) = 12 { put k/1 = \"v\" } else { get k/1, serializable }"
        );
    }
}
