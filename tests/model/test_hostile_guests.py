"""Guests of a hosting machine that do the worst they can: each boot ends with a verdict in time."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from ppc64_code import (
    BCTR,
    BEHIND_MEMORY,
    CODE,
    CTR,
    MFSPR,
    MTSPR,
    RFID,
    SC_1,
    SUPERVISOR,
    elf,
    hypercall,
    li,
    move,
    mtmsrd,
    set64,
)

from xenport import port as ports
from xenport.model.cpu.ppc64_guest import MSR_DR, MSR_EE, MSR_IR, MSR_PR
from xenport.port import Ended, Limits

SILENCE = 1.5  # seconds
LOOP = 0x48000000
MSGSNDP = 0x7C00011C | 3 << 11
POWER_SAVE = 855  # SPR: how `stop` sleeps
PROCESS_ID = 48
CRASH, POWER_OFF = 3, 0
SHUTDOWN_ARGUMENT = 0x2000


@dataclass(frozen=True)
class Image:
    """A kernel's file."""

    elf: Path

    def image(self) -> Path:
        return self.elf


def supervisor(*code: int, msr: int = SUPERVISOR) -> list[int]:
    return [*set64(9, msr), mtmsrd(9), *code]


def rfid_to(address: int, msr: int) -> list[int]:
    """Continue there in another state."""
    return [
        *(*set64(4, address), move(MTSPR, 26, 4)),
        *(*set64(4, msr), move(MTSPR, 27, 4)),
        RFID,
    ]


#: SCHEDOP_shutdown with an argument at a place that holds it.
SHUTDOWN = hypercall(29, 2, 1 << 63 | SHUTDOWN_ARGUMENT)

GUESTS: dict[str, tuple[dict[int, list[int]], str, str]] = {
    "jumps into nowhere, and has no vectors": (
        {CODE: supervisor(*set64(4, BEHIND_MEMORY), move(MTSPR, CTR, 4), BCTR)},
        "timeout",
        "no line for",
    ),
    "loops with interrupts off": ({CODE: supervisor(LOOP)}, "timeout", "no line for"),
    "loops with interrupts on": (
        {CODE: supervisor(LOOP, msr=SUPERVISOR | MSR_EE)},
        "timeout",
        "no line for",
    ),
    "loops in problem state": (
        {CODE: rfid_to(0x5000, SUPERVISOR | MSR_PR), 0x5000: [LOOP]},
        "timeout",
        "no line for",
    ),
    "calls for ever": (
        {CODE: supervisor(*set64(3, 0x58), SC_1, LOOP - 24 & 0x03FFFFFC | LOOP)},
        "timeout",
        "no line for",
    ),
    "writes outside its memory, everywhere": (
        {
            0x300: [0x38840000 + 0x1000, move(MTSPR, 26, 5), RFID],  # the next page, try again
            CODE: supervisor(*set64(4, 1 << 26), *set64(5, 0x6000), *rfid_to(0x6000, SUPERVISOR)),
            0x6000: [0xF8640000],
        },
        "timeout",
        "no line for",
    ),
    "leaves by a way that nobody knows": (
        {CODE: supervisor(li(3, 0), MSGSNDP, LOOP)},
        "crash",
        "which the shim does not know, at 0x",
    ),
    "says that it has crashed": (
        {CODE: supervisor(*SHUTDOWN, LOOP), SHUTDOWN_ARGUMENT: [CRASH]},
        "crash",
        "",
    ),
}


@pytest.mark.parametrize("behaviour", GUESTS)
def test_ends_with_a_verdict(behaviour: str, tmp_path: Path) -> None:
    segments, kind, detail = GUESTS[behaviour]
    silence = SILENCE if kind == "timeout" else 20
    ended, seconds = boot(segments, tmp_path, silence)
    assert (ended.kind, detail in ended.detail) == (kind, True), ended
    assert seconds < silence + 5


