"""The description against facts measured on real headers, and against rules of its own.

The numbers were measured by compiling the public headers of each release for the architecture; the
headers themselves are not needed here.
"""

import re

import pytest

import xenport.abi
from xenport.abi import Abi

ABIS = [
    ("x86_64", "4.14"),
    ("x86_64", "4.17"),
    ("x86_64", "4.20"),
    ("arm64", "4.14"),
    ("arm64", "4.17"),
    ("arm64", "4.20"),
    ("arm32", "4.14"),
    ("arm32", "4.17"),
    ("arm32", "4.20"),
    ("ppc64", "3.2"),
]

# structure -> bytes, per architecture; releases differ only where a release is named
SIZES = {
    "x86_64": {
        "arch_vcpu_info": 16,
        "cpu_user_regs": 200,
        "evtchn_fifo_control_block": 72,
        "hvm_start_info": 56,
        "mmuext_op": 24,
        "multicall_entry": 64,
        "sched_poll": 24,
        "shared_info": 3136,
        "start_info": 1168,
        "trap_info": 16,
        "vcpu_guest_context": 5168,
        "vcpu_hvm_context": 128,
        "vcpu_info": 64,
        "vcpu_runstate_info": 48,
        "vcpu_time_info": 32,
        "xen_add_to_physmap": 24,
        "xen_add_to_physmap_batch": 32,
        "xen_domctl": 144,
        "xen_hvm_param": 16,
        "xen_memory_reservation": 32,
        "xen_platform_op": 136,
    },
    "arm64": {
        "arch_shared_info": 0,
        "arch_vcpu_info": 0,
        "evtchn_alloc_unbound": 8,
        "evtchn_status": 24,
        "multicall_entry": 64,
        "sched_poll": 24,
        "shared_info": 1088,
        "vcpu_info": 48,
        "vcpu_runstate_info": 48,
        "xen_add_to_physmap": 24,
        "xen_domctl": 144,
        "xen_memory_reservation": 32,
    },
    "ppc64": {
        "cpu_user_regs": 352,
        "evtchn_alloc_unbound": 8,
        "evtchn_bind_interdomain": 12,
        "evtchn_bind_virq": 12,
        "evtchn_status": 24,
        "multicall_entry": 64,
        "sched_poll": 24,
        "shared_info": 2584,
        "vcpu_guest_context": 360,
        "vcpu_info": 48,
        "xen_memory_reservation": 32,
    },
}
# All types that cross the boundary are as wide on 32-bit Arm as on 64-bit Arm.
SIZES["arm32"] = SIZES["arm64"]
OFFSETS = {
    "x86_64": {
        "vcpu_info.evtchn_upcall_mask": 1,
        "vcpu_info.time.system_time": 48,
        "shared_info.evtchn_pending": 2048,
        "shared_info.evtchn_mask": 2560,
        "shared_info.wc_version": 3072,
        "shared_info.arch": 3088,
        "start_info.console.domU.evtchn": 80,
        "start_info.cmd_line": 128,
        "vcpu_guest_context.user_regs": 520,
        "vcpu_guest_context.gs_base_user": 5160,
    },
    "arm64": {
        "vcpu_info.evtchn_pending_sel": 8,
        "vcpu_info.time": 16,
        "shared_info.evtchn_pending": 48,
        "shared_info.evtchn_mask": 560,
        "shared_info.wc_version": 1072,
    },
    "ppc64": {
        "shared_info.evtchn_pending": 1536,
        "shared_info.evtchn_mask": 2048,
        "shared_info.wc_version": 2560,
        "shared_info.arch.boot_timebase": 2576,
        "cpu_user_regs.pc": 288,
        "cpu_user_regs.dsisr": 336,
        "vcpu_guest_context.sdr1": 352,
    },
}
OFFSETS["arm32"] = OFFSETS["arm64"]
COMMANDS = {  # described commands per hypercall, at 4.20
    "event_channel_op": 15,
    "sched_op": 8,
    "vcpu_op": 16,
    "xen_version": 15,
    "console_io": 2,
    "vm_assist": 2,
    "callback_op": 2,
}


@pytest.fixture(params=ABIS, ids=lambda pair: "-".join(pair))
def abi(request: pytest.FixtureRequest) -> Abi:
    """Every architecture at every release that is described."""
    arch, release = request.param
    return xenport.abi.load(arch=arch, release=release)


def test_everything_has_a_meaning(abi: Abi) -> None:
    abi.check()


def test_sizes(abi: Abi) -> None:
    expected = SIZES[abi.architecture.name]
    assert {name: abi.sizeof(name) for name in expected} == expected


