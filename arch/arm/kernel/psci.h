/*
 * PSCI, by which a guest on Arm starts and stops its vcpus and itself (Arm DEN 0022), and the SMC
 * calling convention below it (Arm DEN 0028). Xen takes the calls by `hvc #0`, as its device tree
 * says.
 */
#ifndef PSCI_H
#define PSCI_H

#include <arch.h>

/* Functions; those that take addresses or affinities have a second number for 64-bit arguments. */
#define PSCI_WIDE            0x40000000u
#define PSCI_NATIVE(number)  ((sizeof(long) == 8 ? PSCI_WIDE : 0) | (number))
#define SMCCC_VERSION        0x80000000u
#define SMCCC_ARCH_FEATURES  0x80000001u
#define PSCI_VERSION         0x84000000u
#define PSCI_CPU_SUSPEND     PSCI_NATIVE(0x84000001u)
#define PSCI_CPU_OFF         0x84000002u
#define PSCI_CPU_ON          PSCI_NATIVE(0x84000003u)
#define PSCI_AFFINITY_INFO   PSCI_NATIVE(0x84000004u)
#define PSCI_MIGRATE         PSCI_NATIVE(0x84000005u)
#define PSCI_MIGRATE_INFO    0x84000006u
#define PSCI_MIGRATE_INFO_UP PSCI_NATIVE(0x84000007u)
#define PSCI_SYSTEM_OFF      0x84000008u
#define PSCI_SYSTEM_RESET    0x84000009u
#define PSCI_FEATURES        0x8400000au
#define PSCI_CPU_FREEZE           0x8400000bu
#define PSCI_CPU_DEFAULT_SUSPEND  0x8400000cu
#define PSCI_NODE_HW_STATE        0x8400000du
#define PSCI_SYSTEM_SUSPEND       0x8400000eu
#define PSCI_SET_SUSPEND_MODE     0x8400000fu
#define PSCI_STAT_RESIDENCY       0x84000010u
#define PSCI_STAT_COUNT           0x84000011u
#define PSCI_SYSTEM_RESET2        0x84000012u
#define PSCI_MEM_PROTECT          0x84000013u
#define PSCI_MEM_PROTECT_RANGE    0x84000014u
#define PSCI_LAST            0x8400001fu /* of PSCI's range of 32-bit functions */

#define PSCI_SUCCESS            0
#define PSCI_NOT_SUPPORTED      (-1)
#define PSCI_INVALID_PARAMETERS (-2)
#define PSCI_ALREADY_ON         (-4)
#define PSCI_INVALID_ADDRESS    (-9)

/* What PSCI_AFFINITY_INFO tells. */
#define PSCI_ON         0
#define PSCI_OFF        1
#define PSCI_ON_PENDING 2

/* Results are 32 bits wide, signed. */
static inline int psci(unsigned int function, unsigned long a1, unsigned long a2, unsigned long a3)
{
    return (int)arch_firmware_call(function, a1, a2, a3);
}

#endif
