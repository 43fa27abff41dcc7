// SPDX-License-Identifier: GPL-2.0-only

#include <linux/bitops.h>
#include <linux/compiler.h>
#include <linux/container_of.h>
#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/netlink.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <net/genetlink.h>
#include <net/net_namespace.h>
#include <net/netlink.h>

#include "helpers.h"

#ifdef CONFIG_NET
struct lkm_genl {
	struct genl_family family;
	struct genl_small_ops *ops;
	struct genl_multicast_group *groups;
	/* As many as it has, whatever C is told at its end. */
	unsigned int n_groups;
	/* It is here, not on a stack: the answer to a bad request describes it. */
	struct nla_policy policy[LKM_GENL_MOST_ATTRIBUTES + 1];
	unsigned int last;	/* The highest number of an attribute. */
	int (*handle)(void *data, struct lkm_genl_request *request);
	void *data;
};

/* It is on the stack of family_doit(). */
struct lkm_genl_request {
	struct lkm_genl *it;
	struct genl_info *info;
	struct nlattr *attributes[LKM_GENL_MOST_ATTRIBUTES + 1];
};

/* What C does not look at in a family without a policy. */
static int family_check(const struct genl_info *info)
{
	if (info->genlhdr->reserved) {
		NL_SET_ERR_MSG(info->extack, "the header's reserved field is not 0");
		return -EINVAL;
	}
	if (info->nlhdr->nlmsg_flags &
	    ~(NLM_F_REQUEST | NLM_F_ACK | NLM_F_ECHO)) {
		NL_SET_ERR_MSG(info->extack, "a flag that no command has");
		return -EINVAL;
	}
	return 0;
}

static int family_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct lkm_genl *it = container_of(info->family, struct lkm_genl, family);
	struct lkm_genl_request request = {
		.it = it,
		.info = info,
	};
	int result;

	result = family_check(info);
	if (!result)
		result = __nla_parse(request.attributes, it->last,
				     genlmsg_data(info->genlhdr),
				     genlmsg_len(info->genlhdr), it->policy,
				     NL_VALIDATE_STRICT, info->extack);
	if (result)
		return result;
	return it->handle(it->data, &request);
}

/* @name is copied. Each command and group is to be set before it is registered. */
struct lkm_genl *lkm_genl_new(const char *name, unsigned int version,
			      unsigned int commands, unsigned int groups,
			      int (*handle)(void *data,
					    struct lkm_genl_request *request),
			      void *data)
{
	struct lkm_genl *it;

	it = kzalloc(sizeof(*it), GFP_KERNEL);
	if (!it)
		return NULL;
	it->ops = kcalloc(commands, sizeof(*it->ops), GFP_KERNEL);
	it->groups = kcalloc(groups, sizeof(*it->groups), GFP_KERNEL);
	if (!it->ops || !it->groups) {
		lkm_genl_free(it);
		return NULL;
	}
	it->handle = handle;
	it->data = data;
	strscpy(it->family.name, name, GENL_NAMSIZ);
	it->family.version = version;
	it->family.module = THIS_MODULE;
	/* Commands run at the same time: one that waits does not keep others waiting. */
	it->family.parallel_ops = true;
	it->family.small_ops = it->ops;
	it->family.n_small_ops = commands;
	it->family.mcgrps = it->groups;
	it->family.n_mcgrps = groups;
	it->n_groups = groups;
	/*
	 * C is not told of the policy. Any process can ask for the policies of a family, and
	 * read the answer later: C has pointers to the family and to its policies meanwhile,
	 * but does not hold the module, and genl_unregister_family() does not wait for that.
	 * A family without a policy is not looked at again. For commands from this number on
	 * C would put in a policy of its own.
	 *
	 * Other memory would do, if it was never freed. Then user space could see the policy.
	 */
	it->family.resv_start_op = U8_MAX;
	return it;
}

void lkm_genl_set_command(struct lkm_genl *it, unsigned int index, u8 command,
			  bool admin)
{
	it->ops[index].doit = family_doit;
	it->ops[index].cmd = command;
	it->ops[index].flags = admin ? GENL_ADMIN_PERM : 0;
}

/* @name has at most 15 bytes, and is copied. */
void lkm_genl_set_group(struct lkm_genl *it, unsigned int index,
			const char *name)
{
	strscpy(it->groups[index].name, name, GENL_NAMSIZ);
}

/* @number is at most LKM_GENL_MOST_ATTRIBUTES. @most is how many bytes there may be. */
void lkm_genl_set_attribute(struct lkm_genl *it, u8 number,
			    enum lkm_genl_kind kind, u16 most)
{
	struct nla_policy *policy = &it->policy[number];

