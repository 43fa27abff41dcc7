// SPDX-License-Identifier: GPL-2.0-only

//! Character devices with several minor numbers, with a major number that is
//! asked for, and miscellaneous devices.

use core::ffi::CStr;
use kernel::{
    new_mutex,
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex, //
    },
};
use lkm::{
    chrdev,
    file::{
        self,
        events::{
            EPOLLIN,
            EPOLLPRI,
            EPOLLRDHUP, //
        },
        mode,
        DeviceNode,
        File,
        Offset,
        Opened,
        Operations,
        PollTable,
        Reader,
        Writer, //
    },
    miscdevice,
    new_wait_queue,
    procfs,
    sync::WaitQueue, //
};

module! {
    type: Devices,
    name: "devices",
    authors: ["lkmpg-rs"],
    description: "Devices with numbers of all kinds",
    license: "GPL",
}

/// A device that says its minor number.
struct Numbered(u32);

#[vtable]
impl Operations for Numbered {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let text = CString::try_from_fmt(fmt!("{}", self.0))?;
        dst.write_slice_file(text.to_bytes(), pos)
    }
}

impl Drop for Numbered {
    fn drop(&mut self) {
        pr_info!("{} is gone\n", self.0);
    }
}

/// Counts beats: who has it open can wait for the next.
#[pin_data(PinnedDrop)]
struct Drum {
    beats: Atomic<u32>,
    #[pin]
    beaten: WaitQueue,
}

/// What one who listens has heard.
struct Heard(Atomic<u32>);

impl Drop for Heard {
    fn drop(&mut self) {
        pr_info!("heard {}\n", self.0.load(Relaxed));
    }
}

impl Drum {
    fn has_news(&self, file: &Opened<Self>) -> bool {
        self.beats.load(Relaxed) != file.private().0.load(Relaxed)
    }
}

#[vtable]
impl Operations for Drum {
    type Private = Heard;

    fn open(&self, file: &File) -> impl PinInit<Heard, Error> {
        if file::nonblocking(file) {
            return Err(EBUSY);
        }
        Ok(Heard(Atomic::new(0)))
    }

    fn release(&self, file: &Opened<Self>) {
        pr_info!("closed after {}\n", file.private().0.load(Relaxed));
    }

    fn flush(&self, file: &Opened<Self>) -> Result {
        pr_info!("flushed\n");
        match self.has_news(file) {
            true => Err(EDOM),
            false => Ok(()),
        }
    }

    fn fsync(&self, file: &Opened<Self>, data_only: bool) -> Result {
        pr_info!("synced, data only: {data_only}\n");
        match self.has_news(file) {
            true => Err(ERESTARTSYS),
            false => Ok(()),
        }
    }

    /// As many bytes as there are beats not yet heard.
    fn read(&self, file: &Opened<Self>, _pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let beats = self.beats.load(Relaxed);
        let news = beats - file.private().0.xchg(beats, Relaxed);
        for _ in 0..news {
            dst.write_slice(b"!")?;
        }
        Ok(news as usize)
    }

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        self.beats.add(1, Relaxed);
        self.beaten.wake_up_all();
        Ok(src.len())
    }

    fn size(&self, _file: &Opened<Self>) -> Offset {
        100
    }

    /// The third beat is urgent, and the fourth the last.
    fn poll<'a>(&'a self, file: &'a Opened<Self>, table: &PollTable<'a>) -> u32 {
        table.wait(&self.beaten);
        match self.beats.load(Relaxed) {
            3 => EPOLLPRI,
            4 => EPOLLRDHUP,
            _ if self.has_news(file) => EPOLLIN,
            _ => 0,
        }
    }
}

#[pinned_drop]
impl PinnedDrop for Drum {
    fn drop(self: Pin<&mut Self>) {
        pr_info!("the drum is gone\n");
    }
}

fn drum(node: impl Into<DeviceNode>) -> Result<miscdevice::Registration<Drum>> {
    let drum = pin_init!(Drum {
        beats: Atomic::new(0),
        beaten <- new_wait_queue!(),
    });
    miscdevice::Registration::new(node, drum)
}

/// A device that keeps what is written.
#[pin_data]
struct Store {
    #[pin]
    bytes: Mutex<KVec<u8>>,
}

#[vtable]
impl Operations for Store {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        pr_info!("asked for {}\n", dst.len());
        dst.write_slice_file(&self.bytes.lock(), pos)
    }

    /// Begins with a number, and passes over the next byte.
    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        let len = src.len();
        pr_info!("given {len} at {}\n", src.address());
        let number: u16 = src
            .read()
            .inspect_err(|_| pr_info!("{} are left\n", src.len()))?;
        pr_info!("the number is {number}\n");
        src.skip(1)?;
        *self.bytes.lock() = src.take(len)?;
        Ok(len)
    }
}

/// A device that says it has read and written what it has not.
struct Liar;

#[vtable]
impl Operations for Liar {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, _pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        dst.write(b"lie")?;
        Ok(usize::MAX)
    }

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, _src: &mut Reader) -> Result<usize> {
        Ok(usize::MAX)
    }
}

