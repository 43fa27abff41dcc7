// SPDX-License-Identifier: GPL-2.0-only

//! Which builds run, which have ended, and what they printed.

use std::{
    collections::{HashMap, VecDeque},
    time::SystemTime,
};

use crate::nix::log::Event;

/// How much of a build's log to keep, in lines.
const KEPT: usize = 2000;

/// How many lines of a failed build's log to show, when they say what is wrong
/// and when they do not.
const SHOWN: usize = 200;
const SHOWN_BLINDLY: usize = 30;

/// A derivation being built.
pub struct Build {
    /// The store path of the derivation.
    pub derivation: String,
    /// Its phase; empty before the first.
    pub phase: String,
    /// How many files have been compiled.
    pub compiled: usize,
    /// When it began.
    pub began: SystemTime,
    log: VecDeque<String>,
}

impl Build {
    fn new(derivation: String) -> Self {
        Self {
            derivation,
            phase: String::new(),
            compiled: 0,
            began: SystemTime::now(),
            log: VecDeque::new(),
        }
    }

    /// The derivation's name, without hash: `linux-7.2.6`.
    pub fn name(&self) -> &str {
        let file = self.derivation.rsplit('/').next().unwrap_or_default();
        let name = file.strip_suffix(".drv").unwrap_or(file);
        name.split_once('-').map_or(name, |(_, name)| name)
    }

    /// What it printed last.
    pub fn last_line(&self) -> &str {
        self.log.back().map_or("", |line| line.trim())
    }

    /// Whether it printed `text`.
    pub fn printed(&self, text: &str) -> Option<&str> {
        let line = self.log.iter().rev().find(|line| line.contains(text))?;
        Some(line.trim())
    }

    /// The part of the log that says why the build failed.
    pub fn reason(&self) -> String {
        let told: Vec<_> = self.log.iter().filter(|line| !is_noise(line)).collect();
        let error = told.iter().position(|line| is_error(line));
        let shown = match error {
            Some(first) => &told[first..],
            None => &told[told.len().saturating_sub(SHOWN_BLINDLY)..],
        };
        let lines: Vec<_> = shown.iter().map(|line| line.as_str()).collect();
        // What looked like an error need not be what ended the build.
        let text = match lines.len().checked_sub(SHOWN) {
            None | Some(0) => lines.join("\n"),
            Some(more) => {
                let (first, rest) = lines.split_at(SHOWN - SHOWN_BLINDLY);
                let note = format!("[{more} lines are left out]");
                [first.join("\n"), note, rest[more..].join("\n")].join("\n")
            }
        };
        text.trim_end().to_owned()
    }
}

fn is_compiled(line: &str) -> bool {
    let word = line.split_whitespace().next().unwrap_or_default();
    line.starts_with("  ") && matches!(word, "AS" | "CC" | "HOSTCC" | "HOSTRUSTC" | "RUSTC")
        || word == "Compiling"
}

/// Of a compiler, a Rust program, or a test in a VM: `---- NAME ----` heads what a
/// failed one has to say.
fn is_error(line: &str) -> bool {
    line.starts_with("error")
        || line.contains(" error: ")
        || line.contains("panicked at")
        || line.starts_with("---- ")
}

/// What make and rustc say after the error has been said.
fn is_noise(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("make")
        || line.starts_with("For more information about this error")
        || line.starts_with("Some errors have detailed explanations")
}

