// SPDX-License-Identifier: GPL-2.0-only

//! Talks to an echo server over many connections at once, makes sure that each
//! byte comes back, and says how long that took.

use std::{
    env,
    net::{Shutdown, SocketAddr, TcpStream},
    num::NonZero,
    process::ExitCode,
};

use rustix::{
    event::{Timespec, epoll},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use crate::prelude::*;

const USAGE: &str = "\
Usage: echo_client [OPTION VALUE]... [bulk]

Sends messages and waits for each to come back, or with `bulk` sends on
meanwhile.

  address      of the server (127.0.0.1:8080)
  connections  how many there are at once (1)
  size         bytes of a message (64, or with bulk up to 65536)
  count        messages on each connection (1000); or
  seconds      for how long to send
  cycles       how often to do all that, with new connections (1)";

/// How long a server may take to say anything.
const PATIENCE: Timespec = Timespec {
    tv_sec: 300,
    tv_nsec: 0,
};

/// With `bulk`, how many bytes are under way, in all and on a connection. There
/// and back a small machine has memory for some times as many.
const UNDER_WAY: u64 = 1 << 22;
const WINDOW: std::ops::RangeInclusive<u64> = 1 << 12..=1 << 18;

struct Options {
    address: SocketAddr,
    connections: u64,
    size: Option<u64>,
    count: u64,
    seconds: Option<f64>,
    cycles: u64,
    bulk: bool,
}

pub fn main() -> ExitCode {
    let Some(options) = options(env::args().skip(1)) else {
        println!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&options) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("echo_client: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut words: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options {
        address: SocketAddr::from(([127, 0, 0, 1], 8080)),
        connections: 1,
        size: None,
        count: 1000,
        seconds: None,
        cycles: 1,
        bulk: false,
    };
    while let Some(word) = words.next() {
        if word == "bulk" {
            options.bulk = true;
            continue;
        }
        let value = words.next()?;
        match word.as_str() {
            "address" => options.address = value.parse().ok()?,
            "connections" => options.connections = value.parse().ok()?,
            "size" => options.size = Some(value.parse().ok().filter(|size| *size > 0)?),
            "count" => options.count = value.parse().ok()?,
            "seconds" => options.seconds = Some(value.parse().ok()?),
            "cycles" => options.cycles = value.parse().ok()?,
            _ => return None,
        }
    }
    Some(options)
}

fn run(options: &Options) -> Result<String> {
    // As many files as root may have.
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    setrlimit(Resource::Nofile, Rlimit { current, ..limit })?;

    let window = match options.bulk {
        true => (UNDER_WAY / options.connections.max(1)).clamp(*WINDOW.start(), *WINDOW.end()),
        false => 0,
    };
    let size = options.size.unwrap_or((window / 4).max(64));
    let window = window.max(size);
    let cpus = thread::available_parallelism().map_or(1, NonZero::get) as u64;
    let threads = cpus.min(options.connections).max(1);
    let (mut rounds, mut elapsed) = (0, Duration::ZERO);
    for _ in 0..options.cycles {
        let mut connections = Vec::new();
        for number in 0..options.connections {
            let connection = Connection::new(options, number, size, window);
            connections.push(connection.with_context(|| format!("connection {number}"))?);
        }
        let mut shares: Vec<Vec<Connection>> = Vec::new();
        shares.resize_with(threads as usize, Vec::new);
        for (number, connection) in connections.into_iter().enumerate() {
            shares[number % threads as usize].push(connection);
        }
        let begin = Instant::now();
        let deadline = options.seconds.map(|s| begin + Duration::from_secs_f64(s));
        let talks: Vec<_> = shares
            .into_iter()
            .map(|share| thread::spawn(move || talk(share, deadline)))
            .collect();
        for talk in talks {
            rounds += talk.join().map_err(|_| anyhow!("a thread panicked"))??;
        }
        elapsed += begin.elapsed();
    }
    let seconds = elapsed.as_secs_f64();
    Ok(format!(
        "{} connections, {size} bytes: {rounds} messages in {seconds:.3} s, \
         {:.0} messages/s, {:.1} MB/s",
        options.connections,
        rounds as f64 / seconds,
        (rounds * size) as f64 / seconds / 1e6,
    ))
}

/// Lets all `connections` send until they are done, or until `deadline`. Returns
/// how many messages came back.
fn talk(mut connections: Vec<Connection>, deadline: Option<Instant>) -> Result<u64> {
    let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (number, connection) in connections.iter_mut().enumerate() {
        let data = epoll::EventData::new_u64(number as u64);
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        epoll::add(&set, &connection.stream, data, flags)?;
    }
    let mut open = connections.len();
    let mut events = Vec::with_capacity(256);
    let mut buffer = vec![0; 1 << 17];
    let mut late = false;
    while open > 0 {
        events.clear();
        let spare = rustix::buffer::spare_capacity(&mut events);
        ensure!(
            epoll::wait(&set, spare, Some(&PATIENCE))? > 0,
            "the server says nothing"
        );
        if !late && deadline.is_some_and(|deadline| Instant::now() > deadline) {
            late = true;
            // Those that wait for nothing end, too.
            for connection in &mut connections {
                connection.limit = connection.limit.min(connection.sent_messages());
                open -= usize::from(connection.progress(&mut buffer)?);
            }
        }
        for event in &events {
            let number = event.data.u64();
            let connection = &mut connections[number as usize];
            let progress = connection.progress(&mut buffer);
            open -= usize::from(progress.with_context(|| format!("a connection, {number}"))?);
        }
    }
    Ok(connections.iter().map(Connection::messages).sum())
}

struct Connection {
    stream: TcpStream,
    size: u64,
    /// How many bytes may be under way.
    window: u64,
    /// Where in the pattern it begins.
    offset: u64,
    /// How many bytes to send in all.
    limit: u64,
    sent: u64,
    received: u64,
    /// Whether nothing more is sent.
    shut: bool,
    /// Whether the server has ended it, too.
    over: bool,
}

/// What is sent, and what must come back: every byte depends on its place.
static PATTERN: [u8; PERIOD as usize + (1 << 17)] = {
    let mut pattern = [0; PERIOD as usize + (1 << 17)];
    let mut i = 0;
    while i < pattern.len() {
        pattern[i] = (i % PERIOD as usize) as u8;
        i += 1;
    }
    pattern
};
const PERIOD: u64 = 251;

fn pattern(position: u64, len: u64) -> &'static [u8] {
    &PATTERN[(position % PERIOD) as usize..][..len.min(1 << 17) as usize]
}

