// SPDX-License-Identifier: GPL-2.0-only

use std::{ffi::OsString, num::NonZeroU32, path::PathBuf, time::Duration};

use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use clap_complete::Shell;

use crate::{source::Kernel, stop::Stop};

/// The examples of the Linux Kernel Module Programming Guide, in Rust.
#[derive(Debug, Parser)]
#[command(name = "lkmpg", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,

    #[command(flatten)]
    pub source: Source,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Load each module, show what it does, unload it
    Demo {
        #[command(flatten)]
        names: Names,
        #[command(flatten)]
        vm: VmOptions,
        #[command(flatten)]
        run: RunOptions,
    },
    /// Give a shell in a VM with the modules loaded; leave with `exit`
    Shell {
        #[command(flatten)]
        names: Names,
        #[command(flatten)]
        vm: VmOptions,

        /// Debug the kernel: let gdb connect to a port of this machine [default: 1234]
        #[arg(
            long,
            value_name = "PORT",
            num_args = 0..=1,
            require_equals = true,
            default_missing_value = "1234",
            value_parser = value_parser!(u16).range(1..)
        )]
        gdb: Option<u16>,
    },
    /// Run the modules' tests, each module in a VM of its own
    Test {
        /// Modules or MODULE::TEST; `*` stands for any text, as in '*::reload'.
        /// Every example and every test of lkm when there is none
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        vm: VmOptions,
        #[command(flatten)]
        run: RunOptions,
        #[command(flatten)]
        test: TestOptions,
    },
    /// Measure what modules do, and what their twins in C do
    Bench {
        /// Examples; `*` stands for any text. All that can be measured when there is none
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        bench: BenchOptions,
    },
    /// Change lkm in a small way, many times, and see that a test fails each time
    Mutate {
        /// Files of modules/lkm, or names of mutants; `*` stands for any text. All when there
        /// is none
        #[arg(value_name = "FILE")]
        names: Vec<String>,
        #[command(flatten)]
        vm: VmOptions,
        #[command(flatten)]
        run: RunOptions,
        #[command(flatten)]
        mutate: MutateOptions,
    },
    /// List the examples: name, chapter, what it shows
    List {
        /// List all tests, those of lkm and those that every module has, too
        #[arg(long)]
        tests: bool,

        /// List the chapters of the book, each with its examples
        #[arg(long, conflicts_with = "tests")]
        by_chapter: bool,

        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Build the modules
    Build {
        #[command(flatten)]
        names: Names,
    },
    /// Run every check of the flake
    Check {
        /// Also those that take long and rarely fail
        #[arg(long)]
        nightly: bool,
    },
    /// The development shell, or one command in it
    Develop {
        /// The command and its arguments; a shell when there is none
        #[arg(value_name = "COMMAND", trailing_var_arg = true)]
        command: Vec<OsString>,
    },
    /// Only download what the builds need
    Fetch,
    /// Print what makes a shell complete the commands and options
    ///
    /// For bash: source <(./lkmpg completions bash)
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Args, Debug)]
pub struct Names {
    /// The modules, every example when none is named; `*` stands for any text
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

#[derive(Args, Debug)]
pub struct VmOptions {
    /// How the VM's instructions are run
    #[arg(long, value_enum, default_value_t)]
    pub accel: Accel,

    /// Give up on a VM that ends no test for so many seconds (not in a shell) [default: 600, debug kernel: 1800]
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub timeout: Option<Duration>,
}

#[derive(Args, Debug)]
pub struct RunOptions {
    /// Run so many VMs at a time [default: what suits the machine]
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroU32>,

    /// Boot each VM; else one boots, and the others are restored from its state
    #[arg(long)]
    pub fresh: bool,
}

#[derive(Args, Debug)]
pub struct TestOptions {
    /// Which kernel to test on [default: base, with --faults or --storm: debug]
    #[arg(long, value_enum)]
    kernel: Option<Kernel>,

    /// Run the whole list of tests so many times in the same VM
    #[arg(long, value_name = "N", default_value = "1")]
    pub repeat: NonZeroU32,

