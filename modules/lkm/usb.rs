// SPDX-License-Identifier: GPL-2.0-only

//! USB devices: drivers for their interfaces, and transfers.
//!
//! C headers: [`include/linux/usb.h`](srctree/include/linux/usb.h),
//! [`include/uapi/linux/usb/ch9.h`](srctree/include/uapi/linux/usb/ch9.h)
//!
//! Reference: <https://docs.kernel.org/driver-api/usb/index.html>
//!
//! The `kernel` crate has USB drivers on Linux 7.2 only. They can transfer nothing, and what one
//! has of a device is never dropped when the device is unplugged.
//!
//! # Interfaces, endpoints, transfers
//!
//! A device has one or more *interfaces*: a headset has one to listen, one to speak and one for
//! its buttons. A driver is for interfaces, and is told of each that it is for: those that are
//! there, and those that come. All of them can go at any time.
//!
//! An interface has *endpoints*, each for one direction. A *transfer* moves bytes from or to an
//! endpoint. The device never begins: it answers when it is asked, and may take as long as it
//! likes.
//!
//! | kind | what it is for | here |
//! | --- | --- | --- |
//! | control | orders and questions; each device has endpoint 0, for both directions | [`Interface::control_in`], [`Interface::control_out`] |
//! | interrupt | what happens now and then, as a key that is pressed | [`Interface::read`], [`Interface::write`] |
//! | bulk | as much as the bus can take | the same |
//! | isochronous | sound and pictures, in time or not at all | not here |
//!
//! C's half is in `helpers/usb.c`. A transfer there is an URB that somebody waits for.

use crate::{
    alive::{
        Alive,
        Stop, //
    },
    bindings,
    callers::Callers,
    calls::Calls,
    compat::CStrExt,
    errno::{
        self,
        error, //
    },
    file::is_name,
    platform,
    time::jiffies, //
};
use core::{
    ffi::CStr,
    marker::PhantomPinned,
    mem::zeroed,
    ops::Deref,
    ptr, //
};
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    sync::Arc,
    task::MAX_SCHEDULE_TIMEOUT,
    time::Delta, //
};

/// The bit of an address, and of a request's kind, that says that the device sends.
const DIR_IN: u8 = 0x80;

/// Which interfaces a driver is for.
#[repr(transparent)]
pub struct Id(bindings::lkm_usb_id);

impl Id {
    const NONE: bindings::lkm_usb_id = bindings::lkm_usb_id {
        vendor: 0,
        product: 0,
        class: 0,
        subclass: 0,
        protocol: 0,
        of_device: false,
        of_interface: false,
    };

    /// All interfaces of a product, by the numbers that its vendor has given it.
    pub const fn device(vendor: u16, product: u16) -> Self {
        Self(bindings::lkm_usb_id {
            vendor,
            product,
            of_device: true,
            ..Self::NONE
        })
    }

    /// All interfaces of this kind, whatever the device: by the numbers of the standard. If the
    /// whole device is of the class 0xff, its interfaces mean something to its vendor only, and
    /// are not meant.
    pub const fn interface(class: u8, subclass: u8, protocol: u8) -> Self {
        Self(bindings::lkm_usb_id {
            class,
            subclass,
            protocol,
            of_interface: true,
            ..Self::NONE
        })
    }
}

/// What an endpoint is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Orders and questions.
    Control,
    /// Sound and pictures. Nothing here uses such an endpoint.
    Isochronous,
    /// Many bytes.
    Bulk,
    /// What happens now and then.
    Interrupt,
}

impl Kind {
    const fn of(number: u8) -> Self {
        match number {
            0 => Self::Control,
            1 => Self::Isochronous,
            2 => Self::Bulk,
            _ => Self::Interrupt,
        }
    }
}

/// An endpoint of an interface. All methods can be called in any context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    address: u8,
    kind: Kind,
    size: u16,
}

impl Endpoint {
    /// The address. The highest bit is set if the device sends.
    pub fn address(self) -> u8 {
        self.address
    }

    /// What it is for.
    pub fn kind(self) -> Kind {
        self.kind
    }

    /// Whether the device sends, and we read.
    pub fn is_in(self) -> bool {
        self.address & DIR_IN != 0
    }

    /// How many bytes go into a packet.
    pub fn packet_size(self) -> usize {
        self.size.into()
    }
}

