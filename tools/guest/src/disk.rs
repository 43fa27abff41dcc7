// SPDX-License-Identifier: GPL-2.0-only

//! Disks as user space has them: `/dev/NAME`.
//!
//! Reference: `include/uapi/linux/fs.h`.

use std::{
    fs::{File, OpenOptions},
    io,
    ops::{Deref, DerefMut, Range},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::OpenOptionsExt,
    },
    path::Path,
    thread,
    time::Duration,
};

use rustix::{fs::OFlags, io::Errno};

use crate::{
    files::read_write,
    syscalls::{Argument, ioctl},
};

const BLKROSET: u32 = 0x125d;
const BLKFLSBUF: u32 = 0x1261;
const BLKSSZGET: u32 = 0x1268;
const BLKDISCARD: u32 = 0x1277;
const BLKZEROOUT: u32 = 0x127f;
const BLKGETSIZE64: u32 = 0x8008_1272;

/// A disk, or a partition, that is open.
#[derive(Debug)]
pub struct Disk(File);

impl Disk {
    /// Opens it to read and write, by way of the kernel's memory.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        read_write(path).map(Self)
    }

    /// Opens it to read.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub fn open_to_read(path: impl AsRef<Path>) -> io::Result<Self> {
        File::open(path).map(Self)
    }

    /// Opens it to read and write past the kernel's memory: whole blocks, in a [`Buffer`].
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub fn open_direct(path: impl AsRef<Path>) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let options = options.custom_flags(OFlags::DIRECT.bits() as i32);
        options.open(path).map(Self)
    }

    /// How many bytes it has.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn size(&self) -> Result<u64, Errno> {
        let mut size = [0; 8];
        ioctl(&self.0, BLKGETSIZE64, Argument::Buffer(&mut size))?;
        Ok(u64::from_ne_bytes(size))
    }

    /// How many bytes are read and written at a time.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn block_size(&self) -> Result<u32, Errno> {
        let mut size = [0; 4];
        ioctl(&self.0, BLKSSZGET, Argument::Buffer(&mut size))?;
        Ok(u32::from_ne_bytes(size))
    }

    /// Writes back what is in memory, and forgets that. Another one who does so keeps this
    /// waiting.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn forget_pages(&self) -> Result<(), Errno> {
        loop {
            match ioctl(&self.0, BLKFLSBUF, Argument::None) {
                Err(Errno::BUSY) => thread::sleep(Duration::from_millis(1)),
                result => return result.map(drop),
            }
        }
    }

    /// Says that nobody needs these bytes any more.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn discard(&self, range: Range<u64>) -> Result<(), Errno> {
        self.with_range(BLKDISCARD, range)
    }

    /// Makes these bytes zero.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn zero_out(&self, range: Range<u64>) -> Result<(), Errno> {
        self.with_range(BLKZEROOUT, range)
    }

    /// Makes it read-only for everybody, or not.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn set_read_only(&self, read_only: bool) -> Result<(), Errno> {
        let mut flag = i32::from(read_only).to_ne_bytes();
        ioctl(&self.0, BLKROSET, Argument::Buffer(&mut flag)).map(drop)
    }

    fn with_range(&self, request: u32, range: Range<u64>) -> Result<(), Errno> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&range.start.to_ne_bytes());
        bytes[8..].copy_from_slice(&(range.end - range.start).to_ne_bytes());
        ioctl(&self.0, request, Argument::Buffer(&mut bytes)).map(drop)
    }
}

impl Deref for Disk {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl AsFd for Disk {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Bytes that begin at a page, as [`Disk::open_direct`] wants them.
pub struct Buffer {
    bytes: Vec<u8>,
    range: Range<usize>,
}

impl Buffer {
    const ALIGNMENT: usize = 4096;

    /// So many zeroes.
    #[must_use]
    pub fn new(len: usize) -> Self {
        let bytes = vec![0; len + Self::ALIGNMENT];
        // The vector never grows, so it stays where it is.
        let begin = bytes.as_ptr().addr().next_multiple_of(Self::ALIGNMENT) - bytes.as_ptr().addr();
        let range = begin..begin + len;
        Self { bytes, range }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.range.clone()]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.range.clone()]
    }
}

/// Bytes that are different each time, and the same for the same `seed`.
pub fn fill(bytes: &mut [u8], seed: u64) {
    // Steele, Lea and Flood: SplitMix64.
    let mut state = seed;
    for chunk in bytes.chunks_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let word = (word ^ (word >> 31)).to_ne_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
}

/// A table of partitions, as fdisk would write it: one of them, with `blocks` from `first` on.
#[must_use]
pub fn partition_table(first: u32, blocks: u32) -> Vec<u8> {
    const ENTRY: usize = 446;
    const LINUX: u8 = 0x83;
    let mut table = vec![0; 512];
    table[ENTRY + 4] = LINUX;
    table[ENTRY + 8..][..4].copy_from_slice(&first.to_le_bytes());
    table[ENTRY + 12..][..4].copy_from_slice(&blocks.to_le_bytes());
    table[510..].copy_from_slice(&[0x55, 0xaa]);
    table
}
