"""The ABI as Python: a package with a construct for each type, and the constants.

The package needs ``construct`` and nothing else. Its types are the objects that ``Constructs``
makes for ``Abi.struct()``, written down: ``_Writer`` gives the source of a construct.

====================  ==========================================================================
integer, handle       ``Int32ul`` and its like; a handle is its address
bit field             ``Bits``
structure, union      ``Structure``, parsed to a ``Container`` whose keys are the members' names,
                      those of anonymous members' members among them
array                 ``Array``; of ``char`` and ``uint8``: ``Bytes``
flexible array        ``GreedyRange`` or ``GreedyBytes``: to the end of the data
====================  ==========================================================================
"""

import inspect
import json
import keyword
from collections.abc import Iterator
from typing import Any

import construct
from construct import Array, Bytes, GreedyBytes, GreedyRange, Renamed

from xenport.abi import Abi, Field, Layout
from xenport.emit import structures
from xenport.emit.names import Names, lines, number_text
from xenport.emit.structures import At, Bits, Structure
from xenport.emit.tree import MARK

_ORDERS = {"little": "l", "big": "b"}
_INTEGERS = {
    name: getattr(construct, name)
    for name in (
        f"Int{bits}{sign}{order}" for bits in (8, 16, 32, 64) for sign in "su" for order in "lb"
    )
}
_WIDTH = 100


class Constructs:
    """The constructs of the types of one ABI, each made when it is first asked for."""

    def __init__(self, abi: Abi) -> None:
        self._abi = abi
        self._order = abi.architecture.data_model.endian
        self._named = frozenset(name for header in abi.headers() for name in header.types)
        self._made: dict[str, Any] = {}

    def of(self, type_text: str) -> Any:
        """The construct of a type expression. Raises ``InputError``."""
        if type_text not in self._made:
            self._made[type_text] = self._new(self._abi.layout(type_text))
        return self._made[type_text]

    def _of(self, layout: Layout) -> Any:
        """The construct of the type of a member; of a named type there is only one."""
        if layout.name in self._named:
            return self.of(layout.name)
        return self._new(layout)

    def _new(self, layout: Layout) -> Any:
        match layout.kind:
            case "int" | "handle":
                sign, order = "s" if layout.signed else "u", _ORDERS[self._order]
                return _INTEGERS[f"Int{layout.size * 8}{sign}{order}"]
            case "array":
                return self._array(layout)
            case "struct" | "union":
                members = [self._member(member) for member in layout.fields]
                flexible = any(
                    member.layout.kind == "array" and member.layout.length is None
                    for member in layout.fields
                )
                return Structure(layout.name, layout.size, *members, flexible=flexible)
            case "void":
                return Bytes(0)

    def _array(self, layout: Layout) -> Any:
        element, length = layout.element, layout.length
        assert element is not None
        if length is None and element.size == 0:
            length = 0
        if element.kind == "int" and element.size == 1 and not element.signed:
            return GreedyBytes if length is None else Bytes(length)
        of_element = self._of(element)
        return GreedyRange(of_element) if length is None else Array(length, of_element)

    def _member(self, member: Field) -> At:
        if member.bits is None or member.bit_offset is None:
            offset, made = member.offset, self._of(member.layout)
        else:
            offset, made = self._bits(member, member.bits, member.bit_offset)
        return At(offset, Renamed(made, newname=member.name, newdocs=member.doc))

    def _bits(self, member: Field, bits: int, shift: int) -> tuple[int, Bits]:
        """A bit field in the bytes that it touches: its unit may be larger than the structure."""
        first, last = shift // 8, (shift + bits - 1) // 8  # counted from the least significant
        skipped = first if self._order == "little" else member.size - 1 - last
        made = Bits(last - first + 1, self._order, shift % 8, bits, member.layout.signed)
        return member.offset + skipped, made


def texts(abi: Abi) -> dict[str, str]:
    """The files of the package by path."""
    title = (
        "# SPDX-License-Identifier: MIT\n"
        f"# {MARK} {abi.architecture.name}, release {abi.release}. Do not edit.\n\n"
    )
    return {
        "__init__.py": title + "\n".join(_Writer(abi).lines()) + "\n",
        "structures.py": title + inspect.getsource(structures),
    }