/// What a control transfer asks, or orders: the fields of the setup packet, but for direction
/// and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who says what it means, and who it is for: one of each, such as
    /// `Request::CLASS | Request::TO_INTERFACE`. The bit for the direction does not matter.
    pub kind: u8,
    /// What it is.
    pub number: u8,
    /// An argument.
    pub value: u16,
    /// Another one. It is the number of the interface, or the address of the endpoint, that the
    /// request is for.
    pub index: u16,
}

impl Request {
    /// The meaning is that of the USB standard.
    pub const STANDARD: u8 = 0;
    /// The meaning is that of the standard for the interface's class.
    pub const CLASS: u8 = 0x20;
    /// The meaning is the vendor's.
    pub const VENDOR: u8 = 0x40;
    /// It is for the device.
    pub const TO_DEVICE: u8 = 0;
    /// It is for an interface.
    pub const TO_INTERFACE: u8 = 1;
    /// It is for an endpoint.
    pub const TO_ENDPOINT: u8 = 2;
}

/// An interface that a driver is or was bound to.
///
/// Whoever has it can transfer, on any thread, several at the same time. That ends when the
/// driver is disconnected, or its [`Registration`] dropped: transfers that run then, and those
/// that begin later, fail with `ENODEV`. What else is known of the interface stays.
///
/// # Errors of transfers
///
/// - `ENODEV`: the interface is not the driver's any more;
/// - `ETIMEDOUT`: the time is over. Some bytes may have been transferred; what the device has
///   sent is lost;
/// - `ERESTARTSYS`: a signal arrived (the system call returns `EINTR`, or begins again if the
///   signal's handler was installed with `SA_RESTART`). What the device has sent is lost. A
///   control transfer is only ended by a signal that ends the process;
/// - `EPIPE`: the device refuses. An endpoint that is not for control stays so;
/// - `EPROTO`, `EILSEQ`, `ETIME`: the device does not answer, or not in a way that can be
///   understood. So it is for a moment when it is pulled out;
/// - `EOVERFLOW`: the device has sent more than there is room for;
/// - `ENOMEM`: no memory, or that many bytes cannot be transferred at once: more than 4 MiB on
///   most machines;
/// - `EAGAIN`: the controller cannot get at more memory now;
/// - others of the controller, as `ENOSPC`: the bus has no time left for the endpoint.
///
/// # Context
///
/// Transfers may sleep, and never wait for memory that a disk is to give back. All else can be
/// called in any context.
///
/// # Unloading
///
/// *We wait*: C calls a function of the module when a transfer is over. A transfer returns when
/// that has returned, and the driver is disconnected when all transfers have. Otherwise C has
/// nothing of this value, wherever it is kept.
///
/// # Invariants
///
/// `raw` was given to a driver's `probe`, and belongs to this value. While calls can begin, and
/// while one runs, the driver is bound to the interface, or being bound or disconnected.
pub struct Interface {
    raw: *mut bindings::lkm_usb,
    calls: Calls,
    about: bindings::lkm_usb_about,
}

// SAFETY: C's half can be used, and freed, by any thread.
unsafe impl Send for Interface {}

// SAFETY: C has a lock for what changes in its half, and `calls` is atomic.
unsafe impl Sync for Interface {}

impl Interface {
    /// # Safety
    ///
    /// `raw` was given to the `probe` that runs, and to nobody else.
    unsafe fn new(raw: *mut bindings::lkm_usb) -> Result<Arc<Self>> {
        // INVARIANT: By this function's contract. The driver is being bound.
        let mut interface = Self {
            raw,
            calls: Calls::opened(),
            // SAFETY: It consists of numbers.
            about: unsafe { zeroed() },
        };
        // SAFETY: By the type invariants.
        unsafe { bindings::lkm_usb_describe(raw, &mut interface.about) };
        Ok(Arc::new(interface, GFP_KERNEL)?)
    }

    /// Ends transfers, and waits until none runs. May sleep.
    ///
    /// # Safety
    ///
    /// This is called once, by a `probe` that fails, or when the driver is being disconnected.
    unsafe fn close(&self) {
        // SAFETY: By this function's contract.
        unsafe { bindings::lkm_usb_close(self.raw) };
        // Unload rule, we wait: those that run have come to an end, or are about to. What was
        // to be called for them has returned when they return.
        self.calls.close();
    }

    /// What the kernel calls it, as in `/sys/bus/usb/devices`: `1-1:1.0` is on bus 1, at its
    /// port 1, and there in configuration 1 the interface 0.
    pub fn name(&self) -> &str {
        let name = CStr::from_bytes_until_nul(&self.about.name);
        name.ok().and_then(|it| it.to_str().ok()).unwrap_or("")
    }

