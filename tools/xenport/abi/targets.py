"""Where the values stand that the conditions of an error are about."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from xenport.abi.calls import Command, Hypercall
from xenport.abi.layout import Field, Layout

DOMID = "domid_t"


@dataclass(frozen=True)
class Target:
    """The value that ``name`` stands for in a condition of a command.

    An argument of the hypercall itself has ``field`` None; else the value is ``offset`` bytes from
    the start of what the hypercall's argument points to. ``scope`` has the offsets and members
    beside a member, by name: those that its ``count`` speaks of.
    """

    name: str
    layout: Layout
    offset: int = 0
    field: Field | None = None
    count: str | None = None
    scope: Mapping[str, tuple[int, Field]] | None = None

    @property
    def is_register(self) -> bool:
        """Whether it is an argument of the hypercall itself."""
        return self.field is None


def find(hypercall: Hypercall, thing: Hypercall | Command, name: str) -> Target:
    """What ``name`` stands for in the errors of ``thing``: ``hypercall`` or one of its commands.

    An argument of the hypercall comes first, then a member of the command's own part that Xen
    reads, then one of the structure that all commands share, then any. Raises ``KeyError``.
    """
    for arg in hypercall.args:
        if arg.name == name:
            count = arg.count
            if arg.role == "argument" and isinstance(thing, Command) and thing.arg is not None:
                count = thing.arg.count or count
            return Target(name, arg.layout, count=count)
    found: list[Target] = []
    if isinstance(thing, Command) and thing.arg is not None:
        found += _members(thing.arg.layout, thing.arg.offset, name)
    if hypercall.structure is not None:
        found += _members(hypercall.structure, 0, name)
    if not found:
        raise KeyError(name)
    return next((one for one in found if one.field and one.field.direction != "out"), found[0])


def _members(layout: Layout, base: int, name: str) -> list[Target]:
    members = _walk(layout)
    if name not in members:
        return []
    around = name.rpartition(".")[0]
    offset, member = members[name]
    beside = None
    if member.count is not None:
        beside = {
            path.rpartition(".")[2]: (base + offset, member)
            for path, (offset, member) in members.items()
            if path.rpartition(".")[0] in ("", around)
        }
    return [Target(name, member.layout, base + offset, member, member.count, beside)]


@cache
def _walk(layout: Layout) -> Mapping[str, tuple[int, Field]]:
    """Offset and member by path."""
    return {path: (offset, member) for path, offset, member in layout.walk()}


def domains_in(layout: Layout, base: int = 0) -> dict[int, Field]:
    """The members that are numbers of domains and that Xen reads, by offset; not those of unions,
    of which it reads one."""
    found: dict[int, Field] = {}
    for member in layout.fields:
        if member.layout.name == DOMID and member.direction != "out":
            found[base + member.offset] = member
        elif member.layout.kind == "struct":
            found |= domains_in(member.layout, base + member.offset)
    return found


def domain_of(hypercall: Hypercall, thing: Hypercall | Command) -> Target | None:
    """The domain that a command is about, by number; None: the one that calls."""
    for arg in hypercall.args:
        if arg.layout.name == DOMID:
            return Target(arg.name, arg.layout)
    parts = []
    if isinstance(thing, Command) and thing.arg is not None:
        parts.append(thing.arg.layout)
    if hypercall.structure is not None:
        parts.append(hypercall.structure)
    for part in parts:
        for path, (_, member) in _walk(part).items():
            if member.layout.name == DOMID and member.direction != "out":
                return find(hypercall, thing, path)
    return None
