/*
 * physdev_op about PCI devices: which there are, and what Xen keeps about them.
 */
#include <sysctl.h>

#include "physdev_request.h"

/* The host bridge, which every PC has, and a device of a segment that no PC has. */
#define BRIDGE {.seg = 0, .bus = 0, .devfn = 0}
#define NO_DEVICE {.seg = 0xfffe, .bus = 0xfe, .devfn = 0}

/* Whether Xen knows the device. */
static bool is_known(struct physdev_pci_device device)
{
    static struct xen_sysctl request;
    uint32_t node = 0;

    memset(&request, 0, sizeof(request));
    request.cmd = XEN_SYSCTL_pcitopoinfo;
    request.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    request.u.pcitopoinfo.num_devs = 1;
    handle_set(request.u.pcitopoinfo.devs, &device);
    handle_set(request.u.pcitopoinfo.nodes, &node);
    CHECK_EQ(hypercall_sysctl(&request), 0);
    return node != XEN_INVALID_DEV;
}

static long add(void)
{
    struct physdev_pci_device_add device = BRIDGE;

    return physdev_op(PHYSDEVOP_pci_device_add, &device);
}

/*
 * Background: dom0 finds the devices of the machine and tells Xen of each, in one of three forms.
 * Provoked by: the host bridge told, by each form, and gone again.
 * Expected: Xen knows it, and then does not any more: -ENODEV when it is to go again.
 * Source: physdev.h (PHYSDEVOP_pci_device_add); drivers/passthrough/pci.c, pci_add_device(),
 * pci_remove_device().
 */
TEST(pv_pci_devices, DEVICES, "dom0 tells Xen of a PCI device, and that it is gone", .needs = "pv dom0")
{
    struct physdev_pci_device device = BRIDGE;
    struct physdev_manage_pci old = {.bus = 0};
    struct physdev_manage_pci_ext extended = {.bus = 0, .is_extfn = 1};

    CHECK_EQ(add(), 0);
    CHECK(is_known(device));
    CHECK_EQ(physdev_op(PHYSDEVOP_pci_device_remove, &device), 0);
    CHECK(!is_known(device));
    CHECK_ERRNO(physdev_op(PHYSDEVOP_pci_device_remove, &device), ENODEV);
    CHECK_EQ(physdev_op(PHYSDEVOP_manage_pci_add, &old), 0);
    CHECK(is_known(device));
    CHECK_EQ(physdev_op(PHYSDEVOP_manage_pci_remove, &old), 0);
    CHECK(!is_known(device));
    CHECK_ERRNO(physdev_op(PHYSDEVOP_manage_pci_remove, &old), ENODEV);
    CHECK_EQ(physdev_op(PHYSDEVOP_manage_pci_add_ext, &extended), 0);
    CHECK(is_known(device));
    extended.is_extfn = 2;
    CHECK_ERRNO(physdev_op(PHYSDEVOP_manage_pci_add_ext, &extended), EINVAL);
    CHECK_EQ(physdev_op(PHYSDEVOP_manage_pci_remove, &old), 0);
}

/* A function that is told as a virtual one of the bridge, and a device of another bus. */
#define PART 7
#define OTHER_BUS 0xfe

static long add_function(uint32_t flags, uint8_t bus)
{
    struct physdev_pci_device_add function = {.devfn = PART, .flags = flags, .physfn.bus = bus};

    return physdev_op(PHYSDEVOP_pci_device_add, &function);
}

static long add_function_ext(unsigned int is_virtual, uint8_t bus)
{
    struct physdev_manage_pci_ext function = {.devfn = PART, .is_virtfn = is_virtual, .physfn.bus = bus};

    return physdev_op(PHYSDEVOP_manage_pci_add_ext, &function);
}

static void check_virtual(long (*add_one)(uint32_t what, uint8_t bus), uint32_t ordinary, uint32_t is_virtual)
{
    struct physdev_pci_device bridge = BRIDGE, part = {.devfn = PART}, other = {.bus = OTHER_BUS};

    CHECK_EQ(add_one(ordinary, OTHER_BUS), 0);
    CHECK(is_known(part) && !is_known(other));
    CHECK_EQ(physdev_op(PHYSDEVOP_pci_device_remove, &part), 0);
    if (RELEASE_IS_AT_LEAST(4, 20)) {
        CHECK_ERRNO(add_one(is_virtual, 0), ENODEV);
        CHECK(!is_known(part));
        CHECK_EQ(add(), 0);
    }
    CHECK_EQ(add_one(is_virtual, 0), 0);
    CHECK(is_known(part) && is_known(bridge) && !is_known(other));
    CHECK_EQ(physdev_op(PHYSDEVOP_pci_device_remove, &part), 0);
    CHECK_EQ(physdev_op(PHYSDEVOP_pci_device_remove, &bridge), 0);
}

/*
 * Background: A virtual function belongs to a device, which Xen knows as well.
 * Provoked by: another function of the host bridge told, as an ordinary or extended one and as a virtual one that belongs
 * to the bridge, by both forms that say so.
 * Expected: Xen knows it, and what an ordinary one is said to belong to does not count; it knows the bridge too, or since
 * 4.20 refuses the virtual one with -ENODEV before it does.
 * Source: physdev.h (XEN_PCI_DEV_VIRTFN); drivers/passthrough/pci.c, pci_add_device().
 */
