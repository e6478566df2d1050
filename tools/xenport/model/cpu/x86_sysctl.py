"""sysctl about x86's processors. This one has neither power states nor caches to share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.cpu.x86_core import cpuid
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers()
command = handlers.command

_UNLIMITED = 0xFFFF_FFFF

# ---- What CPUID says ----

_FEATURE_WORDS = 22
_MOST_LEAVES = 160
_LEAVES = (0, 1, 0x80000000, 0x80000001)
MSRS = (0xCE,)  # platform information, with which CPUID can be made to fault
_NO_SUBLEAF = 0xFFFF_FFFF


@command("XEN_SYSCTL_get_cpu_levelling_caps")
def get_cpu_levelling_caps(call: Call) -> None:
    """Nothing can be hidden."""
    call.view.u.cpu_levelling_caps.caps = 0


def _features() -> list[int]:
    """The words of the one set of features that there is: leaf 1's, then leaf 0x80000001's."""
    words = [cpuid(leaf)[i] for leaf in (1, 0x80000001) for i in (3, 2)]
    return words + [0] * (_FEATURE_WORDS - len(words))


@command("XEN_SYSCTL_get_cpu_featureset")
def get_cpu_featureset(call: Call) -> None:
    """A set of features; all kinds of guests have the same."""
    asked = call.view.u.cpu_featureset
    if not asked.features:
        asked.nr_features = _FEATURE_WORDS
        return
    if asked.index > call.domain.abi.constant("XEN_SYSCTL_cpu_featureset_hvm_max"):
        raise XenError("EINVAL")
    asked.nr_features = min(asked.nr_features, _FEATURE_WORDS)
    for index, word in enumerate(_features()[: asked.nr_features]):
        call.vcpu.write_word("uint32", word, asked.features, index)
    if asked.nr_features < _FEATURE_WORDS:
        call.finish()
        raise XenError("ENOBUFS")


@command("XEN_SYSCTL_get_cpu_policy")
def get_cpu_policy(call: Call) -> None:
    """The leaves of CPUID and the registers that go with them, the same for all kinds of guests."""
    asked = call.view.u.cpu_policy
    if asked._rsvd or asked.index > call.domain.abi.constant("XEN_SYSCTL_cpu_policy_hvm_default"):
        raise XenError("EINVAL")
    if not asked.leaves:
        asked.nr_leaves = _MOST_LEAVES
    else:
        if asked.nr_leaves < len(_LEAVES):
            raise XenError("ENOBUFS")
        for index, leaf in enumerate(_LEAVES):
            a, b, c, d = cpuid(leaf)
            call.vcpu.write_struct(
                "xen_cpuid_leaf",
                asked.leaves,
                index,
                leaf=leaf,
                subleaf=_NO_SUBLEAF,
                a=a,
                b=b,
                c=c,
                d=d,
            )
        asked.nr_leaves = len(_LEAVES)
    if asked.msrs:
        if asked.nr_msrs < len(MSRS):
            raise XenError("ENOBUFS")
        for index, number in enumerate(MSRS):
            call.vcpu.write_struct("xen_msr_entry", asked.msrs, index, idx=number)
    asked.nr_msrs = len(MSRS)


# ---- Starting and stopping, power ----


@command("XEN_SYSCTL_cpu_hotplug")
def cpu_hotplug(call: Call) -> None:
    """All but the first processor can be stopped, and started again."""
    abi = call.domain.abi
    machine = call.hypervisor.physical
    asked = call.view.u.cpu_hotplug
    online, offline = (
        abi.constant(f"XEN_SYSCTL_CPU_HOTPLUG_{name}") for name in ("ONLINE", "OFFLINE")
    )
    if asked.op not in (online, offline):
        raise XenError("EOPNOTSUPP")
    if asked.cpu >= machine.processors or (asked.op == offline and asked.cpu == 0):
        raise XenError("EINVAL")
    if machine.is_online(asked.cpu) == (asked.op == online):
        raise XenError("EEXIST")
    (machine.start if asked.op == online else machine.stop)(asked.cpu)


@command("XEN_SYSCTL_get_pmstat")
def get_pmstat(call: Call) -> None:
    """The control domain tells of no power states."""
    asked = call.view.u.get_pmstat
    abi = call.domain.abi
    category = asked.type & abi.constant("PMSTAT_CATEGORY_MASK")
    if asked.cpuid >= call.hypervisor.physical.processors:
        raise XenError("EINVAL")
    raise XenError("EINVAL" if category == abi.constant("PMSTAT_PX") else "ENODEV")


@command("XEN_SYSCTL_pm_op")
def pm_op(call: Call) -> None:
    """Limits that are kept and have no effect; nothing about speeds."""
    asked = call.view.u.pm_op
    abi = call.domain.abi
    settings = call.hypervisor.physical.power
    prefix = "XEN_SYSCTL_pm_op_"
    if asked.cmd == abi.constant(prefix + "set_sched_opt_smt"):
        if asked.cpuid:
            raise XenError("EINVAL")
        old = settings.get("smt", 0)
        settings["smt"] = int(asked.u.set_sched_opt_smt != 0)
        asked.u.set_sched_opt_smt = old
        return
    get, put = (abi.constant(f"{prefix}{verb}_max_cstate") for verb in ("get", "set"))
    if asked.cmd in (get, put):
        if asked.cpuid > 1:
            raise XenError("EINVAL")
        name = f"cstate{asked.cpuid}"
        if asked.cmd == put:
            settings[name] = asked.u.set_max_cstate
        asked.u.get_max_cstate = settings.get(name, _UNLIMITED)
        return
    if asked.cpuid >= call.hypervisor.physical.processors:
        raise XenError("EINVAL")
    if asked.cmd & abi.constant("PM_PARA_CATEGORY_MASK") == abi.constant("CPUFREQ_PARA"):
        raise XenError("EINVAL")
    turbo = [abi.constant(f"{prefix}{verb}_turbo") for verb in ("enable", "disable")]
    raise XenError("EACCES" if asked.cmd in turbo else "ENOSYS")


# ---- Caches ----


@command("XEN_SYSCTL_psr_cmt_op")
def psr_cmt_op(_call: Call) -> None:
    """Not in use."""
    raise XenError("ENODEV")


@command("XEN_SYSCTL_psr_alloc")
def psr_alloc(call: Call) -> None:
    """Not in use."""
    last = call.domain.abi.constant("XEN_SYSCTL_PSR_get_mba_info")
    raise XenError("EOPNOTSUPP" if call.view.u.psr_alloc.cmd > last else "ENODEV")


# ---- PCI ----


@command("XEN_SYSCTL_pcitopoinfo")
def pcitopoinfo(call: Call) -> None:
    """The nodes of devices."""
    asked = call.view.u.pcitopoinfo
    if not asked.devs or not asked.nodes:
        raise XenError("EINVAL")
    for index in range(asked.num_devs):
        device = call.vcpu.read_struct("physdev_pci_device", asked.devs, index)
        is_known = (device.seg, device.bus, device.devfn) in call.hypervisor.physical.devices
        node = 0 if is_known else call.domain.abi.constant("XEN_INVALID_DEV")
        call.vcpu.write_word("uint32", node, asked.nodes, index)
