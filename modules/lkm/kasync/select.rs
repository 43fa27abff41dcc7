// SPDX-License-Identifier: GPL-2.0-only

//! Waiting for two things at once.

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
    /// That of the first future.
    Left(A),
    /// That of the second.
    Right(B),
}

/// Waits for two futures until one of them is ready; both are dropped then. When
/// both are, it is the first.
///
/// # Examples
///
/// ```ignore
/// match select(stream.read(&mut buffer), sleep(Duration::from_secs(10))).await {
///     Either::Left(read) => pr_info!("{} bytes\n", read?),
///     Either::Right(()) => pr_info!("nothing for ten seconds\n"),
/// }
/// ```
pub fn select<A: Future, B: Future>(a: A, b: B) -> Select<A, B> {
    Select { a, b }
}

/// What [`select`] returns.
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
