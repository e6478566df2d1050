"""Finds the CPU adapter of an architecture and a kind of guest."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import xenport.abi
from xenport.errors import InputError

if TYPE_CHECKING:
    from xenport.abi import Abi
    from xenport.architecture import Architecture
    from xenport.model.cpu.base import Cpu


def cpu_class(
    architecture: Architecture,
    guest: str,
    guest_architecture: str | None = None,
    platform: str | None = None,
) -> type[Cpu]:
    """The adapter for a kind of guest of Xen on ``architecture``: of another architecture, and with
    another platform than usual, if they are given. Raises InputError for one that the model does
    not have."""
    name = architecture.model.get("cpu")
    if name is None:
        raise InputError(f"the model does not run {architecture.name}")
    module = importlib.import_module(f"xenport.model.cpu.{name}")
    cpus: Mapping[str, type[Cpu]] = module.CPUS
    kind = " ".join(word for word in (guest_architecture, guest, platform) if word)
    if kind not in cpus:
        raise InputError(
            f"the model runs no '{kind}' guests on {architecture.name}; it runs {', '.join(cpus)}"
        )
    return cpus[kind]


def of_children(architecture: Architecture, abi: Abi) -> tuple[Architecture, Abi]:
    """The architecture of the domains that a domain of ``architecture`` makes, and its ABI at the
    release of ``abi``: the same, unless ``model.children`` in arch/ names another."""
    name = architecture.model.get("children")
    if name is None:
        return architecture, abi
    other = xenport.abi.load_for_model(name, abi.release)
    return other.architecture, other
