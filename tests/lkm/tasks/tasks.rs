// SPDX-License-Identifier: GPL-2.0-only

//! Test only: `lkm::kasync`.

use core::{
    future::{
        pending,
        poll_fn,
        Future, //
    },
    net::{
        Ipv4Addr,
        Ipv6Addr,
        SocketAddr, //
    },
    pin::Pin,
    task::{
        Context,
        Poll,
        Waker, //
    },
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
    time::{
        delay::fsleep,
        Delta,
        Instant,
        Monotonic, //
    },
};
use lkm::{
    context,
    file::{
        mode,
        Argument,
        Opened,
        Operations, //
    },
    kasync::{
        net::{
            TcpListener,
            TcpStream, //
        },
        select,
        sleep,
        Either,
        Executor,
        JoinHandle,
        Spawner, //
    },
    net::Shutdown,
    procfs,
    sync::{
        new_irq_spinlock,
        Completion,
        IrqSpinLock, //
    },
    workqueue::{
        Flags,
        OwnedQueue, //
    },
};

mod commands;

use commands::*;

module! {
    type: Module,
    name: "tasks",
    authors: ["lkmpg-rs"],
    description: "Test only: lkm::kasync",
    license: "GPL",
}

struct Counts {
    owned: Atomic<u32>,
    ended: Atomic<u32>,
    misplaced: Atomic<u32>,
}

/// What a future or its output owns: memory, that is counted. It minds where it
/// is dropped.
struct Owned {
    _memory: KVec<u8>,
    counts: Arc<Counts>,
}

impl Owned {
    fn new(counts: &Arc<Counts>) -> Result<Self> {
        let memory = KVec::from_elem(0, 1000, GFP_KERNEL)?;
        counts.owned.fetch_add(1, Relaxed);
        Ok(Self {
            _memory: memory,
            counts: counts.clone(),
        })
    }

