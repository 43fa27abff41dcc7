// SPDX-License-Identifier: GPL-2.0-only

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream},
    process::Command,
};

use rustix::{
    net::{self, AddressFamily, SocketFlags, SocketType},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use crate::prelude::*;

/// The port that servers listen at where nobody says another one.
const PORT: u16 = 8080;

/// A module that listens for TCP connections and sends back what it receives,
/// and the tests that each such module must pass.
pub struct EchoServer {
    /// The name of the module's file, without `.ko`.
    pub module: &'static str,
}

/// Lists the tests of an example whose module is an [`EchoServer`]: those that each
/// must pass, and the example's own: `echo_server_tests![SERVER: counts_its_clients]`.
#[macro_export]
macro_rules! echo_server_tests {
    ($server:ident: $($own:ident),* $(,)?) => {
        $crate::tests![
            $server: [
                sends_back_every_byte,
                goes_on_after_half_a_close,
                a_client_that_never_reads_is_waited_for,
                clients_disappear,
                serves_a_thousand_at_once,
                a_port_that_is_taken,
                parameters,
                connections_leave_nothing,
                does_nothing_while_nothing_happens,
                listens_where_it_is_told,
                clients_that_are_too_many_wait,
                clients_that_say_nothing_go,
                clients_that_read_nothing_go,
                attackers_do_not_keep_others_away,
            ]
            $($own),*
        ]
    };
}

impl EchoServer {
    /// Loads it so that it waits for its clients, however slow the machine is.
    pub fn load(&self, vm: &mut Vm) -> Result<Module> {
        vm.load_with(self.module, "idle_timeout=0")
    }

    /// Every byte comes back, whatever it is and however many there are.
    pub fn sends_back_every_byte(&self, vm: &mut Vm) -> Result {
        let _module = self.load(vm)?;
        let mut stream = connect()?;
        let (small, large) = (
            [1, 2, 3, 7, 64, 255, 4095, 4096, 4097],
            [16384, 65537, 1 << 20],
        );
        for len in small.into_iter().chain(large) {
            let text: Vec<u8> = (0..len).map(|i| (i * 7 + i / 251) as u8).collect();
            assert!(exchange(&mut stream, &text)? == text, "{len} bytes");
            let zeros = vec![0; len];
            assert!(exchange(&mut stream, &zeros)? == zeros, "{len} zeros");
        }
        // Wherever they are, there and here.
        let text: Vec<u8> = (0..64).collect();
        for begin in 0..16 {
            for len in 1..=24 {
                let part = &text[begin..][..len];
                assert_eq!(exchange(&mut stream, part)?, part);
            }
        }
        Ok(())
    }

    /// A client that writes no more is sent what it has not got yet.
    pub fn goes_on_after_half_a_close(&self, vm: &mut Vm) -> Result {
        let _module = self.load(vm)?;
        for len in [0, 1, 100_000] {
            let mut stream = connect()?;
            let text: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            stream.write_all(&text)?;
            stream.shutdown(Shutdown::Write)?;
            let mut back = Vec::new();
            stream.read_to_end(&mut back)?;
            assert!(back == text, "{} of {len} bytes", back.len());
        }
        Ok(())
    }

    /// From a client that reads nothing the server takes no more than fits on the
    /// way, and others do not notice.
    pub fn a_client_that_never_reads_is_waited_for(&self, vm: &mut Vm) -> Result {
        let _module = self.load(vm)?;
        let (mut stream, sent) = clog()?;
        let mut other = connect()?;
        assert_eq!(exchange(&mut other, b"and I?")?, b"and I?");
        // It does read, in the end.
        stream.set_nonblocking(false)?;
        stream.shutdown(Shutdown::Write)?;
        let mut back = Vec::new();
        stream.read_to_end(&mut back)?;
        assert_eq!(back.len(), sent);
        assert!(
            back.iter()
                .enumerate()
                .all(|(i, byte)| *byte == (i % 251) as u8)
        );
        Ok(())
    }

    /// Clients that are gone without a word, whatever the server does then.
    pub fn clients_disappear(&self, vm: &mut Vm) -> Result {
        let _module = self.load(vm)?;
        for _ in 0..100 {
            // Closed with something that was not read: the server is told that
            // there is nobody any more, while it waits for more to read ...
            let mut stream = connect()?;
            stream.write_all(b"ping")?;
            assert_eq!(stream.peek(&mut [0])?, 1);
        }
        for _ in 0..3 {
            // ... and while it waits to be able to write.
            clog()?;
        }
        // They take nothing with them.
        only_so_many_are_left(1)?;
        assert_eq!(exchange(&mut connect()?, b"still there?")?, b"still there?");
        Ok(())
    }

    /// A thousand clients talk at once.
    pub fn serves_a_thousand_at_once(&self, vm: &mut Vm) -> Result {
        let _module = self.load(vm)?;
        client(&format!("connections {} count 20", vm.fewer(1000)))?;
        let few = vm.fewer(100);
        client(&format!("connections {few} size 10000 count 20 bulk"))?;
        client("connections 2 size 1048576 count 5")
    }

    /// A port that is taken is an error, after which there is nothing.
    pub fn a_port_that_is_taken(&self, vm: &mut Vm) -> Result {
        let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT))?;
        vm.rounds(|vm| {
            assert_eq!(vm.load_fails(self.module, "")?, Errno::ADDRINUSE);
            Ok(())
        })?;
        // A connection of the test before may not be gone yet.
        only_so_many_are_left(1)?;
        assert_eq!(states(PORT)?, [LISTEN]);
        // Another one is free.
        let _module = vm.load_with(self.module, "port=8081")?;
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 8081))?;
        assert_eq!(exchange(&mut stream, b"hello")?, b"hello");
        drop(taken);
        Ok(())
    }

    /// Parameters are numbers, and no others than C's.
    pub fn parameters(&self, vm: &mut Vm) -> Result {
        let module = vm.load(self.module)?;
        assert_eq!(module.param("port")?, "8080");
        assert_eq!(module.param("backlog")?, "1024");
        assert_eq!(module.param("bind")?, "127.0.0.1");
        assert_eq!(module.param("max_connections")?, "0");
        assert_eq!(module.param("idle_timeout")?, "60");
        module.unload()?;
        for bad in [
            "port=",
            "port=-1",
            "port=http",
            "backlog=x",
            "bind=",
            "bind=localhost",
            "bind=127.0.0.1:80",
            "max_connections=-1",
            "idle_timeout=1.5",
        ] {
            assert_eq!(vm.load_fails(self.module, bad)?, Errno::INVAL, "{bad}");
        }
        assert_eq!(vm.load_fails(self.module, "port=65536")?, Errno::RANGE);
        let module = vm.load_with(self.module, "port=8082 backlog=1")?;
        assert_eq!(module.param("port")?, "8082");
        assert_eq!(module.param("backlog")?, "1");
        TcpStream::connect((Ipv4Addr::LOCALHOST, 8082))?;
        Ok(())
    }

    /// 5,000 connections that come and go leave nothing.
    pub fn connections_leave_nothing(&self, vm: &mut Vm) -> Result {
        forget_connections_at_once()?;
        let _module = self.load(vm)?;
        vm.rounds(|_| {
            for _ in 0..50 {
                assert_eq!(exchange(&mut connect()?, b"x")?, b"x");
            }
            only_so_many_are_left(1)
        })
    }

    /// Nobody keeps the module from being unloaded: a thousand clients are told
    /// that it is over, and nothing is left. Tries it that many times, and returns
    /// how long an unload took: the median.
    ///
    /// On the debug kernel, 200 clients do it twice.
    pub fn unloads_with_a_thousand_clients(&self, vm: &mut Vm, rounds: u32) -> Result<Duration> {
        forget_connections_at_once()?;
        allow_files()?;
        let (rounds, clients) = (vm.fewer(rounds).max(2), vm.fewer(1000));
        let mut times = Vec::new();
        for _ in 0..rounds {
            let module = self.load(vm)?;
            let mut streams = Vec::new();
            for _ in 0..clients {
                let mut stream = connect()?;
                stream.write_all(b"message")?;
                streams.push(stream);
            }
            // All are served by the time that the last one is.
            let last = streams.last().context("there is one")?;
            assert_eq!(last.peek(&mut [0])?, 1);
            let begin = Instant::now();
            module.unload()?;
            times.push(begin.elapsed());

            assert!(!states(PORT)?.iter().any(|state| state == LISTEN));
            let refused = TcpStream::connect((Ipv4Addr::LOCALHOST, PORT)).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
            for stream in &mut streams {
                // As much of the message as was on its way, and the end.
                let mut back = Vec::new();
                match stream.read_to_end(&mut back) {
                    Ok(_) => assert!(b"message".starts_with(&back), "{back:?}"),
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
                }
            }
            drop(streams);
            only_so_many_are_left(0)?;
            assert_eq!(threads_of(self.module), [""; 0]);
        }
        times.sort();
        Ok(times[times.len() / 2])
    }

    /// Who waits uses no CPU, nor do a thousand.
    pub fn does_nothing_while_nothing_happens(&self, vm: &mut Vm) -> Result {
        allow_files()?;
        let without = Used::in_five_seconds()?;
        let _module = self.load(vm)?;
        let mut streams = Vec::new();
        for _ in 0..vm.fewer(1000) {
            let mut stream = connect()?;
            assert_eq!(exchange(&mut stream, b"x")?, b"x");
            streams.push(stream);
        }
        // What comes after a connection is made is over by then.
        thread::sleep(Duration::from_secs(1));
        // A hundredth of both CPUs, and less than a wait that ends ten times a
        // second. The machine may have something else to do, but not each time.
        let nothing = |with: &Used| {
            with.ticks <= without.ticks + 10 && with.switches <= without.switches + 50
        };
        let mut with = Vec::new();
        while !with.last().is_some_and(nothing) {
            assert!(with.len() < 5, "{without:?}, {with:?}");
            with.push(Used::in_five_seconds()?);
        }
        Ok(())
    }

    /// Programs on other machines reach it only when it is told so.
    pub fn listens_where_it_is_told(&self, vm: &mut Vm) -> Result {
        let other = (Ipv4Addr::new(127, 0, 0, 2), PORT);
        let say = self.module;
        for (bind, at, reaches_other) in [
            ("", "127.0.0.1:8080", false),
            ("bind=0.0.0.0", "0.0.0.0:8080", true),
            ("bind=127.0.0.2", "127.0.0.2:8080", true),
            ("bind=::", "[::]:8080", true),
            ("bind=::1", "[::1]:8080", false),
        ] {
            vm.log().mark()?;
            let _module = vm.load_with(self.module, bind)?;
            vm.log().expect(&format!("{say}: Listening at {at}"))?;
            let reached = TcpStream::connect(other);
            assert_eq!(reached.is_ok(), reaches_other, "{bind}: {reached:?}");
        }
        // Any port that is free: the log says which.
        vm.log().mark()?;
        let module = vm.load_with(self.module, "port=0")?;
        let line = vm
            .log()
            .expect(&format!("{say}: Listening at 127.0.0.1:"))?;
        let port: u16 = line.rsplit(':').next().context("a port")?.trim().parse()?;
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        assert_eq!(exchange(&mut stream, b"hello")?, b"hello", "port {port}");
        module.unload()?;
        // Nobody has that address.
        let errno = vm.load_fails(self.module, "bind=192.0.2.1")?;
        assert_eq!(errno, Errno::ADDRNOTAVAIL);
        Ok(())
    }

    /// Until another one goes.
    pub fn clients_that_are_too_many_wait(&self, vm: &mut Vm) -> Result {
        let _module = vm.load_with(self.module, "max_connections=2 idle_timeout=0")?;
        let mut clients = Vec::new();
        for _ in 0..2 {
            let mut client = connect()?;
            assert_eq!(exchange(&mut client, b"x")?, b"x");
            clients.push(client);
        }
        for _ in 0..3 {
            let mut next = connect()?;
            let waiter = Waiter::begin(move || exchange(&mut next, b"y").map(|text| (next, text)));
            thread::sleep(Duration::from_millis(100));
            assert!(!waiter.has_ended());
            // The one that came first.
            drop(clients.remove(0));
            let (next, text) = waiter.end()??;
            assert_eq!(text, b"y");
            clients.push(next);
        }
        Ok(())
    }

    /// The others are served meanwhile.
    pub fn clients_that_say_nothing_go(&self, vm: &mut Vm) -> Result {
        let _module = vm.load_with(self.module, "max_connections=3 idle_timeout=1")?;
        // At most three of them at a time.
        let mut silent = Vec::new();
        for _ in 0..7 {
            silent.push(connect()?);
        }
        // One that says something, but not soon enough, goes as well.
        eventually("a client to be served", || {
            connect()
                .and_then(|mut stream| exchange(&mut stream, b"and I?"))
                .is_ok_and(|text| text == b"and I?")
        })?;
        for stream in &mut silent {
            assert_eq!(stream.read(&mut [0])?, 0);
        }
        Ok(())
    }

    /// The server does not wait for ever until it can send something back.
    pub fn clients_that_read_nothing_go(&self, vm: &mut Vm) -> Result {
        let _module = vm.load_with(self.module, "idle_timeout=1")?;
        let (mut stream, _) = match clog() {
            // It did not even wait until nothing went through any more.
            Err(error) if matches!(errno(&error), Some(Errno::CONNRESET | Errno::PIPE)) => {
                return Ok(());
            }
            clogged => clogged?,
        };
        eventually("the end of the connection", || {
            stream
                .write(&[0])
                .is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock)
        })
    }

    /// 50,000 connections, of which the server is to wait for each: for its first byte, for
    /// more of its bytes, or until it reads. They take a part of the memory only, and a
    /// client that behaves is served, at the latest when they are gone. (If all were
    /// served, 3,000 at a time would take more than a fourth of it.)
    ///
    /// On the debug kernel they are fewer.
    pub fn attackers_do_not_keep_others_away(&self, vm: &mut Vm) -> Result {
        forget_connections_at_once()?;
        allow_files()?;
        let parameters = "max_connections=100 backlog=50 idle_timeout=1";
        let module = vm.load_with(self.module, parameters)?;
        let available = meminfo("MemAvailable")?;
        let (attack, held) = (vm.fewer(vm.fewer(50_000)), vm.fewer(3000));
        let attackers: Vec<_> = (0..2)
            .map(|_| Waiter::begin(move || attacks(attack / 2, held / 2)))
            .collect();
        // It may have to wait, first to be accepted and then for its turn. Among so many its
        // request to connect may get lost.
        let is_served = || {
            let addr = SocketAddrV4::new(Ipv4Addr::LOCALHOST, PORT).into();
            let stream = TcpStream::connect_timeout(&addr, Duration::from_secs(1));
            stream.is_ok_and(|mut stream| {
                // It may not be one at all, to the server.
                let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
                exchange(&mut stream, b"and I?").is_ok_and(|text| text == b"and I?")
            })
        };
        let mut served = 0;
        while !attackers.iter().all(Waiter::has_ended) {
            served += u32::from(is_served());
            let used = available.saturating_sub(meminfo("MemAvailable")?);
            assert!(used < available / 4, "{used} of {available} KiB");
        }
        for attacker in attackers {
            attacker.end()??;
        }
        eventually("a client to be served", is_served)?;
        vm.note(&format!("{served} served"));
        module.unload()
    }
}

