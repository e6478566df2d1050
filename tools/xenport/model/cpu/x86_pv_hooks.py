"""Instructions of a PV guest that Unicorn would carry out, and that are Xen's to answer."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from unicorn import x86_const as x86

from xenport.model.cpu.x86_core import GP
from xenport.model.cpu.x86_pv_emulate import do_cpuid

if TYPE_CHECKING:
    from xenport.model.cpu.x86_64_pv import PvCpu

_CPUID = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_IN = ctypes.CFUNCTYPE(
    ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_void_p
)
_OUT = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint32, ctypes.c_void_p
)


def install(cpu: PvCpu) -> None:
    """Hook cpuid, in and out. A kernel needs an I/O privilege level of 1 for ports, or a
    bitmap; there is nothing behind them."""
    processor = cpu.processor

    def cpuid(_uc: int, _data: int) -> int:
        do_cpuid(cpu)
        return 1

    def read_port(_uc: int, port: int, size: int, _data: int) -> int:
        mask = (1 << 8 * size) - 1
        if not cpu.may_use_port(port, size):
            processor.raise_fault(GP)
            return processor.rax.get() & mask
        return mask

    def write_port(_uc: int, port: int, size: int, _value: int, _data: int) -> None:
        if not cpu.may_use_port(port, size):
            processor.raise_fault(GP)

    hook = processor.core.hook_instruction_raw
    hook(x86.UC_X86_INS_CPUID, _CPUID(cpuid))
    hook(x86.UC_X86_INS_IN, _IN(read_port))
    hook(x86.UC_X86_INS_OUT, _OUT(write_port))
