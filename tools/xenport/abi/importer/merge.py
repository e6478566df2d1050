"""Merge what the worlds have into one description, as data in the grammar of the YAML files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from xenport.abi.importer.conditions import World, conditions
from xenport.abi.importer.shapes import FieldShape, Shapes, StructShape
from xenport.abi.releases import rank

T = TypeVar("T")


class Merger:
    """Merges ``worlds``; ``families`` maps each architecture to its family."""

    def __init__(self, worlds: Sequence[Shapes], families: dict[str, str]) -> None:
        # Newest first, so that the newest spelling and order count.
        self._worlds = sorted(worlds, key=lambda one: (-rank(one.world.release), one.world.arch))
        self._all = {one.world for one in worlds}
        self._families = families

    def conditions(self, there: set[World], around: set[World]) -> list[dict[str, Any]]:
        """The conditions of what is ``there``."""
        return conditions(there, around, self._families)

    def gathered(self, pick: Callable[[Shapes], Mapping[str, T]]) -> dict[str, dict[World, T]]:
        """What ``pick`` gives of each world, by name and world."""
        found: dict[str, dict[World, T]] = {}
        for shapes in self._worlds:
            for name, thing in pick(shapes).items():
                found.setdefault(name, {})[shapes.world] = thing
        return found

    def alternatives(
        self,
        things: dict[World, T],
        data: Callable[[T], dict[str, Any]],
        around: set[World] | None = None,
    ) -> list[dict[str, Any]]:
        """One mapping for each different thing, with the conditions under which it is there."""
        kinds: dict[T, set[World]] = {}
        for world, thing in things.items():
            kinds.setdefault(thing, set()).add(world)
        return [
            {**data(thing), **condition}
            for thing, worlds in kinds.items()
            for condition in self.conditions(worlds, around or self._all)
        ]

    # Constants

    def constant(
        self, things: dict[World, tuple[int | str, int | str, str | None]], around: set[World]
    ) -> list[dict[str, Any]]:
        """The alternatives of one constant."""
        spellings = {(spelled, suffix) for _, spelled, suffix in things.values()}
        numbers: dict[int | str, tuple[int | str, str | None]] = {}
        for number, spelled, suffix in things.values():  # newest first
            numbers.setdefault(number, (spelled, suffix))
        keyed: dict[World, tuple[int | str, str | None]] = {}
        for world, (number, spelled, suffix) in things.items():
            same = len(spellings) == 1 or (len(numbers) > 1 and _varies(spelled, things))
            keyed[world] = (spelled, suffix) if same else numbers[number]

        def data(thing: tuple[int | str, str | None]) -> dict[str, Any]:
            return {"value": thing[0], **({"suffix": thing[1]} if thing[1] else {})}

        return self.alternatives(keyed, data, around)

    # Structures

    def struct(self, things: dict[World, StructShape], header: set[World]) -> list[dict[str, Any]]:
        """The structure as one definition whose members have conditions.

        ``header`` are the worlds that have its header.
        """
        typedefs = [shape.typedef for shape in things.values()]  # newest first
        data: dict[str, Any] = {}
        typedef = None if None in typedefs else typedefs[0]
        if typedef is not None:
            data["typedef"] = typedef
        around = {world: shape.fields for world, shape in things.items()}
        data["fields"] = self._fields(around)
        return [{**condition, **data} for condition in self.conditions(set(things), header)]

    def _fields(self, around: dict[World, tuple[FieldShape, ...]]) -> list[dict[str, Any]]:
        spelled = _same_forms(around)
        order: list[Any] = []
        held: dict[Any, dict[World, FieldShape]] = {}
        for world, fields in spelled.items():
            at = 0
            for shape in fields:
                key = _key(shape)
                if key in held:
                    position = order.index(key) + 1
                    at = max(at, position)
                else:
                    order.insert(at, key)
                    held[key] = {}
                    at += 1
                held[key][world] = shape
        result = []
        for key in order:
            worlds = held[key]
            for condition in self.conditions(set(worlds), set(around)):
                result.append({**self._field(worlds), **condition})
        return result

    def _field(self, worlds: dict[World, FieldShape]) -> dict[str, Any]:
        shape = next(iter(worlds.values()))
        data: dict[str, Any] = {}
        if shape.name is not None:
            data["name"] = shape.name
        if shape.kind is None:
            data["type"] = shape.type
            if shape.bits is not None:
                data["bits"] = shape.bits
            return data
        if shape.length is not None:
            data["length"] = shape.length
        data[shape.kind] = self._fields({world: one.inner for world, one in worlds.items()})
        return data


def _key(shape: FieldShape) -> Any:
    """What makes a member the same in two worlds."""
    if shape.kind is None:
        return (shape.name, shape.type, shape.bits)
    return (shape.name or f"in {shape.first_name}", shape.kind, shape.length)


def _varies(
    spelled: int | str, things: dict[World, tuple[int | str, int | str, str | None]]
) -> bool:
    """Whether one spelling has several values, because of the constants in it."""
    return len({number for number, text, _ in things.values() if text == spelled}) > 1


def _same_forms(
    around: dict[World, tuple[FieldShape, ...]],
) -> dict[World, tuple[FieldShape, ...]]:
    """The same with one form of each guest handle and of each aligned integer.

    A handle and one of 64 bits, an integer and an aligned one look different only on some
    architectures: what 32-bit x86 has says which it is.
    """
    forms: dict[tuple[str | None, str], set[str]] = {}
    on_32: dict[tuple[str | None, str], set[str]] = {}
    for world, fields in around.items():
        for shape in fields:
            if shape.type is not None:
                key = (shape.name, _plain_form(shape.type))
                forms.setdefault(key, set()).add(shape.type)
                if world.arch == "x86_32":
                    on_32.setdefault(key, set()).add(shape.type)

    def one_form(shape: FieldShape) -> FieldShape:
        if shape.type is None:
            return shape
        key = (shape.name, _plain_form(shape.type))
        found = on_32.get(key) or forms[key]
        if len(found) == 1:
            return replace(shape, type=next(iter(found)))
        # Without 32-bit x86 a handle is of 64 bits only where all say so.
        wide = not key[1].startswith("handle")
        return replace(shape, type=next(one for one in found if (one != key[1]) == wide))

    return {world: tuple(one_form(shape) for shape in fields) for world, fields in around.items()}


def _plain_form(text: str) -> str:
    """``text`` without what says that it is wide or aligned."""
    return text.replace("handle64(", "handle(").replace("int64_aligned", "int64")