fn connect() -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, PORT))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

/// Sends `text`, and receives as many bytes at the same time.
fn exchange(stream: &mut TcpStream, text: &[u8]) -> Result<Vec<u8>> {
    let mut back = vec![0xaa; text.len()];
    if text.len() < 10_000 {
        stream.write_all(text)?;
        stream.read_exact(&mut back)?;
        return Ok(back);
    }
    thread::scope(|scope| {
        let mut writer = stream.try_clone()?;
        let writing = scope.spawn(move || writer.write_all(text));
        stream.read_exact(&mut back)?;
        writing.join().map_err(|_| anyhow!("a thread panicked"))??;
        Ok(back)
    })
}

/// A connection through which nothing goes any more, as nobody reads, and how
/// many bytes are in it.
fn clog() -> Result<(TcpStream, usize)> {
    let mut stream = connect()?;
    stream.set_nonblocking(true)?;
    let text: Vec<u8> = (0..251).cycle().take(251 * 256).collect();
    let mut sent = 0;
    let mut idle = 0;
    while idle < 20 {
        match stream.write(&text[sent % 251..]) {
            Ok(n) => {
                sent += n;
                idle = 0;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                idle += 1;
                thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(error.into()),
        }
        ensure!(
            sent < 50_000_000,
            "there is no end to what the server takes"
        );
    }
    Ok((stream, sent))
}

/// Makes so many connections, and holds the last ones. A third says nothing,
/// a third sends something, and a third sends much. Nobody reads, nor waits.
fn attacks(count: u32, most_held: u32) -> Result {
    let mut held = VecDeque::new();
    let much = vec![1; 100_000];
    for i in 0..count {
        let socket = net::socket_with(
            AddressFamily::INET,
            SocketType::STREAM,
            SocketFlags::NONBLOCK,
            None,
        )?;
        let addr = SocketAddrV4::new(Ipv4Addr::LOCALHOST, PORT);
        match net::connect(&socket, &addr) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            // So many have no port left, or no memory.
            Err(Errno::ADDRNOTAVAIL | Errno::NOBUFS) => thread::sleep(Duration::from_millis(1)),
            Err(error) => return Err(error.into()),
        }
        let mut stream = TcpStream::from(socket);
        // What cannot be sent, or not all of it, is no matter.
        let _ = match i % 3 {
            0 => Ok(0),
            1 => stream.write(b"x"),
            _ => stream.write(&much),
        };
        held.push_back(stream);
        if held.len() > most_held as usize {
            held.pop_front();
        }
    }
    Ok(())
}

