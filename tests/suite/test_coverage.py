"""The coverage of the ABI: whose calls count for which test, and what a cell says."""

import json
import re
import threading
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

import xenport.abi
from xenport import port as ports
from xenport.errors import InputError
from xenport.model.recording import Recording as Recorder
from xenport.port import emulator
from xenport.suite import coverage, no_success, outcomes, recording, reports
from xenport.suite.boots import BootPool, EnvironmentRun
from xenport.suite.coverage import Cell, Coverage, Row
from xenport.suite.results import Outcome, Result

PV = ("model-x86_64", "pv64-dom0")
PVH = ("model-x86_64", "pvh64-dom0")


@pytest.fixture(scope="module")
def table() -> Coverage:
    return coverage.coverage([ports.load("model-x86_64")], outcomes.last)


def row(table: Coverage, command: str) -> Row:
    return next(row for row in table.rows if row.command == command)


def test_every_command_has_a_row(table: Coverage) -> None:
    abi = xenport.abi.load("x86_64", "4.17")
    wanted = [
        name for call in abi.hypercalls.values() for name in (call.commands or {call.name: None})
    ]
    assert sorted(row.command for row in table.rows) == sorted(wanted)
    port = ports.load("model-x86_64")
    assert table.places == tuple((port.name, name) for name in port.environments)
    assert {PV, PVH} <= set(table.places)


def test_positive_and_negative_tests(table: Coverage) -> None:
    cell = row(table, "EVTCHNOP_send").cells[PV]
    assert "event_is_delivered" in cell.positive
    assert (cell.negative or {})["evtchn_send_refused"] == ("EINVAL",)
    assert "event_is_delivered" not in (cell.negative or {})
    assert cell.outcome == "pass"


def test_what_the_runtime_calls_is_no_part_of_a_test(table: Coverage) -> None:
    """It prints a line before and after each test, and closes what the test left open."""
    write = row(table, "CONSOLEIO_write").cells[PV]
    own = {
        "boot",
        "errors_consoleio_write",
        "reset_forgets",
    }  # what a test says with NOTE is its own
    assert {test for test in write.tests if not test.startswith("console_")} <= own
    close = row(table, "EVTCHNOP_close").cells[PV]
    assert "event_is_delivered" not in close.tests


def test_the_start_counts_for_the_boot(table: Coverage) -> None:
    assert "boot" in row(table, "set_trap_table").cells[PV].positive
    assert "boot" in row(table, "HVMOP_set_param").cells[PVH].positive


def test_elements_of_an_array_and_fields_of_an_argument_are_commands(table: Coverage) -> None:
    pin = row(table, "MMUEXT_PIN_L4_TABLE").cells[PV]
    assert pin.positive and pin.negative
    assert "domctl_getdomaininfo" in row(table, "XEN_DOMCTL_getdomaininfo").cells[PV].positive


def test_tests_that_end_the_domain_count(table: Coverage) -> None:
    assert "shutdown_poweroff" in row(table, "SCHEDOP_shutdown").cells[PVH].positive


def test_what_a_guest_does_not_have(table: Coverage) -> None:
    cell = row(table, "mmu_update").cells[PVH]
    assert not cell.is_callable
    assert cell.text == "not callable by hvm guests"


def test_what_is_not_in_a_release() -> None:
    chosen = [ports.load("model-arm32", "4.14"), ports.load("model-ppc64")]
    found = row(coverage.coverage(chosen, outcomes.last), "GNTTABOP_get_version")
    assert found.cells["model-ppc64", "domU"].text == "not in the ABI of ppc64 3.2"
    assert found.cells["model-arm32", "dom0"].positive


def test_a_domain_that_may_only_be_refused(table: Coverage) -> None:
    cell = row(table, "XEN_DOMCTL_pausedomain").cells["model-x86_64", "pvh64-domU"]
    assert cell.is_callable and not cell.positive and cell.negative
    assert cell.reason == "only the control domain may"


def test_what_xen_has_not_is_refused_to_everybody(table: Coverage) -> None:
    cell = row(table, "FLASK_GETENFORCE").cells[PVH]
    assert cell.negative and cell.reason == "ENOSYS: Xen has no flask"
    assert row(table, "XENPF_getidletime").cells[PV].reason == "ENOSYS: Xen has no dom0freq"
    assert not row(table, "EVTCHNOP_send").cells[PV].reason


def test_a_domain_that_has_power_over_none(table: Coverage) -> None:
    cells = row(table, "XEN_DMOP_nr_vcpus").cells
    reason = "EPERM: domid is the caller; EPERM: domid is foreign"
    assert cells["model-x86_64", "pvh64-domU"].reason == reason
    assert not cells["model-x86_64", "pvh64-dom0"].reason


