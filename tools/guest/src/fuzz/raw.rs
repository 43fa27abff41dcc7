// SPDX-License-Identifier: GPL-2.0-only

//! The calls themselves. A process that makes them may be harmed by them: the kernel writes to
//! wherever a call says. What that can be is memory for the calls ([`Memory`]), mappings of the
//! files under test, and what comes to be where one of those was.

use std::{
    ffi::CString,
    io, ptr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI32, Ordering::Relaxed},
    },
};

use libc::{c_int, c_ulong, c_void};
use lkmpg_proto::fuzz::{BUFFER, Call, FDS, Flag, MAPS, Part, Place, TEXTS};
use rustix::io::Errno;

use crate::{arch::KERNEL_ADDRESS, syscalls::result};

/// The size of a page, which is no less anywhere that this runs.
const PAGE: usize = 4096;

/// From one text to the next.
const TEXT: usize = 64;

/// No file.
const NONE: c_int = -1;

/// How many bytes of a pipe are taken at most. It is no more than what a pipe has room for.
const PIPE: usize = 1 << 16;

/// Makes this process, which is the child of one with more to lose, one that is only good for
/// calls: it has none of its parent's files, but the first three, and signals do not end it.
pub fn leave_all_behind() {
    // SAFETY: nothing here uses one of those files from now on, and no function is called
    // for a signal.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0);
        libc::setpgid(0, 0);
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as c_ulong);
        for signal in [libc::SIGCHLD, libc::SIGHUP, libc::SIGIO, libc::SIGPIPE] {
            libc::signal(signal, libc::SIG_IGN);
        }
    }
}

/// Memory for calls.
struct Memory {
    /// This can be written, and what follows is not mapped.
    buffer: usize,
    /// These can only be read.
    texts: usize,
    /// This not even that.
    no_access: usize,
}

/// The buffer's size.
const LEN: usize = BUFFER as usize;

impl Memory {
    /// It stays until the process ends.
    fn new() -> Self {
        let map = |len: usize, protection: c_int| {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            // SAFETY: new memory, where the kernel likes.
            let begin = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, -1, 0) };
            assert_ne!(begin, libc::MAP_FAILED);
            begin
        };
        let both = libc::PROT_READ | libc::PROT_WRITE;
        // As much as a call can take, and none of it is ever touched but the first.
        let buffer = map(2 * LEN, both);
        let texts = map(PAGE, both);
        let no_access = map(PAGE, libc::PROT_NONE);
        // SAFETY: all of this is ours. The texts fit in their page, as each is shorter than
        // its part of it.
        unsafe {
            libc::mprotect(buffer.byte_add(LEN), LEN, libc::PROT_NONE);
            for (number, text) in TEXTS.iter().enumerate() {
                assert!(text.len() < TEXT && number * TEXT < PAGE);
                let place = texts.byte_add(number * TEXT).cast::<u8>();
                ptr::copy_nonoverlapping(text.as_ptr(), place, text.len());
            }
            libc::mprotect(texts, PAGE, libc::PROT_READ);
        }
        Self {
            buffer: buffer.addr(),
            texts: texts.addr(),
            no_access: no_access.addr(),
        }
    }
}

/// A mapping: where, and how long.
type Map = Mutex<Option<(usize, usize)>>;

/// What the calls of a round are made in.
pub struct World {
    files: Vec<CString>,
    memory: Memory,
    fds: [AtomicI32; FDS as usize],
    maps: [Map; MAPS as usize],
}

impl World {
    /// Of calls on `files`.
    pub fn new(files: &[String]) -> Self {
        let files = files.iter().map(|path| CString::new(path.as_str()));
        Self {
            files: files.map(Result::unwrap_or_default).collect(),
            memory: Memory::new(),
            fds: [const { AtomicI32::new(NONE) }; FDS as usize],
            maps: [const { Mutex::new(None) }; MAPS as usize],
        }
    }

