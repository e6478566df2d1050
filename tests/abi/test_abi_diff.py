"""What differs between releases: each kind of difference, and whom it breaks."""

import shutil
from pathlib import Path

import pytest

from xenport.abi import Description
from xenport.abi.detail_text import condensed
from xenport.abi.diff import Change, Difference, difference, steps
from xenport.abi.history import History, Inventory, Thing, spans
from xenport.errors import InputError

FOLDER = Path(__file__).parent / "description"

OP = """
header: op.h
types: {domid_t: uint16}
structs:
  moved:
    fields:
      - {name: a, type: uint8}
      - {name: new, type: uint32, since: "4.17"}
      - {name: b, type: uint32}
      - {name: c, type: uint32}
      - {name: d, type: uint32}
      - {name: e, type: uint32}
  filled:
    fields:
      - {name: a, type: uint8}
      - {name: flag, type: uint8, since: "4.17"}
      - {name: b, type: uint32}
      - {name: pad, type: uint32, until: "4.14"}
      - {name: more, type: uint32, since: "4.17"}
  renamed:
    fields:
      - {name: old_name, type: uint32, until: "4.14", dir: in}
      - {name: new_name, type: uint32, since: "4.17", dir: in}
  outer: {fields: [{name: inner, type: moved}, {name: same, type: renamed}]}
  ruled:
    rules:
      - {until: "4.14", doc: The first half is read.}
      - {since: "4.17", doc: All of it is read.}
    fields: [{name: a, type: uint32}]
  private: {helper: true, fields: [{name: a, type: uint8}, {name: b, type: ulong, since: "4.17"}]}
  gone: {until: "4.14", fields: [{name: a, type: uint32}]}
  pointer_only: {fields: [{name: a, type: ulong}]}
constants:
  - name: colour
    kind: enum
    values: {RED: 0, GREEN: {value: 1, since: "4.17"}}
  - name: values
    values:
      CHANGED: [{value: 1, until: "4.14"}, {value: 2, since: "4.17"}]
      XEN_OP_MAX: [{value: 1, until: "4.14"}, {value: 2, since: "4.17"}]
      FRESH: {value: 3, since: "4.17"}
macros:
  op_size: [{params: [x], value: (x), until: "4.14"}, {params: [x], value: (x) + 1, since: "4.17"}]
hypercalls:
  some_op:
    number: 5
    callers: [pv, hvm]
    args:
      - {name: cmd, type: int, role: command}
      - {name: arg, type: handle(void), role: argument}
    errors: [{errno: EFAULT, when: {arg: unreadable}, since: "4.17"}]
    commands:
      OP_same: {number: 0, arg: pointer_only}
      OP_number:
        - {number: 1, until: "4.14"}
        - {number: 9, since: "4.17"}
      OP_callers: {number: 2, callers: [pv, {guest: hvm, until: "4.14"}]}
      OP_privilege:
        - {number: 3, until: "4.14", arg: renamed}
        - {number: 3, since: "4.17", arg: renamed, privilege: control}
      OP_errors:
        number: 4
        arg: moved
        errors:
          - {errno: EINVAL, when: {b: {above: 3}}, until: "4.14"}
          - {errno: ERANGE, when: {b: {above: 3}}, since: "4.17"}
          - {errno: EPERM, when: it is late, since: "4.17"}
      OP_ruled: {number: 7, rules: [{since: "4.17", doc: It may be restarted.}]}
      OP_statuses:
        number: 8
        arg: {type: moved, count: cmd}
        statuses:
          - {status: XEN_OP_MAX, when: {b: {above: 3}}, until: "4.14"}
          - {status: CHANGED, when: {b: {above: 3}}, since: "4.17", callers: [pv]}
          - {status: FRESH, when: it is late, since: "4.17"}
      OP_gone: {number: 6, until: "4.14"}
"""
OLD = """
header: old.h
until: "4.14"
structs: {wanderer: {fields: [{name: a, type: uint32}]}}
"""
NEW = """
header: new.h
since: "4.17"
structs: {wanderer: {fields: [{name: a, type: uint32}]}}
"""
TOOLS = """
header: tools.h
tools: true
includes: [op.h]
constants:
  - name: version
    values:
      XEN_TOOLS_INTERFACE_VERSION:
        - {value: 1, until: "4.14"}
        - {value: 2, since: "4.17", until: "4.17"}
        - {value: 2, since: "4.18"}
structs:
  tools_op:
    fields:
      - {name: version, type: uint32}
      - {name: a, type: uint8, since: "4.17"}
      - {name: b, type: uint32, since: "4.20"}
hypercalls:
  tools_op:
    number: 6
    callers: [pv]
    privilege: control
    args: [{name: arg, type: handle(tools_op), role: argument}]
    errors:
      - {errno: EACCES, when: {version: {is_not: XEN_TOOLS_INTERFACE_VERSION}}}
"""
RING = """
header: io/ring.h
includes: [op.h]
types: {RING_IDX: uint}
rings:
  sample:
    - {request: ring_request, response: uint32, until: "4.14"}
    - {request: ring_request, response: uint64, since: "4.17"}
structs:
  ring_request: {fields: [{name: a, type: uint32}, {name: b, type: uint32, since: "4.17"}]}
"""
ERRNO = """
header: errno.h
constants:
  - name: xen_errno
    kind: enum
    values: {XEN_EPERM: 1, XEN_EACCES: 13, XEN_EFAULT: 14, XEN_EINVAL: 22, XEN_ERANGE: 34}
"""
ARCH = """
header: arch-alpha/xen.h
arches: [little64]
structs:
  only_64: {fields: [{name: a, type: uint32}, {name: b, type: uint64, since: "4.17"}]}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Description:
    """A description with one thing for each kind of difference."""
    root = tmp_path_factory.mktemp("description")
    texts = {"op": OP, "tools": TOOLS, "io/ring": RING, "errno": ERRNO, "old": OLD, "new": NEW}
    for name, text in texts.items():
        path = root / "abi" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "arch" / "alpha" / "abi").mkdir(parents=True)
    (root / "arch" / "alpha" / "abi" / "xen.yaml").write_text(ARCH)
    for arch in ("little64", "little32"):
        shutil.copy(FOLDER / "arch" / "alpha" / f"{arch}.yaml", root / "arch" / "alpha")
    description = Description(root / "abi", root / "arch")
    for abi in description.abis():
        abi.check()
    return description


def compared(made: Description, old: str = "4.14", new: str = "4.17") -> Difference:
    return difference(
        [
            (Inventory(made.abi(arch, old)), Inventory(made.abi(arch, new)))
            for arch in ("little64", "little32")
        ]
    )


def changes(made: Description, old: str = "4.14", new: str = "4.17") -> dict[str, Change]:
    """What changes on little64 by name, without hypercalls (they share names with structures)."""
    found = [one for one in compared(made, old, new).changes if "little64" in one.arches]
    assert len({one.thing for one in found}) == len(found)
    return {one.thing.name: one for one in found if one.thing.kind != "hypercall"}


def facts(change: Change) -> list[str]:
    return [str(detail) for detail in change.details]


def test_what_is_the_same_is_not_said(made: Description) -> None:
    assert not changes(made).keys() & {"same", "OP_same", "pointer_only", "domid_t"}
    assert not compared(made, "4.17", "4.17").changes


def test_a_member_that_pushes_others_away_breaks(made: Description) -> None:
    change = changes(made)["moved"]
    assert change.effect == "breaks"
    assert facts(change)[:2] == [
        "size: 20 -> 24",
        "member new added: offset 4, size 4, uint32",
    ]
    assert list(condensed(change.details))[2:] == ["offset of 4 members, b to e: +4"]
    assert set(change.arches) == {"little64", "little32"}
    assert set(change.audience) == {"pv guest", "hvm guest"}


def test_what_holds_it_changes_only_where_it_does(made: Description) -> None:
    assert facts(changes(made)["outer"]) == [
        "size: 24 -> 28",
        "size of inner: 20 -> 24",
        "offset of same: 20 -> 24",
    ]


def test_padding_that_gets_a_meaning_breaks_nothing(made: Description) -> None:
    change = changes(made)["filled"]
    assert change.effect == "extends"
    assert facts(change) == [
        "name at offset 8: pad -> more",
        "member flag added: offset 1, size 1, uint8",
    ]


def test_another_name_is_a_matter_of_sources(made: Description) -> None:
    change = changes(made)["renamed"]
    assert change.effect == "source"
    assert facts(change) == ["name at offset 0: old_name -> new_name"]


def test_added_and_removed(made: Description) -> None:
    found = changes(made)
    assert (found["gone"].what, found["gone"].effect) == ("removed", "source")
    assert (found["FRESH"].what, found["FRESH"].effect) == ("added", "extends")
    assert (found["OP_gone"].what, found["OP_gone"].effect) == ("removed", "breaks")


def test_headers(made: Description) -> None:
    found = changes(made)
    assert facts(found["wanderer"]) == ["header: old.h -> new.h"]
    assert found["wanderer"].effect == "source"
    assert (found["old.h"].what, found["new.h"].what) == ("removed", "added")


def test_values(made: Description) -> None:
    found = changes(made)
    assert facts(found["CHANGED"]) == ["value: 1 (0x1) -> 2 (0x2)"]
    assert found["CHANGED"].effect == "breaks"
    assert found["XEN_OP_MAX"].effect == "extends"  # it counts what there is


def test_contracts(made: Description) -> None:
    found = changes(made)
    assert (facts(found["OP_number"]), found["OP_number"].effect) == (["number: 1 -> 9"], "breaks")
    assert facts(found["OP_callers"]) == ["caller hvm removed"]
    assert found["OP_callers"].effect == "breaks"
    assert facts(found["OP_privilege"]) == [
        "privilege: any -> control",
        "error added: EPERM when the caller is not the control domain",
    ]
    assert set(found["OP_privilege"].audience) == {"pv guest", "hvm guest", "control domain"}
    assert facts(found["OP_errors"]) == [
        "error when b is above 3: EINVAL -> ERANGE",
        "error added: EPERM when it is late",
    ]
    assert found["OP_errors"].effect == "behaviour"


def test_errors_of_every_command_are_the_hypercalls(made: Description) -> None:
    calls = [one for one in compared(made).changes if one.thing.kind == "hypercall"]
    assert [(one.thing.name, facts(one)) for one in calls] == [
        ("some_op", ["error added: EFAULT when arg is unreadable"])
    ]


def test_tool_stacks(made: Description) -> None:
    one = compared(made)
    change = next(change for change in one.changes if change.thing == ("struct", "tools_op"))
    assert change.audience == ("tool stack",)
    [version] = one.versions
    assert (version.old, version.new, version.errno) == (1, 2, "EACCES")
    [unchanged] = compared(made, "4.17", "4.20").versions
    assert (unchanged.old, unchanged.new) == (2, 2)
    assert one.broken()["tool stack"] == 2  # the structure and its version


def test_rules(made: Description) -> None:
    found = changes(made)
    assert facts(found["ruled"]) == [
        "rule removed: The first half is read.",
        "rule added: All of it is read.",
    ]
    assert facts(found["OP_ruled"]) == ["rule added: It may be restarted."]
    assert found["ruled"].effect == found["OP_ruled"].effect == "behaviour"


def test_statuses(made: Description) -> None:
    change = changes(made)["OP_statuses"]
    assert facts(change) == [
        "status when b is above 3: XEN_OP_MAX -> CHANGED for pv",
        "status when it is late added: FRESH",
    ]


def test_what_never_crosses_the_boundary_breaks_no_one(made: Description) -> None:
    change = changes(made)["private"]
    assert facts(change)[0].startswith("size: 1 -> ") and change.effect == "source"


def test_macros_and_rings(made: Description) -> None:
    found = changes(made)
    assert facts(found["op_size"]) == ["definition: (x) (x) -> (x) (x) + 1"]
    assert found["op_size"].effect == "source"
    assert found["sample"].audience == ("frontend and backend",)
    assert facts(found["sample"]) == [
        "definition: requests ring_request, responses uint32"
        " -> requests ring_request, responses uint64"
    ]
    assert facts(found["sample_sring_entry"])[0] == "size: 4 -> 8"
    assert "colour" not in found and found["GREEN"].what == "added"


def test_rings_are_between_domains(made: Description) -> None:
    assert changes(made)["ring_request"].audience == ("frontend and backend",)


def test_one_architecture(made: Description) -> None:
    assert changes(made)["only_64"].arches == ("little64",)


def test_the_way_back_turns_every_change(made: Description) -> None:
    turned = {"added": "removed", "removed": "added", "changed": "changed"}
    there = {(one.thing, one.what) for one in compared(made).changes}
    back = {(one.thing, turned[one.what]) for one in compared(made, "4.17", "4.14").changes}
    assert there == back


def test_history(made: Description) -> None:
    history = History(made.abis())
    tools = Thing("struct", "tools_op")
    same = Thing("struct", "pointer_only")
    assert history.presence(Thing("struct", "gone")) == {
        "little64": ("4.14",),
        "little32": ("4.14",),
    }
    found = steps(history.things[tools], tools)
    assert [(step.old, step.new) for step in found] == [("4.14", "4.17"), ("4.17", "4.20")]
    assert set(found[0].arches) == {"little64", "little32"}
    assert steps(history.things[same], same) == []


def test_find(made: Description) -> None:
    history = History(made.abis())
    assert history.find("tools_op") == [("struct", "tools_op"), ("hypercall", "tools_op")]
    assert history.find("__HYPERVISOR_some_op") == [("hypercall", "some_op")]
    assert history.find("moved_t") == [("struct", "moved")]
    assert history.find("EINVAL") == [("constant", "XEN_EINVAL")]
    assert history.find("io/ring.h") == [("header", "io/ring.h")]
    with pytest.raises(InputError, match="did you mean 'renamed'"):
        history.find("renamd")


@pytest.mark.parametrize(
    ("releases", "text"),
    [
        ([], ""),
        (["4.14"], "4.14"),
        (["4.14", "4.15", "4.17"], "4.14 to 4.15, 4.17"),
        (["4.14", "4.15", "4.16", "4.17"], "4.14 to 4.17"),
    ],
)
def test_spans(releases: list[str], text: str) -> None:
    assert spans(releases, ["4.14", "4.15", "4.16", "4.17"]) == text
