"""The adapters of 32-bit x86."""

from __future__ import annotations

from xenport.model.cpu.base import Cpu
from xenport.model.cpu.x86_32_hvm import Hvm32Cpu, Pc32Cpu

CPUS: dict[str, type[Cpu]] = {"hvm": Hvm32Cpu, "hvm pc": Pc32Cpu}
