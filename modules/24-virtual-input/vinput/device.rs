// SPDX-License-Identifier: GPL-2.0-only

//! The device that an export makes: an input device, and the file by which one writes to it.

use kernel::{
    new_mutex,
    prelude::*,
    str::CString,
    sync::Mutex, //
};
use lkm::{
    file::{
        Offset,
        Opened,
        Operations,
        Reader,
        Writer, //
    },
    input::{
        self,
        Capabilities,
        Id,
        BUS_VIRTUAL, //
    },
    interface::Remote, //
};

use crate::{
    api::Driver,
    Type, //
};

/// The longest text that a device takes or gives, in bytes.
const MAX_LEN: usize = 128;

/// A device that has been exported.
struct Live {
    of_type: u64,
    driver: Remote<dyn Driver>,
    input: input::Device,
    last: i64,
}

impl Live {
    fn new(of: &Type, minor: u32) -> Result<Self> {
        let mut can = Capabilities::new();
        of.driver.init(&mut can)?;
        let uniq = CString::try_from_fmt(fmt!("vinput{minor}"))?;
        let id = Id {
            bus: BUS_VIRTUAL,
            ..Id::default()
        };
        let input = input::Builder::new(of.name(), &can)
            .phys("vinput")
            .uniq(uniq.to_str()?)
            .id(id)
            .register(())?;
        Ok(Self {
            of_type: of.number,
            driver: of.driver.clone(),
            input,
            last: 0,
        })
    }
}

/// What the files of a device have in common. A file that is open keeps it, but what is in
/// it goes when the device is unexported.
#[pin_data]
pub(crate) struct Virtual {
    #[pin]
    live: Mutex<Option<Live>>,
}

impl Virtual {
    /// A device of a type, with a number that no other one has.
    pub(crate) fn new<'a>(of: &'a Type, minor: u32) -> impl PinInit<Self, Error> + 'a {
        try_pin_init!(Self {
            live <- new_mutex!(Some(Live::new(of, minor)?)),
        }? Error)
    }

    pub(crate) fn is_of_type(&self, number: u64) -> bool {
        let live = self.live.lock();
        live.as_ref().is_some_and(|live| live.of_type == number)
    }

    /// Waits until nobody reads or writes. The lock is not held while the input device goes.
    pub(crate) fn kill(&self) {
        let live = self.live.lock().take();
        drop(live);
    }
}

#[vtable]
impl Operations for Virtual {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let mut text = [0; MAX_LEN];
        let live = self.live.lock();
        let Some(device) = &*live else {
            return Err(ENODEV);
        };
        let len = device.driver.read(device.last, &mut text)?;
        // Who reads can keep a copy to its memory waiting for as long as it likes.
        drop(live);
        // The driver is another module: it can be wrong.
        let text = text.get(..len).ok_or(EIO)?;
        dst.write_slice_file(text, pos)
    }

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        let len = src.len();
        if len > MAX_LEN {
            pr_warn!("Too long. {MAX_LEN} bytes allowed\n");
            return Err(EINVAL);
        }
        let text = src.take(MAX_LEN)?;
        let mut live = self.live.lock();
        let Some(device) = &mut *live else {
            return Err(ENODEV);
        };
        device.last = device.driver.send(&device.input, &text)?;
        Ok(len)
    }
}
