// SPDX-License-Identifier: GPL-2.0-only

//! Waiting for the first of two futures.

use super::{
    sleep,
    Sleep, //
};
use core::{
    future::Future,
    pin::Pin,
    task::{
        Context,
        Poll, //
    },
};
use kernel::{
    prelude::*,
    time::Delta, //
};

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
/// use lkm::kasync::{net::TcpStream, select, Either};
///
/// /// Reads from the stream that has data first.
/// async fn either(one: &TcpStream, two: &TcpStream, buffer: &mut [u8]) -> Result<usize> {
///     let from = match select(one.readable(), two.readable()).await {
///         Either::Left(_) => one,
///         Either::Right(_) => two,
///     };
///     from.read(buffer).await
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

/// Waits for `future`, but for `time` at the longest, counted from this call. It must
/// not be polled again when it was ready. Can be called in any context except NMI.
///
/// # Errors
///
/// - `ETIMEDOUT`: `time` is over.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use kernel::time::Delta;
/// use lkm::kasync::{net::TcpStream, timeout};
///
/// async fn read(stream: &TcpStream, buffer: &mut [u8]) -> Result<usize> {
///     timeout(Delta::from_secs(10), stream.read(buffer)).await?
/// }
/// ```
pub fn timeout<F: Future>(time: Delta, future: F) -> Timeout<F> {
    Timeout {
        future,
        end: sleep(time),
    }
}

/// The future that [`timeout`] returns.
#[must_use = "a future does nothing unless it is awaited"]
#[pin_data]
pub struct Timeout<F> {
    #[pin]
    future: F,
    #[pin]
    end: Sleep,
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(context) {
            return Poll::Ready(Ok(output));
        }
        this.end.poll(context).map(|()| Err(ETIMEDOUT))
    }
}
