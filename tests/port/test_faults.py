"""A machine may do whatever it likes: there is one end, in time, and nothing is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_machine import Kernel, marked_processes

from xenport import port as ports
from xenport.port import Driver, Ended, Event, Limits, Line

Fake = Callable[[str], Driver]
pytestmark = pytest.mark.usefixtures("clean")

PATIENT = Limits(silence=60, total=120, output=1 << 20)
IMPATIENT = Limits(silence=1.5, total=3, output=1 << 20)


def run(
    driver: Driver, kernel: Kernel, log: Path, limits: Limits = PATIENT, line: str = "tests=0"
) -> list[Event]:
    with driver.boot("dom0", kernel, line, log, limits) as boot:
        return list(boot.events())


def end(events: list[Event]) -> Ended:
    """The end, which comes once and last."""
    *before, last = events
    assert isinstance(last, Ended)
    assert not any(isinstance(event, Ended) for event in before)
    return last


def lines(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.source, event.text) for event in events if isinstance(event, Line)]


@pytest.mark.parametrize(
    ("behaviour", "kind", "detail"),
    [
        ("exits", "exited", "qemu-system-x86_64 ended with status 1: qemu: no such machine"),
        ("quits", "exited", "qemu-system-x86_64 ended with status 0: Xen version 4.17"),
        ("shuts down", "exited", "SHUTDOWN guest-shutdown"),
        ("has a child", "exited", "ended with status 0"),
        ("hangs up", "exited", "control socket"),
        ("babbles", "exited", "control socket"),
        ("floods", "flood", "more than 1048576 bytes of console"),
        ("powers off", "poweroff", "Dom0 halted: halting machine"),
        ("resets", "reboot", "Dom0 shutdown: rebooting machine"),
        ("resets, but stays", "reboot", "Dom0 shutdown: rebooting machine"),
        ("panics", "crash", "Out of luck"),
    ],
)
def test_ends_by_itself(
    fake: Fake, kernel: Kernel, tmp_path: Path, behaviour: str, kind: str, detail: str
) -> None:
    began = time.monotonic()
    ended = end(run(fake(behaviour), kernel, tmp_path / "log"))
    assert ended.kind == kind
    assert detail in ended.detail
    assert "\n" not in ended.detail
    assert time.monotonic() - began < 20


def test_a_machine_that_sleeps_is_woken(fake: Fake, kernel: Kernel, tmp_path: Path) -> None:
    events = run(fake("sleeps"), kernel, tmp_path / "log")
    assert ("guest", "woken by system_wakeup") in lines(events)
    assert end(events).kind == "reboot"
    assert end(events).events == ("SUSPEND", "WAKEUP", "SHUTDOWN guest-reset")


def in_turn(driver: Driver, kernel: Kernel, log: Path, again: list[str]) -> list[tuple[str, str]]:
    """What was said by domains, and their ends."""
    others = [("built", words) for words in again]
    with driver.boot("built", kernel, "a", log, PATIENT, again=others) as boot:
        events = list(boot.events())
    told = [(one.kind, one.detail) if isinstance(one, Ended) else ("", one.text) for one in events]
    return [one for one in told if one[1] in ("one", "two", "three", "four") or one[0]]


def test_domains_follow_each_other(fake: Fake, kernel: Kernel, tmp_path: Path) -> None:
    driver = fake("builds domains")
    assert driver.shared("built") == driver.shared("other-kind") != driver.shared("other-machine")
    assert driver.shared("built") is not None and driver.shared("dom0") is None
    first = [("", "one"), ("poweroff", "gone: poweroff")]
    second = [("", "two"), ("crash", "gone: crash")]
    third = [("", "three"), ("poweroff", "gone: poweroff")]
    assert in_turn(driver, kernel, tmp_path / "log", []) == first
    assert in_turn(driver, kernel, tmp_path / "log", ["b"]) == first + second
    assert in_turn(driver, kernel, tmp_path / "log", ["b", "c"]) == first + second + third


def test_no_domain_follows_the_end_of_the_machine(
    fake: Fake, kernel: Kernel, tmp_path: Path
) -> None:
    assert in_turn(fake("panics"), kernel, tmp_path / "log", ["b"]) == [("crash", "Out of luck")]


def test_a_machine_may_start_again_once(fake: Fake, kernel: Kernel, tmp_path: Path) -> None:
    driver = fake("starts again")
    with driver.boot("dom0", kernel, "", tmp_path / "log", PATIENT, survives_reset=True) as boot:
        events = list(boot.events())
    assert ("guest", "may reset") in lines(events)
    assert ("guest", "left alone") in lines(events)
    assert ("guest", "told set-action") in lines(events)
    assert end(events).kind == "reboot"
    assert end(events).events[-2:] == ("RESET guest-reset", "SHUTDOWN guest-reset")


@pytest.mark.parametrize(
    ("behaviour", "detail"),
    [
        ("silent", "no line for 1.5 s"),
        ("stubborn", "no line for 1.5 s"),
        ("mute", "no line for 1.5 s"),
        ("closes its console", "no line for 1.5 s"),
        ("prints for ever", "no end within 3 s"),
        (
            "says it resets",
            "no line for 1.5 s (seen: Dom0 shutdown: rebooting machine;"
            " not seen: SHUTDOWN guest-reset)",
        ),
    ],
)
def test_ends_by_a_limit(
    fake: Fake, kernel: Kernel, tmp_path: Path, behaviour: str, detail: str
) -> None:
    began = time.monotonic()
    ended = end(run(fake(behaviour), kernel, tmp_path / "log", IMPATIENT))
    assert (ended.kind, ended.detail) == ("timeout", detail)
    assert ended.seconds < IMPATIENT.total + 2
    assert time.monotonic() - began < IMPATIENT.total + 10


def test_lines_and_log(fake: Fake, kernel: Kernel, tmp_path: Path) -> None:
    log = tmp_path / "log"
    events = run(fake("resets"), kernel, log)
    assert lines(events)[:2] == [("hypervisor", "Xen version 4.17"), ("guest", "hello from dom0")]
    assert lines(events)[-1] == ("guest", "last words")
    assert log.read_text().startswith("(XEN) Xen version 4.17\nhello from dom0\n")
    assert log.read_text().endswith("last words\n")
    seconds = [event.seconds for event in events]
    assert seconds == sorted(seconds)


def test_kernel_and_command_line_arrive(fake: Fake, kernel: Kernel, tmp_path: Path) -> None:
    text = [
        text for _, text in lines(run(fake("options"), kernel, tmp_path / "log", line="a=1,2 b"))
    ]
    options = next(line for line in text if line.startswith("["))
    assert '"-append", "console=com1 dom0=pv"' in options
    initrd = options.partition('"-initrd", "')[2].partition('"')[0]
    path, _, rest = initrd.partition(" ")
    assert rest == "a=1,,2 b"
    assert f"{path} {b'kernel'.hex()}" in text


def test_killed_from_outside(fake: Fake, kernel: Kernel, tmp_path: Path) -> None:
    events = []
    with fake("silent").boot("dom0", kernel, "", tmp_path / "log", PATIENT) as boot:
        for event in boot.events():
            events.append(event)
            if isinstance(event, Line) and event.text.startswith("# pid "):
                os.kill(int(event.text.removeprefix("# pid ")), signal.SIGKILL)
    ended = end(events)
    assert ended.kind == "killed"
    assert ended.detail == "qemu-system-x86_64 was ended by signal 9 (Killed)"
    assert ended.seconds < 30


def test_a_slow_reader_is_no_timeout(fake: Fake, kernel: Kernel, tmp_path: Path) -> None:
    with fake("powers off").boot("dom0", kernel, "", tmp_path / "log", IMPATIENT) as boot:
        events = boot.events()
        assert isinstance(next(events), Line)
        time.sleep(IMPATIENT.silence + 1)
        assert end(list(events)).kind == "poweroff"


def test_missing(port_file: Path, kernel: Kernel, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    events = run(ports.open(ports.load(port_file)), kernel, tmp_path / "log")
    assert end(events).kind == "missing"
    assert "qemu-system-x86" in end(events).detail
    assert (tmp_path / "log").read_bytes() == b""


def test_not_a_program(fake: Fake, kernel: Kernel, tmp_path: Path) -> None:
    driver = fake("silent")
    (tmp_path / "bin" / "qemu-system-x86_64").write_bytes(b"\0\1\2\3")
    ended = end(run(driver, kernel, tmp_path / "log"))
    assert ended.kind == "missing"
    assert "Exec format error" in ended.detail


@pytest.mark.parametrize("behaviour", ["silent", "stubborn", "floods", "mute"])
def test_left_early(fake: Fake, kernel: Kernel, tmp_path: Path, behaviour: str) -> None:
    began = time.monotonic()
    with (
        pytest.raises(KeyboardInterrupt),
        fake(behaviour).boot("dom0", kernel, "", tmp_path / "log", PATIENT) as boot,
    ):
        if behaviour != "mute":
            next(iter(boot.events()))
        raise KeyboardInterrupt
    assert time.monotonic() - began < 20


def test_interrupted_while_waiting(fake: Fake, kernel: Kernel, tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1)
        with pytest.raises(KeyboardInterrupt):
            run(fake("silent"), kernel, tmp_path / "log")
    finally:
        signal.signal(signal.SIGALRM, before)


def test_never_looked_at(fake: Fake, kernel: Kernel, tmp_path: Path) -> None:
    with fake("silent").boot("dom0", kernel, "", tmp_path / "log", PATIENT):
        pass


def test_no_log_folder(fake: Fake, kernel: Kernel, tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError),
        fake("silent").boot("dom0", kernel, "", tmp_path / "no" / "log", PATIENT),
    ):
        pass


RUNNER = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
sys.path.insert(0, sys.argv[1])
from fake_machine import Kernel
from xenport import port as ports
driver = ports.open(ports.load(Path(sys.argv[2])))
here = Path(sys.argv[2]).parent
with driver.boot("dom0", Kernel(here / "kernel.elf"), "", here / "log", ports.Limits()) as boot:
    for event in boot.events():
        print(event, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("behaviour", ["silent", "stubborn"])
def test_runner_killed(
    fake: Fake,
    kernel: Kernel,
    port_file: Path,
    clean: str,
    number: signal.Signals,
    behaviour: str,
) -> None:
    """The machine ends even if the runner has no time to see to it."""
    del kernel
    fake(behaviour)
    here = str(Path(__file__).parent)
    with subprocess.Popen(
        [sys.executable, "-c", RUNNER, here, str(port_file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as runner:
        assert runner.stdout is not None
        for line in runner.stdout:
            if "# pid " in line:
                break
        runner.send_signal(number)
        assert runner.wait(20) != 0
    until = time.monotonic() + 10
    while marked_processes(clean) and time.monotonic() < until:
        time.sleep(0.05)