    fn check_context(&self) {
        if context::Context::current() != context::Context::Process {
            self.counts.misplaced.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.check_context();
        self.counts.owned.fetch_add(u32::MAX, Relaxed);
    }
}

/// Something that happens, and those who wait for it.
#[pin_data]
struct Signal {
    #[pin]
    wakers: IrqSpinLock<KVec<Waker>>,
    number: Atomic<u32>,
}

/// Waits for the signal.
struct Signalled {
    signal: Arc<Signal>,
    since: u32,
    owned: Owned,
}

impl Future for Signalled {
    type Output = Owned;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Owned> {
        self.owned.check_context();
        let mut more = KVec::new();
        loop {
            let mut wakers = self.signal.wakers.lock();
            if self.signal.number.load(Relaxed) != self.since {
                drop(wakers);
                return Owned::new(&self.owned.counts).map_or(Poll::Pending, Poll::Ready);
            }
            if more.capacity() > wakers.capacity() {
                for old in wakers.drain_all() {
                    let _ = more.push_within_capacity(old);
                }
                core::mem::swap(&mut *wakers, &mut more);
            }
            // Its waker outlives it, whatever happens to it.
            let waker = context.waker().clone();
            if wakers.push_within_capacity(waker).is_ok() {
                return Poll::Pending;
            }
            // Memory is allocated without the lock. Meanwhile others may do the same, or
            // the signal comes.
            let capacity = wakers.capacity() * 2 + 16;
            drop(wakers);
            match KVec::with_capacity(capacity, GFP_KERNEL) {
                Ok(new) => more = new,
                Err(_) => {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
    }
}

/// Polls a future once, in whatever task, before it is moved to another.
async fn begin(mut future: Pin<&mut impl Future>) {
    poll_fn(|context| {
        let _ = future.as_mut().poll(context);
        Poll::Ready(())
    })
    .await
}

/// Is never over, and never lets its worker rest.
struct Restless(Owned);

impl Future for Restless {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.check_context();
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Both directions of a connection at once.
async fn copy(stream: Arc<TcpStream>) -> Result {
    let mut buffer = [0; 64];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n]).await?;
    }
}

async fn serve(kind: usize, stream: TcpStream, executor: Spawner) -> Result {
    let stream = Arc::new(stream, GFP_KERNEL)?;
    match kind {
        // An echo by four tasks that all read from the same connection.
        0 => {
            let mut tasks = KVec::new();
            for _ in 0..4 {
                tasks.push(executor.spawn(copy(stream.clone()))?, GFP_KERNEL)?;
            }
            while let Some(task) = tasks.pop() {
                task.await??;
            }
            Ok(())
        }
        // Says "late" as long as nothing comes.
        1 => loop {
            let mut buffer = [0; 64];
            let read = stream.read(&mut buffer);
            match select(read, sleep(Delta::from_millis(50))).await {
                Either::Left(Ok(n)) if n > 0 => stream.write_all(&buffer[..n]).await?,
                Either::Left(result) => return result.map(drop),
                Either::Right(()) => stream.write_all(b"late").await?,
            }
        },
        // Says who it is, and no more; then says what it has got to hear.
        2 => {
            stream.set_nodelay(true)?;
            stream.set_keepalive(true)?;
            let known = stream.nodelay()
                && stream.keepalive()
                && stream.read(&mut []).await? == 0
                && stream.write(&[]).await? == 0
                && stream.local_addr()?.ip().is_loopback()
                && stream.peer_addr()?.ip().is_loopback();
            stream
                .write_all(if known { b"known" } else { b"stranger" })
                .await?;
            stream.shutdown(Shutdown::Write)?;
            let mut buffer = [0; 64];
            while stream.read(&mut buffer).await? > 0 {}
            match stream.write(b"x").await {
                Err(error) if error == EPIPE => Ok(()),
                _ => Err(EINVAL),
            }
        }
        // A read that one task has begun and another one goes on with.
        3 => {
            let reader = stream.clone();
            let mut once = KBox::pin(
                async move {
                    let mut buffer = [0; 64];
                    let n = reader.read(&mut buffer).await?;
                    reader.write_all(&buffer[..n]).await
                },
                GFP_KERNEL,
            )?;
            begin(once.as_mut()).await;
            stream.write_all(b"moved").await?;
            executor.spawn(once)?.await?
        }
        // Reads byte by byte what has all come, and says how much of it was read
        // when another task got its turn.
        4 => {
            stream.read(&mut [0]).await?;
            let count = Arc::new(Atomic::new(1), GFP_KERNEL)?;
            let seen = count.clone();
            let other = executor.spawn(async move { seen.load(Relaxed) })?;
            while count.load(Relaxed) < MANY {
                stream.read(&mut [0]).await?;
                count.fetch_add(1, Relaxed);
            }
            stream.write_all(&u32::to_le_bytes(other.await?)).await
        }
        // A reader that is cancelled does not take anything with it.
        _ => {
            let reader = executor.spawn(copy(stream.clone()))?;
            sleep(Delta::from_millis(50)).await;
            reader.cancel();
            let cancelled = reader.await;
            stream
                .write_all(if cancelled.is_err() { b"gone" } else { b"here" })
                .await?;
            copy(stream).await
        }
    }
}

async fn listen(kind: usize, listener: TcpListener, executor: Spawner) -> Result {
    loop {
        let (stream, _) = listener.accept().await?;
        executor.spawn(serve(kind, stream, executor.clone()))?;
    }
}

/// Adds up the numbers from `depth` down, each in a task of its own.
fn sum(executor: Spawner, depth: u32) -> Result<JoinHandle<u32>> {
    let also = executor.clone();
    executor.spawn(async move {
        match depth {
            0 => 0,
            _ => match sum(also, depth - 1) {
                Ok(task) => depth + task.await.unwrap_or(1_000_000),
                Err(_) => 2_000_000,
            },
        }
    })
}

#[pin_data]
struct Tasks {
    #[pin]
    executor: Mutex<Option<Executor>>,
    /// Of the last executor.
    #[pin]
    spawner: Mutex<Option<Spawner>>,
    #[pin]
    handles: Mutex<KVec<JoinHandle<Owned>>>,
    counts: Arc<Counts>,
    signal: Arc<Signal>,
    softirqs: Arc<OwnedQueue>,
}

impl Tasks {
    fn spawner(&self) -> Result<Spawner> {
        self.spawner.lock().clone().ok_or(ENODEV)
    }

    /// Spawns `count` tasks that end with an output, and keeps their handles.
    fn spawn<F>(&self, count: usize, mut new: impl FnMut(Owned) -> F) -> Result
    where
        F: Future<Output = Owned> + Send + 'static,
    {
        let spawner = self.spawner()?;
        for _ in 0..count {
            let future = new(Owned::new(&self.counts)?);
            let counts = self.counts.clone();
            let handle = spawner.spawn(async move {
                let output = future.await;
                counts.ended.fetch_add(1, Relaxed);
                output
            })?;
            self.handles.lock().push(handle, GFP_KERNEL)?;
        }
        Ok(())
    }

