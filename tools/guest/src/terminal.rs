// SPDX-License-Identifier: GPL-2.0-only

//! A terminal for programs, with the test in front of it.
//!
//! Reference: pty(7), credentials(7)

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use rustix::process::{ioctl_tiocsctty, setsid};

use crate::{
    Module, module,
    syscalls::{Argument, ioctl},
};

const TIOCGPTN: u32 = 0x8004_5430;
const TIOCSPTLCK: u32 = 0x4004_5431;

/// A pseudo-terminal. What programs write to it is kept for [`shown`](Self::shown).
pub struct Terminal {
    master: File,
    path: String,
}

impl Terminal {
    /// A new terminal that no program has open.
    ///
    /// # Errors
    ///
    /// When the kernel has none.
    pub fn new() -> Result<Self> {
        let master = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK)
            .open("/dev/ptmx")
            .context("/dev/ptmx")?;
        let mut number = [0; 4];
        ioctl(&master, TIOCGPTN, Argument::Buffer(&mut number))?;
        ioctl(&master, TIOCSPTLCK, Argument::Buffer(&mut [0; 4]))?;
        Ok(Self {
            master,
            path: format!("/dev/pts/{}", u32::from_ne_bytes(number)),
        })
    }

    /// Opens it as a program does.
    fn open(&self) -> Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let file = options.custom_flags(libc::O_NOCTTY).open(&self.path);
        file.with_context(|| self.path.clone())
    }

    /// Where programs find it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// A shell that this terminal controls. The terminal's settings outlive it, and so does
    /// what was not [`shown`](Self::shown).
    ///
    /// # Errors
    ///
    /// When there can be none.
    pub fn session(&self) -> Result<Session> {
        let terminal = self.open()?;
        let controlling = terminal.try_clone()?;
        let mut command = Command::new("sh");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // SAFETY: the closure only makes system calls.
        unsafe {
            command.pre_exec(move || {
                setsid()?;
                Ok(ioctl_tiocsctty(&controlling)?)
            })
        };
        let mut shell = command.spawn().context("sh")?;
        Ok(Session {
            input: shell.stdin.take().context("the shell's input")?,
            output: BufReader::new(shell.stdout.take().context("the shell's output")?),
            shell,
            terminal,
        })
    }

    /// What programs have written to it since the last call of this function.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn shown(&mut self) -> io::Result<String> {
        let mut all = Vec::new();
        let mut part = [0; 4096];
        loop {
            match self.master.read(&mut part) {
                Ok(0) => break,
                Ok(len) => all.extend_from_slice(&part[..len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // No program has it open any more.
                Err(error) if error.raw_os_error() == Some(libc::EIO) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(String::from_utf8_lossy(&all).into_owned())
    }
}

/// A shell in a session of its own, which a [`Terminal`] controls. Its input and its output
/// are the test's, so what the terminal shows comes from elsewhere. It is killed when this
/// is dropped.
pub struct Session {
    shell: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    terminal: File,
}

impl Session {
    /// The terminal, for its settings.
    #[must_use]
    pub fn terminal(&self) -> &File {
        &self.terminal
    }

    /// The shell's process, which also does what is builtin.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.shell.id()
    }

    /// Types a command, and does not wait for it.
    ///
    /// # Errors
    ///
    /// When the shell is gone.
    pub fn begin(&mut self, command: &str) -> Result<()> {
        writeln!(self.input, "{{ {command}; }} >/dev/null 2>&1; echo $?")?;
        Ok(())
    }

    /// Waits for the end of the command that was [begun](Self::begin), and returns its status.
    ///
    /// # Errors
    ///
    /// When the shell is gone.
    pub fn end(&mut self) -> Result<i32> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        line.trim_end().parse().context("the shell is gone")
    }

    /// Runs a command, and returns its status.
    ///
    /// # Errors
    ///
    /// When the shell is gone.
    pub fn run(&mut self, command: &str) -> Result<i32> {
        self.begin(command)?;
        self.end()
    }

    /// Loads the module `NAME.ko`.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn load(&mut self, name: &str) -> Result<Module> {
        let status = self.run(&format!("insmod {}", module::file(name).display()))?;
        ensure!(status == 0, "insmod {name}.ko: status {status}");
        Module::of_others(name)
    }

    /// Unloads a module.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn unload(&mut self, module: Module) -> Result<()> {
        let status = self.run(&format!("rmmod {}", module.name()))?;
        ensure!(status == 0, "rmmod {}: status {status}", module.name());
        module.was_unloaded()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It may wait for the terminal.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// Runs a shell command in a session of its own without a terminal, and returns its status.
///
/// # Errors
///
/// When there can be none.
pub fn without_terminal(command: &str) -> Result<Option<i32>> {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::null());
    // SAFETY: the closure only makes a system call.
    unsafe { shell.pre_exec(|| Ok(setsid().map(drop)?)) };
    Ok(shell.output().context("sh")?.status.code())
}
