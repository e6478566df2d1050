"""Sizes and offsets; the compiler has its own opinion in ``test_abi_compiler.py``."""

import pytest

from xenport.abi import Description
from xenport.errors import InputError

ARCHES = ("little64", "little32", "big64", "wide32")


@pytest.mark.parametrize(
    ("type_text", "sizes"),
    [
        ("uint32", (4, 4, 4, 4)),
        ("ulong", (8, 4, 8, 4)),
        ("pointer", (8, 4, 8, 4)),
        ("xen_ulong_t", (8, 4, 8, 8)),
        ("handle_t", (16, 16, 16, 16)),
        ("handle(void)", (8, 4, 8, 8)),
        ("handle64(void)", (8, 8, 8, 8)),
        ("arch_vcpu_info", (16, 24, 0, 0)),
        ("time_info", (24, 16, 24, 24)),
        ("vcpu_info", (56, 48, 40, 40)),
        ("vcpu_info[32]", (1792, 1536, 1280, 1280)),
        ("uint16[2][3]", (12, 12, 12, 12)),
    ],
)
def test_size(small: Description, type_text: str, sizes: tuple[int, ...]) -> None:
    assert tuple(small.abi(arch, "4.17").sizeof(type_text) for arch in ARCHES) == sizes


def test_offsets(small: Description) -> None:
    abi = small.abi("little64", "4.17")
    assert abi.offset("vcpu_info", "time.system_time") == 40
    assert abi.offset("shared_info", "vcpu_info[3].time.flags") == 3 * 56 + 32 + 17
    assert abi.offset("shared_info", "pending[2]") == 32 * 56 + 16
    assert abi.offset("shared_info", "matrix[1][2]") == 32 * 56 + 64 * 8 + 10
    assert abi.offset("anonymous", "high") == 12
    assert abi.offset("anonymous", "inner.y") == 10


@pytest.mark.parametrize("path", ["tim", "time.x", "time[0]", "", "time.", "sel[0]", "arch.cr2.x"])
def test_bad_path(small: Description, path: str) -> None:
    with pytest.raises(InputError):
        small.abi("little64", "4.17").offset("vcpu_info", path)


def test_anonymous_members_belong_to_what_surrounds_them(small: Description) -> None:
    layout = small.abi("little64", "4.17").layout("anonymous")
    assert [(member.name, member.offset) for member in layout.fields] == [
        ("first", 0), ("wide", 8), ("low", 8), ("high", 12), ("inner", 8), ("last", 16)
    ]  # fmt: skip


def test_walk(small: Description) -> None:
    paths = [path for path, _, _ in small.abi("little64", "4.17").layout("status").walk()]
    assert paths == ["dom", "port", "u", "u.open", "u.open.dom", "u.open.port", "u.virq", "list",
                     "nr"]  # fmt: skip


def test_facts_about_fields(small: Description) -> None:
    fields = small.abi("little64", "4.17").layout("status").by_name
    assert (fields["dom"].direction, fields["u"].direction) == ("in", "out")
    assert fields["u"].layout.by_name["virq"].direction == "out"
    assert (fields["list"].count, fields["list"].layout.target) == ("nr", "uint64")
    assert (fields["port"].resource, fields["dom"].resource) == ("port", "domain")
    assert fields["port"].doc == "Which."
    time = small.abi("little64", "4.17").layout("time_info").by_name
    assert time["version"].varies and not time["shift"].varies


def test_bit_fields(small: Description) -> None:
    def unit(arch: str, name: str) -> tuple[int, int | None, int | None]:
        field = small.abi(arch, "4.17").layout("bits").by_name[name]
        return field.offset, field.bit_offset, field.bits

    assert unit("little64", "b") == (0, 3, 7)
    assert unit("big64", "b") == (0, 22, 7)
    assert unit("little64", "c") == (4, 0, 23)
    assert unit("little64", "j") == unit("wide32", "j")


def test_releases_and_conditions(small: Description) -> None:
    assert small.abi("little64", "4.14").layout("time_info").by_name["pad"].size == 3
    assert small.abi("little64", "4.17").layout("time_info").by_name["pad"].size == 2
    assert "mask" in small.abi("little64", "4.17").layout("vcpu_info").by_name
    assert "pad0" in small.abi("big64", "4.17").layout("vcpu_info").by_name
    assert "start_info" in small.abi("little32", "4.17").structures
    assert "start_info" not in small.abi("wide32", "4.17").structures


def test_unknown_type(small: Description) -> None:
    with pytest.raises(InputError, match="unknown type 'vcpu_inof'; did you mean 'vcpu_info'"):
        small.abi("big64", "4.17").layout("vcpu_inof")
    with pytest.raises(InputError, match="bad type"):
        small.abi("big64", "4.17").layout("vcpu_info[")
