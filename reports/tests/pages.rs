//! The page as a browser would meet it: whole, bounded, and deaf to what values say.

mod synthetic;

use checker::history::{Outcome, Record, Request};
use checker::verdict::{Guarantee, Verdict};
use reports::{PAGE_BYTES_MAX, Run, html, witness_text};
use serde_json::Value;
use synthetic::{MS, Made, Shape};

fn island(page: &str) -> Value {
    let marker = r#"<script id="run-data" type="application/json">"#;
    let (_, rest) = page.split_once(marker).expect("the island");
    let (json, _) = rest.split_once("</script>").expect("its end");
    serde_json::from_str(json).expect("JSON")
}

/// The page without island, script and style.
fn visible(page: &str) -> String {
    let mut text = String::new();
    let mut rest = page;
    for (open, close) in [
        ("<style>", "</style>"),
        ("<script", "</script>"),
        ("<script>", "</script>"),
    ] {
        let (before, after) = rest.split_once(open).expect(open);
        text.push_str(before);
        rest = after.split_once(close).expect(close).1;
    }
    text + rest
}

#[test]
fn every_verdict_has_a_page_and_the_page_loads_nothing() {
    for made in [
        synthetic::defrag_crash(),
        synthetic::holds(),
        synthetic::partial(),
    ] {
        let page = html(&made.run());
        assert!(page.starts_with("<!DOCTYPE html>"));
        for loader in [
            "<link", "<img", "<iframe", "src=", "url(", "@import", "fetch(", " style=", " onclick",
        ] {
            assert!(!page.contains(loader), "{loader}");
        }
        assert!(page.contains("default-src 'none'; style-src 'sha256-"));
        for section in [
            "witness",
            "checks",
            "reproduce",
            "timeline",
            "members",
            "faults",
            "plan",
            "health",
            "evidence",
        ] {
            assert!(
                page.contains(&format!(r#"<section id="{section}""#)),
                "{section}"
            );
        }
    }
}

#[test]
fn the_witness_leads_and_its_operations_are_on_the_timeline() {
    let made = synthetic::defrag_crash();
    let page = html(&made.run());
    let finding = &made.judgement.checks[0].findings[0];
    assert!(visible(&page).contains(&finding.title));
    let data = island(&page);
    assert_eq!(data["shown"], data["total"]);
    let ids: Vec<i64> = running(&data["ops"]["id"]);
    let labels: Vec<_> = data["witness"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["label"].as_str().unwrap(),
                ids[usize::try_from(one["op"].as_u64().unwrap()).unwrap()],
            )
        })
        .collect();
    let expected: Vec<i64> = finding
        .operations
        .iter()
        .map(|id| i64::try_from(*id).unwrap())
        .collect();
    assert_eq!(labels, [("A", expected[0]), ("B", expected[1])]);
    let starts = running(&data["ops"]["at"]);
    let focus = [
        data["focus"][0].as_i64().unwrap(),
        data["focus"][1].as_i64().unwrap(),
    ];
    let at = starts[ids.iter().position(|id| *id == expected[0]).unwrap()];
    assert!(focus[0] < at && at < focus[1], "{focus:?} holds {at}");
    assert!(
        focus[1] - focus[0] < 100_000,
        "the first view is near the witness: {focus:?}"
    );
}

fn running(differences: &Value) -> Vec<i64> {
    let differences = differences
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_i64().unwrap());
    differences
        .scan(0, |sum, one| {
            *sum += one;
            Some(*sum)
        })
        .collect()
}

