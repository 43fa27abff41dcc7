/* SPDX-License-Identifier: GPL-2.0-only */
/* Inline functions and macros of C headers as functions that Rust can call. */
#ifndef LKM_HELPERS_H
#define LKM_HELPERS_H

#include <linux/cdev.h>
#include <linux/completion.h>
#include <linux/dcache.h>
#include <linux/interrupt.h>
#include <linux/kthread.h>
#include <linux/net.h>
#include <linux/preempt.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/semaphore.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/uio.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

/* The character devices by device number; see chrdev.rs. */
extern struct xarray lkm_chrdevs;

/* The module's entry points; see entry.rs. Where a module is in its life: */
enum lkm_phase {
	LKM_LOADING,	/* Its init function has not begun. */
	LKM_INIT,	/* Its init function runs. */
	LKM_LIVE,	/* Its init function has returned. */
	LKM_END,	/* So has its exit function, or init did with an error. */
};
unsigned int lkm_phase(void);
unsigned int lkm_call_at_end(void (*function)(void));
bool lkm_init_begin(void);
void lkm_init_end(void);
int lkm_init(void);
void lkm_exit(void);
int __wrap_init_module(void);
void __wrap_cleanup_module(void);

unsigned long lkm_alive_lock(void);
void lkm_alive_unlock(unsigned long flags);
/* In alive.rs. */
void lkm_reap(struct work_struct *work);
void lkm_reaper_end(void);
void lkm_reaper_start(void);

void lkm_current_comm(char *into);
bool lkm_debugfs_note(struct dentry *dentry);
unsigned char lkm_interrupt_context_level(void);
const void *lkm_iter_address(const struct iov_iter *iter);
void lkm_iter_user(struct iov_iter *iter, unsigned int direction, void *buf,
		   size_t len);
long lkm_jiffies(s64 ns);
void lkm_kthread_interrupt(struct task_struct *task);
long lkm_kthread_sleep(long timeout, const u32 *state, u32 until);
void *lkm_pde_data(const struct inode *inode);

unsigned long lkm_read_lock_irqsave(rwlock_t *lock);
void lkm_read_unlock_irqrestore(rwlock_t *lock, unsigned long flags);
void lkm_reinit_completion(struct completion *completion);
void lkm_rwlock_init(rwlock_t *lock, const char *name,
		     struct lock_class_key *key);
void lkm_sema_init(struct semaphore *sem, unsigned int permits);

int lkm_sock_accepted_from(struct socket *sock, struct sockaddr *addr);
int lkm_sock_error(struct socket *sock);
void lkm_sock_hold_net(struct socket *sock);
bool lkm_sock_keepalive(struct socket *sock);
unsigned int lkm_sock_poll(struct socket *sock);
void lkm_sock_set_timeout(struct socket *sock, bool write, long timeout);
int lkm_sock_setsockopt(struct socket *sock, int level, int name, int value);
bool lkm_tcp_nodelay(struct socket *sock);
int lkm_tcp_set_nodelay(struct socket *sock, bool nodelay);

unsigned long lkm_spin_lock_irqsave(spinlock_t *lock);
bool lkm_spin_trylock_irqsave(spinlock_t *lock, unsigned long *flags);
void lkm_spin_unlock_irqrestore(spinlock_t *lock, unsigned long flags);
void lkm_tasklet_close(struct tasklet_struct *tasklet);
void lkm_tasklet_schedule(struct tasklet_struct *tasklet);
u64 lkm_totalram(void);
void lkm_udelay(u64 usec);
bool lkm_waitqueue_active(struct wait_queue_head *head);
bool lkm_work_is_pending(const struct delayed_work *work);
unsigned long lkm_write_lock_irqsave(rwlock_t *lock);
void lkm_write_unlock_irqrestore(rwlock_t *lock, unsigned long flags);

#endif
