// SPDX-License-Identifier: GPL-2.0-only

use std::{ffi::OsString, num::NonZeroU32, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use clap_complete::Shell;

use crate::source::Kernel;

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
    /// Which kernel to test on
    #[arg(long, value_enum, default_value_t)]
    pub kernel: Kernel,

    /// Run the whole list of tests so many times in the same VM
    #[arg(long, value_name = "N", default_value = "1")]
    pub repeat: NonZeroU32,

    /// Write the results to a JUnit file
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
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
