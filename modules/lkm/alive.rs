// SPDX-License-Identifier: GPL-2.0-only

//! What C has of the module: an [`Alive`] for each thing that C can call or has a
//! pointer to.
//!
//! The thing lies in memory that only this file frees, and is on a list of the
//! module. The public types are handles to it. Dropping a handle stops the thing
//! and frees it. Safe code can prevent that: by `core::mem::forget`, by a cycle of
//! `Arc`s, in a static, or in memory that is freed without `Drop`. All of that is
//! one case here: the handle is lost, and the thing is still on the list.
//!
//! # The end of the module
//!
//! The module ends when its exit function has returned, or its init function with an
//! error. Then, before the module core takes anything of the module away, it gets to
//! [`finish`]. What is still on the list is stopped there, the newest first, as what
//! depends on something is newer than it. From then on the module is closed: a thing can
//! no longer be made, and what makes its own successor ends. When no code of the module
//! runs any more, lost handles are lost for good: what C has allocated is freed, but
//! nothing is dropped, and the memory stays.
//!
//! # Things of something
//!
//! Some things go with something else, as the registers of a device do with its driver. They
//! are Owned in the place of Alive. [`stop_all_of`] stops them, and nothing says that they
//! are lost. They are at the end of the list, so that at the end of the module all others are
//! stopped before, and these with them.
//!
//! # States
//!
//! ```text
//! New --listed--> Alive --drop--> Dropping --stopped--> freed
//!                   |--drop in what it would wait for--> Orphan --> Stopping --> freed
//!                   `--the end--> Stopping --stopped--> Stopped --drop--> freed
//!                                     |                    `--or by the end--> freed
//!                                     `--drop meanwhile--> freed when it is stopped
//! ```
//!
//! One that is freed right after it was stopped may be Freeing meanwhile. What has an owner is.
//!
//! The states change under one lock. The thing is stopped without it. A drop never
//! waits for the end of the module: that may be waiting for the one who drops.

use crate::{
    bindings,
    callers::is_in_mmap,
    compat::CStrExt,
    entry,
    errno::error,
    params,
    workqueue::current_work, //
};
use core::{
    cell::Cell,
    ffi::CStr,
    marker::PhantomPinned,
    mem::MaybeUninit,
    ops::Deref,
    ptr::{
        self,
        NonNull, //
    },
};
use kernel::{
    prelude::*,
    task::Task, //
};

/// A thing that C has.
///
/// # Safety
///
/// When [`stop`](Self::stop) has returned, C calls no function of the module for
/// this value, has no pointer to it and gets none later, whatever its methods are
/// called for. That holds for a value that was only partly registered, too. `stop`
/// uses nothing but what the value owns.
pub(crate) unsafe trait Stop: Send + Sync + Sized + 'static {
    /// What several of them are called in messages.
    const NAME: &'static CStr;

    /// Whether one task or work item runs all code of the value: its
    /// [`runner`](Self::runner).
    const HAS_RUNNER: bool = false;

    /// Whether it goes with something else: its [`owner`](Self::owner).
    const HAS_OWNER: bool = false;

    /// Ends all use of the value by C, and waits for that. May sleep.
    fn stop(&self);

    /// The task or the work item that runs the value's code.
    fn runner(&self) -> Runner {
        ptr::null()
    }

    /// The address of what the value goes with, or null. It is only compared, and is the same
    /// from the beginning on. Called with a lock.
    fn owner(&self) -> *const c_void {
        ptr::null()
    }

    /// Asks the runner to end. Can be called in any context.
    fn ask(&self) {}

    /// Whether the caller runs in what [`stop`](Self::stop) waits for.
    fn is_within(&self) -> bool {
        Self::HAS_RUNNER && self.runner() == current_runner()
    }

    /// Frees what belongs to C. Called once, after [`stop`](Self::stop), when nobody
    /// uses the value any more.
    fn give_back(&self) {}
}

/// A task or a work item.
pub(crate) type Runner = *const c_void;

