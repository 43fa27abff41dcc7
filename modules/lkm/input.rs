// SPDX-License-Identifier: GPL-2.0-only

//! Input devices: keyboards, buttons, and what else people press.
//!
//! C header: [`include/linux/input.h`](srctree/include/linux/input.h)
//!
//! Reference: <https://docs.kernel.org/input/input-programming.html>
//!
//! The `kernel` crate has no input devices.

use crate::{
    alive::{
        Alive,
        Stop, //
    },
    bindings,
    callers::{
        current_task,
        Callers, //
    },
    calls::Calls,
    errno::{
        self,
        error, //
    },
    interface::{
        Crossing,
        Shape, //
    },
};
use core::{
    ffi::CStr,
    marker::PhantomPinned,
    ops::Deref,
    ptr, //
};
use kernel::{
    error::{
        to_result,
        VTABLE_DEFAULT_ERROR, //
    },
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

/// The highest number that there is for a key or a button.
pub const KEY_MAX: u16 = bindings::KEY_MAX as u16;
/// The highest number that there is for a LED.
pub const LED_MAX: u16 = bindings::LED_MAX as u16;
/// The LED for Caps Lock.
pub const LED_CAPSL: u16 = bindings::LED_CAPSL as u16;
/// The kind of an [`Event`] that switches a LED.
pub const EV_LED: u16 = bindings::EV_LED as u16;
/// The kind of an [`Event`] that sets how fast keys repeat.
pub const EV_REP: u16 = bindings::EV_REP as u16;
/// The bus of devices without hardware.
pub const BUS_VIRTUAL: u16 = bindings::BUS_VIRTUAL as u16;

/// The bits in a word of C's.
const BITS: usize = usize::BITS as usize;
/// The words that have a bit for each key.
const KEY_WORDS: usize = (KEY_MAX as usize + 1).div_ceil(BITS);

/// What a device can report, and what it can be asked for. At first that is nothing.
///
/// Numbers are those of `linux/input-event-codes.h`. All methods can be called in any context.
#[repr(C)]
pub struct Capabilities {
    keys: [usize; KEY_WORDS],
    leds: usize,
    repeats: bool,
    keymap: bool,
    /// Whether a number was given that no key or LED has.
    bad: bool,
}

impl Capabilities {
    /// Nothing.
    #[expect(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self {
            keys: [0; KEY_WORDS],
            leds: 0,
            repeats: false,
            keymap: false,
            bad: false,
        }
    }

    /// The key or button with the number `code`: from 1 to [`KEY_MAX`]. With another number
    /// the device cannot be registered.
    pub fn key(&mut self, code: u16) {
        let code = usize::from(code);
        match self.keys.get_mut(code / BITS) {
            Some(word) if code != 0 => *word |= 1 << (code % BITS),
            _ => self.bad = true,
        }
    }

    /// The LED with the number `code`, up to [`LED_MAX`]. With another number the device
    /// cannot be registered.
    pub fn led(&mut self, code: u16) {
        match code <= LED_MAX {
            true => self.leds |= 1 << code,
            false => self.bad = true,
        }
    }

    /// Keys repeat: while one is held down, the kernel reports it again and again, as often as
    /// user space wants.
    pub fn repeat(&mut self) {
        self.repeats = true;
    }

    /// There is a map from scan codes to keys, which user space can read and change
    /// (`EVIOCGKEYCODE`, `EVIOCSKEYCODE`). It belongs to this device alone. Below [`KEY_MAX`],
    /// each scan code at first means the key of the same number.
    ///
    /// [`Reporter::report_key`] gets a key, not a scan code. But a key that user space takes
    /// from the map is one that the device no longer has.
    pub fn keymap(&mut self) {
        self.keymap = true;
    }
}

// SAFETY: It is plain data, laid out as C does it.
unsafe impl Crossing for &mut Capabilities {
    const SHAPE: &'static Shape = &Shape {
        name: "&mut Capabilities",
        parts: &[],
    };
    type Short<'a> = &'a mut Capabilities;
}

