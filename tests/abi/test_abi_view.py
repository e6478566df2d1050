"""Structures in memory."""

import mmap
import struct
from typing import Any

import pytest

from xenport.abi import Description


def test_members(small: Description) -> None:
    memory = bytearray(100)
    view = small.abi("little64", "4.17").view("vcpu_info", memory, 8)
    view.pending = 1
    view.sel = 0x8000000000000001
    view.time.system_time = 123456789
    view.time.shift = -3
    assert struct.unpack_from("<BBxxxxxxQ", memory, 8) == (1, 0, 0x8000000000000001)
    assert struct.unpack_from("<Qb", memory, 8 + 40) == (123456789, -3)
    memory[8 + 1] = 7
    assert view.mask == 7
    assert (view.time.system_time, view.time.shift) == (123456789, -3)
    assert bytes(view) == bytes(memory[8 : 8 + 56])


def test_big_endian(small: Description) -> None:
    memory = bytearray(40)
    small.abi("big64", "4.17").view("vcpu_info", memory).sel = 1
    assert memory[8:16] == b"\0\0\0\0\0\0\0\1"


def test_union_and_handle(small: Description) -> None:
    memory = bytearray(64)
    view = small.abi("wide32", "4.17").view("status", memory)
    view.u.open.port = 5
    view.list = 0x1_0000_0001
    assert (view.u.open.dom, view.u.open.port, view.list) == (0, 5, 0x1_0000_0001)
    view.u.virq = 9
    assert view.u.open.dom == 9


def test_arrays(small: Description) -> None:
    abi = small.abi("little64", "4.17")
    view = abi.view("shared_info", bytearray(abi.sizeof("shared_info")))
    assert (len(view.vcpu_info), len(view.pending)) == (32, 64)
    view.vcpu_info[31].pending = 1
    assert view.vcpu_info[-1].pending == 1
    view.pending[3] = 1 << 63
    assert list(view.pending)[2:5] == [0, 1 << 63, 0]
    assert view.pending[2:4] == [0, 1 << 63]
    view.pending[0:2] = [7, 8]
    assert view.pending[:2] == [7, 8]
    view.pending = range(64)
    assert view.pending[63] == 63
    view.matrix[1][2] = 5
    assert bytes(view.matrix)[10:] == b"\5\0"
    with pytest.raises(IndexError):
        _ = view.pending[64]
    with pytest.raises(ValueError, match="1 values for 2 elements"):
        view.pending[0:2] = [1]


def test_text(small: Description) -> None:
    view = small.abi("little64", "4.17").view("start_info", bytearray(32))
    view.magic = b"xen-3.0-x86_64".ljust(32, b"\0")
    assert bytes(view.magic).rstrip(b"\0") == b"xen-3.0-x86_64"


def test_flexible_array_reaches_the_end_of_the_buffer(small: Description) -> None:
    view = small.abi("little64", "4.17").view("flexible", bytearray(8 + 24))
    assert len(view.data) == 3
    view.data[2] = 9
    assert list(view.data) == [0, 0, 9]


@pytest.mark.parametrize("arch", ["little64", "little32", "big64", "wide32"])
def test_bits(small: Description, arch: str) -> None:
    abi = small.abi(arch, "4.17")
    memory = bytearray(abi.sizeof("bits"))
    view = abi.view("bits", memory)
    values = {name: (1 << (field.bits or 8)) - 1 for name, field in view._layout.by_name.items()}
    values["i"] = -1
    for name, value in values.items():
        setattr(view, name, value)
        assert getattr(view, name) == value
        others = [getattr(view, other) for other in values if other != name]
        assert not any(others)
        setattr(view, name, 0)
    assert not any(memory)
    view.i = -16
    assert view.i == -16
    for bad in (16, -17):
        with pytest.raises(struct.error):
            view.i = bad


def test_what_does_not_fit(small: Description) -> None:
    abi = small.abi("little64", "4.17")
    with pytest.raises(IndexError):
        abi.view("vcpu_info", bytearray(55))
    with pytest.raises(IndexError):
        abi.view("vcpu_info", bytearray(100), -1)
    view = abi.view("vcpu_info", bytearray(56))
    for bad in (256, -1):
        with pytest.raises(struct.error):
            view.pending = bad
    with pytest.raises(AttributeError):
        view.time = 3
    with pytest.raises(AttributeError):
        view.no_such_member = 3
    with pytest.raises(TypeError):
        abi.view("uint32", bytearray(4))


@pytest.mark.parametrize(
    "make", [bytearray, lambda n: memoryview(bytearray(n)), lambda n: mmap.mmap(-1, n)]
)
def test_buffers(small: Description, make: Any) -> None:
    view = small.abi("little64", "4.17").view("send", make(4096), 4092)
    view.port = 0x12345678
    assert (view.port, bytes(view)) == (0x12345678, b"\x78\x56\x34\x12")


def test_repr(small: Description) -> None:
    assert repr(small.abi("little64", "4.17").view("send", bytearray(4))) == "send(port=0)"
