"""The arm32 adapter: entry, hypercalls, exceptions, interrupts, time, firmware, the domain builder.

Guests are given next to their test (see `arm_guests`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from arm_guests import (
    EVENTS,
    PHYSICAL_TIMER,
    RAM,
    VIRTUAL_TIMER,
    Guests,
    Run as ArmRun,
    description,
    raise_event,
    values,
)

from xenport.errors import InputError
from xenport.model.cpu import arm_firmware, arm_gic, arm_gicv2
from xenport.model.cpu.arm32 import Arm32Cpu
from xenport.model.cpu.arm32_core import Arm32Core, CoprocessorAccess, coprocessor_access
from xenport.model.machine import End

ABI = description("arm32")
KERNEL = RAM + (30 << 20)  # where a small zImage is put

MODE = 0x1F
SUPERVISOR = 0x13
IRQ_MASK = 1 << 7

PREAMBLE = r"""
    .arch_extension virt
    .arch_extension sec
    .text
    b       .               // replaced by a branch to the guest
    .rept   8
    nop
    .endr
    .long   0x016f2818
    .long   0, 0x400

    .macro  look
    mov     r12, #17        // xen_version(XENVER_version)
    mov     r0, #0
    mov     r1, #0
    hvc     #0xEA1
    .endm

    .macro  vectors_on      // exceptions end in `taken`, with the number of the vector in r4
    movw    r9, #:lower16:(vectors - (9f + 8))
    movt    r9, #:upper16:(vectors - (9f + 8))
