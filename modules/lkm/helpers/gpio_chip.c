// SPDX-License-Identifier: GPL-2.0-only

#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/gpio/driver.h>
#include <linux/irq.h>
#include <linux/irq_work.h>
#include <linux/irqdesc.h>
#include <linux/irqdomain.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "helpers.h"

#if defined(CONFIG_GPIOLIB) && defined(CONFIG_IRQ_DOMAIN) && \
	defined(CONFIG_IRQ_WORK)

/*
 * A GPIO controller whose functions are written in Rust, with an interrupt for
 * each line; see gpio/chip.rs. The kernel's own bindings have its types in some
 * versions only, and most of what interrupts are made of is inline.
 */
struct line_chip {
	struct lkm_gpio_chip head;
	struct gpio_chip gpio;
	struct gpio_device *device;
	struct irq_domain *domain;
	struct irq_work work;
	raw_spinlock_t lock;	/* It protects what follows. */
	bool closed;		/* No interrupt is requested or fired. */
	u8 *edges;		/* Which edges of a line somebody waits for. */
	unsigned long *pending;	/* Lines whose interrupt is to be handled. */
	unsigned long *outputs;	/* gpiolib calls for one line at a time. */
};

static struct line_chip *line_chip_begin(struct gpio_chip *gpio,
					 unsigned int *place)
{
	*place = lkm_callers_begin(LKM_IN_GPIO);
	return container_of(gpio, struct line_chip, gpio);
}

static int line_chip_end(unsigned int place, int result)
{
	lkm_callers_end(place);
	return result;
}

/*
 * Whether the caller may run in what gpiochip_remove() waits for: a function of
 * a chip, or the thread of an interrupt's handler.
 */
bool lkm_gpio_within(void)
{
	return lkm_irq_is_thread() || lkm_callers_may_have_current(LKM_IN_GPIO);
}

static int line_direction_input(struct gpio_chip *gpio, unsigned int line)
{
	unsigned int place;
	struct line_chip *it = line_chip_begin(gpio, &place);
	int result = it->head.ops->direction_input(it->head.data, line);

	if (!result)
		clear_bit(line, it->outputs);
	return line_chip_end(place, result);
}

static int line_direction_output(struct gpio_chip *gpio, unsigned int line,
				 int level)
{
	unsigned int place;
	struct line_chip *it = line_chip_begin(gpio, &place);
	int result = it->head.ops->direction_output(it->head.data, line, level);

	if (!result)
		set_bit(line, it->outputs);
	return line_chip_end(place, result);
}

static int line_get_direction(struct gpio_chip *gpio, unsigned int line)
{
	struct line_chip *it = container_of(gpio, struct line_chip, gpio);

	return test_bit(line, it->outputs) ? GPIO_LINE_DIRECTION_OUT :
					     GPIO_LINE_DIRECTION_IN;
}

static int line_get(struct gpio_chip *gpio, unsigned int line)
{
	unsigned int place;
	struct line_chip *it = line_chip_begin(gpio, &place);
	int result = it->head.ops->get(it->head.data, line);

	return line_chip_end(place, result);
}

static int line_set(struct gpio_chip *gpio, unsigned int line, int level)
{
	unsigned int place;
	struct line_chip *it = line_chip_begin(gpio, &place);
	int result = it->head.ops->set(it->head.data, line, level);

	return line_chip_end(place, result);
}

/* gpiochip_remove() asks, too, and takes it that there is one. */
static int line_to_irq(struct gpio_chip *gpio, unsigned int line)
{
	struct line_chip *it = container_of(gpio, struct line_chip, gpio);

	return irq_create_mapping(it->domain, line);
}

/* Has line_work() handle the interrupt of @line. The lock is held. */
static void line_fire(struct line_chip *it, unsigned int line)
{
	if (it->closed)
		return;
	set_bit(line, it->pending);
	irq_work_queue(&it->work);
}

/* In hardirq context. Several CPUs can run it at a time. */
static void line_work(struct irq_work *work)
{
	struct line_chip *it = container_of(work, struct line_chip, work);
	unsigned int line;

	for_each_set_bit(line, it->pending, it->gpio.ngpio)
		if (test_and_clear_bit(line, it->pending))
			generic_handle_domain_irq(it->domain, line);
}

