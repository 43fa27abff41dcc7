// SPDX-License-Identifier: GPL-2.0-only

//! Modules that call each other.
//!
//! C header: [`include/linux/export.h`](srctree/include/linux/export.h)
//!
//! In C, a module exports a function with `EXPORT_SYMBOL_GPL()`, and another one is linked
//! to it when it is loaded. Both include a header, and nobody compares which. The `kernel`
//! crate's `#[export]` is for symbols of the kernel itself, which a C header declares.
//!
//! Here two modules share a source file with traits, each in an
//! [`interface!`](macro@crate::interface). One module [exports](macro@crate::export) an
//! object, and another one [imports](macro@crate::import) it. Through a method the other one
//! can hand over objects of its own, as a [`Remote`].
//!
//! # What can be passed
//!
//! Each module has code, statics and lists of this crate's of its own. So handles, such as
//! those of devices and threads, stay in the module that has made them. Methods take:
//!
//! - numbers, `bool`, `&str`, `&[u8]` and `&mut [u8]`;
//! - a [`Remote`], by value;
//! - references to some types of this crate that are laid out as C does it, such as an input
//!   device's [`Reporter`](crate::input::Reporter).
//!
//! They return a [`Result`] with a number, `bool`, `()` or a [`Remote`]. A reference is
//! good until the method returns: one with a lifetime of its own, such as `'static`, does
//! not compile, as it could be kept beyond the module that it points into. An interface cannot
//! take or return a [`Remote`] of itself, nor can two of each other: their descriptions would
//! have no end.
//!
//! # Modules that do not fit
//!
//! With an object goes a description of its interface: the names of its methods and all
//! types in them. Who imports it compares that with his own. He also compares a number that
//! was made from this crate's sources. If they differ, each call fails with `EINVAL`, and
//! the log says so. A method that takes a [`Remote`] describes that one's interface, too.
//!
//! What both sides do with the memory of a call is the compiler's choice. A module is
//! compiled by the compiler that has compiled the kernel, and with the same options. The
//! module loader refuses modules for another kernel.
//!
//! # Unloading
//!
//! - The module that imports a symbol has a reference to the one that exports it, as long
//!   as it is loaded: *owner held*, by the module loader. So `rmmod` of the other one is
//!   refused with `EWOULDBLOCK`.
//! - Dropping an [`Object`] or an [`Exported`] waits until none of its methods runs: *we
//!   wait*. From then on each call fails with `ENODEV`, whoever still has a [`Remote`].
//!   What a [`Remote`] points to is memory that belongs to no module.
//!
//! A method must not drop its own object, or wait for another thread that does: both would
//! wait for ever. Nor must a thread of one module wait in this way for one of another that
//! waits for it: that is found within a module only.

use crate::{
    alive::{
        Alive,
        Stop, //
    },
    bindings,
    calls::Calls,
    compat::CStrExt, //
};
use core::{
    cell::UnsafeCell,
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
    ptr, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Arc, //
    },
};

/// What the two sides must have in common beside an interface's own description: how a call
/// is made, and what the types that can be passed look like.
const SOURCES: u64 = digest(&[
    include_str!("interface.rs"),
    include_str!("calls.rs"),
    include_str!("input.rs"),
]);

/// A number that is another one for other texts: FNV-1a.
const fn digest(texts: &[&str]) -> u64 {
    let mut digest = 0xcbf2_9ce4_8422_2325_u64;
    let mut text = 0;
    while text < texts.len() {
        let bytes = texts[text].as_bytes();
        let mut byte = 0;
        while byte < bytes.len() {
            digest = (digest ^ bytes[byte] as u64).wrapping_mul(0x0100_0000_01b3);
            byte += 1;
        }
        text += 1;
    }
    digest
}

/// What a type or a method looks like: its name, and what it consists of.
#[doc(hidden)]
#[derive(PartialEq)]
pub struct Shape {
    pub name: &'static str,
    pub parts: &'static [&'static Shape],
}

/// A type that an argument of a method can have.
///
/// # Safety
///
/// A value made by one module can be used and dropped by another one that was built from
/// the same sources. `SHAPE` is that of no other type. `Short<'a>` is the type itself, with
/// `'a` for each lifetime in it.
#[doc(hidden)]
pub unsafe trait Crossing {
    const SHAPE: &'static Shape;
    type Short<'a>;
}

