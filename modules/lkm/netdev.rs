// SPDX-License-Identifier: GPL-2.0-only

//! Net devices: what sends Ethernet frames, and receives them.
//!
//! C headers: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h),
//! [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)
//!
//! Reference: <https://docs.kernel.org/networking/netdevices.html>,
//! <https://docs.kernel.org/networking/napi.html>
//!
//! The `kernel` crate has no net devices: its `net` module has only drivers for PHYs.
//!
//! # The way of a frame
//!
//! What the kernel sends comes to [`Driver::transmit`], one frame at a time. It must not sleep,
//! so a driver for hardware gives the frame to that, or puts it into a queue. What comes in is
//! not passed on at once: an interrupt calls [`Port::schedule`], and then the kernel calls
//! [`Driver::poll`] as often as there are frames, with room for some of them each time. That is
//! C's NAPI. Under load there need not be an interrupt for each frame.
//!
//! C's half is in `helpers/netdev.c`. It counts the frames.

use crate::{
    alive::{
        Alive,
        Stop, //
    },
    bindings,
    callers::{
        in_netdev,
        is_in_netdev, //
    },
    calls::Calls,
    compat::{
        as_kernel_cstr,
        CStrExt, //
    },
    errno::{
        error,
        to_netlink, //
    },
};
use core::{
    ffi::CStr,
    marker::{
        PhantomData,
        PhantomPinned, //
    },
    mem::{
        ManuallyDrop,
        MaybeUninit, //
    },
    ops::Deref,
    ptr::{
        self,
        NonNull, //
    },
};
use kernel::{
    error::to_result,
    fmt,
    prelude::*, //
};

/// The bytes of an Ethernet header: to whom, from whom, and what it is.
const HEADER: usize = 14;

/// The longest frame that there can be.
const LONGEST: usize = HEADER + 0xffff;

/// What a device does.
///
/// Where the kernel calls [`open`](Self::open) and [`stop`](Self::stop), it has a lock that
/// whoever changes anything of the network takes: a device, an address, a route. So does
/// [`Netdev::new`], which therefore fails with `EDEADLK` there. The kernel also takes it where it
/// has locks of other kinds, so nothing that needs one of those can be made there either, with
/// the same error: a [miscellaneous](crate::miscdevice) or [input](crate::input) device, a family
/// of [generic netlink](crate::genl), a subsystem in [configfs](crate::configfs), a driver or an
/// adapter of [I2C](crate::i2c), what is of the [platform](crate::platform), and an
/// [overlay](crate::devicetree). What is dropped there of all these, and of
/// [GPIO controllers](crate::gpio), goes a little later.
///
/// That holds within one module: these methods must not have another one make or drop such a
/// thing, or wait for a thread that does. They must not do what may load a module, either, such
/// as making the first socket of IPv6.
///
/// # Context
///
/// [`transmit`](Self::transmit) and [`poll`](Self::poll) run with softirqs off: in a softirq, or
/// in a task that sends something just now. They must not sleep. Where what is dropped would
/// have to be waited for, somebody else does that. A lock that they take, and one who may sleep
/// takes, too, must turn softirqs off: an [`IrqSpinLock`](crate::sync::IrqSpinLock) does.
pub trait Driver: Send + Sync + Sized + 'static {
    /// Whether addresses of others are asked for, by ARP. If not, the kernel sends to the
    /// device's own address.
    const ARP: bool = true;

    /// How long the content of a frame can be, in bytes: from 68 to 65,535. User space sets how
    /// long it is to be. At first that is 1500, or this if it is less.
    const MAX_MTU: u32 = 1500;

    /// Called when the device is brought up: before it sends. That may be before
    /// [`Netdev::new`] has returned. Process context, may sleep.
    ///
    /// # Errors
    ///
    /// The device stays down, and who has asked for it gets the error; `EAGAIN` for `EINTR`.
    fn open(&self, _port: &Port) -> Result {
        Ok(())
    }

    /// Called when it is brought down, or goes while it is up: when it sends no more. What the
    /// driver still has of frames should go here. Process context, may sleep.
    fn stop(&self, _port: &Port) {}

    /// Sends a frame. It never runs twice at the same time, and only between
    /// [`open`](Self::open) and [`stop`](Self::stop).
    ///
    /// A driver that has no more room calls [`Port::stop_queue`], and [`Port::schedule`] after
    /// that: a poll comes then that can wake the queue.
    ///
    /// # Errors
    ///
    /// The frame counts as dropped. Nobody gets the error.
    fn transmit(&self, port: &Port, frame: Frame) -> Result;

    /// Passes on what has come in. Called some time after [`Port::schedule`], and again if the
    /// room in `receiver` was used up. It is also called for nothing, as often as user space
    /// likes. All that is only between [`open`](Self::open) and [`stop`](Self::stop). It never
    /// runs twice at the same time, but does so at the same time as
    /// [`transmit`](Self::transmit).
    ///
    /// The kernel gets the frames when this has returned. So a lock that is taken here is not
    /// held when the kernel answers a frame, and calls [`transmit`](Self::transmit).
    fn poll(&self, _port: &Port, _receiver: &mut Receiver<'_>) {}
}

