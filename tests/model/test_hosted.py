"""The machine that hosts the model: its mailbox, memory and time."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ppc64_code import (
    CODE,
    LOOK,
    MFSPR,
    SC_1,
    SUPERVISOR,
    Run,
    elf,
    kernel,
    li,
    move,
    mtmsrd,
    set64,
)

from xenport import architecture
from xenport.errors import InputError
from xenport.model.call import Call
from xenport.model.cpu.ppc64_guest import MSR_HV
from xenport.model.errors import ModelError
from xenport.model.hosted.clock import RealClock
from xenport.model.hosted.cpu import HostedCpu, cpu_class
from xenport.model.hosted.host import Host
from xenport.model.hosted.machine import HostedMachine, Space
from xenport.model.hosted.mailbox import SPACES, Exit, header
from xenport.model.hosted.ram import Ram
from xenport.model.memory import PAGE_SIZE, Buffer, Memory, Page
from xenport.port.hosted import machine

LARGE = 2 << 20


@pytest.fixture
def powernv() -> Iterator[HostedMachine]:
    with machine("ppc64") as started:
        yield started


# ---- Memory ----


@pytest.fixture
def ram() -> Iterator[Ram]:
    descriptor = os.memfd_create("test")
    yield Ram(descriptor, 16 << 20, 1 << 20)
    os.close(descriptor)


def test_a_buffer_stays_where_it_is_when_it_is_adopted(ram: Ram) -> None:
    buffer = Buffer(3 << 20)
    view = buffer.data[LARGE:]
    view[:5] = b"hello"
    address = ram.adopt(buffer)
    assert address % LARGE == 0
    assert ram.data[address + LARGE : address + LARGE + 5] == b"hello"
    view[5] = 0x21
    ram.data[address] = 7
    assert ram.data[address + LARGE + 5] == 0x21
    assert buffer.data[0] == 7
    assert ram.adopt(buffer) == address


def test_a_window_of_a_buffer_is_where_the_buffer_is(ram: Ram) -> None:
    memory = Memory(0, LARGE)
    address = ram.adopt(memory.ram)
    assert ram.adopt(memory.window(3)) == address + 3 * PAGE_SIZE
    assert ram.adopt(memory.window(0)) == address
    other = ram.adopt(Page())
    assert not address <= other < address + LARGE


def test_pieces_do_not_overlap(ram: Ram) -> None:
    taken = sorted((ram.allocate(size), size) for size in (8, PAGE_SIZE, LARGE, 3 * PAGE_SIZE, 1))
    assert taken[0][0] >= 1 << 20
    assert all(one + size <= other for (one, size), (other, _) in itertools.pairwise(taken))


def test_memory_that_is_used_up(ram: Ram) -> None:
    with pytest.raises(ModelError, match="16 MiB are used up"):
        ram.allocate(16 << 20)


# ---- What the guest sees of it ----


LOAD = 0xE8840000  # ld r4, 0(r4)
STORE = 0xF8640000  # std r3, 0(r4)


def reader(address: int) -> list[int]:
    """Reads a word there, and calls with it in r4."""
    return [*set64(9, SUPERVISOR), mtmsrd(9), *set64(4, address), LOAD, SC_1, 0x48000000]


def writer(address: int) -> list[int]:
    """Writes r3 there, and calls."""
    return [*set64(9, SUPERVISOR), mtmsrd(9), *set64(4, address), STORE, SC_1, 0x48000000]


def code_of(words: list[int]) -> bytes:
    """The instructions as they are in memory."""
    return b"".join(word.to_bytes(4, "big") for word in words)


class Bare:
    """A vcpu without a domain, in memory of its own."""

    def __init__(self, machine: HostedMachine, code: list[int]) -> None:
        self.machine = machine
        self.memory = Memory(0, 4 << 20)
        self.memory.write(CODE, code_of(code))
        self.space = Space(machine, self.memory)
        self.registers = machine.ram.allocate(PAGE_SIZE)
        self.set("pc", CODE)
        self.set("decrementer_end", (1 << 63) - 1)

    def set(self, name: str, value: int) -> None:
        at = self.registers + self.machine.offsets[name]
        self.machine.ram.data[at : at + 8] = value.to_bytes(8, "big")

    def get(self, name: str) -> int:
        at = self.registers + self.machine.offsets[name]
        return int.from_bytes(self.machine.ram.data[at : at + 8], "big")

    def run(self) -> int:
        reason = Exit.DEADLINE
        while reason == Exit.DEADLINE:
            reason = Exit(self.machine.run(self.space.number, self.registers, little_endian=False))
        return reason


def test_changes_of_memory_are_seen_at_once(powernv: HostedMachine) -> None:
    address = LARGE + 5 * PAGE_SIZE + 8  # within a large page
    guest = Bare(powernv, reader(address))
    guest.memory.write(address, (11).to_bytes(8, "big"))

    def read() -> int:
        guest.set("pc", CODE)
        reason = guest.run()
        return guest.get("r4") if reason == Exit.CALL else -reason

    assert read() == 11
    page = Page()
    page.data[8:16] = (22).to_bytes(8, "big")
    guest.memory.replace(address // PAGE_SIZE, page)
    assert read() == 22
    page.data[8:16] = (23).to_bytes(8, "big")
    assert read() == 23
    guest.memory.replace(address // PAGE_SIZE, None)
    assert read() == -Exit.MEMORY
    assert (powernv.address, powernv.access) == (address, 1)
    guest.memory.restore(address // PAGE_SIZE)
    assert read() == 11
    guest.memory.replace(1 << 30, page)
    assert read() == 11


def test_a_page_that_may_only_be_read(powernv: HostedMachine) -> None:
    """It is another guest's, who goes on writing it."""
    address = LARGE + PAGE_SIZE
    owner = Bare(powernv, writer(LARGE))
    guest = Bare(powernv, reader(address))
    elsewhere = CODE + PAGE_SIZE
    guest.memory.write(elsewhere, code_of(writer(address)))
    guest.memory.replace(
        address // PAGE_SIZE, owner.memory.window(LARGE // PAGE_SIZE, read_only=True)
    )
    owner.set("r3", 7)
    assert owner.run() == Exit.CALL
    assert guest.run() == Exit.CALL
    assert guest.get("r4") == 7

    guest.set("pc", elsewhere)
    guest.set("r3", 8)
    assert guest.run() == Exit.MEMORY
    assert (powernv.address, powernv.access) == (address, 2)
    assert owner.memory.read(LARGE, 8) == (7).to_bytes(8, "big")
    guest.memory.replace(address // PAGE_SIZE, owner.memory.window(LARGE // PAGE_SIZE))
    assert guest.run() == Exit.CALL
    assert owner.memory.read(LARGE, 8) == (8).to_bytes(8, "big")


def test_guests_do_not_see_each_other(powernv: HostedMachine) -> None:
    guests = [Bare(powernv, reader(LARGE)) for _ in range(SPACES)]
    for number, guest in enumerate(guests):
        guest.memory.write(LARGE, (number + 1).to_bytes(8, "big"))
    for _ in range(2):
        for number, guest in enumerate(guests):
            guest.set("pc", CODE)
            assert guest.run() == Exit.CALL
            assert guest.get("r4") == number + 1
    with pytest.raises(ModelError, match=f"room for {SPACES} guests"):
        powernv.new_space()


def test_tables_that_are_used_up(powernv: HostedMachine) -> None:
    space, page = powernv.new_space(), Page()
    with pytest.raises(ModelError, match="MAP with NO_ROOM"):
        for number in range(2000):
            powernv.map(space, number << 30, PAGE_SIZE, page, 0)


def test_a_shim_that_is_interrupted_itself(powernv: HostedMachine) -> None:
    guest = Bare(powernv, [])
    guest.set("msr", SUPERVISOR | MSR_HV)  # and so the guest is the shim
    guest.set("pc", powernv.ram.allocate(PAGE_SIZE))  # no instructions there
    with pytest.raises(ModelError, match=r"the shim was interrupted by vector 0x[e7]"):
        guest.run()


# ---- Time ----


def test_real_time_is_never_behind_the_counter() -> None:
    clock = RealClock(1000)
    assert clock.now == 0
    clock.seen(5000)
    assert clock.now >= 5_000_000_000
    clock.seen(4000)  # seen late
    assert clock.now >= 5_000_000_000
    clock.seen(7000)
    assert clock.now >= 7_000_000_000
    assert clock.counter_at(7_000_000_001) == 7001


def test_a_jump_waits_for_the_timer() -> None:
    clock = RealClock(512_000_000)
    clock.seen(0)
    fired: list[int] = []
    assert not clock.jump()
    clock.timer(lambda: fired.append(clock.now)).set(clock.now + 20_000_000)
    begun = time.monotonic()
    assert clock.jump()
    assert time.monotonic() - begun >= 0.02
    assert len(fired) == 1 and not clock.has_timer()


def test_a_decrementer_that_ran_out_long_ago_stays_so(powernv: HostedMachine) -> None:
    """Five seconds after the start, the smallest value would be a large one a tick later."""
    code = [
        *set64(9, SUPERVISOR),
        mtmsrd(9),
        *(SC_1, move(MFSPR, 22, 3)),  # the decrementer, after the shim has set it again
        *(SC_1, 0x48000000),
    ]
    guest = Bare(powernv, code)
    time.sleep(max(0.0, 5.0 - powernv.clock.now / 1e9))
    assert guest.run() == Exit.CALL
    guest.set("decrementer_end", 0)
    assert guest.run() == Exit.CALL
    assert guest.get("r3") >> 31 & 1


def test_a_timer_of_the_model_interrupts_a_guest_that_never_calls(powernv: HostedMachine) -> None:
    def look(call: Call) -> None:
        clock = call.hypervisor.clock
        timer = clock.timer(lambda: call.domain.shut_down(0))
        timer.set(clock.now + 5_000_000)

    loop = [*LOOK, 0x48000000]
    Run(kernel(*loop), look, looks=2, host=Host(powernv)).to_the_end()


# ---- Descriptions ----


def test_header_lists_registers_in_order() -> None:
    text = header(["pc", "r0"])
    assert ".set REGISTER_r0, 8" in text and ".set REGISTERS_SIZE, 16" in text
    assert text.index("uint64_t pc;") < text.index("uint64_t r0;")


def test_guests_that_cannot_be_hosted(powernv: HostedMachine) -> None:
    with pytest.raises(InputError, match="x86_64 has no shim"):
        cpu_class(architecture.load("x86_64"), "pv", powernv)
    with pytest.raises(InputError, match="no 'pv' guests can be hosted on ppc64; there are ppc"):
        cpu_class(architecture.load("ppc64"), "pv", powernv)


def test_the_guests_side_may_be_in_the_folder_of_the_architecture(
    powernv: HostedMachine, tmp_path: Path
) -> None:
    (tmp_path / "ppc").mkdir()
    (tmp_path / "ppc" / "guest.py").write_text(
        "from xenport.model.cpu.ppc64_guest import Ppc64Guest\nGUESTS = {'own': Ppc64Guest}\n"
    )
    text = architecture.load("ppc64")._path.read_text()
    path = tmp_path / "ppc" / "ppc64.yaml"
    path.write_text(text.replace("guest: ppc64_guest", "guest: guest.py"))
    assert issubclass(cpu_class(architecture.read(path), "own", powernv), HostedCpu)
    (tmp_path / "ppc" / "guest.py").unlink()
    with pytest.raises(InputError, match=r"guest\.py: there is no such file"):
        cpu_class(architecture.read(path), "own", powernv)


def test_machine_of_an_architecture_without_one() -> None:
    with pytest.raises(InputError, match="arm64 has no shim"), machine("arm64"):
        pass


def test_sleeping_and_spinning_vcpus_take_turns(powernv: HostedMachine) -> None:
    """A vcpu that waits for another by looking at memory does not keep the other from running."""
    flag = 0x7000
    wait = [*set64(4, flag), 0xE8A40000, 0x2C250000, 0x41820000 | 0xFFF8, *LOOK]  # until it is set
    set_flag = [*set64(4, flag), li(5, 1), 0xF8A40000, 0x48000000]
    image = elf({CODE: [*set64(9, SUPERVISOR), mtmsrd(9), *wait], 0x5000: set_flag})
    run = Run(image, host=Host(powernv))
    other = run.domain.vcpus[1]
    other.cpu.set("pc", 0x5000)  # type: ignore[attr-defined]
    other.cpu.set("msr", SUPERVISOR)  # type: ignore[attr-defined]
    other.up()
    run.to_the_end()
