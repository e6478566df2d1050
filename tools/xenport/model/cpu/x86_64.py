"""The adapters of 64-bit x86."""

from __future__ import annotations

from xenport.model.cpu.base import Cpu
from xenport.model.cpu.x86_64_pv import PvCpu
from xenport.model.cpu.x86_64_pvh import PvhCpu
from xenport.model.cpu.x86_pc import PcCpu
from xenport.model.cpu.x86_pv_detached import DetachedPvCpu

CPUS: dict[str, type[Cpu]] = {"pv": PvCpu, "hvm": PvhCpu, "hvm pc": PcCpu}

#: Without a processor; see `xenport.model.cpu.detached`.
DETACHED: dict[str, type[Cpu]] = {"pv": DetachedPvCpu}
