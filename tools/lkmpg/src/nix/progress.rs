// SPDX-License-Identifier: GPL-2.0-only

//! Shows builds: bars on a terminal, plain lines in a log.

use std::{collections::HashMap, time::Duration};

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::nix::builds::{Build, Change};

/// How often a bar's clock and spinner move.
const TICK: Duration = Duration::from_millis(250);

/// Where changes are shown.
pub enum Progress {
    /// One bar for each running build.
    Bars {
        /// All of them.
        all: MultiProgress,
        /// By the build's activity.
        by_id: HashMap<u64, ProgressBar>,
    },
    /// One line for each change.
    Lines,
}

impl Progress {
    /// Bars when standard error is a terminal.
    pub fn new() -> Self {
        if Term::stderr().is_term() {
            Self::Bars {
                all: MultiProgress::new(),
                by_id: HashMap::new(),
            }
        } else {
            Self::Lines
        }
    }

    /// Shows what has changed about build `id`.
    pub fn show(&mut self, id: u64, change: &Change<'_>) {
        match self {
            Self::Lines => {
                if let Some(line) = line(change) {
                    eprintln!("{line}");
                }
            }
            Self::Bars { all, by_id } => match change {
                Change::Began(build) => {
                    let bar = all.add(ProgressBar::new_spinner().with_style(style()));
                    bar.set_prefix(build.name().to_owned());
                    bar.enable_steady_tick(TICK);
                    by_id.insert(id, bar);
                }
                Change::Phase(build) | Change::Printed(build) => {
                    if let Some(bar) = by_id.get(&id) {
                        bar.set_message(message(build));
                    }
                }
                Change::Ended(_) => {
                    if let Some(bar) = by_id.remove(&id) {
                        bar.finish_and_clear();
                        all.remove(&bar);
                    }
                    if let Some(line) = line(change) {
                        let _ = all.println(line);
                    }
                }
            },
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Self::Bars { all, .. } = self {
            let _ = all.clear();
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {prefix:.bold} {elapsed} {wide_msg:.dim}")
        .expect("the template is sound")
}

fn message(build: &Build) -> String {
    let mut parts = Vec::new();
    if !build.phase.is_empty() {
        parts.push(build.phase.clone());
    }
    if build.compiled > 0 {
        parts.push(format!("{} compiled", build.compiled));
    }
    if !build.last_line().is_empty() {
        parts.push(build.last_line().to_owned());
    }
    parts.join(", ")
}

/// The line for a log, without anything that differs from run to run.
fn line(change: &Change<'_>) -> Option<String> {
    match change {
        Change::Began(build) => Some(format!("building {} ...", build.name())),
        Change::Phase(build) => Some(format!("{}: {}", build.name(), build.phase)),
        Change::Ended(build) => Some(format!("finished {}", build.name())),
        Change::Printed(_) => None,
    }
}
