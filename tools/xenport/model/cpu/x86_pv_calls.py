"""All hypercalls that only PV guests have."""

from xenport.model import livepatch
from xenport.model.cpu import (
    x86_firmware,
    x86_kexec,
    x86_machine_memory,
    x86_physdev,
    x86_platform,
    x86_profiling,
    x86_pv_descriptors,
    x86_pv_entries,
    x86_pv_mmuext,
    x86_pv_registers,
    x86_pv_tables,
    x86_sysctl,
)
from xenport.model.handlers import Handlers

handlers = Handlers(
    livepatch.handlers,
    x86_firmware.handlers,
    x86_kexec.handlers,
    x86_machine_memory.handlers,
    x86_physdev.handlers,
    x86_platform.handlers,
    x86_profiling.handlers,
    x86_pv_descriptors.handlers,
    x86_pv_entries.handlers,
    x86_pv_mmuext.handlers,
    x86_pv_registers.handlers,
    x86_pv_tables.handlers,
    x86_sysctl.handlers,
)
