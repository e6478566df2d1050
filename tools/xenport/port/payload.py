"""What a machine is to boot, independent of how it is handed over."""

from dataclasses import dataclass

from xenport.port.description import Domain


@dataclass(frozen=True)
class Payload:
    """A hypervisor and the test kernel: dom0, or dom0 as supervisor and a domain under test.

    No kernel: the hypervisor alone.
    """

    hypervisor: bytes
    hypervisor_args: str
    kernel: bytes | None
    command_line: str
    domain: Domain | None
    supervisor: bytes | None = None  # dom0's kernel, where it is another one
    initrd: bytes | None = None  # dom0's initial RAM disk
    built: tuple[str, ...] = ()
    """The domains under test that dom0 builds, one after the other: kind and command line."""
