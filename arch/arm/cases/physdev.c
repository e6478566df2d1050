/*
 * physdev_op on Arm, where devices are found in the device tree and interrupts are the guest's own.
 */
#include <physdev.h>

#include "common.h"

#ifdef PHYSDEVOP_pci_device_reset
#define PCI_DEVICE_RESET PHYSDEVOP_pci_device_reset
#else
#define PCI_DEVICE_RESET PHYSDEVOP_pci_device_remove
#endif

/*
 * Background: Arm's Xen has commands for PCI devices alone, and only if it is built with PCI.
 * Provoked by: every command, at no address.
 * Expected: -ENOSYS; for those commands with PCI, since 4.16, -EFAULT, or -EOPNOTSUPP if it is not
 * switched on.
 * Source: physdev.h; arch/arm/physdev.c, do_arm_physdev_op().
 */
TEST(physdev_on_arm, DEVICES, "Arm has no physdev_op but for PCI: ENOSYS")
{
    for (unsigned int command = 0; command <= NO_COMMAND; command++) {
        /* Up to 4.16 the result is a number of 32 bits, also where others have 64. */
        int rc = (int)arch_hypercall(__HYPERVISOR_physdev_op, command,
                                     arch_guest_address(arch_unmapped_pointer()), 0, 0, 0);
        bool is_pci = command == PHYSDEVOP_pci_device_add ||
                      command == PHYSDEVOP_pci_device_remove || command == PCI_DEVICE_RESET;

        if (rc == -XEN_ENOSYS || (is_pci && (rc == -XEN_EFAULT || rc == -XEN_EOPNOTSUPP)))
            continue;
        FAIL("command %u returned %d", command, rc);
    }
}
