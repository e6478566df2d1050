"""Why no test sees some commands succeed in some environments: ``conformance/coverage.yaml``."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache

from xenport import content, yamlsource
from xenport.suite import plan


class _ReasonsFile(yamlsource.Strict):
    reasons: Mapping[str, str]  # by `Where.text`


@dataclass(frozen=True)
class Where:
    """A command, or a pattern of commands as in a shell, and what an environment has to provide."""

    command: str
    needs: tuple[str, ...]

    @classmethod
    def read(cls, text: str) -> "Where":
        """From ``EVTCHNOP_bind_pirq hvm domu``; the words are as in the ``needs`` of a test."""
        command, *needs = text.split()
        return cls(command, tuple(needs))

    @property
    def text(self) -> str:
        """What it is read from."""
        return " ".join([self.command, *self.needs])

    def fits(self, command: str, words: Iterable[str]) -> bool:
        """Whether it names ``command`` where ``words`` are provided."""
        return fnmatchcase(command, self.command) and plan.are_met(self.needs, words)


@cache
def _reasons() -> Mapping[Where, str]:
    path = content.folder("conformance") / "coverage.yaml"
    by_text = yamlsource.load(path, _ReasonsFile).reasons
    return {Where.read(text): reason for text, reason in by_text.items()}


def places() -> Iterable[Where]:
    """What there are reasons for. Raises `InputError` for a bad file."""
    return _reasons().keys()


def why(command: str, words: Iterable[str]) -> str:
    """Why ``command`` can only be refused where ``words`` are provided, among them the kind of
    guest; empty if there is no reason. Raises `InputError` for a bad file."""
    provided = frozenset(words)
    fitting = (reason for where, reason in _reasons().items() if where.fits(command, provided))
    return next(fitting, "")
