"""Which tests an environment gets, and how a boot is told which of them to run."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from xenport.kernel import Test

SLOW = "slow"  # the need that a person provides, by asking for tests that take long


def applicable(tests: Iterable[Test], provides: Iterable[str]) -> list[Test]:
    """The tests whose every need the environment meets, in catalogue order.

    ``needs`` of a test are words that must all be provided; ``pv|hvm`` is one or the other,
    ``!unpaged`` one that must not be.
    """
    provided = set(provides)
    return [test for test in tests if all(_is_met(need, provided) for need in test.needs)]


def _is_met(need: str, provided: set[str]) -> bool:
    if need.startswith("!"):
        return need[1:] not in provided
    return bool(provided.intersection(need.split("|")))


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
