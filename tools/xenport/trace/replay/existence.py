"""Whether the domains that a call names were there when it was recorded, as its answer shows.

abi/ has the errors of a command in the order in which Xen looks for them. What it finds out after
it has looked for the domain says that the domain is there; what it finds out before says nothing.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from xenport.abi import Abi, Command, Hypercall
from xenport.trace.reach import Reach
from xenport.trace.record import Record

_NO_DOMAIN = "GNTST_bad_domain"
"""The one status of an entry that says so."""

_NO_SUCH = {"no_such": "domain"}


class _Results(NamedTuple):
    """Of a command: results by what they say of the domains that it names."""

    absent: frozenset[int]  #: one of them is not there
    open: frozenset[int]  #: Xen may not have looked for them
    fields: frozenset[str]  #: what names those that Xen looks for


class Existence:
    """What the answers of one ABI say."""

    def __init__(self, abi: Abi, reach: Reach) -> None:
        self._abi = abi
        self._reach = reach
        self._results = cache(self._find_results)
        self._status = abi.constants[_NO_DOMAIN].value if _NO_DOMAIN in abi.constants else None

    def shown(self, hypercall: Hypercall, record: Record, field: str) -> bool | None:
        """True: the domain that ``field`` of ``record`` names exists; False: it does not, or
        another one that is named; None: the answer does not say."""
        command = self._command(hypercall, record)
        results = self._results(hypercall.name, command.name if command else "", record.caller)
        result = record.result or 0
        if result in results.absent:
            return False
        if command is not None and command.statuses and result >= 0:
            return not self._refuses(command, record)
        return True if field in results.fields and result not in results.open else None

    def _command(self, hypercall: Hypercall, record: Record) -> Command | None:
        if hypercall.selector is None or hypercall.structure is None:
            return self._reach.command(hypercall, record.arguments)
        argument = next(arg.name for arg in hypercall.args if arg.role == "argument")
        data = next((one.before for one in record.buffers if one.name == argument), None)
        return self._reach.selected(hypercall, hypercall.structure, data or b"")

    def _find_results(self, hypercall: str, command: str, caller: str) -> _Results:
        found = self._abi.hypercalls[hypercall]
        errors = [*found.errors, *(found.commands[command].errors if command else ())]
        order: list[tuple[int, bool]] = []
        fields: set[str] = set()
        for one in errors:
            if caller in one.callers:
                when = (one.when or {}).items()
                names = [name.rpartition(".")[2] for name, what in when if what == _NO_SUCH]
                order.append((-self._abi.errno(one.errno), bool(names)))
                fields.update(names)
        absent = frozenset(errno for errno, is_absent in order if is_absent)
        last = max((at for at, (_, is_absent) in enumerate(order) if is_absent), default=0)
        passed = frozenset(errno for errno, _ in order[:last])
        return _Results(absent, passed - absent, frozenset(fields))

    def _refuses(self, command: Command, record: Record) -> bool:
        """Whether the status of an entry says that the domain is not there."""
        if command.arg is None or "status" not in command.arg.layout.by_name:
            return False
        status = command.arg.layout.by_name["status"]
        size, order = command.arg.layout.size, self._abi.architecture.data_model.endian
        after = next((one.after for one in record.buffers if one.name == "uop"), None) or b""
        return any(
            int.from_bytes(after[at : at + status.size], order, signed=True) == self._status
            for at in range(status.offset, len(after) - status.size + 1, size)
        )
