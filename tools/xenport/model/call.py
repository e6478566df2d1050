"""One hypercall under way: what its handler gets."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from xenport.model.domain import Domain
    from xenport.model.hypervisor import Hypervisor
    from xenport.model.vcpu import Vcpu


class Arguments(Protocol):
    """The argument registers of a hypercall, unsigned: a list, or an array of ctypes."""

    def __getitem__(self, index: int, /) -> int: ...


@dataclass(frozen=True, slots=True)
class Argument:
    """How the structure that a command's handle points to is copied."""

    size: int  #: bytes
    view: Callable[[bytearray], Any]  #: makes the view
    copies_in: bool  #: Xen reads some of it
    copies_out: bool  #: Xen writes some of it
    rest: int = 0  #: bytes of the structure beyond ``size``, which the guest need not have


class Call:
    """A hypercall of ``vcpu``.

    ``view``    the command's structure. It is copied in when the handler first asks for it, so what
                a handler checks before comes before EFAULT; what the handler stores in it is copied
                out when the handler returns without an error
    ``handle``  the guest handle of the command's argument, for handlers that copy on their own
    ``call["name"]``  a hypercall argument by its name in abi/, cut to the width of its type

    One object serves all calls of a command, one after the other.
    """

    __slots__ = (
        "_argument",
        "_places",
        "_view",
        "args",
        "buffer",
        "errnos",
        "handle",
        "hypervisor",
        "vcpu",
    )

    vcpu: Vcpu
    args: Arguments

    def __init__(
        self,
        hypervisor: Hypervisor,
        places: Mapping[str, tuple[int, int]],
        argument: Argument | None = None,
        errnos: Container[str] = (),
    ) -> None:
        self.hypervisor = hypervisor
        self.errnos = errnos  #: what abi/ gives for the command
        self.handle = 0
        self.buffer: bytearray | None = None  #: the structure's bytes, once asked for
        self._places = places
        self._argument = argument
        self._view: Any = None

    def begin(self, vcpu: Vcpu, args: Arguments, handle: int = 0) -> Call:
        """Another call: of ``vcpu``, with these argument registers. Returns itself."""
        self.vcpu = vcpu
        self.args = args
        self.handle = handle
        self.buffer = None
        return self

    @property
    def view(self) -> Any:
        """The command's structure; XenError EFAULT where Xen cannot read it."""
        if self.buffer is None:
            argument = self._argument
            assert argument is not None, "this command has no structure"
            if argument.copies_in:
                self.buffer = self.vcpu.copy_in(self.handle, argument.size)
            else:
                self.buffer = bytearray(argument.size)
            if argument.rest:
                self.buffer += bytes(argument.rest)
            self._view = argument.view(self.buffer)
        return self._view

    def finish(self) -> None:
        """Copy the structure out, if there is anything in it for the guest."""
        argument = self._argument
        if argument is not None and argument.copies_out and self.buffer is not None:
            content = self.buffer[: argument.size] if argument.rest else self.buffer
            self.vcpu.copy_out(self.handle, content)

    def __getitem__(self, name: str) -> int:
        index, mask = self._places[name]
        return self.args[index] & mask

    def signed(self, name: str) -> int:
        """Like ``call[name]`` for an argument of a signed type."""
        index, mask = self._places[name]
        value = self.args[index] & mask
        return value - mask - 1 if value > mask >> 1 else value

    def declares(self, errno: str) -> bool:
        """Is ``errno`` one that abi/ gives for the command at this release?"""
        return errno in self.errnos

    @property
    def domain(self) -> Domain:
        """The domain that called."""
        return self.vcpu.domain
