"""The C of a plan: tables of calls, and a test for each command.

``conformance/cases/negatives.h`` has the types.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from xenport.negatives.cases import Case, Special
from xenport.negatives.planning import Plan

_HEAD = """\
/* Made from abi/ by xenport: the calls that are refused with the errors declared there. */
#include "negatives.h"
"""

#: Words of environments (conformance/ports/) that tell a control domain from others.
_CONTROL, _OTHER = "dom0", "domu"


def source(plan: Plan) -> str:
    """The text of the file."""
    tests = sorted(_tests(plan), key=lambda test: (test.cases[0].hypercall, test.needs))
    values: list[str] = []
    calls: list[str] = []
    entries: list[str] = []
    for test in tests:
        first = len(calls)
        for case in test.cases:
            calls.append(_call(plan, case, len(values)))
            values += [
                f"    {{{hex(value) if value_is_plain else 0}, {slot.offset}, {slot.area:d},"
                f" {0 if value_is_plain else value:d}, {slot.size}, {slot.shift}}},"
                for slot, value in case.values
                for value_is_plain in [not isinstance(value, Special)]
            ]
        entries.append(
            f'NEGATIVES({test.name}, {test.cases[0].hypercall}, "{test.title}",'
            f' {first}, {len(test.cases)}, .needs = "{test.needs}")'
        )
    situations = [
        f'    {{"{situation.guest}", {str(situation.is_control).lower()}}},'
        for situation in plan.situations
    ]
    parts = [
        _HEAD,
        "const struct negative_situation negative_situations[] = {",
        *situations,
        "    {0},",
        "};\n",
        "const struct negative_value negative_values[] = {",
        *values,
        "};\n",
    ]
    if calls:  # a table that nothing uses is an error
        parts += ["static const struct negative calls[] = {", *calls, "};\n", *entries]
    return "\n".join(parts) + "\n"


class _Test:
    """A test of one command: in all situations of its cases, which ``needs`` says exactly."""

    def __init__(
        self, command: str, suffix: str, needs: Sequence[str], cases: Sequence[Case]
    ) -> None:
        self.name = f"errors_{command.lower().removeprefix('xen_')}{suffix}"
        self.title = f"{command} is refused as abi/ declares"
        self.needs = " ".join(filter(None, needs))
        self.cases = cases


def _tests(plan: Plan) -> Iterator[_Test]:
    def key(case: Case) -> tuple[str, str, list[str]]:
        return case.hypercall, case.command, sorted(case.words)

    for (_, command, words), group in groupby(sorted(plan.cases, key=key), key=key):
        cases = list(group)
        suffix = "".join(f"_{word.replace('-', '_')}" for word in words)
        found = {situation for case in cases for situation in case.situations}
        kinds = {
            control: [s.guest for s in plan.situations if s in found and s.is_control is control]
            for control in (True, False)
        }
        if kinds[True] == kinds[False]:
            yield _Test(command, suffix, [_one_of(plan, kinds[True]), *words], cases)
            continue
        for control, word in ((True, _CONTROL), (False, _OTHER)):
            theirs = [case for case in cases if _is_for(case, control)]
            if theirs:
                own = f"_{word}" if kinds[not control] else ""
                yield _Test(
                    command, suffix + own, [_one_of(plan, kinds[control]), word, *words], theirs
                )


def _is_for(case: Case, control: bool) -> bool:
    return any(situation.is_control is control for situation in case.situations)


def _one_of(plan: Plan, guests: Iterable[str]) -> str:
    """The need for one of these kinds of guest."""
    every = dict.fromkeys(situation.guest for situation in plan.situations)
    return "" if set(guests) == set(every) else "|".join(guests)


def _call(plan: Plan, case: Case, first: int) -> str:
    path, _, line = case.place.partition(":")
    who = sum(1 << plan.situations.index(situation) for situation in case.situations)
    number = plan.abi.hypercalls[case.hypercall].number
    words = case.condition.replace("\\", "\\\\").replace('"', '\\"')
    return (
        f'    {{"{path}", "{case.command}: {words}", {first}, {line or 0},'
        f" {len(case.values)}, XEN_{case.errno}, {number}, {who:#x}}},"
    )