/// The work item that the caller runs in, or its task.
pub(crate) fn current_runner() -> Runner {
    let work = current_work();
    match work.is_null() {
        true => Task::current_raw().cast(),
        false => work.cast(),
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// It is being registered.
    New,
    /// It is on the list.
    Alive,
    /// It is on the list, and goes with something else.
    Owned,
    /// Its handle is being dropped.
    Dropping,
    /// Its handle was dropped, and could not wait.
    Orphan,
    /// It is being stopped, not by its handle.
    Stopping,
    /// It was stopped, and waits for its handle's drop.
    Stopped,
    /// It was stopped, and is being freed.
    Freeing,
}

/// What is the same for all things of a type.
struct Kind {
    name: &'static CStr,
    runs: Option<&'static Runs>,
    stop: unsafe fn(NonNull<Node>),
    give_back: unsafe fn(NonNull<Node>),
    drop: unsafe fn(NonNull<Node>),
    free: unsafe fn(NonNull<Node>),
}

/// What a thing has that has a runner or an owner. The others do not need this code.
struct Runs {
    ask: unsafe fn(NonNull<Node>),
    runner: unsafe fn(NonNull<Node>) -> Runner,
    owner: unsafe fn(NonNull<Node>) -> *const c_void,
    begin_wait: fn(&List, &Node) -> Wait,
    end_wait: fn(&List, &Node),
}

/// A thing's place in the list. It changes under the list's lock.
struct Node {
    newer: Cell<*const Node>,
    older: Cell<*const Node>,
    kind: &'static Kind,
    state: Cell<State>,
    /// Its handle was dropped while it was being stopped, or later by one who could not
    /// free it.
    abandoned: Cell<bool>,
    /// Who waits for its end, and the next in the list of those that somebody waits for.
    /// Null if nobody does.
    waiter: Cell<Runner>,
    next: Cell<*const Node>,
}

/// What has become of the wish to wait for a thing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wait {
    /// The thing is on the list of those that somebody waits for.
    Begun,
    /// Somebody else waits for it.
    Taken,
    /// The caller would wait for itself.
    Circle,
}

/// A thing in its own memory.
#[pin_data]
#[repr(C)]
struct Slot<T> {
    // First, so that a pointer to it is one to the slot.
    node: Node,
    #[pin]
    value: T,
    #[pin]
    _pin: PhantomPinned,
}

impl<T: Stop> Slot<T> {
    const KIND: &'static Kind = &Kind {
        name: T::NAME,
        runs: match T::HAS_RUNNER || T::HAS_OWNER {
            true => Some(&Runs {
                ask: Self::ask,
                runner: Self::runner,
                owner: Self::owner,
                begin_wait: List::begin_wait,
                end_wait: List::end_wait,
            }),
            false => None,
        },
        stop: Self::stop,
        give_back: Self::give_back,
        drop: Self::drop,
        free: Self::free,
    };

    /// # Safety
    ///
    /// As [`stop`](Self::stop)'s.
    unsafe fn ask(node: NonNull<Node>) {
        // SAFETY: By this function's contract.
        unsafe { node.cast::<Self>().as_ref() }.value.ask();
    }

    /// # Safety
    ///
    /// As [`stop`](Self::stop)'s.
    unsafe fn runner(node: NonNull<Node>) -> Runner {
        // SAFETY: By this function's contract.
        unsafe { node.cast::<Self>().as_ref() }.value.runner()
    }

    /// # Safety
    ///
    /// As [`stop`](Self::stop)'s, and the value was not dropped.
    unsafe fn owner(node: NonNull<Node>) -> *const c_void {
        // SAFETY: By this function's contract.
        unsafe { node.cast::<Self>().as_ref() }.value.owner()
    }

    /// # Safety
    ///
    /// `node` is the node of a `Self`, which is not freed meanwhile.
    unsafe fn stop(node: NonNull<Node>) {
        // SAFETY: By this function's contract.
        unsafe { node.cast::<Self>().as_ref() }.value.stop();
    }

    /// # Safety
    ///
    /// As [`stop`](Self::stop)'s.
    unsafe fn give_back(node: NonNull<Node>) {
        // SAFETY: By this function's contract.
        unsafe { node.cast::<Self>().as_ref() }.value.give_back();
    }

    /// # Safety
    ///
    /// `node` is the node of a `Self` that C does not have, and whose value nobody uses
    /// any more.
    unsafe fn drop(node: NonNull<Node>) {
        // SAFETY: By this function's contract.
        unsafe { ptr::drop_in_place(&raw mut (*node.cast::<Self>().as_ptr()).value) };
    }

    /// # Safety
    ///
    /// `node` is the node of a `Self` whose value was dropped, and that nobody uses.
    unsafe fn free(node: NonNull<Node>) {
        // SAFETY: By this function's contract. All slots were made by a `KBox`.
        drop(unsafe { KBox::from_raw(node.cast::<MaybeUninit<Self>>().as_ptr()) });
    }
}