@pytest.mark.parametrize(
    "registers",
    [
        {POWER_SAVE: (1 << 64) - 1, PROCESS_ID: 77, 9: 1, 1: (1 << 64) - 1},
        {26: (1 << 64) - 1, 27: (1 << 64) - 1, 272: 5, 273: 6, 22: 0},
    ],
)
def test_what_it_writes_into_registers_is_its_own_business(
    registers: dict[int, int], tmp_path: Path
) -> None:
    """It sleeps long enough for the shim to sleep too."""
    writes = [
        word
        for number, value in registers.items()
        for word in (*set64(4, value), move(MTSPR, number, 4))
    ]
    skip = [move(MFSPR, 26, 5), 0x38A50004, move(MTSPR, 26, 5), RFID]
    poll = hypercall(29, 3, 1 << 63 | 0x2100)
    segments = {
        0x700: skip,
        0x900: [*set64(5, 0x7FFFFFFF), move(MTSPR, 22, 5), RFID],
        CODE: supervisor(*writes, *poll, *SHUTDOWN, LOOP),
        SHUTDOWN_ARGUMENT: [POWER_OFF],
        0x2100: [0, 0, 0, 0, 0, 1_000_000_000],  # no ports; until a second after the start
    }
    ended, _ = boot(segments, tmp_path)
    assert ended.kind == "poweroff", ended


@pytest.mark.parametrize("bits", [MSR_IR, MSR_DR, MSR_IR | MSR_DR, 1])
def test_translation_and_byte_order_that_it_has_no_use_for(bits: int, tmp_path: Path) -> None:
    """It ends in a fault of its own, or goes on."""
    vectors = {vector: [*SHUTDOWN, LOOP] for vector in (0x300, 0x400, 0x700)}
    segments = {
        **vectors,
        CODE: rfid_to(0x5000, SUPERVISOR | bits),
        0x5000: [*SHUTDOWN, LOOP],
        SHUTDOWN_ARGUMENT: [POWER_OFF],
    }
    ended, _ = boot(segments, tmp_path)
    assert ended.kind == "poweroff", ended


def test_a_machine_that_is_killed(tmp_path: Path) -> None:
    """The verdict says that the machine is gone, and does not wait for it."""
    image = tmp_path / "kernel"
    image.write_bytes(elf({CODE: supervisor(LOOP)}))
    begun = time.monotonic()
    driver = ports.open(ports.load("ppc64-powernv"))
    with driver.boot("domU", Image(image), "", tmp_path / "log", Limits(silence=20)) as running:
        os.kill(machine_below(os.getpid()), signal.SIGKILL)
        *_, ended = running.events()
    assert isinstance(ended, Ended)
    assert ended.kind == "exited" and "qemu-system-ppc64 ended" in ended.detail
    assert time.monotonic() - begun < 10


def machine_below(ancestor: int) -> int:
    """The QEMU that was started somewhere below a process."""
    for _ in range(200):
        parents = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                pid, name, _, parent = stat.read_text().split()[:4]
                parents[int(pid)] = (name, int(parent))
        for pid, (name, parent) in parents.items():
            grandparent = parents.get(parent, ("", 0))[1]
            if name.startswith("(qemu-system-ppc") and grandparent == ancestor:
                return pid
        time.sleep(0.05)
    raise AssertionError("no machine was started")


def boot(segments: dict[int, list[int]], folder: Path, silence: float = 20) -> tuple[Ended, float]:
    """How the boot of such a guest ended, and the seconds it took."""
    image = folder / "kernel"
    image.write_bytes(elf(segments))
    begun = time.monotonic()
    driver = ports.open(ports.load("ppc64-powernv"))
    limits = Limits(silence=silence, total=40)
    with driver.boot("domU", Image(image), "", folder / "log", limits) as running:
        *_, ended = running.events()
    assert isinstance(ended, Ended)
    return ended, time.monotonic() - begun
