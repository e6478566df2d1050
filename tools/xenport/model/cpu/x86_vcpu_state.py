"""domctl on x86: state of a domain and its vcpus beyond the general registers."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NoReturn

from xenport.model.cpu.x86_core import cpuid
from xenport.model.cpu.x86_sysctl import MSRS
from xenport.model.domctl.life import other, target
from xenport.model.domctl.vcpus import stored_cpu, vcpu_of
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers

if TYPE_CHECKING:
    from xenport.model.call import Call
    from xenport.model.domain import Domain
    from xenport.model.vcpu import Vcpu

handlers = Handlers()
command = handlers.command

TSC_KHZ = 1_000_000
_LARGEST_MODE = 2  #: of a time stamp counter

_CALLBACKS = 32  #: bytes of xen_domctl_ext_vcpucontext before the machine checks
_GUEST_RPL = 3  # the privilege at which the kernel of a PV guest runs

#: Where an xen_domctl_ext_vcpucontext may end within these.
_MACHINE_CHECK_ENDS = (_CALLBACKS + 8, _CALLBACKS + 24, _CALLBACKS + 32)
_BANKS = 2  #: of machine checks, as AMD's processors have them
_MACHINE_CHECK_CAPABILITIES = 0x1FF  #: any number of banks, and a register that controls them

_FEATURES = 3  #: of XSAVE: x87 and SSE
_SAVED_HEADER = 16  #: XCR0, and all that was ever on
_SAVED = _SAVED_HEADER + 512 + 64  #: and the area

_MOST_MSRS = 8

_MOST_LEAVES = 32


# ---- Time stamp counter ----


@command("XEN_DOMCTL_gettscinfo")
def gettscinfo(call: Call) -> None:
    """How the counter goes."""
    info = call.view.u.tsc_info
    info.tsc_mode, info.gtsc_khz, info.incarnation = other(call).settings.tsc
    info.elapsed_nsec = call.hypervisor.clock.now


@command("XEN_DOMCTL_settscinfo")
def settscinfo(call: Call) -> None:
    """Choose how it goes."""
    domain = other(call)
    info = call.view.u.tsc_info
    if info.tsc_mode > _LARGEST_MODE:
        raise XenError("EINVAL")
    khz = info.gtsc_khz or TSC_KHZ
    domain.settings.tsc = info.tsc_mode, khz, info.incarnation + 1


# ---- Callbacks and machine checks ----


@command("XEN_DOMCTL_get_ext_vcpucontext")
def get_ext_vcpucontext(call: Call) -> None:
    """The callbacks of a vcpu, and the state of its machine checks."""
    domain = target(call)
    view = call.view.u.ext_vcpucontext
    vcpu = vcpu_of(domain, view.vcpu, "ESRCH")
    if vcpu is call.vcpu:
        raise XenError("ESRCH")
    argument = _ext_context(call)
    argument[8:] = _ext_state(vcpu)[8:]
    view.size = len(argument)


@command("XEN_DOMCTL_set_ext_vcpucontext")
def set_ext_vcpucontext(call: Call) -> None:
    """Set them. Shorter structures of old tools end before the machine checks, or within them."""
    domain = target(call)
    view = call.view.u.ext_vcpucontext
    vcpu = vcpu_of(domain, view.vcpu, "ESRCH")
    if domain is call.domain:
        raise XenError("ESRCH")
    if view.size < _CALLBACKS:
        raise XenError("EINVAL")
    state = bytearray(_ext_state(vcpu))
    given = _ext_context(call)
    kept = call.domain.abi.view("xen_domctl_ext_vcpucontext", state)
    if not domain.cpu_class.hvm:
        state[:_CALLBACKS] = given[:_CALLBACKS]
        kept.syscall32_callback_cs |= _GUEST_RPL
        kept.sysenter_callback_cs |= _GUEST_RPL
    size = max((end for end in _MACHINE_CHECK_ENDS if end <= view.size), default=0)
    if size:
        if view.mcg_cap & ~_MACHINE_CHECK_CAPABILITIES:
            raise XenError("EINVAL")
        state[_CALLBACKS:] = bytes(given[_CALLBACKS:size]).ljust(len(state) - _CALLBACKS, b"\0")
    stored_cpu(vcpu).callbacks = bytes(state)


def _ext_context(call: Call) -> memoryview:
    """The structure's bytes in the argument."""
    assert call.buffer is not None
    abi = call.domain.abi
    start = abi.offset("xen_domctl", "u.ext_vcpucontext")
    return memoryview(call.buffer)[start : start + abi.sizeof("xen_domctl_ext_vcpucontext")]


def _ext_state(vcpu: Vcpu) -> bytes:
    """What there is of a vcpu, as the same structure."""
    cpu = stored_cpu(vcpu)
    if not cpu.callbacks:
        abi = vcpu.domain.abi
        buffer = bytearray(abi.sizeof("xen_domctl_ext_vcpucontext"))
        abi.view("xen_domctl_ext_vcpucontext", buffer).mcg_cap = _BANKS
        return bytes(buffer)
    return cpu.callbacks


# ---- XSAVE ----


def _vcpu_of_others(call: Call, domain: Domain, number: int) -> Vcpu:
    vcpu = vcpu_of(domain, number, "ESRCH")
    if vcpu is call.vcpu:
        raise XenError("EINVAL")
    return vcpu