/// The only handle to a thing that C has. Dropping it stops the thing and frees it,
/// which may sleep.
///
/// Where the caller must not sleep, or runs in what it would wait for, a worker of
/// the kernel does that a little later. So it does when that waits, by such drops, for
/// the caller. In `mmap` and `fault` of a file it always is the worker that does it: these run
/// inside of any system call that touches the process's memory, with all locks of that.
///
/// # Invariants
///
/// The slot was made by a `KBox`. It is freed by this handle's drop, or, when its
/// node was an orphan or abandoned by then, by who stops it.
#[repr(transparent)]
pub(crate) struct Alive<T: Stop>(NonNull<Slot<T>>);

// SAFETY: `T` is `Send` and `Sync`; the node changes under a lock.
unsafe impl<T: Stop> Send for Alive<T> {}

// SAFETY: As above.
unsafe impl<T: Stop> Sync for Alive<T> {}

impl<T: Stop> Alive<T> {
    /// Makes a thing and has `register` give it to C. What users have written belongs
    /// into `value`, which is initialised before. May sleep.
    ///
    /// # Errors
    ///
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - `EDEADLK`: the caller is in `mmap` or `fault` of a file;
    /// - `ENOMEM`;
    /// - those of `value` and of `register`. Then the thing was stopped and freed.
    pub(crate) fn new(
        value: impl PinInit<T, Error>,
        register: impl FnOnce(Pin<&mut T>) -> Result,
    ) -> Result<Self> {
        Self::make(value, register, Call::list)
    }

    /// As [`new`](Self::new), for a thing that can have an [`owner`](Stop::owner): it is listed
    /// as one of his. He must not go before this has returned. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new).
    pub(crate) fn new_of(
        value: impl PinInit<T, Error>,
        register: impl FnOnce(Pin<&mut T>) -> Result,
    ) -> Result<Self> {
        const { assert!(T::HAS_OWNER) };
        Self::make(value, register, Call::list_of)
    }

    fn make(
        value: impl PinInit<T, Error>,
        register: impl FnOnce(Pin<&mut T>) -> Result,
        list: unsafe fn(&Call, NonNull<Node>),
    ) -> Result<Self> {
        let slot = KBox::pin_init::<Error>(
            try_pin_init!(Slot {
                node: Node::new(Slot::<T>::KIND),
                value <- value,
                _pin: PhantomPinned,
            }? Error),
            GFP_KERNEL,
        )?;
        // SAFETY: Nothing is moved out of the box.
        let slot = KBox::leak(unsafe { Pin::into_inner_unchecked(slot) });
        // INVARIANT: The slot is from a box, and there is no other handle.
        let this = Self(NonNull::from(slot));
        let call = Call::begin()?;
        // When `register` fails, it is stopped before the call ends.
        let this = this;
        // SAFETY: Nobody else has the value yet, and it is not moved.
        register(unsafe { Pin::new_unchecked(&mut (*this.0.as_ptr()).value) })?;
        // SAFETY: The node is on no list, and is taken off it before it is freed.
        unsafe { list(&call, this.0.cast()) };
        Ok(this)
    }

    /// Stops the thing now. It stays usable as far as it then is. May sleep.
    ///
    /// # Errors
    ///
    /// - `EDEADLK`: the caller runs in what this would wait for, or that waits for it.
    pub(crate) fn end(&self) -> Result {
        // SAFETY: The handle keeps the slot.
        self.wait(|this| unsafe { end_node(this.0.cast()) })
    }

