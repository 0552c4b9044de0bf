//! Named groups of checks, run in order, each with its wall time and what it counted.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::shell::announce;

/// What the runners inside a group said of themselves.
#[derive(Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) run: fn(&mut Tally) -> Result<()>,
}

struct Outcome {
    name: &'static str,
    took: Duration,
    tally: Tally,
    failed: bool,
}

/// Runs all groups, or the named one; a failing group does not stop the others.
pub(crate) fn run_groups(groups: &[Group], only: Option<&str>) -> Result<()> {
    let chosen: Vec<&Group> = groups
        .iter()
        .filter(|group| only.is_none_or(|only| group.name == only))
        .collect();
    if chosen.is_empty() {
        let names: Vec<&str> = groups.iter().map(|group| group.name).collect();
        bail!("there is no such group; there are: {}", names.join(", "));
    }
    let mut outcomes = Vec::new();
    for (index, group) in chosen.iter().enumerate() {
        announce(
            index + 1,
            chosen.len(),
            &format!("{}: {}", group.name, group.what),
        );
        let began = Instant::now();
        let mut tally = Tally::default();
        let result = (group.run)(&mut tally);
        if let Err(error) = &result {
            println!("    FAILED {}: {error:#}", group.name);
        }
        // A check without a runner of its own counts as one.
        if tally.passed + tally.failed == 0 || (result.is_err() && tally.failed == 0) {
            match &result {
                Ok(()) => tally.passed += 1,
                Err(_) => tally.failed += 1,
            }
        }
        outcomes.push(Outcome {
            name: group.name,
            took: began.elapsed(),
            tally,
            failed: result.is_err(),
        });
    }
    summarize(&outcomes)
}

fn summarize(outcomes: &[Outcome]) -> Result<()> {
    println!(
        "\n{:<16} {:>9} {:>7} {:>7}",
        "group", "seconds", "passed", "failed"
    );
    for outcome in outcomes {
        println!(
            "{:<16} {:>9.1} {:>7} {:>7}{}",
            outcome.name,
            outcome.took.as_secs_f64(),
            outcome.tally.passed,
            outcome.tally.failed,
            if outcome.failed { "  FAILED" } else { "" }
        );
    }
    let took: Duration = outcomes.iter().map(|outcome| outcome.took).sum();
    let passed: u64 = outcomes.iter().map(|outcome| outcome.tally.passed).sum();
    let failed: u64 = outcomes.iter().map(|outcome| outcome.tally.failed).sum();
    println!("{:<16} {:>9.1}\n", "all", took.as_secs_f64());
    println!("{passed} passed, {failed} failed");
    let broken: Vec<&str> = outcomes
        .iter()
        .filter(|outcome| outcome.failed)
        .map(|outcome| outcome.name)
        .collect();
    if broken.is_empty() {
        return Ok(());
    }
    bail!("failed: {}", broken.join(", "))
}

impl Tally {
    /// Counts the closing lines of `cargo test` and of Node's test runner.
    pub(crate) fn read(&mut self, line: &str) {
        let line = line.trim();
        if line.starts_with("test result:") {
            for part in line.split(['.', ';']) {
                let mut words = part.split_whitespace();
                let number = words.next().and_then(|word| word.parse::<u64>().ok());
                match (number, words.next()) {
                    (Some(number), Some("passed")) => self.passed += number,
                    (Some(number), Some("failed")) => self.failed += number,
                    _ => {}
                }
            }
            return;
        }
        let mut words = line.split_whitespace();
        if !matches!(words.next(), Some("#" | "ℹ")) {
            return;
        }
        let kind = words.next();
        let Some(number) = words.next().and_then(|word| word.parse::<u64>().ok()) else {
            return;
        };
        match kind {
            Some("pass") => self.passed += number,
            Some("fail") => self.failed += number,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_of_both_runners_are_counted() {
        let mut tally = Tally::default();
        tally.read("test result: ok. 12 passed; 1 failed; 0 ignored; 0 measured; 3 filtered out");
        tally.read("# pass 4");
        tally.read("ℹ fail 2");
        tally.read("# tests 6");
        assert_eq!((tally.passed, tally.failed), (16, 3));
    }
}
