"""The ABI as a Rust crate: ``no_std``, without dependencies, one module for each header.

Types are written from their layouts, not from the description, with every integer of the width and
alignment that it has on the architecture. So the crate means the same on whatever target it is
compiled, and its assertions of the layout hold there.

====================  ==========================================================================
typedef, enum         a type alias
structure, union      ``repr(C)``; a nested one is a type of its own, ``OUTER_member``
anonymous members     a union or structure ``OUTER_anon0`` in a member ``anon0``, where members lie
                      over each other; members of the others are members of what surrounds them
bit field             methods ``name()`` and ``set_name(value)``
guest handle          ``Handle<T>``, ``ConstHandle<T>``, ``Handle64<T>``, ``ConstHandle64<T>``
flexible array        ``[T; 0]``
odd alignment         ``u64_align4`` and its like, with ``new`` and ``get``
constant              ``u32`` or ``u64``, negative ones ``i32`` or ``i64``, as small as possible;
                      with a C suffix the type that it says
====================  ==========================================================================

Keywords and names that are taken get an underscore at the end.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import jinja2

from xenport.abi import Abi, Field, Header, Layout
from xenport.abi.schema import TypeSpec
from xenport.emit.names import Names, lines, number_text
from xenport.emit.tree import MARK

_WIDTH = 100
_KEYWORDS = frozenset(
    """
    Self abstract as async await become box break const continue crate do dyn else enum extern
    false final fn for gen if impl in let loop macro match mod move mut override priv pub ref
    return self static struct super trait true try type typeof union unsafe unsized use virtual
    where while yield
    """.split()  # noqa: SIM905 - a list that is to be read
)
_TYPES = frozenset(
    """
    bool char str usize isize f32 f64 u8 u16 u32 u64 u128 i8 i16 i32 i64 i128
    Clone Copy Debug Default
    """.split()  # noqa: SIM905
)
_HANDLES = ("Handle", "ConstHandle", "Handle64", "ConstHandle64")
_FILES = ("lib", "main", "bin")  # names in src/ to which cargo gives a meaning


def texts(abi: Abi) -> dict[str, str]:
    """The files of the crate by path."""
    return _Crate(abi).texts()


class _Integer(NamedTuple):
    """An integer whose alignment is not that of Rust's own."""

    name: str
    plain: str
    size: int
    align: int
    repr: str


@dataclass
class _Module:
    """The file of a header, or of a folder of headers, or of both."""

    path: str  # in Rust: crate::hvm::params
    file: str
    header: Header | None = None
    children: "dict[str, _Module]" = field(default_factory=dict)  # by the name in the folder
    names: Names = field(default_factory=Names)

    def child(self, part: str) -> "_Module":
        """The module of the header or folder ``part``."""
        if part not in self.children:
            name = self.names.take(re.sub(r"\W|^(?=\d)", "_", part))
            folder = self.file.removesuffix(".rs") if self.path != "crate" else "src"
            self.children[part] = _Module(
                f"{self.path}::{name}", f"{folder}/{name}.rs", names=Names(_KEYWORDS)
            )
        return self.children[part]

    def walk(self) -> "Iterator[_Module]":
        """This module and all in it."""
        yield self
        for child in self.children.values():
            yield from child.walk()

    def declarations(self) -> list[str]:
        """The names of the modules in it."""
        return sorted(child.path.rpartition("::")[2] for child in self.children.values())


