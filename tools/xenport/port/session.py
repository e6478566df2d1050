"""What a boot of a port looks like from the outside: lines, one end, limits.

Every driver (the model, a hypervisor under QEMU) is used through these types and no others:

    with driver.boot(environment, kernel, "tests=0-3", log, Limits()) as boot:
        for event in boot.events():
            match event:
                case Line(text=text, source="guest"): ...
                case Ended(kind=kind, detail=detail): ...      # the last one, always there

Leaving the ``with`` block, on whatever path, ends every process that the boot started.
"""

from collections.abc import Hashable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

Source = Literal["guest", "hypervisor", "supervisor"]
"""Who wrote a line: the domain under test, the hypervisor, or the dom0 that watches the domain."""

EndKind = Literal[
    "poweroff",
    "reboot",
    "crash",
    "watchdog",
    "soft_reset",
    "killed",
    "exited",
    "timeout",
    "flood",
    "missing",
]
"""How a boot ended, as seen from outside.

==========  ======================================================================================
poweroff    the domain under test (or the machine, with dom0 under test) was powered off
reboot      it was reset
crash       the domain crashed, or the hypervisor itself panicked
watchdog    a watchdog of the domain ran out; if it was dom0's, the machine was reset
soft_reset  the domain asked for a soft reset, and its kind of guest has none
killed      somebody else ended the process with a signal
exited      the process ended by itself without one of the above, or cannot be controlled; the
            detail says what it printed last, or what is wrong
timeout     a limit in seconds was reached; the detail says which one
flood       the limit in bytes was reached
missing     the program is not there
==========  ======================================================================================
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the console, without line end, prefix of its writer, and control characters."""

    text: str
    seconds: float
    """Since the start of the boot."""
    source: Source = "guest"


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of the domain under test: the last event of a boot, or, where another domain is
    started, the last one before."""

    kind: EndKind
    detail: str
    """One line for a person: what was seen."""
    seconds: float = 0.0
    """Since the start of the boot."""
    events: tuple[str, ...] = ()
    """What the machine itself did, in order: QEMU's events and their reasons, ``SUSPEND``,
    ``SHUTDOWN guest-reset``."""


Event = Line | Ended


@dataclass(frozen=True, slots=True)
class Limits:
    """What a boot may use at most before it is ended from outside."""

    silence: float = 30.0
    """Seconds without a line of the domain under test; the way to its first line counts too."""
    total: float = 300.0
    """Seconds from the start of the domain to its end."""
    output: int = 16 << 20
    """Bytes of console."""


class Boot(Protocol):
    """A running boot, for use inside the ``with`` block of `Driver.boot`."""

    def events(self) -> Iterator[Event]:
        """Yield the lines as they come, then one `Ended`. Can be used once.

        Where another domain is started, what it says and how it ends follows. If the machine ended
        with the domain, there is no next one.
        """
        ...

    def stop(self) -> None:
        """Make `events` end soon, with ``killed``. May be called from any thread."""
        ...


class Bootable(Protocol):
    """What a driver needs to know of a kernel: `xenport.kernel.Kernel` is one."""

    @property
    def elf(self) -> Path:
        """The linked ELF file."""
        ...

    def image(self) -> Path:
        """The file that a domain builder of this architecture loads."""
        ...


class Driver(Protocol):
    """Starts a port."""

    def shared(self, environment: str) -> Hashable | None:
        """What is the same in all environments whose domains one machine can start one after the
        other, each as often as wanted; ``None`` if one of ``environment`` needs a machine."""
        ...

    def boot(
        self,
        environment: str,
        kernel: Bootable | None,
        command_line: str,
        log: Path,
        limits: Limits,
        *,
        again: Sequence[tuple[str, str]] = (),
        survives_reset: bool = False,
    ) -> AbstractContextManager[Boot]:
        """Start ``kernel`` with ``command_line`` in ``environment``; of a bare port, no kernel.

        ``again`` are the domains that are started after it, each when the one before has ended:
        an environment with which it is `shared`, and a command line. The limits are those of each.
        A machine that goes to sleep is woken. One that is reset is at its end, unless it
        ``survives_reset``: then it starts again the first time.
        The raw console goes to the file ``log``, in a folder that is there.
        Raises `xenport.errors.InputError` for an environment that the port does not have and for
        a kernel or hypervisor image that cannot be used. Trouble after that is an `Ended`.
        """
        ...
