"""What a hypercall or command promises, as values to compare and in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xenport.abi.calls import CALLER, Argument, Command, Error, Hypercall, Status
from xenport.abi.schema import XEN

_STATES = {
    "caller": "the caller",
    "control": "the control domain",
    "hardware": "the hardware domain",
    "hvm": "an HVM guest",
    "fifo": "at the FIFO ABI",
    "console": "allowed to use Xen's console",
    "pirqs": "given XENFEAT_hvm_pirqs",
}
_OBJECTS = {"virq": "virtual interrupt", "pirq": "physical interrupt", "pcpu": "processor"}


@dataclass(frozen=True)
class Refusal:
    """An error and what provokes it. ``callers`` is empty where every caller can."""

    errno: str  # or the constant of a status
    condition: str
    callers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contract:
    """A hypercall or command, as its caller sees it.

    ``refusals`` are errors of the call and ``statuses`` results in the argument's entries, both in
    Xen's order.
    """

    number: int
    callers: tuple[str, ...]
    privilege: str
    argument: str
    returns: str
    refusals: tuple[Refusal, ...]
    unknown_command: str = ""
    rules: tuple[str, ...] = ()
    statuses: tuple[Refusal, ...] = ()
    inherited: int = field(default=0, compare=False)  # how many refusals are the hypercall's

    @property
    def own(self) -> tuple[Refusal, ...]:
        """The refusals that are not those of every command of the hypercall."""
        return self.refusals[self.inherited :]


def of_command(command: Command, hypercall: Hypercall) -> Contract:
    """The contract of ``command`` of ``hypercall``."""
    return Contract(
        command.number,
        command.callers,
        command.privilege,
        argument_text(command.arg) if command.arg else "",
        command.returns or "0",
        _refusals(command.errors, command.callers),
        rules=command.rules,
        statuses=_refusals(command.statuses, command.callers),
        inherited=len(hypercall.errors),
    )


def of_hypercall(hypercall: Hypercall) -> Contract:
    """The contract of ``hypercall``; with commands, what holds for all of them."""
    return Contract(
        hypercall.number,
        hypercall.callers,
        hypercall.privilege,
        ", ".join(
            f"{arg.type} {arg.name}"
            + (f" ({arg.direction}{_of(arg.count)})" if arg.layout.kind == "handle" else "")
            + (f", the first of them for a {arg.holds}" if arg.holds else "")
            for arg in hypercall.args
        ),
        hypercall.returns or ("" if hypercall.commands else "0"),
        _refusals(hypercall.errors, hypercall.callers),
        hypercall.unknown_command or "",
    )


def argument_text(arg: Argument) -> str:
    """What ``arg`` points to: its type, and what the type does not say."""
    name = f"{arg.type} at {arg.member}" if arg.member else arg.type
    if arg.layout.fields:
        return f"{name} ({count_text(arg.count)})" if arg.count else name
    return f"{name} ({arg.direction}{_of(arg.count)})"


def _of(count: str | None) -> str:
    return f", {count_text(count)}" if count else ""


def count_text(count: str) -> str:
    """How many elements a handle reaches."""
    return "up to a zero" if count == "nul" else f"{count} of them"


def _refusals(errors: Sequence[Error | Status], callers: tuple[str, ...]) -> tuple[Refusal, ...]:
    return tuple(
        Refusal(
            error.errno if isinstance(error, Error) else error.status,
            condition_text(error.when) if error.when is not None else error.text,
            error.callers if set(error.callers) != set(callers) else (),
        )
        for error in errors
    )


def condition_text(when: Mapping[str, Any]) -> str:
    """The conditions of an error, all of which hold together, in words."""
    return " and ".join(_one(target, condition) for target, condition in when.items())


def _one(target: str, condition: Any) -> str:
    if isinstance(condition, str):
        return f"{target} is {condition}"
    return " and ".join(_part(target, kind, value) for kind, value in condition.items())


def _part(target: str, kind: str, value: Any) -> str:
    several = isinstance(value, list)
    if target == XEN:
        return f"Xen has {'' if kind == 'state' else 'no '}{value}"
    if target == CALLER:
        target = _STATES[CALLER]
    if kind in ("state", "not_state"):
        value = [_STATES.get(one, one) for one in value] if several else _STATES.get(value, value)
    shown = " or ".join(_number(one) for one in value) if several else _number(value)
    match kind:
        case "no_such":
            return f"{target} names no {_OBJECTS.get(shown, shown)}"
        case "is" | "state":
            return f"{target} is {shown}"
        case "is_not" | "not_state":
            return f"{target} is {'none of ' if several else 'not '}{shown}"
        case "misaligned":
            return f"{target} is no multiple of {shown}"
        case "reserved_bits":
            return f"{target} has a bit of {shown} set"
        case _:
            return f"{target} is {kind} {shown}"


def _number(value: Any) -> str:
    return str(getattr(value, "text", value))
