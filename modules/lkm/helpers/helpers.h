/* SPDX-License-Identifier: GPL-2.0-only */
/* Inline functions and macros of C headers as functions that Rust can call. */
#ifndef LKM_HELPERS_H
#define LKM_HELPERS_H

#include <linux/cdev.h>
#include <linux/completion.h>
#include <linux/dcache.h>
#include <linux/gpio/consumer.h>
#include <linux/input.h>
#include <linux/interrupt.h>
#include <linux/kthread.h>
#include <linux/mm_types.h>
#include <linux/mod_devicetable.h>
#include <linux/net.h>
#include <linux/platform_device.h>
#include <linux/preempt.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/semaphore.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timer.h>
#include <linux/uio.h>
#include <linux/vt.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

/* The character devices by device number; see chrdev.rs. */
extern struct xarray lkm_chrdevs;

/* The module's entry points; see entry.rs. Where a module is in its life: */
enum lkm_phase {
	LKM_LOADING,	/* Its init function has not begun. */
	LKM_INIT,	/* Its init function runs. */
	LKM_LIVE,	/* Its init function has returned. */
	LKM_END,	/* So has its exit function, or init did with an error. */
};
unsigned int lkm_phase(void);
unsigned int lkm_call_at_end(void (*function)(void));
bool lkm_init_begin(void);
void lkm_init_end(void);
int lkm_init(void);
void lkm_exit(void);
int __wrap_init_module(void);
void __wrap_cleanup_module(void);

/* Constants that bindgen does not see. */
enum lkm_vt {
	LKM_MAX_NR_CONSOLES = MAX_NR_CONSOLES,
};

unsigned long lkm_alive_lock(void);
void lkm_alive_unlock(unsigned long flags);
/* In alive.rs. */
void lkm_reap(struct work_struct *work);
void lkm_reaper_end(void);
bool lkm_must_not_sleep(void);
void lkm_reaper_start(void);

/* A directory in configfs; see configfs.c. The functions get @data. */
struct lkm_config_item;
struct lkm_config_ops {
	struct lkm_config_item *(*make)(void *data, const char *name);
	void (*drop)(void *data);
	ssize_t (*show)(void *data, unsigned int file, char *page);
	ssize_t (*store)(void *data, unsigned int file, const char *text,
			 size_t len);
};
int lkm_config_add(struct lkm_config_item *it);
void lkm_config_file(struct lkm_config_item *it, const char *name,
		     umode_t mode, bool shown, bool stored);
void lkm_config_free(struct lkm_config_item *it);
struct lkm_config_item *lkm_config_new(const char *name, size_t files,
				       const struct lkm_config_ops *ops,
				       void *data);
void lkm_config_remove(struct lkm_config_item *it);
bool lkm_config_within(void);

/* A GPIO controller; see gpio_chip.c. The functions get @data. */
struct lkm_gpio_ops {
	int (*direction_input)(void *data, unsigned int line);
	int (*direction_output)(void *data, unsigned int line, bool level);
	int (*get)(void *data, unsigned int line);
	int (*set)(void *data, unsigned int line, bool level);
};
struct lkm_gpio_chip {
	const struct lkm_gpio_ops *ops;
	void *data;
};
struct lkm_gpio_chip *lkm_gpio_chip_add(const char *label, unsigned int lines,
					bool can_sleep,
					const struct lkm_gpio_ops *ops,
					void *data);
void lkm_gpio_chip_edge(struct lkm_gpio_chip *chip, unsigned int line,
			bool level);
void lkm_gpio_chip_free(struct lkm_gpio_chip *chip);
void lkm_gpio_chip_remove(struct lkm_gpio_chip *chip);
bool lkm_gpio_within(void);

/* A disk; see block.c. The functions get @data. */
struct lkm_disk_ops {
	int (*read)(void *data, u64 pos, struct iov_iter *into);
	int (*write)(void *data, u64 pos, struct iov_iter *from);
	int (*discard)(void *data, u64 pos, u64 len);
	int (*write_zeroes)(void *data, u64 pos, u64 len);
};
struct lkm_disk;
struct lkm_disk *lkm_disk_add(const char *name, u64 size, unsigned int block,
			      const struct lkm_disk_ops *ops, void *data);
