"""All handlers of hypercalls that are the same on every architecture."""

from __future__ import annotations

from xenport.model import (
    compat,
    console,
    domctl,
    event_channel_op,
    grant_table_op,
    hvm_op,
    hypfs,
    memory_exchange,
    memory_op,
    memory_resource,
    memory_tools,
    multicall,
    platform_op,
    sched_op,
    sysctl,
    sysctl_pages,
    sysctl_pools,
    sysctl_trace,
    unbuilt,
    vcpu_op,
    version,
    vm_assist,
)
from xenport.model.handlers import Handlers

HANDLERS = Handlers(
    compat.handlers,
    domctl.handlers,
    platform_op.handlers,
    console.handlers,
    event_channel_op.handlers,
    grant_table_op.handlers,
    hvm_op.handlers,
    hypfs.handlers,
    memory_exchange.handlers,
    memory_op.handlers,
    memory_resource.handlers,
    memory_tools.handlers,
    multicall.handlers,
    sched_op.handlers,
    sysctl.handlers,
    sysctl_pages.handlers,
    sysctl_pools.handlers,
    sysctl_trace.handlers,
    unbuilt.handlers,
    vcpu_op.handlers,
    version.handlers,
    vm_assist.handlers,
)
