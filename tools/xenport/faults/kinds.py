"""What can be wrong with a command."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from xenport.abi import Command, Hypercall, Layout
from xenport.abi.schema import Direction

Kind = Literal["idle", "missing", "result", "errno", "allowed", "reads", "answers"]

_WORDS: dict[Kind, str] = {
    "idle": "succeeds and does nothing",
    "missing": "is not there: ENOSYS",
    "result": "returns one more than it should when it succeeds",
    "errno": "returns another errno than {}",
    "allowed": "succeeds where it should be refused with {}",
    "reads": "takes '{}' for one more than it is",
    "answers": "answers one more in '{}' than it should",
}


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that is wrong with ``command`` of ``hypercall``.

    ``detail`` is the errno of ``errno`` and ``allowed``, and the path of the field, from the start
    of the structure that the command's handle points to, of ``reads`` and ``answers``.
    """

    hypercall: str
    command: str
    kind: Kind
    detail: str = ""

    @property
    def name(self) -> str:
        """How reasons and options call it: ``EVTCHNOP_send errno EINVAL``."""
        return " ".join(filter(None, (self.command, self.kind, self.detail)))

    @property
    def text(self) -> str:
        """What is wrong, in words."""
        return _WORDS[self.kind].format(self.detail)


def faults_of(
    hypercall: Hypercall, command: Command | None, results: frozenset[str]
) -> Iterator[Fault]:
    """The faults of a command, or of a hypercall without commands, that could be noticed by tests
    in which it had ``results``: errnos, and the empty text for success."""
    name = command.name if command else hypercall.name

    def fault(kind: Kind, detail: str = "") -> Fault:
        return Fault(hypercall.name, name, kind, detail)

    if "" in results:
        yield fault("idle")
        yield fault("missing")
        if not _is_by_element(hypercall):
            yield fault("result")
        if command and command.arg:
            prefix = f"{command.arg.member}." if command.arg.member else ""
            numbers = list(_numbers(command.arg.layout))
            for number in _widest(one for one in numbers if one.direction != "out"):
                yield fault("reads", prefix + number.path)
            for number in _widest(one for one in numbers if one.direction != "in"):
                yield fault("answers", prefix + number.path)
    for errno in sorted(results - {""}):
        yield fault("errno", errno)
        yield fault("allowed", errno)


def _is_by_element(hypercall: Hypercall) -> bool:
    """Whether a call has many commands, and so no result of one (mmuext_op)."""
    return hypercall.selector is not None and any(arg.count for arg in hypercall.args)


class _Number(NamedTuple):
    """A number in a structure, and the bits of the structure that it is in."""

    path: str
    direction: Direction
    begin: int
    end: int


def _numbers(
    layout: Layout, prefix: str = "", outer: Direction = "in", base: int = 0
) -> Iterator[_Number]:
    """Each number in a structure; what is in a part that only goes out (``outer``) goes out too.
    What is different each time is left out, and so are unions with a name, of which nothing here
    says what they hold."""
    for field in layout.fields:
        path = prefix + field.name
        direction = "out" if outer == "out" else field.direction
        if field.varies:
            continue
        if field.layout.kind == "struct":
            yield from _numbers(field.layout, f"{path}.", direction, base + field.offset)
        elif field.layout.kind == "int":
            begin = 8 * (base + field.offset) + (field.bit_offset or 0)
            bits = 8 * field.size if field.bits is None else field.bits
            yield _Number(path, direction, begin, begin + bits)


def _widest(numbers: Iterable[_Number]) -> list[_Number]:
    """Those that are not part of another one: a register that has narrower names too, such as al
    and eax beside rax, is one thing that can be wrong, under the first of its widest names."""
    found: list[_Number] = []
    for number in sorted(numbers, key=lambda one: one.begin - one.end):
        if not any(one.begin <= number.begin and number.end <= one.end for one in found):
            found.append(number)
    return found