/// A figure of `/proc/meminfo`, in KiB.
fn meminfo(name: &str) -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(number.context("a line of /proc/meminfo")?.parse()?)
}

/// Runs the client program with `options`.
fn client(options: &str) -> Result {
    let output = Command::new("echo_client")
        .args(options.split(' '))
        .output()?;
    ensure!(
        output.status.success(),
        "echo_client {options}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Lets this process have as many files open as root may.
fn allow_files() -> Result {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current, ..limit })?)
}

/// From now on connections that are over are not kept for a minute, in case that
/// something of theirs is still on its way.
pub fn forget_connections_at_once() -> Result {
    Ok(fs::write("/proc/sys/net/ipv4/tcp_max_tw_buckets", "0")?)
}

/// The state of a socket that listens, `TCP_LISTEN` of `include/net/tcp_states.h`.
const LISTEN: &str = "0A";

/// The states of all sockets whose own port is `port`.
fn states(port: u16) -> Result<Vec<String>> {
    let text = fs::read_to_string("/proc/net/tcp")?;
    let local = format!(":{port:04X}");
    let states = text.lines().skip(1).filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let is_local = words.next()?.ends_with(&local);
        let state = words.nth(1)?;
        is_local.then(|| state.to_owned())
    });
    Ok(states.collect())
}