void lkm_gpio_chip_edge(struct lkm_gpio_chip *chip, unsigned int line,
			bool level)
{
	struct line_chip *it = container_of(chip, struct line_chip, head);
	unsigned int edge = level ? IRQ_TYPE_EDGE_RISING : IRQ_TYPE_EDGE_FALLING;
	unsigned long flags;

	raw_spin_lock_irqsave(&it->lock, flags);
	if (it->edges[line] & edge)
		line_fire(it, line);
	raw_spin_unlock_irqrestore(&it->lock, flags);
}

static void line_set_edges(struct line_chip *it, unsigned int line,
			   unsigned int edges)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&it->lock, flags);
	it->edges[line] = edges;
	if (!edges)
		clear_bit(line, it->pending);
	raw_spin_unlock_irqrestore(&it->lock, flags);
}

static void line_irq_ack(struct irq_data *data)
{
}

static int line_irq_set_type(struct irq_data *data, unsigned int type)
{
	struct line_chip *it = irq_data_get_irq_chip_data(data);

	if (type & ~IRQ_TYPE_EDGE_BOTH)
		return -EINVAL;
	line_set_edges(it, irqd_to_hwirq(data), type);
	return 0;
}

static int line_irq_retrigger(struct irq_data *data)
{
	struct line_chip *it = irq_data_get_irq_chip_data(data);
	unsigned long flags;

	raw_spin_lock_irqsave(&it->lock, flags);
	line_fire(it, irqd_to_hwirq(data));
	raw_spin_unlock_irqrestore(&it->lock, flags);
	return 1;
}

/* Called with the request_mutex held, and so is the next. */
static int line_irq_request(struct irq_data *data)
{
	struct line_chip *it = irq_data_get_irq_chip_data(data);

	if (READ_ONCE(it->closed))
		return -ENODEV;
	return gpiochip_reqres_irq(&it->gpio, irqd_to_hwirq(data));
}

static void line_irq_release(struct irq_data *data)
{
	struct line_chip *it = irq_data_get_irq_chip_data(data);

	line_set_edges(it, irqd_to_hwirq(data), 0);
	gpiochip_relres_irq(&it->gpio, irqd_to_hwirq(data));
}

/*
 * A line stays an input as long as its interrupt is requested, masked or not. So gpiolib is
 * not told of that: it would warn if it had lost its flag.
 */
static const struct irq_chip line_irq_chip = {
	.name = "gpio-lkm",
	.irq_ack = line_irq_ack,
	.irq_set_type = line_irq_set_type,
	.irq_retrigger = line_irq_retrigger,
	.irq_request_resources = line_irq_request,
	.irq_release_resources = line_irq_release,
	.flags = IRQCHIP_IMMUTABLE,
};

static int line_irq_map(struct irq_domain *domain, unsigned int irq,
			irq_hw_number_t line)
{
	irq_set_chip_data(irq, domain->host_data);
	irq_set_chip_and_handler(irq, &line_irq_chip, handle_edge_irq);
	irq_set_noprobe(irq);
	return 0;
}

static void line_irq_unmap(struct irq_domain *domain, unsigned int irq)
{
	irq_set_chip_and_handler(irq, NULL, NULL);
	irq_set_chip_data(irq, NULL);
}

static const struct irq_domain_ops line_domain_ops = {
	.map = line_irq_map,
	.unmap = line_irq_unmap,
};

/* From now on no interrupt gets a line, and none is fired. */
static void line_chip_close(struct line_chip *it)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&it->lock, flags);
	WRITE_ONCE(it->closed, true);
	raw_spin_unlock_irqrestore(&it->lock, flags);
}

/*
 * Frees the interrupts of a closed chip. gpiochip_remove() does so, too. But somebody of this
 * module may be freeing one at the same time, and gpiolib may have lost the flag by which it
 * finds them: it writes all flags of a line at a time, without a lock.
 */
static void line_chip_free_irqs(struct line_chip *it)
{
	unsigned int line, irq;

	for (line = 0; line < it->gpio.ngpio; line++) {
		irq = irq_find_mapping(it->domain, line);
		if (irq)
			irq_set_status_flags(irq, IRQ_NOREQUEST);
	}
	lkm_irq_requests_wait();
	for (line = 0; line < it->gpio.ngpio; line++) {
		irq = irq_find_mapping(it->domain, line);
		if (irq)
			lkm_irq_free_all(irq);
	}
}

