// SPDX-License-Identifier: GPL-2.0-only

#include <linux/array_size.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static short myshort = 1;
module_param(myshort, short, 0660);
MODULE_PARM_DESC(myshort, "A short integer");

static int myint = 420;
module_param(myint, int, 0644);
MODULE_PARM_DESC(myint, "An integer");

static long mylong = 9999;
module_param(mylong, long, 0400);
MODULE_PARM_DESC(mylong, "A long integer");

static char *mystring = "blah";
module_param(mystring, charp, 0);
MODULE_PARM_DESC(mystring, "A character string");

static int myintarray[] = { 420, 420 };
static unsigned int given;
module_param_array(myintarray, int, &given, 0);
MODULE_PARM_DESC(myintarray, "An array of integers");

static int __init hello_init(void)
{
	unsigned int i;

	pr_info("Hello, world 5\n");
	pr_info("=============\n");
	pr_info("myshort is a short integer: %d\n", myshort);
	pr_info("myint is an integer: %d\n", myint);
	pr_info("mylong is a long integer: %ld\n", mylong);
	pr_info("mystring is a string: %s\n", mystring);
	for (i = 0; i < ARRAY_SIZE(myintarray); i++)
		pr_info("myintarray[%u] = %d\n", i, myintarray[i]);
	pr_info("got %u arguments for myintarray.\n", given);
	return 0;
}
module_init(hello_init);

static void __exit hello_exit(void)
{
	pr_info("Goodbye, world 5\n");
}
module_exit(hello_exit);

MODULE_AUTHOR("lkmpg-rs");
MODULE_DESCRIPTION("Command line arguments of a module");
MODULE_LICENSE("GPL");
