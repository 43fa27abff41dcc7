// SPDX-License-Identifier: GPL-2.0-only

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::tally::Verdict;

/// How long it was from the request to the last verdict, by the module's name.
pub type Times = BTreeMap<String, Duration>;

/// Writes `verdicts` to the JUnit file `path`: a suite for each module, which took
/// as long as its VM needed for all tests, from its first moment.
pub fn write(path: &Path, verdicts: &[Verdict], times: &Times) -> Result<()> {
    let report = report(verdicts, times);
    let text = report.to_string().context("JUnit")?;
    fs::write(path, text).with_context(|| path.display().to_string())
}

fn report(verdicts: &[Verdict], times: &Times) -> Report {
    let mut suites: Vec<TestSuite> = Vec::new();
    for verdict in verdicts {
        let case = case(verdict);
        let name = verdict.subject.as_str();
        if let Some(suite) = suites.iter_mut().find(|suite| suite.name.as_str() == name) {
            suite.add_test_case(case);
        } else {
            let mut suite = TestSuite::new(name);
            suite.add_test_case(case);
            if let Some(took) = times.get(name) {
                suite.set_time(*took);
            }
            suites.push(suite);
        }
    }
    let mut report = Report::new("lkmpg");
    report.add_test_suites(suites);
    report
}

fn case(verdict: &Verdict) -> TestCase {
    let mut status = if verdict.passed() {
        TestCaseStatus::success()
    } else {
        TestCaseStatus::non_success(NonSuccessKind::Failure)
    };
    if !verdict.passed() {
        let first = verdict.message.lines().next().unwrap_or_default();
        status.set_message(first);
        status.set_description(verdict.message.as_str());
    }
    let mut case = TestCase::new(verdict.test.as_str(), status);
    case.set_classname(verdict.subject.as_str());
    case.set_time(verdict.time);
    if verdict.passed() && !verdict.message.is_empty() {
        case.set_system_out(verdict.message.as_str());
    }
    case
}

#[cfg(test)]
mod tests {
    use super::*;
    use lkmpg_proto::Outcome;

    #[test]
    fn there_is_a_suite_for_each_module() {
        let verdict = |subject: &str, outcome| Verdict {
            subject: subject.into(),
            test: "reload".into(),
            outcome,
            message: "why <not>".into(),
            time: Duration::from_millis(12),
        };
        let verdicts = [
            verdict("a", Outcome::Passed),
            verdict("b", Outcome::Failed),
            verdict("a", Outcome::Passed),
        ];
        let times = [("a".to_owned(), Duration::from_millis(1500))].into();
        let xml = report(&verdicts, &times).to_string().unwrap();
        assert_eq!(xml.matches("<testsuite ").count(), 2, "{xml}");
        assert!(xml.contains("<testsuite name=\"a\""), "{xml}");
        assert!(xml.contains("time=\"1.500\""), "{xml}");
        assert!(xml.contains("failures=\"1\""), "{xml}");
        assert!(xml.contains("why &lt;not&gt;"), "{xml}");
    }
}
