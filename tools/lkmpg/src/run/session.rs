// SPDX-License-Identifier: GPL-2.0-only

//! A VM at work.

use std::time::{Duration, Instant};

use anyhow::Result;
use lkmpg_proto::{Event, Outcome, Request, Step};

use crate::{
    children::interrupted,
    console::Console,
    modules::Modules,
    qemu::{Happening, Vm},
    stop::Stop,
    tally::Verdict,
};

/// How long a VM that was restored may take to begin: many times what it needs.
const TO_BEGIN: Duration = Duration::from_secs(300);

/// How long QEMU may go on after the kernel has given up: it ends at once, but on
/// a busy machine the trace that is still on its way may take a while.
const AFTER_PANIC: Duration = Duration::from_secs(60);

/// How long QEMU may go on after the guest has said that it ends: many times what
/// it needs.
const AFTER_END: Duration = Duration::from_secs(300);

/// How much of the console an error quotes, in lines.
const TAIL: usize = 30;

/// How much of it says why a VM was not restored, in lines.
const REASON: usize = 3;

/// What a session tells while it runs.
pub enum News<'a> {
    /// A test of the module, or its demonstration, begins.
    Begin(&'a str),
    /// It has ended.
    Verdict(&'a Verdict),
    /// A piece of a demonstration.
    Step(Step),
}

/// How a session ended.
pub enum End {
    /// With these verdicts, all of them known by then.
    Verdicts(Vec<Verdict>, Instant),
    /// The VM was to be restored and has done nothing: that is why.
    NotRestored(String),
}

/// Has `vm` do what `request` says with those of `modules` that it names, and
/// follows it to its end.
///
/// When the VM itself fails, the test that was running fails with what is known
/// of the cause.
pub fn follow(
    vm: Vm,
    request: &Request,
    modules: &Modules,
    timeout: Duration,
    news: &mut dyn FnMut(News<'_>),
) -> Result<End> {
    Session {
        console: Console::default(),
        request,
        modules,
        running: None,
        verdicts: Vec::new(),
        begun: false,
        ended: None,
        timeout,
        news,
    }
    .run(vm)
}

struct Session<'a> {
    console: Console,
    request: &'a Request,
    modules: &'a Modules,
    running: Option<(String, String, Instant)>,
    verdicts: Vec<Verdict>,
    begun: bool,
    ended: Option<Instant>,
    timeout: Duration,
    news: &'a mut dyn FnMut(News<'_>),
}

impl Session<'_> {
    fn run(mut self, mut vm: Vm) -> Result<End> {
        let begin = Instant::now();
        let mut deadline = begin + self.timeout;
        let restored = vm.is_restored();
        if restored {
            vm.order(self.request, self.modules)?;
            deadline = deadline.min(begin + TO_BEGIN);
        }
        let mut trouble = None;
        loop {
            match vm.next(Some(deadline))? {
                Happening::Ended => break,
                Happening::Silence => {
                    trouble = Some(self.timed_out());
                    break;
                }
                Happening::Line(line) => match Event::from_line(&line) {
                    Ok(Event::Waiting) => vm.order(self.request, self.modules)?,
                    Ok(event) => {
                        if !self.console.panicked() {
                            deadline = Instant::now() + self.timeout;
                        }
                        self.hear(event);
                    }
                    Err(_) => {
                        trouble =
                            Some(format!("the guest sent something that is not JSON: {line}"));
                        break;
                    }
                },
                Happening::Console(text) => {
                    let before = self.console.panicked();
                    self.console.push(&text);
                    if self.console.panicked() && !before {
                        deadline = deadline.min(Instant::now() + AFTER_PANIC);
                    }
                }
            }
            if let Some(ended) = self.ended {
                deadline = deadline.min(ended + AFTER_END);
            }
        }
        let end = self.ended.unwrap_or_else(Instant::now);
        vm.end(Duration::ZERO)?;
        if interrupted() {
            return Err(Stop::failed("interrupted"));
        }
        if restored && !self.begun {
            return Ok(End::NotRestored(match self.console.tail(REASON) {
                line if line.is_empty() => "it does nothing".to_owned(),
                line => line,
            }));
        }
        if let Some(panic) = self.console.panic() {
            self.fail(&format!("the kernel gave up:\n{panic}"), begin);
        } else if let Some(trouble) = trouble {
            self.fail_with_log(&trouble, begin);
        } else if self.ended.is_none() {
            self.fail_with_log("the VM ended before its tests did", begin);
        }
        Ok(End::Verdicts(self.verdicts, end))
    }

    fn timed_out(&self) -> String {
        if self.ended.is_some() {
            "the VM did not power off".to_owned()
        } else {
            let seconds = self.timeout.as_secs();
            format!("hung: killed after {seconds} s without news (--timeout)")
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Start { module, test } => {
                (self.news)(News::Begin(&module));
                self.running = Some((module, test, Instant::now()));
            }
            Event::Result {
                module,
                test,
                outcome,
                message,
                millis,
            } => {
                self.running = None;
                self.judge(Verdict {
                    subject: module,
                    test,
                    outcome,
                    message,
                    time: Duration::from_millis(millis),
                });
            }
            Event::Demo { step, .. } => (self.news)(News::Step(step)),
            Event::End => self.ended = Some(Instant::now()),
            Event::Begun => self.begun = true,
            Event::Waiting | Event::Ready => {}
        }
    }

    fn judge(&mut self, verdict: Verdict) {
        (self.news)(News::Verdict(&verdict));
        self.verdicts.push(verdict);
    }

    fn fail_with_log(&mut self, why: &str, begin: Instant) {
        let message = match self.console.tail(TAIL) {
            tail if tail.is_empty() => format!("{why}\nthe console is empty"),
            tail => format!("{why}\nthe console's last lines:\n{tail}"),
        };
        self.fail(&message, begin);
    }

    /// The test that was running has failed, or the VM when none was.
    fn fail(&mut self, message: &str, begin: Instant) {
        let (subject, test, begin) = self
            .running
            .take()
            .unwrap_or_else(|| (self.request.modules.join(", "), "vm".to_owned(), begin));
        self.judge(Verdict {
            subject,
            test,
            outcome: Outcome::Failed,
            message: message.to_owned(),
            time: begin.elapsed(),
        });
    }
}