    /// Calls `wait`, which waits for the end of the thing. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`end`](Self::end).
    pub(crate) fn wait(&self, wait: impl FnOnce(&Self)) -> Result {
        if self.is_within() {
            return Err(error(bindings::EDEADLK));
        }
        // SAFETY: The handle keeps the slot.
        let node = unsafe { &self.0.as_ref().node };
        loop {
            match locked(|list| node.begin_wait(list)) {
                Wait::Begun => break,
                Wait::Circle => return Err(error(bindings::EDEADLK)),
                // Others do not find a caller that is not on the list. So it looks again.
                Wait::Taken => tick(),
            }
        }
        wait(self);
        locked(|list| list.end_wait(node));
        Ok(())
    }

    /// Drops the handle as one who must leave the rest to a worker. Can be called in any
    /// context except NMI.
    #[cfg(CONFIG_KPROBES)]
    pub(crate) fn leave(self) {
        let this = core::mem::ManuallyDrop::new(self);
        // SAFETY: By the type invariants. The handle is not used any more.
        unsafe { leave_node(this.0.cast(), true) };
    }

    /// Another handle of the thing that is `value`, to lend to what C calls.
    ///
    /// # Safety
    ///
    /// `value` is that of an `Alive`. It is not freed as long as the handle is used,
    /// which is never dropped.
    pub(crate) unsafe fn lend(value: *const T) -> Self {
        // SAFETY: By this function's contract.
        let slot = unsafe { kernel::container_of!(value.cast_mut(), Slot<T>, value) };
        // SAFETY: By this function's contract it is not null.
        Self(unsafe { NonNull::new_unchecked(slot) })
    }
}

impl<T: Stop> Deref for Alive<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: The handle keeps the slot.
        unsafe { &self.0.as_ref().value }
    }
}

impl<T: Stop> Drop for Alive<T> {
    fn drop(&mut self) {
        // SAFETY: This only reads.
        let elsewhere = unsafe { bindings::lkm_must_not_sleep() } || self.is_within();
        // SAFETY: By the type invariants. The handle is not used any more.
        unsafe { leave_node(self.0.cast(), elsewhere) };
    }
}

impl Node {
    fn new(kind: &'static Kind) -> Self {
        Self {
            newer: Cell::new(ptr::null()),
            older: Cell::new(ptr::null()),
            kind,
            state: Cell::new(State::New),
            abandoned: Cell::new(false),
            waiter: Cell::new(ptr::null()),
            next: Cell::new(ptr::null()),
        }
    }

    /// As [`List::begin_wait`], for any thing.
    fn begin_wait(&self, list: &List) -> Wait {
        match self.kind.runs {
            Some(runs) => (runs.begin_wait)(list, self),
            None => Wait::Begun,
        }
    }
}

/// Stops the thing for its handle, which stays.
///
/// # Safety
///
/// The node's slot is not freed meanwhile.
unsafe fn end_node(node: NonNull<Node>) {
    // SAFETY: By this function's contract.
    let it = unsafe { node.as_ref() };
    loop {
        let state = locked(|_| {
            let state = it.state.get();
            if state == State::Alive {
                it.state.set(State::Stopping);
            }
            state
        });
        match state {
            State::Alive => break,
            State::Stopping => tick(),
            _ => return,
        }
    }
    // SAFETY: By this function's contract.
    unsafe { (it.kind.stop)(node) };
    locked(|_| it.state.set(State::Stopped));
}

