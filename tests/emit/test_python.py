"""Constructs, live and in the generated package: they read and write what ``Abi.view`` does."""

import importlib.util
import random
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import construct
import pytest

from xenport import emit
from xenport.abi import Abi, ArrayView, Description, Field, Layout, View, load
from xenport.emit import python, structures


def package(abi: Abi, folder: Path) -> ModuleType:
    """The generated package, imported."""
    emit.write(abi, "python", folder)
    where = [str(folder)]
    spec = importlib.util.spec_from_file_location(
        f"generated_{id(folder)}", folder / "__init__.py", submodule_search_locations=where
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def plain(value: Any) -> Any:
    """What a view shows or a construct has parsed, as mappings, lists, numbers and bytes."""
    if isinstance(value, View):
        return {name: plain(getattr(value, name)) for name in value._layout.by_name}
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items() if name != structures._IMAGE}
    if isinstance(value, (ArrayView, list, bytes)):
        return [plain(one) for one in value]
    return value


def flexible(layout: Layout) -> Field | None:
    """The flexible array of a structure, if it has one."""
    last = layout.fields[-1] if layout.fields else None
    ends = last is not None and last.layout.kind == "array" and last.layout.length is None
    return last if ends else None


def cut(value: Any, layout: Layout, room: int | None = None) -> Any:
    """``value`` of a view, whose flexible arrays end where the structure around them does."""
    if layout.element is not None:
        return [cut(one, layout.element) for one in value]
    for member in layout.fields:
        here, element = value[member.name], member.layout.element
        if member is flexible(layout) and room is not None and element is not None:
            here = here[: (room - member.offset) // element.size]
        if member.bits is None:
            value[member.name] = cut(here, member.layout, layout.size - member.offset)
    return value


def data_of(layout: Layout) -> bytes:
    """Bytes of a structure, the same every time; of a flexible one with some elements."""
    end = layout.size
    last = flexible(layout)
    if last is not None and last.layout.element is not None:
        end = max(end, last.offset + 5 * last.layout.element.size)
    return random.Random(layout.name).randbytes(end)


def test_parse_and_build(every: Abi, tmp_path: Path) -> None:
    module = package(every, tmp_path / "generated")
    for name in every.structures:
        layout = every.layout(name)
        data = data_of(layout)
        # A view reads whole units of bit fields.
        end = max([layout.size, *(member.offset + member.size for member in layout.fields)])
        view = every.view(name, bytearray(data.ljust(end, b"\0")))
        expected = cut(plain(view), layout)
        for made in (
            every.struct(name),
            getattr(module, name, None) or getattr(module, name + "_"),
        ):
            parsed = made.parse(data)
            assert plain(parsed) == expected, name
            assert made.build(parsed) == data, name
            assert made.name == name
            if not flexible(layout):
                zeros = made.parse(bytes(len(data)))
                assert made.build(zeros) == made.build({}) == bytes(len(data))


def test_every_member_is_built_alone(every: Abi) -> None:
    """What a construct builds from one member is what a view writes to it, and nothing else."""
    for name in every.structures:
        made = every.struct(name)
        for member in every.layout(name).fields:
            if member.layout.kind not in ("int", "handle"):
                continue
            bits = member.bits or member.size * 8
            value = (
                -3 if member.layout.signed and bits > 2 else 0x5A5A5A5A5A5A5A5A & (1 << bits) - 1
            )
            if member.layout.signed and bits <= 2:
                value = -1
            memory = bytearray(max(every.sizeof(name), member.offset + member.size))
            setattr(every.view(name, memory), member.name, value)
            assert made.build({member.name: value}) == bytes(memory[: every.sizeof(name)])


def test_constants(every: Abi, tmp_path: Path) -> None:
    module = package(every, tmp_path / "generated")
    for name, constant in every.constants.items():
        own = f"{name}_" if name in ("None", "Structure") else name
        assert vars(module)[own] == constant.value


def test_the_package_needs_only_construct(tmp_path: Path) -> None:
    emit.write(load("arm64", "4.17"), "python", tmp_path / "arm64_abi")
    code = (
        "import sys, arm64_abi as abi; assert not [m for m in sys.modules if 'xenport' in m];"
        "assert abi.evtchn_send.build({'port': abi.EVTCHNOP_send}) == bytes([4, 0, 0, 0])"
    )
    site = str(Path(construct.__file__).parent.parent)
    done = subprocess.run(
        [
            sys.executable,
            "-S",
            "-W",
            "error",
            "-c",
            f"import sys; sys.path.append({site!r}); {code}",
        ],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_loading_an_abi_does_not_import_construct() -> None:
    code = (
        "import sys, xenport.abi, xenport.cli;"
        "abi = xenport.abi.load(arch='arm64', release='4.17');"
        "abi.layout('shared_info'); assert 'construct' not in sys.modules;"
        "abi.struct('evtchn_send'); assert 'construct' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_any_type(small: Description) -> None:
    abi = small.abi("big64", "4.17")
    assert abi.struct("uint16[2][3]").parse(bytes(range(12))) == [
        [1, 515, 1029],
        [1543, 2057, 2571],
    ]
    assert abi.struct("handle(void)").parse(bytes(7) + b"\5") == 5
    assert abi.struct("handle_t").parse(bytes(16)) == bytes(16)
    assert abi.struct("status") is abi.struct("status")
    with pytest.raises(Exception, match="unknown type 'no_such'"):
        abi.struct("no_such")


def test_documentation_is_kept(small: Description) -> None:
    made = small.abi("little64", "4.17").struct("status")
    docs = {member.subcon.name: member.subcon.docs for member in made.members}
    assert docs["port"] == "Which." and not docs["dom"]


def test_edits_of_a_union_win(small: Description) -> None:
    made = small.abi("little64", "4.17").struct("status")
    size = made.sizeof()
    parsed = made.parse(bytes(range(size)))
    parsed.u.virq = 0x11223344
    data = bytearray(range(size))
    data[8:12] = bytes.fromhex("44332211")
    assert made.build(parsed) == bytes(data)
    parsed.u.open.dom = 9
    with pytest.raises(construct.ConstructError, match=r"-> u\n(open|virq) lies over other"):
        made.build(parsed)
    parsed.u.virq = 9
    parsed.u.open.dom = 9
    data[8:12] = bytes([9, 0, 0, 0])
    assert made.build(parsed) == bytes(data)


def test_padding_stays(small: Description) -> None:
    made = small.abi("little64", "4.17").struct("status")
    parsed = made.parse(b"\xff" * made.sizeof())
    parsed.dom = 0
    assert made.build(parsed) == b"\0\0" + b"\xff" * (made.sizeof() - 2)


def test_flexible_array_changes_its_length(small: Description) -> None:
    made = small.abi("little64", "4.17").struct("flexible")
    parsed = made.parse(bytes([2, *bytes(7), *bytes([1] * 16)]))
    assert len(parsed.data) == 2
    parsed.data = [7]
    assert made.build(parsed) == bytes([2, *bytes(7), 7, *bytes(7)])
    parsed.data = [1, 2, 3]
    assert len(made.build(parsed)) == 32
    with pytest.raises(construct.SizeofError):
        made.sizeof()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"prot": 1}, "status has no member 'prot'"),
        ({"dom": 1 << 16}, r"\(building\) -> dom"),
        ({"u": {"open": {"dom": -1}}}, r"\(building\) -> u -> open -> dom"),
        (5, "expected the members of status"),
    ],
)
def test_mistakes_say_where(small: Description, value: Any, message: str) -> None:
    with pytest.raises(construct.ConstructError, match=message):
        small.abi("little64", "4.17").struct("status").build(value)