/// What user space can tell a device by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Id {
    /// The bus, such as [`BUS_VIRTUAL`].
    pub bus: u16,
    /// The vendor's number.
    pub vendor: u16,
    /// The vendor's number of the product.
    pub product: u16,
    /// The product's version.
    pub version: u16,
}

/// What is sent to a device, such as to switch a LED.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The kind, such as [`EV_LED`].
    pub kind: u16,
    /// What it is about: the number of the LED.
    pub code: u16,
    /// What is to be: 0 for off. User space may write any other number for on.
    pub value: i32,
}

/// What a device does when it is used. All methods are optional; `()` has none.
///
/// Where one runs, the kernel has locks that [`Builder::register`] takes, which therefore fails
/// with `EDEADLK`. Dropping a [`Device`] takes them, too. So one that is dropped here, be it
/// this or another, goes a little later: to wait for that here would be for ever. That holds
/// within one module. A handler must not have another module make or drop an input device, or
/// wait for a thread that does.
#[vtable]
pub trait Handler: Send + Sync + Sized + 'static {
    /// Called when the first user opens the device: a process that opens
    /// `/dev/input/eventN`, or the kernel itself, such as for the console. So this can be
    /// called by [`Builder::register`]. It is called again when the device was
    /// [closed](Self::close).
    ///
    /// Process context, may sleep. It never runs at the same time as itself or
    /// [`close`](Self::close).
    ///
    /// # Errors
    ///
    /// `open(2)` fails with the error returned, or with `EIO` instead of `ECHILD` and
    /// `ESTALE`.
    fn open(&self) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called when the last user closes the device, when it is unregistered while it is open,
    /// and when somebody inhibits it in sysfs. Process context, may sleep.
    fn close(&self) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called when something is sent to the device.
    ///
    /// Interrupts are off, and a lock of the device is held: this must not sleep, and its
    /// reports fail with `EDEADLK`. It must not report for another device either: two that
    /// do so for each other would wait for ever.
    fn event(&self, _event: Event) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

#[vtable]
impl Handler for () {}

/// An input device that is to be: [`register`](Self::register) makes it.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::input::{Builder, Capabilities, Id, BUS_VIRTUAL};
///
/// const KEY_A: u16 = 30;
///
/// let mut can = Capabilities::new();
/// can.key(KEY_A);
/// let id = Id { bus: BUS_VIRTUAL, ..Id::default() };
/// let button = Builder::new("button", &can).id(id).register(())?;
/// button.report_key(KEY_A, true)?;
/// button.sync()?;
/// button.report_key(KEY_A, false)?;
/// button.sync()?;
/// # Ok::<(), Error>(())
/// ```
///
/// A device that is told of its LED:
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::input::{Builder, Capabilities, Event, Handler, EV_LED, LED_CAPSL};
///
/// struct Lamp;
///
/// #[vtable]
/// impl Handler for Lamp {
///     fn event(&self, event: Event) {
///         if event.kind == EV_LED {
///             pr_info!("LED {} is {}\n", event.code, event.value);
///         }
///     }
/// }
///
/// let mut can = Capabilities::new();
/// can.led(LED_CAPSL);
/// let lamp = Builder::new("lamp", &can).register(Lamp)?;
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy)]
#[must_use]
pub struct Builder<'a> {
    name: &'a str,
    phys: &'a str,
    uniq: &'a str,
    id: Id,
    can: &'a Capabilities,
}

/// The longest text of a device, in bytes: all of them, and more, go into one uevent.
const LONGEST: usize = 127;

impl<'a> Builder<'a> {
    /// A device of this name that can do this. User space reads the name. Can be called in
    /// any context, as the other methods but the last.
    pub fn new(name: &'a str, can: &'a Capabilities) -> Self {
        Self {
            name,
            phys: "",
            uniq: "",
            id: Id::default(),
            can,
        }
    }

    /// Sets where the device is, such as `usb-0000:00:1d.0-1/input0`.
    pub fn phys(self, phys: &'a str) -> Self {
        Self { phys, ..self }
    }

    /// Sets what tells the device from its like, such as a serial number.
    pub fn uniq(self, uniq: &'a str) -> Self {
        Self { uniq, ..self }
    }

