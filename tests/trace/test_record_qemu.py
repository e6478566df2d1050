"""Recording real Xen under QEMU."""

from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import xenport.abi
from xenport import cli, port as ports
from xenport.kernel import build
from xenport.port import emulator
from xenport.suite.plan import command_line
from xenport.trace import Record, read
from xenport.trace.decode import Decoder

CHOSEN = "evtchn_send_refused or event_of_ipi or shutdown_poweroff"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, ["trace", *map(str, arguments)])


def recorded(folder: Path, port: str, expression: str = CHOSEN) -> Path:
    path = folder / port
    result = run("record", "--port", port, "-k", expression, "-o", path)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == f"{path}: {len(read(path)):,} hypercalls"
    assert list(folder.iterdir()) == [path]
    return path


def check(path: Path, callers: dict[str, set[tuple[int | None, str]]]) -> dict[str, list[Record]]:
    """What holds of every recording; ``callers`` has the domains of each environment."""
    trace = read(path)
    abi = xenport.abi.load(trace.metadata.architecture, trace.metadata.release)
    decoder = Decoder(abi)
    boots: dict[str, list[Record]] = {}
    for number, one in enumerate(trace.records()):
        assert one.sequence == number
        assert one.number in abi.hypercall_by_number
        boots.setdefault(one.boot, []).append(one)
    assert {name.partition("/")[0] for name in boots} == callers.keys()
    console: Counter[str] = Counter()
    for name, records in boots.items():
        environment = name.partition("/")[0]
        assert {(one.domain, one.caller) for one in records} == callers[environment], name
        times = [one.time or 0 for one in records]
        assert times == sorted(times)
        last = {(one.domain, one.vcpu): one for one in records}  # the machine may end during it
        for one in records:
            if decoder.commands(one) == ["SCHEDOP_shutdown"]:
                assert (one.result, one.returned) == (None, None)
            elif one is not last[one.domain, one.vcpu]:
                assert one.returned is not None, decoder.call(one)
                assert one.returned >= (one.time or 0)
            for buffer in one.buffers:
                if buffer.name == "buffer" and one.result == 0:
                    console[environment] += (buffer.before or b"").count(b"ok ")
    assert console.keys() == callers.keys()
    return boots


def test_arm64(tmp_path: Path) -> None:
    path = recorded(
        tmp_path, "xen-4.17-arm64", f"({CHOSEN}) and not (gicv2 or domU32 or 1vcpu or 2cpu)"
    )
    boots = check(path, {"dom0": {(0, "arm")}, "domU": {(0, "arm"), (1, "arm")}})
    abi = xenport.abi.load("arm64", "4.17")
    found = 0
    for one in boots["dom0/tests-1"]:
        if one.number == 32 and one.arguments[0] == abi.constant("EVTCHNOP_bind_ipi"):
            [buffer] = one.buffers
            assert buffer.before is not None
            assert buffer.after is not None
            assert len(buffer.before) == abi.sizeof("evtchn_bind_ipi")
            if one.result == 0:
                assert abi.view("evtchn_bind_ipi", buffer.after).port > 0
                found += 1
    assert found
    said = run("show", path, "--where", "command == 'EVTCHNOP_send' and error == 'EINVAL'")
    assert "arg: evtchn_send {port=" in said.stdout


