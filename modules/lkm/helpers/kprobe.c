// SPDX-License-Identifier: GPL-2.0-only

#include <linux/cpumask.h>
#include <linux/irq_work.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/printk.h>
#include <linux/ptrace.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/string.h>

#include "helpers.h"

#ifdef CONFIG_KPROBES
#include <asm/syscall.h>

struct lkm_kprobe {
	struct kprobe probe;
	struct irq_work leave;
	bool registered;
	/* C uses it for ever. */
	bool stays;
	const void *data;
	void (*hit)(const void *data, const void *regs);
	void (*left)(const void *data);
	char symbol[];
};

/* The CPUs that are in a handler of this module. One at a time is on each. */
static struct cpumask probing;

static int lkm_kprobe_hit(struct kprobe *kprobe, struct pt_regs *regs)
{
	struct lkm_kprobe *it = container_of(kprobe, struct lkm_kprobe, probe);
	unsigned int cpu = smp_processor_id();

	cpumask_set_cpu(cpu, &probing);
	it->hit(it->data, regs);
	cpumask_clear_cpu(cpu, &probing);
	/* The function goes on with the registers as they are. */
	return 0;
}

static void lkm_kprobe_left(struct irq_work *work)
{
	struct lkm_kprobe *it = container_of(work, struct lkm_kprobe, leave);

	it->left(it->data);
}

/* Null if there is no memory. @symbol is copied. */
struct lkm_kprobe *lkm_kprobe_new(const char *symbol, const void *data,
				  void (*hit)(const void *data, const void *regs),
				  void (*left)(const void *data))
{
	size_t size = strlen(symbol) + 1;
	struct lkm_kprobe *it;

	it = kzalloc(struct_size(it, symbol, size), GFP_KERNEL);
	if (!it)
		return NULL;
	memcpy(it->symbol, symbol, size);
	init_irq_work(&it->leave, lkm_kprobe_left);
	it->data = data;
	it->hit = hit;
	it->left = left;
	return it;
}

static void lkm_kprobe_after(struct kprobe *kprobe, struct pt_regs *regs,
			     unsigned long flags)
{
}

/* Until it is enabled, it only has an address. */
static int lkm_kprobe_add(struct lkm_kprobe *it, kprobe_post_handler_t after)
{
	it->probe = (struct kprobe) {
		.symbol_name = it->symbol,
		.pre_handler = lkm_kprobe_hit,
		.post_handler = after,
		.flags = KPROBE_FLAG_DISABLED,
	};
	return register_kprobe(&it->probe);
}

/*
 * When a probe that is a jump is removed, C takes the jump away a little later. If the
 * function's module goes meanwhile, C forgets about that, and refuses all probes that come
 * to the same address. A probe with a handler for afterwards is no jump.
 */
static bool lkm_kprobe_may_be_lost(struct lkm_kprobe *it)
{
	return IS_ENABLED(CONFIG_OPTPROBES) && !kprobe_ftrace(&it->probe) &&
	       is_vmalloc_or_module_addr(it->probe.addr);
}

int lkm_kprobe_register(struct lkm_kprobe *it)
{
	int result = lkm_kprobe_add(it, NULL);

	if (!result && lkm_kprobe_may_be_lost(it)) {
		unregister_kprobe(&it->probe);
		result = lkm_kprobe_add(it, lkm_kprobe_after);
	}
	if (result)
		return result;
	it->registered = true;
	return enable_kprobe(&it->probe);
}

/*
 * When this has returned, nobody is in the handler or comes to it: C waits for RCU, and a
 * handler runs with preemption disabled.
 *
 * A function that ftrace changes may be left as it is, for lack of memory. Then C goes on
 * using the probe, without an error but for the lack of an address. Such a probe has no
 * handler any more, and is never freed.
 */
void lkm_kprobe_stop(struct lkm_kprobe *it)
{
	int result;

	if (!it->registered)
		return;
	result = disable_kprobe(&it->probe);
	unregister_kprobe(&it->probe);
	it->stays = result != -EINVAL && !it->probe.addr;
	if (it->stays) {
		pr_warn("%s: the probe on %s cannot be removed\n",
			THIS_MODULE->name, it->symbol);
		WRITE_ONCE(it->probe.pre_handler, NULL);
		synchronize_rcu();
	}
}

/* After lkm_kprobe_stop(). Waits for @left. */
void lkm_kprobe_free(struct lkm_kprobe *it)
{
	irq_work_sync(&it->leave);
	if (!it->stays)
		kfree(it);
}

/* Whether this is called by a handler. */
bool lkm_kprobe_is_here(void)
{
	bool here = cpumask_test_cpu(get_cpu(), &probing);

	put_cpu();
	return here;
}

/* Calls @left soon, from an interrupt. Can itself be called in any context. */
void lkm_kprobe_leave(struct lkm_kprobe *it)
{
	irq_work_queue(&it->leave);
}

unsigned long lkm_kprobe_missed(const struct lkm_kprobe *it)
{
	return READ_ONCE(it->probe.nmissed);
}

/*
 * The argument with that number of a function that has just been called. All
 * architectures pass the first in registers, or on a stack that is there.
 */
bool lkm_regs_argument(const void *regs, unsigned int number,
		       unsigned long *value)
{
#ifdef CONFIG_HAVE_FUNCTION_ARG_ACCESS_API
	if (number < 6) {
		*value = regs_get_kernel_argument((struct pt_regs *)regs, number);
		return true;
	}
#endif
	return false;
}

/*
 * The six arguments of the system call whose function has just been called: with a
 * pointer to the registers of user space.
 */
bool lkm_regs_syscall(const void *regs, unsigned long *args)
{
#ifdef CONFIG_ARCH_HAS_SYSCALL_WRAPPER
	struct pt_regs *user = current_pt_regs();
	unsigned long first;

	if (lkm_regs_argument(regs, 0, &first) && first == (unsigned long)user) {
		syscall_get_arguments(current, user, args);
		return true;
	}
#endif
	return false;
}
#endif