class _Crate:
    """What the modules of a crate share."""

    def __init__(self, abi: Abi) -> None:
        self.abi = abi
        self.integers: dict[str, _Integer] = {}
        self.bit_fields = False
        self.signed_bit_fields = False
        self.types = Names([*_KEYWORDS, *_TYPES, *_HANDLES])
        self.constants = Names(_KEYWORDS)
        self._root = _Module("crate", "src/lib.rs", names=Names([*_KEYWORDS, *_HANDLES, *_FILES]))
        self.own: dict[str, tuple[str, str]] = {}  # named types: module, name
        for header in abi.headers():
            module = self._root
            for part in PurePosixPath(header.path).with_suffix("").parts:
                module = module.child(part)
            module.header = header
            for name in header.types:
                own = self.types.take(name)
                self.own[name] = (module.path, own)
                module.names.reserve([own])  # these come before the headers of a folder
        for module in self._modules():  # a nested type is not to be called as a module
            self.types.reserve(module.declarations())

    def _modules(self) -> list[_Module]:
        return [module for module in self._root.walk() if module is not self._root]

    def texts(self) -> dict[str, str]:
        """Path to text."""
        files = {}
        for module in self._modules():
            files[module.file] = "\n".join(_Writer(self, module).lines()) + "\n"
        handles = [
            {
                "name": name,
                "const": name.startswith("Const"),
                "pointer": "*const" if name.startswith("Const") else "*mut",
                **self._handle(name.endswith("64")),
            }
            for name in _HANDLES
        ]
        if handles[0]["storage"] == handles[2]["storage"]:
            for wide, narrow in zip(handles[2:], handles[:2], strict=True):
                wide["same_as"] = narrow["name"]
        template = jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            undefined=jinja2.StrictUndefined,
            autoescape=False,
        ).get_template("lib.rs.j2")
        files[self._root.file] = template.render(
            mark=MARK,
            arch=self.abi.architecture.name,
            release=self.abi.release,
            endian=self.abi.architecture.data_model.endian,
            modules=self._root.declarations(),
            integers=[self.integers[name] for name in sorted(self.integers)],
            handles=handles,
            bit_fields=self.bit_fields,
            signed_bit_fields=self.signed_bit_fields,
        )
        files["Cargo.toml"] = "\n".join(self._manifest()) + "\n"
        return files

    def _handle(self, wide: bool) -> dict[str, str | int]:
        layout = self.abi.layout("handle64(void)" if wide else "handle(void)")
        return {
            "storage": self.integer(layout),
            "plain": plain_integer(layout.size, False),
            "size": layout.size,
            "align": layout.align,
            "same_as": "",
        }

    def integer(self, layout: Layout) -> str:
        """The type of an integer, or of what a handle is made of."""
        plain = plain_integer(layout.size, layout.signed)
        natural = self.abi.layout(f"uint{layout.size * 8}").align
        if layout.align == natural == layout.size:
            return plain
        name = f"{plain}_align{layout.align}"
        kind = "packed" if layout.align < layout.size else "align"
        self.integers[name] = _Integer(name, plain, layout.size, layout.align, kind)
        return name

    def _manifest(self) -> Iterator[str]:
        arch, release = self.abi.architecture.name, self.abi.release
        yield f"# {MARK} {arch}, release {release}. Do not edit."
        yield ""
        yield "[package]"
        yield 'name = "xen_abi"'
        yield f'version = "{release}.0"'
        yield f'description = "Xen\'s guest ABI for {arch}, release {release}"'
        yield 'license = "MIT"'
        yield 'edition = "2021"'
        yield 'rust-version = "1.63"'


class _Member(NamedTuple):
    """A member of a Rust structure or union."""

    name: str
    type: str
    offset: int
    size: int
    align: int
    doc: str = ""

    def to(self, end: int) -> "_Member":
        """An array of bytes that goes to ``end``."""
        size = end - self.offset
        return self._replace(size=size, type=f"[u8; {size}]")


