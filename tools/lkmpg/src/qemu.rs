// SPDX-License-Identifier: GPL-2.0-only

//! A running VM.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use lkmpg_proto::{Orders, Request, events_to};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::ioctl_fionbio,
    pipe::{PipeFlags, pipe_with},
    process::Signal,
    rand::{GetRandomFlags, getrandom},
};

use crate::{
    accel::Chosen,
    children::Group,
    delivery::{self, Delivery},
    machine::Machine,
    memory::Inherited,
    modules::Modules,
    qmp::Qmp,
    template::Template,
};

/// QEMU's `-name` for each VM, so that one can tell whose it is.
const NAME: &str = "lkmpg";

/// A running VM: QEMU, with a way to the console and one for events.
pub struct Vm {
    qemu: Group,
    console: Option<File>,
    events: Option<UnixStream>,
    received: Vec<u8>,
    keyboard: Option<Keyboard>,
    delivery: Delivery,
    /// The way to QEMU itself, when the VM is to be saved, or restored.
    qmp: Option<Qmp>,
    /// Where QEMU finds the state to write or to read.
    state: String,
    restored: bool,
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

/// How a VM begins.
enum Begin<'a> {
    /// It boots. `gdb` is the port of the host that gdb may connect to.
    Boot { gdb: Option<u16> },
    /// It boots, to be saved as this.
    Save { template: &'a Template },
    /// It goes on from where this was saved.
    Restore { template: &'a Template },
}

impl Vm {
    /// Boots `machine`. `gdb` is the port of the host that gdb may connect to.
    pub fn boot(machine: &Machine, accel: Chosen, gdb: Option<u16>) -> Result<Self> {
        Self::begin(machine, accel, Delivery::empty()?, &Begin::Boot { gdb })
    }

    /// Boots the machine of `template`, to be [saved](Self::save) as that.
    pub fn boot_for(template: &Template) -> Result<Self> {
        let (machine, accel) = (&template.machine, template.accel);
        Self::begin(
            machine,
            accel,
            Delivery::empty()?,
            &Begin::Save { template },
        )
    }

    /// Stops the VM and writes down its state.
    pub fn save(mut self) -> Result<()> {
        self.qmp.as_mut().context("QMP")?.save(&self.state)
    }

    /// Restores `template`, with `delivery` in place of what it had.
    pub fn restore(template: &Template, delivery: Delivery) -> Result<Self> {
        let (machine, accel) = (&template.machine, template.accel);
        let mut vm = Self::begin(machine, accel, delivery, &Begin::Restore { template })?;
        let restored = vm.qmp.as_mut().context("QMP")?.restore(&vm.state);
        if let Err(error) = restored {
            return Err(vm.explain(error)?);
        }
        vm.restored = true;
        Ok(vm)
    }

    /// `error` with what QEMU has said of it.
    fn explain(&mut self, error: anyhow::Error) -> Result<anyhow::Error> {
        let said = self.drain_console()?;
        let said = String::from_utf8_lossy(&said).trim_end().to_owned();
        Ok(match said.is_empty() {
            true => error,
            false => error.context(said),
        })
    }

    fn begin(
        machine: &Machine,
        accel: Chosen,
        delivery: Delivery,
        begin: &Begin<'_>,
    ) -> Result<Self> {
        let (console, console_out) = pipe_with(PipeFlags::CLOEXEC).context("a pipe")?;
        let (keyboard_in, keyboard) = pipe_with(PipeFlags::CLOEXEC).context("a pipe")?;
        ioctl_fionbio(&console, true).context("a pipe")?;
        ioctl_fionbio(&keyboard, true).context("a pipe")?;

        let mut qemu = Qemu::of(machine, accel);
        qemu.command
            .args(["-chardev", "stdio,id=console,signal=off"]);
        qemu.command.args(&machine.console.arguments);
        let events = qemu.socket("events")?;
        events.set_nonblocking(true).context("a socket")?;
        qemu.command.args(&machine.events.arguments);

        let template = match begin {
            Begin::Boot { .. } => None,
            Begin::Save { template } | Begin::Restore { template } => Some(*template),
        };
        // What a restored VM writes to its memory another one must not see.
        let restores = matches!(begin, Begin::Restore { .. });
        qemu.memory("files", delivery::SIZE, &delivery.file, !restores)?;
        qemu.command.args(&machine.files);
        match template {
            None => qemu.command.args(["-machine", &machine.machine]),
            Some(template) => {
                qemu.memory("ram", machine.bytes(), &template.memory, !restores)?;
                let with_ram = format!("{},memory-backend=ram", machine.machine);
                qemu.command.args(["-machine", &with_ram])
            }
        };
        match begin {
            Begin::Restore { .. } => drop(qemu.command.args(["-incoming", "defer"])),
            Begin::Save { .. } | Begin::Boot { .. } => qemu.boot(machine, accel),
        }
        if let Begin::Boot { gdb: Some(port) } = begin {
            let port = format!("tcp:127.0.0.1:{port}");
            qemu.command.args(["-gdb", &port]);
        }
        let (mut socket, mut state) = (None, String::new());
        if let Some(template) = template {
            socket = Some(qemu.socket("qmp")?);
            qemu.command.args(["-mon", "chardev=qmp,mode=control"]);
            state = qemu.inherited.path(&template.state)?;
        }

        qemu.command.stdin(keyboard_in);
        let stderr = console_out.try_clone().context("a pipe")?;
        qemu.command.stderr(stderr).stdout(Stdio::from(console_out));
        let started = qemu.spawn();
        let mut vm = Self {
            qemu: started.with_context(|| machine.qemu.display().to_string())?,
            console: Some(console.into()),
            events: Some(events),
            received: Vec::new(),
            keyboard: Some(Keyboard {
                input: None,
                ended: false,
                pending: Vec::new(),
                console: keyboard,
            }),
            delivery,
            qmp: None,
            state,
            restored: false,
        };
        match socket.map(Qmp::connect).transpose() {
            Ok(qmp) => vm.qmp = qmp,
            Err(error) => return Err(vm.explain(error)?),
        }
        Ok(vm)
    }

    /// Whether it was restored, not booted.
    pub fn is_restored(&self) -> bool {
        self.restored
    }

    /// Tells the guest, which waits for this, to do what `request` says with
    /// those of `modules` that it names.
    pub fn order(&mut self, request: &Request, modules: &Modules) -> Result<()> {
        if !self.restored {
            self.delivery.add(modules, &request.modules)?;
        }
        let mut seed = [0; 32];
        getrandom(&mut seed, GetRandomFlags::empty()).context("random numbers")?;
        let orders = Orders {
            request: request.clone(),
            files: self.delivery.modules.clone(),
            time: SystemTime::now().duration_since(UNIX_EPOCH)?,
            seed,
        };
        self.write(orders.to_line().as_bytes())
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
        self.write(b"\n")
    }

    /// Writes to the guest's port, which takes no more than it reads.
    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        let Some(events) = &self.events else {
            return Ok(());
        };
        let mut events: &UnixStream = events;
        while !bytes.is_empty() {
            match events.write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut fds = [PollFd::new(events, PollFlags::OUT)];
                    match poll(&mut fds, None) {
                        Ok(_) | Err(rustix::io::Errno::INTR) => {}
                        Err(error) => return Err(error).context("poll"),
                    }
                }
                // Whoever waits for its end is told.
                Err(_) => return Ok(()),
            }
        }
        Ok(())
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

/// QEMU before it is started.
struct Qemu {
    command: Command,
    inherited: Inherited,
}

impl Qemu {
    /// With the parts of `machine` that depend on nothing else.
    fn of(machine: &Machine, accel: Chosen) -> Self {
        let mut command = Command::new(&machine.qemu);
        command.args(["-name", NAME, "-accel", accel.accel(machine)]);
        command.args(["-cpu", &accel.of(machine).cpu, "-smp", &machine.smp()]);
        command.args(["-nodefaults", "-no-user-config", "-display", "none"]);
        command.args(["-no-reboot", "-m", &machine.memory.to_string()]);
        for device in &machine.devices {
            command.args(["-device", device]);
        }
        let inherited = Inherited::default();
        Self { command, inherited }
    }

