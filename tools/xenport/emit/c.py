"""The ABI as C headers: a tree with the paths and names of Xen's public headers.

Every header compiles alone, as C11, as C++17 and as input of the assembler (constants only, with
``__ASSEMBLY__`` defined). What is the same everywhere, such as the guest handle macros, is in one
more header, ``xenport.h``, which the others include.
"""

import posixpath
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import jinja2

from xenport.abi import Abi, Header
from xenport.abi.constants import ConstantItem
from xenport.abi.core import NEWEST_INTERFACE, Group
from xenport.abi.expressions import (
    Array,
    Expression,
    Handle,
    Name,
    Named,
    Number,
    Primitive,
    Type,
    expression,
    type_expression,
    types as sizes,
)
from xenport.abi.layout import Item, Place, expression_text
from xenport.abi.releases import rank
from xenport.abi.rings import types_of
from xenport.abi.schema import FieldSpec, GroupSpec, Interface, RingSpec, StructSpec, TypeSpec
from xenport.emit import foreign

COMMON = "xenport.h"
"""The header that is the same for all others."""

NUMBERS = "xen.h"
"""The header with the numbers of all hypercalls, whatever header has their commands (if there is
no such header, each number stands with its commands)."""

INTERFACE_VERSION = "__XEN_INTERFACE_VERSION__"
"""What a guest defines to say which version of the interface it was written for."""

_WIDTH = 100
_C_NAMES = {
    "char": "char",
    "short": "short",
    "ushort": "unsigned short",
    "int": "int",
    "uint": "unsigned int",
    "long": "long",
    "ulong": "unsigned long",
    "size_t": "size_t",
    "pointer": "void *",
    "void": "void",
    "int64_aligned": "int64_aligned_t",
    "uint64_aligned": "uint64_aligned_t",
    **{f"{sign}int{bits}": f"{sign}int{bits}_t" for bits in (8, 16, 32, 64) for sign in ("", "u")},
}
_HANDLES = [
    ("void", "void"),
    ("char", "char"),
    ("uchar", "unsigned char"),
    *((name, _C_NAMES[name]) for name in ("short", "ushort", "int", "uint", "long", "ulong")),
    *((name, _C_NAMES[name]) for name in _C_NAMES if re.fullmatch(r"u?int\d+", name)),
    *((_C_NAMES[name],) * 2 for name in _C_NAMES if re.fullmatch(r"u?int\d+", name)),
]
_SUFFIXES = {"U": "xen_mk_uint", "UL": "xen_mk_ulong", "ULL": "xen_mk_ullong"}


def texts(abi: Abi) -> dict[str, str]:
    """The text of every header by path."""
    return _Emitter(abi).texts()


@dataclass
class _GroupText:
    """A group of constants as lines of C."""

    comment: str
    tag: str = ""
    typedef: bool = False
    defines: Sequence[str] = ()
    enumerators: Sequence[str] = ()
    bare: Sequence[str] = ()


class _Line(NamedTuple):
    """Code with a comment, and the versions of the interface it is for (none: all)."""

    code: str
    doc: str
    limits: tuple[Interface, ...] = ()


@dataclass(frozen=True)
class _Uses:
    """The uses of a macro that an includer defines, and whether it stays defined."""

    macro: str
    keep: bool
    lines: Sequence[str]


