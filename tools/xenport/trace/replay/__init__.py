"""Asking again what a trace says that a hypervisor was asked, and comparing the answers.

``model`` asks the reference model without a processor, ``port`` any port with the agent kernel.
"""

from xenport.trace.replay.model import Replay, seen_in
from xenport.trace.replay.outcome import KINDS, Kind, Outcome
from xenport.trace.replay.port import PortReplay

__all__ = ["KINDS", "Kind", "Outcome", "PortReplay", "Replay", "seen_in"]