    /// The vendor's number.
    pub fn vendor(&self) -> u16 {
        self.about.vendor
    }

    /// The vendor's number of the product.
    pub fn product(&self) -> u16 {
        self.about.product
    }

    /// The number that it has among the device's interfaces.
    pub fn number(&self) -> u8 {
        self.about.number
    }

    /// Class, subclass and protocol.
    pub fn class(&self) -> [u8; 3] {
        [self.about.class, self.about.subclass, self.about.protocol]
    }

    /// The endpoints, but for the one that each device has.
    pub fn endpoints(&self) -> impl Iterator<Item = Endpoint> + '_ {
        let endpoints = self.about.endpoints.iter().map(|it| Endpoint {
            address: it.address,
            kind: Kind::of(it.kind),
            size: it.size,
        });
        endpoints.take(self.about.count.into())
    }

    /// Reads what the device sends from an endpoint of the interface, and returns the number of
    /// bytes. Waits until the device has filled `bytes`, or has sent a packet that is not full,
    /// but no longer than `timeout` if there is one.
    ///
    /// The last packet must have room, too: `bytes` best has whole packets.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the interface has no such endpoint, or it is not for reading, or it is
    ///   isochronous, or `bytes` is empty;
    /// - [those of transfers](Self#errors-of-transfers).
    pub fn read(
        &self,
        endpoint: Endpoint,
        bytes: &mut [u8],
        timeout: Option<Delta>,
    ) -> Result<usize> {
        if !endpoint.is_in() || bytes.is_empty() {
            return Err(EINVAL);
        }
        // SAFETY: C may write to the bytes.
        unsafe { self.transfer(endpoint, bytes.as_mut_ptr(), bytes.len(), timeout) }
    }

    /// Sends all of `bytes` to an endpoint of the interface. Waits until the device has taken
    /// them, but no longer than `timeout` if there is one.
    ///
    /// Many a device knows the end of a message by a packet that is not full. If the last one is,
    /// an empty one is sent only by another call, without bytes.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the interface has no such endpoint, or it is not for writing, or it is
    ///   isochronous;
    /// - [those of transfers](Self#errors-of-transfers).
    pub fn write(&self, endpoint: Endpoint, bytes: &[u8], timeout: Option<Delta>) -> Result {
        if endpoint.is_in() {
            return Err(EINVAL);
        }
        let from = bytes.as_ptr().cast_mut();
        // SAFETY: C only reads the bytes, as that is the endpoint's direction.
        unsafe { self.transfer(endpoint, from, bytes.len(), timeout) }.map(drop)
    }

    /// Asks the device for bytes, and returns their number: it may send less than there is room
    /// for. Waits no longer than `timeout`. The standard lets a device take 5 s.
    ///
    /// A request can change what others rely on, who have the device's other interfaces.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: `bytes` is empty, or has more than 65535 bytes;
    /// - [those of transfers](Self#errors-of-transfers).
    pub fn control_in(&self, request: Request, bytes: &mut [u8], timeout: Delta) -> Result<usize> {
        if bytes.is_empty() {
            return Err(EINVAL);
        }
        let kind = request.kind | DIR_IN;
        // SAFETY: C may write to the bytes.
        unsafe { self.control(kind, request, bytes.as_mut_ptr(), bytes.len(), timeout) }
    }

    /// Gives the device an order, with `bytes` that belong to it or none. Waits no longer than
    /// `timeout`. The standard lets a device take 5 s.
    ///
    /// A request can change what others rely on, who have the device's other interfaces.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: there are more than 65535 bytes;
    /// - [those of transfers](Self#errors-of-transfers).
    pub fn control_out(&self, request: Request, bytes: &[u8], timeout: Delta) -> Result {
        let kind = request.kind & !DIR_IN;
        let from = bytes.as_ptr().cast_mut();
        // SAFETY: C only reads the bytes, as that is the request's direction.
        unsafe { self.control(kind, request, from, bytes.len(), timeout) }.map(drop)
    }

    /// # Safety
    ///
    /// C may read `len` bytes at `at`, and write to them if the endpoint is one to read from.
    unsafe fn transfer(
        &self,
        endpoint: Endpoint,
        at: *mut u8,
        len: usize,
        timeout: Option<Delta>,
    ) -> Result<usize> {
        let timeout = timeout.map_or(MAX_SCHEDULE_TIMEOUT, jiffies);
        // SAFETY: By the type invariants, and this function's contract: C looks for an endpoint
        // with that address, and so with that direction. This may sleep.
        self.call(|raw| unsafe {
            bindings::lkm_usb_transfer(raw, endpoint.address, at.cast(), len, timeout)
        })
    }

    /// # Safety
    ///
    /// C may read `len` bytes at `at`, and write to them if `kind` says that the device sends.
    /// Then there is at least one.
    unsafe fn control(
        &self,
        kind: u8,
        request: Request,
        at: *mut u8,
        len: usize,
        timeout: Delta,
    ) -> Result<usize> {
        let len = u16::try_from(len).map_err(|_| EINVAL)?;
        let Request {
            number,
            value,
            index,
            ..
        } = request;
        let timeout = jiffies(timeout);
        // SAFETY: By the type invariants, and this function's contract. This may sleep.
        self.call(|raw| unsafe {
            bindings::lkm_usb_control(raw, kind, number, value, index, at.cast(), len, timeout)
        })
    }

    /// Calls a function of C's half, which the driver's being disconnected waits for.
    fn call(&self, transfer: impl FnOnce(*mut bindings::lkm_usb) -> c_int) -> Result<usize> {
        let _running = self.calls.begin().ok_or(ENODEV)?;
        let result = transfer(self.raw);
        to_result(result)?;
        // CAST: It is not negative.
        Ok(result as usize)
    }
}

