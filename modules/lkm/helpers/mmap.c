// SPDX-License-Identifier: GPL-2.0-only

#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/page_ref.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "helpers.h"

/* C may write while others do, or read. */
void lkm_clear(void *at, size_t len)
{
	memset(at, 0, len);
}

void lkm_put_page(struct page *page)
{
	put_page(page);
}

/* Maps as much of what lkm_vmalloc_user() has allocated as @vma asks for. */
int lkm_remap_vmalloc_range(struct vm_area_struct *vma, void *addr)
{
	return remap_vmalloc_range(vma, addr, vma->vm_pgoff);
}

/* In process context, with the mmap_lock held for reading. */
static vm_fault_t demand_fault(struct vm_fault *vmf)
{
	struct page *(*fault)(struct file *file, unsigned long index) =
		vmf->vma->vm_private_data;

	vmf->page = fault(vmf->vma->vm_file, vmf->pgoff);
	/* Of VM_FAULT_OOM the kernel would make another try, for ever. */
	return vmf->page ? 0 : VM_FAULT_SIGBUS;
}

static const struct vm_operations_struct demand_ops = {
	.fault = demand_fault,
};

/*
 * Has @vma ask for its pages one by one: @fault returns a page with a reference, or NULL. The
 * file has @pages of them. An area with VM_DONTEXPAND does not grow, and is never put together
 * with a new one that nobody has looked at. When it is copied or cut in two, each part has a
 * reference to the file.
 */
int lkm_vma_on_demand(struct vm_area_struct *vma, unsigned long pages,
		      struct page *(*fault)(struct file *file,
					    unsigned long index))
{
	if (vma->vm_pgoff > pages || vma_pages(vma) > pages - vma->vm_pgoff)
		return -EINVAL;
	/* Nobody else knows @vma yet. */
	vm_flags_init(vma, vma->vm_flags | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = fault;
	vma->vm_ops = &demand_ops;
	return 0;
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

/*
 * The page at @addr, of what lkm_vmalloc_user() has allocated, with a reference. NULL if it has
 * so many that the number could overflow: who gets one may never give it back.
 */
struct page *lkm_vmalloc_page(const void *addr)
{
	struct page *page = vmalloc_to_page(addr);

	/* Others may have made it negative. */
	if ((unsigned int)page_ref_count(page) > INT_MAX / 2)
		return NULL;
	/* get_page() would look whether it is one of a slab. */
	page_ref_inc(page);
	return page;
}

void *lkm_vmalloc_user(size_t size)
{
	return vmalloc_user(size);
}