    /// Adds the chardev `id`, a socket. Returns its other end.
    fn socket(&mut self, id: &str) -> Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair().context("a socket")?;
        let theirs = self.inherited.add(theirs)?;
        let chardev = format!("socket,id={id},fd={theirs}");
        self.command.args(["-chardev", &chardev]);
        Ok(ours)
    }

    /// Adds the memory `id`, which is `file`. When it is not shared, what the VM
    /// writes stays with it.
    fn memory(&mut self, id: &str, size: u64, file: &File, shared: bool) -> Result<()> {
        let path = self.inherited.path(file)?;
        let share = if shared { "on" } else { "off" };
        let backend =
            format!("memory-backend-file,id={id},size={size},mem-path={path},share={share}");
        self.command.args(["-object", &backend]);
        Ok(())
    }

    /// Lets it boot the kernel of `machine`.
    fn boot(&mut self, machine: &Machine, accel: Chosen) {
        self.command.arg("-kernel").arg(&machine.kernel);
        self.command.arg("-initrd").arg(&machine.initrd);
        let append = [
            &format!("console={}", machine.console.tty),
            &machine.cmdline,
            &accel.kernel_args(machine),
            &events_to(&machine.events.tty),
        ];
        let append = append.map(String::as_str).join(" ");
        self.command.args(["-append", &append]);
    }

    /// Starts it. Our copies of what it inherits are closed then: its end is the
    /// end of all.
    fn spawn(mut self) -> Result<Group> {
        let inherited = self.inherited;
        // SAFETY: the closure makes system calls that are allowed between fork
        // and exec. It hands the files to this child alone.
        unsafe {
            self.command.pre_exec(move || inherited.keep());
        }
        Ok(Group::spawn(&mut self.command, Signal::KILL)?)
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