impl Drop for Interface {
    fn drop(&mut self) {
        // SAFETY: By the type invariants. It was closed, or `probe` runs.
        unsafe { bindings::lkm_usb_free(self.raw) };
    }
}

/// A driver for interfaces of USB devices. It can be bound to many at the same time.
///
/// # Context
///
/// All methods run in process context and may sleep. So does the drop of a
/// [`Device`](Self::Device). They can run at the same time, for different interfaces, and before
/// [`Registration::new`] has returned. While one runs, others wait who want something of the
/// device: even he who is to say that it was unplugged.
///
/// The kernel has locks of the device then that adding and removing a driver takes, also
/// another one. So [`Registration::new`] fails with `EDEADLK`, and a registration that is
/// dropped here goes a little later. That holds within one module. A method must not have
/// another module make or drop a driver, or wait for a thread that does.
///
/// When the machine goes to sleep, the driver is disconnected from all interfaces, and asked again
/// when it was woken. Processes are stopped meanwhile: a method must not wait for one.
pub trait Driver: Send + Sync + 'static {
    /// What the driver has of an interface as long as it is bound to it. It is dropped after
    /// [`disconnect`](Self::disconnect), also when user space unbinds the driver, or has the
    /// system suspended, or the module is unloaded.
    type Device: Send + Sync + 'static;

    /// Called for an interface that is there, or that has come. From here on it can be used. It
    /// can be cloned, and kept for as long as anybody likes.
    ///
    /// It best waits for no transfer without a limit. Who plugs in the device, and who is just
    /// making the driver, waits for this: until the device answers, the registration is dropped,
    /// or a signal comes to the one who waits.
    ///
    /// # Errors
    ///
    /// Any: then the driver is not bound to the interface, and others are asked whether they want
    /// it. From then on transfers fail, as when the driver is disconnected. A process that writes
    /// to the driver's file `bind` gets the error; otherwise only the log tells. For `ENODEV` and
    /// `ENXIO`, which say that it is not for this driver, the log does not. `EPROBE_DEFER` says
    /// that something else must come first: this is called again later, for another `interface`.
    /// For other numbers from 512 on see [`Operations`](crate::file::Operations).
    fn probe(&self, interface: &Arc<Interface>) -> impl PinInit<Self::Device, Error>;

    /// Called when the driver is no longer bound to the interface. That cannot be used any more,
    /// even if it is still there: nothing is being transferred.
    fn disconnect(&self, _device: &Self::Device) {}
}