void lkm_disk_free(struct lkm_disk *it);
void lkm_disk_remove(struct lkm_disk *it);
bool lkm_disk_within(void);

/* Kinds of functions that C calls with locks held; see callers.c. */
enum lkm_callers {
	LKM_IN_CONFIGFS,
	LKM_IN_GENL,
	LKM_IN_GPIO,
	LKM_IN_I2C,
	LKM_IN_INPUT,
	LKM_IN_MMAP,
	LKM_IN_NETDEV,
	LKM_IN_PCI,
	LKM_IN_PLATFORM,
	LKM_IN_USB,
};
unsigned int lkm_callers_begin(enum lkm_callers kind);
void lkm_callers_end(unsigned int place);
bool lkm_callers_may_have_current(enum lkm_callers kind);

/* A generic netlink family; see genl.c. @handle gets @data. */
enum lkm_genl_limit {
	LKM_GENL_MOST_ATTRIBUTES = 31,
};
enum lkm_genl_kind {
	LKM_GENL_U32,
	LKM_GENL_STRING,
	LKM_GENL_BYTES,
};
struct lkm_genl;
struct lkm_genl_message;
struct lkm_genl_request;
struct lkm_genl *lkm_genl_new(const char *name, unsigned int version,
			      unsigned int commands, unsigned int groups,
			      int (*handle)(void *data,
					    struct lkm_genl_request *request),
			      void *data);
void lkm_genl_set_attribute(struct lkm_genl *it, u8 number,
			    enum lkm_genl_kind kind, u16 most);
void lkm_genl_set_command(struct lkm_genl *it, unsigned int index, u8 command,
			  bool admin);
void lkm_genl_set_group(struct lkm_genl *it, unsigned int index,
			const char *name);
int lkm_genl_register(struct lkm_genl *it);
void lkm_genl_unregister(struct lkm_genl *it);
void lkm_genl_free(struct lkm_genl *it);
const void *lkm_genl_attribute(const struct lkm_genl_request *request,
			       u8 number, size_t *len);
u8 lkm_genl_command(const struct lkm_genl_request *request);
const struct lkm_genl *lkm_genl_of(const struct lkm_genl_request *request);
void lkm_genl_refuse(const struct lkm_genl_request *request, const char *text,
		     int len);
struct lkm_genl_message *lkm_genl_message_new(const struct lkm_genl *it,
					      u8 command);
void lkm_genl_message_free(struct lkm_genl_message *message);
int lkm_genl_message_put(struct lkm_genl_message *message, u8 number,
			 const void *data, size_t len);
int lkm_genl_multicast(const struct lkm_genl *it, u8 group,
		       struct lkm_genl_message *message);
int lkm_genl_reply(const struct lkm_genl_request *request,
		   struct lkm_genl_message *message);
struct lkm_genl_message *
lkm_genl_reply_new(const struct lkm_genl_request *request, u8 command);

/* Drivers of I2C devices, which are @client, and adapters; see i2c.c. */
struct lkm_i2c_driver_ops {
	/* Sets @bound, which the other one gets. @id is the index of its name. */
	int (*probe)(void *data, void *client, unsigned int id, void **bound);
	void (*remove)(void *bound);
};
struct lkm_i2c_driver;
struct lkm_i2c_driver *lkm_i2c_driver_add(const char *name,
					  const char *const *names,
					  unsigned int count,
					  const struct lkm_i2c_driver_ops *ops,
					  void *data);
void lkm_i2c_driver_remove(struct lkm_i2c_driver *it);
struct lkm_i2c_adapter_ops {
	/* The number in a register, of 8 or 16 bits, or an error. */
	int (*read)(void *data, u16 address, u8 command, bool word);
	/* 0, or an error. */
	int (*write)(void *data, u16 address, u8 command, bool word, u16 value);
};
struct lkm_i2c_adapter;
struct lkm_i2c_adapter *lkm_i2c_adapter_add(const char *name,
					    const struct lkm_i2c_adapter_ops *ops,
					    void *data);
void lkm_i2c_adapter_remove(struct lkm_i2c_adapter *it);
u16 lkm_i2c_address(const void *client);
const char *lkm_i2c_name(const void *client);
int lkm_i2c_read(const void *client, u8 command, bool word);
int lkm_i2c_write(const void *client, u8 command, bool word, u16 value);

