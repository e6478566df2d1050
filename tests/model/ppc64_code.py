"""Guests of a few instructions for ppc64, assembled here, and a run of one on any processor.

Each ends in a hypercall (XENVER_version) whose handler is replaced by one that looks at the
processor and ends the domain.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable

import xenport.abi
import xenport.architecture
from xenport.model.call import Call
from xenport.model.cpu.ppc64_guest import MSR_ME, MSR_RI, MSR_SF, Ppc64Guest
from xenport.model.machine import End, Guest, Host, Machine

CODE = 0x4000
DATA = 0x6000
BEHIND_MEMORY = 1 << 32

SC_0, SC_1 = 0x44000002, 0x44000022
UNDEFINED = 0
RFID = 0x4C000024
BCTR = 0x4E800420
MR_30_3 = 0x7C7E1B78
MFSPR, MTSPR = 339, 467
CTR, DECREMENTER = 9, 22


def li(register: int, value: int) -> int:
    """``value`` is a signed 16-bit number."""
    return 0x38000000 | register << 21 | value & 0xFFFF


def set64(register: int, value: int) -> list[int]:
    """Instructions that load a 64-bit number."""
    parts = [value >> shift & 0xFFFF for shift in (48, 32, 16, 0)]
    pair = register << 21 | register << 16
    return [
        0x3C000000 | register << 21 | parts[0],  # lis
        0x60000000 | pair | parts[1],  # ori
        0x780007C6 | pair,  # sldi 32
        0x64000000 | pair | parts[2],  # oris
        0x60000000 | pair | parts[3],  # ori
    ]


def move(opcode: int, number: int, register: int) -> int:
    """MFSPR or MTSPR."""
    return 31 << 26 | register << 21 | (number & 31) << 16 | number >> 5 << 11 | opcode << 1


def mtmsrd(register: int) -> int:
    return 31 << 26 | register << 21 | 178 << 1


def hypercall(number: int, *arguments: int) -> list[int]:
    """Instructions of a hypercall."""
    code = set64(3, number | 0xFFFFFFFFFFFF0000)
    for index, argument in enumerate(arguments):
        code += set64(4 + index, argument)
    return [*code, SC_1]


LOOK = hypercall(17, 0)  # what the tests end with


def elf(segments: dict[int, list[int]], entry: int = CODE) -> bytes:
    """An ELF file for ppc64 with the instructions at their addresses."""
    head_size, entry_size = 64, 56
    offset = head_size + entry_size * len(segments)
    heads = content = b""
    for address, words in segments.items():
        data = b"".join(word.to_bytes(4, "big") for word in words)
        heads += struct.pack(
            ">IIQQQQQQ", 1, 7, offset + len(content), address, address, len(data), len(data), 4
        )
        content += data
    ident = b"\x7fELF\x02\x02\x01".ljust(16, b"\0")
    fields = (2, 21, 1, entry, head_size, 0, 2, head_size, entry_size, len(segments), 0, 0, 0)
    return ident + struct.pack(">HHIQQQIHHHHHH", *fields) + heads + content


class Run:
    """A guest of the ELF file ``image``. ``look`` is called in each of its XENVER_version
    hypercalls, and number ``looks`` of them ends the domain. It runs on Unicorn, or on ``host``."""

    def __init__(
        self,
        image: bytes,
        look: Callable[[Call], None] = lambda _call: None,
        looks: int = 1,
        command_line: str = "",
        host: Host | None = None,
    ) -> None:
        self.looks = 0

        def version(call: Call) -> int:
            look(call)
            self.looks += 1
            if self.looks == looks:
                call.domain.shut_down(0)
            return 0

        self.machine = Machine(
            description(),
            xenport.architecture.load("ppc64"),
            Guest("ppc", control=False),
            image,
            command_line,
            lambda _text: None,
            {"XENVER_version": version},
            host,
        )
        self.domain = self.machine.domain
        cpu = self.domain.vcpus[0].cpu
        assert isinstance(cpu, Ppc64Guest)
        self.cpu = cpu

    def to_the_end(self) -> Run:
        assert self.machine.run() == End("poweroff")
        return self

    @property
    def pc(self) -> int:
        return self.cpu.get("pc")

    def gpr(self, number: int) -> int:
        """A general register as it is now."""
        return self.cpu.get(f"r{number}")

    @property
    def interrupted(self) -> tuple[int, int]:
        """Where the guest was when it took an interrupt, and what SRR1 said. MSR[ME] is not the
        guest's to change on a real processor, so it always counts as set."""
        return self.gpr(20), self.gpr(21) | MSR_ME

    def registers(self, *names: str) -> tuple[int, ...]:
        return tuple(self.cpu.get(name) for name in names)


@functools.cache
def description() -> xenport.abi.Abi:
    return xenport.abi.load(arch="ppc64", release="3.2")


SUPERVISOR = MSR_SF | MSR_ME | MSR_RI
VECTORS = (0x300, 0x400, 0x500, 0x600, 0x700, 0x800, 0x900, 0xC00, 0xF20)


# What the processor has in SRR0, SRR1 and the MSR, which hypercalls may change, to r20 and up.
KEEP = [move(MFSPR, 26, 20), move(MFSPR, 27, 21), 0x7EC000A6]


def kernel(*code: int, msr: int = SUPERVISOR) -> bytes:
    """An image that runs ``code`` in 64-bit mode, and looks in every vector."""
    vectors = {vector: [*KEEP, *LOOK] for vector in VECTORS}
    return elf({**vectors, CODE: [*set64(9, msr), mtmsrd(9), *code]})


START = CODE + 4 * 6  # of the code of a `kernel`
BEHIND_LOOK = 4 * len(LOOK)  # from where it begins
IN_VECTOR = BEHIND_LOOK + 4 * len(KEEP)  # from the start of a vector to behind its hypercall
