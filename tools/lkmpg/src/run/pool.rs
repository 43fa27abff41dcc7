// SPDX-License-Identifier: GPL-2.0-only

//! Where the VMs of a run come from: where several need the same machine, it is
//! booted once and restored for each.

use std::{
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use lkmpg_proto::Request;

use crate::{
    accel::{self, Chosen},
    children::interrupted,
    cli::Accel,
    delivery::Delivery,
    machine::Machine,
    qemu::Vm,
    run::session::{self, End, News},
    source::{Plan, Workshop},
    stop::Stop,
    tally::Verdict,
    template::Template,
};

/// A VM that boots while what it is to do is being built.
pub struct Early {
    /// How its instructions are run.
    pub accel: Chosen,
    machine: Machine,
    vm: Vm,
}

impl Early {
    /// Boots the VM of a run that needs one, when all of it but the module is
    /// built.
    pub fn begin(plan: &Plan, accel: Accel) -> Result<Option<Self>> {
        if plan.selection.names.len() != 1 {
            return Ok(None);
        }
        let Some(machine) = plan.machine()? else {
            return Ok(None);
        };
        let accel = accel::choose(accel, &machine)?;
        let vm = Vm::boot(&machine, accel, None)?;
        Ok(Some(Self { accel, machine, vm }))
    }
}

/// The VMs of a run.
pub struct Pool<'a> {
    workshop: &'a Workshop,
    accel: Chosen,
    timeout: Duration,
    /// The machines that several VMs are to be, and what they are restored from;
    /// nothing when that could not be made.
    templates: Vec<(Machine, OnceLock<Option<Template>>)>,
    /// Whether each VM is to boot.
    boots: AtomicBool,
    early: Mutex<Option<Early>>,
}

impl<'a> Pool<'a> {
    /// For a VM for each of `groups` of modules. With `fresh` each of them boots. An error
    /// names a module that one of them needs, and that is not there.
    pub fn new(
        workshop: &'a Workshop,
        accel: Chosen,
        timeout: Duration,
        groups: &[Vec<String>],
        fresh: bool,
        early: Option<Early>,
    ) -> Result<Self> {
        let machines = groups.iter().map(|it| workshop.machine_for(it));
        let machines = machines.collect::<Result<Vec<_>>>()?;
        let templates = to_save(&machines).into_iter();
        Ok(Self {
            workshop,
            accel,
            timeout,
            templates: templates.map(|it| (it, OnceLock::new())).collect(),
            boots: AtomicBool::new(fresh),
            early: Mutex::new(early),
        })
    }

    /// Has a VM do what `request` says, and follows it to its end.
    ///
    /// Returns how each test ended, and how long it was until all had. When the VM
    /// itself fails, the test that was running fails with what is known of the
    /// cause.
    pub fn run(
        &self,
        request: &Request,
        news: &mut dyn FnMut(News<'_>),
    ) -> Result<(Vec<Verdict>, Duration)> {
        let begin = Instant::now();
        loop {
            let vm = self.vm(&request.modules)?;
            let modules = &self.workshop.modules;
            match session::follow(vm, request, modules, self.timeout, news)? {
                End::Verdicts(verdicts, end) => return Ok((verdicts, end - begin)),
                End::NotRestored(why) => self.boot_from_now_on(&why),
            }
        }
    }

    /// A VM for the modules called `names`, which waits for its orders, or is
    /// about to.
    fn vm(&self, names: &[String]) -> Result<Vm> {
        let machine = self.workshop.machine_for(names)?;
        if let Some(early) = self.early.lock().unwrap().take() {
            if early.machine == machine {
                return Ok(early.vm);
            }
        }
        if !self.boots.load(Ordering::Relaxed) {
            if let Some(template) = self.template(&machine)? {
                let delivery = Delivery::of(&self.workshop.modules, names)?;
                match Vm::restore(template, delivery) {
                    Ok(vm) => return Ok(vm),
                    Err(error) => self.give_up(&error)?,
                }
            }
        }
        Vm::boot(&machine, self.accel, None)
    }

    /// The template of `machine`, made now when this is the first to ask; nothing
    /// when there is none.
    fn template(&self, machine: &Machine) -> Result<Option<&Template>> {
        let mut templates = self.templates.iter();
        let Some((_, template)) = templates.find(|(it, _)| it == machine) else {
            return Ok(None);
        };
        let mut stop = Ok(());
        let template = template.get_or_init(|| {
            match Template::make(machine, self.accel, Instant::now() + self.timeout) {
                Ok(template) => Some(template),
                Err(error) => {
                    stop = self.give_up(&error);
                    None
                }
            }
        });
        stop.map(|()| template.as_ref())
    }

    /// From now on each VM boots. An error means that none is wanted any more.
    fn give_up(&self, why: &anyhow::Error) -> Result<()> {
        if interrupted() {
            return Err(Stop::failed("interrupted"));
        }
        self.boot_from_now_on(&format!("{why:#}"));
        Ok(())
    }

    fn boot_from_now_on(&self, why: &str) {
        if !self.boots.swap(true, Ordering::Relaxed) {
            let why = why
                .split('\n')
                .map(str::trim)
                .collect::<Vec<_>>()
                .join("; ");
            eprintln!("lkmpg: a VM cannot be restored, so each boots: {why}");
        }
    }
}

/// Those of `machines` that are worth saving: several VMs are to be one.
fn to_save(machines: &[Machine]) -> Vec<Machine> {
    let mut found: Vec<Machine> = Vec::new();
    for (index, machine) in machines.iter().enumerate() {
        let again = machines[..index].contains(machine);
        if again && machine.can_be_saved() && !found.contains(machine) {
            found.push(machine.clone());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{self, Needs};

    #[test]
    fn what_several_need_is_saved() {
        let dir = tempfile::tempdir().unwrap();
        machine::tests::write(dir.path(), None);
        let plain = Machine::open(dir.path()).unwrap();
        let with = |needs: Needs| plain.with([&needs]);
        let large = with(Needs {
            memory: 512,
            ..Needs::default()
        });
        // QEMU would not restore it as it was.
        let device = with(Needs {
            devices: vec!["edu".to_owned()],
            ..Needs::default()
        });
        let machines = [&plain, &large, &plain, &device, &plain, &device].map(Machine::clone);
        assert_eq!(to_save(&machines), [plain]);
    }
}