fn refused<T>(result: Result<T>, expected: Error) -> Result {
    match result {
        Err(error) if error == expected => Ok(()),
        _ => Err(EIO),
    }
}

/// Nothing is made of what cannot be.
fn bad() -> Result {
    type Chrdev = chrdev::Registration<Numbered>;

    for count in [0, 257] {
        let devices = Chrdev::with_minors(count, c"refused", |n| Ok::<_, Error>(Numbered(n)));
        refused(devices, EINVAL)?;
    }
    // The third fails, so there are not two.
    let devices = Chrdev::with_minors(4, c"refused", |n| match n {
        2 => Err(ENODEV),
        n => Ok(Numbered(n)),
    });
    refused(devices, ENODEV)?;
    refused(Chrdev::with_major(512, c"refused", Numbered(0)), EINVAL)?;
    for name in [c"", c".", c"..", c"a/b", c"a!b"] {
        refused(drum(name), EINVAL)?;
        refused(chrdev::Registration::new(name, Numbered(0)), EINVAL)?;
    }
    for path in [c"", c"/a", c"a/", c"a//b", c"../a", c"a/./b", c"a!b"] {
        let node = DeviceNode::new(c"refused").path(path);
        refused(drum(node), EINVAL)?;
        refused(chrdev::Registration::new(node, Numbered(0)), EINVAL)?;
    }
    // As long as it can be, but for the minor number.
    let node = DeviceNode::new(c"refused").path(LONGEST);
    let devices = Chrdev::with_minors(1, node, |n| Ok::<_, Error>(Numbered(n)));
    refused(devices, EINVAL)?;
    for minor in [255, 256, u32::MAX] {
        refused(
            miscdevice::Registration::with_minor(minor, c"refused", Liar),
            EINVAL,
        )?;
    }
    refused(
        miscdevice::Registration::with_minor(LIARS_MINOR, c"refused", Liar),
        EBUSY,
    )
}

/// Names that others have. The kernel complains.
fn taken() -> Result {
    // A class of the kernel's own.
    let device = chrdev::Registration::new(c"mem", Numbered(9));
    refused(device, EEXIST)?;
    refused(drum(c"devices-drum"), EEXIST)
}

/// A device whose node would be `/dev/zero`, if there were none.
fn zero() -> Result {
    let device = chrdev::Registration::new(c"zero", Numbered(0))?;
    pr_info!("another zero: {}\n", device.major());
    Ok(())
}

#[pin_data]
struct Control {
    #[pin]
    drum: Mutex<Option<miscdevice::Registration<Drum>>>,
}

#[vtable]
impl Operations for Control {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        dst.write_slice_file(b"under control", pos)
    }

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        let command = src.take(100)?;
        match &command[..] {
            b"bad" => bad()?,
            b"taken" => taken()?,
            b"zero" => zero()?,
            b"drop" => {
                let drum = self.drum.lock().take();
                drop(drum);
            }
            _ => return Err(EINVAL),
        }
        Ok(command.len())
    }
}

/// A path that just can be.
const LONGEST: &CStr = {
    const BYTES: [u8; 256] = {
        let mut bytes = [b'x'; 256];
        bytes[255] = 0;
        bytes
    };
    match CStr::from_bytes_with_nul(&BYTES) {
        Ok(path) => path,
        Err(_) => panic!(),
    }
};

const LIARS_MINOR: u32 = 123;

struct Devices {
    _control: procfs::Entry<Control>,
    _minors: chrdev::Registration<Numbered>,
    _below: chrdev::Registration<Numbered>,
    _first: chrdev::Registration<Numbered>,
    _second: chrdev::Registration<Numbered>,
    _store: miscdevice::Registration<Store>,
    _liar: miscdevice::Registration<Liar>,
    _long: miscdevice::Registration<Liar>,
}

impl kernel::Module for Devices {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let control = try_pin_init!(Control {
            drum <- new_mutex!(Some(drum(c"devices-drum")?)),
        });
        let below = DeviceNode::new(c"devices-below")
            .path(c"devices/below/number")
            .mode(mode!(0o444));
        let store = DeviceNode::new(c"devices-store")
            .path(c"devices/store")
            .mode(mode!(0o640));
        let liar = DeviceNode::new(c"devices-liar").mode(mode!(0));
        let long = DeviceNode::new(c"devices-long").path(LONGEST);
        Ok(Self {
            _control: procfs::Entry::new(c"devices-control", mode!(0o600), control)?,
            _minors: chrdev::Registration::with_minors(3, c"devices-minor", |minor| {
                Ok::<_, Error>(Numbered(minor))
            })?,
            _below: chrdev::Registration::with_minors(2, below, |minor| {
                Ok::<_, Error>(Numbered(minor))
            })?,
            _first: chrdev::Registration::with_major(100, c"devices-first", Numbered(7))?,
            _second: chrdev::Registration::with_major(100, c"devices-second", Numbered(8))?,
            _store: miscdevice::Registration::new(
                store,
                pin_init!(Store { bytes <- new_mutex!(KVec::new()) }),
            )?,
            _liar: miscdevice::Registration::with_minor(LIARS_MINOR, liar, Liar)?,
            _long: miscdevice::Registration::new(long, Liar)?,
        })
    }
}
