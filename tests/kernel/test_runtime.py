"""The runtime of the test kernels, booted: verdicts, faults, events, the command line."""

import re
from pathlib import Path

import pytest

from xenport import port as ports
from xenport.kernel import Kernel, build
from xenport.port import Ended, Limits, Line, Port

CASES = Path(__file__).parent / "runtime"

#: What each test answers, without what differs between architectures.
VERDICTS = {
    "passes": "ok",
    "check_fails": r"not ok: runtime/runtime.c:\d+: 1 \+ 1 == 3 does not hold",
    "check_eq_fails": r"not ok: runtime/runtime.c:\d+: 40 \+ 2 is 42, expected 43",
    "check_errno_fails": r"not ok: .*: rc is -22 \(EINVAL\), expected -38 \(ENOSYS\)",
    "fail_says_why": r"not ok: runtime/runtime.c:\d+: because 7",
    "skips": "ok: SKIP no reason",
    "notes": "ok",
    "long_message": r"not ok: runtime/runtime.c:\d+: x{150,220}",
    "expects_access": "ok",
    "expects_illegal": "ok",
    "expects_within": "ok",
    "many_faults": "ok",
    "faults_by_access": r"not ok: fault: access at 0x[0-9a-f]+ pc 0x[0-9a-f]+ \(.*\)",
    "faults_by_instruction": r"not ok: fault: illegal instruction pc 0x[0-9a-f]+ \(.*\)",
    "fails_while_expecting": r"not ok: runtime/runtime.c:\d+: inside",
    "faults_after_that": r"not ok: fault: access at .*",
    "event_arrives": "ok",
    "event_waits_for_enable": "ok",
    "faults_in_upcall": r"not ok: fault: access at .*",
    "event_arrives_after_that": "ok",
    "leaves_channel_open": "ok",
    "finds_channel_closed": "ok",
    "wait_has_a_limit": "ok",
}

_RESULT = re.compile(r"(?P<word>ok|not ok) (?P<number>\d+) (?P<name>\w+) # (?P<rest>.*)")

ENVIRONMENTS = [
    pytest.param(name, environment, id=f"{name}-{environment}")
    for port in map(ports.load, ports.names())
    if not port.is_bare
    for name in [port.name]
    for environment, described in port.environments.items()
    if "unpaged" not in described.words  # no access faults there
]


def kernel_of(port: Port, environment: str) -> Kernel:
    return build(port.guest_arch(port.environments[environment]), port.release, cases=CASES)


def boot(name: str, environment: str, command_line: str, log: Path) -> tuple[list[str], Ended]:
    """The lines that the kernel printed, and how it ended."""
    port = ports.load(name)
    if missing := ports.missing(port):
        pytest.fail(f"{missing[0].what} is missing: {missing[0].command}")
    lines: list[str] = []
    driver = ports.open(port, supervisor=build(port.arch, port.release, cases=CASES))
    kernel = kernel_of(port, environment)
    with driver.boot(environment, kernel, command_line, log, Limits()) as running:
        for event in running.events():
            if isinstance(event, Line):
                if event.source == "guest":
                    lines.append(event.text)
            else:
                return lines, event
    raise AssertionError("a boot without an end")


def own_tests(name: str, environment: str) -> list[str]:
    """The kernel's tests that stand in `CASES`, as the numbers of the command line."""
    tests = kernel_of(ports.load(name), environment).tests
    return [str(test.index) for test in tests if test.name in VERDICTS]


@pytest.mark.parametrize(("name", "environment"), ENVIRONMENTS)
def test_every_verdict(name: str, environment: str, tmp_path: Path) -> None:
    numbers = own_tests(name, environment)
    lines, ended = boot(name, environment, f"tests={','.join(numbers)}", tmp_path / "log")

    start = lines.index("KTAP version 1")
    assert lines[start + 1] == f"1..{len(numbers)}"
    # A supervisor that watches the domain says how it ended.
    assert lines[lines.index("# end") + 1 :] in ([], ["# domain 1 shutdown poweroff"])
    assert ended.kind == "poweroff"
    results = [match for line in lines if (match := _RESULT.fullmatch(line))]
    assert [match["name"] for match in results] == list(VERDICTS)
    for number, match in enumerate(results, start=1):
        assert match["number"] == str(number)
        rest = match["rest"]
        said = match["word"]
        if not re.fullmatch(r"time=\d+\.\d{6}", rest):
            said += f": {rest}"
        assert re.fullmatch(VERDICTS[match["name"]], said), match[0]
        before = lines[lines.index(match[0]) - 1]
        remark = match["name"] == "notes"
        assert before == ("# a remark" if remark else f"# start {match['name']}")


MODEL = "model-x86_64", "pv64-dom0"


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        ("tests=0", ["passes"]),
        ("tests=6,0", ["notes", "passes"]),
        ("tests=0-1,0", ["passes", "check_fails", "passes"]),
        ("other=1 tests=0 more", ["passes"]),
        ("xtests=1 tests=0", ["passes"]),
        ("tests=23", []),
        ("", list(VERDICTS)),
    ],
)
def test_command_line(chosen: str, names: list[str], tmp_path: Path) -> None:
    lines, ended = boot(*MODEL, chosen, tmp_path / "log")

    assert [match["name"] for line in lines if (match := _RESULT.fullmatch(line))] == names
    assert ended.kind == "poweroff"


@pytest.mark.parametrize(
    "chosen", ["tests=", "tests=x", "tests=1-", "tests=3-1", "tests=0,,1", "tests=99", "tests=1x"]
)
def test_bad_command_line(chosen: str, tmp_path: Path) -> None:
    lines, ended = boot(*MODEL, chosen, tmp_path / "log")

    assert lines == [f"# bad command line: '{chosen}' does not list tests of 0-{len(VERDICTS)}"]
    assert ended.kind == "crash"


def test_supervisor_without_a_domain(tmp_path: Path) -> None:
    lines, ended = boot(*MODEL, "supervise=1", tmp_path / "log")

    assert lines == ["# domain 1 cannot be watched: -3 (ESRCH)"]
    assert ended.kind == "timeout"  # it waits: the domain may run all the same
