"""The ppc64 adapter: entry, hypercalls, handles, exceptions, clocks.

Guests are a few instructions, assembled here: each ends in a hypercall (XENVER_version) whose
handler is replaced by one that looks at the processor and ends the domain.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable

import fdt
import pytest
from unicorn import ppc_const

import xenport.abi
import xenport.architecture
from xenport.errors import InputError
from xenport.model.call import Call
from xenport.model.cpu.ppc64 import Ppc64Cpu
from xenport.model.cpu.ppc64_core import SPR_DAR, SPR_DSISR, SPR_SRR0, SPR_SRR1
from xenport.model.cpu.ppc64_guest import MSR_EE, MSR_HV, MSR_ME, MSR_PR, MSR_RI, MSR_SF
from xenport.model.machine import End, Guest, Machine

CODE = 0x4000
DATA = 0x6000
BEHIND_MEMORY = 1 << 32
TIMEBASE = Ppc64Cpu.counter_frequency

SC_0, SC_1 = 0x44000002, 0x44000022
UNDEFINED = 0
RFID = 0x4C000024
BCTR = 0x4E800420
MR_30_3 = 0x7C7E1B78
MFSPR, MTSPR = 339, 467
CTR, DECREMENTER = 9, 22


def li(register: int, value: int) -> int:
    """``value`` is a signed 16-bit number."""
    return 0x38000000 | register << 21 | value & 0xFFFF


def set64(register: int, value: int) -> list[int]:
    """Instructions that load a 64-bit number."""
    parts = [value >> shift & 0xFFFF for shift in (48, 32, 16, 0)]
    pair = register << 21 | register << 16
    return [
        0x3C000000 | register << 21 | parts[0],  # lis
        0x60000000 | pair | parts[1],  # ori
        0x780007C6 | pair,  # sldi 32
        0x64000000 | pair | parts[2],  # oris
        0x60000000 | pair | parts[3],  # ori
    ]


def move(opcode: int, number: int, register: int) -> int:
    """MFSPR or MTSPR."""
    return 31 << 26 | register << 21 | (number & 31) << 16 | number >> 5 << 11 | opcode << 1


def mtmsrd(register: int) -> int:
    return 31 << 26 | register << 21 | 178 << 1


def hypercall(number: int, *arguments: int) -> list[int]:
    """Instructions of a hypercall."""
    code = set64(3, number | 0xFFFFFFFFFFFF0000)
    for index, argument in enumerate(arguments):
        code += set64(4 + index, argument)
    return [*code, SC_1]


LOOK = hypercall(17, 0)  # what the tests end with


def elf(segments: dict[int, list[int]], entry: int = CODE) -> bytes:
    """An ELF file for ppc64 with the instructions at their addresses."""
    head_size, entry_size = 64, 56
    offset = head_size + entry_size * len(segments)
    heads = content = b""
    for address, words in segments.items():
        data = b"".join(word.to_bytes(4, "big") for word in words)
        heads += struct.pack(
            ">IIQQQQQQ", 1, 7, offset + len(content), address, address, len(data), len(data), 4
        )
        content += data
    ident = b"\x7fELF\x02\x02\x01".ljust(16, b"\0")
    fields = (2, 21, 1, entry, head_size, 0, 2, head_size, entry_size, len(segments), 0, 0, 0)
    return ident + struct.pack(">HHIQQQIHHHHHH", *fields) + heads + content


class Run:
    """A guest of the ELF file ``image``. ``look`` is called in each of its XENVER_version
    hypercalls, and number ``looks`` of them ends the domain."""

    def __init__(
        self,
        image: bytes,
        look: Callable[[Call], None] = lambda _call: None,
        looks: int = 1,
        command_line: str = "",
    ) -> None:
        self.looks = 0

        def version(call: Call) -> int:
            look(call)
            self.looks += 1
            if self.looks == looks:
                call.domain.shut_down(0)
            return 0

        self.machine = Machine(
            description(),
            xenport.architecture.load("ppc64"),
            Guest("ppc", control=False),
            image,
            command_line,
            lambda _text: None,
            {"XENVER_version": version},
        )
        self.domain = self.machine.domain
        cpu = self.domain.vcpus[0].cpu
        assert isinstance(cpu, Ppc64Cpu)
        self.cpu = cpu

    def to_the_end(self) -> Run:
        assert self.machine.run() == End("poweroff")
        return self

    @property
    def pc(self) -> int:
        return self.cpu.core.pc.get()

    def gpr(self, number: int) -> int:
        """A general register as it is now."""
        return self.cpu.core.register(ppc_const.UC_PPC_REG_0 + number).get()

    def sprs(self, *numbers: int) -> tuple[int, ...]:
        return self.cpu.core.sprs(*numbers)


@functools.cache
def description() -> xenport.abi.Abi:
    return xenport.abi.load(arch="ppc64", release="3.2")


SUPERVISOR = MSR_SF | MSR_ME | MSR_RI
VECTORS = (0x300, 0x400, 0x500, 0x600, 0x700, 0x800, 0x900, 0xC00, 0xF20)


def kernel(*code: int, msr: int = SUPERVISOR) -> bytes:
    """An image that runs ``code`` in 64-bit mode, and looks in every vector."""
    return elf({**dict.fromkeys(VECTORS, LOOK), CODE: [*set64(9, msr), mtmsrd(9), *code]})


START = CODE + 4 * 6  # of the code of a `kernel`
BEHIND_LOOK = 4 * len(LOOK)  # from the start of a vector to behind its hypercall


# ---- Entry ----


def test_entry_state_is_that_of_the_domain_builder() -> None:
    run = Run(elf({CODE: LOOK}))
    core = run.cpu.core
    assert core.pc.get() == CODE
    assert core.msr.get() == 0
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


def test_arguments_and_result() -> None:
    seen: list[list[int]] = []

    def look(call: Call) -> None:
        seen.append(list(call.args))

    code = [li(5, -5), li(6, 6), li(7, 7), li(8, 8), *hypercall(17, 0)]
    run = Run(kernel(*code), look).to_the_end()
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
def test_refused_numbers(number: int, result: int) -> None:
    run = Run(kernel(*set64(3, number), li(4, 0), SC_1, MR_30_3, *LOOK)).to_the_end()
    assert run.gpr(30) == result & 0xFFFFFFFFFFFFFFFF


@pytest.mark.parametrize(
    ("code", "place"),
    [(LOOK, 0x9000000000000000 + DATA + BEHIND_LOOK), ([0x7FE00008], 0x700 + BEHIND_LOOK)],
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
def test_exceptions_of_instructions(instruction: int, vector: int, reason: int) -> None:
    run = Run(kernel(li(5, 0), instruction)).to_the_end()
    assert run.sprs(SPR_SRR0, SPR_SRR1) == (START + 4, SUPERVISOR | reason)
    assert run.cpu.core.msr.get() == MSR_SF | MSR_ME
    assert run.pc == vector + BEHIND_LOOK


@pytest.mark.parametrize(
    ("instruction", "status"), [(0xE8A40000, 0x08000000), (0xF8A40000, 0x0A000000)]
)
def test_data_behind_memory(instruction: int, status: int) -> None:
    run = Run(kernel(*set64(4, BEHIND_MEMORY), instruction)).to_the_end()
    assert run.sprs(SPR_SRR0, SPR_SRR1) == (START + 4 * 5, SUPERVISOR)
    assert run.sprs(SPR_DAR, SPR_DSISR) == (BEHIND_MEMORY, status)
    assert run.pc == 0x300 + BEHIND_LOOK


def test_code_behind_memory() -> None:
    run = Run(kernel(*set64(4, BEHIND_MEMORY), move(MTSPR, CTR, 4), BCTR)).to_the_end()
    assert run.sprs(SPR_SRR0, SPR_SRR1) == (BEHIND_MEMORY, SUPERVISOR | 0x08000000)
    assert run.pc == 0x400 + BEHIND_LOOK


def test_system_call_of_the_guest_returns_behind_it() -> None:
    run = Run(kernel(SC_0)).to_the_end()
    assert run.sprs(SPR_SRR0) == (START + 4,)
    assert run.pc == 0xC00 + BEHIND_LOOK


def test_the_same_exception_a_thousand_times() -> None:
    step_over = [move(MFSPR, SPR_SRR0, 10), 0x394A0004, move(MTSPR, SPR_SRR0, 10), RFID]
    loop = [*set64(9, SUPERVISOR), mtmsrd(9), li(4, 1000), move(MTSPR, CTR, 4)]
    loop += [UNDEFINED, 0x4200FFFC, *LOOK]  # bdnz back
    run = Run(elf({0x700: step_over, CODE: loop})).to_the_end()
    assert run.looks == 1


def test_an_exception_nobody_knows_ends_the_domain(guest: Run) -> None:
    guest.cpu._take(47)
    assert guest.domain.is_shut_down
    assert "exception 47" in guest.machine.hypervisor.diagnostics[0]


# ---- Events ----


@pytest.mark.parametrize("masked", [False, True])
def test_an_event_is_an_external_interrupt(masked: bool) -> None:
    places: list[int] = []

    def look(call: Call) -> None:
        if not places:
            call.vcpu.upcall_masked = masked  # has no meaning here
            call.vcpu.mark_events_pending()
        places.append(run.pc)

    run = Run(kernel(*LOOK, *LOOK, msr=SUPERVISOR | MSR_EE), look, looks=2)
    run.to_the_end()
    assert places == [START + BEHIND_LOOK, 0x500 + BEHIND_LOOK]
    assert run.sprs(SPR_SRR0, SPR_SRR1) == (places[0], SUPERVISOR | MSR_EE)


def test_an_event_waits_for_interrupts_to_be_on() -> None:
    places: list[int] = []

    def look(call: Call) -> None:
        call.vcpu.mark_events_pending()
        places.append(run.pc)

    run = Run(kernel(*LOOK, *LOOK), look, looks=2)
    run.to_the_end()
    assert places == [START + BEHIND_LOOK, START + 2 * BEHIND_LOOK]


def test_an_event_that_cannot_be_returned_from_stops_xen() -> None:
    run = Run(
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


def test_decrementer_interrupts_when_it_becomes_negative() -> None:
    wait = [move(MFSPR, 268, 31), 0x4BFFFFFC]  # read the timebase, branch back
    code = [li(5, 1000), move(MFSPR, 268, 30), move(MTSPR, DECREMENTER, 5), *wait]
    run = Run(kernel(*code, msr=SUPERVISOR | MSR_EE)).to_the_end()
    assert run.pc == 0x900 + BEHIND_LOOK
    assert 1001 <= run.gpr(31) - run.gpr(30) < 1100


def test_decrementer_counts_down() -> None:
    code = [li(5, 5000), move(MTSPR, DECREMENTER, 5), move(MFSPR, DECREMENTER, 30), *LOOK]
    run = Run(kernel(*code)).to_the_end()
    assert 4900 < run.gpr(30) < 5000


def test_timers_of_xen_make_the_decrementer_run_out() -> None:
    def look(call: Call) -> None:
        call.vcpu.singleshot_timer.set(call.hypervisor.clock.now)

    run = Run(kernel(*LOOK, *LOOK, msr=SUPERVISOR | MSR_EE), look, looks=2).to_the_end()
    assert run.pc == 0x900 + BEHIND_LOOK


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
    core = cpu.core
    assert [core.register(ppc_const.UC_PPC_REG_0 + n).get() for n in (0, 31)] == [1000, 1031]
    assert (core.pc.get(), core.msr.get(), core.sprs(SPR_SRR0)) == (CODE, SUPERVISOR, (77,))
    assert core.register(ppc_const.UC_PPC_REG_CR).get() == 0x12345678
