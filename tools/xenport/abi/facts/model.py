"""Facts about types and constants, free of where they were read."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple


class Source(NamedTuple):
    """Where a definition stands: the path of a file as the compiler saw it, and its line."""

    path: str
    line: int


@dataclass(frozen=True)
class Type:
    """The type of a member or typedef.

    ``text`` is a type expression of the description's grammar; it is empty where the type is a
    structure or union without a name of its own, which is ``inner`` then.
    """

    text: str
    size: int  # bytes; 0 for a flexible array
    inner: "Aggregate | None" = None
    base: Literal["int", "pointer", "array", "struct", "union", "void"] = "int"
    signed: bool = False


@dataclass(frozen=True)
class Member:
    """A member of a structure or union; ``name`` is ``None`` for an anonymous one."""

    name: str | None
    bit_offset: int  # from the start of the structure; of a bit field, of its lowest address
    type: Type
    bits: int | None = None  # width of a bit field
    align: int | None = None  # bytes, where the declaration asks for it

    @property
    def offset(self) -> int:
        """Bytes from the start of the structure."""
        return self.bit_offset // 8


@dataclass
class Aggregate:
    """A structure or union."""

    kind: Literal["struct", "union"]
    name: str | None
    size: int  # bytes
    source: Source
    members: list[Member] = field(default_factory=list)

    def flat(self, base: int = 0) -> Iterator[tuple[str, int, Member]]:
        """Name, bit offset and member, those of anonymous members included."""
        for member in self.members:
            at = base + member.bit_offset
            if member.name is not None:
                yield member.name, at, member
            elif member.type.inner is not None:
                yield from member.type.inner.flat(at)


@dataclass(frozen=True)
class Enumeration:
    """An enumeration; ``name`` is its tag or its typedef."""

    name: str | None
    size: int
    source: Source
    values: dict[str, int]


@dataclass(frozen=True)
class Constant:
    """A macro or an enumerator with a value."""

    name: str
    value: int | str  # an integer is its low 64 bits
    source: Source
    text: str = ""  # of a macro: what it is defined as
    enumeration: str | None = None  # of an enumerator


@dataclass(frozen=True)
class Macro:
    """A macro without a value of its own: with parameters, or standing for code or a name."""

    name: str
    parameters: tuple[str, ...] | None
    text: str
    source: Source


@dataclass
class Facts:
    """All that was found.

    ``aligns`` is known only where a compiler was asked, ``broken`` is what it could not compile.
    """

    little_endian: bool = True
    bits: int = 64  # of an address
    structures: dict[str, Aggregate] = field(default_factory=dict)
    typedefs: dict[str, tuple[Type, Source]] = field(default_factory=dict)
    enumerations: list[Enumeration] = field(default_factory=list)
    constants: dict[str, Constant] = field(default_factory=dict)
    macros: dict[str, Macro] = field(default_factory=dict)
    aligns: dict[str, int] = field(default_factory=dict)
    headers: list[str] = field(default_factory=list)  # paths in the tree that were read
    broken: dict[str, str] = field(default_factory=dict)  # header to the compiler's complaint
