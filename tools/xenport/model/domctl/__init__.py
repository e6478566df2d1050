"""domctl: what the control domain does to domains, by topic."""

from __future__ import annotations

from xenport.model.domctl import devices, info, life, memory, monitor, nodes, scheduler, vcpus
from xenport.model.handlers import Handlers

_PARTS = (devices, info, life, memory, monitor, nodes, scheduler, vcpus)
handlers = Handlers(*(part.handlers for part in _PARTS))
handlers.refuse_declared("domctl")  # version, domain and privilege among them
