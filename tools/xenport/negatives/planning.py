"""From the errors of an ABI to calls that provoke them."""

from collections.abc import Container, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xenport.abi import Abi, Command, Error, Hypercall
from xenport.abi.calls import ALWAYS
from xenport.abi.contract import condition_text
from xenport.negatives.call import CallDraft, Impossible
from xenport.negatives.cases import Case, Refused, Situation, Special
from xenport.negatives.world import World

_IN_WORDS = "a sentence says when"


@dataclass(frozen=True)
class Plan:
    """The calls that are refused, and the errors for which there is none."""

    abi: Abi
    situations: tuple[Situation, ...]
    cases: tuple[Case, ...]
    refused: tuple[Refused, ...]

    def why_none(self, command: str, situation: Situation, provided: Container[str]) -> str:
        """Why no generated call provokes an error of ``command`` where the words ``provided`` hold;
        empty if one does. ``command`` may be a hypercall without commands."""
        here = [
            case for case in self.cases if case.command == command and situation in case.situations
        ]
        missing = [sorted(word for word in case.words if word not in provided) for case in here]
        if [] in missing:
            return ""
        reasons = [f"needs {word}" for words in missing for word in words]
        reasons += [
            one.reason
            for one in self.refused
            if one.command == command and one.situation == situation
        ]
        return "; ".join(dict.fromkeys(reasons)) or "no error is declared"


def why_always(
    abi: Abi, thing: Hypercall | Command, situation: Situation, provided: Container[str]
) -> str:
    """Why ``thing`` is refused whatever its argument where the words ``provided`` hold, with the
    errno: a condition about the caller and Xen alone, or the call is about a domain that may
    neither be the caller nor one that it does not control. Empty if neither is declared."""
    world = World(abi, situation)
    domains: dict[str, dict[str, str]] = {}  # by target and state of the domain
    for error in thing.errors:
        when = _when(error) if situation.guest in error.callers else None
        if when is None:
            continue
        text = f"{error.errno}: {_words(error)}"
        match [one for one in when.items() if not _is_given(world, *one, provided)]:
            case []:
                return text
            case [(target, {"state": "caller" | "foreign" as state})] if error.errno == "EPERM":
                # (ESRCH says that a domain has another name for itself.)
                domains.setdefault(target, {})[state] = text
    for refused in domains.values():
        if len(refused) == 2 and not situation.is_control:
            return "; ".join(refused.values())
    return ""


def _is_given(world: World, target: str, condition: Any, provided: Container[str]) -> bool:
    match target, list(condition.items()) if isinstance(condition, Mapping) else []:
        case "caller", [(kind, str(state))]:
            return world.caller(kind, state) is True
        case "xen", [("not_state", str(state))]:
            return f"no-{state}" in provided
    return False


def plan(abi: Abi) -> Plan:
    """All errors of ``abi``, for every kind of guest as control domain and as any other."""
    situations = tuple(
        Situation(guest, is_control)
        for guest in abi.architecture.guests
        for is_control in (True, False)
    )
    cases: dict[Case, list[Situation]] = {}
    refused: list[Refused] = []
    for situation in situations:
        for found in _of_situation(abi, situation):
            if isinstance(found, Case):
                cases.setdefault(found, []).append(situation)
            else:
                refused.append(found)
    whole = tuple(replace(case, situations=tuple(who)) for case, who in cases.items())
    return Plan(abi, situations, whole, tuple(refused))


def _of_situation(abi: Abi, situation: Situation) -> Iterator[Case | Refused]:
    world = World(abi, situation)
    for hypercall in abi.hypercalls.values():
        if situation.guest not in hypercall.callers:
            continue
        things: list[Hypercall | Command] = [*hypercall.commands.values()] or [hypercall]
        for thing in things:
            if situation.guest in thing.callers:
                yield from _of_thing(world, hypercall, thing)
        if hypercall.commands and hypercall.unknown_command is not None:
            yield from _unknown(world, hypercall)


def _of_thing(
    world: World, hypercall: Hypercall, thing: Hypercall | Command
) -> Iterator[Case | Refused]:
    situation = world.situation
    errors = [error for error in thing.errors if situation.guest in error.callers]
    try:
        start = CallDraft(world, hypercall, thing)
    except Impossible as why:
        for error in errors:
            yield Refused(
                hypercall.name, thing.name, error.errno, _words(error), situation, str(why)
            )
        return
    earlier: list[Mapping[str, Any]] = []
    for error in errors:
        when = _when(error)
        if when is None:
            reason = _IN_WORDS
        else:
            try:
                drafts = _provoking(start, when, earlier)
            except Impossible as why:
                reason = str(why)
            else:
                reason = ""
                for draft in drafts:
                    yield _case(hypercall, thing, error, draft)
            earlier.append(when)
            if start.holds(when) is not False:
                with suppress(Impossible):
                    start.avoid(earlier)
        if reason:
            yield Refused(hypercall.name, thing.name, error.errno, _words(error), situation, reason)


def _words(error: Error) -> str:
    return condition_text(error.when) if error.when is not None else error.text


def _when(error: Error) -> Mapping[str, Any] | None:
    if error.when is None and error.text == ALWAYS:
        return {}
    return error.when


def _provoking(
    start: CallDraft, when: Mapping[str, Any], earlier: list[Mapping[str, Any]]
) -> list[CallDraft]:
    """The calls for which ``when`` holds and nothing of ``earlier``."""
    drafts = []
    why: Impossible | None = None
    for draft in start.making(when):
        try:
            draft.avoid(earlier)
        except Impossible as impossible:
            why = why or impossible
            continue
        if draft.holds(when):
            drafts.append(draft)
    if not drafts:
        raise why or Impossible("the values that provoke it provoke another error first")
    return drafts


def _case(
    hypercall: Hypercall,
    thing: Hypercall | Command,
    error: Error,
    draft: CallDraft,
    condition: str | None = None,
) -> Case:
    values = tuple(
        (slot, value)
        for slot, value in sorted(draft.values.items())
        if value != 0 or isinstance(value, Special)
    )
    words = condition or _words(error)
    return Case(hypercall.name, thing.name, error.errno, words, _place(error), values, draft.words)


def _place(error: Error) -> str:
    """The line that declares it, from the top of the project."""
    if error.place is None:
        return "abi"
    path, _, line = error.place.name().rpartition(":")
    parts = Path(path).parts
    start = len(parts) - 1 - parts[::-1].index("abi")
    if parts[start - 2] == "arch":
        start -= 2
    return f"{'/'.join(parts[start:])}:{line}"


def _unknown(world: World, hypercall: Hypercall) -> Iterator[Case | Refused]:
    """A command that does not exist."""
    situation = world.situation
    assert hypercall.unknown_command is not None
    taken = {command.number for command in hypercall.commands.values()}
    number = next(number for number in range(63, 0, -1) if number not in taken)
    errno = hypercall.unknown_command
    try:
        if hypercall.unknown_when:
            raise Impossible(_IN_WORDS)
        draft = CallDraft(world, hypercall, hypercall)
        draft.command(number)
        known = [_when(error) for error in hypercall.errors if situation.guest in error.callers]
        draft.avoid([when for when in known if when])
    except Impossible as why:
        yield Refused(
            hypercall.name, hypercall.name, errno, "an unknown command", situation, str(why)
        )
        return
    if hypercall.privilege == "control" and not situation.is_control:
        errno = "EPERM"  # whatever the command
    place = next((error.place for error in hypercall.errors), None)
    error = Error(errno, {}, "", (situation.guest,), place)
    yield _case(hypercall, hypercall, error, draft, f"command {number} does not exist")