def test_x86_64(tmp_path: Path) -> None:
    """PV and HVM, as dom0 and as a domain that dom0 builds."""
    chosen = "(evtchn_send_refused or pv_mmu_update) and (pv64-dom0 or pvh64-domU) and not credit"
    path = recorded(tmp_path, "xen-4.17-amd64", chosen)
    boots = check(path, {"pv64-dom0": {(0, "pv")}, "pvh64-domU": {(0, "pv"), (1, "hvm")}})
    decoder = Decoder(xenport.abi.load("x86_64", "4.17"))
    calls = {
        (one.domain, name): one
        for one in boots["pvh64-domU/tests-1"]
        for name in decoder.commands(one)
    }
    assert "port -> " in str(list(decoder.memory(calls[1, "EVTCHNOP_alloc_unbound"])))
    # The fourth argument of a PV guest, in a register of its own.
    [mine] = {
        one.arguments[3]
        for one in boots["pv64-dom0/tests-1"]
        if decoder.commands(one) == ["MMUEXT_INVLPG_LOCAL"]
    }
    assert mine == decoder.abi.constant("DOMID_SELF")
    # Nested: the list of frames that dom0's request leads to.
    populate = calls[0, "XENMEM_populate_physmap"]
    [argument, frames] = populate.buffers
    assert (argument.name, frames.name) == ("arg", "arg.extent_start")
    assert frames.before
    assert any(
        one.continued and one.result is None
        for one in boots["pvh64-domU/tests-1"]
        if decoder.commands(one) == ["XENMEM_populate_physmap"]
    )


def test_guests_of_another_width_are_told(tmp_path: Path) -> None:
    path = tmp_path / "t"
    result = run(
        "record", "--port", "xen-4.17-arm64", "-k", "event_of_ipi and domU32 and not gicv2",
        "-o", path,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "hypercalls of guests of another width are left out" in result.stderr
    assert {one.domain for one in read(path).records()} == {0}


@pytest.mark.parametrize("port", ["xen-4.17-amd64", "xen-4.17-arm64"])
def test_a_kernel_of_the_users(tmp_path: Path, port: str) -> None:
    """Here it is the test kernel, told on its command line what to run."""
    described = ports.load(port)
    kernel = build(described.arch, described.release)
    [test] = [one for one in kernel.tests if one.name == "evtchn_send_refused"]
    (tmp_path / "disk").write_bytes(bytes(5000))
    path = tmp_path / "t"
    result = run(
        *("record", "--port", port, "--kernel", kernel.image(), "--initrd", tmp_path / "disk"),
        *("--append", command_line([test]), "--memory", "64", "--limit", "200", "-o", path),
    )
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert any(line.startswith("ok 1 evtchn_send_refused") for line in lines), lines
    assert lines[-2].startswith("poweroff after ")
    trace = read(path)
    assert lines[-1] == f"{path}: {len(trace):,} hypercalls"
    assert "as dom0" in trace.metadata.provenance
    assert {(one.domain, one.boot) for one in trace.records()} == {(0, "")}


def test_a_limit_of_time(tmp_path: Path) -> None:
    """What there was until then is a trace."""
    kernel = build(ports.load("xen-4.17-arm64").arch, "4.17")
    waits = [one for one in kernel.tests if one.name == "watchdog_set_again"]
    path = tmp_path / "t"
    result = run(
        *("record", "--port", "xen-4.17-arm64", "--kernel", kernel.image(), "--limit", "1"),
        *("--append", command_line(waits), "--memory", "64", "-o", path),
    )
    assert result.exit_code == 0, result.output
    assert "timeout after " in result.output
    assert read(path).metadata.architecture == "arm64"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--port", "model-arm64", "--kernel", __file__], "boots nothing but test kernels"),
        (["--port", "xen-4.17-arm64", "--kernel", __file__, "-k", "events"], "-k selects tests"),
        (["--port", "xen-4.17-arm64", "--append", "quiet"], "--append belongs to --kernel"),
        (
            ["--port", "xen-4.17-arm64", "--kernel", __file__, "--environment", "domU"],
            "xen-4.17-arm64/domU is not dom0",
        ),
    ],
)
def test_bad_guest(tmp_path: Path, options: list[str], message: str) -> None:
    result = run("record", *options, "-o", tmp_path / "t")
    assert (result.exit_code, message in result.stderr) == (2, True), result.output
    assert list(tmp_path.iterdir()) == []


def test_old_qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator.Emulator, "version", lambda _: "7.2.22")
    result = run("record", "--port", "xen-4.17-arm64", "-o", tmp_path / "t")
    assert (result.exit_code, result.stderr) == (
        2,
        "xenport: recording xen-4.17-arm64 needs QEMU 10; get it: xenport fetch qemu\n",
    )
    assert list(tmp_path.iterdir()) == []
