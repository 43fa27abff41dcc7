// SPDX-License-Identifier: GPL-2.0-only

//! The machine that a VM has, as `machine.json` describes it, and what examples
//! need of it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use lkmpg_proto::Catalog;
use serde::Deserialize;

use crate::stop::Stop;

/// The file in the directory of a VM.
const FILE: &str = "machine.json";

/// A VM without modules.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Machine {
    /// That of its CPUs, as Rust calls it.
    pub architecture: String,
    /// The emulator.
    pub qemu: PathBuf,
    /// For QEMU's `-machine`.
    pub machine: String,
    /// In MiB.
    pub memory: u32,
    /// How many CPUs.
    pub cpus: u32,
    /// For QEMU's `-smp`, with `{cpus}` where the number belongs.
    smp: String,
    /// Where the kernel logs and the shell is.
    pub console: Port,
    /// Where the guest's program sends its events.
    pub events: Port,
    /// What makes QEMU's memory `files` a device, where the guest's program takes
    /// the modules' files from.
    pub files: Vec<String>,
    /// What depends on how the VM's instructions are run.
    pub accelerators: Accelerators,
    /// The bootable kernel.
    pub kernel: PathBuf,
    /// The initial RAM file system, without modules.
    pub initrd: PathBuf,
    /// What the kernel is told in any case.
    pub cmdline: String,
    /// The list of the tests in the initial RAM file system.
    pub tests: PathBuf,
    /// What gdb is to run first, when the kernel is one to debug.
    pub gdbinit: Option<PathBuf>,
    /// QEMU's `-device`s beyond those of every VM.
    #[serde(skip)]
    pub devices: Vec<String>,
    /// Whether code changes while other CPUs run it.
    #[serde(skip)]
    pub patches_code: bool,
}

/// A port of the VM that is a terminal to the guest.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Port {
    /// The terminal's name in `/dev`.
    pub tty: String,
    /// What connects it to QEMU's chardev `console` or `events`.
    pub arguments: Vec<String>,
}

/// The ways to run instructions.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Accelerators {
    /// By the processor's own virtualization.
    pub kvm: Accelerator,
    /// By emulation.
    pub tcg: Accelerator,
}

/// What one way to run instructions needs.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Accelerator {
    /// For QEMU's `-cpu`.
    pub cpu: String,
    /// For the kernel's command line.
    pub cmdline: String,
    /// For the kernel's command line where this machine has a time stamp counter
    /// that the guest reads, with `{khz}` where its rate belongs.
    pub tsc_cmdline: Option<String>,
}

impl Machine {
    /// Reads the description in `dir`.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let text = fs::read_to_string(&path)
            .map_err(|error| Stop::missing(format!("{}: {error}", path.display())))?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    /// The tests that its guest knows.
    pub fn catalog(&self) -> Result<Catalog> {
        read_catalog(&self.tests)
    }

    /// Whether `dir` has a description.
    pub fn is_in(dir: &Path) -> bool {
        dir.join(FILE).exists()
    }

    /// Its memory in bytes.
    pub fn bytes(&self) -> u64 {
        u64::from(self.memory) << 20
    }

    /// Whether a VM of it can be saved, and others restored from it. QEMU leaves the state of
    /// some devices out, as that of `edu`, and says nothing.
    pub fn can_be_saved(&self) -> bool {
        self.devices.is_empty()
    }

    /// The value of QEMU's `-smp`.
    pub fn smp(&self) -> String {
        self.smp.replace("{cpus}", &self.cpus.to_string())
    }

    /// The machine with everything that examples need. A device that two of
    /// them name is there once.
    #[must_use]
    pub fn with<'a>(&self, needs: impl IntoIterator<Item = &'a Needs>) -> Self {
        let mut machine = self.clone();
        for needs in needs {
            machine.memory = machine.memory.max(needs.memory);
            machine.cpus = machine.cpus.max(needs.cpus);
            machine.patches_code |= needs.patches_code;
            for device in &needs.devices {
                if !machine.devices.contains(device) {
                    machine.devices.push(device.clone());
                }
            }
            if !needs.cmdline.is_empty() {
                machine.cmdline.push(' ');
                machine.cmdline.push_str(&needs.cmdline);
            }
        }
        machine
    }
}

/// The list of tests in the file at `path`.
pub fn read_catalog(path: &Path) -> Result<Catalog> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// What an example needs of the machine: its `needs.toml`, which also says what
/// is the business of the build.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct Needs {
    /// QEMU's `-device`s.
    pub devices: Vec<String>,
    /// Words for the kernel's command line.
    pub cmdline: String,
    /// In MiB; the machine's own when that is more.
    pub memory: u32,
    /// How many CPUs; the machine's own when those are more.
    pub cpus: u32,
    /// Whether it changes code that other CPUs run.
    pub patches_code: bool,
    /// Modules that its setup or its tests load, too.
    pub beside: Vec<String>,
    /// The architectures that can have it; all when there is none.
    pub architectures: Vec<String>,
    /// Other modules, whose symbols it uses.
    pub modules: Vec<String>,
}