/* A driver for platform devices; see platform.c. The first function gets @data. */
struct lkm_platform_ops {
	/* What it puts into @private, the others get. */
	int (*probe)(void *data, struct platform_device *device, void **private);
	void (*remove)(void *private);
	int (*suspend)(void *private);
	int (*resume)(void *private);
};
enum lkm_platform {
	LKM_PLATFORM_NAME_LEN = 128,	/* With the NUL. */
};
struct lkm_platform_driver;
struct lkm_platform_driver *
lkm_platform_driver_add(const char *name, const struct of_device_id *matches,
			const struct lkm_platform_ops *ops, void *data);
void lkm_platform_driver_remove(struct lkm_platform_driver *it);
bool lkm_platform_within(void);

/* A platform device of the module's own, and what a driver wants to know of any. */
enum lkm_property_kind {
	LKM_PROPERTY_FLAG,
	LKM_PROPERTY_TEXT,
	LKM_PROPERTY_U32,
};
struct lkm_property {
	const char *name;
	const char *text;
	u32 number;
	enum lkm_property_kind kind;
};
struct platform_device *lkm_platform_device_add(const char *name,
						const struct lkm_property *list,
						size_t count);
bool lkm_platform_device_memory(struct platform_device *device,
				unsigned int number, u64 *begin, u64 *size);
const char *lkm_platform_device_name(const struct platform_device *device);
const char *lkm_platform_device_node(const struct platform_device *device);
bool lkm_property_is_there(struct platform_device *device, const char *name);
int lkm_property_text(struct platform_device *device, const char *name,
		      const char **text);
int lkm_property_u32(struct platform_device *device, const char *name,
		     u32 *number);

/* Memory that a device reads and writes by itself; see dma.c. */
void *lkm_dma_alloc(struct platform_device *device, size_t len, int direction,
		    u64 *address);
void lkm_dma_for_cpu(struct platform_device *device, u64 address, size_t len,
		     int direction);
void lkm_dma_for_device(struct platform_device *device, u64 address,
			size_t len, int direction);
void lkm_dma_free(struct platform_device *device, size_t len, int direction,
		  void *at, u64 address);
u64 lkm_dma_mask(struct platform_device *device);
int lkm_dma_set_mask(struct platform_device *device, unsigned int bits);

#ifdef CONFIG_OF_OVERLAY
int lkm_overlay_apply(const void *begin, const void *end);
void lkm_overlay_remove(int id);
#endif

/* A USB driver, and an interface that it is bound to; see usb.c. The functions get @data. */
struct lkm_usb_id {
	unsigned short vendor;
	unsigned short product;
	unsigned char class;
	unsigned char subclass;
	unsigned char protocol;
	bool of_device;		/* The vendor and the product count. */
	bool of_interface;	/* The other three do. */
};
struct lkm_usb_endpoint {
	unsigned char address;
	unsigned char kind;
	unsigned short size;
};
struct lkm_usb_about {
	char name[48];
	unsigned short vendor;
	unsigned short product;
	unsigned char number;
	unsigned char class;
	unsigned char subclass;
	unsigned char protocol;
	unsigned char count;
	struct lkm_usb_endpoint endpoints[30];
};
struct lkm_usb;
struct lkm_usb_ops {
	/* What it puts into @bound, the other one gets. */
	int (*probe)(void *data, struct lkm_usb *it, void **bound);
	void (*disconnect)(void *data, void *bound);
};
struct lkm_usb_driver;
struct lkm_usb_driver *lkm_usb_driver_add(const char *name,
					  const struct lkm_usb_id *ids,
					  size_t count,
					  const struct lkm_usb_ops *ops,
					  void *data);
void lkm_usb_driver_remove(struct lkm_usb_driver *driver);
void lkm_usb_close(struct lkm_usb *it);
int lkm_usb_control(struct lkm_usb *it, u8 kind, u8 number, u16 value,
		    u16 index, void *bytes, u16 len, long timeout);
void lkm_usb_describe(struct lkm_usb *it, struct lkm_usb_about *about);
void lkm_usb_free(struct lkm_usb *it);
int lkm_usb_transfer(struct lkm_usb *it, u8 address, void *bytes, size_t len,
		     long timeout);