class _Emitter:
    """Writes the headers of one ABI."""

    def __init__(self, abi: Abi) -> None:
        self._abi = abi
        self._headers = {header.path: header for header in abi.headers()}
        self._types: dict[str, Item] = {}
        for header in self._headers.values():
            self._types.update({**header.older_types, **header.types})
        self._names = _Names(self._types)
        self._early = _back_edges(self._headers)
        self._versions = self._headers.get(abi.header_of(INTERFACE_VERSION) or "")
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            undefined=jinja2.StrictUndefined,
            autoescape=False,
        )

    def texts(self) -> dict[str, str]:
        """Path to text."""
        handle = self._abi.architecture.data_model.guest_handle
        common = self._render(
            "xenport.h.j2",
            COMMON,
            "What all headers of this tree share: numbers, guest handles.",
            form=handle.form,
            size=handle.size,
            handles=_HANDLES,
            versions=self._versions.path if self._versions else None,
        )
        texts = {COMMON: common}
        for path, header in self._headers.items():
            texts[path] = self._header(header)
        for arch, names in self._abi.architecture.foreign.items():
            texts[foreign.path(arch)] = self._foreign(arch, names)
        return texts

    def _foreign(self, arch: str, names: Sequence[str]) -> str:
        """The header with structures as another architecture has them."""
        path = foreign.path(arch)
        return self._render(
            "header.h.j2",
            path,
            f"Structures as {arch} has them, with fixed widths and under names of their own.",
            tools=False,
            early=[],
            includes=[posixpath.relpath(COMMON, posixpath.dirname(path))],
            each=None,
            groups=[],
            gnu=False,
            extra="",
            tail="",
            types=foreign.definitions(arch, self._abi.release, names),
            macros=[],
            records=[],
        )

    def _render(self, template: str, path: str, doc: str, **context: object) -> str:
        lines = textwrap.wrap(f"{path}: {doc}" if doc else path, _WIDTH - 3)
        return self._templates.get_template(template).render(
            title="\n * ".join(_harmless(line) for line in lines),
            arch=self._abi.architecture.name,
            release=self._abi.release,
            guard=_guard(path),
            path=path,
            **context,
        )

    def _header(self, header: Header) -> str:
        folder = posixpath.dirname(header.path) or "."
        early = [path for path in header.includes if (header.path, path) in self._early]
        late = [COMMON, *(path for path in header.includes if path not in early)]
        return self._render(
            "header.h.j2",
            header.path,
            header.doc,
            tools=header.tools,
            early=[posixpath.relpath(path, folder) for path in early],
            includes=[posixpath.relpath(path, folder) for path in late],
            each=self._each(header),
            groups=[
                *self._numbers(header),
                *(self._group(group) for group in [*header.groups, *header.older_groups]),
                *self._version_check(header),
            ],
            gnu=self._needs_gnu(header),
            extra=self._extra("macros", header.path),
            tail=self._extra("tails", header.path),
            types=list(_TypesOfHeader(self._types, self._names, header, self._abi).texts()),
            macros=list(self._macros(header)),
            records=list(self._save_records(header)),
        )

    def _extra(self, folder: str, path: str) -> str:
        """C that is no fact about the ABI but that whoever includes ``path`` counts on.

        ``folder``: ``macros`` is what types need, ``tails`` what needs them.
        """
        try:
            template = self._templates.get_template(f"{folder}/{path}.j2")
        except jinja2.TemplateNotFound:
            return ""
        here = rank(self._abi.release)
        return template.render(since=lambda release: rank(release) <= here)

    def _needs_gnu(self, header: Header) -> bool:
        """Whether a structure without a size of its own is inside another."""
        return bool(header.save_records) or any(
            member.layout.is_flexible
            for name, item in header.types.items()
            if item.kind in ("struct", "union")
            for _, _, member in self._abi.layout(name).walk()
        )

    def _macros(self, header: Header) -> Iterator[str]:
        """Macros of C, in the order of the file."""
        for name, spec in [*header.macros.items(), *header.older_macros]:
            parameters = "" if spec.params is None else f"({', '.join(spec.params)})"
            lines = [_comment(spec.doc)] if spec.doc else []
            if self._abi.constant_item(name) is not None:
                lines.append(f"#undef {name}")  # another value through an older interface
            lines += _default(name, [f"#define {name}{parameters} {spec.value}"], spec.default)
            yield "\n".join(_guarded(lines, self._abi.limit(spec)))

    def _save_records(self, header: Header) -> Iterator[str]:
        for record in header.save_records.values():
            if record.doc:
                yield _comment(record.doc)
            declare = "DECLARE_HVM_SAVE_TYPE" + ("_COMPAT" if record.compat else "")
            types = [record.type, *([record.compat] if record.compat else [])]
            args = [self._names.declaration(type_expression(text), "") for text in types]
            fix = ["0"] if record.compat else []  # only Xen itself converts
            yield f"{declare}({', '.join([record.name, str(record.code), *args, *fix])});"

    # Constants

    def _numbers(self, header: Header) -> Iterator[_GroupText]:
        """The numbers of the hypercalls, where they belong, and of this header's commands."""
        if header.path == NUMBERS:
            numbered = list(self._headers.values())
        else:
            numbered = [] if NUMBERS in self._headers else [header]
        numbers = [
            item
            for other in numbered
            for name, _, _ in other.hypercalls
            if (item := self._abi.constant_item(f"__HYPERVISOR_{name}")) is not None
        ]
        if numbers:
            numbers.sort(key=lambda item: self._abi.constant(item.name))
            yield _GroupText("", defines=self._defines(numbers))
        for name, _, _ in header.hypercalls:
            commands = [
                item
                for command in self._abi.hypercalls[name].commands
                if (item := self._abi.constant_item(command)) is not None
            ]
            if commands:
                yield _GroupText(_comment(f"Commands of {name}."), defines=self._defines(commands))

    def _group(self, group: Group) -> _GroupText:
        comment = _comment(group.doc) if group.doc else ""
        if group.kind == "defines":
            return _GroupText(comment, defines=self._defines(group.seen))
        enumerators, bare = [], []
        for item in group.seen:
            value, limits = self._names.value(item.spec.value), self._abi.limits(item)
            enumerators.append(_Line(f"    {item.name} = {value},", item.spec.doc, limits))
            bare.append(_Line(f"#define {item.name} {value}", "", limits))
        return _GroupText(
            comment,
            group.name if group.kind == "enum" else "",
            group.typedef,
            enumerators=_commented(enumerators),
            bare=_commented(bare),
        )

    def _defines(self, constants: Sequence[ConstantItem]) -> list[str]:
        width = max(len(item.name) for item in constants)
        lines: list[str] = []
        for is_default, run in groupby(constants, lambda item: item.spec.default and item.name):
            found = [
                _Line(
                    f"#define {item.name:{width}} "
                    f"{self._names.value(item.spec.value, item.spec.suffix)}",
                    item.spec.doc,
                    self._abi.limits(item),
                )
                for item in run
            ]
            lines += _default(str(is_default), _commented(found), bool(is_default))
        return lines

    def _each(self, header: Header) -> _Uses | None:
        """The macro that an includer may define, for the values of all groups that name it."""
        groups = [(group, group.each) for group in header.groups if group.each is not None]
        if not groups:
            return None
        uses = [
            f"{each.macro}({item.name.removeprefix(each.prefix)},"
            f" {self._names.value(item.spec.value)})"
            for group, each in groups
            for item in group.constants
        ]
        return _Uses(groups[0][1].macro, groups[0][1].keep, uses)

    def _version_check(self, header: Header) -> Iterator[_GroupText]:
        """An error for a guest that wants a newer interface than these headers describe."""
        if header is self._versions:
            yield _GroupText(
                "",
                defines=[
                    f"#if {INTERFACE_VERSION} > {NEWEST_INTERFACE}",
                    f'#error "release {self._abi.release} has no such interface version"',
                    "#endif",
                ],
            )


