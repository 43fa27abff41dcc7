// SPDX-License-Identifier: GPL-2.0-only

use std::time::{Duration, Instant};

use anyhow::Result;
use lkmpg_proto::{Event, Outcome, Request, Step};

use crate::{
    accel::Chosen,
    children::interrupted,
    console::Console,
    image::Initrd,
    qemu::{Happening, Vm},
    source::Workshop,
    stop::Stop,
    tally::Verdict,
};

/// How long QEMU may go on after the kernel has given up.
const AFTER_PANIC: Duration = Duration::from_secs(3);

/// How long QEMU may go on after the guest has said that it ends.
const AFTER_END: Duration = Duration::from_secs(10);

/// How much of the console an error quotes, in lines.
const TAIL: usize = 30;

/// What a session tells while it runs.
pub enum News<'a> {
    /// A test of the module, or its demonstration, begins.
    Begin(&'a str),
    /// It has ended.
    Verdict(&'a Verdict),
    /// A piece of a demonstration.
    Step(Step),
}

/// Boots a VM, has it do what `request` says, and follows it to its end.
///
/// Returns how each test ended. When the VM itself fails, the test that was
/// running fails with what is known of the cause.
pub fn follow(
    workshop: &Workshop,
    accel: Chosen,
    request: &Request,
    timeout: Duration,
    news: &mut dyn FnMut(News<'_>),
) -> Result<Vec<Verdict>> {
    let machine = workshop.machine_for(&request.modules);
    let initrd = Initrd::compose(&machine.initrd, &workshop.modules, &request.modules)?;
    let vm = Vm::start(&machine, &initrd.path(), accel, request, None)?;
    Session {
        console: Console::default(),
        subject: request.modules.join(", "),
        running: None,
        verdicts: Vec::new(),
        ended: false,
        timeout,
        news,
    }
    .run(vm)
}

struct Session<'a> {
    console: Console,
    subject: String,
    running: Option<(String, String, Instant)>,
    verdicts: Vec<Verdict>,
    ended: bool,
    timeout: Duration,
    news: &'a mut dyn FnMut(News<'_>),
}

impl Session<'_> {
    fn run(mut self, mut vm: Vm) -> Result<Vec<Verdict>> {
        let begin = Instant::now();
        let mut deadline = begin + self.timeout;
        let mut trouble = None;
        loop {
            match vm.next(Some(deadline))? {
                Happening::Ended => break,
                Happening::Silence => {
                    trouble = Some(self.timed_out());
                    break;
                }
                Happening::Line(line) => match Event::from_line(&line) {
                    Ok(event) => self.hear(event),
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
            if self.ended {
                deadline = deadline.min(Instant::now() + AFTER_END);
            }
        }
        vm.end(Duration::ZERO)?;
        if interrupted() {
            return Err(Stop::failed("interrupted"));
        }
        if let Some(panic) = self.console.panic() {
            self.fail(&format!("the kernel gave up:\n{panic}"), begin);
        } else if let Some(trouble) = trouble {
            self.fail_with_log(&trouble, begin);
        } else if !self.ended {
            self.fail_with_log("the VM ended before its tests did", begin);
        }
        Ok(self.verdicts)
    }

    fn timed_out(&self) -> String {
        if self.ended {
            "the VM did not power off".to_owned()
        } else {
            let seconds = self.timeout.as_secs();
            format!("hung: killed after {seconds} s (--timeout)")
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
            Event::End => self.ended = true,
            Event::Ready => {}
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
            .unwrap_or_else(|| (self.subject.clone(), "vm".to_owned(), begin));
        self.judge(Verdict {
            subject,
            test,
            outcome: Outcome::Failed,
            message: message.to_owned(),
            time: begin.elapsed(),
        });
    }
}
