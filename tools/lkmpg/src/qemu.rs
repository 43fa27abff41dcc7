// SPDX-License-Identifier: GPL-2.0-only

//! A running VM.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use lkmpg_proto::{Request, events_to};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{FdFlags, fcntl_setfd, ioctl_fionbio},
    pipe::{PipeFlags, pipe_with},
    process::Signal,
};

use crate::{accel::Chosen, children::Group, machine::Machine};

/// A running VM: QEMU, with a way to the console and one for events.
pub struct Vm {
    qemu: Group,
    console: Option<File>,
    events: Option<UnixStream>,
    received: Vec<u8>,
    keyboard: Option<Keyboard>,
}

/// The way from our standard input to the console.
struct Keyboard {
    input: Option<io::Stdin>,
    ended: bool,
    pending: Vec<u8>,
    console: OwnedFd,
}

/// What a VM does.
#[derive(Debug)]
pub enum Happening {
    /// The console prints.
    Console(Vec<u8>),
    /// A line comes from the guest's program.
    Line(String),
    /// QEMU has closed both.
    Ended,
    /// Nothing more happened until the deadline.
    Silence,
}

impl Vm {
    /// Starts `machine` with the file system `initrd`. `gdb` is the port of the
    /// host that gdb may connect to.
    pub fn start(
        machine: &Machine,
        initrd: &Path,
        accel: Chosen,
        request: &Request,
        gdb: Option<u16>,
    ) -> Result<Self> {
        let (ours, theirs) = UnixStream::pair().context("a socket")?;
        let (console, console_out) = pipe_with(PipeFlags::CLOEXEC).context("a pipe")?;
        let (keyboard_in, keyboard) = pipe_with(PipeFlags::CLOEXEC).context("a pipe")?;
        ours.set_nonblocking(true).context("a socket")?;
        ioctl_fionbio(&console, true).context("a pipe")?;
        ioctl_fionbio(&keyboard, true).context("a pipe")?;

        let accelerator = accel.of(machine);
        let mut command = Command::new(&machine.qemu);
        command.args(["-machine", &machine.machine, "-accel", accel.accel()]);
        command.args(["-cpu", &accelerator.cpu, "-smp", &machine.smp()]);
        command.args(["-m", &machine.memory.to_string(), "-no-reboot"]);
        command.args(["-nodefaults", "-no-user-config", "-display", "none"]);
        command.args(["-chardev", "stdio,id=console,signal=off"]);
        command.args(&machine.console.arguments);
        let events = format!("socket,id=events,fd={}", theirs.as_raw_fd());
        command.args(["-chardev", &events]);
        command.args(&machine.events.arguments);
        for device in &machine.devices {
            command.args(["-device", device]);
        }
        command.arg("-kernel").arg(&machine.kernel);
        command.arg("-initrd").arg(initrd);
        let append = [
            &format!("console={}", machine.console.tty),
            &machine.cmdline,
            &accel.kernel_args(machine),
            &events_to(&machine.events.tty),
            &request.to_string(),
        ];
        command.args(["-append", &append.map(String::as_str).join(" ")]);
        if let Some(port) = gdb {
            command.args(["-gdb", &format!("tcp:127.0.0.1:{port}")]);
        }
        command.stdin(keyboard_in);
        command.stderr(console_out.try_clone().context("a pipe")?);
        command.stdout(Stdio::from(console_out));
        // SAFETY: the closure makes one system call, which is allowed between
        // fork and exec. It hands the socket to this child alone.
        unsafe {
            command.pre_exec(move || Ok(fcntl_setfd(&theirs, FdFlags::empty())?));
        }
        let qemu = Group::spawn(&mut command, Signal::KILL);
        Ok(Self {
            qemu: qemu.with_context(|| machine.qemu.display().to_string())?,
            console: Some(console.into()),
            events: Some(ours),
            received: Vec::new(),
            keyboard: Some(Keyboard {
                input: None,
                ended: false,
                pending: Vec::new(),
                console: keyboard,
            }),
        })
    }

    /// From now on our standard input goes to the console.
    pub fn connect_keyboard(&mut self) {
        if let Some(keyboard) = &mut self.keyboard {
            keyboard.input = Some(io::stdin());
        }
    }

