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
#include "iter.c"
#include "kthread.c"
#include "memory.c"
#include "net.c"
#include "preempt.c"
#include "proc_fs.c"
#include "rwlock.c"
#include "semaphore.c"
#include "spinlock.c"
#include "task.c"
#include "tasklet.c"
#include "time.c"
#include "wait.c"
#include "workqueue.c"
