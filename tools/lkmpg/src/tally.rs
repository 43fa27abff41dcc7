// SPDX-License-Identifier: GPL-2.0-only

use std::time::Duration;

use lkmpg_proto::Outcome;

/// How a test, a demonstration or a check ended.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What it was about: a module, or a check.
    pub subject: String,
    /// The name of the test.
    pub test: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it failed, or a note.
    pub message: String,
    /// How long it took.
    pub time: Duration,
}

impl Verdict {
    /// Whether it is good.
    pub fn passed(&self) -> bool {
        self.outcome == Outcome::Passed
    }

    /// Its name in the results.
    pub fn name(&self) -> String {
        format!("{}::{}", self.subject, self.test)
    }
}

/// The line that results end with.
pub fn summary(verdicts: &[Verdict]) -> String {
    let passed = verdicts.iter().filter(|verdict| verdict.passed()).count();
    format!("{passed} passed, {} failed", verdicts.len() - passed)
}

/// Whether all is good. Nothing at all is not.
pub fn all_passed(verdicts: &[Verdict]) -> bool {
    !verdicts.is_empty() && verdicts.iter().all(Verdict::passed)
}
