// SPDX-License-Identifier: GPL-2.0-only
/*
 * Inline functions and macros of C headers as functions that Rust can call. There
 * is one file for each subsystem; all are compiled as one.
 */

#include "alive.c"
#include "chrdev.c"
#include "completion.c"
#include "debugfs.c"
#include "entry.c"
#include "gpio.c"
#include "irq.c"
#include "gpio_chip.c"
#include "input.c"
#include "iter.c"
#include "kprobe.c"
#include "kthread.c"
#include "memory.c"
#include "mmap.c"
#include "net.c"
#include "preempt.c"
#include "proc_fs.c"
#include "rwlock.c"
#include "semaphore.c"
#include "spinlock.c"
#include "task.c"
#include "tasklet.c"
#include "time.c"
#include "timer.c"
#include "tty.c"
#include "vt.c"
#include "wait.c"
#include "workqueue.c"