@command("XEN_DOMCTL_getvcpuextstate")
def getvcpuextstate(call: Call) -> None:
    """The largest size of the state, or the state."""
    view = call.view.u.vcpuextstate
    vcpu = _vcpu_of_others(call, target(call), view.vcpu)
    if not view.buffer or (not view.size and not view.xfeature_mask):
        view.xfeature_mask, view.size = _FEATURES, _SAVED
        return
    state = stored_cpu(vcpu).extended
    if view.size < len(state) or view.xfeature_mask != _FEATURES:
        raise XenError("EINVAL")
    call.vcpu.copy_out(view.buffer, state)
    view.size = len(state)


@command("XEN_DOMCTL_setvcpuextstate")
def setvcpuextstate(call: Call) -> None:
    """Set the state: all of it, or nothing but its header."""
    view = call.view.u.vcpuextstate
    vcpu = _vcpu_of_others(call, target(call), view.vcpu)
    if not _SAVED_HEADER <= view.size <= _SAVED:
        raise XenError("EINVAL")
    state = bytes(call.vcpu.copy_in(view.buffer, view.size))
    enabled, ever = struct.unpack_from("<QQ", state)
    if ever:
        if view.size != _SAVED or enabled & ~ever or ever & ~_FEATURES or not enabled & 1:
            raise XenError("EINVAL")
    elif enabled or view.size != _SAVED_HEADER:
        raise XenError("EINVAL")
    if ever:
        stored_cpu(vcpu).extended = state


# ---- MSRs ----


def _pv_vcpu(call: Call) -> Vcpu:
    domain = target(call)
    vcpu = _vcpu_of_others(call, domain, call.view.u.vcpu_msrs.vcpu)
    if domain.cpu_class.hvm:
        raise XenError("EINVAL")
    return vcpu


@command("XEN_DOMCTL_get_vcpu_msrs")
def get_vcpu_msrs(call: Call) -> None:
    """Those that are not 0, which are none, or how many there may be."""
    _pv_vcpu(call)
    view = call.view.u.vcpu_msrs
    view.msr_count = 0 if view.msrs else _MOST_MSRS


@command("XEN_DOMCTL_set_vcpu_msrs")
def set_vcpu_msrs(call: Call) -> None:
    """Set some. There is none that could be."""
    _pv_vcpu(call)
    view = call.view.u.vcpu_msrs
    if view.msr_count > _MOST_MSRS:
        raise XenError("EINVAL")
    if view.msr_count:
        call.vcpu.read_struct("xen_domctl_vcpu_msr", view.msrs)
        view.msr_count = 0
        call.finish()
        raise XenError("EINVAL")


# ---- CPUID ----


@command("XEN_DOMCTL_get_cpu_policy")
def get_cpu_policy(call: Call) -> None:
    """The leaves of CPUID that a domain sees, and the registers that go with them."""
    target(call)
    view = call.view.u.cpu_policy
    abi = call.domain.abi
    if not view.leaves:
        view.nr_leaves = _MOST_LEAVES
    else:
        size = abi.sizeof("xen_cpuid_leaf")
        highest = cpuid(0)[0]
        if view.nr_leaves <= highest:
            raise XenError("ENOBUFS")
        for leaf in range(highest + 1):
            buffer = bytearray(size)
            entry = abi.view("xen_cpuid_leaf", buffer)
            entry.leaf = leaf
            entry.subleaf = abi.constant("XEN_CPUID_NO_SUBLEAF")
            entry.a, entry.b, entry.c, entry.d = cpuid(leaf)
            call.vcpu.copy_out(view.leaves, buffer, leaf * size)
        view.nr_leaves = highest + 1
    if view.msrs:
        if view.nr_msrs < len(MSRS):
            raise XenError("ENOBUFS")
        for index, number in enumerate(MSRS):
            call.vcpu.write_struct("xen_msr_entry", view.msrs, index, idx=number)
    view.nr_msrs = len(MSRS)


@command("XEN_DOMCTL_set_cpu_policy")
def set_cpu_policy(call: Call) -> None:
    """Change what a domain sees before it starts."""
    domain = other(call)
    view = call.view.u.cpu_policy
    if domain.settings.was_unpaused:
        raise XenError("EEXIST")
    if view.nr_leaves > _MOST_LEAVES:
        raise XenError("E2BIG")
    for index in range(view.nr_leaves):
        entry = call.vcpu.read_struct("xen_cpuid_leaf", view.leaves, index)
        if not any(entry.leaf in known for known in _KNOWN_LEAVES):
            _refuse_entry(call, leaf=entry.leaf, subleaf=entry.subleaf)
    if view.nr_msrs > _MOST_POLICY_MSRS:
        raise XenError("E2BIG")
    for index in range(view.nr_msrs):
        msr = call.vcpu.read_struct("xen_msr_entry", view.msrs, index).idx
        if msr not in MSRS:
            _refuse_entry(call, msr=msr)


_KNOWN_LEAVES = (range(0xE), range(0x40000000, 0x40000001), range(0x80000000, 0x80000022))
_MOST_POLICY_MSRS = 2
_NONE = 0xFFFF_FFFF


def _refuse_entry(
    call: Call, leaf: int = _NONE, subleaf: int = _NONE, msr: int = _NONE
) -> NoReturn:
    """XenError ERANGE; the argument says why."""
    view = call.view.u.cpu_policy
    view.err_leaf, view.err_subleaf, view.err_msr = leaf, subleaf, msr
    call.finish()
    raise XenError("ERANGE")
