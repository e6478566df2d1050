"""How fast the model's hypercalls are: ``python -m xenport.model.bench``.

For each architecture, XENVER_version hypercalls per second on the model, and the same loop of
instructions under a hook that does nothing: one made the ordinary way, by Unicorn's Python wrapper,
and one made with ctypes. CPU time, best of several runs.
"""

from __future__ import annotations

import functools
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

import unicorn
from unicorn import x86_const

import xenport.abi
from xenport import architecture, kernel
from xenport.model import core
from xenport.model.call import Call
from xenport.model.cpu.arm import ArmCpu
from xenport.model.cpu.arm32_core import Arm32Core
from xenport.model.cpu.arm64_core import Arm64Core
from xenport.model.cpu.base import Cpu
from xenport.model.cpu.ppc64 import Ppc64Cpu
from xenport.model.cpu.ppc64_core import Ppc64Core
from xenport.model.cpu.unicorn_core import UnicornCore
from xenport.model.cpu.x86_64_pv import PvCpu
from xenport.model.hosted.cpu import HostedCpu
from xenport.model.machine import Guest, Host, Machine
from xenport.model.memory import Memory

CALLS = 100_000
RUNS = 3
_CODE = 0x10000  #: where the bare loop lies
_MEMORY = 64 << 20


@dataclass(frozen=True)
class Speed:
    """Hypercalls, or hooks, per second of CPU time."""

    architecture: str
    model: float
    wrapper_hook: float  #: a hook of Unicorn's Python wrapper that does nothing
    raw_hook: float  #: a ctypes hook that does nothing

    @property
    def ratio(self) -> float:
        """The model against a bare hook."""
        return self.model / self.wrapper_hook


@dataclass(frozen=True)
class _Subject:
    """How to measure one architecture. ``code`` is a loop that ends where it ends."""

    architecture: str
    release: str
    guest: Guest
    code: Callable[[int], bytes]
    open: Callable[[], UnicornCore]
    hook: int  #: kind of Unicorn hook, and the instruction where that needs one
    instruction: int
    core_of: Callable[[Cpu], UnicornCore]
    start_of: Callable[[Cpu], tuple[int, int]]  #: virtual and physical address of the first code


# ---- Loops ----


def _x86_64(count: int) -> bytes:
    body = b"\xb8\x11\0\0\0" + b"\x31\xff" + b"\x0f\x05" + b"\x48\xff\xcb"
    return b"\x48\xc7\xc3" + struct.pack("<I", count) + body + b"\x75" + bytes([-14 & 0xFF])


def _arm64(count: int) -> bytes:
    return struct.pack(
        "<7I",
        0xD2800000 | (count & 0xFFFF) << 5 | 19,  # movz x19
        0xF2A00000 | (count >> 16) << 5 | 19,  # movk x19
        0xD2800000 | 17 << 5 | 16,  # mov x16, 17
        0xD2800000,  # mov x0, 0
        0xD4000002 | 0xEA1 << 5,  # hvc
        0xF1000673,  # subs x19, x19, 1
        0x54000001 | (-4 & 0x7FFFF) << 5,  # b.ne
    )


def _arm32(count: int) -> bytes:
    low, high = count & 0xFFFF, count >> 16
    return struct.pack(
        "<7I",
        0xE3006000 | low >> 12 << 16 | low & 0xFFF,  # movw r6
        0xE3406000 | high >> 12 << 16 | high & 0xFFF,  # movt r6
        0xE3A0C011,  # mov r12, 17
        0xE3A00000,  # mov r0, 0
        0xE140EA71,  # hvc 0xea1
        0xE2566001,  # subs r6, r6, 1
        0x1AFFFFFA,  # bne
    )


def _ppc64(count: int) -> bytes:
    return struct.pack(
        ">8I",
        0x3FE00000 | count >> 16,  # lis r31
        0x63FF0000 | count & 0xFFFF,  # ori r31
        0x3C60FFFF,  # lis r3, -1
        0x60630011,  # ori r3, r3, 17
        0x38800000,  # li r4, 0
        0x44000022,  # sc 1
        0x37FFFFFF,  # addic. r31, r31, -1
        0x4082FFEC,  # bne
    )


# ---- Architectures ----


def _open_x86_64() -> UnicornCore:
    return UnicornCore(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)


def _open_ppc64() -> UnicornCore:
    core = Ppc64Core()
    core.enter_guest_state(_MEMORY)
    return core


def _core_of_x86_64(cpu: Cpu) -> UnicornCore:
    assert isinstance(cpu, PvCpu)
    return cpu.processor.core


def _start_of_x86_64(cpu: Cpu) -> tuple[int, int]:
    assert isinstance(cpu, PvCpu)
    start = cpu.processor.rip.get()
    physical = cpu.translate(start, 0, False)
    assert physical is not None
    return start, physical


