/*
 * Hypercalls that a Xen may be built without, or that are gone: then every command of them says so.
 */
#if __has_include(<argo.h>)
#include <argo.h>
#endif
#include <string.h>
#if __has_include(<xsm/flask_op.h>)
#include <xsm/flask_op.h>
#endif

#include "common.h"

#ifdef XEN_ARGO_OP_register_ring
static long argo_op(unsigned int command, void *argument)
{
    return arch_hypercall(__HYPERVISOR_argo_op, command, arch_guest_address(argument), 0, 0, 0);
}

/*
 * Background: Argo sends messages between domains. It has to be built and to be switched on.
 * Provoked by: every command with an argument at no address.
 * Expected: -ENOSYS for all where it is not built, -EOPNOTSUPP where it is not switched on, and else -EFAULT
 * (-ENODEV for the one that needs no argument).
 * Source: argo.h; common/argo.c, do_argo_op().
 */
TEST(argo_commands, EVENTS, "Argo's commands, or not built: ENOSYS", .needs = "pv|hvm|arm")
{
    for (unsigned int command = XEN_ARGO_OP_register_ring; command <= XEN_ARGO_OP_notify;
         command++) {
        long rc = argo_op(command, nowhere());

        if (rc != -XEN_ENOSYS && rc != -XEN_EOPNOTSUPP && rc != -XEN_ENODEV)
            CHECK_ERRNO(rc, EFAULT);
    }
}
#endif

#ifdef XEN_FLASK_INTERFACE_VERSION
static struct xen_flask_op flask;

static long flask_op(unsigned int command)
{
    memset(&flask, 0, sizeof(flask));
    flask.cmd = command;
    flask.interface_version = XEN_FLASK_INTERFACE_VERSION;
    return arch_hypercall(__HYPERVISOR_xsm_op, arch_guest_address(&flask), 0, 0, 0, 0);
}

/*
 * Background: Flask decides by a policy who may do what. It has to be built and to be chosen.
 * Provoked by: whether it is enforced; if nobody knows, every other command.
 * Expected: 0 or 1; -ENOSYS each time.
 * Source: xsm/flask_op.h; xsm/flask/flask_op.c, do_flask_op(); xsm/dummy.h, xsm_do_xsm_op().
 */
TEST(flask_commands, CONTROL, "Flask answers, or is not the security module: ENOSYS",
     .needs = "pv|hvm|arm")
{
    long enforced = flask_op(FLASK_GETENFORCE);

    if (enforced >= 0) {
        CHECK(enforced <= 1);
        CHECK_ERRNO(flask_op(9999), ENOSYS);
        return;
    }
    for (unsigned int command = FLASK_LOAD; command <= FLASK_DEVICETREE_LABEL; command++) {
        long rc = flask_op(command);

        if (rc != -XEN_ENOSYS)
            FAIL("command %u returned %ld", command, rc);
    }
}
#endif

#ifdef __HYPERVISOR_tmem_op
/*
 * Background: Memory of all domains together was once offered by Xen.
 * Provoked by: the hypercall for it.
 * Expected: -ENOSYS.
 * Source: tmem.h; the hypercall went with 4.13.
 */
TEST(tmem_is_gone, ENTER, "transcendent memory is gone: ENOSYS", .needs = "pv|hvm|arm")
{
    CHECK_ERRNO(arch_hypercall(__HYPERVISOR_tmem_op, 0, 0, 0, 0, 0), ENOSYS);
}
#endif