/// The handle of `node` is dropped: by one who can wait, or must leave that to
/// somebody `elsewhere`.
///
/// # Safety
///
/// The node is that of a slot whose only handle is not used any more.
#[inline(never)]
unsafe fn leave_node(node: NonNull<Node>, elsewhere: bool) {
    // SAFETY: By this function's contract the slot is there. In states in which
    // somebody else frees it, it is not used after the lock was released.
    let it = unsafe { node.as_ref() };
    let elsewhere = elsewhere || is_in_mmap();
    let state = locked(|list| {
        match it.state.get() {
            State::Alive | State::Owned if elsewhere || it.begin_wait(list) != Wait::Begun => {
                it.state.set(State::Orphan)
            }
            State::New | State::Alive | State::Owned => it.state.set(State::Dropping),
            State::Stopping => it.abandoned.set(true),
            State::Stopped => it.abandoned.set(elsewhere),
            _ => {}
        }
        it.state.get()
    });
    match state {
        // SAFETY: This can be called in any context.
        State::Orphan => unsafe { bindings::lkm_reaper_start() },
        State::Stopping => {}
        // `finish` frees it.
        State::Stopped if elsewhere => {}
        _ => {
            // SAFETY: Nobody else stops or frees a thing in this state.
            unsafe {
                if state == State::Dropping {
                    (it.kind.stop)(node);
                    if let Some(runs) = it.kind.runs {
                        locked(|list| {
                            (runs.end_wait)(list, it);
                            // What follows may wait for the owner, who waits for this.
                            it.state.set(State::Freeing);
                        });
                    }
                }
                free(node);
            }
        }
    }
}

/// The things of this module that C has.
struct List {
    newest: Cell<*const Node>,
    /// The last one that somebody has begun to wait for.
    awaited: Cell<*const Node>,
    /// How many are being made.
    making: Cell<usize>,
}

// SAFETY: Cells are only used under the lock.
unsafe impl Sync for List {}

static LIST: List = List {
    newest: Cell::new(ptr::null()),
    awaited: Cell::new(ptr::null()),
    making: Cell::new(0),
};

/// Whether the module is at its end: nothing can be made any more.
pub(crate) fn is_closed() -> bool {
    entry::phase() == entry::END
}

/// Calls `f` with the lock held.
fn locked<R>(f: impl FnOnce(&List) -> R) -> R {
    // SAFETY: Nothing that is called with the lock takes it, and each caller gives
    // back what it was given.
    let flags = unsafe { bindings::lkm_alive_lock() };
    let result = f(&LIST);
    // SAFETY: As above.
    unsafe { bindings::lkm_alive_unlock(flags) };
    result
}

/// Sleeps for a moment.
pub(crate) fn tick() {
    // SAFETY: The callers may sleep.
    unsafe { bindings::schedule_timeout_uninterruptible(1) };
}

impl List {
    /// # Safety
    ///
    /// `node` is on no list, and is removed before it is freed.
    unsafe fn push(&self, node: &Node) {
        let older = self.newest.replace(node);
        node.older.set(older);
        // SAFETY: What is on the list is not freed.
        if let Some(older) = unsafe { older.as_ref() } {
            older.newer.set(node);
        }
    }

    /// As [`push`](Self::push), but to the end of the list.
    ///
    /// # Safety
    ///
    /// As that of [`push`](Self::push).
    unsafe fn push_last(&self, node: &Node) {
        match self.nodes().last() {
            // SAFETY: By this function's contract.
            None => unsafe { self.push(node) },
            Some(oldest) => {
                node.newer.set(oldest.as_ptr());
                // SAFETY: What is on the list is not freed.
                unsafe { oldest.as_ref() }.older.set(node);
            }
        }
    }

    /// Removes `node` if it is on the list.
    fn remove(&self, node: &Node) {
        let (newer, older) = (node.newer.get(), node.older.get());
        // SAFETY: What is on the list is not freed.
        match unsafe { newer.as_ref() } {
            Some(newer) => newer.older.set(older),
            None if ptr::eq(self.newest.get(), node) => self.newest.set(older),
            // It is on no list.
            None => return,
        }
        // SAFETY: As above.
        if let Some(older) = unsafe { older.as_ref() } {
            older.newer.set(newer);
        }
    }

    /// The caller begins to wait for the end of `node`, unless it would wait for itself:
    /// by others that wait in this way. Only one at a time waits for a node.
    fn begin_wait(&self, node: &Node) -> Wait {
        let me = current_runner();
        let mut it = node;
        // More than there are would be a circle of others.
        for _ in 0..=self.awaited().count() {
            let Some(runs) = it.kind.runs else { break };
            // SAFETY: A node that somebody waits for is not freed.
            let runner = unsafe { (runs.runner)(NonNull::from(it)) };
            if runner == me {
                return Wait::Circle;
            }
            match self
                .awaited()
                .find(|awaited| awaited.waiter.get() == runner)
            {
                Some(awaited) => it = awaited,
                None => break,
            }
        }
        if !node.waiter.get().is_null() {
            return Wait::Taken;
        }
        node.waiter.set(me);
        node.next.set(self.awaited.replace(node));
        Wait::Begun
    }