/// A type that a method can return in a [`Result`].
///
/// # Safety
///
/// There is no lifetime in it.
#[doc(hidden)]
pub unsafe trait Value: Crossing + 'static {}

/// What a method can return.
///
/// # Safety
///
/// As for [`Crossing`].
#[doc(hidden)]
pub unsafe trait Answer: 'static {
    const SHAPE: &'static Shape;

    /// The answer of a method that was not called.
    fn failed(error: Error) -> Self;
}

macro_rules! impl_values {
    ($($type:ty),* $(,)?) => {$(
        // SAFETY: It is plain data without lifetimes.
        unsafe impl Crossing for $type {
            const SHAPE: &'static Shape = &Shape {
                name: stringify!($type),
                parts: &[],
            };
            type Short<'a> = Self;
        }

        // SAFETY: As above.
        unsafe impl Value for $type {}
    )*};
}

impl_values!((), bool, i8, u8, i16, u16, i32, u32, i64, u64, isize, usize);

// SAFETY: It is an address and a length, and is not owned.
unsafe impl Crossing for &[u8] {
    const SHAPE: &'static Shape = &Shape {
        name: "&[u8]",
        parts: &[],
    };
    type Short<'a> = &'a [u8];
}

// SAFETY: As above.
unsafe impl Crossing for &mut [u8] {
    const SHAPE: &'static Shape = &Shape {
        name: "&mut [u8]",
        parts: &[],
    };
    type Short<'a> = &'a mut [u8];
}

// SAFETY: As above.
unsafe impl Crossing for &str {
    const SHAPE: &'static Shape = &Shape {
        name: "&str",
        parts: &[],
    };
    type Short<'a> = &'a str;
}

// SAFETY: It is a counted pointer to a `Hub`, which is dropped without code of the module
// that has made it. The shape has that of its interface.
unsafe impl<I: ?Sized + Interface> Crossing for Remote<I> {
    const SHAPE: &'static Shape = &Shape {
        name: "Remote",
        parts: &[I::SHAPE],
    };
    type Short<'a> = Self;
}

// SAFETY: There is no lifetime in it.
unsafe impl<I: ?Sized + Interface> Value for Remote<I> {}

// SAFETY: The `kernel` crate's `Error` is a number, and the same in all modules for one
// kernel.
unsafe impl<T: Value> Answer for Result<T> {
    const SHAPE: &'static Shape = &Shape {
        name: "Result",
        parts: &[T::SHAPE],
    };

    fn failed(error: Error) -> Self {
        Err(error)
    }
}

/// A function that calls a method: with the object, its arguments as a tuple, which it takes,
/// and the place for its answer.
#[doc(hidden)]
pub type Function = unsafe extern "C" fn(*const c_void, *mut c_void, *mut c_void);

/// A trait of which there can be objects in other modules, as `dyn Trait`.
///
/// # Safety
///
/// `SHAPE` describes all methods. `Functions` has the layout of an array of as many
/// [`Function`]s, in the same order.
#[doc(hidden)]
pub unsafe trait Interface: Send + Sync + 'static {
    type Functions: Sync + 'static;
    const SHAPE: &'static Shape;
}

/// A trait that `T` has.
///
/// # Safety
///
/// `FUNCTIONS` call the methods of a `T`.
#[doc(hidden)]
pub unsafe trait Of<T>: Interface {
    const FUNCTIONS: &'static Self::Functions;
}

/// An object as other modules call it.
///
/// # Invariants
///
/// While calls can begin, and while one runs, `object` points to an object, and
/// `functions` to what calls its methods.
#[repr(C)]
struct Hub {
    calls: Calls,
    object: UnsafeCell<*const c_void>,
    functions: UnsafeCell<*const c_void>,
}

// SAFETY: The pointers are to what is `Send` and `Sync`. They change only while no call runs
// and none can begin.
unsafe impl Send for Hub {}

// SAFETY: As above.
unsafe impl Sync for Hub {}

