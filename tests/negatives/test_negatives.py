"""From declared errors to calls: what each condition becomes, and which get none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from xenport import negatives
from xenport.abi import Description
from xenport.negatives import Case, Plan, Situation

ARCH = Path(__file__).parents[1] / "abi" / "description" / "arch"

XEN = """\
header: xen.h
types: {domid_t: uint16}
constants:
  - name: numbers
    values:
      DOMID_FIRST_RESERVED: 0x7FF0
      DOMID_SELF: 0x7FF0
      NR_VIRQS: 24
      VIRQ_TIMER: 0
      VIRQ_DEBUG: 1
      VIRQ_CONSOLE: 2
      VIRQ_DOM_EXC: 3
"""

ERRNO = """\
header: errno.h
constants:
  - name: xen_errno
    kind: enum
    values: {XEN_EPERM: 1, XEN_ESRCH: 3, XEN_EFAULT: 14, XEN_EINVAL: 22, XEN_ENOSYS: 38}
"""

DEVICE = """\
header: device.h
includes: [xen.h]
structs:
  device:
    fields:
      - {name: dom,    type: domid_t}
      - {name: flags,  type: uint16}
      - {name: pad,    type: "uint8[4]"}
      - {name: vcpu,   type: uint32}
      - {name: length, type: uint32}
      - {name: list,   type: handle(uint64), count: length}
hypercalls:
  device_op:
    number: 7
    callers: [pv]
    args:
      - {name: cmd, type: uint, role: command}
      - {name: arg, type: handle(void), role: argument}
    unknown_command: ENOSYS
    errors:
      - {errno: EFAULT, when: {arg: unreadable}}
    commands:
      DEVICE_op:
        number: 1
        arg: device
        errors:
          ERRORS
