"""The recorder's interpreter of plans finds what `xenport.trace.reach` finds."""

import ctypes
import random
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path

import pytest

import xenport.abi
from xenport import content
from xenport.abi import Abi
from xenport.errors import InputError
from xenport.kernel.compiler import Compiler
from xenport.trace import plugin, read
from xenport.trace.plan import plan
from xenport.trace.reach import Reach

NO_PARENT, NO_INDEX = 0xFFFF, 0xFFFFFFFF
PAGE = 4096
BASE = 0x10000
PAGES = 64

Found = list[tuple[str, int, int, bytes | None]]
Memory = Callable[[int, int], bytes]
READ = ctypes.CFUNCTYPE(
    ctypes.c_size_t, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_size_t
)


class Buffer(ctypes.Structure):
    """plan.h's."""

    _fields_ = [
        ("address", ctypes.c_uint64),
        ("size", ctypes.c_uint32),
        ("got", ctypes.c_uint32),
        ("index", ctypes.c_uint32),
        ("name", ctypes.c_uint16),
        ("parent", ctypes.c_uint16),
        ("content", ctypes.c_void_p),
    ]


class Buffers(ctypes.Structure):
    """plan.h's."""

    _fields_ = [("count", ctypes.c_uint), ("list", Buffer * 1024)]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("plan")
    compiler = Compiler.native()
    source = Path(plugin.__file__).parent / "plan.c"
    compiler.compile(source, folder / "plan.o", ["-O2", "-fPIC", "-std=gnu11"])
    compiler.link_shared([folder / "plan.o"], folder / "plan.so")
    return ctypes.CDLL(str(folder / "plan.so"))


@cache
def of(arch: str, release: str) -> tuple[Abi, bytes, tuple[str, ...]]:
    abi = xenport.abi.load(arch, release)
    made = plan(abi)
    return abi, made.words, made.names


def by_plan(
    library: ctypes.CDLL, arch: str, release: str, number: int, args: list[int], memory: Memory
) -> Found:
    """What plan.c finds; names are put together as `xenport.trace.stream` does."""
    _, words, names = of(arch, release)

    @READ
    def copy(_: int, address: int, to: int, size: int) -> int:
        data = memory(address, size)
        ctypes.memmove(to, data, len(data))
        return len(data)

    buffers = Buffers()
    library.plan_run(
        words,
        ctypes.c_uint32(number),
        (ctypes.c_uint64 * 6)(*args),
        copy,
        None,
        ctypes.byref(buffers),
    )
    found: Found = []
    for one in buffers.list[: buffers.count]:
        name = names[one.name]
        if one.parent != NO_PARENT:
            parent = found[one.parent][0]
            element = parent if one.index == NO_INDEX else f"{parent}[{one.index}]"
            name = f"{element}{name}" if name.startswith(".") else f"{element}.{name}"
        data = ctypes.string_at(one.content, one.got) if one.got else None
        found.append((name, one.address, one.size, data))
    library.plan_free(ctypes.byref(buffers))
    return found


def by_reach(reach: Reach, number: int, args: list[int], memory: Memory) -> Found:
    def some(address: int, size: int) -> bytes | None:
        return memory(address, size) or None

    return [
        (one.name, one.address, one.size, some(one.address, one.size))
        for one in reach.buffers(number, args, some)
    ]


@pytest.mark.parametrize("name", ["linux-domu-amd64", "linux-dom0-arm64"])
def test_real_traces(library: ctypes.CDLL, name: str) -> None:
    """Of each kind of hypercall some, with the memory that they really had."""
    trace = read(content.folder("traces") / f"{name}.parquet")
    arch, release = trace.metadata.architecture, trace.metadata.release
    reach = Reach(of(arch, release)[0])
    seen: dict[tuple[int, int | None], int] = {}
    compared = 0
    for one in islice(trace.records(), 8_000):
        kind = one.number, one.arguments[0] if one.arguments and one.number != 26 else None
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] > 20:
            continue

        def memory(address: int, size: int, buffers: tuple = one.buffers) -> bytes:
            for buffer in buffers:
                offset = address - buffer.address
                if buffer.before is not None and 0 <= offset < len(buffer.before):
                    return buffer.before[offset : offset + size]
            return b""

        args = [value or 0 for value in one.arguments] + [0] * 6
        expected = by_reach(reach, one.number, args[:6], memory)
        assert by_plan(library, arch, release, one.number, args[:6], memory) == expected, one
        compared += len(expected)
    assert compared > 50


