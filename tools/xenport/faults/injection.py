"""The reference model with one fault. Only the domain under test meets it."""

import struct
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, TypeVar

import xenport.abi
from xenport import architecture
from xenport.faults.kinds import Fault
from xenport.model import core, process
from xenport.model.adapters import cpu_class
from xenport.model.call import Call
from xenport.model.errors import ModelError, XenError
from xenport.model.handlers import Handler
from xenport.model.machine import End

MOST_CALLS = 20_000
"""Of a broken command in a boot. A guest may call it for ever, and virtual time stands still."""

_T = TypeVar("_T")

_OTHER = "EINVAL"  # in place of any other errno
_ANOTHER = "ESRCH"  # in place of that one


def boot(fault: Fault, spec: dict[str, Any]) -> End:
    """`process.boot` of a model with ``fault``."""
    arch = architecture.load(spec["architecture"]).at(spec["release"])
    abi = xenport.abi.load_for_model(arch.name, spec["release"])
    adapter = cpu_class(arch, spec["guest"], spec["guest_architecture"], spec["platform"])
    handlers = {**core.HANDLERS, **adapter.handlers}
    return process.boot(
        spec, overrides=_overrides(fault, abi, handlers), watch=_Results(fault, abi)
    )


class _Results:
    """A `Watch` that falsifies the results of one command."""

    def __init__(self, fault: Fault, abi: xenport.abi.Abi) -> None:
        self._command = fault.command
        self._calls = 0
        self._change: Callable[[int], int] = lambda result: result
        if fault.kind == "result":
            self._change = lambda result: result + 1 if result >= 0 else result
        elif fault.kind in ("errno", "allowed"):
            right = -abi.errno(fault.detail)
            other = -abi.errno(_ANOTHER if fault.detail == _OTHER else _OTHER)
            wrong = other if fault.kind == "errno" else 0
            self._change = lambda result: wrong if result == right else result

    def begin(self) -> int:
        """See `Watch`."""
        return 0

    def end(self, command: str, _begun: int, result: int) -> int:
        """See `Watch`."""
        if command != self._command:
            return result
        self._calls += 1
        if self._calls > MOST_CALLS:
            raise ModelError(f"{command} is called for ever")
        return self._change(result)


def _overrides(
    fault: Fault, abi: xenport.abi.Abi, handlers: Mapping[str, Handler]
) -> dict[str, Handler]:
    handler = handlers.get(fault.command)
    if fault.kind == "idle":
        broken: Handler = lambda _call: 0  # noqa: E731
    elif fault.kind == "missing":
        broken = _missing
    elif fault.kind in ("reads", "answers") and handler is not None:
        broken = _with_wrong_field(fault, abi, handler)
    else:
        return {}
    sound = handler or _missing

    def run(call: Call) -> int | None:
        return broken(call) if call.domain.is_watched else sound(call)

    return {fault.command: run}


def _missing(_call: Call) -> int:
    raise XenError("ENOSYS")


def _with_wrong_field(fault: Fault, abi: xenport.abi.Abi, handler: Handler) -> Handler:
    argument = abi.hypercalls[fault.hypercall].commands[fault.command].arg
    assert argument is not None
    if argument.count is None:
        return _with_wrong_member(fault, handler)
    return _with_wrong_element(fault, abi, argument, handler)


def _with_wrong_member(fault: Fault, handler: Handler) -> Handler:
    """Of a structure that the dispatcher copies."""

    def reads(call: Call) -> int | None:
        undo = _increment(call.view, fault.detail)
        try:
            return handler(call)
        finally:
            undo(call.view)

    def answers(call: Call) -> int | None:
        result = handler(call)
        _increment(call.view, fault.detail)
        return result

    return reads if fault.kind == "reads" else answers


def _with_wrong_element(
    fault: Fault, abi: xenport.abi.Abi, argument: xenport.abi.Argument, handler: Handler
) -> Handler:
    """Of the first element of an array, which the handler copies itself."""

    def change(call: Call, edit: Callable[[Any], _T]) -> _T | None:
        """None if there is no element, or none that can be written."""
        try:
            data = call.vcpu.copy_in(call.handle, argument.layout.size)
            done = edit(abi.view(argument.type, data))
            call.vcpu.copy_out(call.handle, data)
        except XenError:
            return None
        return done

    def increment(view: Any) -> Callable[[Any], None]:
        return _increment(view, fault.detail)

    def reads(call: Call) -> int | None:
        undo = change(call, increment)
        try:
            return handler(call)
        finally:
            if undo is not None:
                change(call, undo)

    def answers(call: Call) -> int | None:
        result = handler(call)
        change(call, increment)
        return result

    return reads if fault.kind == "reads" else answers


def _increment(view: Any, path: str) -> Callable[[Any], None]:
    """Adds one to a field, or takes one away where it is at its highest.

    The answer gives a view its old value back, if nobody has written another meanwhile.
    """
    field = attrgetter(path)
    before: int = field(view)
    try:
        _set(view, path, before + 1)
    except struct.error:
        _set(view, path, before - 1)
    wrong = field(view)

    def undo(later: Any) -> None:
        if field(later) == wrong:
            _set(later, path, before)

    return undo


def _set(view: Any, path: str, value: int) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        view = getattr(view, parent)
    setattr(view, name, value)
