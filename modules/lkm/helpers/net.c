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
	/* sock_poll_wait() has this after it adds an entry to the queue. */
	smp_mb();
	return (__force unsigned int)READ_ONCE(sock->ops)->poll(NULL, sock, NULL);
}

int lkm_sock_setsockopt(struct socket *sock, int level, int name, int value)
{
	return do_sock_setsockopt(sock, false, level, name,
				  KERNEL_SOCKPTR(&value), sizeof(value));
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