#[test]
fn no_check_hides_another_and_one_that_did_not_run_is_not_green() {
    let made = synthetic::defrag_crash();
    let page = html(&made.run());
    for guarantee in Guarantee::ALL {
        assert!(page.contains(&format!(r#"<span class="guarantee">{guarantee}</span>"#)));
    }
    let rows: Vec<&str> = page.split(r#"class="check "#).skip(1).collect();
    assert_eq!(rows.len(), Guarantee::ALL.len());
    for (row, check) in rows.iter().zip(&made.judgement.checks) {
        let class = row.split('"').next().unwrap();
        let expected = match check.verdict {
            Verdict::Holds => "holds",
            Verdict::Violated => "violated",
            Verdict::Inconclusive => "inconclusive",
            Verdict::NotRun => "not-run",
        };
        assert_eq!(class, expected, "{}", check.guarantee);
        assert!(row.contains(&check.summary));
    }
}

#[test]
fn a_prefix_says_so() {
    let made = synthetic::partial();
    let page = visible(&html(&made.run()));
    assert!(page.contains("The run directory is a prefix"));
    assert!(page.contains("the last line is cut short"));
    assert!(page.contains("did not get as far as asking the members"));
    assert!(!page.contains(r#"class="banner holds""#));
}

#[test]
fn an_empty_directory_still_gives_a_report() {
    let made = synthetic::partial();
    let run = Run::new(&made.plan, &[], &[], &[], &made.judgement, &made.dir);
    let page = html(&run);
    assert!(page.contains("The history holds no operation."));
    assert_eq!(island(&page)["total"], 0);
    assert!(witness_text(&run).contains("INCONCLUSIVE"));
}

const HOSTILE: &str =
    "</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>&\u{2028}\u{1b}[31m";

fn hostile() -> Made {
    let mut made = synthetic::defrag_crash();
    for record in &mut made.history {
        match record {
            Record::Invoke(invoke) => {
                invoke.user = Some(HOSTILE.into());
                if let Request::Put(put) = &mut invoke.request {
                    put.value = HOSTILE.into();
                }
            }
            Record::Return(returned) if returned.id % 7 == 0 => {
                returned.outcome = Outcome::Error {
                    code: 2,
                    message: HOSTILE.into(),
                    origin: checker::history::ErrorOrigin::Server,
                };
            }
            _ => {}
        }
    }
    let check = &mut made.judgement.checks[0];
    check.summary = HOSTILE.into();
    check.findings[0].title = HOSTILE.into();
    check.findings[0].keys = vec![HOSTILE.into()];
    made.plan.title = HOSTILE.into();
    made.plan.issue = "javascript:alert(3)".into();
    made.plan.seed = HOSTILE.into();
    made.plan.drawn.push((HOSTILE.into(), HOSTILE.into()));
    made.dir = HOSTILE.into();
    made
}

#[test]
fn values_never_become_markup() {
    let made = hostile();
    let page = html(&made.run());
    assert_eq!(
        page.matches("<script").count(),
        2,
        "the island and the script"
    );
    assert_eq!(page.matches("</script>").count(), 2);
    assert!(!page.contains("<img") && !page.contains("<!--"));
    assert!(!page.contains(r#"href="javascript:"#));
    let texts = island(&page)["texts"].to_string();
    assert!(
        texts.contains("</script><script>alert(1)"),
        "the data itself is kept"
    );
    assert!(
        !witness_text(&made.run()).contains('\u{1b}'),
        "no escape reaches a terminal"
    );
}

#[test]
fn a_huge_run_is_cut_around_the_witness_and_says_so() {
    let mut made = synthetic::make(Shape {
        clients: 60,
        pause: MS / 2,
        ..Shape::default()
    });
    let witness = made.judgement.checks[0].findings[0].operations.clone();
    for record in &mut made.history {
        if let Record::Return(returned) = record
            && !witness.contains(&returned.id)
        {
            let message = format!("{} {}", returned.id, "<".repeat(500));
            let origin = checker::history::ErrorOrigin::Server;
            returned.outcome = Outcome::Error {
                code: 2,
                message,
                origin,
            };
        }
    }
    let page = html(&made.run());
    assert!(page.len() <= PAGE_BYTES_MAX, "{} bytes", page.len());
    assert!(
        page.len() > PAGE_BYTES_MAX / 2,
        "{} bytes: room is left unused",
        page.len()
    );
    let data = island(&page);
    let (shown, total) = (
        data["shown"].as_u64().unwrap(),
        data["total"].as_u64().unwrap(),
    );
    assert!(shown > 1_000 && shown < total, "{shown} of {total}");
    assert!(visible(&page).contains("operations: a report has at most 10 MB"));
    assert_eq!(data["witness"].as_array().unwrap().len(), 2);
}