    /// Have allocations fail, one at a time, in the load, the tests and the unload: N for each module at most [default: 200]
    #[arg(
        long,
        value_name = "N",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "200",
        conflicts_with = "repeat"
    )]
    pub faults: Option<NonZeroU32>,

    /// Load and unload each module N times, and unload it while it is used as often as that makes fit [default: 1000]
    #[arg(
        long,
        value_name = "N",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1000",
        conflicts_with = "faults"
    )]
    pub storm: Option<NonZeroU32>,

    /// Write the results to a JUnit file
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct BenchOptions {
    /// Measure in so many rounds
    #[arg(long, value_name = "N", default_value = "5")]
    pub rounds: NonZeroU32,

    /// Measure by this machine's clock; else instructions are counted, each a nanosecond
    #[arg(long)]
    pub wall: bool,

    /// How the VM's instructions are run [default: auto]
    #[arg(long, value_enum, requires = "wall")]
    pub accel: Option<Accel>,

    /// Print a JSON object
    #[arg(long)]
    pub json: bool,

    /// Give up on a VM that ends no round for so many seconds [default: 600]
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub timeout: Option<Duration>,
}

#[derive(Args, Debug)]
pub struct MutateOptions {
    /// Only print the mutants: line, name, and how many modules are tested with it
    #[arg(long)]
    pub list: bool,

    /// Take the K-th of N parts of the mutants
    #[arg(long, value_name = "K/N", value_parser = shard)]
    pub shard: Option<Shard>,
}

/// A part of many.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shard {
    /// Which one, from 0.
    pub index: usize,
    /// Of how many.
    pub count: usize,
}

fn shard(text: &str) -> Result<Shard, String> {
    let numbers = text.split_once('/').and_then(|(index, count)| {
        let index: usize = index.parse().ok()?;
        let count: usize = count.parse().ok()?;
        (1..=count).contains(&index).then_some((index, count))
    });
    match numbers {
        Some((index, count)) => Ok(Shard {
            index: index - 1,
            count,
        }),
        None => Err("K/N, with K from 1 to N".to_owned()),
    }
}

impl TestOptions {
    /// The kernel that is meant. Only one has allocations fail.
    pub fn kernel(&self) -> Result<Kernel> {
        match (self.kernel, self.faults) {
            (Some(Kernel::Debug) | None, Some(_)) => Ok(Kernel::Debug),
            (Some(_), Some(_)) => Err(Stop::usage(
                "nothing fails on that kernel; leave out --kernel, or --faults",
            )),
            (Some(kernel), None) => Ok(kernel),
            (None, None) if self.storm.is_some() => Ok(Kernel::Debug),
            (None, None) => Ok(Kernel::default()),
        }
    }

    /// How many loads there are in the storm; 0 when there is none.
    pub fn loads(&self) -> u32 {
        self.storm.map_or(0, NonZeroU32::get)
    }
}

