// SPDX-License-Identifier: GPL-2.0-only

//! Chooses how the VM's instructions are run.

use std::{
    env, fs,
    fs::{File, OpenOptions},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Result;
use lkmpg_proto::Event;
use rustix::process::geteuid;

use crate::{
    children::interrupted,
    cli::Accel,
    clock,
    machine::{Accelerator, Machine},
    qemu::{Happening, Vm},
    stop::Stop,
};

/// How long the kernel may take to reach its program under KVM.
const LIMIT: Duration = Duration::from_secs(4);

/// What was chosen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Chosen {
    /// The processor's own virtualization.
    Kvm,
    /// Emulation.
    Tcg,
}

impl Chosen {
    /// For QEMU's `-accel`.
    ///
    /// A thread of QEMU translates an instruction, and then watches the memory that it is
    /// in. What another thread writes in between stays unseen, and the old instruction runs
    /// for ever. A CPU that changes code for others has that right, so all of them are one
    /// thread then.
    pub fn accel(self, machine: &Machine) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg if machine.patches_code => "tcg,thread=single",
            Self::Tcg => "tcg,thread=multi",
        }
    }

    /// What the machine says of it.
    pub fn of(self, machine: &Machine) -> &Accelerator {
        match self {
            Self::Kvm => &machine.accelerators.kvm,
            Self::Tcg => &machine.accelerators.tcg,
        }
    }

    /// For the kernel's command line.
    pub fn kernel_args(self, machine: &Machine) -> String {
        let accelerator = self.of(machine);
        let clock = accelerator.tsc_cmdline.as_ref().zip(clock::tsc_khz());
        let clock = clock.map(|(words, khz)| words.replace("{khz}", &khz.to_string()));
        format!("{} {}", accelerator.cmdline, clock.unwrap_or_default())
    }
}

/// Chooses, and says on standard error what and why.
pub fn choose(wanted: Accel, machine: &Machine) -> Result<Chosen> {
    let (chosen, why) = match wanted {
        Accel::Kvm => match open_kvm() {
            Ok(_) => (Chosen::Kvm, "as asked"),
            Err(error) => {
                let text = format!("/dev/kvm: {error}; run it with --accel tcg");
                return Err(Stop::missing(text));
            }
        },
        Accel::Tcg => (Chosen::Tcg, "as asked"),
        Accel::Auto => probe(machine)?,
    };
    let name = match chosen {
        Chosen::Kvm => "kvm",
        Chosen::Tcg => "tcg",
    };
    eprintln!("accel: {name} ({why})");
    Ok(chosen)
}

fn open_kvm() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/kvm")
}

fn probe(machine: &Machine) -> Result<(Chosen, &'static str)> {
    const GOOD: &str = "/dev/kvm boots this kernel";
    const BAD: &str = "/dev/kvm did not boot this kernel within 4 s";
    if machine.architecture != env::consts::ARCH {
        return Ok((Chosen::Tcg, "the VM's CPUs are not this machine's"));
    }
    match open_kvm() {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok((Chosen::Tcg, "no /dev/kvm"));
        }
        Err(_) => return Ok((Chosen::Tcg, "/dev/kvm may not be opened")),
    }
    let memory = memory(machine);
    let boots = match memory.as_ref().and_then(recall) {
        Some(boots) => boots,
        None => {
            let boots = boots(machine)?;
            if let Some(path) = memory.filter(|_| !interrupted()) {
                // Without the file, the next run probes again.
                let _ = remember(&path, boots);
            }
            boots
        }
    };
    Ok(if boots {
        (Chosen::Kvm, GOOD)
    } else {
        (Chosen::Tcg, BAD)
    })
}

/// Whether the kernel reaches its program under KVM.
fn boots(machine: &Machine) -> Result<bool> {
    let deadline = Some(Instant::now() + LIMIT);
    let mut vm = Vm::boot(machine, Chosen::Kvm, None)?;
    loop {
        match vm.next(deadline)? {
            Happening::Console(_) => {}
            Happening::Line(line) => {
                if matches!(Event::from_line(&line), Ok(Event::Waiting)) {
                    return Ok(true);
                }
            }
            Happening::Ended | Happening::Silence => return Ok(false),
        }
    }
}

/// The file that keeps the answer while this machine is up.
fn memory(machine: &Machine) -> Option<PathBuf> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let mut kernel = DefaultHasher::new();
    machine.kernel.canonicalize().ok()?.hash(&mut kernel);
    let name = format!("lkmpg-kvm-{}-{:016x}", boot.trim(), kernel.finish());
    let dir = match env::var_os("XDG_RUNTIME_DIR") {
        Some(dir) if !dir.is_empty() => dir.into(),
        _ if geteuid().is_root() => PathBuf::from("/run"),
        _ => env::temp_dir(),
    };
    Some(dir.join(name))
}

/// Reads the answer from a file that nobody else can have written.
fn recall(path: &PathBuf) -> Option<bool> {
    let about = fs::symlink_metadata(path).ok()?;
    let ours = about.is_file() && about.uid() == geteuid().as_raw() && about.mode() & 0o022 == 0;
    match fs::read_to_string(path).ok()?.trim() {
        "boots" if ours => Some(true),
        "hangs" if ours => Some(false),
        _ => None,
    }
}

/// Writes the answer in one step, over whatever is there.
fn remember(path: &PathBuf, boots: bool) -> io::Result<()> {
    let dir = path.parent().unwrap_or(path);
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(if boots { b"boots\n" } else { b"hangs\n" })?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kvm");
        assert_eq!(recall(&path), None);
        remember(&path, true).unwrap();
        assert_eq!(recall(&path), Some(true));
        remember(&path, false).unwrap();
        assert_eq!(recall(&path), Some(false));
    }

    #[test]
    fn a_planted_answer_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        remember(&real, true).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert_eq!(recall(&link), None);
    }
}
