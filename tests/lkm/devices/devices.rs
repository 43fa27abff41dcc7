// SPDX-License-Identifier: GPL-2.0-only

//! Character devices with several minor numbers, with a major number that is
//! asked for, and miscellaneous devices.

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

fn drum(name: &'static CStr) -> impl PinInit<miscdevice::Registration<Drum>, Error> {
    let drum = pin_init!(Drum {
        beats: Atomic::new(0),
        beaten <- new_wait_queue!(),
    });
    miscdevice::Registration::new(name, drum)
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
    for name in [c"", c".", c"..", c"a/b"] {
        refused(KBox::pin_init(drum(name), GFP_KERNEL), EINVAL)?;
    }
    Ok(())
}

/// Names that others have. The kernel complains.
fn taken() -> Result {
    // A class of the kernel's own.
    let device = chrdev::Registration::new(c"mem", Numbered(9));
    refused(device, EEXIST)?;
    refused(KBox::pin_init(drum(c"devices-drum"), GFP_KERNEL), EEXIST)
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
    drum: Mutex<Option<Pin<KBox<miscdevice::Registration<Drum>>>>>,
}

#[vtable]
impl Operations for Control {
    type Private = ();

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        let command = file::take(src, 100)?;
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

#[pin_data]
struct Devices {
    #[pin]
    _control: procfs::Entry<Control>,
    _minors: chrdev::Registration<Numbered>,
    _first: chrdev::Registration<Numbered>,
    _second: chrdev::Registration<Numbered>,
}

impl kernel::InPlaceModule for Devices {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let control = try_pin_init!(Control {
            drum <- new_mutex!(Some(KBox::pin_init(drum(c"devices-drum"), GFP_KERNEL)?)),
        });
        try_pin_init!(Self {
            _control <- procfs::Entry::new(c"devices-control", mode!(0o200), control),
            _minors: chrdev::Registration::with_minors(3, c"devices-minor", |minor| {
                Ok::<_, Error>(Numbered(minor))
            })?,
            _first: chrdev::Registration::with_major(100, c"devices-first", Numbered(7))?,
            _second: chrdev::Registration::with_major(100, c"devices-second", Numbered(8))?,
        })
    }
}