/* Removes the interrupts of a closed chip that was removed: it makes none any more. */
static void line_chip_remove_irqs(struct line_chip *it)
{
	unsigned int line, irq;
	struct irq_desc *desc;

	line_chip_free_irqs(it);
	/* Of two CPUs that run the work, irq_work_sync() waits for one only. */
	irq_work_sync(&it->work);
	synchronize_rcu();
	for (line = 0; line < it->gpio.ngpio; line++) {
		irq = irq_find_mapping(it->domain, line);
		if (!irq)
			continue;
		/* Nobody is in a function of line_irq_chip now, or gets there. */
		desc = irq_data_to_desc(irq_get_irq_data(irq));
		mutex_lock(&desc->request_mutex);
		irq_set_chip(irq, NULL);
		mutex_unlock(&desc->request_mutex);
		irq_dispose_mapping(irq);
	}
	irq_domain_remove(it->domain);
}

void lkm_gpio_chip_free(struct lkm_gpio_chip *chip)
{
	struct line_chip *it = container_of(chip, struct line_chip, head);

	bitmap_free(it->outputs);
	bitmap_free(it->pending);
	kfree(it->edges);
	kfree(it);
}

void lkm_gpio_chip_remove(struct lkm_gpio_chip *chip)
{
	struct line_chip *it = container_of(chip, struct line_chip, head);

	line_chip_close(it);
	line_chip_free_irqs(it);
	gpiochip_remove(&it->gpio);
	line_chip_remove_irqs(it);
	gpio_device_put(it->device);
}

/* Nobody else adds a chip of this module between looking for a label and taking it. */
static DEFINE_MUTEX(line_labels);

static bool line_label_is_taken(const char *label)
{
	struct gpio_device *device = gpio_device_find_by_label(label);

	if (!device)
		return false;
	gpio_device_put(device);
	return true;
}

/* @label, @ops and @data stay until lkm_gpio_chip_remove(). */
struct lkm_gpio_chip *lkm_gpio_chip_add(const char *label, unsigned int lines,
					bool can_sleep,
					const struct lkm_gpio_ops *ops,
					void *data)
{
	struct line_chip *it;
	int result = -ENOMEM;

	it = kzalloc(sizeof(*it), GFP_KERNEL);
	if (!it)
		return ERR_PTR(-ENOMEM);
	it->head.ops = ops;
	it->head.data = data;
	it->gpio.label = label;
	it->gpio.owner = THIS_MODULE;
	it->gpio.direction_input = line_direction_input;
	it->gpio.direction_output = line_direction_output;
	it->gpio.get_direction = line_get_direction;
	it->gpio.get = line_get;
	it->gpio.set = line_set;
	it->gpio.to_irq = line_to_irq;
	it->gpio.base = -1;
	it->gpio.ngpio = lines;
	it->gpio.can_sleep = can_sleep;
	it->work = IRQ_WORK_INIT_HARD(line_work);
	raw_spin_lock_init(&it->lock);
	it->edges = kcalloc(lines, sizeof(*it->edges), GFP_KERNEL);
	it->pending = bitmap_zalloc(lines, GFP_KERNEL);
	it->outputs = bitmap_zalloc(lines, GFP_KERNEL);
	if (it->edges && it->pending && it->outputs)
		it->domain = irq_domain_create_linear(NULL, lines,
						      &line_domain_ops, it);
	if (it->domain) {
		mutex_lock(&line_labels);
		result = line_label_is_taken(label) ?
				 -EEXIST :
				 gpiochip_add_data(&it->gpio, it);
		mutex_unlock(&line_labels);
		if (!result) {
			/* Somebody can be in line_irq_release() after gpiochip_remove(). */
			it->device = gpio_device_get(it->gpio.gpiodev);
			return &it->head;
		}
		line_chip_close(it);
		line_chip_remove_irqs(it);
	}
	lkm_gpio_chip_free(&it->head);
	return ERR_PTR(result);
}

#endif
