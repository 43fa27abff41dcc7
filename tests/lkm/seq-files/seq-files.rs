// SPDX-License-Identifier: GPL-2.0-only

//! Test only: files in /proc whose text is made item by item.

use kernel::{
    new_mutex,
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        lock::mutex::MutexGuard,
        Mutex, //
    },
};
use lkm::{
    file::{
        mode,
        Offset,
        Opened,
        Operations,
        Writer, //
    },
    procfs,
    seq_file::{
        seq_print,
        Seq,
        SeqFile,
        Sequence, //
    },
};

module! {
    type: SeqFiles,
    name: "seq-files",
    authors: ["lkmpg-rs"],
    description: "Test only: files in /proc made item by item",
    license: "GPL",
}

/// How many cursors there are.
static LIVE: Atomic<i32> = Atomic::new(0);

/// One for each cursor.
struct Alive;

impl Alive {
    fn new() -> Self {
        LIVE.add(1, Relaxed);
        Self
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        LIVE.add(-1, Relaxed);
    }
}

/// Numbers, which nobody changes while a pass is under way.
#[pin_data]
struct Lines {
    #[pin]
    numbers: Mutex<KVec<u32>>,
}

struct LinesCursor<'a> {
    numbers: MutexGuard<'a, KVec<u32>>,
    at: usize,
    _alive: Alive,
}

impl Sequence for Lines {
    type Cursor<'a> = LinesCursor<'a>;

    fn start(&self, pos: Offset) -> Result<Option<LinesCursor<'_>>> {
        let numbers = self.numbers.lock();
        let at = pos as usize;
        Ok((at < numbers.len()).then(|| LinesCursor {
            numbers,
            at,
            _alive: Alive::new(),
        }))
    }

    fn next(cursor: &mut LinesCursor<'_>) -> bool {
        cursor.at += 1;
        cursor.at < cursor.numbers.len()
    }

    fn show(cursor: &LinesCursor<'_>, text: &mut SeqFile) -> Result {
        seq_print!(text, "line {}\n", cursor.numbers[cursor.at]);
        Ok(())
    }
}

/// What `Odd` does.
#[derive(Clone, Copy)]
enum Oddity {
    /// Three items of 10,000 bytes each.
    Long,
    /// Ten items, of which every other has no text.
    Gaps,
    /// No item.
    Empty,
    /// Five items, of which the third cannot be shown.
    Fails,
    /// Cannot be begun.
    Refuses,
}

struct Odd(Oddity);

struct OddCursor {
    what: Oddity,
    at: Offset,
    _alive: Alive,
}

impl OddCursor {
    fn len(&self) -> Offset {
        match self.what {
            Oddity::Long => 3,
            Oddity::Gaps => 10,
            Oddity::Fails => 5,
            Oddity::Empty | Oddity::Refuses => 0,
        }
    }
}

impl Sequence for Odd {
    type Cursor<'a> = OddCursor;

    fn start(&self, at: Offset) -> Result<Option<OddCursor>> {
        if matches!(self.0, Oddity::Refuses) {
            return Err(EBUSY);
        }
        let cursor = OddCursor {
            what: self.0,
            at,
            _alive: Alive::new(),
        };
        Ok(Some(cursor).filter(|cursor| at < cursor.len()))
    }

    fn next(cursor: &mut OddCursor) -> bool {
        cursor.at += 1;
        cursor.at < cursor.len()
    }

    fn show(cursor: &OddCursor, text: &mut SeqFile) -> Result {
        let at = cursor.at;
        match cursor.what {
            Oddity::Long => {
                for _ in 0..1000 {
                    seq_print!(text, "{at}23456789\n");
                }
            }
            Oddity::Fails if at == 2 => return Err(EDOM),
            Oddity::Gaps if at % 2 == 0 => {}
            _ => seq_print!(text, "{at}\n"),
        }
        Ok(())
    }
}

/// Says how many cursors there are.
struct Live;

#[vtable]
impl Operations for Live {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let text = CString::try_from_fmt(fmt!("{}", LIVE.load(Relaxed)))?;
        dst.write_slice_file(text.to_bytes(), pos)
    }
}

#[pin_data]
struct SeqFiles {
    dir: procfs::Dir,
    #[pin]
    lines: procfs::Entry<Seq<Lines>>,
    #[pin]
    long: procfs::Entry<Seq<Odd>>,
    #[pin]
    gaps: procfs::Entry<Seq<Odd>>,
    #[pin]
    empty: procfs::Entry<Seq<Odd>>,
    #[pin]
    fails: procfs::Entry<Seq<Odd>>,
    #[pin]
    refuses: procfs::Entry<Seq<Odd>>,
    #[pin]
    live: procfs::Entry<Live>,
}

impl kernel::InPlaceModule for SeqFiles {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let mut numbers = KVec::new();
        let numbers = (0..5000)
            .try_for_each(|n| numbers.push(n, GFP_KERNEL))
            .map(|()| numbers);
        let lines = try_pin_init!(Lines { numbers <- new_mutex!(numbers?) });
        try_pin_init!(Self {
            dir: procfs::Dir::new(c"seq-files")?,
            lines <- dir.file(c"lines", mode!(0o444), Seq::new(lines)),
            long <- dir.file(c"long", mode!(0o444), Seq::new(Odd(Oddity::Long))),
            gaps <- dir.file(c"gaps", mode!(0o444), Seq::new(Odd(Oddity::Gaps))),
            empty <- dir.file(c"empty", mode!(0o444), Seq::new(Odd(Oddity::Empty))),
            fails <- dir.file(c"fails", mode!(0o444), Seq::new(Odd(Oddity::Fails))),
            refuses <- dir.file(c"refuses", mode!(0o444), Seq::new(Odd(Oddity::Refuses))),
            live <- dir.file(c"live", mode!(0o444), Live),
        })
    }
}
