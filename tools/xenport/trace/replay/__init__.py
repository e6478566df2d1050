"""Asking again what a trace says that a hypervisor was asked, and comparing the answers.

``model`` asks the reference model without a processor.
"""

from xenport.trace.replay.model import Replay, seen_in
from xenport.trace.replay.outcome import KINDS, Kind, Outcome

__all__ = ["KINDS", "Kind", "Outcome", "Replay", "seen_in"]