9:  add     r9, pc, r9
    mcr     p15, 0, r9, c12, c0, 0
    isb
    .endm

    .macro  gic_on          // events and the timers
    movw    r9, #0x1000
    movt    r9, #0x0300
    mov     r10, #1
    str     r10, [r9]
    mov     r10, #0xc8000000
    str     r10, [r9, #0x100]
    add     r9, r9, #0x1000
    mov     r10, #1
    str     r10, [r9]
    mov     r10, #0xff
    str     r10, [r9, #4]
    .endm

    .balign 32
vectors:
    b       .
    .irp    n, 1, 2, 3, 4, 5, 6, 7
    b       vector_\n
    .endr
    .irp    n, 1, 2, 3, 4, 5, 6, 7
vector_\n:
    mov     r4, #\n
    b       taken
    .endr
taken:
    mov     r5, lr
    mrs     r6, spsr
    mov     r7, sp
    mrc     p15, 0, r8, c5, c0, 0
    mrc     p15, 0, r9, c6, c0, 0
    mrc     p15, 0, r10, c5, c0, 1
    mrc     p15, 0, r11, c6, c0, 2
    look
"""

UNDEFINED, SUPERVISOR_CALL, PREFETCH_ABORT, DATA_ABORT, INTERRUPT = 1, 2, 3, 4, 6


def branch(offset: int) -> bytes:
    return (0xEA000000 | offset - 8 >> 2 & 0xFFFFFF).to_bytes(4, "little")


GUESTS = Guests("arm32", PREAMBLE, branch)
assembly = GUESTS.add


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return GUESTS.images(tmp_path_factory.mktemp("arm32"))


class Run(ArmRun):
    """A guest of arm32."""

    cpu: Arm32Cpu

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__("arm32", *arguments, **options)

    def r(self, number: int) -> int:
        return self.register(number)


# ---- Entry ----

LOOK = assembly("""
    mov     r3, r0
    mov     r4, r1
    mrc     p15, 0, r5, c0, c0, 5
    mrc     p15, 0, r6, c1, c0, 0
    mrs     r7, cpsr
    adr     r8, .
    look
""")


def test_entry_state(images: list[bytes]) -> None:
    run = Run(images[LOOK]).to_the_end()
    assert run.domain.memory.read(run.r(2), 4) == bytes.fromhex("d00dfeed")
    assert run.r(2) == KERNEL - (2 << 20)
    assert (run.r(3), run.r(4)) == (0, 0xFFFFFFFF)
    assert run.r(5) == 0x80000000
    assert run.r(6) == ABI.constant("SCTLR_GUEST_INIT")
    assert run.r(7) == ABI.constant("PSR_GUEST32_INIT")
    assert KERNEL <= run.r(8) < KERNEL + 0x1000
    assert [run.r(n) for n in (9, 10, 11, 13, 14)] == [0] * 5


def zimage(size: int, start: int = 0, end: int = 0x400) -> bytes:
    header = bytes(0x24) + bytes.fromhex("18286f01")
    return (header + start.to_bytes(4, "little") + end.to_bytes(4, "little")).ljust(size, b"\0")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (b"", "lacks the magic number"),
        (bytes(4096), "lacks the magic number"),
        (zimage(0x100), "has 256 bytes, and 1024 by its header"),
        (zimage(0x400, end=0), "and 0 by its header"),
        (zimage(0x400, start=0x40008000, end=0x40008400), "names an address"),
        (zimage(31 << 20, end=31 << 20), "does not fit"),
    ],
)
def test_images_that_are_refused(image: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Run(image)


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        (
            False,
            {
                ("/memory@40000000", "reg"): [0, 0x40000000, 0, 0x2000000],
                ("/interrupt-controller@3001000", "compatible"): ["arm,gic-400"],
                ("/interrupt-controller@3001000", "reg"): [
                    *(0, 0x3001000, 0, 0x1000, 0, 0x3002000, 0, 0x2000)
                ],
                ("/hypervisor", "reg"): [0, 0x38000000, 0, 0x1000000],
                ("/hypervisor", "interrupts"): [1, 15, 0xF08],
                ("/timer", "compatible"): ["arm,armv7-timer"],
                ("/cpus/cpu@1", "compatible"): ["arm,cortex-a15"],
                ("/chosen", "bootargs"): ["tests=0-3"],
            },
        ),
        (
            True,
            {
                ("/memory@44000000", "reg"): [0, 0x44000000, 0, 0x4000000],
                ("/interrupt-controller", "compatible"): ["arm,cortex-a15-gic"],
                ("/interrupt-controller", "reg"): [
                    *(0, 0x8000000, 0, 0x10000, 0, 0x8010000, 0, 0x10000)
                ],
                ("/hypervisor", "reg"): [0, 0x40010000, 0, 0x40000],
                ("/hypervisor", "interrupts"): [1, 0, 0xF08],
            },
        ),
    ],
)
def test_device_tree(
    images: list[bytes], control: bool, expected: dict[tuple[str, str], list[int | str]]
) -> None:
    tree = Run(images[LOOK], control=control, command_line="tests=0-3").tree()
    assert {place: values(tree, *place) for place in expected} == expected


# ---- Exceptions ----

# The instruction is the last one before `1`, the address of which is in r3.
EXCEPTIONS = {
    name: assembly(f"vectors_on\n adr r3, 1f\n mov sp, #0x5000\n {code}\n1: nop")
    for name, code in {
        "svc": "svc #3",
        "bkpt": "bkpt #7",
        "undefined": "udf #0",
        "vfp": ".inst 0xee000a10",
        "hvc": "hvc #0xEA2",
        "smc": "smc #1",
        "no memory to read": "mov r1, #0x50000000\n ldr r2, [r1, #16]",
        "no memory to execute": "mov r1, #0x50000000\n bx r1",
    }.items()
}


@pytest.mark.parametrize(
    ("name", "vector", "behind"),
    [
        ("svc", SUPERVISOR_CALL, 0),
        ("bkpt", PREFETCH_ABORT, 0),
        ("undefined", UNDEFINED, 0),
        ("vfp", UNDEFINED, 0),
        ("hvc", UNDEFINED, 4),
        ("smc", UNDEFINED, 4),
        ("no memory to read", DATA_ABORT, -4),
    ],
)
def test_exceptions(images: list[bytes], name: str, vector: int, behind: int) -> None:
    run = Run(images[EXCEPTIONS[name]]).to_the_end()
    assert run.r(4) == vector
    assert run.r(5) == run.r(3) + behind
    assert run.r(6) & (MODE | IRQ_MASK) == SUPERVISOR | IRQ_MASK
    assert run.r(7) == (0x5000 if vector == SUPERVISOR_CALL else 0)


def test_what_xen_says_of_accesses_to_nothing(images: list[bytes]) -> None:
    read = Run(images[EXCEPTIONS["no memory to read"]]).to_the_end()
    assert (read.r(8), read.r(9)) == (0x222, 0x50000010)
    fetched = Run(images[EXCEPTIONS["no memory to execute"]]).to_the_end()
    assert (fetched.r(4), fetched.r(5)) == (PREFETCH_ABORT, 0x50000000)
    assert (fetched.r(10), fetched.r(11)) == (0x222, 0x50000000)


# ---- The guest's own tables, and handles ----

# 1 GiB blocks: RAM onto itself, and the same again at 0x80000000, read-only.
TABLES = """
    vectors_on
    movw    r1, #0
    movt    r1, #0x4010
    mov     r2, #0
    mcrr    p15, 0, r1, r2, c2
    movw    r3, #0x0705
    movt    r3, #0x4000
    str     r3, [r1, #8]
    movw    r3, #0x0785
    movt    r3, #0x4000
    str     r3, [r1, #16]
    movw    r3, #0xff00
    mcr     p15, 0, r3, c10, c2, 0
    movw    r3, #0x3500
    movt    r3, #0x8000
    mcr     p15, 0, r3, c2, c0, 2
    mrc     p15, 0, r3, c1, c0, 0
    orr     r3, r3, #1
    mcr     p15, 0, r3, c1, c0, 0
    isb
"""
TRANSLATION = assembly(TABLES + "look\n mov r1, #0xc0000000\n ldr r2, [r1, #4]")
PERMISSION = assembly(TABLES + "mov r1, #0x80000000\n ldr r2, [r1]\n str r2, [r1, #8]")
FETCH = assembly(TABLES + "mov r1, #0xc0000000\n bx r1")


@pytest.mark.parametrize(
    ("guest", "looks", "expected"),
    [
        (TRANSLATION, 2, (DATA_ABORT, 0x205, 0xC0000004)),
        (PERMISSION, 1, (DATA_ABORT, 0xA0D, 0x80000008)),
    ],
)
def test_faults_of_the_guests_own_tables(
    images: list[bytes], guest: int, looks: int, expected: tuple[int, ...]
) -> None:
    run = Run(images[guest], looks=looks).to_the_end()
    assert (run.r(4), run.r(8), run.r(9)) == expected


def test_a_fetch_that_the_guests_own_tables_forbid(images: list[bytes]) -> None:
    run = Run(images[FETCH]).to_the_end()
    assert (run.r(4), run.r(10), run.r(11)) == (PREFETCH_ABORT, 0x205, 0xC0000000)


def test_handles_go_through_the_guests_tables(images: list[bytes]) -> None:
    cpu = Run(images[TRANSLATION]).to_the_end().cpu
    assert cpu.translate(0x40001234, 0x10, False) == 0x40001244
    assert cpu.translate(0x80001234, 0, False) == 0x40001234
    assert cpu.translate(0x80001234, 0, True) is None
    assert cpu.translate(0, 0, False) is None


# ---- Interrupts ----

UNMASKING = {
    name: assembly(f"vectors_on\n gic_on\n mov sp, #0x40000000\n look\n {code}\n nop\n look")
    for name, code in {
        "cpsie": "cpsie i",
        "cpsie with a mode": "cpsie i, #0x1f",
        "msr": "mrs r1, cpsr\n bic r1, r1, #0x80\n msr cpsr_c, r1",
        "rfe": """
            add     sp, sp, #0x1000
            adr     r1, 1f
            mrs     r2, cpsr
            bic     r2, r2, #0x80
            push    {r1, r2}
            rfeia   sp!
        1:""",
        "subs": """
            mrs     r1, cpsr
            bic     r1, r1, #0x80
            msr     spsr_cxsf, r1
            adr     lr, 1f + 4
            subs    pc, lr, #4
        1:""",
        "movs": """
            mrs     r1, cpsr
            bic     r1, r1, #0x80
            msr     spsr_cxsf, r1
            adr     lr, 1f
            movs    pc, lr
        1:""",
    }.items()
}


@pytest.mark.parametrize("instruction", UNMASKING)
def test_an_event_waits_until_it_is_unmasked(images: list[bytes], instruction: str) -> None:
    run = Run(images[UNMASKING[instruction]], raise_event, looks=2).to_the_end()
    assert run.r(4) == INTERRUPT
    assert run.r(6) & IRQ_MASK == 0
    assert run.r(6) & MODE == (0x1F if "mode" in instruction else SUPERVISOR)
    assert run.cpu.core.status.get() & MODE == 0x12
    assert run.cpu.gic.highest() == EVENTS


@pytest.mark.parametrize("instruction", UNMASKING)
def test_without_an_event_nothing_happens(images: list[bytes], instruction: str) -> None:
    run = Run(images[UNMASKING[instruction]], looks=2).to_the_end()
    assert run.r(4) == 0
    assert run.cpu.core.status.get() & IRQ_MASK == 0


RETURN = assembly("""
    vectors_on
    gic_on
    look
    mov     r4, #0
    adr     r1, handler
    mcr     p15, 0, r9, c12, c0, 0
    adr     r9, own_vectors
    mcr     p15, 0, r9, c12, c0, 0
    cpsie   i
    nop
    look
    .balign 32
own_vectors:
    .rept   6
    b       .
    .endr
handler:
    movw    r1, #0x2000
    movt    r1, #0x0300
    ldr     r10, [r1, #0xc]     // IAR
    movw    r2, #0x1180
    movt    r2, #0x0300
    mvn     r3, #0
    str     r3, [r2]            // no more of it
    str     r10, [r1, #0x10]    // EOIR
    subs    pc, lr, #4
""")


def test_an_interrupt_is_taken_once_and_returns(images: list[bytes]) -> None:
    run = Run(images[RETURN], raise_event, looks=2).to_the_end()
    assert run.r(10) == EVENTS
    assert run.cpu.core.status.get() & (MODE | IRQ_MASK) == SUPERVISOR


TIMER = """
    mrc     p15, 0, r1, c14, c0, 0
    movw    r2, #1000
    udiv    r1, r1, r2
    mcr     p15, 0, r1, c14, c3, 0
    mov     r1, #1
    mcr     p15, 0, r1, c14, c3, 1
    mrrc    p15, 1, r10, r11, c14
"""
COMPARE = """
    mrrc    p15, 1, r2, r3, c14
    movw    r1, #62500
    adds    r2, r2, r1
    adc     r3, r3, #0
    mcrr    p15, 3, r2, r3, c14
    mov     r1, #1
    mcr     p15, 0, r1, c14, c3, 1
"""
TIMER_INTERRUPTS = {
    name: (interrupt, assembly(f"vectors_on\n gic_on\n {code}\n cpsie i\n 1: yield\n wfi\n b 1b"))
    for name, interrupt, code in (
        ("virtual", VIRTUAL_TIMER, TIMER),
        ("physical", PHYSICAL_TIMER, TIMER.replace("c14, c3", "c14, c2")),
        ("compare", VIRTUAL_TIMER, COMPARE),
    )
}
WAIT_MASKED = assembly(f"vectors_on\n gic_on\n {TIMER} wfi\n mov r4, #77\n look")
WAIT_FOREVER = assembly("wfi\n look")


@pytest.mark.parametrize("name", TIMER_INTERRUPTS)
def test_a_timer_interrupts(images: list[bytes], name: str) -> None:
    interrupt, guest = TIMER_INTERRUPTS[name]
    run = Run(images[guest]).to_the_end()
    assert run.r(4) == INTERRUPT
    assert run.cpu.gic.highest() == interrupt
    assert 1_000_000 <= run.machine.hypervisor.clock.now < 1_100_000


def test_wfi_ends_for_a_masked_interrupt(images: list[bytes]) -> None:
    run = Run(images[WAIT_MASKED]).to_the_end()
    assert run.r(4) == 77
    assert run.machine.hypervisor.clock.now >= 1_000_000


def test_wfi_without_any_interrupt_to_come(images: list[bytes]) -> None:
    assert Run(images[WAIT_FOREVER]).machine.run().kind == "hang"


COUNTERS = assembly("""
    mrc     p15, 0, r4, c14, c0, 0
    mrrc    p15, 1, r5, r8, c14
    mrrc    p15, 0, r6, r9, c14
    mrrc    p15, 1, r7, r10, c14
    look
""")


def test_counters_are_virtual_time(images: list[bytes]) -> None:
    runs = [Run(images[COUNTERS]).to_the_end() for _ in range(2)]
    first, second = ([run.r(n) for n in range(4, 11)] for run in runs)
    assert first == second
    assert first[0] == 62_500_000
    assert 0 < first[1] < first[2] < first[3] < 1000
    assert first[4:] == [0, 0, 0]


@pytest.mark.parametrize(
    ("word", "access"),
    [
        (0xEE1E1F33, CoprocessorAccess((0, 14, 3, 1), True, (1,))),  # mrc p15, 0, r1, c14, c3, 1
        (0xEE0E4F13, CoprocessorAccess((0, 14, 3, 0), False, (4,))),  # mcr p15, 0, r4, c14, c3, 0
        (0xEC532F1E, CoprocessorAccess((1, 14), True, (2, 3))),  # mrrc p15, 1, r2, r3, c14
        (0xEC454F3E, CoprocessorAccess((3, 14), False, (4, 5))),  # mcrr p15, 3, r4, r5, c14
    ],
)
def test_instructions_of_coprocessor_15(word: int, access: CoprocessorAccess) -> None:
    assert coprocessor_access(word) == access


# ---- The interrupt controller by itself ----

BOTH = 1 << EVENTS | 1 << VIRTUAL_TIMER


def gic(levels: int) -> arm_gicv2.GicV2:
    """That of vcpu 1 of 2, with events and the timer enabled at priorities 0xa0 and 0x80."""
    made = arm_gicv2.GicV2(1, 2, levels=lambda: levels)
    made.write_distributor(0, 4, 1)
    made.write_distributor(0x100, 4, BOTH)
    made.write_distributor(0x400 + EVENTS, 1, 0xA0)
    made.write_distributor(0x400 + VIRTUAL_TIMER, 1, 0x80)
    made.write_interface(4, 4, 0xFF)
    made.write_interface(0, 4, 1)
    return made


def test_the_higher_priority_comes_first_and_nothing_lower_until_its_end() -> None:
    both = gic(BOTH)
    assert both.read_interface(0x18, 4) == VIRTUAL_TIMER
    assert both.read_interface(0xC, 4) == VIRTUAL_TIMER
    assert both.read_interface(0x14, 4) == 0x80
    assert both.read_interface(0xC, 4) == arm_gic.SPURIOUS
    both.write_interface(0x10, 4, VIRTUAL_TIMER)
    both.write_distributor(0x180, 4, 1 << VIRTUAL_TIMER)
    assert both.read_interface(0xC, 4) == EVENTS


@pytest.mark.parametrize(
    "disable",
    [
        lambda g: g.write_distributor(0x180, 4, BOTH),
        lambda g: g.write_distributor(0, 4, 0),
        lambda g: g.write_interface(0, 4, 0),
        lambda g: g.write_interface(4, 4, 0x80),
    ],
    ids=["interrupts", "distributor", "interface", "priority"],
)
def test_what_keeps_interrupts_from_a_vcpu(disable: Callable[[arm_gicv2.GicV2], None]) -> None:
    made = gic(BOTH)
    disable(made)
    assert made.highest() == arm_gic.SPURIOUS


def test_registers_of_the_distributor() -> None:
    made = gic(1 << EVENTS)
    assert made.read_distributor(0, 4) == 1
    assert made.read_distributor(4, 4) == 1 << 5
    assert made.read_distributor(0x80, 4) == 0  # no groups
    made.write_distributor(0x80, 4, 0)
    assert made.highest() == EVENTS
    assert made.read_distributor(0x180, 4) == BOTH
    assert made.read_distributor(0x41C, 4) == 0xA0000000
    assert made.read_distributor(0x800, 4) == 0x02020202
    assert made.read_distributor(0x800, 1) == 2
    assert made.read_distributor(0xFE8, 4) == 0x20
    assert made.read_interface(0xFC, 4) == 2 << 16
    assert made.read_interface(4, 4) == 0xFF


# ---- Firmware ----


@pytest.mark.parametrize(
    ("registers", "result"),
    [
        ((0x84000000, 0, 0, 0), 0x10001),
        ((0x80000000, 0, 0, 0), 0x10001),
        ((0x8400000A, 0x84000003, 0, 0), 0),
        ((0x84000003, 0, 0, 0), -4),
        ((0x84000003, 7, 0, 0), -2),
        ((0xC4000003, 1, KERNEL, 0), -1),  # 64-bit functions are not for 32-bit domains
        ((0x84000004, 1, 0, 0), 1),
        ((0x84000004, 0, 3, 0), -2),  # 32-bit affinities have three levels
    ],
)
def test_firmware_calls(images: list[bytes], registers: tuple[int, ...], result: int) -> None:
    run = Run(images[LOOK])
    assert arm_firmware.call(run.cpu, registers) == result


SECOND_VCPU = assembly("""
    movw    r0, #0x0003
    movt    r0, #0x8400
    mov     r1, #1
    adr     r2, 1f
    mov     r3, #42
    hvc     #0
    wfi
1:  mov     r5, r0
    mrc     p15, 0, r6, c0, c0, 5
    mrs     r7, cpsr
    look
""")


def test_a_second_vcpu(images: list[bytes]) -> None:
    run = Run(images[SECOND_VCPU]).to_the_end()
    assert run.cpu.vcpu.id == 1
    assert (run.r(5), run.r(6)) == (42, 0x80000001)
    assert run.r(7) == ABI.constant("PSR_GUEST32_INIT")


def test_a_second_vcpu_starts_in_thumb_state(images: list[bytes]) -> None:
    cpu = Run(images[LOOK]).domain.vcpus[1].cpu
    assert isinstance(cpu, Arm32Cpu)
    cpu.start(cpu.vcpu, KERNEL | 1, 7)
    assert cpu.core.pc.get() == KERNEL
    assert cpu.core.status.get() == ABI.constant("PSR_GUEST32_INIT") | ABI.constant("PSR_THUMB")


SYSTEM = {
    name: assembly(f"movw r0, #{function:#x}\n movt r0, #0x8400\n hvc #0\n b .")
    for name, function in {"poweroff": 8, "reboot": 9}.items()
}


@pytest.mark.parametrize("end", SYSTEM)
def test_the_firmware_ends_the_domain(images: list[bytes], end: str) -> None:
    assert Run(images[SYSTEM[end]]).machine.run() == End(end)


# ---- The core, and what Xen's architecture code decides ----


def test_a_core_has_no_abort_before_its_first_exception() -> None:
    assert Arm32Core().abort() == (0, 0)


def test_registers_have_32_bits() -> None:
    register = Arm32Core().general[0]
    register.set(-1)
    assert register.get() == 0xFFFFFFFF
    register.set(1 << 32)
    assert register.get() == 0


def test_what_is_special_about_the_control_domain(images: list[bytes]) -> None:
    dom0, domu = (Run(images[LOOK], control=control) for control in (True, False))
    assert dom0.domain.is_direct_mapped
    assert not domu.domain.is_direct_mapped
    parameter = ABI.constant("HVM_PARAM_CALLBACK_IRQ")
    assert dom0.domain.params[parameter] == 0x0200000000000210