"""


def planned(folder: Path, *errors: str, privilege: str = "any") -> Plan:
    """The plan of an ABI whose only command declares ``errors``."""
    text = DEVICE.replace("ERRORS", "\n          ".join(f"- {error}" for error in errors))
    text = text.replace(
        "        arg: device", f"        arg: device\n        privilege: {privilege}"
    )
    abi = folder / "abi"
    abi.mkdir()
    for name, content in (("xen", XEN), ("errno", ERRNO), ("device", text)):
        (abi / f"{name}.yaml").write_text(content)
    arch = folder / "arch" / "alpha"
    (arch / "abi").mkdir(parents=True)
    shutil.copy(ARCH / "alpha" / "little64.yaml", arch)
    (arch / "abi" / "xen.yaml").write_text("header: arch-alpha/xen.h\n")
    return negatives.plan(Description(abi, folder / "arch").abi("little64", "4.17"))


def golden(cases: tuple[Case, ...], errno: str) -> list[str]:
    """The calls that get ``errno``, in one line each."""
    return [
        ", ".join(
            f"{slot.area.name.lower()}+{slot.offset}:{slot.size}={getattr(value, 'name', value)}"
            for slot, value in case.values
        )
        for case in cases
        if case.command == "DEVICE_op" and case.errno == errno
    ]


OWN = "register+0:4=1, register+1:8=ARGUMENT, argument+0:2=OWN_DOMAIN"
BASE = "register+0:4=1, register+1:8=ARGUMENT"


@pytest.mark.parametrize(
    ("condition", "calls"),
    [
        ("{dom: {no_such: domain}}", [f"{BASE}, argument+0:2=28672"]),
        ("{pad: {is_not: 0}}", [f"{OWN}, argument+7:1=1"]),
        ("{vcpu: {no_such: vcpu}}", [f"{OWN}, argument+8:4=31"]),
        ("{flags: {above: 3}}", [f"{OWN}, argument+2:2=4", f"{OWN}, argument+2:2=65535"]),
        ("{flags: {is: [3, 5]}}", [f"{OWN}, argument+2:2=3", f"{OWN}, argument+2:2=5"]),
        ("{flags: {reserved_bits: ~3}}", [f"{OWN}, argument+2:2=4", f"{OWN}, argument+2:2=32768"]),
        ("{length: {misaligned: 8}}", [f"{OWN}, argument+12:4=1"]),
        ("{length: {below: 1}}", [OWN]),
        ("{list: unreadable}", [f"{OWN}, argument+12:4=100, argument+16:8=NOWHERE"]),
        (
            "{list: {no_such: port}}",
            [f"{OWN}, argument+12:4=100, argument+16:8=SECOND, second+0:8=2147483647"],
        ),
        ("{flags: {is: 1}, pad: {is_not: 0}}", [f"{OWN}, argument+2:2=1, argument+7:1=1"]),
        ("always", [OWN]),
    ],
)
def test_conditions(tmp_path: Path, condition: str, calls: list[str]) -> None:
    plan = planned(tmp_path, f"{{errno: EINVAL, when: {condition}}}")
    assert golden(plan.cases, "EINVAL") == calls


def test_an_earlier_error_does_not_hold(tmp_path: Path) -> None:
    plan = planned(
        tmp_path,
        "{errno: ESRCH, when: {length: {below: 16}}}",
        "{errno: EPERM, when: {flags: {is_not: 2}}}",
        "{errno: EINVAL, when: {pad: {is_not: 0}}}",
    )
    want = f"{OWN}, argument+2:2=2, argument+7:1=1, argument+12:4=16"
    assert golden(plan.cases, "EINVAL") == [want]


def test_privilege(tmp_path: Path) -> None:
    plan = planned(tmp_path, "{errno: EINVAL, when: {flags: {is: 1}}}", privilege="control")
    dom0, domu = Situation("pv", is_control=True), Situation("pv", is_control=False)
    found = {case.errno: case.situations for case in plan.cases if case.command == "DEVICE_op"}
    assert found == {"EFAULT": (dom0, domu), "EPERM": (domu,), "EINVAL": (dom0,)}
    (refused,) = [one for one in plan.refused if one.errno == "EINVAL"]
    assert (refused.situation, refused.reason) == (
        domu,
        "refused first: the caller is not the control domain",
    )


def test_an_unknown_command(tmp_path: Path) -> None:
    plan = planned(tmp_path, "{errno: EINVAL, when: always}")
    (case,) = [case for case in plan.cases if case.command == "device_op"]
    assert case.errno == "ENOSYS"
    assert case.values[0][1] == 63


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        (["{errno: EINVAL, when: the moon is full}"], "a sentence says when"),
        (["{errno: EINVAL, when: {dom: {state: dying}}}"], "no value is known to provoke it"),
        (["{errno: EINVAL, when: {flags: {above: 65535}}}"], "no value is known to provoke it"),
        (["{errno: EINVAL, when: {cmd: {is: 2}}}"], "the command decides it"),
        (
            [
                "{errno: EPERM, when: {flags: {below: 8}}}",
                "{errno: EINVAL, when: {flags: {is: 3}}}",
            ],
            "refused first: flags is below 8",
        ),
        (
            ["{errno: EPERM, when: {dom: {not_state: hvm}}}", "{errno: EINVAL, when: always}"],
            "refused first: dom is not an HVM guest",
        ),
    ],
)
def test_what_gets_no_call(tmp_path: Path, errors: list[str], reason: str) -> None:
    plan = planned(tmp_path, *errors)
    assert not golden(plan.cases, "EINVAL")
    reasons = {one.reason for one in plan.refused if one.errno == "EINVAL"}
    assert reasons == {reason}
    caller = Situation("pv", is_control=True)
    assert plan.why_none("DEVICE_op", caller, ()) == ""  # its argument can be unreadable


def test_what_xen_may_have_is_a_word_of_the_environment(tmp_path: Path) -> None:
    plan = planned(
        tmp_path,
        "{errno: ENOSYS, when: {xen: {not_state: flask}}}",
        "{errno: EINVAL, when: {flags: {is: 1}}}",
    )
    words = {case.errno: set(case.words) for case in plan.cases if case.command == "DEVICE_op"}
    assert words == {"EFAULT": set(), "ENOSYS": {"no-flask"}, "EINVAL": {"flask"}}
    text = negatives.source(plan)
    assert '.needs = "pv flask"' in text
    assert "NEGATIVES(errors_device_op_no_flask, device_op," in text
    assert '{"abi/device.yaml", "DEVICE_op: flags is 1",' in text