class _Names:
    """Types and values as C writes them."""

    def __init__(self, types: dict[str, Item]) -> None:
        self._types = types

    def declaration(self, tree: Type, name: str) -> str:
        """A declaration of ``name`` as ``tree``; without a name a type."""
        lengths = ""
        while isinstance(tree, Array):
            length = "XEN_FLEX_ARRAY_DIM" if tree.length is None else self._length(tree.length)
            lengths += f"[{length}]"
            tree = tree.element
        base = self._base(tree)
        space = "" if base.endswith("*") or not name else " "
        return f"{base}{space}{name}{lengths}"

    def _length(self, tree: Expression) -> str:
        return expression_text(tree, lambda inner: self.declaration(inner, ""))

    def _base(self, tree: Type) -> str:
        match tree:
            case Primitive():
                return _C_NAMES[tree.name]
            case Named():
                item = self._types[tree.name]
                if isinstance(item.spec, GroupSpec) and item.spec.typedef:
                    return tree.name
                return tree.name if item.kind == "type" else f"{item.kind} {tree.name}"
            case Handle():
                macro = "XEN_GUEST_HANDLE_64" if tree.wide else "XEN_GUEST_HANDLE"
                const = "const_" if tree.const else ""
                return f"{macro}({const}{self.handle_name(tree.target)})"
            case Array():
                raise AssertionError("arrays are written around the name")

    def handle_name(self, tree: Type) -> str:
        """The name of the guest handle to ``tree``."""
        if isinstance(tree, Primitive):
            return tree.name if tree.name in ("uint", "ulong", "ushort") else _C_NAMES[tree.name]
        assert isinstance(tree, Named)
        item = self._types[tree.name]
        if item.kind in ("type", "enum"):
            return tree.name
        return _typedef_name(tree.name, item) or tree.name

    def value(self, value: int | str, suffix: str | None = None) -> str:
        """The value of a constant as it stands in ``#define``."""
        macro = _SUFFIXES.get(suffix or "", "")

        def number(text: str) -> str:
            return f"{macro}({text})" if macro else text

        if isinstance(value, str):
            if value.startswith('"'):
                return value
            tree = expression(value)
            text = expression_text(tree, lambda inner: self.declaration(inner, ""), number)
            return text if isinstance(tree, (Number, Name)) else f"({text})"
        text = number(str(getattr(value, "text", value)).removeprefix("-"))
        return f"(-{text})" if value < 0 else text


