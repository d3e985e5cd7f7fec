//! `witness.txt`: the verdict and its proof for terminals and logs.

use checker::verdict::{CheckReport, Finding, Verdict};

use crate::proof::{ProofRow, leading, places, rows};
use crate::recorded::Recorded;
use crate::table::{WIDTH, table, wrap};
use crate::words::{Detail, printable};
use crate::{Run, clock, commands, expectation, members};

/// The verdict, the operations that prove it, what the members held and how to run it again, in at
/// most 100 columns; only a single word that is longer, such as an address, goes beyond.
#[must_use]
pub fn witness_text(run: &Run<'_>) -> String {
    let recorded = Recorded::new(run);
    let mut text = Text::default();
    head(&mut text, &recorded);
    match leading(run.judgement) {
        Some((_, finding)) => proof(&mut text, &recorded, finding),
        None => text.line("No check found anything against the store."),
    }
    checks(&mut text, run);
    end_state(&mut text, &recorded);
    text.heading("Run it again");
    text.command(&commands::reproduce(run));
    text.command(&commands::run_again(run));
    text.paragraph("  ", commands::HONEST);
    let lines = text.0.lines().map(printable);
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// The name of a verdict in text.
pub(crate) fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "holds",
        Verdict::Violated => "violated",
        Verdict::Inconclusive => "inconclusive",
        Verdict::NotRun => "not run",
    }
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, line: &str) {
        self.0.push_str(line.trim_end());
        self.0.push('\n');
    }

    fn heading(&mut self, heading: &str) {
        self.line("");
        self.line(heading);
    }

    fn paragraph(&mut self, indent: &str, text: &str) {
        for line in wrap(&printable(text), WIDTH - indent.len()) {
            self.line(&format!("{indent}{line}"));
        }
    }

    fn fact(&mut self, name: &str, value: &str) {
        for (index, line) in wrap(&printable(value), WIDTH - 11).iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            self.line(&format!("{name:<11}{line}"));
        }
    }

    /// A command stays one that can be pasted: it is broken with a backslash.
    fn command(&mut self, command: &str) {
        let lines = wrap(command, WIDTH - 6);
        let whole = lines.len() == 1 || command.contains('\'');
        if whole {
            self.line(&format!("  {command}"));
            return;
        }
        for (index, line) in lines.iter().enumerate() {
            let indent = if index == 0 { "  " } else { "    " };
            let more = if index + 1 < lines.len() { " \\" } else { "" };
            self.line(&format!("{indent}{line}{more}"));
        }
    }
}

fn head(text: &mut Text, recorded: &Recorded<'_>) {
    let (plan, judgement) = (recorded.run.plan, recorded.run.judgement);
    let verdict = verdict_name(judgement.verdict).to_uppercase();
    let guarantee = judgement.guarantee.map_or("", |guarantee| guarantee.name());
    let comparison = expectation::compare(plan, judgement).words();
    let left = format!("{verdict}  {guarantee}");
    let right = format!("exit {}, {comparison}", judgement.exit);
    text.line(&format!(
        "{:<width$} {right}",
        left.trim_end(),
        width = WIDTH - right.len() - 1
    ));
    if let Some(guarantee) = judgement.guarantee {
        let whose = if judgement.verdict == Verdict::Violated {
            "broken: "
        } else {
            "open: "
        };
        text.paragraph("  ", &format!("{whose}{}", guarantee.promise()));
    }
    if !judgement.complete {
        text.line("  The run directory is a prefix: the run did not end in order.");
    }
    text.line("");
    let title = if plan.title.is_empty() {
        String::new()
    } else {
        format!(": {}", plan.title)
    };
    text.fact("scenario", &format!("{}{title}", plan.scenario));
    if !plan.issue.is_empty() {
        text.fact("issue", &plan.issue);
    }
    text.fact("store", &store(recorded));
    for planted in &judgement.planted {
        text.fact("planted", planted);
    }
    let started = recorded
        .started_unix_ns
        .map(|at| format!(", from {}", clock::utc(at)));
    let ran = format!(
        "{}{}",
        clock::span(recorded.end),
        started.unwrap_or_default()
    );
    text.fact(
        "seed",
        &format!(
            "{}; {} operations in {ran}",
            plan.seed,
            recorded.ops.list.len()
        ),
    );
    if let Some(stated) = expectation::stated(plan) {
        text.fact(
            "expected",
            &format!("{}: {comparison}", expectation::words(stated)),
        );
    }
    text.fact("run", recorded.run.dir);
    text.line("");
}