    /// Makes `call`.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn make(&self, call: &Call) -> Result<(), Errno> {
        match call {
            Call::Open { file, flags, fd } => self.open(*file, flags, *fd),
            Call::Read { .. }
            | Call::Write { .. }
            | Call::Pread { .. }
            | Call::Pwrite { .. }
            | Call::Readv { .. }
            | Call::Writev { .. } => self.transfer(call),
            Call::Mmap { .. } => self.mmap(call),
            Call::Munmap { map } => self.munmap(*map),
            Call::Dup { fd, to } => {
                // SAFETY: this needs no memory.
                let new = done(unsafe { libc::dup(self.fd(*fd)) })?;
                self.put(*to, new);
                Ok(())
            }
            Call::Close { fd } => self.put_away(*fd),
            Call::Splice { from, to, len } => self.splice(*from, *to, *len),
            Call::Epoll { fd } => self.epoll(*fd),
            Call::Fork { fd } => self.fork(*fd),
            Call::Lseek { .. }
            | Call::Ioctl { .. }
            | Call::Poll { .. }
            | Call::SetFlags { .. }
            | Call::OwnSignals { .. }
            | Call::Fsync { .. }
            | Call::Sendfile { .. } => self.one(call),
        }
    }

    /// The file in that place.
    fn fd(&self, place: u8) -> c_int {
        let slot = self.fds.get(usize::from(place));
        slot.map_or(NONE, |slot| slot.load(Relaxed))
    }

    /// Puts a file there, and closes the one that was.
    fn put(&self, place: u8, fd: c_int) {
        let slot = self.fds.get(usize::from(place));
        let old = slot.map_or(fd, |slot| slot.swap(fd, Relaxed));
        if old != NONE {
            close(old);
        }
    }

    fn put_away(&self, place: u8) -> Result<(), Errno> {
        let slot = self.fds.get(usize::from(place)).ok_or(Errno::BADF)?;
        match slot.swap(NONE, Relaxed) {
            NONE => Err(Errno::BADF),
            // SAFETY: nobody else closes it: it was in a place.
            fd => done(unsafe { libc::close(fd) }).map(drop),
        }
    }

    /// The address that is meant.
    fn address(&self, place: Place) -> usize {
        let within = |begin: usize, at: u64| begin + usize::try_from(at).unwrap_or(0).min(LEN);
        match place {
            Place::Number(number) => number as usize,
            Place::Kernel => KERNEL_ADDRESS,
            Place::Buffer(at) => within(self.memory.buffer, at),
            Place::End(before) => within(self.memory.buffer, BUFFER.saturating_sub(before)),
            Place::Text(number) => self.memory.texts + TEXT * (number % TEXTS.len()),
            Place::NoAccess => self.memory.no_access,
            Place::Map(map) => {
                let map = self.maps.get(usize::from(map));
                let begin = map.and_then(|map| *lock(map)).map(|(begin, _)| begin);
                begin.unwrap_or(self.memory.no_access)
            }
        }
    }

    fn pointer(&self, place: Place) -> *mut c_void {
        ptr::without_provenance_mut(self.address(place))
    }

    fn open(&self, file: usize, flags: &[Flag], fd: u8) -> Result<(), Errno> {
        let path = self.files.get(file).ok_or(Errno::NOENT)?;
        let flags = bits(flags) | libc::O_CLOEXEC | libc::O_NOCTTY;
        // SAFETY: the path is a string. No file is created.
        let new = done(unsafe { libc::open(path.as_ptr(), flags) })?;
        self.put(fd, new);
        Ok(())
    }

    /// What reads or writes.
    fn transfer(&self, call: &Call) -> Result<(), Errno> {
        let at = |part: &Part| (self.pointer(part.place), part.len as usize);
        let vectors = |parts: &[Part]| -> Vec<libc::iovec> {
            let vector = |part: &Part| libc::iovec {
                iov_base: self.pointer(part.place),
                iov_len: part.len as usize,
            };
            parts.iter().map(vector).collect()
        };
        // SAFETY: the kernel checks each address. What it may write to is no memory of Rust's,
        // but for what the module's page says.
        let returned = unsafe {
            match call {
                Call::Read { fd, part } => {
                    let (at, len) = at(part);
                    libc::read(self.fd(*fd), at, len)
                }
                Call::Write { fd, part } => {
                    let (at, len) = at(part);
                    libc::write(self.fd(*fd), at, len)
                }
                Call::Pread { fd, part, at: pos } => {
                    let (at, len) = at(part);
                    libc::pread(self.fd(*fd), at, len, *pos)
                }
                Call::Pwrite { fd, part, at: pos } => {
                    let (at, len) = at(part);
                    libc::pwrite(self.fd(*fd), at, len, *pos)
                }
                Call::Readv { fd, parts } => {
                    let vectors = vectors(parts);
                    libc::readv(self.fd(*fd), vectors.as_ptr(), vectors.len() as c_int)
                }
                Call::Writev { fd, parts } => {
                    let vectors = vectors(parts);
                    libc::writev(self.fd(*fd), vectors.as_ptr(), vectors.len() as c_int)
                }
                _ => return Err(Errno::NOSYS),
            }
        };
        result(returned).map(drop)
    }

    /// Calls that are one line each.
    fn one(&self, call: &Call) -> Result<(), Errno> {
        // SAFETY: as in `transfer`.
        let returned = unsafe {
            match call {
                Call::Lseek { fd, at, whence } => {
                    libc::lseek(self.fd(*fd), *at, *whence) as isize
                }
                Call::Ioctl {
                    fd,
                    request,
                    argument,
                } => {
                    let argument = self.pointer(*argument);
                    libc::ioctl(self.fd(*fd), *request as _, argument) as isize
                }
                Call::Poll { fd, events } => {
                    let mut poll = libc::pollfd {
                        fd: self.fd(*fd),
                        events: *events,
                        revents: 0,
                    };
                    libc::poll(&raw mut poll, 1, 0) as isize
                }
                Call::SetFlags { fd, flags } => {
                    libc::fcntl(self.fd(*fd), libc::F_SETFL, bits(flags)) as isize
                }
                Call::OwnSignals { fd } => {
                    libc::fcntl(self.fd(*fd), libc::F_SETOWN, libc::getpid()) as isize
                }
                Call::Fsync { fd } => libc::fsync(self.fd(*fd)) as isize,
                Call::Sendfile { from, to, len } => {
                    let (from, to) = (self.fd(*from), self.fd(*to));
                    libc::sendfile(to, from, ptr::null_mut(), *len as usize)
                }
                _ => return Err(Errno::NOSYS),
            }
        };
        result(returned).map(drop)
    }

    fn mmap(&self, call: &Call) -> Result<(), Errno> {
        let Call::Mmap {
            fd,
            map,
            len,
            protection,
            shared,
            populate,
            at,
        } = call
        else {
            return Err(Errno::NOSYS);
        };
        let mut flags = match shared {
            true => libc::MAP_SHARED,
            false => libc::MAP_PRIVATE,
        };
        if *populate {
            flags |= libc::MAP_POPULATE;
        }
        let (fd, len) = (self.fd(*fd), *len as usize);
        // SAFETY: it is new memory, where the kernel likes. Nobody here has a reference to it.
        let begin = unsafe { libc::mmap(ptr::null_mut(), len, *protection, flags, fd, *at) };
        if begin == libc::MAP_FAILED {
            return result(-1).map(drop);
        }
        let Some(slot) = self.maps.get(usize::from(*map)) else {
            return Err(Errno::NOSYS);
        };
        let old = lock(slot).replace((begin.addr(), len));
        old.map_or(Ok(()), unmap)
    }

    fn munmap(&self, map: u8) -> Result<(), Errno> {
        let slot = self.maps.get(usize::from(map)).ok_or(Errno::INVAL)?;
        let old = lock(slot).take();
        old.map_or(Err(Errno::INVAL), unmap)
    }

    /// From a file to a pipe, and from there to another file.
    fn splice(&self, from: u8, to: u8, len: u64) -> Result<(), Errno> {
        let mut ends = [NONE; 2];
        let (from, to, len) = (self.fd(from), self.fd(to), PIPE.min(len as usize));
        let flags = libc::SPLICE_F_NONBLOCK;
        let null = ptr::null_mut::<libc::loff_t>();
        // SAFETY: there is room for two descriptors, and no position is given.
        let (first, second) = unsafe {
            done(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC))?;
            let first = result(libc::splice(from, null, ends[1], null, len, flags));
            let second = result(libc::splice(ends[0], null, to, null, len, flags));
            (first, second)
        };
        close(ends[0]);
        close(ends[1]);
        first.and(second).map(drop)
    }

    fn epoll(&self, fd: u8) -> Result<(), Errno> {
        let wanted = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLET;
        let mut event = libc::epoll_event {
            events: wanted as u32,
            u64: 0,
        };
        // SAFETY: there is an event to read, and room for one to write.
        let (epoll, added) = unsafe {
            let epoll = done(libc::epoll_create1(libc::EPOLL_CLOEXEC))?;
            let fd = self.fd(fd);
            let add = libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event);
            let added = done(add);
            libc::epoll_wait(epoll, &raw mut event, 1, 0);
            (epoll, added)
        };
        close(epoll);
        added.map(drop)
    }

    /// A process that has all the files, too. It ends at once.
    fn fork(&self, fd: u8) -> Result<(), Errno> {
        let fd = self.fd(fd);
        // SAFETY: the child makes two system calls, which need no memory.
        let id = unsafe { libc::fork() };
        if id == 0 {
            // SAFETY: as above.
            unsafe {
                libc::close(fd);
                libc::_exit(0)
            }
        }
        // Nobody waits for it: SIGCHLD is ignored.
        done(id).map(drop)
    }
}

