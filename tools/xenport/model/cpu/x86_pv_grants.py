"""Mappings by grant in the page tables of a PV guest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.cpu.x86_core import ADDRESS, PRESENT, WRITABLE
from xenport.model.errors import GrantError
from xenport.model.memory import PAGE_SIZE

if TYPE_CHECKING:
    from xenport.model.cpu.x86_64_pv import PvCpu
    from xenport.model.grant_table import Granted


def entry_address(cpu: PvCpu, address: int, flags: int) -> int:
    """The machine address of the entry that maps ``address``, which with GNTMAP_contains_pte is
    that itself. GrantError general_error: there is no such entry."""
    machine = cpu.start.machine
    at: int | None = address
    if not flags & cpu.vcpu.domain.abi.constant("GNTMAP_contains_pte"):
        at = machine.entry_address(cpu.root, address)
    if at is None or at % 8 or machine.tables.get(at // PAGE_SIZE) != 1:
        raise GrantError("general_error")
    return at


def frame_of(cpu: PvCpu, grant: Granted) -> int:
    """The frame by which the guest's page tables can name the page: another domain's is shared."""
    if grant.domain is cpu.vcpu.domain:
        return grant.frame
    return cpu.start.machine.share(grant.page)


def unmap(cpu: PvCpu, address: int, grant: Granted, flags: int, new_address: int) -> None:
    """Empty the entry that maps ``grant``, or put the entry of ``new_address`` there, which is
    empty then. GrantError general_error: it does not map it, or not as ``flags`` say."""
    machine = cpu.start.machine
    abi = cpu.vcpu.domain.abi
    if new_address and flags & abi.constant("GNTMAP_contains_pte"):
        raise GrantError("general_error")
    moved = entry_address(cpu, new_address, 0) if new_address else None
    at = entry_address(cpu, address, flags)
    entry = machine.read_entry(at)
    writable = not flags & abi.constant("GNTMAP_readonly")
    if (
        not entry & PRESENT
        or (entry & ADDRESS) // PAGE_SIZE != frame_of(cpu, grant)
        or bool(entry & WRITABLE) != writable
    ):
        raise GrantError("general_error")
    machine.move_entry(at, machine.take_entry(moved) if moved is not None else 0)
