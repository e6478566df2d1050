"""What the Unicorn cores of both Arm architectures have in common: exceptions as Unicorn numbers
them, addresses by the guest's tables, registers of devices.
"""

from __future__ import annotations

import ctypes
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import unicorn
from unicorn.unicorn_py3.unicorn import uclib

from xenport.model.cpu.unicorn_core import Register, UnicornCore
from xenport.model.errors import ModelError

# The PC is at the instruction, or behind it (SVC, HVC, SMC).
EXCEPTION_UNDEFINED = 1
EXCEPTION_SVC = 2
EXCEPTION_INSTRUCTION_ABORT = 3
EXCEPTION_DATA_ABORT = 4
EXCEPTION_BREAKPOINT = 7
EXCEPTION_HVC = 11
EXCEPTION_SMC = 13

#: In the process state of both.
IRQ_MASK = 1 << 7

_READ_HOOK = ctypes.CFUNCTYPE(
    ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint, ctypes.c_void_p
)
_WRITE_HOOK = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint, ctypes.c_uint64, ctypes.c_void_p
)


class ArmCore(UnicornCore, ABC):
    """A core at EL1, or in supervisor mode, with the MMU off."""

    general: list[Register]  #: x0 to x30, r0 to r14
    pc: Register
    status: Register  #: PSTATE, CPSR

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._translate = uclib["uc_vmem_translate"]
        self._physical = ctypes.c_uint64()
        self._physical_pointer = ctypes.byref(self._physical)

    # ---- Exceptions ----

    @abstractmethod
    def take_interrupt(self) -> None:
        """Enter the vector for interrupts."""

    @abstractmethod
    def inject_undefined(self) -> None:
        """What Xen does on a call that it does not know; the PC is behind it."""

    @abstractmethod
    def inject_abort(self, address: int, *, fetch: bool) -> None:
        """What Xen does on an access (the fetch of an instruction) to an address that has nothing
        behind it; the PC is at the instruction."""

    # ---- Memory ----

    def translate(self, address: int, write: bool) -> int | None:
        """The physical address of a virtual one, by the guest's tables; None where they do not
        allow it."""
        access = unicorn.UC_PROT_WRITE if write else unicorn.UC_PROT_READ
        status = self._translate(
            self.handle, ctypes.c_uint64(address), access, self._physical_pointer
        )
        return self._physical.value if status == unicorn.UC_ERR_OK else None

    def map_registers(
        self,
        address: int,
        size: int,
        read: Callable[[int, int], int],
        write: Callable[[int, int, int], None],
    ) -> None:
        """Registers of a device at a physical address: ``read(offset, size) -> value`` and
        ``write(offset, size, value)``, sizes in bytes."""

        def on_read(_uc: int, offset: int, size: int, _data: int) -> int:
            try:
                return read(offset, size)
            except BaseException as error:
                self.fail(error)
                return 0

        def on_write(_uc: int, offset: int, size: int, value: int, _data: int) -> None:
            try:
                write(offset, size, value)
            except BaseException as error:
                self.fail(error)

        callbacks = (_READ_HOOK(on_read), _WRITE_HOOK(on_write))
        self._callbacks.extend(callbacks)
        status = uclib.uc_mmio_map(self.handle, address, size, callbacks[0], 0, callbacks[1], 0)
        if status != unicorn.UC_ERR_OK:
            raise ModelError(f"uc_mmio_map: {unicorn.UcError(status)}")
