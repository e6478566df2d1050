"""From the errors of an ABI to calls that provoke them."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xenport import content
from xenport.abi import Abi, Command, Error, Hypercall
from xenport.abi.contract import condition_text
from xenport.negatives.call import CallDraft, Impossible
from xenport.negatives.cases import Area, Case, Refused, Situation, Special
from xenport.negatives.world import World

#: A sentence that needs nothing but the call.
ALWAYS = "always"

_IN_WORDS = "a sentence says when"


@dataclass(frozen=True)
class Plan:
    """The calls that are refused, and the errors for which there is none."""

    abi: Abi
    situations: tuple[Situation, ...]
    cases: tuple[Case, ...]
    refused: tuple[Refused, ...]


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
    top = content.folder("abi").parent
    return f"{Path(path).relative_to(top)}:{line}"


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
        for slot in list(draft.values):
            if slot.area is Area.REGISTER and hypercall.args[slot.offset].role == "command":
                draft.values[slot] = number
        if hypercall.selector is not None:
            draft.values[draft.slot(draft.target(hypercall.selector))] = number
        draft.avoid([when for when in map(_when, hypercall.errors) if when])
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
