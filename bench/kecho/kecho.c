// SPDX-License-Identifier: GPL-2.0-only
/*
 * An echo server of kecho's design, to compare with: one thread accepts, and each
 * connection is an item on a workqueue, whose worker it keeps until it is over.
 */
#include <linux/in.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <linux/workqueue.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#define BUFFER_SIZE 4096

static ushort port = 8080;
module_param(port, ushort, 0444);
static int backlog = 1024;
module_param(backlog, int, 0444);

static struct socket *listener;
static struct task_struct *acceptor;
static struct workqueue_struct *workers;

static DEFINE_MUTEX(lock);
static LIST_HEAD(connections);

struct connection {
	struct list_head list;
	struct work_struct work;
	struct socket *socket;
	u8 buffer[BUFFER_SIZE];
};

static int receive(struct connection *c)
{
	struct kvec vec = { .iov_base = c->buffer, .iov_len = BUFFER_SIZE };
	struct msghdr msg = {};

	return kernel_recvmsg(c->socket, &msg, &vec, 1, vec.iov_len, 0);
}

static int send_all(struct connection *c, size_t len)
{
	size_t sent = 0;

	while (sent < len) {
		struct kvec vec = {
			.iov_base = c->buffer + sent,
			.iov_len = len - sent,
		};
		struct msghdr msg = { .msg_flags = MSG_NOSIGNAL };
		int n = kernel_sendmsg(c->socket, &msg, &vec, 1, vec.iov_len);

		if (n < 0)
			return n;
		sent += n;
	}
	return 0;
}

static void echo(struct work_struct *work)
{
	struct connection *c = container_of(work, struct connection, work);
	int n;

	while ((n = receive(c)) > 0 && send_all(c, n) == 0)
		;

	/* Whoever has it in the list may use the socket. */
	mutex_lock(&lock);
	list_del(&c->list);
	mutex_unlock(&lock);
	sock_release(c->socket);
	kfree(c);
}

static int accept_all(void *unused)
{
	while (!kthread_should_stop()) {
		struct connection *c;
		struct socket *socket;

		if (kernel_accept(listener, &socket, 0)) {
			if (!kthread_should_stop())
				schedule_timeout_interruptible(HZ / 10);
			continue;
		}
		c = kmalloc(sizeof(*c), GFP_KERNEL);
		if (!c) {
			sock_release(socket);
			continue;
		}
		c->socket = socket;
		INIT_WORK(&c->work, echo);
		mutex_lock(&lock);
		list_add(&c->list, &connections);
		mutex_unlock(&lock);
		queue_work(workers, &c->work);
	}
	return 0;
}

static int listen_at(u16 number)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_ANY),
		.sin_port = htons(number),
	};
	int error;

	error = sock_create_kern(&init_net, AF_INET, SOCK_STREAM, IPPROTO_TCP,
				 &listener);
	if (error)
		return error;
	tcp_sock_set_nodelay(listener->sk);
	sock_set_reuseaddr(listener->sk);
	error = kernel_bind(listener, (struct sockaddr_unsized *)&addr,
			    sizeof(addr));
	if (!error)
		error = kernel_listen(listener, backlog);
	if (error)
		sock_release(listener);
	return error;
}

static int __init kecho_init(void)
{
	int error = listen_at(port);

	if (error)
		return error;
	workers = alloc_workqueue("kecho", WQ_UNBOUND, 0);
	if (!workers) {
		error = -ENOMEM;
		goto close;
	}
	acceptor = kthread_run(accept_all, NULL, "kecho");
	if (!IS_ERR(acceptor))
		return 0;
	error = PTR_ERR(acceptor);
	destroy_workqueue(workers);
close:
	sock_release(listener);
	return error;
}

static void __exit kecho_exit(void)
{
	struct connection *c;

	kthread_stop(acceptor);
	mutex_lock(&lock);
	list_for_each_entry(c, &connections, list)
		kernel_sock_shutdown(c->socket, SHUT_RDWR);
	mutex_unlock(&lock);
	destroy_workqueue(workers);
	sock_release(listener);
}

module_init(kecho_init);
module_exit(kecho_exit);

MODULE_DESCRIPTION("An echo server: a worker for each connection");
MODULE_AUTHOR("lkmpg-rs");
MODULE_LICENSE("GPL");