    /// Sets the device's numbers.
    pub fn id(self, id: Id) -> Self {
        Self { id, ..self }
    }

    /// Registers the device, which can be `()` or has a [`Handler`]. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: a number that no key or LED has, a text of more than 127 bytes or with a NUL
    ///   in it, or no name;
    /// - `EINTR`: a signal came while this waited for its turn;
    /// - `EDEADLK`: the caller is a [`Handler`], or opens or stops a
    ///   [net device](crate::netdev), or more than 64 tasks are in handlers, and nobody knows
    ///   who;
    /// - `ENOMEM`;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - the error of `handler`.
    pub fn register<T: Handler, E>(self, handler: impl PinInit<T, E>) -> Result<Device<T>>
    where
        Error: From<E>,
    {
        if self.can.bad || self.name.is_empty() {
            return Err(EINVAL);
        }
        if Callers::INPUT.may_have_current() {
            return Err(error(bindings::EDEADLK));
        }
        let mut keymap = KVec::new();
        if self.can.keymap {
            keymap.reserve(KEY_MAX.into(), GFP_KERNEL)?;
            for code in 0..KEY_MAX {
                keymap.push(code, GFP_KERNEL)?;
            }
        }
        let (name, phys, uniq) = (text(self.name)?, text(self.phys)?, text(self.uniq)?);
        let inner = try_pin_init!(Inner {
            reporter: Reporter {
                dev: ptr::null_mut(),
                calls: Calls::closed(),
                told: Atomic::new(0),
            },
            registered: false,
            name,
            phys,
            uniq,
            keymap,
            handler <- handler,
            _pin: PhantomPinned,
        }? Error);
        let device = Alive::new(inner, |inner| {
            // SAFETY: Nothing is moved.
            unsafe { inner.get_unchecked_mut() }.register(self.id, self.can)
        })?;
        Ok(Device(device))
    }
}

/// A copy of `text` as a string of C's; no bytes for no text.
fn text(text: &str) -> Result<KVec<u8>> {
    let text = text.as_bytes();
    if text.len() > LONGEST || text.contains(&0) {
        return Err(EINVAL);
    }
    let mut copy = KVec::new();
    if !text.is_empty() {
        copy.extend_from_slice(text, GFP_KERNEL)?;
        copy.push(0, GFP_KERNEL)?;
    }
    Ok(copy)
}

/// What reports for an input device: see [`Device`], which dereferences to it. The methods can
/// be called in any context except NMI, and on all CPUs at the same time.
///
/// # Invariants
///
/// While calls can begin, and while one runs, `dev` is a registered device.
#[repr(C)]
pub struct Reporter {
    dev: *mut bindings::input_dev,
    calls: Calls,
    /// The task that runs [`Handler::event`], with the lock that reports take.
    told: Atomic<usize>,
}

// SAFETY: C takes a lock. The pointer does not change while there are others who use it.
unsafe impl Send for Reporter {}

// SAFETY: As above.
unsafe impl Sync for Reporter {}

// SAFETY: It is laid out as C does it. C's functions for the device are in the kernel.
unsafe impl Crossing for &Reporter {
    const SHAPE: &'static Shape = &Shape {
        name: "&Reporter",
        parts: &[],
    };
    type Short<'a> = &'a Reporter;
}

impl Reporter {
    /// Reports that a key was pressed or released. Nothing comes of it if the key was so
    /// already. User space sees it with the next [`sync`](Self::sync).
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the device has no such key;
    /// - `ENODEV`: the device was unregistered;
    /// - `EDEADLK`: the caller is [`Handler::event`].
    pub fn report_key(&self, code: u16, pressed: bool) -> Result {
        self.call(|dev| {
            // SAFETY: The device is registered.
            if !unsafe { bindings::lkm_input_has_key(dev, code.into()) } {
                return Err(EINVAL);
            }
            // SAFETY: As above.
            unsafe { bindings::input_event(dev, bindings::EV_KEY, code.into(), pressed.into()) };
            Ok(())
        })
    }

