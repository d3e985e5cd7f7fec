//! Commands that a reader can paste.

use crate::Run;

/// Why the same command need not give the same run.
pub(crate) const HONEST: &str = "The same plan gives the same requests and faults at the same \
     planned times, but real processes interleave differently each time: a single attempt may miss \
     what this run showed.";

/// Runs the plan of this directory again.
pub(crate) fn reproduce(run: &Run<'_>) -> String {
    if run.reproduce.is_empty() {
        format!("gauntlet reproduce {}", quoted(run.dir))
    } else {
        run.reproduce.to_owned()
    }
}

/// Draws the plan anew from its seed.
pub(crate) fn run_again(run: &Run<'_>) -> String {
    let plan = run.plan;
    let mut command = format!("gauntlet run {}", quoted(&plan.scenario));
    if !plan.store.spec.is_empty() {
        command.push_str(&format!(" --store {}", quoted(&plan.store.spec)));
    }
    if let Some(planted) = &plan.planted {
        command.push_str(&format!(" --bug {}", quoted(&planted.issue)));
    }
    command.push_str(&format!(" --seed {}", quoted(&plan.seed)));
    command
}

/// Judges the recorded directory again, without running anything.
pub(crate) fn check(run: &Run<'_>) -> String {
    format!("gauntlet check {}", quoted(run.dir))
}

fn quoted(word: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "/._-:=@+,%".contains(char);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quoted("runs/a/b-1"), "runs/a/b-1");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quoted(""), "''");
    }
}