class _TypesOfHeader:
    """The types of one header, each after those it needs."""

    def __init__(self, types: dict[str, Item], names: _Names, header: Header, abi: Abi) -> None:
        self._types = types
        self._c = names
        self._header = header
        self._abi = abi
        self._declared: set[str] = set()  # struct tags whose typedef and handle are there
        self._done: set[str] = set()
        self._open: set[str] = set()
        self._texts: list[str] = []

    def texts(self) -> list[str]:
        """One text for each type, or for the declaration of one that is defined further on."""
        for name in [*self._header.types, *self._header.older_types]:
            self._emit(name)
        return self._texts

    def _emit(self, name: str) -> None:
        """Emit ``name`` and first what it needs of this header."""
        item = self._header.types.get(name) or self._header.older_types.get(name)
        if item is None or name in self._done:
            return
        if item.ring is not None:
            self._emit_ring(item.ring)
            return
        self._open.add(name)
        for needed, by_handle in self._needs(item):
            if needed in self._open:
                if by_handle:
                    self._declare(needed)
            else:
                self._emit(needed)
        self._open.discard(name)
        self._done.add(name)
        text = self._definition(name, item)
        if text:
            limit = self._abi.limit(item.spec)
            self._texts.append("\n".join(_guarded([text], limit)))

    def _emit_ring(self, ring: str) -> None:
        """Emit the macro that makes the types of ``ring``, and first what they need."""
        spec = self._header.rings[ring]
        made = [made.name for made in types_of(ring, spec)]
        self._done.update(made)
        lines = [_comment(spec.doc)] if spec.doc else []
        if isinstance(spec, RingSpec):
            trees = [type_expression(text) for text in (spec.request, spec.response)]
            for tree in trees:
                for needed, _ in _named(tree, False):
                    self._emit(needed)
            args = ", ".join([ring, *(self._c.declaration(tree, "") for tree in trees)])
            lines.append(f"DEFINE_RING_TYPES({args});")
        else:
            lines.append(f"DEFINE_XEN_FLEX_RING{'_AND_INTF' if spec.interface else ''}({ring});")
        self._texts.append("\n".join(lines))

    def _needs(self, item: Item) -> Iterator[tuple[str, bool]]:
        """The types ``item`` names, and whether it is enough that they are declared."""
        if isinstance(item.spec, TypeSpec):
            yield from _named(type_expression(item.spec.type), False)
        elif isinstance(item.spec, StructSpec):
            yield from self._needs_of(item.spec.fields, item.place.at("fields"))

    def _needs_of(self, specs: Sequence[FieldSpec], place: Place) -> Iterator[tuple[str, bool]]:
        for spec, here, _ in self._abi.seen(specs, place):
            if spec.type is not None:
                yield from _named(type_expression(spec.type), False)
            yield from self._needs_of(spec.union or [], here.at("union"))
            yield from self._needs_of(spec.struct or [], here.at("struct"))

    def _declare(self, name: str) -> None:
        """Declare a structure that is defined further on."""
        if name not in self._declared and self._types[name].kind != "type":
            self._declared.add(name)
            item = self._types[name]
            lines = [f"{item.kind} {name};", *self._aliases(name, item)]
            self._texts.append("\n".join(_guarded(lines, self._abi.limit(item.spec))))

    def _aliases(self, name: str, item: Item) -> list[str]:
        """Typedef and guest handles of a structure."""
        typedef = _typedef_name(name, item)
        if typedef is None:
            return [f"__DEFINE_XEN_GUEST_HANDLE({name}, {item.kind} {name});"]
        return [f"typedef {item.kind} {name} {typedef};", f"DEFINE_XEN_GUEST_HANDLE({typedef});"]

    def _definition(self, name: str, item: Item) -> str:
        spec = item.spec
        lines = [_comment(spec.doc)] if spec.doc else []
        if isinstance(spec, TypeSpec):
            lines.append(f"typedef {self._c.declaration(type_expression(spec.type), name)};")
            lines.append(f"DEFINE_XEN_GUEST_HANDLE({name});")
            return "\n".join(lines)
        if isinstance(spec, GroupSpec):
            return ""  # stands with the constants
        lines.append(f"{item.kind} {name} {{")
        members = self._members(spec.fields, item.place.at("fields"), 1)
        lines += members or ["    __extension__ char xen_nothing[0]; /* so C++ has size 0 too */"]
        lines.append("};")
        if name not in self._declared:
            lines += self._aliases(name, item)
        return "\n".join(lines)

    def _members(self, specs: Sequence[FieldSpec], place: Place, depth: int) -> list[str]:
        indent = "    " * depth
        lines: list[str] = []
        plain: list[_Line] = []  # members of a type that follow each other
        for spec, here, limit in self._abi.seen(specs, place):
            if spec.type is not None:
                limits = () if limit is None else (limit,)
                plain.append(_Line(f"{indent}{self._member(spec)};", _directed(spec), limits))
                continue
            lines += _commented(plain)
            plain = []
            lines += _guarded(self._nested(spec, here, depth), limit)
        return lines + _commented(plain)

    def _nested(self, spec: FieldSpec, here: Place, depth: int) -> list[str]:
        """A member that is a structure or union of its own."""
        indent = "    " * depth
        lines = [_comment(_directed(spec), indent)] if spec.doc or spec.dir else []
        kind = "union" if spec.union is not None else "struct"
        inner = spec.union if spec.union is not None else spec.struct
        extension = "" if spec.name else "__extension__ "  # not in ISO C++
        lines.append(f"{indent}{extension}{kind} {{")
        lines += self._members(inner or [], here.at(kind), depth + 1)
        length = f"[{spec.length}]" if spec.length is not None else ""
        lines.append(f"{indent}}} {spec.name}{length};" if spec.name else f"{indent}}};")
        return lines

    def _member(self, spec: FieldSpec) -> str:
        tree = type_expression(spec.type or "")
        text = self._c.declaration(tree, spec.name or "")
        flexible = isinstance(tree, Array) and tree.length is None
        if flexible or (spec.bits is not None and tree not in _PLAIN_BITS):
            text = f"__extension__ {text}"  # not in ISO C++; not in ISO C
        return text if spec.bits is None else f"{text} : {spec.bits}"