    /// Ends a report: all since the last call of this happened at once.
    ///
    /// # Errors
    ///
    /// `ENODEV` and `EDEADLK` as for [`report_key`](Self::report_key).
    pub fn sync(&self) -> Result {
        self.call(|dev| {
            // SAFETY: The device is registered.
            unsafe { bindings::input_event(dev, bindings::EV_SYN, bindings::SYN_REPORT, 0) };
            Ok(())
        })
    }

    fn call(&self, report: impl FnOnce(*mut bindings::input_dev) -> Result) -> Result {
        if self.told.load(Relaxed) == current_task() {
            return Err(error(bindings::EDEADLK));
        }
        // A report starts a timer, in memory that goes with the device.
        let _running = self.calls.begin().ok_or(ENODEV)?;
        report(self.dev)
    }
}

/// An input device. [`Builder`] makes it. It dereferences to what reports for it.
///
/// User space finds it in `/sys/class/input`, and reads its reports from
/// `/dev/input/eventN`.
///
/// # Unloading
///
/// *Unregister waits*: `input_unregister_device()` returns when no function of the device runs,
/// and none can begin. *We wait* before that until nobody is reporting. A file in `/dev/input`
/// that is still open does not keep the module. It answers `ENODEV` then.
///
/// A [`Handler`] may drop devices, which then go a little later.
pub struct Device<T: Handler = ()>(Alive<Inner<T>>);

impl<T: Handler> Device<T> {
    /// What the device does when it is used. Can be called in any context.
    pub fn handler(&self) -> &T {
        &self.0.handler
    }
}

impl<T: Handler> Deref for Device<T> {
    type Target = Reporter;

    fn deref(&self) -> &Reporter {
        &self.0.reporter
    }
}

/// # Invariants
///
/// - `reporter.dev` is null, or `input_allocate_device()` returned it. If `registered`, it is
///   registered until `stop`;
/// - its driver data is a pointer to this value, and its functions are those for `T`. It has
///   pointers to the texts and the map, which Rust does not use.
#[pin_data]
struct Inner<T: Handler> {
    reporter: Reporter,
    registered: bool,
    name: KVec<u8>,
    phys: KVec<u8>,
    uniq: KVec<u8>,
    keymap: KVec<u16>,
    #[pin]
    handler: T,
    // C has a pointer to this value.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Inner<T> where T: Handler);

// SAFETY: When `stop` has returned, C has unregistered the device: it calls no function of
// it, reads none of its texts, and has no timer for it. No report begins any more.
unsafe impl<T: Handler> Stop for Inner<T> {
    const NAME: &'static CStr = c"input devices";

    fn stop(&self) {
        if self.registered {
            self.reporter.calls.close();
            // SAFETY: By the type invariants. This puts our reference, too.
            unsafe { bindings::input_unregister_device(self.reporter.dev) };
        }
    }

    /// What C has locked for a function of a device is what unregistering this takes.
    fn is_within(&self) -> bool {
        Callers::INPUT.may_have_current()
    }

    fn give_back(&self) {
        if !self.registered {
            // SAFETY: By the type invariants, and the reference is ours. For null it does
            // nothing.
            unsafe { bindings::input_free_device(self.reporter.dev) };
        }
    }
}

impl<T: Handler> Inner<T> {
    const OPEN: Option<unsafe extern "C" fn(*mut bindings::input_dev) -> c_int> =
        if T::HAS_OPEN { Some(Self::open) } else { None };
    const CLOSE: Option<unsafe extern "C" fn(*mut bindings::input_dev)> = if T::HAS_CLOSE {
        Some(Self::close)
    } else {
        None
    };
    const EVENT: Option<
        unsafe extern "C" fn(*mut bindings::input_dev, c_uint, c_uint, c_int) -> c_int,
    > = if T::HAS_EVENT {
        Some(Self::event)
    } else {
        None
    };