/// A frame, with its Ethernet header: it has 14 bytes at least.
///
/// It belongs to no device. It can be kept, in a bounded number: who sends does not wait until
/// it is gone. Dropping it frees it. All can be done in any context except NMI.
///
/// # Invariants
///
/// It is a frame as `helpers/netdev.c` has it, and nobody else has it.
pub struct Frame(NonNull<bindings::lkm_frame>);

// SAFETY: C frees a frame on any CPU.
unsafe impl Send for Frame {}

// SAFETY: What can be done with a reference only reads what does not change, and copies.
unsafe impl Sync for Frame {}

impl Frame {
    /// Makes a frame with these bytes.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: they are less than 14, or more than 65,549;
    /// - `ENOMEM`.
    pub fn new(bytes: &[u8]) -> Result<Self> {
        if !(HEADER..=LONGEST).contains(&bytes.len()) {
            return Err(EINVAL);
        }
        // SAFETY: The bytes can be read. They are a header at least.
        let raw = unsafe { bindings::lkm_frame_new(bytes.as_ptr().cast(), bytes.len()) };
        // INVARIANT: It was just made.
        Ok(Self(NonNull::new(raw).ok_or(ENOMEM)?))
    }

    /// How many bytes it has, with its header.
    pub fn size(&self) -> usize {
        // SAFETY: By the type invariants.
        unsafe { bindings::lkm_frame_size(self.0.as_ptr()) as usize }
    }

    /// Fills `into` with the bytes from `at` on. They can be in several places, and others may
    /// write to them at the same time: so they are copied.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: there are not so many.
    pub fn copy(&self, at: usize, into: &mut [u8]) -> Result {
        let (len, into) = (into.len(), into.as_mut_ptr().cast());
        // SAFETY: By the type invariants. So many bytes can be written to.
        match unsafe { bindings::lkm_frame_copy(self.0.as_ptr(), at, into, len) } {
            true => Ok(()),
            false => Err(EFAULT),
        }
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        // SAFETY: By the type invariants. It is not used any more.
        unsafe { bindings::lkm_frame_free(self.0.as_ptr()) };
    }
}

/// Where [`Driver::poll`] puts the frames that have come in.
///
/// It cannot be kept, or sent to another thread. This does not compile:
///
/// ```compile_fail,E0277
/// use kernel::prelude::*;
/// use lkm::{kthread::KThread, netdev::Receiver};
///
/// fn give_away(receiver: Receiver<'static>) -> Result<KThread> {
///     KThread::spawn(c"example", move |_| {
///         drop(receiver);
///         Ok(())
///     })
/// }
/// ```
///
/// # Invariants
///
/// `raw` is that of a poll that runs, in this thread.
pub struct Receiver<'a> {
    raw: *mut bindings::lkm_rx,
    _poll: PhantomData<&'a mut ()>,
}

impl Receiver<'_> {
    /// How many frames it takes.
    pub fn room(&self) -> usize {
        // SAFETY: By the type invariants.
        unsafe { bindings::lkm_rx_room(self.raw) as usize }
    }

    /// The device has received a frame, and counts it. The kernel gets it when
    /// [`Driver::poll`] has returned.
    ///
    /// # Errors
    ///
    /// There is no room: here is the frame. The next poll has some.
    pub fn receive(&mut self, frame: Frame) -> Result<(), Frame> {
        let frame = ManuallyDrop::new(frame);
        // SAFETY: By the type invariants. The frame is C's then, if this is true.
        match unsafe { bindings::lkm_rx_receive(self.raw, frame.0.as_ptr()) } {
            true => Ok(()),
            false => Err(ManuallyDrop::into_inner(frame)),
        }
    }
}

