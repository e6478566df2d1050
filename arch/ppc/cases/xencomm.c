/* Guest handles of IBM's port: physical addresses of lists of pages. */
#include <string.h>

#include <hypercall.h>
#include <test.h>
#include <xencomm.h>

#define PAGE_BYTES 4096u

/* Two pages that a descriptor names, and a descriptor that may be put anywhere in a third. */
static uint8_t pages[2][PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
static uint8_t descriptor_page[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

/* A descriptor of the last bytes of the first page and the first ones of the second, with an entry
 * between them that stands for nothing. */
static struct xencomm_desc *describe(unsigned int offset, unsigned int first_bytes)
{
    struct xencomm_desc *descriptor = (struct xencomm_desc *)(descriptor_page + offset);

    descriptor->magic = XENCOMM_MAGIC;
    descriptor->nr_addrs = 3;
    descriptor->address[0] = (unsigned long)pages[0] + PAGE_BYTES - first_bytes;
    descriptor->address[1] = XENCOMM_INVALID;
    descriptor->address[2] = (unsigned long)pages[1];
    return descriptor;
}

static long extra_version(unsigned long handle)
{
    return arch_hypercall(__HYPERVISOR_xen_version, XENVER_extraversion, handle, 0, 0, 0);
}

/*
 * Background: Xen cannot follow a guest's page tables, so a handle is the physical address of a list
 * of the physical pages that a buffer lies in. Entries that are all ones are skipped.
 * Provoked by: XENVER_extraversion into a buffer of which 4 bytes lie in one page and the rest in
 * another.
 * Expected: the text that goes into a contiguous buffer, cut in two, and nothing beside it.
 * Source: xencomm.h; common/xencomm.c, xencomm_copy_to_guest().
 */
TEST(ppc_xencomm_descriptor, ENTER, "a xencomm descriptor names the pages of a buffer",
     .needs = "ppc")
{
    static xen_extraversion_t text;

    CHECK_EQ(hypercall_xen_version(XENVER_extraversion, &text), 0);
    memset(pages, 0xaa, sizeof(pages));
    CHECK_EQ(extra_version((unsigned long)describe(64, 4)), 0);
    CHECK_EQ(memcmp(pages[0] + PAGE_BYTES - 4, text, 4), 0);
    CHECK_EQ(memcmp(pages[1], text + 4, sizeof(text) - 4), 0);
    CHECK_EQ(pages[0][PAGE_BYTES - 5], 0xaa);
    CHECK_EQ(pages[1][sizeof(text) - 4], 0xaa);
}

/*
 * Provoked by: descriptors that name too little room, have another magic number, are not aligned, are
 * where nothing is, or list an address where nothing is.
 * Expected: -EFAULT for each.
 * Source: common/xencomm.c, xencomm_ctxt_init() and xencomm_copy_chunk_to().
 */
TEST(ppc_xencomm_refused, ENTER, "a xencomm descriptor that cannot be used is refused: EFAULT",
     .needs = "ppc")
{
    struct xencomm_desc *descriptor = describe(64, 4);

    descriptor->nr_addrs = 1;
    CHECK_ERRNO(extra_version((unsigned long)descriptor), EFAULT);
    descriptor->nr_addrs = 0;
    CHECK_ERRNO(extra_version((unsigned long)descriptor), EFAULT);

    descriptor = describe(64, 4);
    descriptor->magic++;
    CHECK_ERRNO(extra_version((unsigned long)descriptor), EFAULT);

    CHECK_ERRNO(extra_version((unsigned long)describe(68, 4)), EFAULT);
    CHECK_ERRNO(extra_version((unsigned long)arch_unmapped_pointer()), EFAULT);

    descriptor = describe(64, 4);
    descriptor->address[2] = (unsigned long)arch_unmapped_pointer();
    CHECK_ERRNO(extra_version((unsigned long)descriptor), EFAULT);
}
