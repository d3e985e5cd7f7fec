//! Answers in a line.

use checker::history::{
    DeleteResponse, ErrorOrigin, KeyValue, Outcome, PutResponse, RangeResponse, Response,
    TxnOpResponse, TxnResponse,
};

use super::{Detail, printable};

/// What a request came to, in a line; the revision stands elsewhere.
pub(crate) fn answer(outcome: Option<&Outcome>, detail: Detail) -> String {
    let text = match outcome {
        None => "no answer in the file".into(),
        Some(Outcome::Ok { response }) => response_words(response, detail),
        Some(Outcome::Error {
            code,
            message,
            origin,
        }) => error(*code, message, *origin),
    };
    detail.whole(text)
}

fn error(code: i32, message: &str, origin: ErrorOrigin) -> String {
    let message = printable(message);
    match origin {
        ErrorOrigin::Server => format!("{}: {message}", code_name(code)),
        ErrorOrigin::Client => format!("{}, made by the client: {message}", code_name(code)),
        ErrorOrigin::Deadline => format!("timed out: {message}"),
        ErrorOrigin::NotSent => format!("never sent: {message}"),
    }
}

fn code_name(code: i32) -> &'static str {
    const NAMES: [&str; 17] = [
        "Ok",
        "Cancelled",
        "Unknown",
        "InvalidArgument",
        "DeadlineExceeded",
        "NotFound",
        "AlreadyExists",
        "PermissionDenied",
        "ResourceExhausted",
        "FailedPrecondition",
        "Aborted",
        "OutOfRange",
        "Unimplemented",
        "Internal",
        "Unavailable",
        "DataLoss",
        "Unauthenticated",
    ];
    usize::try_from(code)
        .ok()
        .and_then(|code| NAMES.get(code))
        .unwrap_or(&"code out of range")
}

fn response_words(response: &Response, detail: Detail) -> String {
    match response {
        Response::Range(answer) => range(answer, detail),
        Response::Put(answer) => put(answer, detail),
        Response::Delete(answer) => delete(answer, detail),
        Response::Txn(answer) => txn(answer, detail),
        Response::Compact { .. } => "compacted".into(),
        Response::LeaseGrant { id, ttl, .. } => format!("lease {id:x}, {ttl} s"),
        Response::LeaseRevoke { .. } => "revoked".into(),
        Response::LeaseKeepAlive { ttl: 0, .. } => "lease is gone".into(),
        Response::LeaseKeepAlive { ttl, .. } => format!("{ttl} s from now"),
        Response::LeaseTimeToLive { ttl: -1, .. } => "lease is gone".into(),
        Response::LeaseTimeToLive {
            ttl,
            granted_ttl,
            keys,
            ..
        } => {
            let keys = detail.list(keys, ", ", |key| detail.key(key));
            format!("{ttl} of {granted_ttl} s left, keys: {keys}")
        }
        Response::WatchEnd { messages } => format!("ended after {messages} messages"),
        Response::Authenticate { token, .. } => format!("token {token}"),
        Response::Auth { .. } => "done".into(),
        Response::Cluster { members, .. } => {
            detail.list(members, ", ", |member| match member.name.as_str() {
                "" => format!("{:x} (not started)", member.id),
                name => format!("{} {:x}", printable(name), member.id),
            })
        }
        Response::Status(answer) => {
            let leads = answer.leader == answer.header.member_id;
            format!(
                "version {}, applied {}, term {}{}{}",
                printable(&answer.version),
                answer.raft_applied_index,
                answer.header.raft_term,
                if leads { ", leader" } else { "" },
                if answer.errors.is_empty() {
                    ""
                } else {
                    ", reports errors"
                },
            )
        }
        Response::HashKv(answer) => {
            format!(
                "hash {:08x}, compacted at {}",
                answer.hash, answer.compact_revision
            )
        }
        Response::Defragment { .. } => "defragmented".into(),
        Response::MoveLeader { .. } => "moved".into(),
        Response::Snapshot { bytes, .. } => format!("{bytes} bytes"),
        Response::Alarms { alarms, .. } if alarms.is_empty() => "no alarms".into(),
        Response::Alarms { alarms, .. } => detail.list(alarms, ", ", |alarm| printable(alarm)),
    }
}

/// `k/1 = "v" (mod 12)`.
fn key_value(kv: &KeyValue, detail: Detail) -> String {
    let (key, value) = (detail.key(&kv.key), detail.value(&kv.value));
    format!("{key} = {value} (mod {})", kv.mod_revision)
}

fn range(answer: &RangeResponse, detail: Detail) -> String {
    if answer.kvs.is_empty() {
        return match answer.count {
            0 => "no key".into(),
            count => format!("{count} keys"),
        };
    }
    let mut text = detail.list(&answer.kvs, ", ", |kv| key_value(kv, detail));
    if answer.more || usize::try_from(answer.count) != Ok(answer.kvs.len()) {
        text.push_str(&format!(" of {} keys", answer.count));
    }
    text
}

fn put(answer: &PutResponse, detail: Detail) -> String {
    match &answer.prev_kv {
        Some(before) => format!("ok, before: {}", key_value(before, detail)),
        None => "ok".into(),
    }
}

fn delete(answer: &DeleteResponse, detail: Detail) -> String {
    let mut text = format!("{} deleted", answer.deleted);
    if !answer.prev_kvs.is_empty() {
        let before = detail.list(&answer.prev_kvs, ", ", |kv| key_value(kv, detail));
        text.push_str(&format!(", before: {before}"));
    }
    text
}

fn txn(answer: &TxnResponse, detail: Detail) -> String {
    let branch = if answer.succeeded {
        "guards held"
    } else {
        "guards failed"
    };
    if answer.responses.is_empty() {
        return branch.into();
    }
    let answers = detail.list(&answer.responses, "; ", |answer| match answer {
        TxnOpResponse::Range(answer) => range(answer, detail),
        TxnOpResponse::Put(answer) => put(answer, detail),
        TxnOpResponse::Delete(answer) => delete(answer, detail),
        TxnOpResponse::Txn(answer) => txn(answer, detail),
    });
    format!("{branch}: {answers}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_who_made_it() {
        let outcome = |origin| Outcome::Error {
            code: 14,
            message: "gone\u{7}".into(),
            origin,
        };
        let words = |origin| answer(Some(&outcome(origin)), Detail::SHORT);
        assert_eq!(words(ErrorOrigin::Server), "Unavailable: gone\\u{7}");
        assert_eq!(
            words(ErrorOrigin::Client),
            "Unavailable, made by the client: gone\\u{7}"
        );
        assert_eq!(words(ErrorOrigin::NotSent), "never sent: gone\\u{7}");
        assert_eq!(answer(None, Detail::SHORT), "no answer in the file");
    }

    #[test]
    fn a_limited_range_says_that_there_is_more() {
        let kv = KeyValue {
            mod_revision: 4,
            ..KeyValue::default()
        };
        let limited = RangeResponse {
            kvs: vec![kv],
            more: true,
            count: 9,
            ..Default::default()
        };
        let outcome = Outcome::Ok {
            response: Response::Range(limited),
        };
        assert_eq!(
            answer(Some(&outcome), Detail::SHORT),
            " = \"\" (mod 4) of 9 keys"
        );
    }
}