/// What a device has sent and received so far. Bytes are those of frames with their headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Frames that [`Receiver::receive`] took.
    pub rx_packets: u64,
    /// Their bytes.
    pub rx_bytes: u64,
    /// Frames that the kernel has received, and that nobody wanted.
    pub rx_dropped: u64,
    /// Frames that [`Driver::transmit`] took.
    pub tx_packets: u64,
    /// Their bytes.
    pub tx_bytes: u64,
    /// Frames that it did not take, or that were to be sent when the device was down.
    pub tx_dropped: u64,
}

/// The name of a device, as it was at some time: user space may change it.
#[derive(Clone, Copy)]
pub struct Name([u8; LONGEST_NAME + 1]);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = CStr::from_bytes_until_nul(&self.0).map_err(|_| fmt::Error)?;
        as_kernel_cstr(name).fmt(f)
    }
}

/// The kernel's side of a device: see [`Netdev`], which dereferences to it. The methods can be
/// called in any context except NMI, and on all CPUs at the same time.
///
/// # Invariants
///
/// When there is a reference to it, `raw` is a device that is not freed as long as there is.
/// While calls can begin, and while one runs, it is registered.
pub struct Port {
    raw: *mut bindings::lkm_netdev,
    calls: Calls,
}

// SAFETY: C's functions for it can be called on any CPU.
unsafe impl Send for Port {}

// SAFETY: As above. The pointer does not change while there are others who use it.
unsafe impl Sync for Port {}

impl Port {
    /// Has [`Driver::poll`] called soon. If it is running, it is called again.
    ///
    /// While the device is down, and in [`Driver::open`], this does nothing.
    pub fn schedule(&self) {
        // SAFETY: By the type invariants.
        // Unload rule, unregister waits: `stop` returns when no poll runs, and C begins none
        // then.
        unsafe { bindings::lkm_netdev_schedule(self.raw) };
    }

    /// [`Driver::transmit`] is called no more, once it has returned: the kernel keeps what is to
    /// be sent. [`wake_queue`](Self::wake_queue) ends that, and so does bringing the device up.
    /// If user space has taken the kernel's queue away (`noqueue`), the kernel drops what is to
    /// be sent meanwhile, and says so in the log.
    pub fn stop_queue(&self) {
        // SAFETY: By the type invariants.
        unsafe { bindings::lkm_netdev_stop_queue(self.raw) };
    }

    /// [`Driver::transmit`] can be called again.
    pub fn wake_queue(&self) {
        // SAFETY: By the type invariants.
        unsafe { bindings::lkm_netdev_wake_queue(self.raw) };
    }

    /// The device's name. While it is being changed, this can be a part of the one and a part of
    /// the other.
    pub fn name(&self) -> Name {
        let mut name = [0; LONGEST_NAME + 1];
        // SAFETY: By the type invariants. There is room for a name and its NUL.
        unsafe { bindings::lkm_netdev_name(self.raw, name.as_mut_ptr()) };
        Name(name)
    }

    /// What the device has sent and received.
    ///
    /// # Errors
    ///
    /// - `ENODEV`: the device was unregistered, or [`Netdev::new`] has not returned yet.
    pub fn stats(&self) -> Result<Stats> {
        // C frees the counters first.
        let _running = self.calls.begin().ok_or(ENODEV)?;
        let mut stats = MaybeUninit::<bindings::lkm_netdev_stats>::uninit();
        // SAFETY: The device is registered. All of it is written.
        let stats = unsafe {
            bindings::lkm_netdev_get_stats(self.raw, stats.as_mut_ptr());
            stats.assume_init()
        };
        Ok(Stats {
            rx_packets: stats.rx_packets,
            rx_bytes: stats.rx_bytes,
            rx_dropped: stats.rx_dropped,
            tx_packets: stats.tx_packets,
            tx_bytes: stats.tx_bytes,
            tx_dropped: stats.tx_dropped,
        })
    }
}