def test_offsets(abi: Abi) -> None:
    expected = OFFSETS[abi.architecture.name]
    found = {path: abi.offset(*path.split(".", 1)) for path in expected}
    assert found == expected


@pytest.mark.parametrize("arch", ["arm64", "arm32"])
@pytest.mark.parametrize(("release", "size"), [("4.14", 344), ("4.17", 352), ("4.20", 352)])
def test_arm_context_grew(arch: str, release: str, size: int) -> None:
    assert xenport.abi.load(arch=arch, release=release).sizeof("vcpu_guest_context") == size


@pytest.mark.parametrize(
    ("register", "narrow"),
    [("x0", "r0_usr"), ("x13", "sp_usr"), ("x30", "lr_fiq"), ("pc64", "pc32")],
)
def test_arm_registers_have_two_names(register: str, narrow: str) -> None:
    abi = xenport.abi.load(arch="arm32", release="4.17")
    assert abi.offset("vcpu_guest_core_regs", register) == abi.offset(
        "vcpu_guest_core_regs", narrow
    )


@pytest.mark.parametrize(
    ("release", "interface", "domctl"),
    [("4.14", 0x40E00, 0x12), ("4.17", 0x40E00, 0x15), ("4.20", 0x41300, 0x17)],
)
def test_interface_versions(release: str, interface: int, domctl: int) -> None:
    abi = xenport.abi.load(arch="x86_64", release=release)
    assert abi.constant("__XEN_LATEST_INTERFACE_VERSION__") == interface
    assert abi.constant("XEN_DOMCTL_INTERFACE_VERSION") == domctl


def test_commands_are_complete() -> None:
    abi = xenport.abi.load(arch="x86_64", release="4.20")
    assert {name: len(abi.hypercalls[name].commands) for name in COMMANDS} == COMMANDS


def test_all_hypercalls_have_a_number(abi: Abi) -> None:
    numbers = {
        constant.value
        for name, constant in abi.constants.items()
        if name.startswith("__HYPERVISOR_") and "VIRT" not in name
    }
    last = 37 if abi.release == "3.2" else 42
    assert numbers >= set(range(last + 1)) - {11}  # 11 was never used again


def test_arm_serves_two_vcpu_commands() -> None:
    abi = xenport.abi.load(arch="arm64", release="4.20")
    vcpu_op = abi.hypercalls["vcpu_op"]
    served = {name for name, command in vcpu_op.commands.items() if command.callers}
    assert served == {"VCPUOP_register_vcpu_info", "VCPUOP_register_runstate_memory_area"}
    assert vcpu_op.unknown_command == "EINVAL"


def test_what_is_shared_and_what_is_not() -> None:
    x86 = xenport.abi.load(arch="x86_64", release="4.17")
    arm = xenport.abi.load(arch="arm64", release="4.17")
    assert "pv" in x86.hypercalls["set_trap_table"].callers
    assert arm.hypercalls["set_trap_table"].callers == ()
    assert arm.hypercalls["set_timer_op"].callers == ()
    old = xenport.abi.load(arch="x86_64", release="4.14")
    assert old.hypercalls["multicall"].callers == ("pv",)
    assert x86.hypercalls["multicall"].callers == ("pv", "hvm")


def test_every_described_thing_is_documented(abi: Abi) -> None:
    silent = [name for name, call in abi.hypercalls.items() if not call.doc]
    silent += [
        name
        for call in abi.hypercalls.values()
        for name, command in call.commands.items()
        if not command.doc
    ]
    assert silent == []


def test_every_command_that_takes_a_pointer_can_fault(abi: Abi) -> None:
    """What reads or writes guest memory says EFAULT; memory_op's reservations count instead, and
    what is always refused does neither."""
    counting = {"XENMEM_increase_reservation", "XENMEM_decrease_reservation"}
    counting |= {"XENMEM_populate_physmap"}
    missing = [
        name
        for call in abi.hypercalls.values()
        for name, command in call.commands.items()
        if command.arg is not None
        and name not in counting
        and "EFAULT" not in {error.errno for error in command.errors}
        and "always" not in {error.text for error in command.errors}
    ]
    assert missing == []


def test_arguments_of_domctl_are_members_of_its_union(abi: Abi) -> None:
    if "domctl" in abi.hypercalls:
        for command in abi.hypercalls["domctl"].commands.values():
            if command.arg is not None and command.arg.member is not None:
                assert command.arg.member.count(".") == 1, command.name


def test_sentences_are_short_and_plain(abi: Abi) -> None:
    for constant in abi.constants.values():
        assert len(constant.doc) < 250
        assert not re.search(r"\bplease\b|\bTODO\b", constant.doc)