def test_flexible_array_inside() -> None:
    """One in a union reaches to the union's end and not over it."""
    greedy = construct.GreedyRange(construct.Int16ul)
    inner = structures.Structure(
        "inner", 2, structures.At(0, "n" / construct.Int16ul), structures.At(2, "list" / greedy),
        flexible=True,
    )  # fmt: skip
    union = structures.Structure(
        "u", 8, structures.At(0, "inner" / inner), structures.At(0, "all" / construct.Int64ul)
    )
    made = structures.Structure(
        "outer", 10, structures.At(0, "u" / union), structures.At(8, "last" / construct.Int16ul)
    )
    data = bytes(range(10))
    parsed = made.parse(data)
    assert list(parsed.u.inner.list) == [0x302, 0x504, 0x706]
    assert made.build(parsed) == data
    parsed.u.inner.list = [1]
    assert made.build(parsed) == bytes([0, 1, 1, 0, *data[4:]])
    parsed.u.inner.list = [1, 2, 3, 4]
    with pytest.raises(construct.ConstructError, match="-> u\ninner has too many elements"):
        made.build(parsed)


def test_data_too_short(small: Description) -> None:
    with pytest.raises(construct.StreamError):
        small.abi("little64", "4.17").struct("status").parse(bytes(23))


def test_bits_have_a_range(small: Description) -> None:
    made = small.abi("little64", "4.17").struct("bits")
    assert made.parse(made.build({"i": -16, "a": 7})).i == -16
    for value in ({"i": 16}, {"i": -17}, {"a": 8}, {"a": "x"}):
        with pytest.raises(construct.IntegerError):
            made.build(value)


def test_names_of_members_are_kept(awkward: Abi) -> None:
    made = awkward.struct("keywords")
    assert made.parse(made.build({"from": 3, "items": 4}))["from"] == 3


def test_text(small: Description) -> None:
    text = python.texts(small.abi("little64", "4.17"))["__init__.py"]
    for line in (
        "# Generated by xenport for little64, release 4.17. Do not edit.",
        "# struct status of io/event.h: State of a port.",
        'status = Structure("status", 32,',
        '    At(4, "port" / Int32ul * "Which."),',
        "port_t = Int32ul",
        "VERSION = 17",
    ):
        assert line in text.splitlines()