TEST(pv_pci_virtual_function, DEVICES, "dom0 tells Xen of a virtual function and what it belongs to",
     .needs = "pv dom0")
{
    check_virtual(add_function, XEN_PCI_DEV_EXTFN, XEN_PCI_DEV_VIRTFN);
    check_virtual(add_function_ext, 0, 1);
}

/*
 * Background: A device loses its messages in a reset, and Xen writes them again.
 * Provoked by: messages of a device without any written again, by both forms, and of a device that does
 * not exist; tables of messages protected and given free for one that does not exist.
 * Expected: 0, -ENODEV; -ENODEV.
 * Source: physdev.h (PHYSDEVOP_restore_msi_ext, PHYSDEVOP_prepare_msix); arch/x86/msi.c,
 * pci_restore_msi_state(), pci_prepare_msix().
 */
TEST(pv_pci_messages, DEVICES, "dom0 has the messages of a device written again", .needs = "pv dom0")
{
    struct physdev_pci_device device = BRIDGE, none = NO_DEVICE;
    struct physdev_restore_msi old = {.bus = 0}, gone = {.bus = 0xfe};

    CHECK_EQ(add(), 0);
    CHECK_EQ(physdev_op(PHYSDEVOP_restore_msi, &old), 0);
    CHECK_EQ(physdev_op(PHYSDEVOP_restore_msi_ext, &device), 0);
    CHECK_EQ(physdev_op(PHYSDEVOP_pci_device_remove, &device), 0);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_restore_msi, &gone), ENODEV);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_restore_msi_ext, &none), ENODEV);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_prepare_msix, &none), ENODEV);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_release_msix, &none), ENODEV);
}

/*
 * Background: Xen copies every argument with a check, and says so when it cannot.
 * Provoked by: every command about PCI devices that PV guests alone have, with an argument at no address.
 * Expected: -EFAULT each time.
 * Source: arch/x86/physdev.c, do_physdev_op().
 */
TEST(pv_pci_bad_pointers, DEVICES, "PCI commands with an argument at no address: EFAULT",
     .needs = "pv dom0")
{
    static const unsigned int commands[] = {
        PHYSDEVOP_pci_device_add,  PHYSDEVOP_pci_device_remove,  PHYSDEVOP_manage_pci_add,
        PHYSDEVOP_manage_pci_remove, PHYSDEVOP_manage_pci_add_ext, PHYSDEVOP_restore_msi,
        PHYSDEVOP_restore_msi_ext, PHYSDEVOP_prepare_msix,       PHYSDEVOP_release_msix,
    };

    for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        long rc = physdev_op(commands[i], arch_unmapped_pointer());

        if (rc != -XEN_EFAULT)
            FAIL("command %u returned %ld", commands[i], rc);
    }
}

#ifdef PHYSDEVOP_pci_device_reset
/*
 * Background: What Xen emulates of a device starts anew when the device was reset.
 * Provoked by: a reset of the host bridge, of each kind, and then of a device that does not exist; a kind of reset that
 * does not exist; no address.
 * Expected: 0; -ENODEV; -EINVAL; -EFAULT.
 * Source: physdev.h (PHYSDEVOP_pci_device_reset); drivers/pci/physdev.c, pci_physdev_op().
 */
TEST(pci_device_reset, DEVICES, "dom0 tells Xen that it has reset a PCI device", .needs = "pv|hvm dom0")
{
    struct pci_device_reset reset = {.dev = BRIDGE}, none = {.dev = NO_DEVICE};

    CHECK_EQ(add(), 0);
    for (reset.flags = 0; reset.flags <= PCI_DEVICE_RESET_MASK; reset.flags++)
        CHECK_EQ(physdev_op(PHYSDEVOP_pci_device_reset, &reset), 0);
    reset = none;
    CHECK_ERRNO(physdev_op(PHYSDEVOP_pci_device_reset, &reset), ENODEV);
    reset.flags = PCI_DEVICE_RESET_MASK + 1;
    CHECK_ERRNO(physdev_op(PHYSDEVOP_pci_device_reset, &reset), EINVAL);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_pci_device_reset, arch_unmapped_pointer()), EFAULT);
}
#endif

/*
 * Background: Devices are dom0's business.
 * Provoked by: a device told, gone, and its messages prepared, from a PV domU; messages of a device that does
 * not exist written again.
 * Expected: -EPERM; -ENODEV, for that is looked at first.
 * Source: xsm/dummy.h, xsm_resource_plug_pci(), xsm_resource_unplug_pci(), xsm_resource_setup_pci().
 */