_PLAIN_BITS = (Primitive("int"), Primitive("uint"), Primitive("int32"), Primitive("uint32"))


def _typedef_name(name: str, item: Item) -> str | None:
    assert isinstance(item.spec, StructSpec)
    if item.spec.typedef is False:
        return None
    return item.spec.typedef or f"{name}_t"


def _named(tree: Type, by_handle: bool) -> Iterator[tuple[str, bool]]:
    match tree:
        case Named():
            yield tree.name, by_handle
        case Handle():
            yield from _named(tree.target, True)
        case Array():
            yield from _named(tree.element, by_handle)
            if tree.length is not None:  # its size needs the whole type
                for inner in sizes(tree.length):
                    yield from _named(inner, False)


def _back_edges(headers: dict[str, Header]) -> set[tuple[str, str]]:
    """The includes that close a ring, seen from ``xen.h`` and then the others.

    They stand before the include guard: whichever header of a ring is included first, the one that
    closes it comes out whole before the header it points back to goes on.
    """
    found: set[tuple[str, str]] = set()
    done: set[str] = set()
    open_: list[str] = []

    def visit(path: str) -> None:
        open_.append(path)
        for include in headers[path].includes:
            if include in open_:
                found.add((path, include))
            elif include not in done:
                visit(include)
        open_.pop()
        done.add(path)

    for path in sorted(headers, key=lambda path: (path != "xen.h", path)):
        if path not in done:
            visit(path)
    return found


