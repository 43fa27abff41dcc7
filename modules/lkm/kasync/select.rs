// SPDX-License-Identifier: GPL-2.0-only

//! Waiting for the first of two futures.

use core::{
    future::Future,
    pin::Pin,
    task::{
        Context,
        Poll, //
    },
};
use kernel::prelude::*;

/// What [`select`] gives: the output of the future that was ready first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The output of the first future.
    Left(A),
    /// The output of the second future.
    Right(B),
}

/// Waits for two futures until one of them is ready, and gives its output. If
/// both are ready, it gives the output of `a`. After an `await` both futures
/// are dropped. It must not be polled again when it was ready. Can be called in any
/// context.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use core::{future::Future, time::Duration};
/// use lkm::kasync::{select, sleep, Either};
///
/// /// Fails with `ETIMEDOUT` when `future` takes more than ten seconds.
/// async fn soon<T>(future: impl Future<Output = T>) -> Result<T> {
///     match select(future, sleep(Duration::from_secs(10))).await {
///         Either::Left(output) => Ok(output),
///         Either::Right(()) => Err(ETIMEDOUT),
///     }
/// }
/// ```
pub fn select<A: Future, B: Future>(a: A, b: B) -> Select<A, B> {
    Select { a, b }
}

/// The future that [`select`] returns.
#[must_use = "a future does nothing unless it is awaited"]
#[pin_data]
pub struct Select<A, B> {
    #[pin]
    a: A,
    #[pin]
    b: B,
}

impl<A: Future, B: Future> Future for Select<A, B> {
    type Output = Either<A::Output, B::Output>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.a.poll(context) {
            return Poll::Ready(Either::Left(output));
        }
        this.b.poll(context).map(Either::Right)
    }
}
