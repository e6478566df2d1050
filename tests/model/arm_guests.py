"""Guests of a few instructions for the Arm adapters, assembled all at once.

They end in a hypercall (XENVER_version) whose handler is replaced by one that looks at the
processor.
"""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import fdt
from elftools.elf.elffile import ELFFile

import xenport.abi
import xenport.architecture
from xenport.model.call import Call
from xenport.model.cpu.arm import ArmCpu
from xenport.model.machine import End, Guest, Machine

RAM = 0x40000000  # of a domU
VIRTUAL_TIMER = 27
PHYSICAL_TIMER = 30
EVENTS = 31


class Guests:
    """The guests of one architecture. ``preamble`` is assembly: an image's header, whose first
    instruction is replaced by ``branch(offset)``, and macros."""

    def __init__(self, arch: str, preamble: str, branch: Callable[[int], bytes]) -> None:
        self.arch = arch
        self._preamble = preamble
        self._branch = branch
        self._guests: list[str] = []

    def add(self, text: str) -> int:
        """Note a guest; returns its index in `images`."""
        self._guests.append(text)
        return len(self._guests) - 1

    def images(self, folder: Path) -> list[bytes]:
        """The images of all guests: the same code, entered at different places."""
        source, program = folder / "guests.S", folder / "guests.o"
        parts = [f"guest_{i}:\n{text}\n    .ltorg\n" for i, text in enumerate(self._guests)]
        source.write_text(self._preamble + "".join(parts))
        architecture = xenport.architecture.load(self.arch)
        assert architecture.toolchain is not None
        compiler = [sys.executable, "-m", "ziglang", "cc", "-target", architecture.target]
        compiler += [f"-mcpu={architecture.toolchain.cpu}"]
        subprocess.run([*compiler, "-c", str(source), "-o", str(program)], check=True)
        with program.open("rb") as file:
            elf = ELFFile(file)
            code = elf.get_section_by_name(".text").data()
            symbols = elf.get_section_by_name(".symtab")
            entries = [
                symbols.get_symbol_by_name(f"guest_{i}")[0]["st_value"]
                for i in range(len(self._guests))
            ]
        return [self._branch(entry) + code[4:] for entry in entries]


class Run:
    """A guest in a machine. ``look`` is called in each of its XENVER_version hypercalls, and number
    ``looks`` of them ends the domain."""

    def __init__(
        self,
        arch: str,
        image: bytes,
        look: Callable[[Run], None] = lambda _run: None,
        *,
        looks: int = 1,
        control: bool = False,
        command_line: str = "",
    ) -> None:
        self.looks = 0

        def version(call: Call) -> int:
            self.cpu = ArmCpu.of(call.vcpu)
            look(self)
            self.looks += 1
            if self.looks == looks:
                call.domain.shut_down(0)
            return 0

        self.machine = Machine(
            description(arch),
            xenport.architecture.load(arch),
            Guest("arm", control=control),
            image,
            command_line,
            lambda _text: None,
            {"XENVER_version": version},
        )
        self.domain = self.machine.domain
        self.cpu = ArmCpu.of(self.domain.vcpus[0])  # of the vcpu that made the last hypercall

    def to_the_end(self) -> Run:
        """Run until the domain has powered itself off."""
        assert self.machine.run() == End("poweroff")
        return self

    def register(self, number: int) -> int:
        """A general register of the vcpu that made the last hypercall."""
        return self.cpu.core.general[number].get()

    def tree(self) -> fdt.FDT:
        """The device tree, whose address the adapter has put where the kernel expects it."""
        ram = self.domain.memory
        for at in range(ram.base + ram.size - (4 << 20), ram.base + ram.size, 2 << 20):
            if ram.read(at, 4) == bytes.fromhex("d00dfeed"):
                return fdt.parse_dtb(ram.read(at, 1 << 16))
        raise AssertionError("no device tree")


def values(tree: fdt.FDT, path: str, name: str) -> list[int | str]:
    """The numbers or strings of a property."""
    found: list[int | str] = tree.get_property(name, path).data
    return found


def raise_event(run: Run) -> None:
    """An event for the first vcpu, at the first look."""
    if run.looks == 0:
        run.domain.vcpus[0].mark_events_pending()


@functools.cache
def description(arch: str) -> xenport.abi.Abi:
    """The ABI."""
    return xenport.abi.load(arch=arch, release="4.17")
