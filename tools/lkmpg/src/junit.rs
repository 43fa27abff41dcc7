// SPDX-License-Identifier: GPL-2.0-only

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use tempfile::NamedTempFile;

use crate::{stop::Stop, tally::Verdict};

/// How long it was from the request to the last verdict, by the module's name.
pub type Times = BTreeMap<String, Duration>;

/// A JUnit file that can be written: known before there are results.
#[derive(Debug)]
pub struct Junit {
    path: PathBuf,
    /// A device or a pipe; none for a file, which is replaced as a whole.
    open: Option<File>,
}

impl Junit {
    /// Makes sure that the file `path` can be written. What is in it stays.
    pub fn at(path: &Path) -> Result<Self> {
        Self::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => refused(path, "its folder is not there; make that first"),
            io::ErrorKind::NotADirectory => refused(path, "its folder is a file; name another one"),
            io::ErrorKind::IsADirectory => refused(path, "this is a folder; name a file in it"),
            kind => Stop::missing(format!("--junit {}: {kind}", path.display())),
        })
    }

    fn open(path: &Path) -> io::Result<Self> {
        if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let (path, open) = match OpenOptions::new().write(true).open(path) {
            Ok(file) if !file.metadata()?.is_file() => (path.to_owned(), Some(file)),
            // Where a link leads.
            Ok(_) => (path.canonicalize()?, None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (path.to_owned(), None),
            Err(error) => return Err(error),
        };
        let junit = Self { path, open };
        if junit.open.is_none() {
            junit.new_file()?;
        }
        Ok(junit)
    }

    /// A file beside ours, to take its place. It is gone when it is dropped.
    fn new_file(&self) -> io::Result<NamedTempFile> {
        let dir = match self.path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        tempfile::Builder::new()
            .prefix(".lkmpg-junit-")
            // Less the umask, as any new file.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(dir)
    }

    /// Writes `verdicts`: a suite for each module, which took as long as its VM
    /// needed for all tests, from its first moment.
    pub fn write(self, verdicts: &[Verdict], times: &Times) -> Result<()> {
        let report = report(verdicts, times);
        let text = report.to_string().context("JUnit")?;
        self.replace(text.as_bytes())
            .with_context(|| format!("--junit {}", self.path.display()))
    }

    fn replace(&self, text: &[u8]) -> io::Result<()> {
        if let Some(mut file) = self.open.as_ref() {
            return file.write_all(text);
        }
        let mut file = self.new_file()?;
        file.write_all(text)?;
        file.persist(&self.path)?;
        Ok(())
    }
}

fn refused(path: &Path, why: &str) -> anyhow::Error {
    Stop::usage(format!("--junit {}: {why}", path.display()))
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
    use std::{fs, os::unix::fs::symlink};

    use super::*;
    use lkmpg_proto::Outcome;

    /// What is in the folder `dir`.
    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_whole_or_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("junit.xml"), dir.path().join("link"));
        Junit::at(&file).unwrap();
        assert!(names(dir.path()).is_empty());
        Junit::at(&file).unwrap().write(&[], &Times::new()).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains("</testsuites>"), "{text}");
        // As any other file.
        let other = dir.path().join("other");
        fs::write(&other, "old").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&file), mode(&other));

        symlink("other", &link).unwrap();
        let junit = Junit::at(&link).unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "old");
        junit.write(&[], &Times::new()).unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), text);
        assert!(link.is_symlink());
        assert_eq!(names(dir.path()), ["junit.xml", "link", "other"]);
    }

    #[test]
    fn what_cannot_be_written_is_told_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let told = |path: &Path| {
            let error = Junit::at(path).unwrap_err();
            assert_eq!(error.downcast_ref::<Stop>().unwrap().status, 2);
            error.to_string()
        };
        let nowhere = dir.path().join("nowhere/junit.xml");
        assert!(told(&nowhere).contains("its folder is not there"));
        assert!(told(dir.path()).contains("this is a folder"));
        assert!(told(&dir.path().join("new/")).contains("this is a folder"));
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(told(&file.join("junit.xml")).contains("its folder is a file"));
        assert_eq!(names(dir.path()), ["file"]);
    }

    #[test]
    fn a_device_stays_one() {
        Junit::at(Path::new("/dev/null"))
            .unwrap()
            .write(&[], &Times::new())
            .unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        let full = Junit::at(Path::new("/dev/full")).unwrap();
        let error = full.write(&[], &Times::new()).unwrap_err();
        assert!(error.to_string().contains("/dev/full"), "{error}");
    }

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