/// A net device. It dereferences to its [`Port`].
///
/// User space finds it in `/sys/class/net`, gives it addresses, and brings it up and down. It
/// can rename it, and move it to another network namespace. It cannot delete it.
///
/// # Unloading
///
/// *Unregister waits*: dropping this brings the device down, takes its addresses and routes
/// away, and waits until no function of it runs, and nobody has a reference to it. Nothing of
/// that keeps the module: `rmmod` works while the device is up and in use. Sockets that are
/// bound to it stay, and get errors. A process that wants to send by it, and waits until what
/// it has sent by other devices is gone, has a reference as long as that takes.
///
/// *We wait* before that for calls of [`Port::stats`].
///
/// A method may drop devices, which then go a little later. So does one that is dropped while
/// more than 64 tasks are in functions of the module that have a lock of C's, and nobody knows
/// who.
///
/// # Examples
///
/// A device that takes all frames, and never receives one:
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::netdev::{Driver, Frame, Netdev, Port};
///
/// struct Sink;
///
/// impl Driver for Sink {
///     fn transmit(&self, _port: &Port, _frame: Frame) -> Result {
///         Ok(())
///     }
/// }
///
/// let sink = Netdev::new(c"sink%d", Sink)?;
/// pr_info!("{} has sent {} frames\n", sink.name(), sink.stats()?.tx_packets);
/// # Ok::<(), Error>(())
/// ```
pub struct Netdev<T: Driver>(Alive<Inner<T>>);

/// # Invariants
///
/// `port.raw` is null, or `lkm_netdev_new` has returned it for this value and `Self::OPS`, and
/// it is not freed yet. It is registered when calls can begin.
#[pin_data]
struct Inner<T: Driver> {
    port: Port,
    #[pin]
    driver: T,
    // C has a pointer to this value.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Inner<T> where T: Driver);

// SAFETY: When `stop` has returned, C has unregistered the device. It waits for those who have
// a reference to it, and the others are done by then: no function of `OPS` is called any more.
// Until `give_back` frees it, a poll can be scheduled: that does nothing.
unsafe impl<T: Driver> Stop for Inner<T> {
    const NAME: &'static CStr = c"net devices";

    fn stop(&self) {
        if !self.port.calls.is_closed() {
            self.port.calls.close();
        }
        if !self.port.raw.is_null() {
            // SAFETY: By the type invariants. This may sleep, and is called once.
            unsafe { bindings::lkm_netdev_stop(self.port.raw) };
        }
    }

    /// What C has locked where it opens and stops a device is what unregistering one takes.
    fn is_within(&self) -> bool {
        is_in_netdev()
    }

    fn give_back(&self) {
        if !self.port.raw.is_null() {
            // SAFETY: By the type invariants. It was stopped, and nobody uses it any more.
            unsafe { bindings::lkm_netdev_free(self.port.raw) };
        }
    }
}

/// The longest name, in bytes.
const LONGEST_NAME: usize = 15;

impl<T: Driver> Netdev<T> {
    /// Makes a device, which is down, with an address by chance. A `%d` in the name stands for
    /// the lowest number that is free. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the name has no byte, or more than 15; it is `.` or `..`, or has a `/`, a
    ///   `:`, a blank or another `%` in it; or it is `all` or `default`, where a directory of
    ///   that name says what all devices do;
    /// - `EEXIST`: there is a device of that name;
    /// - `ENFILE`: there is no number left;
    /// - `EINTR`: the process was killed while this waited for its turn;
    /// - `EDEADLK`: the caller is [`Driver::open`] or [`Driver::stop`], or `mmap` or `fault` of a
    ///   file, or more than 64 tasks are in functions of this module of all such kinds, and
    ///   nobody knows who;
    /// - `ENOMEM`, `ENOBUFS`: there is no memory;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - the error of `driver`.
    pub fn new<E>(name: &CStr, driver: impl PinInit<T, E>) -> Result<Self>
    where
        Error: From<E>,
    {
        const {
            assert!(
                T::MAX_MTU >= 68 && T::MAX_MTU <= 0xffff,
                "the content of a frame has from 68 to 65,535 bytes"
            )
        };
        // C stops with a BUG if a name is too long.
        if !(1..=LONGEST_NAME).contains(&name.to_bytes().len()) {
            return Err(EINVAL);
        }
        if is_in_netdev() {
            return Err(error(bindings::EDEADLK));
        }
        let inner = try_pin_init!(Inner {
            port: Port {
                raw: ptr::null_mut(),
                calls: Calls::closed(),
            },
            driver <- driver,
            _pin: PhantomPinned,
        }? Error);
        let inner = Alive::new(inner, |inner| {
            // SAFETY: Nothing is moved.
            unsafe { inner.get_unchecked_mut() }.register(name)
        })?;
        Ok(Self(inner))
    }

