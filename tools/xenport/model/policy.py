"""Who may do what to whom: Xen's default policy, and SILO on top of it.

Arm's Xen is built with SILO: domains other than the control domain may not talk to each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenport.model.errors import XenError

if TYPE_CHECKING:
    from xenport.model.domain import Domain


def require_target(caller: Domain, target: Domain) -> None:
    """XenError EPERM unless ``caller`` is ``target`` or the control domain."""
    if caller is not target and not caller.is_control:
        raise XenError("EPERM")


def require_control(caller: Domain) -> None:
    """XenError EPERM unless ``caller`` is the control domain."""
    if not caller.is_control:
        raise XenError("EPERM")


class Policy:
    """What is allowed between two domains by default: all that `require_target` lets pass."""

    def check_unbound(self, caller: Domain, domain: Domain, _remote: int) -> None:
        """May ``caller`` make a port of ``domain`` for domain number ``_remote``?"""
        require_target(caller, domain)

    def check_interdomain(self, caller: Domain, local: Domain, remote: Domain) -> None:
        """May a port of ``local`` be connected to one of ``remote``?"""


class Silo(Policy):
    """The control domain must be one of the two, or they must be the same."""

    def check_unbound(self, caller: Domain, domain: Domain, remote: int) -> None:
        """Also: the remote domain must exist (ESRCH)."""
        hypervisor = domain.hypervisor
        other = caller if remote == domain.abi.constant("DOMID_SELF") else hypervisor.domain(remote)
        self.check_interdomain(caller, domain, other)
        super().check_unbound(caller, domain, remote)

    def check_interdomain(self, caller: Domain, local: Domain, remote: Domain) -> None:
        """XenError EPERM for two strangers."""
        if local is not remote and not any(d.is_control for d in (caller, local, remote)):
            raise XenError("EPERM")