def open_questions(table: Coverage) -> list[str]:
    """Where no test sees a command that the guest has succeed, or refused, and nothing says why."""
    return [
        f"{row.command} in {'/'.join(place)}: no test sees it {what}"
        for row in table.rows
        for place, cell in row.cells.items()
        if cell.is_callable
        for what, is_open in {
            "succeed": not (cell.positive or cell.reason),
            "refused": not (cell.negative or cell.unrefused or (not cell.tests and cell.reason)),
        }.items()
        if is_open
    ]


def test_every_command_succeeds_and_is_refused_or_the_table_says_why(table: Coverage) -> None:
    assert open_questions(table) == []


@pytest.mark.slow
def test_every_table_says_why_and_every_reason_is_of_use() -> None:
    chosen = [port for port in map(ports.load, ports.names()) if port.kind in ("model", "qemu")]
    table = coverage.coverage(chosen, lambda _port, _environment: {})
    assert open_questions(table) == []
    given = {
        (row.command, words)
        for place in table.places
        for words in [ports.load(place[0]).environment(place[1]).words]
        for row in table.rows
        if row.cells[place].reason and row.cells[place].reason == no_success.why(row.command, words)
    }
    idle = [where for where in no_success.places() if not any(where.fits(*one) for one in given)]
    assert [where.text for where in idle] == []


def test_why_there_is_no_success() -> None:
    where = no_success.Where.read("MMUEXT_*PIN_* hvm|arm !smp")
    assert where.text == "MMUEXT_*PIN_* hvm|arm !smp"
    assert where.fits("MMUEXT_UNPIN_TABLE", ["hvm", "domu"])
    assert not where.fits("MMUEXT_UNPIN_TABLE", ["hvm", "smp"])
    assert not where.fits("MMUEXT_UNPIN_TABLE", ["pv"])
    assert not where.fits("MMUEXT_SET_LDT", ["hvm"])
    assert no_success.why("EVTCHNOP_send", ["pv"]) == ""


def test_a_bad_file_of_reasons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "coverage.yaml").write_text("reasons: [a]\n")
    monkeypatch.setattr(no_success.content, "folder", lambda _name: tmp_path)
    no_success._reasons.cache_clear()
    try:
        with pytest.raises(InputError, match=r"coverage\.yaml:1:10: "):
            no_success.why("EVTCHNOP_send", ["pv"])
    finally:
        no_success._reasons.cache_clear()


def test_counts(table: Coverage) -> None:
    counts = table.counts(PV)
    cells = [row.cells[PV] for row in table.rows]
    assert counts["callable"] == sum(cell.is_callable for cell in cells)
    assert counts["none"] == sum(cell.text == "no test" for cell in cells)
    assert 0 < counts["negative"] <= counts["callable"]


def test_guests_that_only_a_machine_runs() -> None:
    """Unicorn has no little-endian PowerPC."""
    port = ports.load("ppc64le-powernv")
    table = coverage.coverage([port], lambda _port, _environment: {})
    cell = row(table, "GNTTABOP_map_grant_ref").cells[port.name, "domU"]
    assert {"grant_map_writable", "grant_peer_map"} <= set(cell.positive)
    assert (cell.negative or {})["grant_bad_pointers"] == ("EFAULT", "EINVAL")
    assert cell.outcome == "not run"


def test_a_machine_that_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "find", lambda _program: None)
    port = ports.load("ppc64le-powernv")
    with pytest.raises(InputError, match=r"ppc64 4\.20 under qemu-system-ppc64 only; get it: apt"):
        recording._driver(port)


def test_a_variant_counts_its_own_tests() -> None:
    port = ports.load("xen-4.17-amd64")
    table = coverage.coverage([port], lambda _port, _environment: {})
    cell = row(table, "SCHEDOP_poll").cells[port.name, "pv64-dom0-credit"]
    assert cell.tests and cell.outcome == "not run"
    assert row(table, "set_gdt").cells[port.name, "pv64-dom0-credit"].text == "not run here"


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ({"a": Outcome.PASS, "b": Outcome.PASS}, "+1 -1 pass"),
        ({"a": Outcome.PASS, "b": Outcome.FAIL}, "+1 -1 (1 fail)"),
        ({"a": Outcome.CRASH, "b": Outcome.CRASH}, "+1 -1 crash"),
        ({"a": Outcome.XFAIL}, "+1 -1 (1 not run, 1 xfail)"),
        ({}, "+1 -1 not run"),
    ],
)
def test_outcomes_of_a_cell(ends: dict[str, Outcome], text: str) -> None:
    assert Cell(True, "", ("a",), {"b": ("EINVAL",)}, ends).text == text


