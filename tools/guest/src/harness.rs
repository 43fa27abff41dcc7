// SPDX-License-Identifier: GPL-2.0-only

use std::{
    any::Any,
    cell::OnceCell,
    panic::{self, AssertUnwindSafe},
    path::Path,
    sync::Mutex,
    time::Instant,
};

use anyhow::{Context, Result, anyhow, ensure};
use lkmpg_proto::{Event, Outcome, Request};

use crate::{
    Example, Vm,
    checks::{self, Subject},
    kmemleak::Begun,
    module,
    report::Report,
    snapshot::Snapshot,
    trouble::{self, Trouble},
};

/// Runs tests one by one and reports each.
pub struct Harness<'a> {
    vm: Vm,
    report: &'a mut dyn Report,
}

impl<'a> Harness<'a> {
    /// A harness that reports to `report`.
    pub fn new(vm: Vm, report: &'a mut dyn Report) -> Self {
        panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(|place| {
                let file = short(place.file());
                format!("{file}:{}:{}", place.line(), place.column())
            });
            *PANICKED_AT.lock().unwrap() = place;
        }));
        Self { vm, report }
    }

    /// Runs everything that `request` asks for.
    pub fn run(mut self, request: &Request) -> Result<()> {
        for _ in 0..request.repeat.get() {
            for name in &request.modules {
                self.module(name, request)?;
            }
        }
        Ok(())
    }

    /// The example's tests, then the checks that every module must pass.
    fn module(&mut self, name: &str, request: &Request) -> Result<()> {
        let example = Example::find(name);
        let others = module::loaded()?;
        if let Some(setup) = example.setup {
            let setup = |vm: &mut Vm| setup(vm).map(|()| String::new());
            self.test(name, "setup", Leaves::Modules, setup)?;
        }
        // What it says of leaks holds for all that follows.
        let may_leak = self.vm.take_may_leak();
        let before = Snapshot::settled();
        let mut begun = Vec::new();
        let wanted = |test: &str| request.wants(name, test);
        for test in example.tests.iter().filter(|test| wanted(test.name)) {
            let mut now = Begun::now(test.name)?;
            let run = |vm: &mut Vm| (test.run)(vm).map(|()| String::new());
            self.test(name, test.name, Leaves::Nothing, run)?;
            now.may_leak = self.vm.take_may_leak() || may_leak;
            begun.push(now);
        }
        let mut subject = Subject {
            name,
            example,
            before,
            begun,
            nodes: OnceCell::new(),
        };
        for check in checks::checks().filter(|check| wanted(check.name)) {
            let mut now = Begun::now(check.name)?;
            now.may_leak = may_leak;
            subject.begun.push(now);
            let run = |vm: &mut Vm| (check.run)(vm, &subject);
            self.test(name, check.name, Leaves::Nothing, run)?;
        }
        // Whoever had to do with what `setup` has loaded is to be done with it.
        if module::loaded()?.iter().any(|name| !others.contains(name)) {
            let unload = |_: &mut Vm| unload_all_but(&others).map(|_| String::new());
            self.test(name, "teardown", Leaves::Modules, unload)?;
        }
        Ok(())
    }

    /// Runs one test and reports it. An error is the harness's own.
    fn test(
        &mut self,
        module: &str,
        test: &str,
        leaves: Leaves,
        run: impl FnOnce(&mut Vm) -> Result<String>,
    ) -> Result<()> {
        self.report.send(&Event::Start {
            module: module.to_owned(),
            test: test.to_owned(),
        })?;
        let before = match leaves {
            Leaves::Nothing => Some(module::loaded()?),
            Leaves::Modules => None,
        };
        let clean = || before.as_deref().map_or(Ok(()), unload_others);
        self.vm.log().mark()?;

        let begin = Instant::now();
        let result = panic::catch_unwind(AssertUnwindSafe(|| run(&mut self.vm)));
        let mut notes = self.vm.take_notes();
        let millis = begin.elapsed().as_millis().try_into().unwrap_or(u64::MAX);

        let result = result.unwrap_or_else(|payload| Err(describe(&*payload)));
        let result = result.and_then(|note| clean().map(|()| note));
        // Whatever the kernel complained of since the last test ended.
        let trouble = trouble::find(&self.vm.log().take()?);
        let result = match (result, trouble) {
            (result, None) => result,
            (Ok(_), Some(Trouble::Fault(text))) => Err(anyhow!("the kernel complained:\n{text}")),
            (Ok(note), Some(Trouble::Slowness(text))) => {
                let line = text.lines().next().unwrap_or_default();
                notes.push(format!("the kernel was slow: {line}"));
                Ok(note)
            }
            (Err(error), Some(Trouble::Fault(text) | Trouble::Slowness(text))) => {
                Err(anyhow!("{error:#}\nand the kernel complained:\n{text}"))
            }
        };
        let (outcome, message) = match result {
            Ok(note) => {
                notes.insert(0, note);
                notes.retain(|note| !note.is_empty());
                (Outcome::Passed, notes.join(", "))
            }
            Err(error) => (Outcome::Failed, format!("{error:#}")),
        };
        // After a failure too, the next test is to find the machine clean.
        let _ = clean();
        self.report.send(&Event::Result {
            module: module.to_owned(),
            test: test.to_owned(),
            outcome,
            message,
            millis,
        })
    }
}

/// What a test may leave behind.
#[derive(Clone, Copy)]
enum Leaves {
    Nothing,
    /// Modules that are loaded.
    Modules,
}

/// Unloads the modules that are not in `before`; an error names them.
fn unload_others(before: &[String]) -> Result<()> {
    let left = unload_all_but(before).context("the test left it loaded")?;
    ensure!(
        left.is_empty(),
        "the test left {} loaded",
        left.join(" and ")
    );
    Ok(())
}

/// Unloads the modules that are not in `before`, and returns their names.
fn unload_all_but(before: &[String]) -> Result<Vec<String>> {
    let mut left = module::loaded()?;
    left.retain(|name| !before.contains(name));
    for name in &left {
        module::unload_soon(name).with_context(|| format!("{name} cannot be unloaded"))?;
    }
    Ok(left)
}

/// Where the last panic happened.
static PANICKED_AT: Mutex<Option<String>> = Mutex::new(None);

/// The error that stands for a panic.
fn describe(payload: &(dyn Any + Send)) -> anyhow::Error {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("panicked");
    match PANICKED_AT.lock().unwrap().take() {
        Some(place) => anyhow!("{text}\nat {place}"),
        None => anyhow!("{text}"),
    }
}

/// The last two parts of a path: `hello-1/test.rs`.
fn short(path: &str) -> String {
    let path = Path::new(path);
    let parts: Vec<_> = path.iter().rev().take(2).collect();
    let parts = parts.iter().rev().map(|part| part.to_string_lossy());
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_shortened() {
        assert_eq!(short("/build/modules/hello-1/test.rs"), "hello-1/test.rs");
        assert_eq!(short("test.rs"), "test.rs");
    }
}