class _Writer:
    """Writes ``__init__.py``."""

    def __init__(self, abi: Abi) -> None:
        self._abi = abi
        self._constructs = Constructs(abi)
        self._headers = {name: header for header in abi.headers() for name in header.types}
        self._imports: dict[str, set[str]] = {"construct": set(), ".structures": set()}
        library = ("Array", "Bytes", "GreedyBytes", "GreedyRange", "At", "Bits", "Structure")
        self._names = Names([*keyword.kwlist, *_INTEGERS, *library])
        self._of_constant = {name: self._names.take(name) for name in abi.constants}
        self._unwritten: dict[int, str] = {}  # types by what was made for them
        self._written: dict[int, str] = {}  # the names of these
        self._definitions: list[str] = []

    def lines(self) -> Iterator[str]:
        """The lines of the file."""
        simple = {id(made) for made in (*_INTEGERS.values(), GreedyBytes)}
        made = {name: self._constructs.of(name) for name in self._headers}
        self._unwritten = {id(one): name for name, one in made.items() if id(one) not in simple}
        for name, one in made.items():
            if id(one) in simple:
                self._define(name, self._source(one, 0))
            else:
                self._source(one, 0)
        yield '"""Types of Xen\'s guest ABI as constructs, and its constants."""'
        for module, names in self._imports.items():
            if names:
                yield ""
                yield f"from {module} import {', '.join(sorted(names))}"
        for header in self._abi.headers():
            constants = [one for one in self._abi.constants.values() if one.header == header.path]
            if constants:
                yield from ("", f"# {header.path}")
            for one in constants:
                number = isinstance(one.value, int)
                text = number_text(self._abi, one.name) if number else _text(str(one.value))
                yield f"{self._of_constant[one.name]} = {text}"
        yield from self._definitions

    def _define(self, name: str, source: str) -> str:
        """Define the type ``name``; the name it gets."""
        header = self._headers[name]
        item = header.types[name]
        title = f"{'typedef' if item.kind == 'type' else item.kind} {name} of {header.path}"
        own = self._names.take(name)
        comment = lines(f"{title}: {item.spec.doc}" if item.spec.doc else title, _WIDTH - 2)
        self._definitions += ["", *(f"# {line}" for line in comment), f"{own} = {source}"]
        return own

    def _source(self, made: Any, depth: int) -> str:
        """An expression that makes ``made``: the name of a type, which is defined first."""
        if id(made) in self._written:
            return self._written[id(made)]
        name = self._unwritten.get(id(made))
        if name is None:
            return self._expression(made, depth)
        own = self._define(name, self._expression(made, 0))
        self._written[id(made)] = own
        return own

    def _expression(self, made: Any, depth: int) -> str:
        match made:
            case Structure():
                return self._structure(made, depth)
            case Bits():
                signed = ", signed=True" if made.signed else ""
                place = f"{made.length}, {_text(made.order)}, shift={made.shift}, bits={made.bits}"
                return f"{self._use('.structures', 'Bits')}({place}{signed})"
            case Renamed():
                docs = f" * {_text(made.docs)}" if made.docs else ""
                return f"{_text(made.name)} / {self._source(made.subcon, depth)}{docs}"
            case Array():
                inner = self._source(made.subcon, depth)
                return f"{self._use('construct', 'Array')}({made.count}, {inner})"
            case GreedyRange():
                inner = self._source(made.subcon, depth)
                return f"{self._use('construct', 'GreedyRange')}({inner})"
            case Bytes():
                return f"{self._use('construct', 'Bytes')}({made.length})"
        if made is GreedyBytes:
            return self._use("construct", "GreedyBytes")
        return self._use("construct", next(n for n, one in _INTEGERS.items() if one is made))

    def _structure(self, made: Structure, depth: int) -> str:
        indent = "    " * (depth + 1)
        start = f"{self._use('.structures', 'Structure')}({_text(made.name)}, {made.size}"
        members = [
            f"{indent}{self._use('.structures', 'At')}({at}, {self._source(subcon, depth + 1)}),"
            for at, subcon in made.members
        ]
        if made.flexible:
            members.append(f"{indent}flexible=True,")
        return "\n".join([f"{start},", *members, f"{indent[4:]})"]) if members else f"{start})"

    def _use(self, module: str, name: str) -> str:
        self._imports[module].add(name)
        return name


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