impl Hub {
    /// Calls the method `function` with `arguments`, or fails with `ENODEV`.
    ///
    /// # Safety
    ///
    /// The object's interface has the shape of `I`. `function` returns that of a method
    /// with arguments of these types, as a tuple, and with this answer.
    unsafe fn call<I, A, R>(&self, function: fn(&I::Functions) -> Function, arguments: A) -> R
    where
        I: ?Sized + Interface,
        R: Answer,
    {
        // Unload rule, we wait: who ends the object waits until this is dropped.
        let Some(_running) = self.calls.begin() else {
            return R::failed(ENODEV);
        };
        // SAFETY: By the type invariants, and nobody changes them while a call runs. By this
        // function's contract the functions are those of an `I`.
        let (object, functions) = unsafe {
            (
                *self.object.get(),
                &*(*self.functions.get()).cast::<I::Functions>(),
            )
        };
        // The function takes what is in it.
        let mut arguments = ManuallyDrop::new(arguments);
        let mut answer = MaybeUninit::<R>::uninit();
        // SAFETY: By this function's contract. The function has written the answer when it
        // returns.
        unsafe {
            function(functions)(
                object,
                (&raw mut arguments).cast(),
                answer.as_mut_ptr().cast(),
            );
            answer.assume_init()
        }
    }
}

/// An object of some module. It implements the trait `I`: its methods are called in that
/// module.
///
/// Calls can be made in any context that the method is for. When the object is gone, and the
/// module perhaps, too, they fail with `ENODEV`.
///
/// # Unloading
///
/// *We wait*: see [`Object`]. Nothing of a module is needed to clone or drop this.
#[repr(transparent)]
pub struct Remote<I: ?Sized + Interface>(Arc<Hub>, PhantomData<fn(&I)>);

impl<I: ?Sized + Interface> Remote<I> {
    /// Whether the object is gone, and calls fail. Can be called in any context.
    pub fn is_gone(&self) -> bool {
        self.0.calls.is_closed()
    }

    /// For [`interface!`](macro@crate::interface).
    ///
    /// # Safety
    ///
    /// `function` returns that of a method with arguments of these types, as a tuple, and
    /// with this answer.
    #[doc(hidden)]
    pub unsafe fn call_method<A, R: Answer>(
        &self,
        function: fn(&I::Functions) -> Function,
        arguments: A,
    ) -> R {
        // SAFETY: By this function's contract. The object has the interface `I`: it was made
        // so here, or went through a method with this interface in its shape.
        unsafe { self.0.call::<I, A, R>(function, arguments) }
    }
}

impl<I: ?Sized + Interface> Clone for Remote<I> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

/// An object of this module that other modules can call, by the trait `I`. It dereferences to
/// the `T`.
///
/// # Unloading
///
/// *We wait*: dropping it waits until no method is running that another module has called,
/// which may sleep. Later calls fail with `ENODEV`. So a method must not drop its own object.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::interface::{Object, Remote};
///
/// lkm::interface! {
///     /// Something that can be asked.
///     trait Oracle {
///         /// The answer to a `question`.
///         fn ask(&self, question: &str) -> Result<u32>;
///     }
/// }
///
/// struct DeepThought;
///
/// impl Oracle for DeepThought {
///     fn ask(&self, _question: &str) -> Result<u32> {
///         Ok(42)
///     }
/// }
///
/// let oracle = Object::<dyn Oracle, _>::new(DeepThought)?;
/// // In a module, this goes to another module.
/// let remote: Remote<dyn Oracle> = oracle.remote();
/// assert_eq!(remote.ask("the question"), Ok(42));
///
/// drop(oracle);
/// assert!(remote.is_gone());
/// assert_eq!(remote.ask("another one"), Err(ENODEV));
/// # Ok::<(), Error>(())
/// ```
pub struct Object<I: ?Sized + Interface, T: Send + Sync + 'static>(
    Alive<Offer<T>>,
    PhantomData<fn(&I)>,
);

#[pin_data]
struct Offer<T> {
    hub: Arc<Hub>,
    #[pin]
    value: T,
    // The hub has a pointer to `value`.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Offer<T> where T);

// SAFETY: When `stop` has returned, no method runs, and none can begin.
unsafe impl<T: Send + Sync + 'static> Stop for Offer<T> {
    const NAME: &'static CStr = c"objects for other modules";

    fn stop(&self) {
        self.hub.calls.close();
    }
}