def test_a_cell_says_what_there_is_no_test_for() -> None:
    cell = Cell(True, "only dom0 may", (), {"b": ("EPERM",)}, {"b": Outcome.PASS})
    assert cell.text == "+0 -1 pass; no +: only dom0 may"
    cell = Cell(True, "", ("a",), {}, {"a": Outcome.PASS}, "no error is declared")
    assert cell.text == "+1 -0 pass; no -: no error is declared"


def test_outcomes_are_kept_from_run_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    port = ports.load("xen-4.17-amd64")

    def result(name: str, test: str, outcome: Outcome) -> Result:
        return Result(name, "4.17", "pv64-dom0", test, "", "events", outcome, 0.0, "")

    assert outcomes.last(port, "pv64-dom0") == {}
    outcomes.remember(port, [result(port.name, test, Outcome.PASS) for test in "ab"])
    outcomes.remember(port, [result(port.name, "b", Outcome.FAIL), result("x", "a", Outcome.FAIL)])
    assert outcomes.last(port, "pv64-dom0") == {"a": Outcome.PASS, "b": Outcome.FAIL}
    assert outcomes.last(ports.load(port.name, "4.14"), "pv64-dom0") == {}
    for path in (tmp_path / "xenport" / "outcomes").iterdir():
        path.write_text("{")
    assert outcomes.last(port, "pv64-dom0") == {}


def test_a_recording_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    port = ports.load("model-ppc64")
    guest = recording.Guest.of(port, port.environment("domU"))
    first = recording.recording(guest)
    monkeypatch.setattr(recording, "_Work", None)
    assert recording.recording(guest) == first


def test_recordings_that_nobody_waits_for_end(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()
    ended = []

    class Run(EnvironmentRun):
        def start(self, pool: BootPool) -> None:
            super().start(pool)
            begun.set()

    def interrupt(_done: int, _all: int) -> None:
        assert begun.wait(60)
        raise KeyboardInterrupt

    monkeypatch.setattr(recording, "EnvironmentRun", Run)
    monkeypatch.setattr(recording._Work, "check", lambda *run: ended.append(run))
    port = ports.load("model-x86_64")
    guests = [
        replace(recording.Guest.of(port, port.environment(name)), provides=("never", "heard-of"))
        for name in ("pv64-dom0", "pvh64-dom0", "pv64-domU")
    ]
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        recording.recordings(guests, interrupt)
    assert ended == []
    assert threading.active_count() == before


def test_calls_between_lines(tmp_path: Path) -> None:
    """A call that a line ended in is of both sides; of a test only if these are the same."""
    path = tmp_path / "calls"
    record = Recorder(xenport.abi.load("x86_64", "4.17"), path)
    said: list[bytes] = []
    write = record.before(said.append)

    def call(command: str, result: int = 0, text: bytes = b"") -> None:
        begun = record.begin()
        write(text)
        assert record.end(command, begun, result) == result

    call("first")
    call("print", text=b"KTAP version 1\n# start a")
    call("print", text=b"\n")
    call("one", -22)
    call("one", -22)
    call("one")
    call("note", text=b"# a note\n")
    call("print", text=b"ok 1 a\n")
    call("between")
    call("print", text=b"# start b\n")
    call("last")
    record.close()
    assert list(recording._calls(path)) == [
        ("boot", "first", ""),
        ("a", "one", "EINVAL"),
        ("a", "one", ""),
        ("a", "note", ""),
        ("b", "last", ""),
    ]
    assert b"".join(said).count(b"\n") == 5
    assert sum("one" in line for line in path.read_text().splitlines()) == 2


def test_documented_keys_are_the_keys(table: Coverage) -> None:
    text = (Path(__file__).parents[2] / "conformance" / "report.md").read_text()
    text = text.partition("# Coverage")[2]
    documented = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    data = json.loads(json.dumps(coverage.as_data(table)))
    command = data["commands"][0]
    assert documented == {*data, *data["environments"][0], *command, *command["cells"][0]}


def test_page(table: Coverage) -> None:
    page = reports.coverage_as_html(table)
    parser = HTMLParser()
    parser.feed(page)
    for found in table.rows:
        assert f"<code>{found.command}</code>" in page
    assert not re.search(r"""(src|href)=["'](https?:)?//""", page)
