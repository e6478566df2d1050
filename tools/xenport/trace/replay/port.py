"""Asks a port what a trace says that a hypervisor was asked: the agent kernel makes the calls.

Each domain of each boot of the trace gets a boot of its own, in an environment of its kind.
"""

from __future__ import annotations

import re
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import xenport.abi
from xenport import content, port as ports
from xenport.abi import Abi
from xenport.errors import InputError
from xenport.kernel import build, build_with_data
from xenport.model.adapters import cpu_class
from xenport.port import Ended, Environment, Limits, Line, Port
from xenport.trace.decode import Decoder
from xenport.trace.record import Record
from xenport.trace.replay.agent_calls import AgentCalls, Call, Guest
from xenport.trace.replay.compare import Comparison
from xenport.trace.replay.inner import inner_calls
from xenport.trace.replay.joined import joined
from xenport.trace.replay.outcome import EQUAL, Outcome, Unreplayable
from xenport.trace.replay.plan import MULTICALL
from xenport.trace.replay.translate import Translator

_LIMITS = Limits(silence=60.0, total=280.0, output=64 << 20)
_SAID = re.compile(r"@(?P<token>\d+) (?P<what>r|b|p|end) (?P<rest>[-0-9a-f ]+)$")
_MOST_RECORDS = 200_000  # of one domain that are kept until its boot


@dataclass
class _Answer:
    """What the agent said of a call."""

    result: int
    patches: list[tuple[int, int, bytes]] = field(default_factory=list)  #: buffer, offset, bytes


@dataclass
class _Heard:
    """What the agent said in a boot."""

    answers: dict[int, _Answer] = field(default_factory=dict)
    begun: int = 0  #: all calls before this one are done
    is_whole: bool = False
    end: str = ""