impl<I, T> Object<I, T>
where
    I: ?Sized + Interface + Of<T>,
    T: Send + Sync + 'static,
{
    /// Makes an object of `value`. May sleep.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - the error of `value`.
    pub fn new<E>(value: impl PinInit<T, E>) -> Result<Self>
    where
        Error: From<E>,
    {
        let offer = try_pin_init!(&this in Offer {
            value <- value,
            hub: {
                // SAFETY: `this` is valid, and the field is initialised.
                let value = unsafe { &raw const (*this.as_ptr()).value };
                // INVARIANT: The value does not move. It is dropped after `stop`, which
                // waits for calls.
                let hub = Hub {
                    calls: Calls::opened(),
                    object: UnsafeCell::new(value.cast()),
                    functions: UnsafeCell::new(ptr::from_ref(I::FUNCTIONS).cast()),
                };
                Arc::new(hub, GFP_KERNEL)?
            },
            _pin: PhantomPinned,
        }? Error);
        // Unload rule, we wait: see `stop`.
        Ok(Self(Alive::new(offer, |_| Ok(()))?, PhantomData))
    }
}

impl<I: ?Sized + Interface, T: Send + Sync + 'static> Object<I, T> {
    /// The object for other modules. Can be called in any context.
    pub fn remote(&self) -> Remote<I> {
        Remote(self.0.hub.clone(), PhantomData)
    }
}

impl<I: ?Sized + Interface, T: Send + Sync + 'static> Deref for Object<I, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

/// A symbol that other modules can [import](macro@crate::import), and that one object at a time
/// is behind. [`export!`](macro@crate::export) declares it.
///
/// # Invariants
///
/// `hub` is the publisher's while `taken` is not 0.
#[repr(C)]
pub struct Export<I: ?Sized + Interface> {
    // First, whatever else changes: another module compares it before it uses the rest.
    sources: u64,
    shape: &'static Shape,
    taken: Atomic<i32>,
    hub: Hub,
    _interface: PhantomData<fn(&I)>,
}

impl<I: ?Sized + Interface> Export<I> {
    /// For [`export!`](macro@crate::export).
    #[doc(hidden)]
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self {
            sources: SOURCES,
            shape: I::SHAPE,
            taken: Atomic::new(0),
            hub: Hub {
                calls: Calls::closed(),
                object: UnsafeCell::new(ptr::null()),
                functions: UnsafeCell::new(ptr::null()),
            },
            _interface: PhantomData,
        }
    }

    /// Puts an object behind the symbol: until the result is dropped, modules that import the
    /// symbol call `value`. Without an object their calls fail with `ENODEV`.
    ///
    /// A module that imports the symbol is loaded when this one's init has succeeded. So
    /// publish during init. May sleep.
    ///
    /// # Errors
    ///
    /// - `EBUSY`: there is an object already;
    /// - `ENOMEM`;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - the error of `value`.
    pub fn publish<T, E>(&'static self, value: impl PinInit<T, E>) -> Result<Exported<I, T>>
    where
        I: Of<T>,
        T: Send + Sync + 'static,
        Error: From<E>,
    {
        let publication = try_pin_init!(Publication {
            export: self,
            published: false,
            value <- value,
            _pin: PhantomPinned,
        }? Error);
        let publication = Alive::new(publication, |publication| {
            // SAFETY: Nothing is moved.
            let this = unsafe { publication.get_unchecked_mut() };
            if self.taken.xchg(1, Acquire) != 0 {
                return Err(EBUSY);
            }
            // SAFETY: By the type invariants the hub is ours. No call can begin.
            unsafe {
                *self.hub.object.get() = (&raw const this.value).cast();
                *self.hub.functions.get() = ptr::from_ref(I::FUNCTIONS).cast();
            }
            this.published = true;
            // INVARIANT: The value does not move. It is dropped after `stop`, which waits
            // for calls.
            // Unload rule, we wait: see `stop`. Owner held, too: who imports the symbol has
            // a reference to this module.
            self.hub.calls.open();
            Ok(())
        })?;
        Ok(Exported(publication))
    }
}

/// An object behind an [`Export`], for as long as this value lives. It dereferences to the `T`.
///
/// # Unloading
///
/// *Owner held*, by the module loader: a module that imports the symbol keeps this one. So
/// nobody calls the object any more when this module is unloaded. If this value is dropped
/// earlier, *we wait* until no method is running.
pub struct Exported<I: ?Sized + Interface, T: Send + Sync + 'static>(Alive<Publication<I, T>>);

