"""What the description has for one world, as shapes: the known side of an import."""

from collections.abc import Iterator, Sequence
from typing import Literal

from xenport.abi.core import Abi
from xenport.abi.importer.conditions import World
from xenport.abi.importer.shapes import FieldShape, Shapes, StructShape
from xenport.abi.layout import Item, Place
from xenport.abi.schema import ByteRingSpec, FieldSpec, GroupSpec, RingSpec, StructSpec, TypeSpec

_WORD = (1 << 64) - 1


def shapes_of(abi: Abi) -> Shapes:
    """The shapes of ``abi``. A name's line is its position in the file."""
    found = Shapes(World(abi.architecture.name, abi.release))
    for header in abi.headers():
        names: list[str] = []
        for name, item in header.types.items():
            if item.ring is None:
                _type(abi, found, name, item)
                names.append(name)
        for name, ring in header.rings.items():
            if isinstance(ring, RingSpec):
                found.rings[name] = (ring.request, ring.response)
            elif isinstance(ring, ByteRingSpec):
                found.byte_rings[name] = ring.interface
            names.append(name)
        for record in header.save_records.values():
            found.save_records[record.name] = (record.code, record.type, record.compat)
            names.append(f"record {record.name}")
        for group in header.groups:
            if group.kind == "enum":
                continue
            for constant in group.constants:
                value = abi.constants[constant.name].value
                number = value & _WORD if isinstance(value, int) else value
                spelled = constant.spec.value
                found.constants[constant.name] = (number, spelled, constant.spec.suffix)
                names.append(constant.name)
        for line, name in enumerate(names):
            found.places[name] = (header.path, line)
    return found


def _type(abi: Abi, found: Shapes, name: str, item: Item) -> None:
    spec = item.spec
    if isinstance(spec, TypeSpec):
        found.types[name] = spec.type
    elif isinstance(spec, GroupSpec):
        values = tuple(
            (value, abi.constant(value)) for value in spec.values if abi.constant_item(value)
        )
        found.enums[name] = (spec.typedef, values)
    elif isinstance(spec, StructSpec):
        kind: Literal["struct", "union"] = "union" if item.kind == "union" else "struct"
        fields = tuple(_fields(abi, spec.fields, item.place.at("fields")))
        found.structs[name] = StructShape(kind, spec.typedef, fields)


def _fields(abi: Abi, specs: Sequence[FieldSpec], place: Place) -> Iterator[FieldShape]:
    for spec, here in abi.select(specs, place):
        if spec.type is not None:
            yield FieldShape(spec.name, spec.type, spec.bits)
        elif spec.union is not None:
            inner = tuple(_fields(abi, spec.union, here.at("union")))
            yield FieldShape(spec.name, kind="union", length=spec.length, inner=inner)
        else:
            inner = tuple(_fields(abi, spec.struct or [], here.at("struct")))
            yield FieldShape(spec.name, kind="struct", length=spec.length, inner=inner)
