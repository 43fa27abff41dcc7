// SPDX-License-Identifier: GPL-2.0-only

//! What safe code cannot do to the kernel, and what it can.
//!
//! A module that has no `unsafe` of its own, and uses this crate, cannot make the kernel
//! run code or use data that is gone. It does not matter when the module is unloaded, what
//! user space does at that time, and which handles the module has lost.
//!
//! # How that is kept
//!
//! `rmmod` frees the module's code and data. Before that, the kernel must have nothing
//! of the module: no function that it may call, no memory that it has a pointer to.
//!
//! - What C gets a pointer to is in memory that this crate allocates and frees, and on a
//!   list, until it is taken back. It does not matter where its handle is.
//! - Dropping the handle takes it back, and waits for that. One who must not sleep, or
//!   would wait for himself, leaves that to a worker.
//! - What is still on the list when the module ends is taken back then, and the log names
//!   it. If that takes for ever, so does `rmmod`: the module stays. The same holds when
//!   init fails. Then nothing of the module is gone yet: functions of this crate are around
//!   its init and exit functions.
//! - What a lost handle owned is not dropped, and its memory stays.
//! - An operation gets a view of its file, which it cannot keep. Its buffer stays in its
//!   thread, and user space only gets bytes that were written to it. A process that polls
//!   waits only in queues that are there as long as the file, and one that wants signals
//!   is only in such a list. Bytes in pages that processes can write to are only copied, or
//!   used as atomic numbers.
//! - A guard of a lock, a thread's own handle, and a future that has one of them, cannot go
//!   to another thread: that does not compile.
//!
//! | what C has | when it is taken back |
//! | --- | --- |
//! | devices, files with operations in debugfs, also signed values and blobs | *owner held*: an open file keeps the module. *We wait* when init fails |
//! | subsystems in configfs | *owner held*: a directory that a process has made keeps the module. *Unregister waits*: when no function of an item runs. *We wait* for directories when init fails |
//! | disks | *owner held*: an open file, a mount and a swap area keep the module. *Unregister waits*: when no method runs. *We wait* when init fails |
//! | generic netlink families | *unregister waits*: when no command runs, of any family. *We wait* for those who send to a group |
//! | drivers of I2C devices | *unregister waits*: when no function of theirs runs. *We wait* for transfers, when a device goes |
//! | I2C adapters | *unregister waits*: when no method runs. *Owner held*: an open `/dev/i2c-N` keeps the module. *Unregister waits* for that, too, when init fails |
//! | input devices | *unregister waits*: when no function of theirs runs. *We wait* for those who report |
//! | net devices | *unregister waits*: when no function of theirs runs, and nobody has a reference. *We wait* for those who read the counters |
//! | drivers for platform devices | *unregister waits*: when no device has the driver, and no method runs |
//! | platform devices, overlays of the device tree, memory for devices | C has nothing of the module. *Unregister waits* for drivers |
//! | objects that other modules call | *we wait*: when no method runs. *Owner held* for the module whose symbol was imported |
//! | files in `/proc` and sysfs, attributes of device classes, unsigned values and `bool`s in debugfs | *unregister waits*: when no operation runs. The directory of a file stays until the file is gone |
//! | parameters | *unregister waits*: the module core does, and *we wait* for callbacks |
//! | threads | *unregister waits*: when the thread has left the module |
//! | work items, closures, tasks, tasklets | *unregister waits*: when it does not run, and is in no queue |
//! | timers | *unregister waits*: when it does not run, and is not set |
//! | probes | *unregister waits*: when no handler of it runs |
//! | trace events | *unregister waits*: the tracing core does, after the module's end |
//! | files that want signals | *owner held*: C takes each off its list before it is released |
//! | pages that processes map, and who is asked for them | *owner held*: a mapping keeps its file open. C counts who uses a page |
//! | wait queues that processes poll | *we wait*: when the last has gone. One that is lost stays in memory |
//! | sockets that tasks wait for | *unregister waits*: its callback is taken out |
//! | interrupts | *unregister waits*: when the handler runs nowhere |
//! | PCI drivers | *unregister waits*: when no method runs, and no device has the driver |
//! | registers, interrupts and memory of a PCI device | C has the driver's name. *We wait* for those who use them when the driver has the device no more |
//! | USB drivers | *unregister waits*: when no method runs. *We wait* for those who transfer |
//! | GPIO lines | C has nothing of the module. *We wait* for those who use a lost one |
//! | GPIO controllers | *owner held*: a requested line keeps the module. *Unregister waits*: when no method runs. *We wait* when init fails |
//!
//! # What safe code can still do
//!
//! Some of this stops the machine. None of it runs code that is gone, but for the points
//! that say what the promise needs.
//!
//! - **Panic**: an index out of bounds, an overflow, `unwrap` of nothing. The kernel says
//!   BUG, and the thread ends where it is. What it had locked stays so, and the module
//!   can perhaps not be unloaded. A queue that it was waiting in still has a pointer to its
//!   stack: here the promise needs a kernel that stops then, by `panic_on_oops`.
//! - **Wait or go on for ever**: a loop, a deadlock, an operation that nothing ends. `rmmod`
//!   then waits, too, or is refused. Threads and work items that would wait for themselves, by
//!   drops, stops and joins of each other alone, are found, and do not wait, if all of them are
//!   of one module. Others are not: an operation that drops its own file in `/proc`, sysfs or
//!   debugfs, a method that drops its own object while another module calls it, a task that
//!   drops the thread that drops its executor, or a handler of an input device that waits for
//!   somebody who makes or drops one, or has another module do so. The same holds for a method
//!   of a disk, of a driver or of an I2C adapter, a function of an item in configfs, and a
//!   command of generic netlink, with things of their kind. (All generic netlink of the machine
//!   may wait with such a command.) What opens or stops a net device must not wait for who
//!   makes or drops any of these: until it returns, nobody changes anything of the network. The
//!   thread of a PCI device's interrupt must not wait for who takes the device from its driver.
//!   Nor may a method of a disk wait for who allocates memory, or one of a GPIO controller for
//!   who changes the network, as a LED may show its traffic: neither makes or drops a net
//!   device. User space can keep a GPIO controller from going, as long as a `read(2)` of its
//!   `/dev/gpiochipN` waits, and a subsystem in configfs, as long as it does not remove its
//!   directories. While more than 64 tasks are in functions of these kinds, all counted
//!   together, nobody knows who: then nothing of them can be made (`EDEADLK`), and what is
//!   dropped goes later.
//! - **Sleep where it must not**: in a tasklet or a timer, in the hard part of an interrupt's
//!   handler, on a `BH` queue, in a probe, where a net device sends or polls, with a spinlock
//!   held. The documentation says what may sleep. A debug kernel finds it. In a probe here the
//!   promise needs handlers that do not: the kernel thinks that the probe's CPU is still in
//!   it. Who forgets the guard of a lock holds the lock for ever, with what goes with it:
//!   interrupts may stay off.
//! - **Allocate or free memory in a probe.** What was interrupted may be doing just that:
//!   here the promise needs handlers that do not. A probe on a function that the kernel
//!   itself needs to get to a probe, as KASAN's are, stops the machine.
//! - **Tell a device where to write.** A PCI device that may access memory writes to any
//!   address that it is told, also of memory that was freed meanwhile. Here the promise needs
//!   drivers that tell it of [`Coherent`](crate::pci::Coherent) memory only, and wait until it
//!   has done before they drop that, and before they let it access memory
//!   ([`set_master`](crate::pci::Device::set_master)): it may still be at what somebody has told
//!   it earlier. When the driver has the device no more, it writes nowhere.
//! - **Use up memory, threads or numbers.** That is an error to who asks for more,
//!   which may be somebody else.
//! - **Overflow the stack**: by recursion, or by variables of many KiB. The build
//!   complains of functions that use more than 1 KiB, and what a thread, a task or a queue
//!   is to run does not compile if it has more. The kernel stops when the stack is full if
//!   it was built with `CONFIG_VMAP_STACK`: a page guards the stack's end. Without the
//!   option what lies beyond is overwritten, and so it is by a function that uses more than
//!   that page, 4 KiB. Such a function does not build, if the kernel's `READELF` is
//!   `llvm-readelf`, which can tell: here the promise needs a kernel of LLVM's tools.
//! - **Do the wrong thing**: lose data, say what is a secret, let anybody write.
//!
//! # What others do
//!
//! Not all that the `kernel` crate has keeps the unload rule, or memory. This crate has its own
//! in the place of the following, and a module that uses theirs has no promise. Each has a module
//! of safe code that shows it on Linux 7.2, `tests/fixtures/kernel-crate-NAME`. A test tells when
//! one no longer does.
//!
//! | NAME | what the `kernel` crate does | what comes of it |
//! | --- | --- | --- |
//! | `miscdevice`, `debugfs`, `disk` | it names no owner, so an open file does not keep the module | closing the file uses what is gone |
//! | `workqueue` | nothing keeps the module while its work item waits or runs | the work item runs code that is gone |
//! | `hrtimer` | only dropping its handle stops a timer | a timer whose handle is lost runs code that is gone |
//! | `platform` | only dropping its handle unregisters a driver, on all buses | the kernel asks a driver that is gone whether it is for a device |
//! | `pci` | only dropping it gives up the registers of a device | a lost one leaves a name that is gone in `/proc/iomem` |
//! | `usb` | it drops the data of a driver by a pointer that is cleared by then | the data is never dropped |
//! | `i2c` | resources of a device go before the data of its driver | dropping the data uses what was freed |
//! | `property` | it takes what another module says of a device for what it asks for | it follows a number, or null, as the address of a text |
//! | `configfs-name` | what could not be registered, as the name is taken, is unregistered | the kernel stops |
//! | `configfs-root` | the data of a subsystem is looked for where that of a group is | an attribute shows or changes what it is not of |
//!
//! And there are these:
//!
//! - On Linux 7.2 the `kernel` crate's `irq::Registration` asks for an interrupt before what the
//!   handler needs is there. One that comes at once follows a wild pointer. (No module shows it,
//!   as it takes an interrupt at that very moment.)
//! - The `kernel` crate's `uaccess` takes any address in any thread. In a thread of the
//!   kernel that is the memory of some process. (No module shows it, as whose memory that is
//!   depends on who ran before.) This crate's
//!   [`Argument`](crate::file::Argument), [`Reader`](crate::file::Reader) and
//!   [`Writer`](crate::file::Writer) cannot leave their thread.
//! - Another module that this one calls, or that calls it: what holds for a module holds for
//!   those that it shares an [`interface`](mod@crate::interface) with, if all of them are as
//!   described here.
//! - A GPIO chip of another module, or of the kernel, that goes while this module is requesting
//!   an interrupt of it. In C neither waits for the other.
//! - An open of `/dev/i2c-N` on Linux 6.18 that begins just when the adapter is dropped, while
//!   its module stays. The kernel finds the adapter by its number a moment too long.
//! - A device that comes when its driver cannot be registered for want of memory. The kernel
//!   uses a driver then that it has just given back.
//! - An `lseek(2)` on an open directory of configfs on Linux 6.18, just when that directory is
//!   removed, or, on the topmost one, just when a subsystem is made. The kernel walks a list
//!   without the lock that the call changes it with. That is so in C, too.
//! - A driver in C for the name of a `platform::OwnDevice`: it gets the device, and may trust
//!   what that has not got, as data of a board, or the types of properties.
//! - Another subsystem in configfs that takes symbolic links to directories, as that of USB
//!   gadgets does: while `symlink(2)` makes one there, `rmdir(2)` can remove its target, and the
//!   kernel uses what is gone. That is so in C, too.
//! - C code of the module, and what its header promises.
//! - `rmmod -f`, live patches and debuggers ask nobody.