/// A driver, for as long as this value lives. It dereferences to what it was made of.
///
/// It is in `/sys/bus/usb/drivers`, where user space can bind it to interfaces, and take it off
/// them: by `bind`, `unbind` and `new_id`.
///
/// # Unloading
///
/// *Unregister waits*: dropping this disconnects the driver from all interfaces, and waits until
/// no method runs and none can begin. Before that it ends all transfers, also those that a
/// [`probe`](Driver::probe) waits for. *We wait* for those who transfer: see [`Interface`].
/// What the driver is bound to does not keep the module. Devices that it makes for user space do,
/// while they are open.
///
/// A method may drop drivers, which then go a little later. So does one that a method of a driver
/// on another bus drops, such as [`platform`]; and one that is dropped while more than 64 tasks are
/// in methods, and nobody knows who.
///
/// # Examples
///
/// ```
/// # use kernel::{prelude::*, sync::Arc, time::Delta};
/// use lkm::usb::{self, Driver, Id, Interface, Kind, Request};
///
/// const GET_DESCRIPTOR: u8 = 6;
/// const DEVICE: u16 = 1;
///
/// /// What there is of a mouse.
/// struct Mouse(Arc<Interface>);
///
/// impl Mouse {
///     fn new(interface: &Arc<Interface>) -> Result<Self> {
///         let request = Request {
///             kind: Request::STANDARD | Request::TO_DEVICE,
///             number: GET_DESCRIPTOR,
///             value: DEVICE << 8,
///             index: 0,
///         };
///         let mut descriptor = [0; 18];
///         interface.control_in(request, &mut descriptor, Delta::from_secs(5))?;
///         pr_info!("{} is USB {}\n", interface.name(), descriptor[3]);
///         Ok(Self(interface.clone()))
///     }
///
///     /// Waits until it has moved.
///     fn wait(&self) -> Result {
///         let mut endpoints = self.0.endpoints();
///         let moves = endpoints.find(|it| it.kind() == Kind::Interrupt && it.is_in());
///         self.0.read(moves.ok_or(ENODEV)?, &mut [0; 8], None).map(drop)
///     }
/// }
///
/// struct Mice;
///
/// impl Driver for Mice {
///     type Device = Mouse;
///
///     fn probe(&self, interface: &Arc<Interface>) -> impl PinInit<Mouse, Error> {
///         Mouse::new(interface)
///     }
/// }
///
/// let ids = [Id::interface(3, 1, 2)];
/// let mice = usb::Registration::new(c"mouse", &ids, Mice)?;
/// # drop(mice);
/// # Ok::<(), Error>(())
/// ```
pub struct Registration<T: Driver>(Alive<Inner<T>>);

/// # Invariants
///
/// `raw` is null, or `lkm_usb_driver_add()` has returned it for `driver`, with the functions for
/// `T`.
#[pin_data]
struct Inner<T> {
    raw: *mut bindings::lkm_usb_driver,
    #[pin]
    driver: T,
    // C has a pointer to the value.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Inner<T> where T);

// SAFETY: Any thread that may sleep can remove a driver, and `T` is `Send`.
unsafe impl<T: Driver> Send for Inner<T> {}

// SAFETY: A shared reference gives access to `driver` only, and `T` is `Sync`.
unsafe impl<T: Driver> Sync for Inner<T> {}

// SAFETY: When `stop` has returned, C has unregistered the driver, and disconnected it from all
// interfaces. It calls none of its functions then, and has no pointer to the value.
unsafe impl<T: Driver> Stop for Inner<T> {
    const NAME: &'static CStr = c"USB drivers";

    fn stop(&self) {
        if !self.raw.is_null() {
            // SAFETY: By the type invariants. This may sleep, and is called once.
            unsafe { bindings::lkm_usb_driver_remove(self.raw) };
        }
    }