    /// Types Ctrl-D when standard input has ended.
    ///
    /// A program that changes its terminal's mode loses what was typed before,
    /// so once may not be enough. What an earlier one has left on the line, a
    /// Ctrl-U takes away: the end of the input is one on an empty line only.
    pub fn type_end(&mut self) {
        const END: &[u8] = b"\x15\x04";
        if let Some(keyboard) = &mut self.keyboard {
            if keyboard.ended && keyboard.pending.is_empty() {
                keyboard.pending.extend(END);
            }
        }
    }

    /// Answers the guest, which waits for a line.
    pub fn answer(&mut self) -> Result<()> {
        let mut events = self.events.as_ref().context("the guest is gone")?;
        events.write_all(b"\n").context("the guest's port")
    }

    /// Waits for what happens next, until `deadline` when there is one.
    pub fn next(&mut self, deadline: Option<Instant>) -> Result<Happening> {
        loop {
            if let Some(line) = self.take_line() {
                return Ok(Happening::Line(line));
            }
            if self.console.is_none() && self.events.is_none() {
                return Ok(Happening::Ended);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Happening::Silence);
            }
            self.wait(left)?;

            let mut buffer = [0; 4096];
            if let Some(length) = read(&mut self.events, &mut buffer)? {
                self.received.extend_from_slice(&buffer[..length]);
            }
            if let Some(length) = read(&mut self.console, &mut buffer)? {
                if length > 0 {
                    return Ok(Happening::Console(buffer[..length].to_vec()));
                }
            }
        }
    }

    /// Reads what the console has printed and nobody has taken yet.
    pub fn drain_console(&mut self) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        let mut buffer = [0; 4096];
        while let Some(length) = read(&mut self.console, &mut buffer)? {
            if length == 0 {
                break;
            }
            text.extend_from_slice(&buffer[..length]);
        }
        Ok(text)
    }

    /// Waits up to `limit` for QEMU to end, then kills it.
    pub fn end(mut self, limit: Duration) -> Result<()> {
        self.qemu.wait(limit).context("QEMU")?;
        Ok(())
    }

    /// Waits until there is something to read, or to type.
    fn wait(&mut self, left: Option<Duration>) -> Result<()> {
        let timeout = left.map(Timespec::try_from).transpose()?;
        let mut fds = Vec::new();
        fds.extend(self.console.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
        fds.extend(self.events.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
        let watched = fds.len();
        if let Some(keyboard) = &self.keyboard {
            fds.extend(keyboard.poll());
        }
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("poll"),
        }
        let typed = fds[watched..].iter().any(|fd| !fd.revents().is_empty());
        if typed {
            if let Some(keyboard) = &mut self.keyboard {
                if keyboard.transfer().is_err() {
                    self.keyboard = None;
                }
            }
        }
        Ok(())
    }

    fn take_line(&mut self) -> Option<String> {
        let end = self.received.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<_> = self.received.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

impl Keyboard {
    /// What to wait for: that the console takes more while something is to be
    /// typed, else input.
    fn poll(&self) -> Option<PollFd<'_>> {
        if !self.pending.is_empty() {
            return Some(PollFd::new(&self.console, PollFlags::OUT));
        }
        let input = self.input.as_ref()?;
        Some(PollFd::from_borrowed_fd(input.as_fd(), PollFlags::IN))
    }

    fn transfer(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            let Some(input) = &self.input else {
                return Ok(());
            };
            let mut buffer = [0; 1024];
            // Not through io::Stdin's buffer, which poll cannot see.
            match rustix::io::read(input, &mut buffer)? {
                0 => {
                    self.input = None;
                    self.ended = true;
                }
                length => self.pending.extend_from_slice(&buffer[..length]),
            }
        }
        match rustix::io::write(&self.console, &self.pending) {
            Ok(written) => drop(self.pending.drain(..written)),
            Err(rustix::io::Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// Reads without waiting: `None` when there is nothing. At the end `source`
/// is closed.
fn read<R: Read>(source: &mut Option<R>, buffer: &mut [u8]) -> Result<Option<usize>> {
    let Some(reader) = source else {
        return Ok(None);
    };
    match reader.read(buffer) {
        Ok(0) => {
            *source = None;
            Ok(Some(0))
        }
        Ok(length) => Ok(Some(length)),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
            // QEMU was killed with our answer unread.
            io::ErrorKind::ConnectionReset => {
                *source = None;
                Ok(Some(0))
            }
            _ => Err(error).context("QEMU"),
        },
    }
}