	switch (kind) {
	case LKM_GENL_U32:
		policy->type = NLA_U32;
		break;
	case LKM_GENL_STRING:
		policy->type = NLA_NUL_STRING;
		policy->len = most;
		break;
	case LKM_GENL_BYTES:
		policy->type = NLA_BINARY;
		policy->len = most;
		break;
	}
	if (number > it->last)
		it->last = number;
}

/* May sleep, but not where a command runs. */
int lkm_genl_register(struct lkm_genl *it)
{
	return genl_register_family(&it->family);
}

/*
 * Waits until no command runs, of any family.
 *
 * For each group C takes out all who have joined it: in the bitmap of every socket that has
 * joined anything, but it does not look how long that is. It has 64 bits at least, and no
 * more if the socket joined when there were no higher numbers. So C is not told of groups
 * with higher ones. Those numbers stay taken, and nobody else gets what is sent to them.
 */
void lkm_genl_unregister(struct lkm_genl *it)
{
	const unsigned int end = BITS_PER_LONG + 1;
	const unsigned int first = it->family.mcgrp_offset;

	/* A command that still runs may send to them: lkm_genl_multicast() has n_groups. */
	if (first + it->n_groups > end)
		WRITE_ONCE(it->family.n_mcgrps, first < end ? end - first : 0);
	genl_unregister_family(&it->family);
}

void lkm_genl_free(struct lkm_genl *it)
{
	kfree(it->groups);
	kfree(it->ops);
	kfree(it);
}

u8 lkm_genl_command(const struct lkm_genl_request *request)
{
	return request->info->genlhdr->cmd;
}

/* Its bytes, which do not change as long as the request is there. */
const void *lkm_genl_attribute(const struct lkm_genl_request *request,
			       u8 number, size_t *len)
{
	const struct nlattr *attribute;

	if (number > LKM_GENL_MOST_ATTRIBUTES)
		return NULL;
	attribute = request->attributes[number];
	if (!attribute)
		return NULL;
	*len = nla_len(attribute);
	return nla_data(attribute);
}

const struct lkm_genl *lkm_genl_of(const struct lkm_genl_request *request)
{
	return request->it;
}

/* Has the answer say @text, of which there is room for 79 bytes. */
void lkm_genl_refuse(const struct lkm_genl_request *request, const char *text,
		     int len)
{
	NL_SET_ERR_MSG_FMT(request->info->extack, "%.*s", len, text);
}

static struct lkm_genl_message *family_message(const struct lkm_genl *it,
					       u32 portid, u32 seq, u8 command)
{
	struct sk_buff *skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);

	if (!skb)
		return NULL;
	if (!genlmsg_put(skb, portid, seq, &it->family, 0, command)) {
		nlmsg_free(skb);
		return NULL;
	}
	return (struct lkm_genl_message *)skb;
}

/* A message for those who listen. */
struct lkm_genl_message *lkm_genl_message_new(const struct lkm_genl *it,
					      u8 command)
{
	return family_message(it, 0, 0, command);
}

/* A message for who has made the request. */
struct lkm_genl_message *
lkm_genl_reply_new(const struct lkm_genl_request *request, u8 command)
{
	return family_message(request->it, request->info->snd_portid,
			      request->info->snd_seq, command);
}

void lkm_genl_message_free(struct lkm_genl_message *message)
{
	nlmsg_free((struct sk_buff *)message);
}

/* @len is at most U16_MAX - NLA_HDRLEN. */
int lkm_genl_message_put(struct lkm_genl_message *message, u8 number,
			 const void *data, size_t len)
{
	return nla_put((struct sk_buff *)message, number, len, data);
}

static struct sk_buff *family_end(struct lkm_genl_message *message)
{
	struct sk_buff *skb = (struct sk_buff *)message;

	nlmsg_end(skb, nlmsg_hdr(skb));
	return skb;
}

/* These two consume @message. */
int lkm_genl_reply(const struct lkm_genl_request *request,
		   struct lkm_genl_message *message)
{
	return genlmsg_reply(family_end(message), request->info);
}

/* @it must be registered: its groups have numbers that others can have later. */
int lkm_genl_multicast(const struct lkm_genl *it, u8 group,
		       struct lkm_genl_message *message)
{
	struct sk_buff *skb = family_end(message);

	if (group >= it->n_groups) {
		nlmsg_free(skb);
		return -EINVAL;
	}
	/* genlmsg_multicast() has another number of groups when it is being unregistered. */
	return nlmsg_multicast(init_net.genl_sock, skb, 0,
			       it->family.mcgrp_offset + group, GFP_KERNEL);
}
#endif
