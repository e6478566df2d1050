"""A structure as a table: every byte is in a member, in a hole or in the tail."""

import pytest

from xenport.abi import Description
from xenport.abi.rows import Row, merged, rows

ARCHES = ("little64", "little32", "big64", "wide32")


def table(small: Description, arch: str, name: str, *, expand: bool = True) -> tuple[Row, ...]:
    abi = small.abi(arch, "4.17")
    endian = abi.architecture.data_model.endian
    return rows(abi.layout(name), endian, expand=expand)


@pytest.mark.parametrize("arch", ARCHES)
def test_no_bit_is_left_out(small: Description, arch: str) -> None:
    for name in small.abi(arch, "4.17").structures:
        layout = small.abi(arch, "4.17").layout(name)
        covered = set()
        for row in table(small, arch, name, expand=False):
            if row.depth == 0:
                covered |= set(range(row.start, row.end))
        assert covered == set(range(layout.size * 8)), name


def test_holes_and_tail(small: Description) -> None:
    found = [
        (row.kind, row.name, row.offset, row.size)
        for row in table(small, "little64", "status")
        if row.depth == 0
    ]
    assert found == [
        ("member", "dom", 0, 2),
        ("hole", "", 2, 2),
        ("member", "port", 4, 4),
        ("member", "u", 8, 8),
        ("member", "list", 16, 8),
        ("member", "nr", 24, 4),
        ("tail", "", 28, 4),
    ]


def test_nested_members_are_counted_from_the_outermost_structure(small: Description) -> None:
    found = {row.path: row for row in table(small, "little64", "control")}
    assert found["u.status.u.open.port"].offset == small.abi("little64", "4.17").offset(
        "control", "u.status.u.open.port"
    )
    assert found["u.status.u.open.port"].depth == 4
    closed = {row.path for row in table(small, "little64", "control", expand=False)}
    assert "u.status" in closed and "u.status.dom" not in closed


def test_bits_are_counted_by_value_and_along_memory(small: Description) -> None:
    little = {row.name: row for row in table(small, "little64", "bits")}
    big = {row.name: row for row in table(small, "big64", "bits")}
    assert (little["b"].bits, little["b"].start) == ((3, 7), 3)
    assert (big["b"].bits, big["b"].start) == ((22, 7), 3)


def test_elements_of_an_array(small: Description) -> None:
    found = {row.path: row for row in table(small, "little64", "shared_info")}
    assert found["vcpu_info"].elements == (32, 56)
    assert found["vcpu_info[].time.system_time"].offset == 40


def test_side_by_side(small: Description) -> None:
    tables = [table(small, arch, "vcpu_info") for arch in ("little64", "big64")]
    lines = merged(tables)
    for number, one in enumerate(tables):
        assert [line[number] for line in lines if line[number] is not None] == list(one)
    for left, right in lines:
        if left is not None and right is not None:
            assert (left.path, left.type) == (right.path, right.type)
    shared = [left.path for left, right in lines if left is not None and right is not None]
    assert "time.system_time" in shared and "arch.cr2" not in shared
