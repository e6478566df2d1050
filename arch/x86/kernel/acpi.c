/* Sleep states; see acpi.h. */
#include "acpi.h"

#include <hypercall.h>
#include <platform.h>
#include <string.h>

#include "x86.h"

#define SLEEP_TYPE(type) ((uint16_t)((type) << 10))
#define TYPE_S3 1                  /* what emulated PCs mean by it */

long acpi_sleep(uint32_t state, uint16_t first, uint16_t second, uint32_t flags)
{
    static struct xen_platform_op request;

    memset(&request, 0, sizeof(request));
    request.cmd = XENPF_enter_acpi_sleep;
    request.interface_version = XENPF_INTERFACE_VERSION;
    request.u.enter_acpi_sleep.sleep_state = state;
    request.u.enter_acpi_sleep.val_a = first;
    request.u.enter_acpi_sleep.val_b = second;
    request.u.enter_acpi_sleep.flags = flags;
    return arch_hypercall(__HYPERVISOR_platform_op, arch_guest_address(&request), 0, 0, 0, 0);
}

long arch_machine_sleep(void)
{
    return acpi_sleep(3, SLEEP_ENABLE | SLEEP_TYPE(TYPE_S3), 0, 0);
}
