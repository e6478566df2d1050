"""The ppc64 adapter: entry, hypercalls, handles, exceptions, clocks.

What the processor does is the same on Unicorn and on a POWER9 that hosts the model: these tests
run on both.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterator

import fdt
import pytest
from ppc64_code import (
    BCTR,
    BEHIND_LOOK,
    BEHIND_MEMORY,
    CODE,
    CTR,
    DATA,
    DECREMENTER,
    IN_VECTOR,
    LOOK,
    MFSPR,
    MR_30_3,
    MTSPR,
    RFID,
    SC_0,
    SC_1,
    START,
    SUPERVISOR,
    UNDEFINED,
    Run,
    description,
    elf,
    hypercall,
    kernel,
    li,
    move,
    mtmsrd,
    set64,
)

from xenport.errors import InputError
from xenport.model.call import Call
from xenport.model.cpu.ppc64 import Ppc64Cpu
from xenport.model.cpu.ppc64_guest import MSR_EE, MSR_HV, MSR_ME, MSR_PR, MSR_SF
from xenport.model.hosted.host import Host
from xenport.port.hosted import machine

TIMEBASE = Ppc64Cpu.counter_frequency

Start = Callable[..., Run]


@pytest.fixture(params=["unicorn", "powernv9"])
def start(request: pytest.FixtureRequest) -> Iterator[Start]:
    """Makes a `Run` on one of the two processors."""
    if request.param == "unicorn":
        yield Run
    else:
        with machine("ppc64") as powernv:
            yield functools.partial(Run, host=Host(powernv))


# ---- Entry ----


def test_entry_state_is_that_of_the_domain_builder() -> None:
    run = Run(elf({CODE: LOOK}))
    assert run.registers("pc", "msr") == (CODE, 0)
    assert [run.gpr(n) for n in (1, 4, 5, 13)] == [0, CODE, 0, 0]
    assert {run.gpr(n) for n in (0, 2, 6, 12, 14, 31)} == {0x5555555555555555}
    assert run.domain.memory.read(run.gpr(3), 4).hex() == "d00dfeed"


def test_device_tree() -> None:
    run = Run(elf({CODE: LOOK}), command_line="tests=1")
    memory = run.domain.memory
    start = run.gpr(3)
    size = int.from_bytes(memory.read(start + 4, 4), "big")
    tree = fdt.parse_dtb(memory.read(start, size))

    def words(path: str, name: str) -> list[int]:
        return list(tree.get_property(name, path).data)

    assert tree.get_property("bootargs", "/chosen").value == "tests=1"
    assert words("/memory@0", "reg") == [0, 0, 0, 64 << 20]
    assert words("/xen", "reg") == [0, run.domain.id, 0, 0]
    assert words("/xen", "shared-info") == [0, (64 << 20) - 4096, 0, 4096]
    assert words("/xen/console", "reg") == [0, (64 << 20) - 2 * 4096, 0, 4096]
    assert words("/xen/store", "reg") == [0, (64 << 20) - 3 * 4096, 0, 4096]
    assert words("/cpus/PowerPC,970@0", "timebase-frequency") == [TIMEBASE]
    assert words("/chosen", "interrupt-controller") == words("/xen", "linux,phandle")
    reserved = {entry["address"] for entry in tree.entries}
    assert reserved == {(64 << 20) - n * 4096 for n in (1, 2, 3)}


def test_shared_info_is_the_last_page() -> None:
    run = Run(elf({CODE: LOOK}))
    domain = run.domain
    domain.shared_info.data[100] = 0x77
    assert domain.memory.read((64 << 20) - 4096 + 100, 1) == b"\x77"


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (b"", "not an ELF file for 64-bit big-endian PowerPC"),
        (b"\x7fELF\x02\x01\x01".ljust(64, b"\0"), "not an ELF file for 64-bit big-endian PowerPC"),
        (elf({CODE: LOOK}).replace(b"\0\x15", b"\0\x16", 1), "not an ELF file for 64-bit"),
        (elf({CODE: LOOK})[:70], "not an ELF executable"),
        (elf({}), "no segment to load"),
        (elf({(64 << 20) - 16384: LOOK}), "there is room up to"),
    ],
)
def test_images_that_are_no_kernel(image: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Run(image)


# ---- Hypercalls ----


def test_arguments_and_result(start: Start) -> None:
    seen: list[list[int]] = []

    def look(call: Call) -> None:
        seen.append(list(call.args))

    code = [li(5, -5), li(6, 6), li(7, 7), li(8, 8), *hypercall(17, 0)]
    run = start(kernel(*code), look).to_the_end()
    assert seen == [[0, (1 << 64) - 5, 6, 7, 8]]
    assert run.gpr(3) == 0


@pytest.mark.parametrize(
    ("number", "result"),
    [
        (0xFFFFFFFFFFFF0000 | 16, -38),  # a hole in the table
        (0xFFFFFFFFFFFFFFFF, -38),
        (0x58, -4),  # PAPR
        (17, -4),  # the mark is missing
        (0x7FFFFFFFFFFF0011, -4),  # a part of it is
    ],
)
def test_refused_numbers(start: Start, number: int, result: int) -> None:
    run = start(kernel(*set64(3, number), li(4, 0), SC_1, MR_30_3, *LOOK)).to_the_end()
    assert run.gpr(30) == result & 0xFFFFFFFFFFFFFFFF


@pytest.mark.parametrize(
    ("code", "place"),
    [(LOOK, 0x9000000000000000 + DATA + BEHIND_LOOK), ([0x7FE00008], 0x700 + IN_VECTOR)],
)
def test_high_bits_of_a_real_address_do_not_count(code: list[int], place: int) -> None:
    run = Run(kernel(*set64(4, 0x9000000000000000 | DATA), move(MTSPR, CTR, 4), BCTR))
    run.domain.memory.write(DATA, b"".join(word.to_bytes(4, "big") for word in code))
    assert run.to_the_end().pc == place


def test_problem_state_may_not_call() -> None:
    cpu = Run(elf({CODE: LOOK})).cpu
    assert cpu._refused(0xFFFFFFFFFFFF0011, MSR_PR) == -1
    assert cpu._refused(0x58, MSR_PR) == -3


# ---- Handles ----


@pytest.fixture
def guest() -> Run:
    return Run(elf({CODE: LOOK}))


def describe(run: Run, at: int, *addresses: int, magic: int = 0x58434F4D) -> None:
    content = struct.pack(f">II{len(addresses)}Q", magic, len(addresses), *addresses)
    run.domain.memory.write(at, content)


def test_inline_handle(guest: Run) -> None:
    assert guest.cpu.translate(1 << 63 | 0x1234, 0x10000, False) == 0x11234


def test_descriptor_lists_pages(guest: Run) -> None:
    describe(guest, DATA, 0x10FFC, (1 << 64) - 1, 0x20000, 0x30008)
    places = [guest.cpu.translate(DATA, offset, True) for offset in (0, 3, 4, 4099, 4100, 8187)]
    assert places == [0x10FFC, 0x10FFF, 0x20000, 0x20FFF, 0x30008, 0x30FFF]
    assert guest.cpu.translate(DATA, 8188, True) is None


def test_descriptors_that_are_none(guest: Run) -> None:
    describe(guest, DATA, 0x10000, magic=0x58434F4E)
    describe(guest, DATA + 100, 0x10000)
    for handle in (0, DATA, DATA + 100, 64 << 20, (1 << 62) + 8):
        assert guest.cpu.translate(handle, 0, False) is None


def test_descriptor_that_runs_out_of_memory(guest: Run) -> None:
    end = guest.domain.memory.size
    guest.domain.memory.write(end - 8, struct.pack(">II", 0x58434F4D, 5))
    assert guest.cpu.translate(end - 8, 0, False) is None


# ---- Exceptions ----


@pytest.mark.parametrize(
    ("instruction", "vector", "reason"),
    [
        (UNDEFINED, 0x700, 0x80000),
        (move(MFSPR, 318, 5), 0x700, 0x40000),  # LPCR is the hypervisor's
        (0x7FE00008, 0x700, 0x20000),  # trap
        (0x0FE50000, 0x700, 0x20000),  # twi 31, r5, 0
        (0xFC00002A, 0x800, 0),  # fadd
        (0x10000000, 0xF20, 0),  # vaddubm
    ],
)
def test_exceptions_of_instructions(
    start: Start, instruction: int, vector: int, reason: int
) -> None:
    run = start(kernel(li(5, 0), instruction)).to_the_end()
    assert run.interrupted == (START + 4, SUPERVISOR | reason)
    assert run.gpr(22) | MSR_ME == MSR_SF | MSR_ME
    assert run.pc == vector + IN_VECTOR


@pytest.mark.parametrize(
    ("instruction", "status"), [(0xE8A40000, 0x08000000), (0xF8A40000, 0x0A000000)]
)
def test_data_behind_memory(start: Start, instruction: int, status: int) -> None:
    run = start(kernel(*set64(4, BEHIND_MEMORY), instruction)).to_the_end()
    assert run.interrupted == (START + 4 * 5, SUPERVISOR)
    assert run.registers("dar", "dsisr") == (BEHIND_MEMORY, status)
    assert run.pc == 0x300 + IN_VECTOR


def test_code_behind_memory(start: Start) -> None:
    run = start(kernel(*set64(4, BEHIND_MEMORY), move(MTSPR, CTR, 4), BCTR)).to_the_end()
    assert run.interrupted == (BEHIND_MEMORY, SUPERVISOR | 0x08000000)
    assert run.pc == 0x400 + IN_VECTOR


def test_system_call_of_the_guest_returns_behind_it(start: Start) -> None:
    run = start(kernel(SC_0)).to_the_end()
    assert run.interrupted[0] == START + 4
    assert run.pc == 0xC00 + IN_VECTOR


def test_the_same_exception_a_thousand_times(start: Start) -> None:
    step_over = [move(MFSPR, 26, 10), 0x394A0004, move(MTSPR, 26, 10), RFID]
    loop = [*set64(9, SUPERVISOR), mtmsrd(9), li(4, 1000), move(MTSPR, CTR, 4)]
    loop += [UNDEFINED, 0x4200FFFC, *LOOK]  # bdnz back
    run = start(elf({0x700: step_over, CODE: loop})).to_the_end()
    assert run.looks == 1


def test_an_exception_nobody_knows_ends_the_domain(guest: Run) -> None:
    guest.cpu._take(47)
    assert guest.domain.is_shut_down
    assert "exception 47" in guest.machine.hypervisor.diagnostics[0]


# ---- Events ----


@pytest.mark.parametrize("masked", [False, True])
def test_an_event_is_an_external_interrupt(start: Start, masked: bool) -> None:
    places: list[int] = []

    def look(call: Call) -> None:
        if not places:
            call.vcpu.upcall_masked = masked  # has no meaning here
            call.vcpu.mark_events_pending()
        places.append(run.pc)

    run = start(kernel(*LOOK, *LOOK, msr=SUPERVISOR | MSR_EE), look, looks=2)
    run.to_the_end()
    assert places == [START + BEHIND_LOOK, 0x500 + IN_VECTOR]
    assert run.interrupted == (places[0], SUPERVISOR | MSR_EE)


def test_an_event_waits_for_interrupts_to_be_on(start: Start) -> None:
    places: list[int] = []

    def look(call: Call) -> None:
        call.vcpu.mark_events_pending()
        places.append(run.pc)

    run = start(kernel(*LOOK, *LOOK), look, looks=2)
    run.to_the_end()
    assert places == [START + BEHIND_LOOK, START + 2 * BEHIND_LOOK]


def test_an_event_that_cannot_be_returned_from_stops_xen(start: Start) -> None:
    run = start(
        kernel(*LOOK, *LOOK, msr=MSR_SF | MSR_ME | MSR_EE),
        lambda call: call.vcpu.mark_events_pending(),
        looks=2,
    )
    assert run.machine.run().kind == "crash"
    assert "MSR[RI]" in run.machine.hypervisor.diagnostics[0]


# ---- Timebase and decrementer ----


@pytest.mark.parametrize("number", [0x42A6, 0x42E6])  # mfspr, mftb
def test_timebase_is_virtual_time(number: int) -> None:
    run = Run(kernel(0x7C6C0000 | number, MR_30_3, 0x7C6C0000 | number, *LOOK))
    run.machine.hypervisor.clock.now = 5_000_000_000
    run.to_the_end()
    ticks = 5 * TIMEBASE
    assert ticks < run.gpr(30) < ticks + 1000


def test_upper_half_of_the_timebase() -> None:
    run = Run(kernel(move(MFSPR, 269, 30), *LOOK))
    run.machine.hypervisor.clock.now = 3 * (1 << 32) * 1_000_000_000 // TIMEBASE
    run.to_the_end()
    assert run.gpr(30) == 3


def test_decrementer_interrupts_when_it_becomes_negative(start: Start) -> None:
    wait = [move(MFSPR, 268, 31), 0x4BFFFFFC]  # read the timebase, branch back
    code = [li(5, 1000), move(MFSPR, 268, 30), move(MTSPR, DECREMENTER, 5), *wait]
    run = start(kernel(*code, msr=SUPERVISOR | MSR_EE)).to_the_end()
    assert run.pc == 0x900 + IN_VECTOR
    assert run.gpr(31) - run.gpr(30) >= 1001


def test_decrementer_counts_down() -> None:
    code = [li(5, 5000), move(MTSPR, DECREMENTER, 5), move(MFSPR, DECREMENTER, 30), *LOOK]
    run = Run(kernel(*code)).to_the_end()
    assert 4900 < run.gpr(30) < 5000


def test_timers_of_xen_make_the_decrementer_run_out(start: Start) -> None:
    def look(call: Call) -> None:
        call.vcpu.singleshot_timer.set(call.hypervisor.clock.now)

    run = start(kernel(*LOOK, *LOOK, msr=SUPERVISOR | MSR_EE), look, looks=2).to_the_end()
    assert run.pc == 0x900 + IN_VECTOR


# ---- Further vcpus ----


def test_context_of_a_vcpu(guest: Run) -> None:
    context = description().view("vcpu_guest_context", bytearray(360))
    for number in range(32):
        context.user_regs.gprs[number] = 1000 + number
    context.user_regs.pc = CODE
    context.user_regs.msr = SUPERVISOR | MSR_HV
    context.user_regs.srr0 = 77
    context.user_regs.cr = 0x12345678
    cpu = guest.domain.vcpus[1].cpu
    assert isinstance(cpu, Ppc64Cpu)
    cpu.set_context(context)
    assert [cpu.get(name) for name in ("r0", "r31", "cr")] == [1000, 1031, 0x12345678]
    assert [cpu.get(name) for name in ("pc", "msr", "srr0")] == [CODE, SUPERVISOR, 77]
