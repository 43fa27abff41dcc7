// SPDX-License-Identifier: GPL-2.0-only

#include <linux/etherdevice.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/u64_stats_sync.h>

/* Only the one who sends changes them, and the queue's lock keeps all others from that. */
struct vnetloop {
	struct u64_stats_sync sync;
	u64_stats_t tx_packets;
	u64_stats_t tx_bytes;
	u64_stats_t tx_dropped;
	u64_stats_t rx_packets;
	u64_stats_t rx_bytes;
};

static struct net_device *device;

/* A copy of what is sent, as something that comes in; NULL if there is no memory. */
static struct sk_buff *incoming(const struct sk_buff *sent,
				struct net_device *dev)
{
	struct sk_buff *skb = skb_copy(sent, GFP_ATOMIC);

	if (!skb)
		return NULL;
	/* What was found out about it on its way out is not so when it comes in. */
	skb_scrub_packet(skb, true);
	skb->ip_summed = CHECKSUM_NONE;
	skb->protocol = eth_type_trans(skb, dev);
	return skb;
}

static netdev_tx_t vnetloop_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct vnetloop *it = netdev_priv(dev);
	unsigned int len = skb->len;
	struct sk_buff *copy;
	bool received;

	skb_tx_timestamp(skb);
	copy = incoming(skb, dev);
	if (!copy) {
		u64_stats_update_begin(&it->sync);
		u64_stats_inc(&it->tx_dropped);
		u64_stats_update_end(&it->sync);
		dev_kfree_skb_any(skb);
		return NETDEV_TX_OK;
	}
	dev_consume_skb_any(skb);
	/* The kernel counts what it drops itself. */
	received = netif_rx(copy) == NET_RX_SUCCESS;

	u64_stats_update_begin(&it->sync);
	u64_stats_inc(&it->tx_packets);
	u64_stats_add(&it->tx_bytes, len);
	if (received) {
		u64_stats_inc(&it->rx_packets);
		u64_stats_add(&it->rx_bytes, len);
	}
	u64_stats_update_end(&it->sync);
	return NETDEV_TX_OK;
}

static int vnetloop_open(struct net_device *dev)
{
	netif_carrier_on(dev);
	netif_start_queue(dev);
	return 0;
}

static int vnetloop_stop(struct net_device *dev)
{
	netif_stop_queue(dev);
	netif_carrier_off(dev);
	return 0;
}

static void vnetloop_get_stats64(struct net_device *dev,
				 struct rtnl_link_stats64 *stats)
{
	const struct vnetloop *it = netdev_priv(dev);
	unsigned int start;

	do {
		start = u64_stats_fetch_begin(&it->sync);
		stats->tx_packets = u64_stats_read(&it->tx_packets);
		stats->tx_bytes = u64_stats_read(&it->tx_bytes);
		stats->tx_dropped = u64_stats_read(&it->tx_dropped);
		stats->rx_packets = u64_stats_read(&it->rx_packets);
		stats->rx_bytes = u64_stats_read(&it->rx_bytes);
	} while (u64_stats_fetch_retry(&it->sync, start));
}

static const struct net_device_ops ops = {
	.ndo_open = vnetloop_open,
	.ndo_stop = vnetloop_stop,
	.ndo_start_xmit = vnetloop_xmit,
	.ndo_get_stats64 = vnetloop_get_stats64,
	.ndo_set_mac_address = eth_mac_addr,
	.ndo_validate_addr = eth_validate_addr,
};

static int __init vnetloop_init(void)
{
	struct vnetloop *it;
	int result;

	device = alloc_etherdev(sizeof(*it));
	if (!device)
		return -ENOMEM;
	it = netdev_priv(device);
	u64_stats_init(&it->sync);
	strscpy(device->name, "vnetloop%d", IFNAMSIZ);
	device->netdev_ops = &ops;
	device->flags |= IFF_NOARP;
	device->priv_flags |= IFF_LIVE_ADDR_CHANGE;
	eth_hw_addr_random(device);
	netif_carrier_off(device);
	result = register_netdev(device);
	if (result) {
		free_netdev(device);
		return result;
	}
	pr_info("vnetloop: registered %s\n", device->name);
	return 0;
}
module_init(vnetloop_init);

static void __exit vnetloop_exit(void)
{
	unregister_netdev(device);
	free_netdev(device);
}
module_exit(vnetloop_exit);

MODULE_AUTHOR("lkmpg-rs");
MODULE_DESCRIPTION("A net device whose frames come back");
MODULE_LICENSE("GPL");
