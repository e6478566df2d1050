/* The kernel's page tables. */
#ifndef MMU_H
#define MMU_H

/*
 * Maps what `machine` says there is onto itself and turns the MMU and caches on: RAM and Xen's
 * regions as normal memory, the GIC as device. Nothing is mapped at NULL, nor in the guard page
 * below the stack.
 */
void mmu_enable(void);

#endif