    /// Waits for what a task gives.
    fn wait<T: Send + Unpin + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        let done = Arc::pin_init(Completion::new(), GFP_KERNEL)?;
        let output = Arc::pin_init(new_mutex!(None), GFP_KERNEL)?;
        let (tell, into): (_, Arc<Mutex<Option<T>>>) = (done.clone(), output.clone());
        self.spawner()?.spawn(async move {
            let value = future.await;
            *into.lock() = Some(value);
            tell.complete();
        })?;
        done.wait_interruptible()?;
        let value = output.lock().take();
        value.ok_or(EINVAL)
    }

    fn serve(&self, kind: usize, addr: SocketAddr) -> Result<u32> {
        let listener = TcpListener::bind(addr, 100)?;
        let port = listener.local_addr()?.port();
        let spawner = self.spawner()?;
        spawner.spawn(listen(kind, listener, spawner.clone()))?;
        Ok(port.into())
    }

    fn restart(&self, kind: usize) -> Result {
        // Without the lock: tasks end meanwhile.
        let old = self.executor.lock().take();
        drop(old);
        let flags = [Flags::UNBOUND, Flags::PERCPU, Flags::BH | Flags::PERCPU];
        let queue = match flags.get(kind) {
            Some(flags) => OwnedQueue::new(c"lkm_tasks", *flags, 0)?,
            None => OwnedQueue::new_ordered(c"lkm_tasks", Flags::NONE)?,
        };
        let executor = Executor::new(queue)?;
        *self.spawner.lock() = Some(executor.spawner());
        *self.executor.lock() = Some(executor);
        Ok(())
    }
}

fn errno<T>(result: Result<T>) -> u32 {
    result.map_or_else(|error| error.to_errno().unsigned_abs(), |_| 0)
}

#[vtable]
impl Operations for Tasks {
    type Private = ();

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        let number = arg.number();
        let ms = |number: usize| Delta::from_millis(number as i64);
        match cmd {
            NEW => self.restart(number)?,
            DROP => {
                let old = self.executor.lock().take();
                drop(old);
            }
            SPAWN_SHORT => self.spawn(number, |owned| async move { owned })?,
            SPAWN_ENDLESS => self.spawn(number, |owned| async move {
                pending::<()>().await;
                owned
            })?,
            SPAWN_WAITING => self.spawn(number, |owned| Signalled {
                signal: self.signal.clone(),
                since: self.signal.number.load(Relaxed),
                owned,
            })?,
            SPAWN_SLEEPING => {
                let mut left = number;
                self.spawn(number, |owned| {
                    left -= 1;
                    let duration = ms(left);
                    async move {
                        sleep(duration).await;
                        owned
                    }
                })?
            }
            SPAWN_RESTLESS => {
                let owned = Owned::new(&self.counts)?;
                self.spawner()?.spawn(Restless(owned))?;
            }
            OWNED => return Ok(self.counts.owned.load(Relaxed)),
            ENDED => return Ok(self.counts.ended.load(Relaxed)),
            MISPLACED => return Ok(self.counts.misplaced.load(Relaxed)),
            CANCEL => {
                for handle in &*self.handles.lock() {
                    handle.cancel();
                }
            }
            DROP_HANDLES => {
                let handles = core::mem::take(&mut *self.handles.lock());
                drop(handles);
            }
            FINISHED => {
                let handles = self.handles.lock();
                return Ok(handles.iter().filter(|h| h.is_finished()).count() as u32);
            }
            SIGNAL => {
                self.signal.number.fetch_add(1, Relaxed);
                let wakers = core::mem::take(&mut *self.signal.wakers.lock());
                for waker in wakers {
                    waker.wake();
                }
            }
            SIGNAL_AND_KEEP => {
                self.signal.number.fetch_add(1, Relaxed);
                for waker in &*self.signal.wakers.lock() {
                    waker.wake_by_ref();
                }
            }
            SIGNAL_IRQS_OFF => {
                self.signal.number.fetch_add(1, Relaxed);
                for waker in self.signal.wakers.lock().drain_all() {
                    waker.wake();
                }
            }
            SIGNAL_SOFTIRQ => {
                let signal = self.signal.clone();
                self.softirqs.spawn(GFP_KERNEL, move || {
                    signal.number.fetch_add(1, Relaxed);
                    for waker in signal.wakers.lock().drain_all() {
                        waker.wake_by_ref();
                        drop(waker);
                    }
                })?;
                self.softirqs.flush();
            }
            DROP_IN_SOFTIRQ => {
                for _ in 0..number {
                    let handle = self.spawner()?.spawn(sleep(Delta::from_micros(100)))?;
                    self.softirqs.spawn(GFP_KERNEL, move || drop(handle))?;
                }
                self.softirqs.flush();
            }
            SUM => {
                let spawner = self.spawner()?;
                let depth = number as u32;
                return self.wait(async move {
                    match sum(spawner, depth) {
                        Ok(task) => task.await.unwrap_or(3_000_000),
                        Err(_) => 4_000_000,
                    }
                });
            }
            JOIN_CANCELLED => {
                let owned = Owned::new(&self.counts)?;
                let spawner = self.spawner()?;
                return self.wait(async move {
                    let task = spawner.spawn(async move {
                        pending::<()>().await;
                        drop(owned);
                    });
                    let Ok(task) = task else { return 0 };
                    sleep(Delta::from_millis(20)).await;
                    task.cancel();
                    errno(task.await)
                });
            }
            SLEEP => {
                let begin = Instant::<Monotonic>::now();
                self.wait(sleep(ms(number)))?;
                return Ok(begin.elapsed().as_millis() as u32);
            }
            SLEEP_MOVED => {
                let spawner = self.spawner()?;
                let mut short = KBox::pin(sleep(ms(100)), GFP_KERNEL)?;
                return self.wait(async move {
                    begin(short.as_mut()).await;
                    match spawner.spawn(short) {
                        Ok(task) => match select(task, sleep(Delta::from_secs(3600))).await {
                            Either::Left(_) => 1,
                            Either::Right(()) => 2,
                        },
                        Err(_) => 3,
                    }
                });
            }
            SELECT => {
                let time = |number| match number {
                    0xffff => Delta::from_secs(i64::MAX),
                    _ => ms(number),
                };
                let (a, b) = (sleep(time(number & 0xffff)), sleep(time(number >> 16)));
                return self.wait(async move {
                    match select(a, b).await {
                        Either::Left(()) => 1,
                        Either::Right(()) => 2,
                    }
                });
            }
            SPAWN_LATE => {
                let owned = Owned::new(&self.counts)?;
                let spawner = self.spawner()?;
                return Ok(errno(spawner.spawn(async move { drop(owned) })));
            }
            SERVE => return self.serve(number, (Ipv4Addr::LOCALHOST, 0).into()),
            SERVE_V6 => return self.serve(number, (Ipv6Addr::LOCALHOST, 0).into()),
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

#[pin_data(PinnedDrop)]
struct Module {
    #[pin]
    tasks: procfs::Entry<Tasks>,
}

impl kernel::InPlaceModule for Module {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let signal = pin_init!(Signal {
            wakers <- new_irq_spinlock!(KVec::new()),
            number: Atomic::new(0),
        });
        let tasks = try_pin_init!(Tasks {
            executor <- new_mutex!(None),
            spawner <- new_mutex!(None),
            handles <- new_mutex!(KVec::new()),
            counts: Arc::new(
                Counts {
                    owned: Atomic::new(0),
                    ended: Atomic::new(0),
                    misplaced: Atomic::new(0),
                },
                GFP_KERNEL,
            )?,
            signal: Arc::pin_init(signal, GFP_KERNEL)?,
            softirqs: OwnedQueue::new(c"lkm_softirqs", Flags::BH | Flags::PERCPU, 0)?,
        });
        try_pin_init!(Self {
            tasks <- procfs::Entry::new(c"tasks", mode!(0o600), tasks),
            _: { tasks.data().restart(0)?; },
        })
    }
}

#[pinned_drop]
impl PinnedDrop for Module {
    fn drop(self: Pin<&mut Self>) {
        let tasks = self.tasks.data();
        let old = tasks.executor.lock().take();
        drop(old);
        // Wakers of tasks that are gone, in all contexts.
        fsleep(Delta::from_millis(1));
        for waker in tasks.signal.wakers.lock().drain_all() {
            waker.wake();
        }
        if tasks.counts.misplaced.load(Relaxed) > 0 {
            pr_warn!("WARNING: a future was where it must not be\n");
        }
    }
}