/// The mapping in that place. A thread that has it only looks, or changes it.
fn lock(map: &Map) -> std::sync::MutexGuard<'_, Option<(usize, usize)>> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unmap((begin, len): (usize, usize)) -> Result<(), Errno> {
    // SAFETY: it was mapped for calls only, and is in no place any more.
    done(unsafe { libc::munmap(ptr::without_provenance_mut(begin), len) }).map(drop)
}

fn close(fd: c_int) {
    // SAFETY: nobody else closes it: it was in a place, or in no place yet.
    unsafe { libc::close(fd) };
}

/// What a function of the C library has returned.
fn done(returned: c_int) -> Result<c_int, Errno> {
    match returned {
        0.. => Ok(returned),
        _ => Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}

/// `flags` as open(2) has them.
fn bits(flags: &[Flag]) -> c_int {
    let bit = |flag: &Flag| match flag {
        Flag::WriteOnly => libc::O_WRONLY,
        Flag::ReadWrite => libc::O_RDWR,
        Flag::Nonblock => libc::O_NONBLOCK,
        Flag::Append => libc::O_APPEND,
        Flag::Truncate => libc::O_TRUNC,
        Flag::Direct => libc::O_DIRECT,
        Flag::Async => libc::O_ASYNC,
        Flag::Sync => libc::O_SYNC,
        Flag::Path => libc::O_PATH,
        Flag::Directory => libc::O_DIRECTORY,
        Flag::Nofollow => libc::O_NOFOLLOW,
        Flag::Excl => libc::O_EXCL,
    };
    flags.iter().fold(libc::O_RDONLY, |all, flag| all | bit(flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(place: Place, len: u64) -> Part {
        Part { place, len }
    }

    /// On files that stand much.
    #[test]
    fn calls_are_made() {
        let world = World::new(&["/dev/zero".to_owned(), "/dev/null".to_owned()]);
        let open = |file, flag, fd| Call::Open {
            file,
            flags: vec![flag],
            fd,
        };
        let read = |place, len| Call::Read {
            fd: 0,
            part: part(place, len),
        };
        assert_eq!(world.make(&read(Place::Buffer(0), 1)), Err(Errno::BADF));
        assert_eq!(world.make(&open(0, Flag::ReadWrite, 0)), Ok(()));
        assert_eq!(world.make(&open(1, Flag::WriteOnly, 1)), Ok(()));
        assert_eq!(world.make(&open(2, Flag::Nonblock, 2)), Err(Errno::NOENT));
        assert_eq!(world.make(&read(Place::Buffer(0), BUFFER)), Ok(()));
        for bad in [
            Place::Number(0),
            Place::Kernel,
            Place::End(0),
            Place::Text(0),
            Place::NoAccess,
            Place::Map(0),
        ] {
            assert_eq!(world.make(&read(bad, 1)), Err(Errno::FAULT), "{bad:?}");
        }
        let mmap = Call::Mmap {
            fd: 0,
            map: 0,
            len: 4096,
            protection: libc::PROT_READ | libc::PROT_WRITE,
            shared: false,
            populate: false,
            at: 0,
        };
        assert_eq!(world.make(&mmap), Ok(()));
        assert_eq!(world.make(&read(Place::Map(0), 4096)), Ok(()));
        assert_eq!(world.make(&Call::Munmap { map: 0 }), Ok(()));
        assert_eq!(world.make(&Call::Munmap { map: 0 }), Err(Errno::INVAL));
        let text = part(Place::Text(3), TEXTS[3].len() as u64);
        let writev = Call::Writev {
            fd: 1,
            parts: vec![text, text],
        };
        assert_eq!(world.make(&writev), Ok(()));
        assert_eq!(world.make(&Call::Dup { fd: 1, to: 0 }), Ok(()));
        assert_eq!(world.make(&Call::Close { fd: 1 }), Ok(()));
        assert_eq!(world.make(&Call::Close { fd: 1 }), Err(Errno::BADF));
        assert_eq!(world.make(&Call::Close { fd: 0 }), Ok(()));
    }
}
