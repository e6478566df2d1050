"""Comparing an answer with the recorded one, and explaining what differs.

A difference is named by the command, by what differs, and by the recorded value and the new one:
`VCPUOP_up result EINVAL 0`, `XENVER_get_features arg.submap 1 3`.
``conformance/differences.yaml`` has the explanations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache

from xenport import content, yamlsource
from xenport.abi import Abi
from xenport.trace.decode import Decoder
from xenport.trace.record import Record
from xenport.trace.replay.outcome import Outcome

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}]|[^{}",]+|,')
_ABSENT = ["-"]
_NAME = re.compile(r"(?P<name>[\w.]+)(?:=| -> )(?P<value>.*)", re.DOTALL)


class _DifferencesFile(yamlsource.Strict):
    reasons: Mapping[str, str]  # by name of a difference, or a pattern of names as in a shell


class Comparison:
    """Compares the records of one ABI."""

    def __init__(self, abi: Abi, reasons: Mapping[str, str] | None = None) -> None:
        self._decoder = Decoder(abi, comparable=True)
        self._reasons = known_reasons() if reasons is None else reasons

    def outcome(self, recorded: Record, answer: Record, asked: Record | None = None) -> Outcome:
        """What became of ``recorded``, which was answered by ``answer``."""
        if self._text(recorded) == self._text(answer):
            return Outcome("equal", "", answer, asked)
        reasons = [self._reason(name) for name in self.differences(recorded, answer)]
        found = [reason for reason in reasons if reason is not None]
        if not reasons or len(found) < len(reasons):
            return Outcome("different", "", answer, asked)
        return Outcome("explained", " ".join(dict.fromkeys(found)), answer, asked)

    def _text(self, record: Record) -> str:
        decoder = self._decoder
        return "\n".join(map(str, [decoder.result(record), *decoder.memory(record)]))

    def _reason(self, name: str) -> str | None:
        for pattern, reason in self._reasons.items():
            if fnmatchcase(name, pattern):
                return reason
        return None

    def differences(self, recorded: Record, answer: Record) -> Iterator[str]:
        """The names of what differs."""
        decoder = self._decoder
        commands = dict.fromkeys(decoder.commands(recorded))
        name = "/".join(commands) if commands else decoder.hypercall(recorded)
        results = [decoder.result(one).split()[-1] for one in (recorded, answer)]
        if results[0] != results[1]:
            yield f"{name} result {results[0]} {results[1]}"
        for one, other in zip(decoder.memory(recorded), decoder.memory(answer), strict=True):
            before, after = _members(one.text), _members(other.text)
            for path in dict.fromkeys([*before, *after]):
                old, new = before.get(path, _ABSENT), after.get(path, _ABSENT)
                if old != new:
                    where = ".".join(filter(None, (one.name, path)))
                    yield f"{name} {where} {' '.join(old)} {' '.join(new)}"


def _members(text: str) -> dict[str, list[str]]:
    """What a decoded buffer says of each member, by its path; of all elements, one after the
    other."""
    found: dict[str, list[str]] = {}
    path: list[str] = []
    name = ""
    for token in _TOKEN.findall(text):
        if token == "{":
            path.append(name)
            name = ""
        elif token == "}":
            name = path.pop() if path else ""
        elif token == ",":
            name = ""
        else:
            match = _NAME.fullmatch(token.strip())
            if match is not None and path:
                name, token = match["name"], match["value"]
            if token.strip():
                found.setdefault(".".join(filter(None, (*path, name))), []).append(token.strip())
    return found


@cache
def known_reasons() -> Mapping[str, str]:
    """The explanations that there are. Raises `InputError` for a bad file."""
    path = content.folder("conformance") / "differences.yaml"
    return yamlsource.load(path, _DifferencesFile).reasons