impl Connection {
    fn new(options: &Options, number: u64, size: u64, window: u64) -> Result<Self> {
        let stream = TcpStream::connect(options.address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            size,
            window,
            offset: number * 7,
            limit: match options.seconds {
                Some(_) => u64::MAX,
                None => options.count * size,
            },
            sent: 0,
            received: 0,
            shut: false,
            over: false,
        })
    }

    fn messages(&self) -> u64 {
        self.received / self.size
    }

    /// The end of the message that is being sent.
    fn sent_messages(&self) -> u64 {
        self.sent.next_multiple_of(self.size)
    }

    /// Receives and sends what can be without waiting. Returns whether the
    /// connection ended now.
    fn progress(&mut self, buffer: &mut [u8]) -> Result<bool> {
        if self.over {
            return Ok(false);
        }
        loop {
            let received = self.receive(buffer)?;
            let sent = self.send()?;
            if self.sent >= self.limit && !self.shut {
                self.shut = true;
                self.stream.shutdown(Shutdown::Write)?;
            }
            if self.shut && self.received == self.sent {
                return self.end();
            }
            // One message at a time: there is nothing to receive yet.
            if self.window == self.size || !received && !sent {
                return Ok(false);
            }
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<bool> {
        let before = self.received;
        while self.received < self.sent {
            let n = match self.stream.read(buffer) {
                Ok(n) => n as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            };
            ensure!(n > 0, "the server ended it after {} bytes", self.received);
            ensure!(
                self.received + n <= self.sent,
                "more came back than was sent"
            );
            let expected = pattern(self.offset + self.received, n);
            ensure!(buffer[..n as usize] == *expected, "other bytes came back");
            self.received += n;
        }
        Ok(self.received > before)
    }

    fn send(&mut self) -> Result<bool> {
        let before = self.sent;
        loop {
            // Whole messages, as long as one fits.
            let message = match self.sent % self.size {
                0 if self.sent - self.received + self.size > self.window => break,
                part => self.size - part,
            };
            let len = message.min(self.limit - self.sent);
            if len == 0 {
                break;
            }
            match self.stream.write(pattern(self.offset + self.sent, len)) {
                Ok(n) => self.sent += n as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.sent > before)
    }

    /// Whether the server has ended the connection after the last byte.
    fn end(&mut self) -> Result<bool> {
        match self.stream.read(&mut [0]) {
            Ok(0) => {
                self.over = true;
                Ok(true)
            }
            Ok(_) => bail!("more came back than was sent"),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