def _guard(path: str) -> str:
    return "XENPORT_" + re.sub(r"\W", "_", path).upper()


def _guarded(lines: list[str], *limits: Interface | None) -> list[str]:
    """``lines`` for guests of the interface versions in all of ``limits`` only (``None``: all)."""
    conditions = [
        f"{INTERFACE_VERSION} {'<' if limit.is_below else '>='} {limit.version:#010x}"
        for limit in limits
        if limit is not None
    ]
    return [f"#if {' && '.join(conditions)}", *lines, "#endif"] if conditions else lines


def _default(name: str, lines: list[str], is_default: bool) -> list[str]:
    """``lines``, which define ``name``; if ``is_default`` only where it is not defined."""
    return [f"#ifndef {name}", *lines, "#endif"] if is_default else lines


def _commented(lines: Sequence[_Line]) -> list[str]:
    """Lines of code with comments: behind the code if there is room for all, else before it."""
    found: list[str] = []
    column = max((len(line.code) for line in lines if line.doc), default=0)
    behind = all(not line.doc or column + len(_harmless(line.doc)) + 8 <= _WIDTH for line in lines)
    for limits, run in groupby(lines, lambda line: line.limits):
        texts: list[str] = []
        for code, doc, _ in run:
            if doc and behind:
                texts.append(f"{code:{column}}  /* {_harmless(doc)} */")
                continue
            if doc:
                texts.append(_comment(doc, code[: len(code) - len(code.lstrip())]))
            texts.append(code)
        found += _guarded(texts, *limits)
    return found


def _comment(doc: str, indent: str = "") -> str:
    """``doc`` as a comment of one or more lines."""
    text = _harmless(doc)
    if len(indent) + len(text) + 6 <= _WIDTH:
        return f"{indent}/* {text} */"
    lines = textwrap.wrap(text, _WIDTH - 3 - len(indent))
    return "\n".join([f"{indent}/*", *(f"{indent} * {line}" for line in lines), f"{indent} */"])


def _harmless(doc: str) -> str:
    """``doc`` without what would begin or end a comment, on one line."""
    return " ".join(doc.replace("*/", "* /").replace("/*", "/ *").split())


def _directed(spec: FieldSpec) -> str:
    """The comment of a member: its direction, and what it is."""
    return f"{spec.dir.upper()}: {spec.doc}".removesuffix(": ") if spec.dir else spec.doc