/* A net device; see netdev.c. The functions get @data. */
struct lkm_frame;
struct lkm_netdev;
struct lkm_rx;
struct lkm_netdev_ops {
	int (*open)(const void *data);
	void (*stop)(const void *data);
	/* @frame is gone then. False: it was not sent. */
	bool (*transmit)(const void *data, struct lkm_frame *frame);
	void (*poll)(const void *data, struct lkm_rx *rx);
};
struct lkm_netdev_stats {
	u64 rx_packets;
	u64 rx_bytes;
	u64 rx_dropped;
	u64 tx_packets;
	u64 tx_bytes;
	u64 tx_dropped;
};
bool lkm_frame_copy(const struct lkm_frame *frame, size_t at, void *into,
		    size_t len);
void lkm_frame_free(struct lkm_frame *frame);
struct lkm_frame *lkm_frame_new(const void *bytes, size_t len);
unsigned int lkm_frame_size(const struct lkm_frame *frame);
void lkm_netdev_free(struct lkm_netdev *it);
void lkm_netdev_get_stats(const struct lkm_netdev *it,
			  struct lkm_netdev_stats *into);
void lkm_netdev_name(const struct lkm_netdev *it, char *into);
struct lkm_netdev *lkm_netdev_new(const char *name, bool arp,
				  unsigned int max_mtu,
				  const struct lkm_netdev_ops *ops,
				  const void *data);
int lkm_netdev_register(struct lkm_netdev *it);
void lkm_netdev_schedule(struct lkm_netdev *it);
void lkm_netdev_stop(struct lkm_netdev *it);
void lkm_netdev_stop_queue(struct lkm_netdev *it);
void lkm_netdev_wake_queue(struct lkm_netdev *it);
bool lkm_rx_receive(struct lkm_rx *rx, struct lkm_frame *frame);
unsigned int lkm_rx_room(const struct lkm_rx *rx);

void lkm_cond_resched(void);
void lkm_current_comm(char *into);
bool lkm_debugfs_note(struct dentry *dentry);
#ifdef CONFIG_GPIOLIB
struct gpio_desc *lkm_gpiod_get(const char *chip, u16 offset,
				const char *consumer);
#endif
bool lkm_input_has_key(const struct input_dev *dev, unsigned int code);
unsigned char lkm_interrupt_context_level(void);

/* An interrupt, whatever becomes of its number; see irq.c. */
unsigned int lkm_irq_request_begin(void);
void lkm_irq_request_end(unsigned int place);
void lkm_irq_requests_wait(void);
void lkm_irq_free_all(unsigned int irq);
void *lkm_irq_get(unsigned int irq);
void lkm_irq_free(void *of, unsigned int irq, void *cookie);
void lkm_irq_hard_begin(void);
bool lkm_irq_is_message(unsigned int irq);
bool lkm_irq_is_thread(void);
void lkm_irq_put(void *of);
void lkm_irq_sync(void *of, unsigned int irq);

const void *lkm_iter_address(const struct iov_iter *iter);
void lkm_iter_user(struct iov_iter *iter, unsigned int direction, void *buf,
		   size_t len);
long lkm_jiffies(s64 ns);

/* A probe on a function of the kernel; see kprobe.rs. */
struct lkm_kprobe;
struct lkm_kprobe *lkm_kprobe_new(const char *symbol, const void *data,
				  void (*hit)(const void *data, const void *regs),
				  void (*left)(const void *data));
void lkm_kprobe_free(struct lkm_kprobe *it);
bool lkm_kprobe_is_here(void);
void lkm_kprobe_leave(struct lkm_kprobe *it);
unsigned long lkm_kprobe_missed(const struct lkm_kprobe *it);
int lkm_kprobe_register(struct lkm_kprobe *it);
void lkm_kprobe_stop(struct lkm_kprobe *it);

void lkm_kthread_interrupt(struct task_struct *task);
long lkm_kthread_sleep(long timeout, const u32 *state, u32 until);
void *lkm_pde_data(const struct inode *inode);

/* A PCI driver, and a device that it is bound to; see pci.c. The functions get @data. */
struct lkm_pci_driver;
struct lkm_pci_device;
struct lkm_pci_id {
	u32 vendor;
	u32 device;
};
struct lkm_pci_ops {
	/* What it puts into @bound, remove() gets. */
	int (*probe)(void *data, struct lkm_pci_device *device, void **bound);
	void (*remove)(void *data, void *bound);
};
struct lkm_pci_driver *lkm_pci_driver_add(const char *name,
					  const struct lkm_pci_id *ids,
					  size_t count, u64 dma_mask,
					  const struct lkm_pci_ops *ops,
					  void *data);