    /// The wait for `node` is over, if there was one.
    fn end_wait(&self, node: &Node) {
        let mut place = &self.awaited;
        // SAFETY: A node that somebody waits for is not freed.
        while let Some(it) = unsafe { place.get().as_ref() } {
            if ptr::eq(it, node) {
                place.set(it.next.get());
                node.waiter.set(ptr::null());
                return;
            }
            place = &it.next;
        }
    }

    /// The nodes that somebody waits for, the last one first.
    fn awaited(&self) -> impl Iterator<Item = &Node> {
        // SAFETY: They are not freed meanwhile.
        core::iter::successors(unsafe { self.awaited.get().as_ref() }, |node| unsafe {
            node.next.get().as_ref()
        })
    }

    /// The nodes, the newest first. The lock is held as long as they are used.
    fn nodes(&self) -> impl Iterator<Item = NonNull<Node>> {
        let next = |node: *const Node| NonNull::new(node.cast_mut());
        core::iter::successors(next(self.newest.get()), move |node| {
            // SAFETY: What is on the list is not freed.
            next(unsafe { node.as_ref() }.older.get())
        })
    }
}

/// The making of a thing.
pub(crate) struct Call(());

impl Call {
    /// # Errors
    ///
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - `EDEADLK`: the caller is in `mmap` or `fault` of a file.
    pub(crate) fn begin() -> Result<Self> {
        if is_in_mmap() {
            return Err(error(bindings::EDEADLK));
        }
        locked(|list| {
            match entry::call_at_end(finish) {
                entry::LOADING => return Err(EPERM),
                entry::END => return Err(error(bindings::ESHUTDOWN)),
                _ => {}
            }
            list.making.set(list.making.get().wrapping_add(1));
            Ok(Self(()))
        })
    }

    /// # Safety
    ///
    /// `node` is new, and is removed from the list before it is freed.
    unsafe fn list(&self, node: NonNull<Node>) {
        locked(|list| {
            // SAFETY: By this function's contract.
            let node = unsafe { node.as_ref() };
            node.state.set(State::Alive);
            // SAFETY: By this function's contract.
            unsafe { list.push(node) };
        });
    }

    /// As [`list`](Self::list), for a thing that can have an owner.
    ///
    /// # Safety
    ///
    /// As that of [`list`](Self::list).
    unsafe fn list_of(&self, node: NonNull<Node>) {
        // SAFETY: By this function's contract.
        if unsafe { owner_of(node) }.is_null() {
            // SAFETY: By this function's contract.
            return unsafe { self.list(node) };
        }
        locked(|list| {
            // SAFETY: By this function's contract.
            let node = unsafe { node.as_ref() };
            node.state.set(State::Owned);
            // SAFETY: By this function's contract.
            unsafe { list.push_last(node) };
        });
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        locked(|list| list.making.set(list.making.get().wrapping_sub(1)));
    }
}

/// The end of a module that has made anything.
///
/// # Safety
///
/// The module's entry points call this, at the end. It may sleep.
unsafe extern "C" fn finish() {
    stop_all();
    wait_for_files();
    // SAFETY: This may sleep.
    unsafe { bindings::lkm_reaper_end() };
    params::end();
    // Unload rule, we wait: now no code of the module runs but this.
    // What was dropped by one who could not free it may own handles of others.
    let is_abandoned = |node: &NonNull<Node>| {
        // SAFETY: The lock is held.
        unsafe { node.as_ref() }.abandoned.get()
    };
    while let Some(node) = locked(|list| list.nodes().find(is_abandoned)) {
        // SAFETY: The thing was stopped, and nobody uses it any more.
        unsafe { free(node) };
    }
    // The others are lost for good. Their memory stays: what is in it may count on being
    // dropped before that is used for something else.
    while let Some(node) = locked(|list| list.nodes().next()) {
        // SAFETY: The thing was stopped, and nobody uses it any more.
        unsafe {
            let it = node.as_ref();
            locked(|list| list.remove(it));
            (it.kind.give_back)(node);
        }
    }
}