/// Where the things come from that a command works with.
#[derive(Args, Debug)]
pub struct Source {
    /// Whose compiler and QEMU to use
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        env = "LKMPG_TOOLCHAIN"
    )]
    pub toolchain: Toolchain,

    /// Take no packages but the pinned ones, even if they have left Debian's mirror
    #[arg(long, global = true)]
    pub locked: bool,

    /// The repository
    #[arg(long, global = true, hide = true, env = "LKMPG_ROOT")]
    pub root: Option<PathBuf>,

    /// The flake, when it is not the toolchain's own
    #[arg(long, global = true, hide = true, env = "LKMPG_FLAKE")]
    pub flake: Option<String>,

    /// A VM that is already built: then nothing is built at all
    #[arg(
        long,
        global = true,
        hide = true,
        env = "LKMPG_VM",
        requires = "modules"
    )]
    pub vm: Option<PathBuf>,

    /// Modules that are already built
    #[arg(
        long,
        global = true,
        hide = true,
        env = "LKMPG_MODULES",
        value_delimiter = ':'
    )]
    pub modules: Vec<PathBuf>,

    /// The modules' twins in C that are already built
    #[arg(long, global = true, hide = true, env = "LKMPG_TWINS")]
    pub twins: Option<PathBuf>,

    /// A development shell that is already built: a file for bash to read
    #[arg(long, global = true, hide = true, env = "LKMPG_SHELL")]
    pub development_shell: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Accel {
    /// KVM where it boots the kernel, else TCG
    #[default]
    Auto,
    /// The processor's own virtualization
    Kvm,
    /// Emulation, which works everywhere
    Tcg,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Toolchain {
    /// Debian's where the launcher finds apt, else nixpkgs'
    #[default]
    Auto,
    /// From nixpkgs
    Nixpkgs,
    /// From Debian's archive
    Debian,
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a whole number of seconds, at least 1".to_owned()),
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_may_follow_names() {
        let cli = Cli::parse_from(["lkmpg", "test", "hello-1", "--timeout", "7", "procfs1"]);
        let Command::Test { names, vm, .. } = cli.command else {
            panic!("{cli:?}");
        };
        assert_eq!(names, ["hello-1", "procfs1"]);
        assert_eq!(vm.timeout, Some(Duration::from_secs(7)));
    }

    #[test]
    fn a_name_is_not_a_port() {
        let read = |option: &str| {
            let cli = Cli::try_parse_from(["lkmpg", "shell", option, "hello-1"]).ok()?;
            match cli.command {
                Command::Shell { names, gdb, .. } if names.names == ["hello-1"] => gdb,
                _ => None,
            }
        };
        assert_eq!(read("--gdb"), Some(1234));
        assert_eq!(read("--gdb=4321"), Some(4321));
        assert_eq!(read("--gdb=0"), None);
        assert_eq!(read("--gdb=65536"), None);
    }

    #[test]
    fn counted_instructions_are_emulated() {
        let read = |options: &[&str]| {
            let typed = [&["lkmpg", "bench", "blkram"], options].concat();
            let cli = Cli::try_parse_from(typed).ok()?;
            match cli.command {
                Command::Bench { bench, .. } => Some((bench.wall, bench.accel)),
                _ => None,
            }
        };
        assert_eq!(read(&[]), Some((false, None)));
        assert_eq!(read(&["--accel", "kvm"]), None);
        let kvm = read(&["--wall", "--accel", "kvm"]);
        assert_eq!(kvm, Some((true, Some(Accel::Kvm))));
    }

    #[test]
    fn a_name_is_no_number_of_faults() {
        let read = |options: &[&str]| {
            let typed = [&["lkmpg", "test"], options, &["hello-1"]].concat();
            match Cli::try_parse_from(typed).ok()?.command {
                Command::Test { names, test, .. } if names == ["hello-1"] => {
                    Some((test.faults.map(NonZeroU32::get), test.kernel().ok()))
                }
                _ => None,
            }
        };
        let debug = Some(Kernel::Debug);
        assert_eq!(read(&[]), Some((None, Some(Kernel::Base))));
        assert_eq!(read(&["--faults"]), Some((Some(200), debug)));
        assert_eq!(
            read(&["--faults=7", "--kernel", "debug"]),
            Some((Some(7), debug))
        );
        assert_eq!(
            read(&["--faults", "--kernel", "6.18"]),
            Some((Some(200), None))
        );
        assert_eq!(read(&["--faults=0"]), None);
        assert_eq!(read(&["--faults", "--repeat", "2"]), None);
    }

    #[test]
    fn a_storm_is_on_the_debug_kernel() {
        let read = |options: &[&str]| {
            let typed = [&["lkmpg", "test"], options, &["hello-1"]].concat();
            match Cli::try_parse_from(typed).ok()?.command {
                Command::Test { names, test, .. } if names == ["hello-1"] => {
                    Some((test.loads(), test.kernel().ok()))
                }
                _ => None,
            }
        };
        assert_eq!(read(&[]), Some((0, Some(Kernel::Base))));
        assert_eq!(read(&["--storm"]), Some((1000, Some(Kernel::Debug))));
        assert_eq!(
            read(&["--storm=100", "--kernel", "6.18"]),
            Some((100, Some(Kernel::Lts)))
        );
        assert_eq!(read(&["--storm=0"]), None);
        assert_eq!(read(&["--storm", "--faults"]), None);
    }

    #[test]
    fn a_shard_is_a_part() {
        assert_eq!(shard("1/4"), Ok(Shard { index: 0, count: 4 }));
        assert_eq!(shard("4/4"), Ok(Shard { index: 3, count: 4 }));
        for wrong in ["0/4", "5/4", "4", "a/4", "-1/4", "1/0"] {
            assert!(shard(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_command_keeps_its_options() {
        for begin in [&["lkmpg", "develop"][..], &["lkmpg", "develop", "--"]] {
            let typed = [begin, &["make", "-C", "modules", "--", "--vm"]].concat();
            let cli = Cli::parse_from(typed);
            let Command::Develop { command } = cli.command else {
                panic!("{cli:?}");
            };
            assert_eq!(command, ["make", "-C", "modules", "--", "--vm"]);
        }
    }
}