    /// What the device does. Can be called in any context.
    pub fn driver(&self) -> &T {
        &self.0.driver
    }
}

impl<T: Driver> Deref for Netdev<T> {
    type Target = Port;

    fn deref(&self) -> &Port {
        &self.0.port
    }
}

impl<T: Driver> Inner<T> {
    const OPS: &'static bindings::lkm_netdev_ops = &bindings::lkm_netdev_ops {
        open: Some(Self::open),
        stop: Some(Self::stop),
        transmit: Some(Self::transmit),
        poll: Some(Self::poll),
    };

    /// Makes the device and registers it. After an error `give_back` frees what there is.
    fn register(&mut self, name: &CStr) -> Result {
        let this = ptr::from_mut(self);
        // SAFETY: The name is short enough, and copied. The functions are for a pointer to this
        // value, which stays in place until `stop` has returned. This may sleep.
        // Unload rule, unregister waits: see `stop`.
        let raw = unsafe {
            bindings::lkm_netdev_new(
                name.as_char_ptr(),
                T::ARP,
                T::MAX_MTU,
                Self::OPS,
                this.cast_const().cast(),
            )
        };
        if raw.is_null() {
            return Err(ENOMEM);
        }
        // INVARIANT: It was just made.
        // SAFETY: `this` is valid, and nobody else uses it yet.
        unsafe { (*this).port.raw = raw };
        // SAFETY: It is not registered yet. From now on others read this value.
        to_result(unsafe { bindings::lkm_netdev_register(raw) })?;
        // INVARIANT: It was just registered.
        // SAFETY: `this` is valid.
        unsafe { (*this).port.calls.open() };
        Ok(())
    }

    /// # Safety
    ///
    /// `data` is a `Self`, whose device is not stopped during the call. Called by C's half only,
    /// with the lock of the network's configuration held.
    unsafe extern "C" fn open(data: *const c_void) -> c_int {
        // SAFETY: By this function's contract.
        let it = unsafe { &*data.cast::<Self>() };
        let inside = in_netdev();
        let result = it.driver.open(&it.port);
        drop(inside);
        match result {
            Ok(()) => 0,
            Err(error) => to_netlink(error),
        }
    }

    /// # Safety
    ///
    /// As for `open`.
    unsafe extern "C" fn stop(data: *const c_void) {
        // SAFETY: By this function's contract.
        let it = unsafe { &*data.cast::<Self>() };
        let _inside = in_netdev();
        it.driver.stop(&it.port);
    }

    /// # Safety
    ///
    /// `data` is a `Self`, whose device is not stopped during the call. Nobody else has the
    /// frame.
    unsafe extern "C" fn transmit(data: *const c_void, frame: *mut bindings::lkm_frame) -> bool {
        // SAFETY: By this function's contract. A frame is not null.
        let (it, frame) = unsafe { (&*data.cast::<Self>(), NonNull::new_unchecked(frame)) };
        // INVARIANT: By this function's contract.
        it.driver.transmit(&it.port, Frame(frame)).is_ok()
    }

    /// # Safety
    ///
    /// `data` is a `Self`, whose device is not stopped during the call. `raw` is that of the
    /// poll that calls this.
    unsafe extern "C" fn poll(data: *const c_void, raw: *mut bindings::lkm_rx) {
        // SAFETY: By this function's contract.
        let it = unsafe { &*data.cast::<Self>() };
        // INVARIANT: The poll runs as long as this call.
        let mut receiver = Receiver {
            raw,
            _poll: PhantomData,
        };
        it.driver.poll(&it.port, &mut receiver);
    }
}