/// Waits until there are `n` sockets at the port, of a listener or of others.
fn only_so_many_are_left(n: usize) -> Result {
    let are_left = || states(PORT).is_ok_and(|states| states.len() == n);
    let waited = eventually(&format!("{n} sockets"), are_left);
    waited.with_context(|| format!("their states: {:?}", states(PORT)))
}

/// The names of the threads that are called `name`, and of the workers that do
/// something of that name now.
fn threads_of(name: &str) -> Vec<String> {
    // As much of it as fits.
    let name = &name[..name.len().min(15)];
    // kworker/0:1-NAME has done so before.
    let works = format!("+{}", &name[..8]);
    let tasks = live_tasks(|task| task.starts_with(name) || task.contains(&works));
    tasks.into_iter().map(|task| task.name).collect()
}

/// What all do that run on this machine, in some time.
#[derive(Debug)]
struct Used {
    /// Hundredths of a second that a CPU was not idle.
    ticks: u64,
    /// How often a CPU went over to another task.
    switches: u64,
}

impl Used {
    fn since_boot() -> Result<Self> {
        let text = fs::read_to_string("/proc/stat")?;
        let line = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let numbers = line.context("a line of /proc/stat")?.split_whitespace();
            let numbers: std::result::Result<Vec<u64>, _> = numbers.map(str::parse).collect();
            anyhow::Ok(numbers?)
        };
        // Besides those that were idle, or waited for a disk.
        let cpu = line("cpu ")?;
        let busy = [0, 1, 2, 5, 6].iter().map(|i| cpu[*i]).sum();
        Ok(Self {
            ticks: busy,
            switches: line("ctxt ")?[0],
        })
    }

    fn in_five_seconds() -> Result<Self> {
        let before = Self::since_boot()?;
        thread::sleep(Duration::from_secs(5));
        let after = Self::since_boot()?;
        Ok(Self {
            ticks: after.ticks - before.ticks,
            switches: after.switches - before.switches,
        })
    }
}
