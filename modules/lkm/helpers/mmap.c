// SPDX-License-Identifier: GPL-2.0-only

#include <linux/mm.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "helpers.h"

/* C may write while others do, or read. */
void lkm_clear(void *at, size_t len)
{
	memset(at, 0, len);
}

/* Maps as much of what lkm_vmalloc_user() has allocated as @vma asks for. */
int lkm_remap_vmalloc_range(struct vm_area_struct *vma, void *addr)
{
	return remap_vmalloc_range(vma, addr, vma->vm_pgoff);
}

/* Also true of a mapping of a file that is only open to read. */
bool lkm_vma_is_shared(const struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_MAYSHARE;
}

void lkm_vfree(const void *addr)
{
	vfree(addr);
}

void *lkm_vmalloc_user(size_t size)
{
	return vmalloc_user(size);
}