/// # Invariants
///
/// If `published`, the hub of `export` is ours until `stop`.
#[pin_data]
struct Publication<I: ?Sized + Interface, T> {
    export: &'static Export<I>,
    published: bool,
    #[pin]
    value: T,
    // The hub has a pointer to `value`.
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: When `stop` has returned, no method runs, and none can begin.
unsafe impl<I: ?Sized + Interface, T: Send + Sync + 'static> Stop for Publication<I, T> {
    const NAME: &'static CStr = c"objects for other modules";

    fn stop(&self) {
        if self.published {
            self.export.hub.calls.close();
            // The next one sees that no call runs.
            self.export.taken.store(0, Release);
        }
    }
}

impl<I: ?Sized + Interface, T: Send + Sync + 'static> Deref for Exported<I, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

/// A symbol of another module. It implements the trait `I`: its methods are called in that
/// module. [`import!`](macro@crate::import) declares it.
///
/// Calls can be made in any context that the method is for. They fail with `ENODEV` while
/// there is no object behind the symbol, and with `EINVAL` if the modules do not fit.
///
/// # Unloading
///
/// *Owner held*, by the module loader: as long as this module is loaded, it has a reference to
/// the other one.
///
/// # Invariants
///
/// `export` points to what begins as an [`Export`]. If `checked` is not 0, it is an
/// `Export<I>` of a module that was built from the same sources.
pub struct Import<I: ?Sized + Interface> {
    export: *const Export<I>,
    symbol: &'static str,
    checked: Atomic<i32>,
}

// SAFETY: An `Export` is `Sync`, and it belongs to no thread.
unsafe impl<I: ?Sized + Interface> Send for Import<I> {}

// SAFETY: As above.
unsafe impl<I: ?Sized + Interface> Sync for Import<I> {}

impl<I: ?Sized + Interface> Import<I> {
    /// For [`import!`](macro@crate::import).
    ///
    /// # Safety
    ///
    /// `export` is the address of a symbol that an [`export!`](macro@crate::export) has
    /// declared, in whichever module.
    #[doc(hidden)]
    pub const unsafe fn new(export: *const Export<I>, symbol: &'static str) -> Self {
        // INVARIANT: By this function's contract.
        Self {
            export,
            symbol,
            checked: Atomic::new(0),
        }
    }

    /// Makes sure that the modules fit. All calls do that, too. Can be called in any context.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the other module has another form of the interface, or was built with
    ///   other sources of this crate. The log says so.
    pub fn check(&self) -> Result {
        if self.checked.load(Relaxed) != 0 {
            return Ok(());
        }
        // SAFETY: By the type invariants this is the first field, and does not change.
        let sources = unsafe { (&raw const (*self.export).sources).read() };
        // SAFETY: By the type invariants. The sources are the same, so the other side means
        // the same by this field. It does not change.
        let fits = sources == SOURCES && unsafe { (*self.export).shape } == I::SHAPE;
        if !fits {
            say_differs(self.symbol);
            return Err(EINVAL);
        }
        // INVARIANT: It was just compared.
        self.checked.store(1, Relaxed);
        Ok(())
    }

    /// For [`interface!`](macro@crate::interface).
    ///
    /// # Safety
    ///
    /// As for [`Remote::call_method`].
    #[doc(hidden)]
    pub unsafe fn call_method<A, R: Answer>(
        &self,
        function: fn(&I::Functions) -> Function,
        arguments: A,
    ) -> R {
        if let Err(error) = self.check() {
            return R::failed(error);
        }
        // SAFETY: By the type invariants, after the check.
        // Unload rule, owner held: the loader has taken a reference to the other module for
        // as long as this one is loaded.
        let export = unsafe { &*self.export };
        // SAFETY: By this function's contract. The check was about the interface `I`.
        unsafe { export.hub.call::<I, A, R>(function, arguments) }
    }
}

/// Says that another module does not fit.
#[cold]
fn say_differs(symbol: &'static str) {
    // SAFETY: The arguments match the format.
    unsafe {
        bindings::_printk(
            c"\x013%s: disagrees about the interface of %.*s; build both modules together\n"
                .as_char_ptr(),
            (&raw const bindings::__this_module.name).cast::<c_char>(),
            symbol.len() as c_int,
            symbol.as_ptr(),
        )
    };
}

