// SPDX-License-Identifier: GPL-2.0-only

//! Test only: futures of `lkm::kasync`. A task awaits them, and says what came of it.

use core::{
    future::pending,
    net::{
        Ipv4Addr,
        SocketAddr, //
    }, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
    time::Delta, //
};
use lkm::{
    kasync::{
        join,
        net::{
            TcpListener,
            TcpStream,
            UdpSocket, //
        },
        select, sleep, timeout, yield_now, Either, Executor, Semaphore, Spawner,
    },
    workqueue::{
        Flags,
        OwnedQueue, //
    },
};

module! {
    type: Futures,
    name: "futures",
    authors: ["lkmpg-rs"],
    description: "Test only: futures of lkm::kasync",
    license: "GPL",
}

const SOON: Delta = Delta::from_millis(10);
/// The `kernel` crate has no name for it.
const ECONNREFUSED: i32 = 111;
/// That of Linux 6.18 has none for this, either.
const EMSGSIZE: i32 = 90;
const NEVER: Delta = Delta::from_secs(100_000);
const ANY_PORT: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Fails where a test does not hold.
fn check(holds: bool) -> Result {
    match holds {
        true => Ok(()),
        false => Err(EIO),
    }
}

async fn both_of_two() -> Result {
    let slow = async {
        sleep(SOON).await;
        1
    };
    check(join(slow, async { "two" }).await == (1, "two"))?;
    check(join(async { 3 }, sleep(SOON)).await == (3, ()))?;
    // Outputs that are never taken are dropped.
    let never = join(async { KBox::new(4, GFP_KERNEL) }, pending::<()>());
    check(timeout(SOON, never).await.is_err())
}

async fn in_time() -> Result {
    check(timeout(SOON, pending::<()>()).await == Err(ETIMEDOUT))?;
    check(timeout(Delta::ZERO, pending::<()>()).await == Err(ETIMEDOUT))?;
    // What is ready is ready.
    check(timeout(Delta::ZERO, async { 7 }).await == Ok(7))?;
    check(timeout(NEVER, async { 7 }).await == Ok(7))?;
    check(timeout(Delta::from_secs(i64::MAX), sleep(SOON)).await == Ok(()))
}

/// All tasks here have one worker.
async fn others_have_their_turn(spawner: Spawner) -> Result {
    let turns = Arc::new(Atomic::new(0_u32), GFP_KERNEL)?;
    let other = turns.clone();
    let task = spawner.spawn(async move {
        for _ in 0..10 {
            other.fetch_add(1, Relaxed);
            yield_now().await;
        }
    })?;
    while turns.load(Relaxed) < 10 {
        yield_now().await;
    }
    task.await
}

/// How many tasks have a permit, and how many have had one.
type Counts = Arc<(Atomic<u32>, Atomic<u32>)>;

async fn use_permit(semaphore: Semaphore, counts: Counts) -> Result {
    let _permit = semaphore.acquire().await?;
    check(counts.0.fetch_add(1, Relaxed) < 2)?;
    sleep(Delta::from_millis(1)).await;
    counts.0.fetch_add(u32::MAX, Relaxed);
    counts.1.fetch_add(1, Relaxed);
    Ok(())
}

async fn permits(spawner: Spawner) -> Result {
    let semaphore = Semaphore::new(2)?;
    // Many tasks, of which two have a permit at a time.
    let counts: Counts = Arc::new((Atomic::new(0), Atomic::new(0)), GFP_KERNEL)?;
    let mut tasks = KVec::new();
    for _ in 0..30 {
        let task = spawner.spawn(use_permit(semaphore.clone(), counts.clone()))?;
        tasks.push(task, GFP_KERNEL)?;
    }
    while let Some(task) = tasks.pop() {
        task.await??;
    }
    check(counts.1.load(Relaxed) == 30)?;

    let one = semaphore.try_acquire().ok_or(EIO)?;
    let two = semaphore.try_acquire().ok_or(EIO)?;
    check(semaphore.try_acquire().is_none())?;
    // Who waits no more takes none, and who comes later gets none before who came first.
    check(timeout(SOON, semaphore.acquire()).await.is_err())?;
    let mut first = core::pin::pin!(semaphore.acquire());
    check(timeout(SOON, first.as_mut()).await.is_err())?;
    drop(one);
    check(semaphore.try_acquire().is_none())?;
    check(timeout(SOON, semaphore.acquire()).await.is_err())?;
    let first = first.await?;
    // One that was given a permit and did not take it gives it back.
    {
        let mut given = core::pin::pin!(semaphore.acquire());
        check(timeout(SOON, given.as_mut()).await.is_err())?;
        drop(two);
    }
    drop(first);
    let all = (semaphore.try_acquire(), semaphore.try_acquire());
    check(all.0.is_some() && all.1.is_some() && semaphore.try_acquire().is_none())?;
    // Without any, and with one that was made later.
    let none = Semaphore::new(0)?;
    check(timeout(SOON, none.acquire()).await.is_err())
}

