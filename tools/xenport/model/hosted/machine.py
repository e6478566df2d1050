"""Runs guests on a machine with a shim, by its mailbox."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from xenport.model.errors import ModelError
from xenport.model.hosted.mailbox import FIELDS, OWNER_SHIM, SPACES, WORD, Command, Exit, Result

if TYPE_CHECKING:
    from xenport.model.hosted.clock import RealClock
    from xenport.model.hosted.ram import Ram
    from xenport.model.memory import Buffer, Memory

_LOOKS = 4000  #: at the mailbox before waiting asleep: a few hundred microseconds
_FIRST_NAP = 20e-6  #: seconds
_LONGEST_NAP = 1e-3
_SLICE = 10_000_000  #: ns that a guest runs at most before the model has a look

_AT = {field: WORD * number for number, field in enumerate(FIELDS)}


class HostedMachine:
    """A machine whose shim is there, or will be soon.

    ``mailbox`` is its address in ``ram``; ``registers`` are the names of a vcpu's registers in the
    order of the shim's structure; ``trouble`` says why the machine cannot go on, if it cannot.
    """

    def __init__(
        self,
        ram: Ram,
        mailbox: int,
        endian: Literal["little", "big"],
        registers: Sequence[str],
        clock: RealClock,
        trouble: Callable[[], str | None],
    ) -> None:
        self.ram = ram
        self.clock = clock
        self.order = "<" if endian == "little" else ">"
        self.offsets = {name: WORD * number for number, name in enumerate(registers)}
        self.address = 0  #: of the guest's memory, after an exit for MEMORY
        self.access = 0  #: what it wanted there
        self.cause = 0  #: the processor's name for the exit
        self._mailbox = mailbox
        self._trouble = trouble
        self._words = ram.data.cast("Q")
        self._owner = mailbox // WORD + FIELDS.index("owner")
        self._word = struct.Struct(self.order + "Q")
        self._run = struct.Struct(self.order + "5Q")
        self._present: tuple[int, ...] = ()  # what the mailbox says is to be run
        self._spaces = 0
        self._slice_end = 0
        self._counter = (0, 0)  # a moment, and the counter at it
        exit_reason = self._wait()
        if exit_reason != Exit.READY:
            raise ModelError(f"the shim began with an exit {exit_reason}")
        self._see_counter()

    # ---- Memory ----

    def new_space(self) -> int:
        """The number of a guest's memory that is empty."""
        if self._spaces == SPACES:
            raise ModelError(f"the shim has room for {SPACES} guests")
        self._spaces += 1
        return self._spaces - 1

    def map(self, space: int, address: int, size: int, buffer: Buffer, offset: int) -> None:
        """Give a guest ``size`` bytes from ``offset`` of ``buffer`` at ``address``."""
        place = {"space": space, "address": address, "size": size}
        target = self.ram.adopt(buffer) + offset
        self._command(Command.MAP, **place, target=target, writable=not buffer.read_only)

    def unmap(self, space: int, address: int, size: int) -> None:
        """Take memory away from a guest."""
        self._command(Command.UNMAP, space=space, address=address, size=size)

    def _command(self, command: Command, **fields: int) -> None:
        self._put(command=command, **fields)
        self._present = ()
        self._words[self._owner] = OWNER_SHIM
        self._wait()
        result = self._get("result")
        if result != Result.DONE:
            raise ModelError(f"the shim answers a {command.name} with {Result(result).name}")
        self._see_counter()

    # ---- Running ----

    def run(self, space: int, registers: int, *, little_endian: bool) -> int:
        """Run the vcpu whose registers are at this address of the machine, in that guest's memory,
        until something is for the model to do; an `Exit`."""
        run = (Command.RUN, space, registers, self._deadline(), int(little_endian))
        if run != self._present:
            self._present = run
            self._run.pack_into(self.ram.data, self._mailbox + _AT["command"], *run)
        self._words[self._owner] = OWNER_SHIM
        reason = self._wait()
        if reason != Exit.CALL:
            self._look_at(reason)
        return reason

    def _look_at(self, reason: int) -> None:
        self.cause = self._get("cause")
        self._see_counter()
        if reason == Exit.MEMORY:
            self.address, self.access = self._get("address"), self._get("access")
        elif reason == Exit.FAILED:
            raise ModelError(f"the shim was interrupted by vector {self.cause:#x}")

    def _deadline(self) -> int:
        """The counter when the guest is to be left: for the next timer, or for a look at it."""
        clock = self.clock
        now = clock.now
        if now >= self._slice_end:
            self._slice_end = now + _SLICE
        moment = min(clock.next_deadline, self._slice_end)
        if moment != self._counter[0]:
            self._counter = (moment, clock.counter_at(moment))
        return self._counter[1]

    # ---- The mailbox ----

    def _get(self, field: str) -> int:
        value: int = self._word.unpack_from(self.ram.data, self._mailbox + _AT[field])[0]
        return value

    def _put(self, **fields: int) -> None:
        for field, value in fields.items():
            self._word.pack_into(self.ram.data, self._mailbox + _AT[field], value)

    def _see_counter(self) -> None:
        self.clock.seen(self._get("counter"))

    def _wait(self) -> int:
        """Wait for the mailbox; why it was handed over."""
        words, owner = self._words, self._owner
        for _ in range(_LOOKS):
            if words[owner] != OWNER_SHIM:
                return self._get("exit")
        nap = _FIRST_NAP
        while words[owner] == OWNER_SHIM:
            trouble = self._trouble()
            if trouble is not None:
                raise ModelError(trouble)
            time.sleep(nap)
            nap = min(2 * nap, _LONGEST_NAP)
        return self._get("exit")


class Space:
    """The memory of one domain, as the machine's tables have it; kept in step with `Memory`."""

    def __init__(self, machine: HostedMachine, memory: Memory) -> None:
        self._machine = machine
        self.number = machine.new_space()
        memory.attach(self)

    def map(self, address: int, size: int, host_address: int, owner: Buffer) -> None:
        """The guest gets ``size`` bytes of ``owner``, from this address of the host's, there."""
        offset = host_address - owner.address
        self._machine.map(self.number, address, size, owner, offset)

    def unmap(self, address: int, size: int) -> None:
        """The guest gets nothing there."""
        self._machine.unmap(self.number, address, size)

    def flush_tlb(self) -> None:
        """The shim does that whenever it changes a table."""
