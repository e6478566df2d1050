"""Which tests an environment gets, and how a boot is told which of them to run."""

import bisect
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from xenport.kernel import Test

SLOW = "slow"  # the need that a person provides, by asking for tests that take long

_ROOM = 900
"""Characters that tests may take of a command line; an environment adds a few words. Xen cuts what
it hands to a guest after 1,023 (``MAX_GUEST_CMDLINE``)."""


def applicable(tests: Iterable[Test], provides: Iterable[str]) -> list[Test]:
    """The tests whose every need the environment meets, in catalogue order.

    ``needs`` of a test are words that must all be provided; ``pv|hvm`` is one or the other,
    ``!unpaged`` one that must not be.
    """
    provided = frozenset(provides)
    return [test for test in tests if are_met(test.needs, provided)]


def are_met(needs: Iterable[str], provided: Iterable[str]) -> bool:
    """Whether the words ``provided`` meet every one of ``needs``."""
    words = frozenset(provided)
    return all(_is_met(need, words) for need in needs)


def _is_met(need: str, provided: frozenset[str]) -> bool:
    return any(
        word[1:] not in provided if word.startswith("!") else word in provided
        for word in need.split("|")
    )


def named(tests: Iterable[Test], patterns: Sequence[str]) -> list[Test]:
    """The tests that one of ``patterns`` names; all if there is none."""
    return [test for test in tests if is_named(test.name, patterns)]


def is_named(test: str, patterns: Sequence[str]) -> bool:
    """Whether one of ``patterns`` names ``test``, or there is none."""
    return not patterns or any(fnmatchcase(test, pattern) for pattern in patterns)


def in_ladder_order(tests: Iterable[Test], rungs: Sequence[str]) -> list[Test]:
    """The tests sorted by rung, so that the basics are judged before what stands on them."""
    return sorted(tests, key=lambda test: (rungs.index(test.rung), test.index))


def command_line(tests: Sequence[Test]) -> str:
    """The kernel's command line that runs ``tests`` in this order: ``tests=0-3,9``."""
    ranges: list[list[int]] = []
    for test in tests:
        if ranges and test.index == ranges[-1][1] + 1:
            ranges[-1][1] = test.index
        else:
            ranges.append([test.index, test.index])
    return "tests=" + ",".join(
        str(first) if first == last else f"{first}-{last}" for first, last in ranges
    )


def in_lines(tests: Sequence[Test]) -> Iterator[Sequence[Test]]:
    """``tests`` in parts whose command lines are short enough."""
    while tests:
        sizes = range(1, len(tests) + 1)
        size = bisect.bisect_right(sizes, _ROOM, key=lambda size: len(command_line(tests[:size])))
        yield tests[:size]
        tests = tests[size:]