def _core_of_others(cpu: Cpu) -> UnicornCore:
    assert isinstance(cpu, (ArmCpu, Ppc64Cpu))
    return cpu.core


def _start_of_others(cpu: Cpu) -> tuple[int, int]:
    assert isinstance(cpu, (ArmCpu, Ppc64Cpu))
    start = cpu.core.pc.get()
    return start, start


_SUBJECTS = (
    _Subject(
        "x86_64",
        "4.17",
        Guest("pv", control=True),
        _x86_64,
        _open_x86_64,
        unicorn.UC_HOOK_INSN,
        x86_const.UC_X86_INS_SYSCALL,
        _core_of_x86_64,
        _start_of_x86_64,
    ),
    _Subject(
        "arm64",
        "4.17",
        Guest("arm", control=True),
        _arm64,
        Arm64Core,
        unicorn.UC_HOOK_INTR,
        0,
        _core_of_others,
        _start_of_others,
    ),
    _Subject(
        "arm32",
        "4.17",
        Guest("arm", control=True),
        _arm32,
        Arm32Core,
        unicorn.UC_HOOK_INTR,
        0,
        _core_of_others,
        _start_of_others,
    ),
    _Subject(
        "ppc64",
        "3.2",
        Guest("ppc", control=False),
        _ppc64,
        _open_ppc64,
        unicorn.UC_HOOK_INTR,
        0,
        _core_of_others,
        _start_of_others,
    ),
)


# ---- Measuring ----


def _best(run: Callable[[], float]) -> float:
    return max(CALLS / run() for _ in range(RUNS))


def _on_model(subject: _Subject) -> float:
    """Seconds of CPU time for the loop on the model."""
    arch = architecture.load(subject.architecture)
    abi = xenport.abi.load(subject.architecture, subject.release)
    image = kernel.build(arch, subject.release).image().read_bytes()
    machine = Machine(abi, arch, subject.guest, image, "", lambda _data: None)
    domain = machine.domain
    cpu = domain.vcpus[0].cpu
    start, physical = subject.start_of(cpu)
    code = subject.code(CALLS)
    domain.memory.write(physical, code)
    end = start + len(code)

    def stop(_address: int) -> None:
        domain.shut_down(0)
        cpu.stop()

    subject.core_of(cpu).hook_code(end, end, stop)
    before = time.process_time()
    machine.run()
    return time.process_time() - before


def hosted(architecture_name: str, host: Host) -> float:
    """XENVER_version hypercalls per second of real time that the model answers a guest on ``host``:
    the same loop."""
    subject = next(one for one in _SUBJECTS if one.architecture == architecture_name)
    arch = architecture.load(subject.architecture)
    abi = xenport.abi.load(subject.architecture, subject.release)
    image = kernel.build(arch, subject.release).image().read_bytes()
    version = core.HANDLERS["XENVER_version"]
    left = CALLS

    def count(call: Call) -> int | None:
        nonlocal left
        left -= 1
        if not left:
            call.domain.shut_down(0)
        return version(call)

    overrides = {"XENVER_version": count}
    machine = Machine(abi, arch, subject.guest, image, "", lambda _data: None, overrides, host)
    cpu = machine.domain.vcpus[0].cpu
    assert isinstance(cpu, HostedCpu)
    machine.domain.memory.write(_CODE, subject.code(CALLS))
    cpu.set("pc", _CODE)
    begun = time.monotonic()
    machine.run()
    return CALLS / (time.monotonic() - begun)


def _bare(subject: _Subject, *, raw: bool) -> float:
    """Seconds of CPU time for the loop under a hook that does nothing."""
    core = subject.open()
    memory = Memory(0, _MEMORY)
    core.map_memory(memory)
    code = subject.code(CALLS)
    memory.write(_CODE, code)
    end = _CODE + len(code)
    core.hook_code(end, end, lambda _address: core.stop())
    if not raw:
        core.uc.hook_add(subject.hook, lambda *_: None, None, 1, 0, subject.instruction)
    elif subject.hook == unicorn.UC_HOOK_INSN:
        core.hook_instruction(subject.instruction, lambda: None)
    else:
        core.hook_interrupt(lambda _number: None)
    before = time.process_time()
    core.run(_CODE)
    return time.process_time() - before


def measure() -> list[Speed]:
    """The figures of all architectures."""
    return [
        Speed(
            subject.architecture,
            _best(functools.partial(_on_model, subject)),
            _best(functools.partial(_bare, subject, raw=False)),
            _best(functools.partial(_bare, subject, raw=True)),
        )
        for subject in _SUBJECTS
    ]


def main() -> None:
    """Print a table."""
    print("architecture  model/s  bare hook/s  ratio  ctypes hook/s")
    for speed in measure():
        print(
            f"{speed.architecture:12}  {speed.model:7.0f}  {speed.wrapper_hook:11.0f}"
            f"  {speed.ratio:5.2f}  {speed.raw_hook:13.0f}"
        )


if __name__ == "__main__":
    main()