/// `3.5.1 (etcd:3.5.1, sha256 0123456789ab)`.
pub(crate) fn store(recorded: &Recorded<'_>) -> String {
    let pin = &recorded.run.plan.store;
    let mut text = if pin.version.is_empty() {
        "version unknown"
    } else {
        &pin.version
    }
    .to_owned();
    let mut more = Vec::new();
    if !pin.spec.is_empty() {
        more.push(pin.spec.clone());
    }
    if !pin.sha256.is_empty() {
        more.push(format!(
            "sha256 {}",
            pin.sha256.chars().take(12).collect::<String>()
        ));
    }
    if !more.is_empty() {
        text.push_str(&format!(" ({})", more.join(", ")));
    }
    text
}

fn proof(text: &mut Text, recorded: &Recorded<'_>, finding: &Finding) {
    text.paragraph("", &finding.title);
    for line in &finding.explanation {
        text.paragraph("  ", line);
    }
    let (rows, missing) = rows(recorded, finding, Detail::SHORT);
    if !rows.is_empty() {
        text.line("");
        text.0.push_str(&proof_table(&rows));
        text.line("");
        text.0.push_str(&picture(&rows));
    }
    if missing > 0 {
        text.line(&format!(
            "  {missing} more named by the finding, see verdict.json"
        ));
    }
}

fn proof_table(rows: &[ProofRow]) -> String {
    let heads = [
        "", "who", "member", "request", "answer", "revision", "start ms", "end ms",
    ];
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            vec![
                row.label.clone(),
                row.who.clone(),
                row.member.clone(),
                row.asked.clone(),
                row.answer.clone(),
                row.revision
                    .map_or("-".into(), |revision| revision.to_string()),
                plain_ms(row.from),
                row.until.map_or("-".into(), plain_ms),
            ]
        })
        .collect();
    table(&heads, &cells, &[3, 4], WIDTH)
}

fn plain_ms(ns: u64) -> String {
    format!("{}.{:03}", ns / 1_000_000, ns / 1_000 % 1_000)
}

/// The rows as bars on one axis of real time.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "parts of 1 on a short line"
)]
fn picture(rows: &[ProofRow]) -> String {
    let names: Vec<String> = rows
        .iter()
        .map(|row| format!("{} {} {}", row.label, row.who, row.member))
        .collect();
    let longest = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0);
    let bar = WIDTH.saturating_sub(longest + 10).max(20);
    let column = |part: f64| (part * (bar - 1) as f64).round() as usize;
    let mut text = String::new();
    for ((row, name), (from, until)) in rows.iter().zip(names).zip(places(rows)) {
        let (from, until) = (column(from), column(until));
        let end = if row.until.is_some() { "]" } else { "~>" };
        let bar = format!("{}[{}{end}", " ".repeat(from), "=".repeat(until - from));
        text.push_str(&format!("  {name:<longest$}  {bar}\n"));
    }
    text
}

fn checks(text: &mut Text, run: &Run<'_>) {
    text.heading("Checks");
    let cells: Vec<Vec<String>> = run.judgement.checks.iter().map(check_cells).collect();
    if cells.is_empty() {
        text.line("  none ran");
    } else {
        text.0.push_str(&table(
            &["verdict", "guarantee", "summary"],
            &cells,
            &[2],
            WIDTH,
        ));
    }
}

fn check_cells(check: &CheckReport) -> Vec<String> {
    let mut summary = printable(&check.summary);
    let more = check.findings.len().saturating_sub(1) as u64 + check.findings_omitted;
    if more > 0 {
        summary.push_str(&format!(" ({more} more findings)"));
    }
    vec![
        verdict_name(check.verdict).into(),
        check.guarantee.name().into(),
        summary,
    ]
}

fn end_state(text: &mut Text, recorded: &Recorded<'_>) {
    text.heading("Members at the end");
    let rows = members::rows(recorded);
    if rows.is_empty() {
        text.line("  The run did not get as far as asking them.");
        return;
    }
    let mut heads = vec!["member"];
    heads.extend(&members::COLUMNS[1..]);
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let cells = row.cells[1..].iter().map(|cell| match &cell.text {
                Some(text) if cell.odd => format!("{text} <"),
                Some(text) => text.clone(),
                None => "-".into(),
            });
            std::iter::once(row.name.to_owned()).chain(cells).collect()
        })
        .collect();
    text.0.push_str(&table(&heads, &cells, &[], WIDTH));
    if rows.iter().any(members::MemberRow::is_odd) {
        text.line("  < differs from most members, or there is no majority");
    }
    for row in rows.iter().filter(|row| !row.note.is_empty()) {
        text.paragraph("  ", &format!("{}: {}", row.name, row.note));
    }
}
