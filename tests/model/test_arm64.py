"""The arm64 adapter: entry, hypercalls, exceptions, interrupts, time, firmware, the domain builder.

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
from xenport.model.cpu import arm_firmware, arm_gic, arm_gicv3
from xenport.model.cpu.arm64 import Arm64Cpu
from xenport.model.cpu.arm64_core import Arm64Core
from xenport.model.machine import End

ABI = description("arm64")

PREAMBLE = r"""
    .text
    b       .               // replaced by a branch to the guest
    .long   0
    .quad   0, 0x10000, 0xa, 0, 0, 0
    .ascii  "ARM\x64"
    .long   0

    .macro  look
    mov     x16, #17        // xen_version(XENVER_version)
    mov     x0, #0
    mov     x1, #0
    hvc     #0xEA1
    .endm

    .macro  vectors_on      // exceptions end in `taken`, with the number of the vector in x20
    adr     x9, vectors
    msr     vbar_el1, x9
    isb
    .endm

    .macro  gic_on          // events and the timers
    ldr     x9, =0x03001000
    mov     w10, #0x12
    str     w10, [x9]
    ldr     x9, =0x03030000
    mov     w10, #0xc8000000
    mvn     w11, wzr
    str     w11, [x9, #0x80]
    str     w10, [x9, #0x100]
    mov     x10, #0xff
    msr     S3_0_C4_C6_0, x10
    mov     x10, #1
    msr     S3_0_C12_C12_7, x10
    .endm

    .balign 2048
vectors:
    .set    number, 0
    .rept   16
    .balign 128
    mov     x20, #number
    b       taken
    .set    number, number + 1
    .endr
taken:
    mrs     x21, esr_el1
    mrs     x22, far_el1
    mrs     x23, elr_el1
    mrs     x24, spsr_el1
    mov     x25, sp
    look
"""

GUESTS = Guests("arm64", PREAMBLE, lambda offset: (0x14000000 | offset // 4).to_bytes(4, "little"))
assembly = GUESTS.add


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return GUESTS.images(tmp_path_factory.mktemp("arm64"))


class Run(ArmRun):
    """A guest of arm64."""

    cpu: Arm64Cpu

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__("arm64", *arguments, **options)

    def x(self, number: int) -> int:
        return self.register(number)


# ---- Entry ----

LOOK = assembly("mrs x1, CurrentEL\n mrs x2, mpidr_el1\n mrs x3, sctlr_el1\n mov x4, x0\n look")


def test_entry_state(images: list[bytes]) -> None:
    run = Run(images[LOOK]).to_the_end()
    # x0 and x1 are the hypercall's; the device tree's magic number is where x0 pointed.
    assert run.domain.memory.read(run.x(4), 4) == bytes.fromhex("d00dfeed")
    assert run.x(4) == RAM + (30 << 20)
    assert run.x(2) == 0x80000000
    assert run.x(3) == ABI.constant("SCTLR_GUEST_INIT")
    assert run.cpu.core.status.get() & 0x3FF == ABI.constant("PSR_GUEST64_INIT")
    assert [run.x(n) for n in range(5, 16)] == [0] * 11


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (b"", "lacks the magic number"),
        (bytes(4096), "lacks the magic number"),
        (bytes(0x38) + b"ARM\x64" + bytes(31 << 20), "would reach to 0x41f0003c"),
    ],
)
def test_images_that_are_refused(image: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Run(image)


# ---- Device trees ----


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        (
            False,
            {
                ("/memory@40000000", "reg"): [0, 0x40000000, 0, 0x2000000],
                ("/interrupt-controller@3001000", "compatible"): ["arm,gic-v3"],
                ("/interrupt-controller@3001000", "reg"): [
                    *(0, 0x3001000, 0, 0x10000, 0, 0x3020000, 0, 0x1000000)
                ],
                ("/hypervisor", "compatible"): ["xen,xen-4.17", "xen,xen"],
                ("/hypervisor", "reg"): [
                    *(0, 0x38000000, 0, 0x1000000),
                    *(0, 0x42000000, 0, 0xBE000000),
                    *(2, 0, 0xFE, 0),
                ],
                ("/hypervisor", "interrupts"): [1, 15, 0xF08],
                ("/timer", "interrupts"): [1, 13, 0xF08, 1, 14, 0xF08, 1, 11, 0xF08],
                ("/psci", "method"): ["hvc"],
                ("/cpus/cpu@1", "reg"): [1],
                ("/chosen", "bootargs"): ["tests=0-3"],
            },
        ),
        (
            True,
            {
                ("/memory@44000000", "reg"): [0, 0x44000000, 0, 0x4000000],
                ("/interrupt-controller", "reg"): [
                    *(0, 0x8000000, 0, 0x10000, 0, 0x80A0000, 0, 0xF60000)
                ],
                ("/hypervisor", "reg"): [0, 0x40200000, 0, 0x40000, 0, 0x48000000, 0, 0x38000000],
                ("/hypervisor", "interrupts"): [1, 0, 0xF08],
                ("/chosen", "bootargs"): ["tests=0-3"],
            },
        ),
    ],
)
def test_device_tree(
    images: list[bytes], control: bool, expected: dict[tuple[str, str], list[int | str]]
) -> None:
    tree = Run(images[LOOK], control=control, command_line="tests=0-3").tree()
    assert {place: values(tree, *place) for place in expected} == expected


def test_empty_command_line(images: list[bytes]) -> None:
    assert Run(images[LOOK]).tree().get_property("bootargs", "/chosen").data == bytearray(1)


# ---- Exceptions ----

# Name, instruction, what follows: vector 4 is the synchronous one from EL1 on its own stack.
EXCEPTIONS = {
    name: assembly(f"vectors_on\n{code}")
    for name, code in {
        "svc": "svc #3",
        "brk": "brk #7",
        "undefined": "udf #0",
        "hvc": "hvc #0xEA2",
        "smc": ".inst 0xd4000023",
        "unknown register": "mrs x1, S3_0_C15_C15_7",
        "no memory to read": "ldr x1, =0x50000010\n ldr x2, [x1]",
        "no memory to execute": "ldr x1, =0x50000010\n br x1",
    }.items()
}


@pytest.mark.parametrize(
    ("name", "syndrome", "address"),
    [
        ("svc", 0x56000003, None),
        ("brk", 0xF2000007, None),
        ("undefined", 0x02000000, None),
        ("hvc", 0x02000000, None),
        ("smc", 0x02000000, None),
        ("unknown register", 0x02000000, None),
        ("no memory to read", 0x96000000, 0x50000010),
        ("no memory to execute", 0x86000000, 0x50000010),
    ],
)
def test_exceptions(images: list[bytes], name: str, syndrome: int, address: int | None) -> None:
    run = Run(images[EXCEPTIONS[name]]).to_the_end()
    assert run.x(20) == 4
    assert run.x(21) == syndrome
    if address is not None:
        assert run.x(22) == address
    assert run.x(24) & 0x3FF == ABI.constant("PSR_GUEST64_INIT")


STACKS = assembly("""
    vectors_on
    mov     x1, #0x1000
    mov     sp, x1          // SP_EL1
    msr     spsel, #0
    mov     x1, #0x2000
    mov     sp, x1          // SP_EL0
    svc     #0
""")


def test_an_exception_changes_stacks(images: list[bytes]) -> None:
    run = Run(images[STACKS]).to_the_end()
    assert run.x(20) == 0
    assert run.x(25) == 0x1000
    assert run.cpu.core.status.get() & 0x3CF == 0x3C5
    run.cpu.core.return_from_exception()
    assert run.cpu.core.status.get() & 1 == 0
    assert run.cpu.core._sp.get() == 0x2000
    run.cpu.core.take_interrupt()
    assert run.cpu.core._sp.get() == 0x1000


# ---- The guest's own tables, and handles ----

# 1 GiB blocks: RAM onto itself, and the same again at 0x80000000, read-only.
TABLES = """
    vectors_on
    ldr     x1, =0x40100000
    msr     ttbr0_el1, x1
    ldr     x2, =0x40000705
    str     x2, [x1, #8]
    ldr     x2, =0x40000785
    str     x2, [x1, #16]
    mov     x2, #0xff00
    msr     mair_el1, x2
    ldr     x2, =0x280803519
    msr     tcr_el1, x2
    isb
    mrs     x2, sctlr_el1
    orr     x2, x2, #1
    msr     sctlr_el1, x2
    isb
"""
TRANSLATION = assembly(TABLES + "look\n ldr x1, =0x123456789\n ldr x2, [x1]")
PERMISSION = assembly(TABLES + "ldr x1, =0x80200000\n ldr x2, [x1]\n str x2, [x1]")


@pytest.mark.parametrize(
    ("guest", "looks", "syndrome", "address"),
    [(TRANSLATION, 2, 0x96000005, 0x123456789), (PERMISSION, 1, 0x9600004D, 0x80200000)],
)
def test_faults_of_the_guests_own_tables(
    images: list[bytes], guest: int, looks: int, syndrome: int, address: int
) -> None:
    run = Run(images[guest], looks=looks).to_the_end()
    assert (run.x(20), run.x(21), run.x(22)) == (4, syndrome, address)


def test_handles_go_through_the_guests_tables(images: list[bytes]) -> None:
    cpu = Run(images[TRANSLATION]).to_the_end().cpu
    assert cpu.translate(0x40001234, 0x10, False) == 0x40001244
    assert cpu.translate(0x80001234, 0, False) == 0x40001234
    assert cpu.translate(0x80001234, 0, True) is None
    assert cpu.translate(0, 0, False) is None


def test_handles_without_tables_are_physical(images: list[bytes]) -> None:
    assert Run(images[LOOK]).to_the_end().cpu.translate(0x12345678, 0, True) == 0x12345678


# ---- Interrupts ----

ACKNOWLEDGE = "mrs x26, S3_0_C12_C12_0\n"  # reading this takes the interrupt
UNMASKING = {
    "daifclr": assembly("vectors_on\n gic_on\n look\n msr daifclr, #2\n nop\n look"),
    "daif": assembly("vectors_on\n gic_on\n look\n mov x1, #0x40\n msr daif, x1\n nop\n look"),
    "eret": assembly("""
        vectors_on
        gic_on
        look
        adr     x1, 1f
        msr     elr_el1, x1
        mov     x1, #0x345
        msr     spsr_el1, x1
        eret
    1:  nop
        look
    """),
}


@pytest.mark.parametrize("instruction", UNMASKING)
def test_an_event_waits_until_it_is_unmasked(images: list[bytes], instruction: str) -> None:
    run = Run(images[UNMASKING[instruction]], raise_event, looks=2).to_the_end()
    assert run.x(20) == 5
    assert run.x(24) & 0x80 == 0
    assert run.cpu.gic.highest() == EVENTS


@pytest.mark.parametrize("instruction", UNMASKING)
def test_without_an_event_nothing_happens(images: list[bytes], instruction: str) -> None:
    run = Run(images[UNMASKING[instruction]], looks=2).to_the_end()
    assert run.x(20) == 0
    assert run.cpu.core.status.get() & 0x80 == 0


PRIORITY_MASK = assembly("""
    vectors_on
    gic_on
    msr     daifclr, #2
    msr     S3_0_C4_C6_0, xzr
    look                    // an event is raised: not delivered
    mov     x20, #99
    mov     x1, #0xff
    msr     S3_0_C4_C6_0, x1
    nop
""")


def test_the_priority_mask_holds_interrupts_back(images: list[bytes]) -> None:
    run = Run(images[PRIORITY_MASK], raise_event, looks=2).to_the_end()
    assert run.x(20) == 5


TIMER = """
    mrs     x1, cntfrq_el0
    mov     x2, #1000
    udiv    x1, x1, x2
    msr     cntv_tval_el0, x1
    mov     x1, #1
    msr     cntv_ctl_el0, x1
    mrs     x27, cntvct_el0
"""
TIMER_INTERRUPTS = {
    interrupt: assembly(f"vectors_on\n gic_on\n {code}\n msr daifclr, #2\n 1: yield\n wfi\n b 1b")
    for interrupt, code in {
        VIRTUAL_TIMER: TIMER,
        PHYSICAL_TIMER: TIMER.replace("cntv_", "cntp_"),
    }.items()
}
WAIT_MASKED = assembly(f"vectors_on\n gic_on\n {TIMER} wfi\n mov x20, #77\n look")
WAIT_FOREVER = assembly("wfi\n look")


@pytest.mark.parametrize("interrupt", TIMER_INTERRUPTS)
def test_a_timer_interrupts(images: list[bytes], interrupt: int) -> None:
    run = Run(images[TIMER_INTERRUPTS[interrupt]]).to_the_end()
    assert run.x(20) == 5
    assert run.cpu.gic.highest() == interrupt
    assert 1_000_000 <= run.machine.hypervisor.clock.now < 1_100_000


def test_wfi_ends_for_a_masked_interrupt(images: list[bytes]) -> None:
    run = Run(images[WAIT_MASKED]).to_the_end()
    assert run.x(20) == 77
    assert run.machine.hypervisor.clock.now >= 1_000_000


def test_wfi_without_any_interrupt_to_come(images: list[bytes]) -> None:
    assert Run(images[WAIT_FOREVER]).machine.run().kind == "hang"


COUNTERS = assembly("""
    mrs     x2, cntfrq_el0
    mrs     x3, cntvct_el0
    mrs     x4, cntpct_el0
    mrs     x5, cntvct_el0
    look
""")


def test_counters_are_virtual_time(images: list[bytes]) -> None:
    runs = [Run(images[COUNTERS]).to_the_end() for _ in range(2)]
    first, second = ([run.x(n) for n in range(2, 6)] for run in runs)
    assert first == second
    assert first[0] == 62_500_000
    assert 0 < first[1] < first[2] < first[3] < 1000


# ---- The interrupt controller by itself ----


def gic(levels: int) -> arm_gicv3.GicV3:
    """One with group 1 on, and events and the timer enabled at priorities 0xa0 and 0x80."""
    made = arm_gicv3.GicV3(0, 1, levels=lambda: levels)
    made.write_distributor(0, 4, 0x12)
    private = arm_gicv3.FRAME_SIZE
    made.write(private + 0x80, 4, 0xFFFFFFFF)
    made.write(private + 0x100, 4, 1 << EVENTS | 1 << VIRTUAL_TIMER)
    made.write(private + 0x400 + EVENTS, 1, 0xA0)
    made.write(private + 0x400 + VIRTUAL_TIMER, 1, 0x80)
    made.writers[arm_gicv3.ICC_PMR](0xFF)
    made.writers[arm_gicv3.ICC_IGRPEN1](1)
    return made


BOTH = 1 << EVENTS | 1 << VIRTUAL_TIMER


def test_the_higher_priority_comes_first_and_nothing_lower_until_its_end() -> None:
    both = gic(BOTH)
    acknowledge = both.readers[arm_gicv3.ICC_IAR1]
    assert acknowledge() == VIRTUAL_TIMER
    assert both.readers[arm_gicv3.ICC_RPR]() == 0x80
    assert acknowledge() == arm_gic.SPURIOUS
    both.writers[arm_gicv3.ICC_EOIR1](VIRTUAL_TIMER)
    assert both.highest() == VIRTUAL_TIMER  # its level is still high
    both.write(arm_gicv3.FRAME_SIZE + 0x180, 4, 1 << VIRTUAL_TIMER)
    assert acknowledge() == EVENTS
    both.writers[arm_gicv3.ICC_EOIR1](EVENTS)
    assert both.readers[arm_gicv3.ICC_RPR]() == 0xFF


@pytest.mark.parametrize(
    "disable",
    [
        lambda g: g.write(arm_gicv3.FRAME_SIZE + 0x180, 4, BOTH),
        lambda g: g.write(arm_gicv3.FRAME_SIZE + 0x80, 4, 0),
        lambda g: g.write_distributor(0, 4, 0x10),
        lambda g: g.writers[arm_gicv3.ICC_IGRPEN1](0),
        lambda g: g.writers[arm_gicv3.ICC_PMR](0x80),
    ],
    ids=["interrupts", "group of interrupts", "distributor", "group of the vcpu", "priority"],
)
def test_what_keeps_interrupts_from_a_vcpu(disable: Callable[[arm_gicv3.GicV3], None]) -> None:
    made = gic(BOTH)
    disable(made)
    assert made.highest() == arm_gic.SPURIOUS


def test_registers_of_the_redistributor() -> None:
    made = gic(1 << EVENTS)
    private = arm_gicv3.FRAME_SIZE
    assert made.read(8, 8) == 0x10
    assert made.read(0x14, 4) == 6
    made.write(0x14, 4, 0)
    assert made.read(0x14, 4) == 0
    assert made.read(0xFFE8, 4) == made.read(private + 0xFFE8, 4) == 0x30
    assert made.read(private + 0x100, 4) == BOTH
    assert made.read(private + 0x200, 4) == 1 << EVENTS
    assert made.read(private + 0x400 + 28, 4) == 0xA0000000
    assert made.read(private + 0x900, 4) == 0


# ---- Firmware ----


@pytest.mark.parametrize(
    ("registers", "result"),
    [
        ((0x84000000, 0, 0, 0), 0x10001),
        ((0x80000000, 0, 0, 0), 0x10001),
        ((0x8400000A, 0xC4000003, 0, 0), 0),
        ((0x8400000A, 0x80000000, 0, 0), 0),
        ((0x8400000A, 2, 0, 0), -1),
        ((0x84000006, 0, 0, 0), 2),
        ((0xC4000003, 0, 0, 0), -4),
        ((0xC4000003, 7, 0, 0), -2),
        ((0xC4000003, 1, 0x1001, 0), -9),
        ((2, 0, 0, 0), -2),
        ((0xC4000004, 0, 0, 0), 0),
        ((0xC4000004, 1, 0, 0), 1),
        ((0xC4000004, 0, 4, 0), -2),
        ((0x8400001F, 0, 0, 0), -1),
        ((0xFFFFFFFF84000000, 0, 0, 0), 0x10001),
    ],
)
def test_firmware_calls(images: list[bytes], registers: tuple[int, ...], result: int) -> None:
    run = Run(images[LOOK])
    assert arm_firmware.call(run.cpu, registers) == result


SYSTEM = {
    name: assembly(f"ldr x0, ={function:#x}\n hvc #0\n b .")
    for name, function in {"poweroff": 0x84000008, "reboot": 0x84000009}.items()
}


@pytest.mark.parametrize("end", SYSTEM)
def test_the_firmware_ends_the_domain(images: list[bytes], end: str) -> None:
    assert Run(images[SYSTEM[end]]).machine.run() == End(end)


SECOND_VCPU = assembly("""
    ldr     x0, =0xC4000003
    mov     x1, #1
    adr     x2, 1f
    mov     x3, #42
    hvc     #0
    wfi
1:  mov     x5, x0
    mrs     x6, mpidr_el1
    look
""")


def test_a_second_vcpu(images: list[bytes]) -> None:
    run = Run(images[SECOND_VCPU]).to_the_end()
    assert run.cpu.vcpu.id == 1
    assert (run.x(5), run.x(6)) == (42, 0x80000001)


# ---- The core, and what Xen's architecture code decides ----


def test_a_core_has_no_syndrome_before_its_first_exception() -> None:
    assert Arm64Core().syndrome() == (0, 0)


def test_what_is_special_about_the_control_domain(images: list[bytes]) -> None:
    abi = ABI
    dom0, domu = (Run(images[LOOK], control=control) for control in (True, False))
    assert dom0.domain.is_direct_mapped
    assert not domu.domain.is_direct_mapped
    parameter = abi.constant("HVM_PARAM_CALLBACK_IRQ")
    assert dom0.domain.params[parameter] == 0x0200000000000210


SPINNING = assembly("""
    ldr     x0, =0xC4000003
    mov     x1, #1
    adr     x2, 1f
    hvc     #0
2:  mrs     x3, cntvct_el0      // the first one never gives way
    b       2b
1:  look
""")


def test_a_vcpu_that_never_waits_does_not_keep_others_from_running(images: list[bytes]) -> None:
    run = Run(images[SPINNING]).to_the_end()
    assert run.cpu.vcpu.id == 1
    assert run.machine.hypervisor.clock.now < 3_000_000