void lkm_pci_driver_remove(struct lkm_pci_driver *it);
void *lkm_pci_dma_alloc(struct lkm_pci_device *it, size_t len, u64 *address);
void lkm_pci_dma_free(struct lkm_pci_device *it, size_t len, void *at,
		      u64 address);
int lkm_pci_irq_get(struct lkm_pci_device *it, bool msi);
void lkm_pci_irq_put(struct lkm_pci_device *it);
int lkm_pci_map(struct lkm_pci_device *it, unsigned int bar, void **at,
		size_t *len);
void lkm_pci_place(const struct lkm_pci_device *it, u32 *domain, u32 *place);
void lkm_pci_set_master(struct lkm_pci_device *it);
void lkm_pci_silence(struct lkm_pci_device *it);
void lkm_pci_unmap(struct lkm_pci_device *it, unsigned int bar, void *at);

void lkm_clear(void *at, size_t len);
void lkm_put_page(struct page *page);
int lkm_remap_vmalloc_range(struct vm_area_struct *vma, void *addr);
void lkm_vfree(const void *addr);
struct page *lkm_vmalloc_page(const void *addr);
void *lkm_vmalloc_user(size_t size);
bool lkm_vma_is_shared(const struct vm_area_struct *vma);
int lkm_vma_on_demand(struct vm_area_struct *vma, unsigned long pages,
		      struct page *(*fault)(struct file *file,
					    unsigned long index));

unsigned long lkm_read_lock_irqsave(rwlock_t *lock);
void lkm_read_unlock_irqrestore(rwlock_t *lock, unsigned long flags);
bool lkm_regs_argument(const void *regs, unsigned int number,
		       unsigned long *value);
bool lkm_regs_syscall(const void *regs, unsigned long *args);
void lkm_reinit_completion(struct completion *completion);
void lkm_rwlock_init(rwlock_t *lock, const char *name,
		     struct lock_class_key *key);
void lkm_sema_init(struct semaphore *sem, unsigned int permits);

int lkm_sock_accepted_from(struct socket *sock, struct sockaddr *addr);
int lkm_sock_error(struct socket *sock);
void lkm_sock_hold_net(struct socket *sock);
bool lkm_sock_keepalive(struct socket *sock);
unsigned int lkm_sock_poll(struct socket *sock);
void lkm_sock_set_timeout(struct socket *sock, bool write, long timeout);
int lkm_sock_setsockopt(struct socket *sock, int level, int name, int value);
bool lkm_tcp_nodelay(struct socket *sock);
int lkm_tcp_set_nodelay(struct socket *sock, bool nodelay);

unsigned long lkm_spin_lock_irqsave(spinlock_t *lock);
bool lkm_spin_trylock_irqsave(spinlock_t *lock, unsigned long *flags);
void lkm_spin_unlock_irqrestore(spinlock_t *lock, unsigned long flags);
void lkm_tasklet_close(struct tasklet_struct *tasklet);
void lkm_tasklet_schedule(struct tasklet_struct *tasklet);
u64 lkm_ticks(void);
unsigned int lkm_ticks_per_second(void);
void lkm_timer_forward(struct timer_list *timer, unsigned long interval);
bool lkm_timer_is_pending(const struct timer_list *timer);
bool lkm_timer_modify(struct timer_list *timer, unsigned long delay);
u64 lkm_totalram(void);
struct file *lkm_tty_open_current(bool nonblocking);
void lkm_udelay(u64 usec);

bool lkm_vt_console(unsigned int number, const void **tty);
unsigned int lkm_vt_foreground(void **tty);
void lkm_vt_put(void *tty);
int lkm_vt_set_leds(void *tty, unsigned long leds);

bool lkm_waitqueue_active(struct wait_queue_head *head);
bool lkm_work_is_pending(const struct delayed_work *work);
unsigned long lkm_write_lock_irqsave(rwlock_t *lock);
void lkm_write_unlock_irqrestore(rwlock_t *lock, unsigned long flags);

#endif
