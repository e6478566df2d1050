"""An image that kexec_op starts: it has the processor and its memory to itself, and what switches
the machine off. Nothing else of a PC is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import unicorn
from unicorn import x86_const as x86

from xenport.model.memory import PAGE_SIZE

_POWER_PORT = 0x604  #: the register PM1a_CNT of QEMU's PCs
_SLEEP_ENABLE, _SLEEP_TYPE = 1 << 13, 7 << 10
_MOST_INSTRUCTIONS = 1_000_000


@dataclass(frozen=True)
class Image:
    """What is where in the machine's memory, by page-aligned address; and how it starts."""

    parts: Mapping[int, bytes]
    entry: int
    is_64_bit: bool

    def switches_off(self) -> bool:
        """Start it. Does it switch the machine off? Else it has come to nothing."""
        machine = unicorn.Uc(
            unicorn.UC_ARCH_X86, unicorn.UC_MODE_64 if self.is_64_bit else unicorn.UC_MODE_32
        )
        for address, content in self.parts.items():
            machine.mem_map(address, -(-len(content) // PAGE_SIZE) * PAGE_SIZE)
            machine.mem_write(address, content)
        is_off = False

        def write_port(_machine: Any, port: int, _size: int, value: int, _data: Any) -> None:
            nonlocal is_off
            if port == _POWER_PORT and value & (_SLEEP_ENABLE | _SLEEP_TYPE) == _SLEEP_ENABLE:
                is_off = True
                machine.emu_stop()

        machine.hook_add(unicorn.UC_HOOK_INSN, write_port, begin=1, end=0, aux1=x86.UC_X86_INS_OUT)
        try:
            machine.emu_start(self.entry, 0, count=_MOST_INSTRUCTIONS)
        except unicorn.UcError:
            return False  # a fault without a handler
        return is_off
