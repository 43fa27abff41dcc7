// SPDX-License-Identifier: GPL-2.0-only

#include <linux/console.h>
#include <linux/cred.h>
#include <linux/errno.h>
#include <linux/kd.h>
#include <linux/sched/task.h>
#include <linux/tty.h>
#include <linux/tty_driver.h>
#include <linux/tty_port.h>
#include <linux/vt_kern.h>
/* It names what is in the others, and does not include them. */
#include <linux/console_struct.h>

#include "helpers.h"

#ifdef CONFIG_VT
/* Whether there is a console of that number, and the address of its tty, if it is open. */
bool lkm_vt_console(unsigned int number, const void **tty)
{
	struct vc_data *vc = NULL;

	console_lock();
	if (number < MAX_NR_CONSOLES)
		vc = vc_cons[number].d;
	if (vc)
		*tty = vc->port.tty;
	console_unlock();
	return vc != NULL;
}

/* The number of the console in the foreground, and a reference to its tty, if it is open. */
unsigned int lkm_vt_foreground(void **tty)
{
	struct vc_data *vc;
	unsigned int number;

	console_lock();
	number = fg_console;
	vc = vc_cons[number].d;
	/* The lock also keeps the console from letting go of its tty. */
	*tty = vc ? tty_port_tty_get(&vc->port) : NULL;
	console_unlock();
	return number;
}

/*
 * KDSETLED on a tty of lkm_vt_foreground(). Who calls that is asked for a permission, and
 * it is the module that does, whatever process it runs in.
 */
int lkm_vt_set_leds(void *tty, unsigned long leds)
{
	struct tty_struct *it = tty;
	const struct cred *cred = override_creds(rcu_dereference_raw(init_task.cred));
	int result = it->ops->ioctl ? it->ops->ioctl(it, KDSETLED, leds) : -ENOTTY;

	revert_creds(cred);
	return result;
}

void lkm_vt_put(void *tty)
{
	tty_kref_put(tty);
}
#endif
