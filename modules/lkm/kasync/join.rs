// SPDX-License-Identifier: GPL-2.0-only

//! Waiting for two futures, and giving others their turn.

use core::{
    future::Future,
    mem,
    pin::Pin,
    task::{
        Context,
        Poll, //
    },
};
use kernel::prelude::*;

/// Waits for two futures until both are ready, and gives both outputs. They take turns
/// in the same task, so neither runs while the other does. It must not be polled again
/// when it was ready. Can be called in any context.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::kasync::{join, net::TcpStream};
///
/// async fn greet(one: &TcpStream, two: &TcpStream) -> Result {
///     let (one, two) = join(one.write_all(b"hello\n"), two.write_all(b"hello\n")).await;
///     one.and(two)
/// }
/// ```
pub fn join<A: Future, B: Future>(a: A, b: B) -> Join<A, B> {
    Join {
        a: Side::Waits(a),
        b: Side::Waits(b),
    }
}

/// The future that [`join`] returns.
#[must_use = "a future does nothing unless it is awaited"]
#[pin_data]
pub struct Join<A: Future, B: Future> {
    #[pin]
    a: Side<A>,
    #[pin]
    b: Side<B>,
}

/// A future, and then its output. The output is never pinned.
enum Side<F: Future> {
    Waits(F),
    Ready(F::Output),
    Taken,
}

impl<F: Future> Side<F> {
    /// Polls the future if it is not ready yet. Returns whether it is.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> bool {
        // SAFETY: The future is pinned with the side, and is not moved.
        let output = match unsafe { self.as_mut().get_unchecked_mut() } {
            // SAFETY: As above.
            Self::Waits(future) => match unsafe { Pin::new_unchecked(future) }.poll(context) {
                Poll::Ready(output) => output,
                Poll::Pending => return false,
            },
            Self::Ready(_) | Self::Taken => return true,
        };
        self.set(Self::Ready(output));
        true
    }

    /// The output, if it is there.
    fn take(self: Pin<&mut Self>) -> Option<F::Output> {
        // SAFETY: Only an output is moved.
        let this = unsafe { self.get_unchecked_mut() };
        match this {
            Self::Ready(_) => match mem::replace(this, Self::Taken) {
                Self::Ready(output) => Some(output),
                _ => None,
            },
            _ => None,
        }
    }
}

impl<A: Future, B: Future> Future for Join<A, B> {
    type Output = (A::Output, B::Output);

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let ready = this.a.as_mut().poll(context);
        if !(this.b.as_mut().poll(context) && ready) {
            return Poll::Pending;
        }
        match (this.a.take(), this.b.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            _ => Poll::Pending,
        }
    }
}

/// Lets other tasks run that wait for a worker of the same queue. A task that works for
/// long does so now and then. Can be called in any context.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::kasync::yield_now;
///
/// async fn sum(numbers: &[u64]) -> u64 {
///     let mut sum = 0;
///     for chunk in numbers.chunks(10_000) {
///         sum += chunk.iter().sum::<u64>();
///         yield_now().await;
///     }
///     sum
/// }
/// ```
pub fn yield_now() -> Yield {
    Yield { yielded: false }
}

/// The future that [`yield_now`] returns.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Yield {
    yielded: bool,
}

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if mem::replace(&mut self.yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
