// SPDX-License-Identifier: GPL-2.0-only

#include <net/sock.h>
#include <net/tcp.h>

#include "helpers.h"

DEFINE_XARRAY(lkm_chrdevs);

/* into has room for TASK_COMM_LEN. */
void lkm_current_comm(char *into)
{
	strscpy(into, current->comm, TASK_COMM_LEN);
}

unsigned char lkm_interrupt_context_level(void)
{
	return interrupt_context_level();
}

/* Of a kernel thread: it is woken when it is asked to stop or to park. */
long lkm_kthread_sleep(long timeout)
{
	set_current_state(TASK_INTERRUPTIBLE);
	if (!kthread_should_stop() && !kthread_should_park())
		timeout = schedule_timeout(timeout);
	__set_current_state(TASK_RUNNING);
	return timeout;
}

void *lkm_pde_data(const struct inode *inode)
{
	return pde_data(inode);
}

unsigned long lkm_read_lock_irqsave(rwlock_t *lock)
{
	unsigned long flags;

	read_lock_irqsave(lock, flags);
	return flags;
}

void lkm_read_unlock_irqrestore(rwlock_t *lock, unsigned long flags)
{
	read_unlock_irqrestore(lock, flags);
}

/* With the lock: complete() may be called meanwhile. */
void lkm_reinit_completion(struct completion *completion)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&completion->wait.lock, flags);
	reinit_completion(completion);
	raw_spin_unlock_irqrestore(&completion->wait.lock, flags);
}

void lkm_rwlock_init(rwlock_t *lock, const char *name,
		     struct lock_class_key *key)
{
#ifdef CONFIG_DEBUG_SPINLOCK
	__rwlock_init(lock, name, key);
#else
	rwlock_init(lock);
#endif
}

void lkm_sema_init(struct semaphore *sem, unsigned int permits)
{
	sema_init(sem, permits);
}

#ifdef CONFIG_INET
void lkm_sock_hold_net(struct socket *sock)
{
	sk_net_refcnt_upgrade(sock->sk);
}

bool lkm_sock_keepalive(struct socket *sock)
{
	return sock_flag(sock->sk, SOCK_KEEPOPEN);
}

/* What there is to do, for who is in the socket's queue by other means. */
unsigned int lkm_sock_poll(struct socket *sock)
{
	/* As sock_poll_wait() has it when it puts somebody there. */
	smp_mb();
	return (__force unsigned int)READ_ONCE(sock->ops)->poll(NULL, sock, NULL);
}

int lkm_sock_setsockopt(struct socket *sock, int level, int name, int value)
{
	return do_sock_setsockopt(sock, false, level, name,
				  KERNEL_SOCKPTR(&value), sizeof(value));
}

/* getsockopt() for TCP is for user space only. */
bool lkm_tcp_nodelay(struct socket *sock)
{
	return tcp_sk(sock->sk)->nonagle & TCP_NAGLE_OFF;
}

int lkm_tcp_set_nodelay(struct socket *sock, bool nodelay)
{
	return lkm_sock_setsockopt(sock, SOL_TCP, TCP_NODELAY, nodelay);
}
#endif

unsigned long lkm_spin_lock_irqsave(spinlock_t *lock)
{
	unsigned long flags;

	spin_lock_irqsave(lock, flags);
	return flags;
}

bool lkm_spin_trylock_irqsave(spinlock_t *lock, unsigned long *flags)
{
	return spin_trylock_irqsave(lock, *flags);
}

void lkm_spin_unlock_irqrestore(spinlock_t *lock, unsigned long flags)
{
	spin_unlock_irqrestore(lock, flags);
}

void lkm_tasklet_schedule(struct tasklet_struct *tasklet)
{
	tasklet_schedule(tasklet);
}

bool lkm_waitqueue_active(struct wait_queue_head *head)
{
	return waitqueue_active(head);
}

unsigned long lkm_write_lock_irqsave(rwlock_t *lock)
{
	unsigned long flags;

	write_lock_irqsave(lock, flags);
	return flags;
}

void lkm_write_unlock_irqrestore(rwlock_t *lock, unsigned long flags)
{
	write_unlock_irqrestore(lock, flags);
}
