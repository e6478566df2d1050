"""Whether each header includes what it uses, so that it compiles alone."""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

from xenport.abi.expressions import (
    Array,
    Expression,
    Handle,
    Named,
    Type,
    expression,
    names,
    type_expression,
    types as types_in,
)
from xenport.abi.layout import Item, Place
from xenport.abi.schema import FieldSpec, GroupSpec, Ranged, TypeSpec

R = TypeVar("R", bound=Ranged)


class Scope(Protocol):
    """What of an ABI is needed here."""

    def select(self, specs: Sequence[R], place: Place) -> Iterator[tuple[R, Place]]: ...
    def header_of(self, name: str) -> str | None: ...
    def closure(self, path: str) -> frozenset[str]: ...


class Reach:
    """Checks one ABI. Every method raises ``InputError`` where an include is missing."""

    def __init__(self, abi: Scope) -> None:
        self._abi = abi

    def definition(self, item: Item, header: str) -> None:
        """A type that ``header`` defines."""
        if isinstance(item.spec, GroupSpec):
            return  # its values are constants
        if isinstance(item.spec, TypeSpec):
            self._type(type_expression(item.spec.type), header, item.place.at("type"))
        else:
            self._fields(item.spec.fields, header, item.place.at("fields"))

    def expression(self, tree: Expression, header: str, place: Place) -> None:
        """An expression in ``header``."""
        for name in names(tree):
            self._name(name, header, place)
        for inner in types_in(tree):
            self._type(inner, header, place)

    def _fields(self, specs: Sequence[FieldSpec], header: str, place: Place) -> None:
        for spec, here in self._abi.select(specs, place):
            if spec.length is not None:
                self.expression(expression(spec.length), header, here.at("length"))
            if spec.type is not None:
                self._type(type_expression(spec.type), header, here.at("type"))
            self._fields(spec.union or [], header, here.at("union"))
            self._fields(spec.struct or [], header, here.at("struct"))

    def _type(self, tree: Type, header: str, place: Place) -> None:
        match tree:
            case Named():
                self._name(tree.name, header, place)
            case Handle():
                self._type(tree.target, header, place)
            case Array():
                self._type(tree.element, header, place)
                if tree.length is not None:
                    self.expression(tree.length, header, place)

    def _name(self, name: str, header: str, place: Place) -> None:
        there = self._abi.header_of(name)
        if there is not None and there not in self._abi.closure(header):
            raise place.error(
                f"{name} is in {there}, which {header} does not include; add it to includes"
            )
