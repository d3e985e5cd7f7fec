//! `gauntlet list`.

use checker::verdict::Exit;
use scenarios::plan::ExpectedVerdict;

pub(super) fn main() -> anyhow::Result<Exit> {
    for scenario in scenarios::library() {
        println!("{}", scenario.name);
        println!("    {}", scenario.title);
        if !scenario.issue.is_empty() {
            println!("    {}", scenario.issue);
        }
        for expect in &scenario.expect {
            let verdict = match expect.verdict {
                ExpectedVerdict::Holds => "holds",
                ExpectedVerdict::Violated => "violated",
            };
            let guarantees = match expect.guarantees.is_empty() {
                true => String::new(),
                false => format!(" ({})", expect.guarantees.join(", ")),
            };
            println!("    expected {verdict}{guarantees} on {}", expect.versions);
        }
        println!();
    }
    Ok(Exit::Holds)
}