class PortReplay:
    """A port in the place of the hypervisor that a trace is of."""

    def __init__(
        self, abi: Abi, port: Port, environment: str | None, hypervisor: Path | None = None
    ) -> None:
        """``abi`` is the trace's. Raises ``InputError`` for a port that runs no guests, or has no
        such environment."""
        if port.is_bare:
            raise InputError(f"{port.name} runs no guests, so nothing can be replayed on it")
        if environment is not None:
            port.environment(environment)
        self.decoder = Decoder(abi)  #: of the last answer
        self._abi = abi
        self._port = port
        self._environment = environment
        self._hypervisor = hypervisor

    def outcomes(self, records: Iterable[Record]) -> Iterator[tuple[Record, Outcome]]:
        """As `xenport.trace.replay.model.Replay.outcomes`, domain after domain."""
        domains: dict[tuple[str, int], list[tuple[Record, tuple[Record, ...]]]] = {}
        for record, parts in joined(records):
            if isinstance(record, str):
                for part in parts:
                    yield part, Outcome("not replayable", record)
                continue
            kept = domains.setdefault(
                (record.boot, -1 if record.domain is None else record.domain), []
            )
            if record.domain is None:
                yield record, Outcome("not replayable", "the trace lacks who called")
            elif len(kept) == _MOST_RECORDS:
                why = (
                    f"the domain made {_MOST_RECORDS:,} calls before it, as many as one boot takes"
                )
                yield record, Outcome("not replayable", why)
            else:
                kept.append((record, parts))
        for (_, domain), kept in domains.items():
            if kept:
                yield from self._domain(domain, kept)

    def _domain(
        self, domain: int, kept: list[tuple[Record, tuple[Record, ...]]]
    ) -> Iterator[tuple[Record, Outcome]]:
        caller = self._caller(kept[0][0].caller)
        name, environment = self._chosen(caller, domain)
        arch = self._port.guest_arch(environment)
        abi = xenport.abi.load(arch.name, self._port.release)
        same = (arch.name, abi.release) == (self._abi.architecture.name, self._abi.release)
        translate = (lambda one: one) if same else Translator(self._abi, abi).translate
        domid = 0 if "dom0" in environment.provides else 1
        translated = cpu_class(arch, caller).translated
        calls = AgentCalls(abi, Guest(caller, domain, domid, translated))
        waiting: dict[int, tuple[Record, tuple[Record, ...]]] = {}
        for record, parts in kept:
            inner: list[Record] = []
            hypercall = self._abi.hypercall_by_number.get(record.number)
            if hypercall is not None and hypercall.name == MULTICALL:
                inner = list(inner_calls(self._abi, record))
            for one in (record, *inner):
                own = parts if one is record else ()
                try:
                    waiting[calls.add(translate(one))] = (one, own)
                except Unreplayable as why:
                    for part in (one, *own):
                        yield part, Outcome("not replayable", str(why))
        if not waiting:
            return
        heard = self._boot(name, environment, calls)
        self.decoder = Decoder(abi)
        comparison = Comparison(abi)
        for index, (record, parts) in waiting.items():
            outcome = _outcome(calls.calls[index], heard, comparison)
            yield record, outcome
            for part in parts:
                yield part, Outcome(outcome.kind, outcome.reason)

    def _caller(self, caller: str) -> str:
        """The kind of the port's guests that stand for one of the trace's."""
        if self._environment is not None:
            return self._port.environment(self._environment).guest
        kinds = [one.guest for one in self._port.environments.values()]
        return caller if caller in kinds else kinds[0]

    def _chosen(self, caller: str, domain: int) -> tuple[str, Environment]:
        """The environment for guests of a kind, the control domain (0) or others."""
        if self._environment is not None:
            return self._environment, self._port.environment(self._environment)
        for name, one in self._port.environments.items():
            is_control = "dom0" in one.provides
            if one.guest == caller and is_control == (domain == 0):
                return name, one
        kind = "control domain" if domain == 0 else "domain beside the control domain"
        raise InputError(f"{self._port.name} has no environment with a '{caller}' {kind}")

    def _boot(self, name: str, environment: Environment, calls: AgentCalls) -> _Heard:
        arch = self._port.guest_arch(environment)
        heard = _Heard()
        with tempfile.TemporaryDirectory(prefix="xenport-") as folder:
            cases = content.folder("conformance") / "agent"
            elf = Path(folder) / "agent.elf"
            kernel = build_with_data(arch, self._port.release, cases, calls.data, elf)
            supervisor = None
            if environment.domain is not None:
                supervisor = build(self._port.arch, self._port.release)
            driver = ports.open(self._port, hypervisor=self._hypervisor, supervisor=supervisor)
            log = Path(folder) / "console.log"
            token = str(secrets.randbits(31))
            options = f"tests=0 token={token}"
            with driver.boot(name, kernel, options, log, _LIMITS) as boot:
                for event in boot.events():
                    match event:
                        case Line(text=text, source="guest"):
                            _hear(heard, text, token)
                        case Ended(kind=kind, detail=detail):
                            heard.end = f"{kind}, {detail}" if detail else kind
        return heard


def _hear(heard: _Heard, text: str, token: str) -> None:
    found = _SAID.search(text)
    if found is None or found["token"] != token:
        return  # a guest's own words, whatever they look like
    words = found["rest"].split()
    match found["what"]:
        case "r":
            heard.answers[int(words[0])] = _Answer(int(words[1]))
            heard.begun = int(words[0]) + 1
        case "b":
            buffer, offset, data = int(words[1]), int(words[2]), bytes.fromhex(words[3])
            heard.answers[int(words[0])].patches.append((buffer, offset, data))
        case "p":
            heard.begun = int(words[0])
        case "end":
            heard.is_whole = True


def _outcome(call: Call, heard: _Heard, comparison: Comparison) -> Outcome:
    answer = heard.answers.get(call.index)
    if answer is None:
        if heard.is_whole or call.index < heard.begun:
            return EQUAL
        return Outcome("not replayable", f"the agent ended at it or shortly before ({heard.end})")
    afters = {buffer: bytearray(buffer.after or b"") for buffer in call.buffers}
    for index, offset, data in answer.patches:
        if index < len(call.buffers):
            afters[call.buffers[index]][offset : offset + len(data)] = data
    buffers = tuple(
        one._replace(after=bytes(afters[one])) if one in afters and one.after is not None else one
        for one in call.record.buffers
    )
    made = call.record._replace(result=answer.result, buffers=buffers)
    return comparison.outcome(call.record, made, call.record)
