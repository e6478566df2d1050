"""Recognises the end of a domain or machine by what a port's description says of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from xenport.port.description import End
from xenport.port.session import EndKind, Source


@dataclass(frozen=True)
class Seen:
    """An end that was recognised."""

    kind: EndKind
    detail: str
    by_event: bool
    """A machine event was part of it, so the machine is on its way out."""


class Ends:
    """Watches the lines and the machine's events of one boot."""

    def __init__(self, ends: Sequence[End]) -> None:
        self._ends = ends
        self.begin()

    def begin(self) -> None:
        """Nothing has been seen: a domain begins."""
        self._watched = [_Watched(end) for end in self._ends]
        self._last: dict[Source, str] = {}

    def line(self, source: Source, text: str) -> Seen | None:
        """The end that this line completes."""
        if source == "guest":
            return None
        recent = f"{self._last.get(source, '')}\n{text}"
        self._last[source] = text
        for watched in self._watched:
            if watched.line(source, recent) and watched.complete:
                return watched.seen()
        return None

    def event(self, event: str) -> Seen | None:
        """The end that this machine event completes."""
        for watched in self._watched:
            if watched.event(event) and watched.complete:
                return watched.seen()
        return None

    def half(self) -> str:
        """A note on an end that was seen in part: what came and what did not; else empty."""
        for watched in self._watched:
            if watched.detail and not watched.complete:
                lacking = ", ".join(sorted(watched.wanted.values()))
                return f" (seen: {watched.detail}; not seen: {lacking})"
        return ""


class _Watched:
    """One kind of end, and which parts of it have not been seen yet."""

    def __init__(self, end: End) -> None:
        parts = {"hypervisor": end.hypervisor, "supervisor": end.supervisor, "event": end.event}
        self._end = end
        self.detail = ""
        self.wanted = {part: text for part, text in parts.items() if text is not None}

    @property
    def complete(self) -> bool:
        return not self.wanted

    def line(self, source: Source, recent: str) -> bool:
        """Whether ``recent``, the writer's last two lines, has the part that was wanted of it."""
        pattern = self.wanted.get(source)
        match = re.search(pattern, recent) if pattern else None
        if match is None:
            return False
        del self.wanted[source]
        detail = match.groupdict().get("detail") or recent.rpartition("\n")[2]
        self.detail = detail.strip()
        return True

    def event(self, event: str) -> bool:
        """Whether ``event`` is the one that was wanted."""
        if self.wanted.get("event") != event:
            return False
        del self.wanted["event"]
        self.detail = self.detail or event
        return True

    def seen(self) -> Seen:
        return Seen(self._end.kind, self.detail, by_event=self._end.event is not None)
