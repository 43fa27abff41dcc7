// SPDX-License-Identifier: GPL-2.0-only

#include <net/sock.h>
#include <net/tcp.h>

#include "helpers.h"

#ifdef CONFIG_INET
void lkm_sock_hold_net(struct socket *sock)
{
	sk_net_refcnt_upgrade(sock->sk);
}

bool lkm_sock_keepalive(struct socket *sock)
{
	return sock_flag(sock->sk, SOCK_KEEPOPEN);
}

/*
 * The pending events, for a caller that is in the socket's wait queue by other
 * means than poll_wait().
 */
unsigned int lkm_sock_poll(struct socket *sock)
{
	/* UDP reads the flags of the file. */
	static struct file nonblocking = { .f_flags = O_NONBLOCK };

	/* sock_poll_wait() has this after it adds an entry to the queue. */
	smp_mb();
	return (__force unsigned int)READ_ONCE(sock->ops)->poll(&nonblocking, sock, NULL);
}

int lkm_sock_setsockopt(struct socket *sock, int level, int name, int value)
{
	return do_sock_setsockopt(sock, false, level, name,
				  KERNEL_SOCKPTR(&value), sizeof(value));
}

/* The error of a connection that was not made, or of a UDP socket's last message. */
int lkm_sock_error(struct socket *sock)
{
	return sock_error(sock->sk);
}

/* The other side, also when the connection is over: getpeername() fails then. */
int lkm_sock_accepted_from(struct socket *sock, struct sockaddr *addr)
{
	return READ_ONCE(sock->ops)->getname(sock, addr, 2);
}

/* In jiffies; MAX_SCHEDULE_TIMEOUT is none. */
void lkm_sock_set_timeout(struct socket *sock, bool write, long timeout)
{
	if (write)
		WRITE_ONCE(sock->sk->sk_sndtimeo, timeout);
	else
		WRITE_ONCE(sock->sk->sk_rcvtimeo, timeout);
}

/* C's getsockopt() for TCP only writes to user space. */
bool lkm_tcp_nodelay(struct socket *sock)
{
	return tcp_sk(sock->sk)->nonagle & TCP_NAGLE_OFF;
}

int lkm_tcp_set_nodelay(struct socket *sock, bool nodelay)
{
	return lkm_sock_setsockopt(sock, SOL_TCP, TCP_NODELAY, nodelay);
}
#endif
