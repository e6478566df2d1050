"""Structures in another architecture's layout, as a C header: ``foreign/x86_64.h`` has
``struct vcpu_guest_context_x86_64``, as it does in Xen's installed headers.

A tool stack needs them where the width of the domain it is about decides, not its own. All integers
have a fixed width here. Of members that share memory there is the widest, the first of these.
"""

from collections.abc import Iterator, Sequence

import xenport.abi
from xenport.abi import Abi, Field, Layout
from xenport.errors import InputError


def path(arch: str) -> str:
    """The header that has structures of ``arch``."""
    return f"foreign/{arch}.h"


def definitions(arch: str, release: str, names: Sequence[str]) -> list[str]:
    """The definitions of the structures ``names`` of ``arch``, each after those that it needs.

    Raises ``InputError`` for a member that has another alignment wherever the header is compiled.
    """
    writer = _Writer(xenport.abi.load(arch, release))
    for name in names:
        if name not in writer.done:
            writer.define(name)
    return list(writer.done.values())


class _Writer:
    def __init__(self, abi: Abi) -> None:
        self._abi = abi
        self._suffix = f"_{abi.architecture.name}"
        self._structures = frozenset(abi.structures)
        self.done: dict[str, str] = {}

    def define(self, name: str) -> None:
        layout = self._abi.layout(name)
        lines = [f"{layout.kind} {name}{self._suffix} {{", *self._members(layout, 1), "};"]
        self.done[name] = "\n".join(lines)

    def _members(self, layout: Layout, depth: int) -> Iterator[str]:
        indent = "    " * depth
        members = _widest(layout.fields) if layout.kind == "struct" else layout.fields
        for member in members:
            lengths = ""
            inner = member.layout
            while inner.element is not None:
                lengths += f"[{inner.length}]"
                inner = inner.element
            if inner.kind not in ("struct", "union"):
                yield f"{indent}{self._scalar(layout, member, inner)} {member.name}{lengths};"
            elif inner.name in self._structures:
                if inner.name not in self.done:
                    self.define(inner.name)
                yield f"{indent}{inner.kind} {inner.name}{self._suffix} {member.name}{lengths};"
            else:
                yield f"{indent}{inner.kind} {{"
                yield from self._members(inner, depth + 1)
                yield f"{indent}}} {member.name}{lengths};"

    def _scalar(self, owner: Layout, member: Field, layout: Layout) -> str:
        if layout.align != layout.size or member.bits is not None or member.size == 0:
            raise InputError(f"{owner.name}.{member.name} has no foreign form")
        if layout.size == 8:
            return "int64_aligned_t" if layout.signed else "uint64_aligned_t"
        return f"{'' if layout.signed else 'u'}int{8 * layout.size}_t"


def _widest(members: Sequence[Field]) -> Iterator[Field]:
    """Of members at the same place the widest; members of an anonymous structure lie in one."""
    end = 0
    for member in sorted(members, key=lambda member: (member.offset, -member.size)):
        if member.offset >= end:
            yield member
            end = member.offset + member.size
