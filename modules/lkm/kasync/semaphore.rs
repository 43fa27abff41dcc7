// SPDX-License-Identifier: GPL-2.0-only

//! A semaphore for tasks.

use crate::sync::{
    new_irq_spinlock,
    IrqSpinLock, //
};
use core::{
    future::Future,
    pin::Pin,
    task::{
        Context,
        Poll,
        Waker, //
    },
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// A counting semaphore for tasks: a number of permits that they take and give back.
/// [`sync::Semaphore`](crate::sync::Semaphore) is the one for threads.
///
/// Waiting tasks get permits in the order in which they came.
///
/// # Unloading
///
/// Nothing is registered.
///
/// # Examples
///
/// At most ten clients at a time:
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::kasync::{net::{TcpListener, TcpStream}, Semaphore, Spawner};
///
/// async fn greet(stream: TcpStream) -> Result {
///     stream.write_all(b"hello\n").await
/// }
///
/// async fn serve(listener: TcpListener, spawner: Spawner) -> Result {
///     let clients = Semaphore::new(10)?;
///     loop {
///         let permit = clients.acquire().await?;
///         let (stream, _) = listener.accept().await?;
///         spawner.spawn(async move {
///             let result = greet(stream).await;
///             drop(permit);
///             result
///         })?;
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Semaphore(Arc<Shared>);

#[pin_data]
struct Shared {
    #[pin]
    state: IrqSpinLock<State>,
}

struct State {
    permits: usize,
    /// The tasks that wait, the first one first. Some have been given a permit.
    waiters: KVec<Waiter>,
    next_number: u64,
}

struct Waiter {
    number: u64,
    /// [`None`] when it has been given a permit.
    waker: Option<Waker>,
}

impl Semaphore {
    /// Creates a semaphore with `permits` permits. May sleep.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: no memory.
    pub fn new(permits: usize) -> Result<Self> {
        let shared = pin_init!(Shared {
            state <- new_irq_spinlock!(State {
                permits,
                waiters: KVec::new(),
                next_number: 0,
            }, "Semaphore::state"),
        });
        Ok(Self(Arc::pin_init(shared, GFP_KERNEL)?))
    }

    /// Waits for a permit and takes it. The permit does not borrow the semaphore. If the
    /// future is dropped before it is ready, no permit was taken. One that is forgotten
    /// keeps its place among those that wait, and the permit that it is given. Can be
    /// called in any context, and awaited in process context.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: no memory to wait with.
    pub fn acquire(&self) -> Acquire {
        Acquire {
            shared: self.0.clone(),
            number: None,
        }
    }

    /// Takes a permit if there is one that nobody waits for. Can be called in any context
    /// except NMI.
    pub fn try_acquire(&self) -> Option<Permit> {
        let taken = self.0.state.lock().take();
        taken.then(|| Permit(self.0.clone()))
    }
}

impl State {
    fn take(&mut self) -> bool {
        let taken = self.permits > 0;
        self.permits -= usize::from(taken);
        taken
    }

    fn place(&self, number: u64) -> Option<usize> {
        self.waiters.iter().position(|it| it.number == number)
    }
}

impl Shared {
    /// Gives a permit back: to the first who waits, if anybody does.
    fn give(&self) {
        let mut state = self.state.lock();
        let first = state.waiters.iter_mut().find_map(|it| it.waker.take());
        if first.is_none() {
            state.permits += 1;
        }
        drop(state);
        if let Some(first) = first {
            first.wake();
        }
    }
}

/// The future that [`Semaphore::acquire`] returns.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Acquire {
    shared: Arc<Shared>,
    /// That of the entry in the list of those that wait.
    number: Option<u64>,
}

impl Future for Acquire {
    type Output = Result<Permit>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Both are dropped without the lock.
        let mut new = Some(context.waker().clone());
        let mut old = None;
        let shared = self.shared.clone();
        let mut state = shared.state.lock();
        let place = self.number.and_then(|number| state.place(number));
        let ready = match place {
            None if state.take() => true,
            None => {
                let number = state.next_number;
                let waiter = Waiter { number, waker: new };
                new = None;
                if let Err(error) = state.waiters.push(waiter, GFP_ATOMIC) {
                    drop(state);
                    return Poll::Ready(Err(error.into()));
                }
                state.next_number += 1;
                self.number = Some(number);
                false
            }
            Some(place) => match &mut state.waiters[place].waker {
                Some(waker) => {
                    old = new.take().map(|new| core::mem::replace(waker, new));
                    false
                }
                // It was given a permit.
                None => {
                    let _ = state.waiters.remove(place);
                    self.number = None;
                    true
                }
            },
        };
        drop(state);
        drop((old, new));
        match ready {
            true => Poll::Ready(Ok(Permit(shared))),
            false => Poll::Pending,
        }
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut state = self.shared.state.lock();
        let place = state.place(number);
        let waiter = place.map(|place| state.waiters.remove(place));
        drop(state);
        // One that it was given and did not take.
        if let Some(Ok(Waiter { waker: None, .. })) = waiter {
            self.shared.give();
        }
    }
}

/// A permit of a [`Semaphore`]. Dropping it gives the permit back, and is possible in
/// any context except NMI.
#[must_use = "a permit is given back when it is dropped"]
pub struct Permit(Arc<Shared>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.give();
    }
}