async fn connections() -> Result {
    let listener = TcpListener::bind(ANY_PORT, 16)?;
    let addr = listener.local_addr()?;
    let (here, there) = join(TcpStream::connect(addr), listener.accept()).await;
    let (here, (there, from)) = (here?, there?);
    check(here.local_addr()? == from && here.peer_addr()? == addr)?;

    // It is not readable before there is something, which stays there to be read.
    check(timeout(SOON, there.readable()).await.is_err())?;
    here.write_all(b"hello").await?;
    there.readable().await?;
    let mut text = [0; 8];
    check(there.peek(&mut text[..2]).await? == 2 && text.starts_with(b"he"))?;
    check(there.read(&mut text).await? == 5 && text.starts_with(b"hello"))?;
    check(there.peek(&mut []).await? == 0)?;
    drop(here);
    there.readable().await?;
    check(there.peek(&mut text).await? == 0)?;

    // The address of one that is gone before it is accepted.
    let gone = TcpStream::connect(addr).await?;
    let from = gone.local_addr()?;
    gone.write_all(b"x").await?;
    drop(gone);
    check(listener.accept().await?.1 == from)?;

    // Nobody waits any more.
    let (accepted, shut_down) = join(listener.accept(), async {
        sleep(SOON).await;
        listener.shutdown()
    })
    .await;
    shut_down?;
    check(matches!(accepted, Err(error) if error == EINVAL))?;
    check(matches!(listener.accept().await, Err(error) if error == EINVAL))?;
    let refused = TcpStream::connect(addr).await;
    check(matches!(refused, Err(error) if error.to_errno() == -ECONNREFUSED))
}

async fn messages() -> Result {
    let one = UdpSocket::bind(ANY_PORT)?;
    let two = UdpSocket::bind(ANY_PORT)?;
    let (one_addr, two_addr) = (one.local_addr()?, two.local_addr()?);
    let mut text = [0; 8];
    check(timeout(SOON, two.recv_from(&mut text)).await.is_err())?;
    // Each is one message, also one without a byte, and what does not fit is lost.
    for (sent, got) in [
        (&b"hello"[..], &b"hello"[..]),
        (b"", b""),
        (b"longer than that", b"longer t"),
    ] {
        one.send_to(sent, two_addr).await?;
        let (n, from) = two.recv_from(&mut text).await?;
        check(&text[..n] == got && from == one_addr)?;
    }
    // Who waits is woken.
    let (received, sent) = join(two.recv_from(&mut text), async {
        sleep(SOON).await;
        one.send_to(b"late", two_addr).await
    })
    .await;
    sent?;
    check(received?.0 == 4)?;
    let long = KVec::from_elem(0, 70_000, GFP_KERNEL)?;
    let too_long = one.send_to(&long, two_addr).await;
    check(matches!(too_long, Err(error) if error.to_errno() == -EMSGSIZE))?;
    // The first that is there.
    two.send_to(b"first", one_addr).await?;
    let mut other = [0; 8];
    match select(one.recv_from(&mut text), two.recv_from(&mut other)).await {
        Either::Left(received) => check(received?.1 == two_addr),
        Either::Right(_) => Err(EIO),
    }
}

/// As `Delta::from_nanos`, which Linux 6.18 lacks.
fn from_nanos(nanos: i64) -> Delta {
    // 1000 % 999.
    let one = Delta::from_micros(1).rem_nanos(999);
    one * nanos
}

/// The least and the most that can be given.
async fn numbers() -> Result {
    for none in [0, -1, i64::MIN + 1, i64::MIN] {
        sleep(from_nanos(none)).await;
        let late = timeout(from_nanos(none), pending::<()>()).await;
        check(late == Err(ETIMEDOUT))?;
    }
    for most in [i64::MAX - 1, i64::MAX] {
        let most = from_nanos(most);
        check(timeout(SOON, sleep(most)).await.is_err())?;
    }
    for permits in [1, usize::MAX - 1, usize::MAX] {
        let semaphore = Semaphore::new(permits)?;
        drop(semaphore.acquire().await?);
        drop(semaphore.try_acquire().ok_or(EIO)?);
    }
    for backlog in [0, 1, u32::MAX - 1, u32::MAX] {
        let listener = TcpListener::bind(ANY_PORT, backlog)?;
        TcpStream::connect(listener.local_addr()?).await?;
        listener.accept().await?;
    }
    Ok(())
}

/// Runs each in a task of its own, one after the other, and says what came of it.
async fn all(spawner: Spawner) -> Result {
    let say = |name: &str, result: Result| pr_info!("{name}: {result:?}\n");
    say("both of two", spawner.spawn(both_of_two())?.await?);
    say("in time", spawner.spawn(in_time())?.await?);
    let turns = others_have_their_turn(spawner.clone());
    say("others have their turn", spawner.spawn(turns)?.await?);
    say("permits", spawner.spawn(permits(spawner.clone()))?.await?);
    say("connections", spawner.spawn(connections())?.await?);
    say("messages", spawner.spawn(messages())?.await?);
    say("numbers", spawner.spawn(numbers())?.await?);
    pr_info!("all\n");
    Ok(())
}

struct Futures {
    _executor: Executor,
}

impl kernel::Module for Futures {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let executor = Executor::new(OwnedQueue::new_ordered(c"futures", Flags::NONE)?)?;
        executor.spawn(all(executor.spawner()))?;
        Ok(Self {
            _executor: executor,
        })
    }
}
