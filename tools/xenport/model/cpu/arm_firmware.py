"""What Xen answers as a guest's firmware: PSCI 1.1 and the version of the SMC calling convention.

Calls are ``hvc #0`` or ``smc #0``, the function's number in w0, or r0. Sources: Arm DEN 0022, Arm
DEN 0028.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xenport.model.cpu.arm import ArmCpu

_SUCCESS = 0
_NOT_SUPPORTED = -1
_INVALID_PARAMETERS = -2
_ALREADY_ON = -4
_INTERNAL_FAILURE = -6
_INVALID_ADDRESS = -9

_VERSION_1_1 = 0x10001
_AFFINITY_ON = 0
_AFFINITY_OFF = 1
_MIGRATION_NOT_NEEDED = 2

#: 64-bit functions have this bit; all others take and give the low halves of registers.
_64_BIT = 0x40000000
_SMCCC_VERSION = 0x80000000
_SMCCC_ARCH_FEATURES = 0x80000001
_PSCI_VERSION = 0x84000000
_CPU_SUSPEND = 0x84000001
_CPU_OFF = 0x84000002
_CPU_ON = 0x84000003
_AFFINITY_INFO = 0x84000004
_MIGRATE_INFO_TYPE = 0x84000006
_SYSTEM_OFF = 0x84000008
_SYSTEM_RESET = 0x84000009
_PSCI_FEATURES = 0x8400000A

#: Fields of an affinity that levels 0 to 3 and above tell apart.
_AFFINITY_MASKS = (0xFF_00FFFFFF, 0xFF_00FFFF00, 0xFF_00FF0000, 0xFF_00000000)

Function = Callable[["ArmCpu", Sequence[int]], int]


def call(cpu: ArmCpu, registers: Sequence[int]) -> int:
    """Carry out the call in the first four registers; returns what goes into the first."""
    number = registers[0] & 0xFFFFFFFF
    function = _FUNCTIONS.get(number)
    if function is None or (number & _64_BIT and not cpu.has_wide_calls):
        return _NOT_SUPPORTED
    return function(cpu, registers)


def _version(_cpu: ArmCpu, _registers: Sequence[int]) -> int:
    return _VERSION_1_1


def _no_workaround(_cpu: ArmCpu, _registers: Sequence[int]) -> int:
    return _NOT_SUPPORTED


def _cpu_suspend(cpu: ArmCpu, _registers: Sequence[int]) -> int:
    cpu.wait()
    return _SUCCESS


def _cpu_off(cpu: ArmCpu, _registers: Sequence[int]) -> int:
    cpu.vcpu.down()
    return _SUCCESS


def _cpu_on(cpu: ArmCpu, registers: Sequence[int]) -> int:
    number, entry, context = registers[1:4]
    vcpus = cpu.vcpu.domain.vcpus
    if number >= len(vcpus):
        return _INVALID_PARAMETERS
    if entry & 1 and cpu.has_wide_calls:  # a 32-bit vcpu starts in Thumb state
        return _INVALID_ADDRESS
    target = vcpus[number]
    if not target.is_down:
        return _ALREADY_ON
    cpu.start(target, entry, context)
    return _SUCCESS


def _cpu_on_0_1(cpu: ArmCpu, registers: Sequence[int]) -> int:
    number, entry = registers[1:3]
    result = _cpu_on(cpu, (0, number & 0xFFFFFFFF, entry, 0))
    return _SUCCESS if result == _SUCCESS else _INVALID_PARAMETERS


def _affinity_info(cpu: ArmCpu, registers: Sequence[int]) -> int:
    level = registers[2] & 0xFFFFFFFF
    if level >= cpu.affinity_levels:
        return _INVALID_PARAMETERS
    mask = _AFFINITY_MASKS[level]
    on = any(v.id & mask == registers[1] & mask and not v.is_down for v in cpu.vcpu.domain.vcpus)
    return _AFFINITY_ON if on else _AFFINITY_OFF


def _migrate_info_type(_cpu: ArmCpu, _registers: Sequence[int]) -> int:
    return _MIGRATION_NOT_NEEDED


def _system_off(cpu: ArmCpu, _registers: Sequence[int]) -> int:
    domain = cpu.vcpu.domain
    domain.shut_down(domain.abi.constant("SHUTDOWN_poweroff"))
    return _INTERNAL_FAILURE


def _system_reset(cpu: ArmCpu, _registers: Sequence[int]) -> int:
    domain = cpu.vcpu.domain
    domain.shut_down(domain.abi.constant("SHUTDOWN_reboot"))
    return _INTERNAL_FAILURE


def _psci_features(_cpu: ArmCpu, registers: Sequence[int]) -> int:
    asked = registers[1] & 0xFFFFFFFF
    known = asked in _FUNCTIONS and asked not in (1, 2, _SMCCC_ARCH_FEATURES)
    return _SUCCESS if known else _NOT_SUPPORTED


_FUNCTIONS: dict[int, Function] = {
    1: _cpu_off,  # PSCI 0.1, whose numbers are in the device tree
    2: _cpu_on_0_1,
    _SMCCC_VERSION: _version,
    _SMCCC_ARCH_FEATURES: _no_workaround,
    _PSCI_VERSION: _version,
    _CPU_SUSPEND: _cpu_suspend,
    _CPU_SUSPEND | _64_BIT: _cpu_suspend,
    _CPU_OFF: _cpu_off,
    _CPU_ON: _cpu_on,
    _CPU_ON | _64_BIT: _cpu_on,
    _AFFINITY_INFO: _affinity_info,
    _AFFINITY_INFO | _64_BIT: _affinity_info,
    _MIGRATE_INFO_TYPE: _migrate_info_type,
    _SYSTEM_OFF: _system_off,
    _SYSTEM_RESET: _system_reset,
    _PSCI_FEATURES: _psci_features,
}