/// Frees what was stopped.
///
/// # Safety
///
/// Nobody else uses the node or its thing, which C does not have.
unsafe fn free(node: NonNull<Node>) {
    // SAFETY: By this function's contract.
    unsafe {
        let it = node.as_ref();
        (it.kind.give_back)(node);
        // On the list it stands for what it owns.
        (it.kind.drop)(node);
        locked(|list| list.remove(it));
        (it.kind.free)(node);
    }
}

/// Whether init has succeeded, and the module is not being unloaded: files of devices keep
/// it.
pub(crate) fn is_live() -> bool {
    // SAFETY: The module exists as long as this code.
    let state = unsafe { (&raw const bindings::__this_module.state).read_volatile() };
    state == bindings::module_state_MODULE_STATE_LIVE
}

/// Waits until no file of the module is open. May sleep.
///
/// An open file has a reference to the module. The kernel gives them out while init
/// runs, too, but frees the module regardless of them when init fails.
///
/// Unload rule, we wait: the kernel drops the reference of an open file when the last
/// call for that file has left the module's text.
fn wait_for_files() {
    // One reference belongs to the load itself.
    const OTHERS: c_int = 1;
    // SAFETY: The module exists as long as this code.
    while unsafe { bindings::module_refcount(&raw mut bindings::__this_module) } > OTHERS {
        tick();
    }
}

/// What to do next to stop things.
enum Next {
    Say,
    Stop(NonNull<Node>),
    Wait,
    Nothing,
}

/// Stops all things.
fn stop_all() {
    while locked(|list| list.making.get() > 0) {
        tick();
    }
    // Nothing is made any more.
    let (mut said, mut asked) = (false, false);
    loop {
        let next = locked(|list| {
            // SAFETY: The lock is held.
            let mut nodes = list.nodes().map(|node| (node, unsafe { node.as_ref() }));
            match nodes.find(|(_, it)| it.state.get() != State::Stopped) {
                None => Next::Nothing,
                // What is newer than it was dropped, and owns nothing any more.
                Some((_, it)) if it.state.get() == State::Alive && !said => Next::Say,
                Some((node, it)) if matches!(it.state.get(), State::Alive | State::Orphan) => {
                    claim(it);
                    Next::Stop(node)
                }
                Some(_) => Next::Wait,
            }
        });
        if matches!(next, Next::Stop(_) | Next::Wait) && !asked {
            // Who stops a thing may wait for another one. Those that nobody stops yet go
            // on until they are asked.
            ask_all();
            asked = true;
        }
        match next {
            Next::Say => {
                say_lost();
                said = true;
            }
            // SAFETY: It was claimed.
            Next::Stop(node) => unsafe { stop_claimed(node) },
            Next::Wait => tick(),
            Next::Nothing => break,
        }
    }
}

/// The owner of a thing, or null.
///
/// # Safety
///
/// The value in the node's slot was not dropped.
unsafe fn owner_of(node: NonNull<Node>) -> *const c_void {
    // SAFETY: By this function's contract.
    match unsafe { node.as_ref() }.kind.runs {
        // SAFETY: By this function's contract.
        Some(runs) => unsafe { (runs.owner)(node) },
        None => ptr::null(),
    }
}