class _Writer:
    """Writes one module."""

    def __init__(self, crate: _Crate, module: _Module) -> None:
        self._crate = crate
        self._module = module
        self._abi = crate.abi
        self._uses: set[tuple[str, str]] = set()
        self._big = crate.abi.architecture.data_model.endian == "big"
        self._items: list[str] = []  # the lines of types

    def lines(self) -> Iterator[str]:
        """The lines of the file."""
        header = self._module.header
        yield "// SPDX-License-Identifier: MIT"
        arch, release = self._abi.architecture.name, self._abi.release
        yield f"// {MARK} {arch}, release {release}. Do not edit."
        if header is not None:
            yield ""
            yield from _doc(f"{header.path}: {header.doc}" if header.doc else header.path, "//!")
            for name in header.types:
                self._named(header, name)
        uses: dict[str, list[str]] = {}
        for path, name in sorted(self._uses, key=lambda use: (use[0] == "crate", use)):
            uses.setdefault(path, []).append(name)
        if uses:
            yield ""
        for path, names in uses.items():
            yield from _use(path, names)
        if self._module.children:
            yield ""
        for name in self._module.declarations():
            yield f"pub mod {name};"
        if header is not None:
            yield from self._constants(header)
        yield from self._items

    # Constants

    def _constants(self, header: Header) -> Iterator[str]:
        docs = {group.name: group.doc for group in header.groups}
        group = None
        for constant in self._abi.constants.values():
            if constant.header != header.path:
                continue
            if constant.group != group:
                group = constant.group
                yield ""
                if docs.get(group):
                    yield from _comment(docs[group], "//")
            yield from _doc(constant.doc)
            name = self._crate.constants.take(constant.name)
            if isinstance(constant.value, str):
                yield f"pub const {name}: &str = {_text(constant.value)};"
            else:
                type_ = self._constant_type(constant.name, constant.value)
                yield f"pub const {name}: {type_} = {number_text(self._abi, constant.name)};"

    def _constant_type(self, name: str, value: int) -> str:
        item = self._abi.constant_item(name)
        suffix = item.spec.suffix if item is not None else None
        if suffix is not None:
            size = {"U": 4, "ULL": 8}.get(suffix, self._abi.sizeof("ulong"))
            return plain_integer(size, False)
        if value < 0:
            return "i32" if value >= -(1 << 31) else "i64"
        return "u32" if value < 1 << 32 else "u64"

    # Types

    def _named(self, header: Header, name: str) -> None:
        """Write a type of the header."""
        item = header.types[name]
        layout = self._abi.layout(name)
        own = self._crate.own[name][1]
        if item.kind in ("struct", "union"):
            self._structure(own, layout, item.spec.doc)
            return
        if isinstance(item.spec, TypeSpec):
            inner = self._abi.layout(item.spec.type)
        else:
            inner = replace(layout, name="")
        type_ = self._type(inner, own)
        self._items += ["", *_doc(item.spec.doc), f"pub type {own} = {type_};"]

    def _type(self, layout: Layout, nested: str) -> str:
        """``layout`` as a type; ``nested`` is the name of one that has none, which is written."""
        if layout.name in self._crate.own:
            return self._use(*self._crate.own[layout.name])
        match layout.kind:
            case "int":
                return self._integer(layout)
            case "handle":
                assert layout.target is not None
                wide = "64" if layout.name.startswith("handle64(") else ""
                name = self._use("crate", f"{'Const' if layout.const else ''}Handle{wide}")
                return f"{name}<{self._target(layout.target)}>"
            case "array":
                assert layout.element is not None
                return f"[{self._type(layout.element, nested)}; {layout.length or 0}]"
            case "void":
                return "core::ffi::c_void"
        own = self._crate.types.take(nested)
        self._structure(own, layout, "")
        return own

    def _target(self, type_text: str) -> str:
        """What a handle points to."""
        if type_text in self._crate.own:
            return self._use(*self._crate.own[type_text])
        return self._type(self._abi.layout(type_text), "")

    def _integer(self, layout: Layout) -> str:
        name = self._crate.integer(layout)
        return self._use("crate", name) if name in self._crate.integers else name

    def _use(self, path: str, name: str) -> str:
        if path != self._module.path:
            self._uses.add((path, name))
        return name

    def _structure(self, own: str, layout: Layout, doc: str) -> None:
        """Write the structure or union ``layout``."""
        if layout.kind == "union":
            self._union(own, _arms(self._spans(layout.fields)), _Extent(0, layout), doc)
        else:
            self._struct(own, self._spans(layout.fields), _Extent(0, layout), doc)

    def _spans(self, fields: Sequence[Field]) -> list["_Span"]:
        return [_Span.of(member, self._big) for member in fields]

    def _struct(self, own: str, spans: Sequence["_Span"], extent: "_Extent", doc: str = "") -> None:
        """Write a structure of what is in ``spans``."""
        names, methods = Names(_KEYWORDS), Names(_KEYWORDS)
        own_names = {id(span): names.take(span.field.name) for span in spans if not span.bits}
        members: list[_Member] = []
        accessors: list[str] = []
        run = None  # the member that holds the bit fields next to each other
        for group in _groups(spans):
            if isinstance(group, list):
                member = self._overlap(own, names, group, extent.base)
            elif not group.bits:
                member = self._member(own, own_names[id(group)], group, extent.base)
            else:
                first, end = group.first - extent.base, group.end - extent.base
                if run is None or run.offset + run.size < first:
                    run = _Member(names.numbered("bits"), "", first, 0, 1)
                    members.append(run)
                run = members[-1] = run.to(end)
                accessors += self._accessors(methods, group, run.name, first - run.offset)
                continue
            run = None
            members.append(member)
        widest = [one for one in spans if one.bits and one.field.layout.align == extent.align]
        aligned = self._integer(widest[0].field.layout) if widest else ""
        members = list(_filled(members, extent, names, aligned))
        derive = "Clone, Copy, Debug" if _has_debug(spans) else "Clone, Copy"
        self._write("struct", own, members, extent, derive, doc)
        if accessors:
            self._items += ["", f"impl {own} {{", *accessors[1:], "}"]

    def _union(
        self, own: str, arms: Sequence[Sequence["_Span"]], extent: "_Extent", doc: str = ""
    ) -> None:
        """Write a union of ``arms``; one of several members or bit fields is a structure."""
        names = Names(_KEYWORDS)
        alone = [arm[0] for arm in arms if len(arm) == 1 and not arm[0].bits]
        own_names = {id(span): names.take(span.field.name) for span in alone}
        members = []
        for arm in arms:
            if id(arm[0]) in own_names:
                member = self._member(own, own_names[id(arm[0])], arm[0], extent.base)
            else:
                inner = _Extent.around(arm)
                name = names.numbered("anon")
                type_ = self._crate.types.take(f"{own}_{name}")
                self._struct(type_, arm, inner, f"Members of `{own}` that follow each other.")
                offset = inner.base - extent.base
                member = _Member(name, type_, offset, inner.size, inner.align)
            members.append(member)
        if not members:  # Rust has no union without members
            members = [_Member("nothing", "[u8; 0]", 0, 0, 1)]
        self._write("union", own, members, extent, "Clone, Copy", doc)

    def _overlap(self, own: str, names: Names, spans: Sequence["_Span"], base: int) -> _Member:
        """Write the union of members of ``own`` that lie over each other."""
        name = names.numbered("anon")
        type_ = self._crate.types.take(f"{own}_{name}")
        extent = _Extent.around(spans)
        self._union(type_, _arms(spans), extent, f"Members of `{own}` that lie over each other.")
        return _Member(name, type_, extent.base - base, extent.size, extent.align)

    def _member(self, own: str, name: str, span: "_Span", base: int) -> _Member:
        member = span.field
        type_ = self._type(member.layout, f"{own}_{member.name}")
        offset = member.offset - base
        return _Member(name, type_, offset, member.size, member.layout.align, _directed(member))

    def _accessors(self, methods: Names, span: "_Span", run: str, first: int) -> list[str]:
        """The methods of a bit field, whose first byte is ``first`` of ``run``."""
        layout = span.field.layout
        self._crate.bit_fields = True
        type_ = plain_integer(layout.size, layout.signed)
        get = "get_signed_bits" if layout.signed else "get_bits"
        if layout.signed:
            self._crate.signed_bit_fields = True
        got = "i64" if layout.signed else "u64"
        place = f"{first}, {span.end - span.first}, {span.shift}, {span.bits}"
        getter = methods.take(span.field.name)
        setter = methods.take(f"set_{span.field.name}")
        cast, back = ("" if type_ == got else f" as {type_}"), ("" if type_ == "u64" else " as u64")
        value = f"crate::{get}(&self.{run}, {place}){cast}"
        return [
            "",
            *(f"    {line}" for line in _doc(_directed(span.field), indent=4)),
            f"    pub const fn {getter}(&self) -> {type_} {{",
            f"        {value}",
            "    }",
            "",
            f"    pub fn {setter}(&mut self, value: {type_}) {{",
            f"        crate::set_bits(&mut self.{run}, {place}, value{back});",
            "    }",
        ]

    def _write(
        self,
        keyword: str,
        own: str,
        members: Sequence[_Member],
        extent: "_Extent",
        derive: str,
        doc: str,
    ) -> None:
        self._items += ["", *_doc(doc), f"#[derive({derive})]", "#[repr(C)]"]
        if members:
            self._items.append(f"pub {keyword} {own} {{")
            for member in members:
                self._items += [f"    {line}" for line in _doc(member.doc, indent=4)]
                self._items.append(f"    pub {member.name}: {member.type},")
            self._items.append("}")
        else:
            self._items.append(f"pub {keyword} {own} {{}}")
        start = f"layout!({own}, {extent.size}, {extent.align}, {{"
        offsets = [f"{member.name}: {member.offset}" for member in members]
        text = f"{start} {', '.join(offsets)} }});" if offsets else f"{start}}});"
        if len(text) > _WIDTH:
            text = "\n".join([start, *(f"    {offset}," for offset in offsets), "});"])
        self._items += ["", text]