/// What an event changed.
pub enum Change<'a> {
    /// A build began.
    Began(&'a Build),
    /// A build entered another phase.
    Phase(&'a Build),
    /// A build printed a line.
    Printed(&'a Build),
    /// A build ended, well or not: that Nix says later.
    Ended(&'a Build),
}

/// The builds of one run of Nix.
#[derive(Default)]
pub struct Builds {
    running: HashMap<u64, Build>,
    /// Those that are over, well or not.
    pub ended: Vec<Build>,
    /// The errors that Nix reported.
    pub errors: Vec<String>,
}

impl Builds {
    /// Takes note of `event`, which belongs to activity `id` of the change.
    pub fn feed(&mut self, event: Event) -> Option<(u64, Change<'_>)> {
        match event {
            Event::Error(error) => self.errors.push(error),
            Event::Build { id, derivation } => {
                self.running.insert(id, Build::new(derivation));
                return Some((id, Change::Began(&self.running[&id])));
            }
            Event::Phase { id, phase } => {
                let build = self.running.get_mut(&id)?;
                if build.phase != phase {
                    build.phase = phase;
                    return Some((id, Change::Phase(build)));
                }
            }
            Event::Line { id, line } => {
                let build = self.running.get_mut(&id)?;
                build.compiled += usize::from(is_compiled(&line));
                if build.log.len() == KEPT {
                    build.log.pop_front();
                }
                build.log.push_back(line);
                return Some((id, Change::Printed(build)));
            }
            Event::Stop { id } => {
                self.ended.push(self.running.remove(&id)?);
                return Some((id, Change::Ended(self.ended.last()?)));
            }
        }
        None
    }

    /// The builds that failed: those that Nix names in an error.
    pub fn failed(&self) -> impl Iterator<Item = &Build> {
        let named = |build: &&Build| {
            let mut errors = self.errors.iter();
            errors.any(|error| error.contains(&build.derivation))
        };
        self.ended.iter().filter(named)
    }

    /// The line in which a failed build or Nix itself says `text`.
    pub fn said(&self, text: &str) -> Option<&str> {
        let builds = self.failed().find_map(|build| build.printed(text));
        builds.or_else(|| {
            let mut lines = self.errors.iter().flat_map(|error| error.lines());
            lines.find(|line| line.contains(text)).map(str::trim)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds derivation `id`, which prints `log` and then fails or not.
    fn run(builds: &mut Builds, id: u64, log: &[&str], fails: bool) {
        let derivation = format!("/nix/store/abc-example-{id}.drv");
        let error = format!("error: builder for '{derivation}' failed with exit code 1");
        builds.feed(Event::Build { id, derivation });
        for line in log {
            let line = (*line).to_owned();
            builds.feed(Event::Line { id, line });
        }
        builds.feed(Event::Stop { id });
        if fails {
            builds.feed(Event::Error(error));
        }
    }

    #[test]
    fn an_error_tells_which_build_failed() {
        let mut builds = Builds::default();
        run(&mut builds, 2, &[], false);
        run(&mut builds, 3, &[], true);
        run(&mut builds, 4, &[], false);
        let failed: Vec<_> = builds.failed().map(Build::name).collect();
        assert_eq!(failed, ["example-3"]);
    }

    #[test]
    fn a_compiler_error_is_shown_in_full_and_alone() {
        let mut builds = Builds::default();
        let log = [
            "make[1]: Entering directory",
            "  RUSTC [M] hello-1.o",
            "error[E0425]: cannot find value `x`",
            " --> hello-1.rs:3:4",
            "error: aborting due to 1 previous error",
            "For more information about this error, try `rustc --explain E0425`.",
            "make[2]: *** [hello-1.o] Error 1",
        ];
        run(&mut builds, 2, &log, true);
        let failed = builds.failed().next().unwrap();
        assert_eq!(
            failed.reason(),
            "error[E0425]: cannot find value `x`\n --> hello-1.rs:3:4\n\
             error: aborting due to 1 previous error"
        );
        assert_eq!(failed.compiled, 1);
    }

    #[test]
    fn of_a_long_log_the_end_is_shown_too() {
        let mut builds = Builds::default();
        let mut log = vec!["machine # cat: read error: as it should"];
        log.extend([""; 500]);
        log.push("RuntimeError: what ended it");
        run(&mut builds, 2, &log, true);
        let reason = builds.failed().next().unwrap().reason();
        assert!(reason.starts_with(log[0]), "{reason}");
        assert!(reason.contains("\n[302 lines are left out]\n"), "{reason}");
        assert!(
            reason.ends_with("\nRuntimeError: what ended it"),
            "{reason}"
        );
        assert_eq!(reason.lines().count(), SHOWN + 1);
    }

    #[test]
    fn a_failed_test_is_shown_from_its_name_on() {
        let mut build = Build::new("/nix/store/x-vm-test.drv".into());
        let report = (0..SHOWN_BLINDLY).map(|n| format!("stack {n}"));
        let lines = [
            "test one ... ok (3 ms)",
            "---- two ----",
            "the kernel complained:",
        ];
        build
            .log
            .extend(lines.into_iter().map(str::to_owned).chain(report));
        assert!(
            build
                .reason()
                .starts_with("---- two ----\nthe kernel complained:\n")
        );
    }

    #[test]
    fn what_a_failed_build_said_is_found() {
        let mut builds = Builds::default();
        run(&mut builds, 2, &["missing; run: ./lkmpg fetch"], true);
        let said = builds.said("run: ./lkmpg fetch");
        assert_eq!(said, Some("missing; run: ./lkmpg fetch"));
        assert_eq!(builds.said("No space left on device"), None);
    }
}