/// Declares a trait of which other modules can have objects. All of them compile the same
/// text, by a file that they share: the other module has
/// `#[path = "../NAME/FILE.rs"] mod FILE;`.
///
/// Each method takes `&self`, and then what can be
/// [passed](mod@crate::interface#what-can-be-passed). It returns a [`Result`]. The trait has
/// `Send`, `Sync` and `'static`, as an object is called from any thread and CPU.
///
/// The documentation of a method says in which context it may be called, and whether it may
/// sleep.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::interface::Remote;
///
/// lkm::interface! {
///     /// Something that can be told of news.
///     trait Listener {
///         /// Tells it the `news`. May sleep.
///         fn hear(&self, news: &str) -> Result<()>;
///     }
/// }
///
/// lkm::interface! {
///     /// Something that has news.
///     trait Radio {
///         /// From now on tells `listener`. May sleep.
///         fn subscribe(&self, listener: Remote<dyn Listener>) -> Result<()>;
///     }
/// }
/// ```
///
/// A handle belongs to the module that has made it. This does not compile:
///
/// ```compile_fail,E0277
/// # use kernel::prelude::*;
/// lkm::interface! {
///     trait Undertaker {
///         fn bury(&self, thread: lkm::kthread::KThread) -> Result<()>;
///     }
/// }
/// ```
///
/// Nor does a reference that could be kept:
///
/// ```compile_fail
/// # use kernel::prelude::*;
/// lkm::interface! {
///     trait Collector {
///         fn keep(&self, text: &'static str) -> Result<()>;
///     }
/// }
/// ```
#[macro_export]
macro_rules! interface {
    (
        $(#[$attr:meta])*
        $vis:vis trait $name:ident {$(
            $(#[$method_attr:meta])*
            fn $method:ident(&self $(, $arg:ident: $type:ty)* $(,)?) -> $answer:ty;
        )*}
    ) => {
        $(#[$attr])*
        $vis trait $name: ::core::marker::Send + ::core::marker::Sync + 'static {$(
            $(#[$method_attr])*
            fn $method(&self $(, $arg: $type)*) -> $answer;
        )*}

        const _: () = {
            /// What calls the methods of an object, in their order.
            #[repr(C)]
            pub struct Functions {$(
                $method: $crate::interface::Function,
            )*}

            /// The functions that call the methods of a `T`.
            #[allow(dead_code)]
            struct Calling<T>(::core::marker::PhantomData<T>);

            #[allow(dead_code)]
            impl<T: $name> Calling<T> {$(
                /// # Safety
                ///
                /// `object` is a `T`. `arguments` are those of the method, as a tuple, and
                /// are taken. `answer` can be written to.
                unsafe extern "C" fn $method(
                    object: *const ::kernel::ffi::c_void,
                    arguments: *mut ::kernel::ffi::c_void,
                    answer: *mut ::kernel::ffi::c_void,
                ) {
                    // SAFETY: By this function's contract.
                    unsafe {
                        let ($($arg,)*) = arguments.cast::<($($type,)*)>().read();
                        let given = <T as $name>::$method(&*object.cast::<T>() $(, $arg)*);
                        answer.cast::<$answer>().write(given);
                    }
                }
            )*}

            // SAFETY: All methods are there, in the same order.
            unsafe impl $crate::interface::Interface for dyn $name {
                type Functions = Functions;

                const SHAPE: &'static $crate::interface::Shape = &$crate::interface::Shape {
                    name: stringify!($name),
                    parts: &[$(
                        &$crate::interface::Shape {
                            name: stringify!($method),
                            parts: &[
                                $(<$type as $crate::interface::Crossing>::SHAPE,)*
                                <$answer as $crate::interface::Answer>::SHAPE,
                            ],
                        },
                    )*],
                };
            }

            // SAFETY: These functions are for a `T`.
            unsafe impl<T: $name> $crate::interface::Of<T> for dyn $name {
                const FUNCTIONS: &'static Functions = &Functions {$(
                    $method: Calling::<T>::$method,
                )*};
            }

            impl $name for $crate::interface::Remote<dyn $name> {$(
                fn $method(&self $(, $arg: $type)*) -> $answer {
                    // SAFETY: The types are those of this method.
                    unsafe {
                        $crate::interface::Remote::call_method(
                            self,
                            |functions: &Functions| functions.$method,
                            ($($arg,)*),
                        )
                    }
                }
            )*}

            impl $name for $crate::interface::Import<dyn $name> {$(
                fn $method(&self $(, $arg: $type)*) -> $answer {
                    // SAFETY: The types are those of this method.
                    unsafe {
                        $crate::interface::Import::call_method(
                            self,
                            |functions: &Functions| functions.$method,
                            ($($arg,)*),
                        )
                    }
                }
            )*}

            /// Does not compile if a method could keep what it gets a reference to: here each
            /// is good for some `'a`, and no longer.
            #[allow(dead_code, unused_variables)]
            fn keeps_nothing<'a>(object: &'a dyn $name) {$(
                let _ = |$($arg: <$type as $crate::interface::Crossing>::Short<'a>),*| {
                    let _ = $name::$method(object $(, $arg)*);
                };
            )*}
        };
    };
}

