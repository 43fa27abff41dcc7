// SPDX-License-Identifier: GPL-2.0-only

#include <linux/bitops.h>
#include <linux/bottom_half.h>
#include <linux/compiler.h>
#include <linux/container_of.h>
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/gfp.h>
#include <linux/hrtimer.h>
#include <linux/if_ether.h>
#include <linux/irqflags.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/rcupdate.h>
#include <linux/skbuff.h>
#include <linux/string.h>
#include <net/sch_generic.h>

#include <asm/barrier.h>

#include "helpers.h"

#ifdef CONFIG_NET
/*
 * A net device whose functions are written in Rust; see netdev.rs. The layouts of C's types
 * differ between versions, and most of what handles frames is inline.
 */
struct lkm_netdev {
	struct net_device *dev;
	struct napi_struct napi;
	const struct lkm_netdev_ops *ops;
	const void *data;
	bool registered;
	bool open;	/* Frames are sent: it changes when no frame is being sent. */
};

/* Where the frames go that a poll has for the kernel. */
struct lkm_rx {
	struct net_device *dev;
	struct list_head frames;
	int room;
};

/*
 * A frame is a sk_buff that nobody else has: without socket, route and device, and with an
 * Ethernet header in one piece at its beginning.
 */
static struct sk_buff *frame_skb(struct lkm_frame *frame)
{
	return (struct sk_buff *)frame;
}

/* A frame with these bytes, ETH_HLEN or more. NULL if there is no memory. */
struct lkm_frame *lkm_frame_new(const void *bytes, size_t len)
{
	struct sk_buff *skb;

	skb = alloc_skb(NET_SKB_PAD + NET_IP_ALIGN + len,
			GFP_ATOMIC | __GFP_NOWARN);
	if (!skb)
		return NULL;
	skb_reserve(skb, NET_SKB_PAD + NET_IP_ALIGN);
	skb_put_data(skb, bytes, len);
	return (struct lkm_frame *)skb;
}

/* In any context but NMI. */
void lkm_frame_free(struct lkm_frame *frame)
{
	dev_kfree_skb_any(frame_skb(frame));
}

unsigned int lkm_frame_size(const struct lkm_frame *frame)
{
	return ((const struct sk_buff *)frame)->len;
}

/*
 * The bytes can be anywhere, also in pages that others write to at the same time. So they are
 * only copied. False if there are not so many.
 */
bool lkm_frame_copy(const struct lkm_frame *frame, size_t at, void *into,
		    size_t len)
{
	const struct sk_buff *skb = (const struct sk_buff *)frame;

	if (at > skb->len || len > skb->len - at)
		return false;
	return !skb_copy_bits(skb, at, into, len);
}

/*
 * The kernel gets the frame when the poll has returned. What it does with it can be to send one
 * by the same device, on this stack. False if there is no room: the frame is still the caller's.
 */
bool lkm_rx_receive(struct lkm_rx *rx, struct lkm_frame *frame)
{
	struct sk_buff *skb = frame_skb(frame);

	if (!rx->room)
		return false;
	rx->room--;
	dev_dstats_rx_add(rx->dev, skb->len);
	skb->protocol = eth_type_trans(skb, rx->dev);
	skb_postpull_rcsum(skb, eth_hdr(skb), ETH_HLEN);
	list_add_tail(&skb->list, &rx->frames);
	return true;
}

unsigned int lkm_rx_room(const struct lkm_rx *rx)
{
	return rx->room;
}

static int port_poll(struct napi_struct *napi, int budget)
{
	struct lkm_netdev *it = container_of(napi, struct lkm_netdev, napi);
	struct lkm_rx rx = {
		.dev = it->dev,
		.frames = LIST_HEAD_INIT(rx.frames),
		.room = budget,
	};
	int done;

	/* Only netpoll asks for that, which may not use the device. */
	if (budget <= 0)
		return 0;
	dev_hold(rx.dev);	/* As in port_xmit(). */
	it->ops->poll(it->data, &rx);
	done = budget - rx.room;
	netif_receive_skb_list(&rx.frames);
	if (done < budget)
		napi_complete_done(napi, done);
	dev_put(rx.dev);
	return done;
}