class _Span(NamedTuple):
    """A member and the bits it takes, counted from the start of the structure in memory order."""

    field: Field
    start: int
    width: int
    bits: int  # of a bit field; else 0
    shift: int  # of a bit field: in the integer made of the bytes it touches

    @classmethod
    def of(cls, member: Field, big: bool) -> "_Span":
        """The bits of ``member``."""
        if member.bits is None or member.bit_offset is None:
            return cls(member, member.offset * 8, member.size * 8, 0, 0)
        bit = member.size * 8 - member.bit_offset - member.bits if big else member.bit_offset
        start = member.offset * 8 + bit
        shift = -(start + member.bits) % 8 if big else start % 8
        return cls(member, start, member.bits, member.bits, shift)

    @property
    def first(self) -> int:
        """The first byte."""
        return self.start // 8

    @property
    def end(self) -> int:
        """The byte behind the last."""
        return -(-(self.start + self.width) // 8)


class _Extent:
    """Where a structure or union is, in bytes."""

    def __init__(self, base: int, layout: Layout | None, size: int = 0, align: int = 1) -> None:
        self.base = base
        self.size = layout.size if layout is not None else size
        self.align = layout.align if layout is not None else align

    @classmethod
    def around(cls, spans: Sequence[_Span]) -> "_Extent":
        """The smallest for ``spans``."""
        base = spans[0].first
        align = max(span.field.layout.align for span in spans)
        return cls(base, None, _up(max(span.end for span in spans) - base, align), align)


def _groups(spans: Sequence[_Span]) -> Iterator[_Span | list[_Span]]:
    """Members of a structure: each alone, or in a list with those that lie over it.

    These belong to an anonymous union, all of whose members start where it does; which members
    behind the last of those are inside does not matter, as long as they are where they are.
    """
    index = 0
    while index < len(spans):
        one = spans[index]
        same = [at for at in range(index, len(spans)) if spans[at].start == one.start]
        if one.width == 0 or len(same) == 1:
            yield one
            index += 1
            continue
        end = same[-1] + 1
        while end < len(spans):
            extent = _Extent.around(spans[index:end])
            if spans[end].first >= extent.base + extent.size:
                break
            end += 1
        yield list(spans[index:end])
        index = end


def _arms(spans: Sequence[_Span]) -> list[list[_Span]]:
    """Members of a union: together those that follow each other in an anonymous structure."""
    arms: list[list[_Span]] = []
    for span in spans:
        if not arms or span.start == spans[0].start:
            arms.append([])
        arms[-1].append(span)
    return arms


def _filled(
    members: Sequence[_Member], extent: _Extent, names: Names, aligned: str
) -> Iterator[_Member]:
    """``members`` with what puts each where it belongs; ``aligned``: a type with the alignment."""
    if max((member.align for member in members), default=1) < extent.align:
        yield _Member(names.numbered("align"), f"[{aligned}; 0]", 0, 0, extent.align)
    end = 0
    for member in members:
        if _up(end, member.align) != member.offset:
            yield _padding(names, end, member.offset)
        yield member
        end = member.offset + member.size
    if _up(end, extent.align) != extent.size:
        yield _padding(names, end, extent.size)


def _padding(names: Names, start: int, end: int) -> _Member:
    return _Member(names.numbered("pad"), f"[u8; {end - start}]", start, end - start, 1)


def _has_debug(spans: Sequence[_Span]) -> bool:
    """Whether a structure of these can be printed: it has no union in it."""
    if any(isinstance(group, list) for group in _groups(spans)):
        return False
    for span in spans:
        layout = span.field.layout
        while layout.element is not None:
            layout = layout.element
        inner = [_Span.of(member, big=False) for member in layout.fields]
        if layout.kind == "union" or not _has_debug(inner):
            return False
    return True


def _use(path: str, names: Sequence[str]) -> Iterator[str]:
    """The lines that import ``names``."""
    if len(names) == 1:
        yield f"use {path}::{names[0]};"
        return
    line = f"use {path}::{{{', '.join(names)}}};"
    if len(line) <= _WIDTH:
        yield line
        return
    yield f"use {path}::{{"
    for inner in lines(f"{', '.join(names)},", _WIDTH - 4):
        yield f"    {inner}"
    yield "};"


def plain_integer(size: int, signed: bool) -> str:
    """Rust's integer of ``size`` bytes."""
    return f"{'i' if signed else 'u'}{size * 8}"


def _directed(member: Field) -> str:
    """The documentation of a member: its direction if Xen writes it, and what it is."""
    if member.direction == "in":
        return member.doc
    return f"{member.direction.upper()}: {member.doc}".removesuffix(": ")


def _doc(text: str, mark: str = "///", indent: int = 0) -> list[str]:
    """``text`` as a documentation comment."""
    return _comment(re.sub(r"([\[\]<>])", r"\\\1", text), mark, indent)


def _comment(text: str, mark: str, indent: int = 0) -> list[str]:
    return [f"{mark} {line}" for line in lines(text, _WIDTH - len(mark) - 1 - indent)]


def _text(text: str) -> str:
    return re.sub(r"\\u([0-9a-f]{4})", r"\\u{\1}", json.dumps(text))


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