/// Declares a symbol of this module: an [`Export`](crate::interface::Export). Other modules
/// [import](macro@crate::import) it by the name after the `=`, which is one for all modules of
/// the kernel. The kernel calls it `lkm_export_NAME`.
///
/// It is a `static` of the module itself, not one in a function. A module that imports it
/// names this one in its `needs.toml`: `modules = ["NAME"]`.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// mod oracle {
///     # use kernel::prelude::*;
///     lkm::interface! {
///         /// Something that can be asked.
///         pub(crate) trait Oracle {
///             /// The answer to a `question`.
///             fn ask(&self, question: &str) -> Result<u32>;
///         }
///     }
///
///     lkm::export! {
///         /// The only oracle.
///         pub(crate) static ORACLE: dyn Oracle = oracle;
///     }
/// }
/// use oracle::{Oracle, ORACLE};
///
/// struct DeepThought;
///
/// impl Oracle for DeepThought {
///     fn ask(&self, _question: &str) -> Result<u32> {
///         Ok(42)
///     }
/// }
///
/// let exported = ORACLE.publish(DeepThought)?;
///
/// // In another module:
/// lkm::import! {
///     static THEIRS: dyn Oracle = oracle;
/// }
/// THEIRS.check()?;
/// assert_eq!(THEIRS.ask("the question"), Ok(42));
/// # drop(exported);
/// # assert_eq!(THEIRS.ask("the question"), Err(ENODEV));
/// # Ok::<(), Error>(())
/// ```
#[macro_export]
macro_rules! export {
    ($(#[$attr:meta])* $vis:vis static $name:ident: $interface:ty = $symbol:ident;) => {
        $(#[$attr])*
        #[export_name = concat!("lkm_export_", stringify!($symbol))]
        $vis static $name: $crate::interface::Export<$interface> =
            $crate::interface::Export::new();

        // As `EXPORT_SYMBOL_GPL()` does it: modpost makes the rest. rust-analyzer does not
        // know assembler outside a function.
        #[cfg(not(rust_analyzer))]
        ::core::arch::global_asm!(
            ".pushsection .export_symbol,\"a\"",
            concat!("__export_symbol_lkm_export_", stringify!($symbol), ":"),
            ".asciz \"GPL\"",
            ".asciz \"\"",
            ".balign 8",
            concat!(".quad lkm_export_", stringify!($symbol)),
            ".popsection",
        );
    };
}

/// Declares a symbol of another module, which [exports](macro@crate::export) it: an
/// [`Import`](crate::interface::Import), on which the methods of the trait can be called. The
/// name after the `=` is the one that it is exported by.
///
/// This module can be loaded after the other one, and the other one cannot be unloaded
/// before it.
///
/// # Examples
///
/// See [`export!`](macro@crate::export).
#[macro_export]
macro_rules! import {
    ($(#[$attr:meta])* $vis:vis static $name:ident: $interface:ty = $symbol:ident;) => {
        $(#[$attr])*
        $vis static $name: $crate::interface::Import<$interface> = {
            #[allow(improper_ctypes)]
            extern "C" {
                #[link_name = concat!("lkm_export_", stringify!($symbol))]
                static EXPORT: $crate::interface::Export<$interface>;
            }
            // SAFETY: Only `export!` declares symbols whose names begin so.
            unsafe {
                $crate::interface::Import::new(
                    &raw const EXPORT,
                    concat!("lkm_export_", stringify!($symbol)),
                )
            }
        };
    };
}