/// Stops all things of `owner`, which is not null, the newest first. Nobody makes one meanwhile,
/// or later. Those whose handles are there stay. May sleep.
#[cfg(CONFIG_PCI)]
pub(crate) fn stop_all_of(owner: *const c_void) {
    loop {
        let next = locked(|list| {
            let is_left = |node: &NonNull<Node>| {
                // SAFETY: The lock is held.
                let state = unsafe { node.as_ref() }.state.get();
                let is_over = matches!(state, State::Stopped | State::Freeing);
                // SAFETY: In other states the value was not dropped.
                !is_over && unsafe { owner_of(*node) } == owner
            };
            // What has an owner is at the end of the list: the newest is the last one.
            let Some(node) = list.nodes().filter(is_left).last() else {
                return Next::Nothing;
            };
            // SAFETY: As above.
            let it = unsafe { node.as_ref() };
            match it.state.get() {
                State::Owned | State::Orphan => {
                    claim(it);
                    Next::Stop(node)
                }
                // What is older may be what it owns.
                _ => Next::Wait,
            }
        });
        match next {
            // SAFETY: It was claimed.
            Next::Stop(node) => unsafe { stop_claimed(node) },
            Next::Wait => tick(),
            Next::Nothing | Next::Say => break,
        }
    }
}

/// Asks all things to end that nobody stops yet.
fn ask_all() {
    locked(|list| {
        for node in list.nodes() {
            // SAFETY: What is on the list is not freed, and was not given back in these
            // states.
            unsafe {
                let it = node.as_ref();
                match it.kind.runs {
                    Some(runs) if matches!(it.state.get(), State::Alive | State::Orphan) => {
                        (runs.ask)(node)
                    }
                    _ => {}
                }
            }
        }
    });
}

/// Takes on the stopping of `node`. The lock is held.
fn claim(node: &Node) {
    let orphan = node.state.replace(State::Stopping) == State::Orphan;
    node.abandoned.set(orphan);
}

/// Stops what was [claimed](claim), and frees it when its handle was dropped.
///
/// # Safety
///
/// The caller has claimed it.
unsafe fn stop_claimed(node: NonNull<Node>) {
    // SAFETY: Only who has claimed it frees it.
    let it = unsafe { node.as_ref() };
    // SAFETY: As above.
    unsafe { (it.kind.stop)(node) };
    let is_ours = locked(|_| {
        let is_abandoned = it.abandoned.get();
        it.state.set(match is_abandoned {
            true => State::Freeing,
            false => State::Stopped,
        });
        is_abandoned
    });
    if is_ours {
        // SAFETY: It was stopped, and its handle was dropped.
        unsafe { free(node) };
    }
}

/// Stops and frees the orphans: the work of [`lkm_reaper_start`].
///
/// [`lkm_reaper_start`]: bindings::lkm_reaper_start
///
/// # Safety
///
/// Called by a worker only.
#[no_mangle]
unsafe extern "C" fn lkm_reap(_: *mut bindings::work_struct) {
    // What has an owner, then the oldest first: a child became an orphan before its parent could.
    while let Some(node) = locked(|list| {
        // SAFETY: The lock is held.
        let is_orphan = |it: &NonNull<Node>| unsafe { it.as_ref() }.state.get() == State::Orphan;
        let oldest = list.nodes().filter(is_orphan).last()?;
        // SAFETY: As above.
        claim(unsafe { oldest.as_ref() });
        Some(oldest)
    }) {
        // SAFETY: It was claimed.
        unsafe { stop_claimed(node) };
    }
}

/// Says what the module has not dropped.
fn say_lost() {
    let mut said = c"";
    loop {
        let next = locked(|list| {
            // SAFETY: The lock is held.
            let nodes = list.nodes().map(|node| unsafe { node.as_ref() });
            let lost = nodes.filter(|it| it.state.get() == State::Alive);
            lost.map(|it| it.kind.name)
                .filter(|name| *name > said)
                .fold(None, |first, name| match first {
                    Some((first, count)) if first == name => Some((first, count + 1)),
                    Some((first, count)) if first < name => Some((first, count)),
                    _ => Some((name, 1)),
                })
        });
        let Some((name, count)) = next else { break };
        say(name, count);
        said = name;
    }
}

/// Says that the module has not dropped so many of a kind.
fn say(name: &CStr, count: usize) {
    // SAFETY: The arguments match the format.
    unsafe {
        bindings::_printk(
            c"\x012%s: not dropped: %zu %s; unloading stops them and waits for that\n"
                .as_char_ptr(),
            (&raw const bindings::__this_module.name).cast::<c_char>(),
            count,
            name.as_char_ptr(),
        )
    };
}