TEST(pv_pci_denied, DEVICES, "a domU has no say about PCI devices: EPERM", .needs = "pv domu")
{
    struct physdev_pci_device device = BRIDGE, none = NO_DEVICE;
    struct physdev_restore_msi gone = {.bus = 0xfe};
    struct physdev_manage_pci old = {.bus = 0};
    struct physdev_manage_pci_ext extended = {.bus = 0};

    CHECK_ERRNO(add(), EPERM);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_pci_device_remove, &device), EPERM);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_manage_pci_add, &old), EPERM);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_manage_pci_remove, &old), EPERM);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_manage_pci_add_ext, &extended), EPERM);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_restore_msi, &gone), ENODEV);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_restore_msi_ext, &none), ENODEV);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_prepare_msix, &device), EPERM);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_release_msix, &device), EPERM);
}

static long window(uint32_t flags)
{
    struct physdev_pci_mmcfg_reserved window = {.segment = 0xfffe, .flags = flags};

    return physdev_op(PHYSDEVOP_pci_mmcfg_reserved, &window);
}

/*
 * Background: Firmware describes windows to PCI's configuration space, and dom0 knows whether it keeps
 * them free.
 * Provoked by: a window of a segment that no PC has; a flag that does not exist; no address.
 * Expected: -ENODEV; -EINVAL; -EFAULT.
 * Source: physdev.h (PHYSDEVOP_pci_mmcfg_reserved); arch/x86/x86_64/mmconfig-shared.c.
 */
TEST(pci_window_refused, DEVICES, "a configuration window that there is not: ENODEV",
     .needs = "pv|hvm dom0")
{
    CHECK_ERRNO(window(0), ENODEV);
    CHECK_ERRNO(window(XEN_PCI_MMCFG_RESERVED), ENODEV);
    CHECK_ERRNO(window(~0u), EINVAL);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_pci_mmcfg_reserved, arch_unmapped_pointer()), EFAULT);
}

static long debug_port(uint8_t operation, uint8_t bus)
{
    struct physdev_dbgp_op op = {.op = operation, .bus = bus};

    return physdev_op(PHYSDEVOP_dbgp_op, &op);
}

/*
 * Background: Xen's console may be on a USB controller that dom0 is about to reset.
 * Provoked by: a reset of a controller that Xen's console is not on; an argument at no address.
 * Expected: 0; -EFAULT.
 * Source: physdev.h (PHYSDEVOP_dbgp_op); drivers/char/ehci-dbgp.c, dbgp_op().
 */
TEST(usb_debug_port, DEVICES, "dom0 may reset a USB controller without Xen's console",
     .needs = "pv|hvm dom0")
{
    if (strcmp(boot_info.guest, "hvm") == 0 && !RELEASE_IS_AT_LEAST(4, 17)) {
        CHECK_ERRNO(debug_port(PHYSDEVOP_DBGP_RESET_PREPARE, PHYSDEVOP_DBGP_BUS_UNKNOWN), ENOSYS);
        return;
    }
    CHECK_EQ(debug_port(PHYSDEVOP_DBGP_RESET_PREPARE, PHYSDEVOP_DBGP_BUS_UNKNOWN), 0);
    CHECK_EQ(debug_port(PHYSDEVOP_DBGP_RESET_DONE, PHYSDEVOP_DBGP_BUS_UNKNOWN), 0);
    CHECK_ERRNO(physdev_op(PHYSDEVOP_dbgp_op, arch_unmapped_pointer()), EFAULT);
}

/*
 * Background: A PVH dom0 tells Xen of devices too, since 4.17; no other HVM guest has these commands.
 * Provoked by: a device that is gone, but never was; an argument at no address; the host bridge gone, twice, and there
 * again; the same and the other commands from a domU.
 * Expected: in dom0 -ENODEV; -EFAULT; 0, -ENODEV, 0; before 4.17 -ENOSYS; in a domU -ENOSYS.
 * Source: physdev.h; arch/x86/hvm/hypercall.c, hvm_physdev_op().
 */
TEST(hvm_pci_devices, DEVICES, "a PVH dom0 has the PCI commands, other HVM guests ENOSYS",
     .needs = "hvm")
{
    struct physdev_pci_device bridge = BRIDGE, none = NO_DEVICE;
    bool has = own_domain() == 0 && RELEASE_IS_AT_LEAST(4, 17);

    if (has) {
        CHECK_ERRNO(physdev_op(PHYSDEVOP_pci_device_remove, &none), ENODEV);
        CHECK_ERRNO(physdev_op(PHYSDEVOP_pci_device_remove, arch_unmapped_pointer()), EFAULT);
        CHECK_ERRNO(physdev_op(PHYSDEVOP_pci_device_add, arch_unmapped_pointer()), EFAULT);
        CHECK_EQ(add(), 0);
        CHECK_EQ(physdev_op(PHYSDEVOP_pci_device_remove, &bridge), 0);
        CHECK_ERRNO(physdev_op(PHYSDEVOP_pci_device_remove, &bridge), ENODEV);
        CHECK_EQ(add(), 0);
    } else {
        CHECK_ERRNO(physdev_op(PHYSDEVOP_pci_device_remove, &none), ENOSYS);
        CHECK_ERRNO(add(), ENOSYS);
    }
    if (own_domain() != 0) {
        CHECK_ERRNO(window(0), ENOSYS);
        CHECK_ERRNO(debug_port(0, 0), ENOSYS);
    }
}