impl Needs {
    /// Whether every architecture can have it.
    pub fn fits_all(&self) -> bool {
        self.architectures.is_empty()
    }

    /// Reads the file at `path`; without one nothing is needed.
    pub fn read(path: &Path) -> Result<Self> {
        match path.exists() {
            false => Ok(Self::default()),
            true => {
                let text = fs::read_to_string(path);
                let text = text.with_context(|| path.display().to_string())?;
                toml::from_str(&text).with_context(|| path.display().to_string())
            }
        }
    }
}

/// The modules called `names`, and those that they or their tests need, by what `needs`
/// says of each.
pub fn with_needed<'a>(
    names: &[String],
    needs: impl Fn(&str) -> Option<&'a Needs>,
) -> Result<Vec<String>> {
    let mut all = names.to_vec();
    let mut index = 0;
    while index < all.len() {
        let of_this = needs(&all[index]).into_iter();
        for name in of_this.flat_map(|needs| needs.modules.iter().chain(&needs.beside)) {
            if needs(name).is_none() {
                let this = &all[index];
                return Err(Stop::usage(format!(
                    "{this} needs the module {name}, which is not there"
                )));
            }
            if !all.contains(name) {
                all.push(name.clone());
            }
        }
        index += 1;
    }
    Ok(all)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::accel::Chosen;

    /// A description of a machine in `dir`.
    pub fn write(dir: &Path, gdbinit: Option<&Path>) {
        let port = serde_json::json!({ "tty": "tty9", "arguments": [] });
        let accelerator = serde_json::json!({ "cpu": "any", "cmdline": "" });
        let machine = serde_json::json!({
            "architecture": "any",
            "qemu": dir.join("qemu"),
            "machine": "any",
            "memory": 64,
            "cpus": 2,
            "smp": "cpus={cpus},sockets={cpus}",
            "console": port,
            "events": port,
            "files": [],
            "tests": dir.join("tests.json"),
            "accelerators": { "kvm": accelerator, "tcg": accelerator },
            "kernel": dir.join("kernel"),
            "initrd": dir.join("initrd"),
            "cmdline": "panic=-1",
            "gdbinit": gdbinit,
        });
        fs::write(dir.join(FILE), machine.to_string()).unwrap();
    }

    #[test]
    fn needs_are_added_up() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), None);
        let machine = Machine::open(dir.path()).unwrap();
        let file = dir.path().join("needs.toml");
        let text = "devices = [\"edu\"]\nmemory = 128\ncpus = 1\ncmdline = \"quiet\"\nconfig = [\"PCI\"]\n";
        fs::write(&file, text).unwrap();
        let needs = [
            Needs::read(&file).unwrap(),
            Needs {
                devices: vec!["edu".into(), "virtio-rng".into()],
                cpus: 4,
                patches_code: true,
                ..Needs::default()
            },
            Needs::read(&dir.path().join("none.toml")).unwrap(),
        ];
        assert_eq!(Chosen::Tcg.accel(&machine), "tcg,thread=multi");
        assert!(machine.can_be_saved());
        let machine = machine.with(&needs);
        assert!(!machine.can_be_saved());
        assert_eq!(Chosen::Tcg.accel(&machine), "tcg,thread=single");
        assert_eq!(Chosen::Kvm.accel(&machine), "kvm");
        assert_eq!(machine.devices, ["edu", "virtio-rng"]);
        assert_eq!((machine.memory, machine.cpus), (128, 4));
        assert_eq!(machine.cmdline, "panic=-1 quiet");
        assert_eq!(machine.smp(), "cpus=4,sockets=4");
    }

    #[test]
    fn what_modules_need_is_added() {
        let strings = |names: &[&str]| -> Vec<String> {
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        let needing = |modules: &[&str]| Needs {
            modules: strings(modules),
            ..Needs::default()
        };
        let known = [
            ("a", needing(&["b"])),
            (
                "b",
                Needs {
                    beside: strings(&["c"]),
                    ..Needs::default()
                },
            ),
            ("c", needing(&[])),
            ("d", needing(&["e"])),
        ];
        let needs = |name: &str| {
            let found = known.iter().find(|(known, _)| *known == name);
            found.map(|(_, needs)| needs)
        };
        let with_needed = |names: &[&str]| super::with_needed(&strings(names), needs);
        assert_eq!(with_needed(&["a"]).unwrap(), ["a", "b", "c"]);
        assert_eq!(with_needed(&["c", "b"]).unwrap(), ["c", "b"]);
        let error = with_needed(&["d"]).unwrap_err().to_string();
        assert_eq!(error, "d needs the module e, which is not there");
    }

    #[test]
    fn what_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = Machine::open(dir.path()).unwrap_err();
        assert!(format!("{error:#}").contains("machine.json"), "{error:#}");
        fs::write(dir.path().join(FILE), "{\"qemu\": \"x\"}").unwrap();
        let error = Machine::open(dir.path()).unwrap_err();
        assert!(format!("{error:#}").contains("missing field"), "{error:#}");
    }
}
