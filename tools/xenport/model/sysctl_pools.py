"""sysctl: schedulers and CPU pools. The one processor is in pool 0, where all domains are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenport.abi.releases import rank
from xenport.model.errors import XenError
from xenport.model.handlers import Handlers

if TYPE_CHECKING:
    from xenport.model.call import Call

handlers = Handlers()
command = handlers.command

_RATE_LIMIT_US = 1000
_ANY = 0xFFFF_FFFF
_SCHEDULERS = ("CREDIT", "CREDIT2")


class Pools:
    """The pools, by number, with their schedulers, and the rate limit of pool 0's."""

    def __init__(self, scheduler: int) -> None:
        self.scheduler = {0: scheduler}
        self.rate_limit_us = _RATE_LIMIT_US


def _schedulers(call: Call) -> list[int]:
    return [call.domain.abi.constant(f"XEN_SCHEDULER_{name}") for name in _SCHEDULERS]


def _pools(call: Call) -> Pools:
    machine = call.hypervisor.physical
    if machine.pools is None:
        machine.pools = Pools(_schedulers(call)[-1])
    return machine.pools


@command("XEN_SYSCTL_sched_id")
def sched_id(call: Call) -> None:
    """The scheduler that Xen was started with."""
    call.view.u.sched_id.sched_id = _pools(call).scheduler[0]


@command("XEN_SYSCTL_scheduler_op")
def scheduler_op(call: Call) -> None:
    """The rate limit, which is all that Credit2 has."""
    abi = call.domain.abi
    view = call.view.u.scheduler_op
    pools = _pools(call)
    put, get = (abi.constant(f"XEN_SYSCTL_SCHEDOP_{name}") for name in ("putinfo", "getinfo"))
    if view.cmd not in (put, get):
        raise XenError("EINVAL")
    if view.cpupool_id not in pools.scheduler:
        raise XenError("ESRCH")
    if view.sched_id != pools.scheduler[view.cpupool_id]:
        raise XenError("EINVAL")
    limit = view.u.sched_credit2.ratelimit_us
    if view.cmd == put:
        least, most = (abi.constant(f"XEN_SYSCTL_SCHED_RATELIMIT_{n}") for n in ("MIN", "MAX"))
        if limit and not least <= limit <= most:
            raise XenError("EINVAL")
        pools.rate_limit_us = limit
    view.u.sched_credit2.ratelimit_us = pools.rate_limit_us


# ---- Pools ----


@command("XEN_SYSCTL_cpupool_op")
def cpupool_op(call: Call) -> None:
    """Make, ask about, fill, and remove pools."""
    view = call.view.u.cpupool_op
    prefix = "XEN_SYSCTL_CPUPOOL_OP_"
    constants = call.domain.abi.constants
    names = {constants[prefix + name].value: name for name in _OPERATIONS}
    if view.op not in names:
        raise XenError("ENOSYS")
    _OPERATIONS[names[view.op]](call, view, _pools(call))


def _create(call: Call, view: Any, pools: Pools) -> None:
    limit = 2 * call.hypervisor.physical.processors
    if rank(call.domain.abi.release) >= rank("4.17") and len(pools.scheduler) >= limit:
        raise XenError("ENOSPC")
    if view.cpupool_id in pools.scheduler:
        raise XenError("EEXIST")
    if view.sched_id not in _schedulers(call):
        raise XenError("ENOENT")
    if view.cpupool_id == _ANY:
        view.cpupool_id = max(pools.scheduler) + 1
    pools.scheduler[view.cpupool_id] = view.sched_id


def _existing(view: Any, pools: Pools) -> int:
    number: int = view.cpupool_id
    if number not in pools.scheduler:
        raise XenError("ENOENT")
    return number


def _destroy(_call: Call, view: Any, pools: Pools) -> None:
    number = _existing(view, pools)
    if number == 0:
        raise XenError("EBUSY")
    del pools.scheduler[number]


def _put_processors(call: Call, view: Any, bits: int) -> None:
    size = (view.cpumap.nr_bits + 7) // 8
    call.vcpu.copy_out(view.cpumap.bitmap, bits.to_bytes(size, "little"))


def _info(call: Call, view: Any, pools: Pools) -> None:
    number = min((n for n in pools.scheduler if n >= view.cpupool_id), default=None)
    if number is None:
        raise XenError("ENOENT")
    view.cpupool_id = number
    view.sched_id = pools.scheduler[number]
    view.n_dom = 0 if number else len(call.hypervisor.domains)
    own = [] if number else call.hypervisor.physical.online()
    _put_processors(call, view, sum(1 << processor for processor in own))


def _add_cpu(call: Call, view: Any, pools: Pools) -> None:
    _existing(view, pools)
    exists = view.cpu == _ANY or view.cpu < call.hypervisor.physical.processors
    raise XenError("ENODEV" if exists else "EINVAL")


def _remove_cpu(call: Call, view: Any, pools: Pools) -> None:
    number = _existing(view, pools)
    if view.cpu != _ANY and view.cpu >= call.hypervisor.physical.processors:
        raise XenError("EINVAL")
    if number:
        raise XenError("EINVAL" if view.cpu == _ANY else "EADDRNOTAVAIL")
    raise XenError("EINVAL" if rank(call.domain.abi.release) >= rank("4.17") else "EBUSY")


def _move_domain(call: Call, view: Any, pools: Pools) -> None:
    if call.hypervisor.domain(view.domid) is call.domain:
        raise XenError("EPERM")
    if view.cpupool_id and _existing(view, pools):
        raise XenError("ENOENT")  # it has no processor


def _free_info(call: Call, view: Any, _pools: Pools) -> None:
    _put_processors(call, view, 0)


_OPERATIONS = {
    "CREATE": _create,
    "DESTROY": _destroy,
    "INFO": _info,
    "ADDCPU": _add_cpu,
    "RMCPU": _remove_cpu,
    "MOVEDOMAIN": _move_domain,
    "FREEINFO": _free_info,
}