def random_memory(chance: random.Random) -> Memory:
    """Pages of small numbers and addresses of each other, with holes between them."""

    def word() -> int:
        match chance.randrange(4):
            case 0:
                return BASE + chance.randrange(PAGES * PAGE)
            case 1:
                return 0
            case _:
                return chance.randrange(48) << chance.choice((0, 0, 0, 32))

    pages = {
        BASE // PAGE + number: b"".join(word().to_bytes(8, "little") for _ in range(PAGE // 8))
        for number in range(PAGES)
        if chance.randrange(8)
    }

    def memory(address: int, size: int) -> bytes:
        data = b""
        while len(data) < size and (address + len(data)) // PAGE in pages:
            at = (address + len(data)) % PAGE
            page = pages[(address + len(data)) // PAGE]
            data += page[at : at + size - len(data)]
        return data

    return memory


def random_calls(abi: Abi, chance: random.Random) -> Iterator[tuple[int, list[int]]]:
    """Every command of every hypercall; the other registers hold anything."""
    reach = Reach(abi)
    for hypercall in abi.hypercalls.values():
        index, _ = reach.command_place(hypercall)
        for command in reach.commands[hypercall.name] if index is not None else [0]:
            args = [
                chance.choice(
                    (0, chance.randrange(32), BASE + chance.randrange(PAGES * PAGE), 2**64 - 1)
                )
                for _ in range(6)
            ]
            if index is not None:
                args[index] = command
            yield hypercall.number, args


@pytest.mark.parametrize("arch", ["x86_64", "arm64", "arm32"])
@pytest.mark.parametrize("release", ["4.14", "4.20"])
def test_random_calls(library: ctypes.CDLL, arch: str, release: str) -> None:
    chance = random.Random(f"{arch} {release}")
    abi = of(arch, release)[0]
    reach = Reach(abi)
    compared = set()
    for _ in range(8):
        memory = random_memory(chance)
        for number, args in random_calls(abi, chance):
            expected = by_reach(reach, number, args, memory)
            found = by_plan(library, arch, release, number, args, memory)
            assert found == expected, (abi.hypercall_by_number[number].name, args)
            compared |= {name for name, *_ in expected}
    assert len(compared) > 10


def test_selected_commands(library: ctypes.CDLL) -> None:
    """A command that stands in memory, with the list that it leads to."""
    abi = of("x86_64", "4.17")[0]
    domctl = abi.hypercalls["domctl"]
    whole = bytearray(abi.sizeof("xen_domctl"))
    whole[:4] = abi.constant("XEN_DOMCTL_getvcpuinfo").to_bytes(4, "little")
    view = abi.struct("xen_domctl")
    value = view.parse(bytes(whole))
    value.cmd = abi.constant("XEN_DOMCTL_getnodeaffinity")
    value.u.nodeaffinity.nodemap.bitmap = BASE
    value.u.nodeaffinity.nodemap.nr_bits = 20
    data = view.build(value)

    def memory(address: int, size: int) -> bytes:
        for start, content_ in ((0x8000, data), (BASE, bytes(64))):
            if start <= address < start + len(content_):
                return content_[address - start : address - start + size]
        return b""

    args = [0x8000, 0, 0, 0, 0, 0]
    found = by_plan(library, "x86_64", "4.17", domctl.number, args, memory)
    assert found == by_reach(Reach(abi), domctl.number, args, memory)
    assert [(name, size) for name, _, size, _ in found] == [
        ("u_domctl", len(data)),
        ("u_domctl.u.nodeaffinity.nodemap.bitmap", 3),
    ]


@pytest.mark.parametrize("arch", ["x86_64", "arm64", "arm32"])
def test_multicall(library: ctypes.CDLL, arch: str) -> None:
    """Hypercalls in a list, with what each of them reaches; not those of a multicall inside it."""
    abi = of(arch, "4.17")[0]
    size = abi.sizeof("multicall_entry")
    inner, lists = abi.hypercalls["memory_op"], abi.hypercalls["multicall"]
    command = abi.constant("XENMEM_decrease_reservation")
    data = b"".join(
        abi.struct("multicall_entry").build({"op": op, "args": [one, BASE, 0, 0, 0, 0]})
        for op, one in ((inner.number, command), (lists.number, BASE), (inner.number, command))
    )
    reservation = (
        abi.struct("xen_memory_reservation")
        .build({"extent_start": BASE + 64, "nr_extents": 2})
        .ljust(4096, b"\0")
    )

    def memory(address: int, size: int) -> bytes:
        for start, content_ in ((0x8000, data), (BASE, reservation)):
            if start <= address < start + len(content_):
                return content_[address - start : address - start + size]
        return b""

    args = [0x8000, 3, 0, 0, 0, 0]
    found = by_plan(library, arch, "4.17", lists.number, args, memory)
    assert found == by_reach(Reach(abi), lists.number, args, memory)
    assert [name for name, *_ in found] == [
        "call_list",
        "call_list[0].arg",
        "call_list[0].arg.extent_start",
        "call_list[2].arg",
        "call_list[2].arg.extent_start",
    ]
    assert len(data) == 3 * size


def test_big_endian_guests_are_refused() -> None:
    with pytest.raises(InputError, match="little-endian"):
        plan(xenport.abi.load("ppc64", "3.2"))