/*
 * The poll is only there while the device is up. C waits for ever, with the lock of the
 * network, when user space writes 0 to `threaded` of one that is there and disabled
 * (napi_stop_kthread(), Linux 7.2.6 and 6.18.15).
 */
static int port_open(struct net_device *dev)
{
	struct lkm_netdev *it = netdev_priv(dev);
	int result;

	result = it->ops->open(it->data);
	if (result)
		return result;
	netif_napi_add(dev, &it->napi, port_poll);
	napi_enable(&it->napi);
	smp_store_release(&it->open, true);
	netif_carrier_on(dev);
	netif_tx_start_all_queues(dev);
	return 0;
}

static int port_stop(struct net_device *dev)
{
	struct lkm_netdev *it = netdev_priv(dev);

	netif_carrier_off(dev);
	WRITE_ONCE(it->open, false);
	/* It waits for who is in port_xmit(): C does so only if there is a queue. */
	netif_tx_disable(dev);
	napi_disable(&it->napi);
	netif_napi_del(&it->napi);
	/*
	 * User space can have C poll by a timer (`gro_flush_timeout`). C sets it when the last
	 * poll is over for napi_disable(), which may have cancelled it just before. Now all of
	 * that poll is over.
	 */
	hrtimer_cancel(&it->napi.timer);
	it->ops->stop(it->data);
	return 0;
}

/* Makes a frame of what C sends. It consumes the sk_buff in any case. */
static struct lkm_frame *port_frame(struct sk_buff *skb)
{
	/* This needs the socket. */
	skb_tx_timestamp(skb);
	skb = skb_share_check(skb, GFP_ATOMIC);
	if (!skb)
		return NULL;
	/* Some wait until their pages are not in use. */
	if (skb_orphan_frags_rx(skb, GFP_ATOMIC) ||
	    !pskb_may_pull(skb, ETH_HLEN)) {
		kfree_skb(skb);
		return NULL;
	}
	/*
	 * So do senders wait that have sent much, with a reference to the device, which
	 * unregister_netdev() waits for: who keeps the frame must not keep them waiting. This
	 * is skb_orphan(), whose BUG() would be in modules without net devices, too.
	 */
	if (skb->destructor)
		skb->destructor(skb);
	skb->destructor = NULL;
	skb->sk = NULL;
	/* What was found out about it on its way out is not so when it comes in. */
	skb_scrub_packet(skb, true);
	skb->priority = 0;
	skb_set_queue_mapping(skb, 0);
	skb->dev = NULL;
	return (struct lkm_frame *)skb;
}

/*
 * With a lock of the queue's held: so this runs once at a time. A sender that C does not wait
 * for can come here when the device was closed, and when it is just being opened.
 */
static netdev_tx_t port_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct lkm_netdev *it = netdev_priv(dev);
	unsigned int len = skb->len;
	struct lkm_frame *frame = NULL;

	/*
	 * Without it, one who sleeps where he must not would not be waited for: C relies on
	 * RCU here.
	 */
	dev_hold(dev);
	if (smp_load_acquire(&it->open))
		frame = port_frame(skb);
	else
		kfree_skb(skb);
	if (frame && it->ops->transmit(it->data, frame))
		dev_dstats_tx_add(dev, len);
	else
		dev_dstats_tx_dropped(dev);
	dev_put(dev);
	return NETDEV_TX_OK;
}

static const struct net_device_ops port_ops = {
	.ndo_open = port_open,
	.ndo_stop = port_stop,
	.ndo_start_xmit = port_xmit,
	.ndo_set_mac_address = eth_mac_addr,
	.ndo_validate_addr = eth_validate_addr,
};

static void port_get_drvinfo(struct net_device *dev,
			     struct ethtool_drvinfo *info)
{
	strscpy(info->driver, THIS_MODULE->name, sizeof(info->driver));
}

static const struct ethtool_ops port_ethtool_ops = {
	.get_drvinfo = port_get_drvinfo,
	.get_link = ethtool_op_get_link,
	.get_ts_info = ethtool_op_get_ts_info,
};

static void port_setup(struct net_device *dev)
{
	ether_setup(dev);
	dev->netdev_ops = &port_ops;
	dev->ethtool_ops = &port_ethtool_ops;
	dev->pcpu_stat_type = NETDEV_PCPU_STAT_DSTATS;
	/* A frame has one owner: nobody sends the same one again and again. */
	dev->priv_flags &= ~IFF_TX_SKB_SHARING;
	/* Netpoll sends with interrupts off, where others have locks. */
	dev->priv_flags |= IFF_DISABLE_NETPOLL | IFF_LIVE_ADDR_CHANGE;
}