    /// Makes the device and registers it. After an error `give_back` frees what there is.
    fn register(&mut self, id: Id, can: &Capabilities) -> Result {
        // SAFETY: This may sleep.
        let dev = unsafe { bindings::input_allocate_device() };
        if dev.is_null() {
            return Err(ENOMEM);
        }
        // INVARIANT: It was just returned.
        self.reporter.dev = dev;
        let keymap = self.keymap.as_mut_ptr();
        let this = ptr::from_mut(self);
        // SAFETY: Nobody else has the device yet. The value, its texts and its map stay where
        // they are until `stop` has unregistered the device.
        // Unload rule, unregister waits: `stop` does it.
        unsafe {
            (*dev).name = pointer(&(*this).name);
            (*dev).phys = pointer(&(*this).phys);
            (*dev).uniq = pointer(&(*this).uniq);
            (*dev).id.bustype = id.bus;
            (*dev).id.vendor = id.vendor;
            (*dev).id.product = id.product;
            (*dev).id.version = id.version;
            (*dev).keybit = can.keys;
            (*dev).ledbit[0] = can.leds;
            (*dev).evbit[0] = event_kinds(can);
            if !(*this).keymap.is_empty() {
                (*dev).keycode = keymap.cast();
                (*dev).keycodesize = size_of::<u16>() as c_uint;
                (*dev).keycodemax = (*this).keymap.len() as c_uint;
            }
            (*dev).open = Self::OPEN;
            (*dev).close = Self::CLOSE;
            (*dev).event = Self::EVENT;
            (*dev).dev.driver_data = this.cast();
        }
        // SAFETY: The device was made as it is to be. Its functions are those for `T`.
        to_result(unsafe { bindings::input_register_device(dev) })?;
        // SAFETY: `this` is valid. C calls only functions that read other fields.
        unsafe {
            // INVARIANT: It was just registered.
            (*this).registered = true;
            (*this).reporter.calls.open();
        }
        Ok(())
    }

    /// # Safety
    ///
    /// `dev` is that of a `Self`, which is not freed meanwhile.
    unsafe fn of<'a>(dev: *mut bindings::input_dev) -> &'a Self {
        // SAFETY: By this function's contract, and the type invariants.
        unsafe { &*(*dev).dev.driver_data.cast::<Self>() }
    }

    /// # Safety
    ///
    /// Called by the input core only, for the device of a `Self`, with its mutex held.
    unsafe extern "C" fn open(dev: *mut bindings::input_dev) -> c_int {
        // SAFETY: By this function's contract: unregistering the device waits for this.
        let this = unsafe { Self::of(dev) };
        let inside = Callers::INPUT.begin();
        let result = this.handler.open();
        drop(inside);
        match result {
            Ok(()) => 0,
            Err(error) => errno::to_opener(error),
        }
    }

    /// # Safety
    ///
    /// As for `open`.
    unsafe extern "C" fn close(dev: *mut bindings::input_dev) {
        // SAFETY: As in `open`.
        let this = unsafe { Self::of(dev) };
        let _inside = Callers::INPUT.begin();
        this.handler.close();
    }

    /// # Safety
    ///
    /// Called by the input core only, for the device of a `Self`, with its spinlock held and
    /// interrupts off.
    unsafe extern "C" fn event(
        dev: *mut bindings::input_dev,
        kind: c_uint,
        code: c_uint,
        value: c_int,
    ) -> c_int {
        // SAFETY: As in `open`.
        let this = unsafe { Self::of(dev) };
        let _inside = Callers::INPUT.begin();
        this.reporter.told.store(current_task(), Relaxed);
        this.handler.event(Event {
            kind: kind as u16,
            code: code as u16,
            value,
        });
        this.reporter.told.store(0, Relaxed);
        0
    }
}

/// The address of a string, or null for none.
fn pointer(text: &KVec<u8>) -> *const c_char {
    match text.is_empty() {
        true => ptr::null(),
        false => text.as_ptr().cast(),
    }
}

/// The bits of the kinds of events that a device has.
fn event_kinds(can: &Capabilities) -> usize {
    let bit = |has: bool, kind: u32| usize::from(has) << kind;
    bit(can.keys.iter().any(|word| *word != 0), bindings::EV_KEY)
        | bit(can.leds != 0, bindings::EV_LED)
        | bit(can.repeats, bindings::EV_REP)
}
