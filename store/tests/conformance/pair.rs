//! Two members that get the same requests.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::member::Program;
use crate::side::Side;
use crate::step::Step;
use crate::tally::Tally;

/// When streams that will not speak of their progress are taken to have delivered everything:
/// etcd looks after watchers that are behind every 100 ms.
const QUIET: Duration = Duration::from_millis(250);
const SETTLED: Duration = Duration::from_secs(4);

/// Where the two first differed.
#[derive(Clone)]
pub(crate) struct Difference {
    pub(crate) step: usize,
    pub(crate) name: &'static str,
    pub(crate) reference: Vec<String>,
    pub(crate) subject: Vec<String>,
    /// How they ended, where they did.
    pub(crate) deaths: Vec<String>,
}

impl Difference {
    fn first<'a>(&'a self) -> (&'a str, &'a str) {
        let line = |lines: &'a [String], index: usize| lines.get(index).map(String::as_str);
        let longest = self.reference.len().max(self.subject.len());
        (0..longest)
            .map(|index| (line(&self.reference, index), line(&self.subject, index)))
            .find(|(reference, subject)| reference != subject)
            .map_or(("", ""), |(a, b)| {
                (a.unwrap_or("(nothing)"), b.unwrap_or("(nothing)"))
            })
    }

    /// What differences of one cause have in common: the step's name, and which field or error is
    /// first to differ.
    pub(crate) fn signature(&self) -> String {
        if let Some(death) = self.deaths.first() {
            let reason = death
                .lines()
                .find(|line| line.contains("panic"))
                .unwrap_or(death);
            return format!("{}: {reason}", self.name);
        }
        let (reference, subject) = self.first();
        let (reference, subject) = (general(reference), general(subject));
        if reference == subject {
            format!("{}: {reference}", self.name)
        } else {
            format!("{}: {reference} ≠ {subject}", self.name)
        }
    }
}

/// A line without indices and values; errors whole.
fn general(line: &str) -> String {
    if line.starts_with("error") {
        return line.into();
    }
    let path = line.split(" = ").next().unwrap_or(line);
    path.chars().filter(|c| !c.is_ascii_digit()).collect()
}

pub(crate) struct Pair {
    programs: [Program; 2],
    pub(crate) reference: Side,
    pub(crate) subject: Side,
    sequences: u32,
}

impl Pair {
    pub(crate) async fn start(programs: &[Program; 2]) -> Self {
        let (reference, subject) =
            tokio::join!(Side::start(&programs[0]), Side::start(&programs[1]));
        Self {
            programs: programs.clone(),
            reference,
            subject,
            sequences: 0,
        }
    }

    /// Two new members, if the old ones are not as at first (or one is gone).
    pub(crate) async fn restart(&mut self) {
        *self = Self::start(&self.programs).await;
    }

    /// Runs steps until the two differ.
    pub(crate) async fn run(&mut self, steps: &[Step], tally: &mut Tally) -> Option<Difference> {
        self.sequences += 1;
        let prefix = format!("s{:03}/", self.sequences);
        tokio::join!(self.reference.begin(&prefix), self.subject.begin(&prefix));
        for (index, step) in steps.iter().enumerate() {
            let (reference, subject) = match step {
                Step::Settle => self.settle().await,
                step => tokio::join!(self.reference.run(step), self.subject.run(step)),
            };
            tally.count(step.name(), &reference);
            if reference != subject {
                // One that panics is not gone at once.
                sleep(Duration::from_millis(30)).await;
                let deaths = [
                    ("etcd", &mut self.reference),
                    ("the store", &mut self.subject),
                ]
                .into_iter()
                .filter_map(|(name, side)| Some(format!("{name} ended: {}", side.member.death()?)))
                .collect();
                return Some(Difference {
                    step: index,
                    name: step.name(),
                    reference,
                    subject,
                    deaths,
                });
            }
        }
        None
    }

    async fn settle(&mut self) -> (Vec<String>, Vec<String>) {
        for side in [&mut self.reference, &mut self.subject] {
            for stream in side.streams.values_mut() {
                stream.forget_progress(&mut side.view);
            }
        }
        let (a, b) = tokio::join!(self.reference.sentinel(), self.subject.sentinel());
        let since = Instant::now();
        loop {
            let reference = look(&mut self.reference, a).await;
            let subject = look(&mut self.subject, b).await;
            let settled = reference.1 && subject.1 || since.elapsed() > QUIET;
            if settled && reference.0 == subject.0 || since.elapsed() > SETTLED {
                return (reference.0, subject.0);
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// What has been delivered, and whether all streams have passed the sentinel.
async fn look(side: &mut Side, sentinel: i64) -> (Vec<String>, bool) {
    let mut lines = Vec::new();
    let mut all = true;
    for (index, stream) in &mut side.streams {
        stream.drain(&mut side.view);
        let passed = stream.progress.is_some_and(|revision| revision >= sentinel);
        if !passed {
            stream.ask_progress().await;
        }
        all &= passed;
        let delivered = stream.delivered();
        lines.extend(
            delivered
                .iter()
                .map(|line| format!("stream {index} {line}")),
        );
        if !stream.early {
            lines.push(format!("stream {index} tells its progress = {passed}"));
        }
    }
    (lines, all)
}