/*
 * NULL if there is no memory. @name is copied, and has 15 bytes at most. @ops and @data stay
 * until lkm_netdev_stop(). May sleep.
 *
 * Without `rtnl_link_ops`, user space cannot delete the device, and the end of a network
 * namespace moves it.
 */
struct lkm_netdev *lkm_netdev_new(const char *name, bool arp,
				  unsigned int max_mtu,
				  const struct lkm_netdev_ops *ops,
				  const void *data)
{
	struct net_device *dev;
	struct lkm_netdev *it;

	dev = alloc_netdev(sizeof(*it), name, NET_NAME_UNKNOWN, port_setup);
	if (!dev)
		return NULL;
	it = netdev_priv(dev);
	it->dev = dev;
	it->ops = ops;
	it->data = data;
	if (!arp)
		dev->flags |= IFF_NOARP;
	dev->max_mtu = max_mtu;
	dev->mtu = min(dev->mtu, max_mtu);
	eth_hw_addr_random(dev);
	netif_carrier_off(dev);
	/* As if it were scheduled: see lkm_netdev_schedule(). */
	set_bit(NAPI_STATE_SCHED, &it->napi.state);
	return it;
}

/* May sleep. The functions can be called before this returns. */
int lkm_netdev_register(struct lkm_netdev *it)
{
	int result = register_netdev(it->dev);

	it->registered = !result;
	return result;
}

/*
 * When this has returned, nobody is in one of the functions or will be. May sleep, and waits
 * for who has a reference to the device.
 */
void lkm_netdev_stop(struct lkm_netdev *it)
{
	if (it->registered)
		unregister_netdev(it->dev);
}

/* After lkm_netdev_stop(). May sleep. */
void lkm_netdev_free(struct lkm_netdev *it)
{
	free_netdev(it->dev);
}

/* Somebody may change the name just now. */
void lkm_netdev_name(const struct lkm_netdev *it, char *into)
{
	unsigned int n;

	for (n = 0; n < IFNAMSIZ - 1; n++)
		into[n] = READ_ONCE(it->dev->name[n]);
	into[n] = '\0';
}

/* The device is registered: C frees the counters before the rest. */
void lkm_netdev_get_stats(const struct lkm_netdev *it,
			  struct lkm_netdev_stats *into)
{
	struct rtnl_link_stats64 stats;

	dev_get_stats(it->dev, &stats);
	into->rx_packets = stats.rx_packets;
	into->rx_bytes = stats.rx_bytes;
	into->rx_dropped = stats.rx_dropped;
	into->tx_packets = stats.tx_packets;
	into->tx_bytes = stats.tx_bytes;
	into->tx_dropped = stats.tx_dropped;
}

/*
 * In any context but NMI, and until lkm_netdev_free(). While the device is down, and when it was
 * stopped, this does nothing: to C it is scheduled already.
 */
void lkm_netdev_schedule(struct lkm_netdev *it)
{
	if (irqs_disabled()) {
		napi_schedule(&it->napi);
		return;
	}
	/* In a task, the last line runs it. */
	local_bh_disable();
	napi_schedule(&it->napi);
	local_bh_enable();
}

/* In any context but NMI, and until lkm_netdev_free(). */
void lkm_netdev_stop_queue(struct lkm_netdev *it)
{
	netif_stop_queue(it->dev);
}

/*
 * The same. As netif_wake_queue(), which also schedules what stands in place of a queue when
 * user space wants none (`noqueue`). C frees that without waiting for who does so just then.
 */
void lkm_netdev_wake_queue(struct lkm_netdev *it)
{
	struct netdev_queue *queue = netdev_get_tx_queue(it->dev, 0);
	struct Qdisc *qdisc;

	if (!test_and_clear_bit(__QUEUE_STATE_DRV_XOFF, &queue->state))
		return;
	rcu_read_lock();
	qdisc = rcu_dereference(queue->qdisc);
	if (qdisc->enqueue)
		__netif_schedule(qdisc);
	rcu_read_unlock();
}
#endif
