//! The real `etcdctl` against the store. Where one member is enough the same commands go to a real
//! etcd too, and what they print has to be the same.
//!
//! `ETCD=/path/to/etcd cargo test -p gauntlet-store --test etcdctl -- --ignored`; `etcdctl` lies
//! beside etcd.
#![allow(clippy::unwrap_used)]

#[path = "etcdctl/cluster.rs"]
mod cluster;
#[path = "etcdctl/ctl.rs"]
mod ctl;
#[allow(dead_code)]
#[path = "conformance/member.rs"]
mod member;
mod member_support;

use ctl::{Ctl, Transcript, compare};

#[tokio::test]
#[ignore = "needs etcdctl: ETCD=…"]
async fn keys() {
    compare(|ctl: Ctl| {
        let mut all = Transcript::default();
        for command in [
            "put a 1",
            "put b 2",
            "put ab 3 --prev-kv",
            "put a 4 --prev-kv",
            "put b --ignore-value",
            "get a",
            "get a --rev=2",
            "get a -w json",
            "get a -w fields",
            "get a --prefix",
            "get a --prefix --keys-only",
            "get a c",
            "get b --from-key",
            "get a --prefix --sort-by=VALUE --order=DESCEND",
            "get a --prefix --sort-by=MODIFY --limit=1",
            "get a --prefix --count-only -w fields",
            "get nothing",
            "get a --rev=99",
            "put c 5 --lease=77",
            "del b --prev-kv",
            "del nothing",
            "compaction 3",
            "compaction 3",
            "compaction 99",
            "get a --rev=2",
            "compaction 4 --physical",
            "del a --prefix --prev-kv",
            "defrag",
        ] {
            all.run(&ctl, command);
        }
        all
    })
    .await;
}

#[tokio::test]
#[ignore = "needs etcdctl: ETCD=…"]
async fn transactions() {
    compare(|ctl: Ctl| {
        let mut all = Transcript::default();
        all.run(&ctl, "put a 1");
        for text in [
            "value(\"a\") = \"1\"\n\nput a 2\nget a\n\nget b\n\n",
            "mod(\"a\") < \"2\"\nver(\"b\") = \"0\"\n\nput b 1\n\ndel a\nput c 3\n\n",
            "create(\"c\") > \"1\"\n\nget a z\ndel c\n\nput d 4\n\n",
            "\n\nput a 1\nput a 2\n\n\n",
        ] {
            all.feed(&ctl, "txn", text);
            all.feed(&ctl, "txn -w json", text);
        }
        all.run(&ctl, "get a --from-key");
        all
    })
    .await;
}

#[tokio::test]
#[ignore = "needs etcdctl: ETCD=…"]
async fn watches() {
    compare(|ctl: Ctl| {
        let mut all = Transcript::default();
        for command in ["put a 1", "put a 2", "put b 3", "del a", "put c 4"] {
            all.run(&ctl, command);
        }
        all.watch(&ctl, "watch a --rev=2", 8);
        all.watch(&ctl, "watch a --rev=2 --prev-kv", 10);
        all.watch(&ctl, "watch a z --rev=4", 8);
        let mut live = ctl.start("watch a z --prev-kv --progress-notify");
        std::thread::sleep(std::time::Duration::from_millis(700));
        for command in ["put b 5", "put zz 1", "del b"] {
            all.run(&ctl, command);
        }
        all.note("watch a z", live.lines(9));
        all.run(&ctl, "compaction 5");
        all.watch(&ctl, "watch a --rev=2", 1);
        all
    })
    .await;
}

#[tokio::test]
#[ignore = "needs etcdctl: ETCD=…"]
async fn leases() {
    compare(|mut ctl: Ctl| {
        let mut all = Transcript::default();
        let id = all.lease(&mut ctl, "lease grant 600");
        for command in [
            format!("put a 1 --lease={id}"),
            format!("put b 2 --lease={id}"),
            format!("lease timetolive {id}"),
            format!("lease timetolive {id} --keys -w fields"),
            format!("lease keep-alive {id} --once"),
            "lease list".into(),
            "put a 2 --ignore-lease".into(),
            format!("lease revoke {id}"),
            format!("lease revoke {id}"),
            format!("lease timetolive {id}"),
            format!("lease keep-alive {id} --once"),
            "get a --from-key".into(),
            "lease list".into(),
            "lease grant 99999999999".into(),
        ] {
            all.run(&ctl, &command);
        }
        all
    })
    .await;
}

#[tokio::test]
#[ignore = "needs etcdctl: ETCD=…"]
async fn users_and_roles() {
    compare(|ctl: Ctl| {
        let mut all = Transcript::default();
        for command in [
            "auth status",
            "auth enable",
            "user add root:p",
            "role add root",
            "user grant-role root root",
            "user add alice:q",
            "user add alice:q",
            "user add nobody --no-password",
            "role add r",
            "role grant-permission r readwrite a c",
            "role grant-permission r read x --prefix",
            "role grant-permission r write z --from-key",
            "user grant-role alice r",
            "user grant-role alice none",
            "user get alice",
            "user get alice --detail",
            "role get r",
            "auth enable",
            "auth status --user root:p",
            "put b 1",
            "put b 1 --user alice:wrong",
            "put b 1 --user alice:q",
            "put c 1 --user alice:q",
            "get b --user alice:q",
            "get a c --user alice:q",
            "get a --from-key --user alice:q",
            "put zz 1 --user alice:q",
            "get zz --user alice:q",
            "role revoke-permission r a c --user root:p",
            "put b 2 --user alice:q",
            "user list --user root:p",
            "role list --user root:p",
            "user list --user alice:q",
            "user revoke-role alice r --user root:p",
            "user revoke-role alice r --user root:p",
            "user delete root --user root:p",
            "role delete r --user root:p",
            "user delete alice --user root:p",
            "endpoint hashkv",
            "auth disable --user root:p",
            "auth disable",
            "user list",
        ] {
            all.run(&ctl, command);
        }
        all.feed(&ctl, "user passwd root --interactive=false", "new\n");
        all
    })
    .await;
}

#[tokio::test]
#[ignore = "needs etcdctl: ETCD=…"]
async fn one_member() {
    compare(|ctl: Ctl| {
        let mut all = Transcript::default();
        for command in [
            "put a 1",
            "put b 2",
            "del a",
            "endpoint health",
            "endpoint hashkv -w json",
            "endpoint status -w json",
            "member list",
            "member list -w json",
            "alarm list",
            "alarm disarm",
            "member remove 1234",
            "member promote 1234",
            "member update 1234 --peer-urls=http://127.0.0.1:1",
            "member add x --peer-urls=nonsense",
            "move-leader 1234",
            "downgrade validate 3.4",
            "downgrade validate 3.3",
            "downgrade cancel",
        ] {
            all.run(&ctl, command);
        }
        all
    })
    .await;
}