    fn is_within(&self) -> bool {
        is_within()
    }
}

/// Whether the caller may have the lock of a USB device, which adding and removing a driver takes:
/// in a method, and in that of a driver on another bus. The kernel can have such a bus behind a USB
/// device, and calls that method when the device goes.
fn is_within() -> bool {
    #[cfg(CONFIG_I2C)]
    if Callers::I2C.may_have_current() {
        return true;
    }
    Callers::USB.may_have_current() || platform::is_within()
}

impl<T: Driver> Registration<T> {
    /// Registers a driver of that name, for interfaces that one of `ids` means. It is bound to
    /// those that are there, if nobody else is, before this returns. While the machine goes to
    /// sleep, or when user space has turned off the bus's `drivers_autoprobe`, that happens later,
    /// or not at all. An error of [`Driver::probe`] is none of this. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the name is no file name;
    /// - `EBUSY`: there is a USB driver of that name; the kernel also prints two lines;
    /// - `EEXIST`: so it is, but that one just comes or goes;
    /// - `ENODEV`: the kernel was told to do without USB;
    /// - `EDEADLK`: the caller is a method of a driver, on whatever bus, or more than 64 tasks are
    ///   in such methods, and nobody knows who;
    /// - `ENOMEM`;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - the error of `driver`.
    pub fn new<E>(name: &'static CStr, ids: &[Id], driver: impl PinInit<T, E>) -> Result<Self>
    where
        Error: From<E>,
    {
        if !is_name(name) {
            return Err(EINVAL);
        }
        if is_within() {
            return Err(error(bindings::EDEADLK));
        }
        let inner = try_pin_init!(Inner {
            raw: ptr::null_mut(),
            driver <- driver,
            _pin: PhantomPinned,
        }? Error);
        let inner = Alive::new(inner, |inner| {
            // SAFETY: Nothing is moved.
            let inner = unsafe { inner.get_unchecked_mut() };
            // SAFETY: The functions are for a pointer to the driver, which stays in place until
            // it is removed. An `Id` is laid out as what it has in it. C copies them, and the
            // name. This may sleep.
            // Unload rule, unregister waits: see `stop`.
            let raw = from_err_ptr(unsafe {
                bindings::lkm_usb_driver_add(
                    name.as_char_ptr(),
                    ids.as_ptr().cast(),
                    ids.len(),
                    Inner::<T>::OPS,
                    (&raw mut inner.driver).cast(),
                )
            })?;
            // INVARIANT: It was just added.
            inner.raw = raw;
            Ok(())
        })?;
        Ok(Self(inner))
    }
}

impl<T: Driver> Deref for Registration<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.driver
    }
}

/// What a driver has of an interface that it is bound to. C keeps it until `disconnect`.
#[pin_data]
struct Bound<T: Driver> {
    #[pin]
    device: T::Device,
    interface: Arc<Interface>,
}

impl<T: Driver> Bound<T> {
    /// # Safety
    ///
    /// As for [`Inner::probe`].
    unsafe fn new(driver: &T, raw: *mut bindings::lkm_usb) -> Result<Pin<KBox<Self>>> {
        // SAFETY: By this function's contract.
        let interface = unsafe { Interface::new(raw) }?;
        // What `probe` does must not be in vain for want of memory.
        let place = KBox::<Self>::new_uninit(GFP_KERNEL)?;
        let device = driver.probe(&interface);
        let kept = interface.clone();
        let bound = place.write_pin_init(try_pin_init!(Self {
            device <- device,
            interface: kept,
        }? Error));
        if bound.is_err() {
            // SAFETY: `probe` fails, and nobody else has closed it.
            unsafe { interface.close() };
        }
        bound
    }
}

impl<T: Driver> Inner<T> {
    const OPS: &'static bindings::lkm_usb_ops = &bindings::lkm_usb_ops {
        probe: Some(Self::probe),
        disconnect: Some(Self::disconnect),
    };

    /// # Safety
    ///
    /// `data` is the `T` of a driver that is not removed during the call. `raw` is new, and
    /// belongs to this. `bound` can be written to.
    unsafe extern "C" fn probe(
        data: *mut c_void,
        raw: *mut bindings::lkm_usb,
        bound: *mut *mut c_void,
    ) -> c_int {
        let _inside = Callers::USB.begin();
        // SAFETY: By this function's contract: removing the driver waits for this.
        match unsafe { Bound::new(&*data.cast::<T>(), raw) } {
            Ok(it) => {
                // SAFETY: Nothing is moved out of the box.
                let it = KBox::into_raw(unsafe { Pin::into_inner_unchecked(it) });
                // SAFETY: By this function's contract.
                unsafe { bound.write(it.cast()) };
                0
            }
            Err(error) => errno::to_prober(error),
        }
    }

    /// # Safety
    ///
    /// As for [`probe`](Self::probe), which has written `bound`. This is called once for it.
    unsafe extern "C" fn disconnect(data: *mut c_void, bound: *mut c_void) {
        let _inside = Callers::USB.begin();
        // SAFETY: By this function's contract: removing the driver waits for this.
        let driver = unsafe { &*data.cast::<T>() };
        // SAFETY: By this function's contract. It is not moved, only dropped.
        let bound = unsafe { KBox::from_raw(bound.cast::<Bound<T>>()) };
        // SAFETY: The driver is being disconnected. When `probe` had returned it, it was open.
        unsafe { bound.interface.close() };
        driver.disconnect(&bound.device);
    }
}
