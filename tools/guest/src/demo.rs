// SPDX-License-Identifier: GPL-2.0-only

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use lkmpg_proto::{Event, Outcome, Step};

use crate::{Example, Module, Vm, module, report::Report};

/// How long after a step the kernel may still log something that belongs to
/// it.
const SETTLE: Duration = Duration::from_millis(100);

/// Shows each module: loads it, types the example's commands, unloads it.
pub fn run(mut vm: Vm, report: &mut dyn Report, modules: &[String]) -> Result<()> {
    for name in modules {
        let (module, test) = (name.clone(), "demo".to_owned());
        report.send(&Event::Start { module, test })?;
        let begin = Instant::now();
        let result = Demo {
            vm: &mut vm,
            report,
            module: name,
        }
        .show();
        report.send(&Event::Result {
            module: name.clone(),
            test: "demo".to_owned(),
            outcome: match result {
                Ok(()) => Outcome::Passed,
                Err(_) => Outcome::Failed,
            },
            message: result.map_or_else(|error| format!("{error:#}"), |()| String::new()),
            millis: begin.elapsed().as_millis().try_into().unwrap_or(u64::MAX),
        })?;
    }
    Ok(())
}

struct Demo<'a> {
    vm: &'a mut Vm,
    report: &'a mut dyn Report,
    module: &'a str,
}

impl Demo<'_> {
    fn show(&mut self) -> Result<()> {
        let example = Example::find(self.module);
        if let Some(setup) = example.setup {
            setup(self.vm).context("setup")?;
        }
        self.vm.log().mark()?;
        let mut modules = Vec::new();
        for name in module::needed(self.module)? {
            modules.push(self.insmod(&name, "")?);
        }
        modules.push(self.insmod(self.module, example.params)?);

        let mut failed = Vec::new();
        for command in example.demo {
            self.tell(Step::Command((*command).to_owned()))?;
            if let Err(error) = self.shell(command) {
                failed.push(format!("{error:#}"));
            }
            self.tell_log()?;
        }

        for module in modules.into_iter().rev() {
            self.tell(Step::Command(format!("rmmod {}", module.name())))?;
            module.unload()?;
            self.tell_log()?;
        }
        ensure!(failed.is_empty(), "{}", failed.join("\n"));
        Ok(())
    }

    /// Loads the module called `name`, and tells what it says.
    fn insmod(&mut self, name: &str, params: &str) -> Result<Module> {
        let insmod = format!("insmod {name}.ko {params}");
        self.tell(Step::Command(insmod.trim_end().to_owned()))?;
        let module = Module::load_alone(name, params)?;
        self.tell_log()?;
        Ok(module)
    }

    /// Runs `command` and tells what it printed.
    fn shell(&mut self, command: &str) -> Result<()> {
        let output = Command::new("/bin/sh")
            .args(["-c", &format!("exec 2>&1; {command}")])
            .stdin(Stdio::null())
            .output()
            .context("/bin/sh")?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !text.is_empty() {
            self.tell(Step::Output(text.trim_end_matches('\n').to_owned()))?;
        }
        if !output.status.success() {
            bail!("{command}: {}", output.status);
        }
        Ok(())
    }

    /// Tells what the kernel has logged since the last time.
    fn tell_log(&mut self) -> Result<()> {
        thread::sleep(SETTLE);
        let lines = self.vm.log().lines()?.iter();
        let lines = lines.map(|line| line.text.clone());
        let lines: Vec<_> = lines.filter(|line| !is_chatter(line)).collect();
        self.vm.log().mark()?;
        for line in lines {
            self.tell(Step::Log(line))?;
        }
        Ok(())
    }

    fn tell(&mut self, step: Step) -> Result<()> {
        let module = self.module.to_owned();
        self.report.send(&Event::Demo { module, step })
    }
}

/// Whether a line is the kernel's own: it is still settling when the first
/// module is loaded.
fn is_chatter(line: &str) -> bool {
    ["clocksource:", "random:"]
        .iter()
        .any(|prefix| line.starts_with(prefix))
}
