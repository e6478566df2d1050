"""Xen's releases and their order."""

from typing import Annotated, NamedTuple, Protocol

from pydantic import AfterValidator

RELEASES: tuple[str, ...] = (
    *(f"3.{minor}" for minor in range(5)),
    *(f"4.{minor}" for minor in range(24)),
)
"""Every release a description may name, oldest first; the last is the one in development."""

HEAD = "head"
"""Another name for the release in development, wherever a release is asked for."""

_RANK = {release: rank for rank, release in enumerate(RELEASES)}


def rank(release: str) -> int:
    """The place of ``release`` among all, to compare releases. Raises ``ValueError``."""
    try:
        return _RANK[release]
    except KeyError:
        raise ValueError(
            f"unknown release '{release}'; expected {RELEASES[0]} to {RELEASES[-1]}"
        ) from None


def resolve(release: str) -> str:
    """``release``, or the one in development for ``head``."""
    return RELEASES[-1] if release == HEAD else release


def _known(release: str) -> str:
    rank(release)
    return release


ReleaseName = Annotated[str, AfterValidator(_known)]
"""A release in a hand-written file."""


class HasRange(Protocol):
    """Whatever has a first and a last release; ``None`` means no limit."""

    @property
    def since(self) -> str | None: ...
    @property
    def until(self) -> str | None: ...


class Range(NamedTuple):
    """A range of releases by rank, both ends included."""

    first: int
    last: int

    @classmethod
    def of(cls, thing: HasRange) -> "Range":
        """The range that ``since`` and ``until`` of ``thing`` give."""
        return cls(
            0 if thing.since is None else rank(thing.since),
            len(RELEASES) if thing.until is None else rank(thing.until),
        )

    def overlaps(self, other: "Range") -> bool:
        """Whether a release is in both."""
        return self.first <= other.last and other.first <= self.last
