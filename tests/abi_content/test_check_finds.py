"""The comparison of the description with headers can fail, in every area of the ABI.

Headers are generated from the description as it is; then every file of it is falsified in turn, and
the comparison has to name what was falsified, with its header.
"""

import copy
import functools
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import xenport.abi
from xenport import content, emit
from xenport.abi import Abi, style
from xenport.abi.check import Comparison, compare
from xenport.abi.core import Source
from xenport.abi.facts import Facts, read_tree
from xenport.abi.schema import FileSpec
from xenport.yamlsource import Document

WORLDS = [("x86_64", "4.17"), ("arm64", "4.23"), ("x86_32", "4.14")]
Fault = Callable[[Abi, str, dict[str, Any]], str | None]


@functools.cache
def facts(arch: str, release: str) -> Facts:
    """What C makes of the headers that the description gives."""
    with tempfile.TemporaryDirectory() as folder:
        abi = xenport.abi.load(arch=arch, release=release)
        emit.write(abi, "c", Path(folder) / "h")
        return read_tree(Path(folder) / "h", abi.architecture)


def files(abi: Abi) -> Iterator[tuple[str, Path]]:
    """The headers of ``abi`` and the files that describe them."""
    for header in abi.headers():
        yield header.path, header.place.document.path


def falsified(abi: Abi, fault: Fault) -> tuple[Abi, set[tuple[str, str]]]:
    """``abi`` with one fault in every file that can have it, and what is false: header, name."""
    sources, faults = [], set()
    for source in abi.sources:
        header = source.spec.header
        data = copy.deepcopy(source.document.data)
        name = fault(abi, header, data)
        if name is not None:
            faults.add((header, name))
            document = Document(source.document.path, style.dump(data))
            source = Source(document, document.parse(FileSpec))
        sources.append(source)
    return Abi(abi.architecture, abi.release, sources), faults


@functools.cache
def named_once(abi: Abi) -> frozenset[str]:
    """The names that the files of ``abi`` have in one place only."""
    words = re.findall(r"\w+", "\n".join(source.document.source for source in abi.sources))
    return frozenset(word for word, number in Counter(words).items() if number == 1)


def swapped_members(abi: Abi, header: str, data: dict[str, Any]) -> str | None:
    """Swap two members of the first structure that has two which are always there."""
    for name, struct in data.get("structs", {}).items():
        if isinstance(struct, list) or abi.header_of(name) != header:
            continue
        fields = struct["fields"]
        names = Counter(field.get("name") for field in fields)
        for index, (one, other) in enumerate(pairwise(fields)):
            plain = [
                "name" in field and "type" in field and not {"bits", "count"} & set(field)
                and "[]" not in field["type"] and names[field["name"]] == 1
                for field in (one, other)
            ]  # fmt: skip
            there = abi.layout(name).by_name
            if all(plain) and all(there.get(f["name"]) for f in (one, other)):
                fields[index], fields[index + 1] = other, one
                return str(name)
    return None


def constants(abi: Abi, header: str, data: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """The constants of a header that hold here and have one definition, with what holds them."""
    for group in data.get("constants", []):
        for name, value in group["values"].items():
            item = abi.constant_item(name)
            if item is None or item.header != header or isinstance(value, list):
                continue
            if name in named_once(abi):
                yield group["values"], name


def changed_value(abi: Abi, header: str, data: dict[str, Any]) -> str | None:
    for values, name in constants(abi, header, data):
        old = values[name]
        number = abi.constants[name].value
        value = '"other"' if isinstance(number, str) else number ^ 1
        values[name] = {**old, "value": value} if isinstance(old, dict) else value
        if isinstance(values[name], dict):
            values[name].pop("suffix", None)
        return name
    return None


def dropped_constant(abi: Abi, header: str, data: dict[str, Any]) -> str | None:
    for values, name in constants(abi, header, data):
        del values[name]
        return name
    return None


def dropped_command(abi: Abi, _header: str, data: dict[str, Any]) -> str | None:
    for hypercall, call in data.get("hypercalls", {}).items():
        for name in list(call.get("commands", {})) if isinstance(call, dict) else ():
            if name in abi.hypercalls[hypercall].commands:
                del call["commands"][name]
                return str(name)
    return None


FAULTS: dict[str, Fault] = {
    "swapped members": swapped_members,
    "changed value": changed_value,
    "dropped constant": dropped_constant,
    "dropped command": dropped_command,
}


def compared(abi: Abi, world: tuple[str, str]) -> Comparison:
    return compare(abi, facts(*world), whole=True)


@pytest.mark.parametrize("world", WORLDS, ids="-".join)
def test_there_is_no_difference_without_a_fault(world: tuple[str, str]) -> None:
    abi = xenport.abi.load(*world)
    result = compared(abi, world)
    assert (result.differences, result.broken) == ([], {})
    assert result.structures == len(abi.structures) > 500


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("world", WORLDS, ids="-".join)
def test_a_fault_is_found_at_its_place_in_every_area(world: tuple[str, str], kind: str) -> None:
    abi = xenport.abi.load(*world)
    wrong, faults = falsified(abi, FAULTS[kind])
    places = {(one.header, one.name) for one in compared(wrong, world).differences}
    assert faults <= places
    assert len(faults) >= {"dropped command": 8}.get(kind, 30)


def test_every_file_is_reached() -> None:
    """Each file is one of the areas above for some architecture and release."""
    reached = {
        path for world in WORLDS for _, path in files(xenport.abi.load(*world))
    } | {path for _, path in files(xenport.abi.load("ppc64", "3.2"))}  # fmt: skip
    folders = [content.folder("abi"), content.folder("arch")]
    everything = {
        path
        for folder in folders
        for path in folder.rglob("*.yaml")
        if "header" in Document(path).data and not path.match("arch/*/*.yaml")
    }
    elsewhere = {"arch-ppc.yaml", "arch-riscv.yaml"}
    assert {path.name for path in everything - reached} <= elsewhere
