"""What tests of misbehaving machines share; `conftest` makes fixtures of it."""

import os
import struct
from dataclasses import dataclass
from pathlib import Path

FAKE_QEMU = Path(__file__).parent / "fake_qemu.py"

# A multiboot header alone: magic, flags, and a sum that makes all three 0.
MULTIBOOT = b"\x7fELF".ljust(64, b"\0") + struct.pack("<III", 0x1BADB002, 0, 0xE4524FFE)

PORT = """\
name: fake
kind: qemu
doc: A port for tests.
architecture: x86_64
release: "4.17"
hypervisor: {file: xen}
console: "(XEN) "
hypervisor_args: [console=com1]
ends:
  - {kind: poweroff, hypervisor: "Dom0 halted"}
  - {kind: reboot, hypervisor: "Dom0 shutdown: rebooting", event: SHUTDOWN guest-reset}
  - {kind: crash, hypervisor: "Panic on CPU \\\\d+:\\n(?P<detail>.*)"}
environments:
  dom0: {doc: dom0, guest: pv, provides: [dom0], machine: pc, hypervisor_args: [dom0=pv]}
"""

# One more environment.
BUILT = """\
  built:
    doc: a domain that dom0 builds, again and again
    guest: pv
    machine: pc
    domain: {console: "(d1) ", supervisor: supervise=1, build: pv}
    ends:
      - {kind: poweroff, supervisor: "gone: poweroff"}
      - {kind: crash, supervisor: "gone: crash"}
  other-kind:
    like: built
    doc: another kind of it
    domain: {console: "(d1) ", supervisor: supervise=1, build: hvm}
  other-machine:
    like: built
    doc: the same, and dom0 is told more
    hypervisor_args: [dom0_max_vcpus=1]
"""


@dataclass(frozen=True)
class Kernel:
    """A kernel that nobody looks into."""

    elf: Path

    def image(self) -> Path:
        return self.elf


def marked_processes(mark: str) -> list[int]:
    """The processes, besides this one, that have ``mark`` in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes() and path.parent.name != str(os.getpid()):
                found.append(int(path.parent.name))
        except OSError:  # it ended meanwhile, or is not ours
            continue
    return found
