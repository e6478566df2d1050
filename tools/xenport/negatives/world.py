"""Which conditions hold for which values, as far as that is known before the kernel runs."""

from collections.abc import Iterable
from typing import Any

from xenport.abi import Abi
from xenport.abi.layout import Layout
from xenport.abi.targets import DOMID
from xenport.negatives import cases
from xenport.negatives.cases import PORT_STATES, Situation, Special, Value

_ADDRESSES = (Special.ARGUMENT, Special.SECOND, Special.NOWHERE, Special.READONLY)
_PORTS = {special: state for state, special in PORT_STATES.items()}


class World:
    """Values, as ``situation`` sees them."""

    def __init__(self, abi: Abi, situation: Situation) -> None:
        self.abi = abi
        self.situation = situation
        self._self = abi.constant("DOMID_SELF")
        self._reserved = abi.constant("DOMID_FIRST_RESERVED")
        self._numbers: dict[tuple[str, int, bool], list[int]] = {}
        self._virq = {
            name: abi.constant(f"VIRQ_{name}") for name in ("TIMER", "DEBUG", "CONSOLE", "DOM_EXC")
        }

    # ---- Does it hold? ----

    def holds(self, kind: str, wanted: Any, value: Value, layout: Layout) -> bool | None:
        """Whether the condition holds for ``value``; None where that is not known."""
        match kind:
            case "no_such":
                return self._is_missing(wanted, value)
            case "state":
                return self._any_state(wanted, value)
            case "not_state":
                found = self._any_state(wanted, value)
                return None if found is None else not found
            case "unreadable":
                return value is Special.NOWHERE
            case "unwritable":
                return value in (Special.NOWHERE, Special.READONLY)
        numbers = self.numbers(wanted, layout)
        if isinstance(value, Special):
            if value in _ADDRESSES and numbers == [0]:
                return {"is": False, "is_not": True, "above": True}.get(kind)
            if value is not Special.OWN_DOMAIN or min(numbers) < self._reserved:
                return None
            value = 0  # as good as any below the reserved ones
        return _compares(kind, numbers, value)

    def numbers(self, wanted: Any, layout: Layout) -> list[int]:
        """The numbers that a condition names, as values of a type."""
        key = (str(wanted), layout.size, layout.signed)
        if key not in self._numbers:
            self._numbers[key] = self._evaluated(wanted, layout)
        return self._numbers[key]

    def _evaluated(self, wanted: Any, layout: Layout) -> list[int]:
        found = []
        for one in wanted if isinstance(wanted, list) else [wanted]:
            number = self.abi.engine.evaluate(one, None)
            found.append(number if layout.signed else number & _largest(layout, unsigned=True))
        return found

    def _is_missing(self, kind: str, value: Value) -> bool | None:
        match kind, value:
            case "domain", Special.OWN_DOMAIN:
                return False
            case "domain", int():
                return value not in (0, self._self)
            case "vcpu", int():
                return _known(value, cases.NO_VCPU)
            case "pcpu", int():
                return _known(value, cases.NO_PCPU)
            case "pirq", int():
                return _known(value, cases.NO_PIRQ)
            case "port", Special():
                return False
            case "port", int():
                return _known(value, cases.NO_PORT)
            case "virq", Special():
                return False
            case "virq", int():
                return value >= self._no_virq()
            case "frame", Special.FRAME:
                return False
            case "frame", int():
                return True if value >= cases.NO_FRAME & 0x7FFF_FFFF else None
        return None

    def _no_virq(self) -> int:
        return self.abi.constant("NR_VIRQS")

    def _any_state(self, states: Any, value: Value) -> bool | None:
        found = [
            self._state(state, value)
            for state in (states if isinstance(states, list) else [states])
        ]
        if True in found:
            return True
        return None if None in found else False

    def _state(self, state: str, value: Value) -> bool | None:
        if value in _PORTS:
            return _PORTS[Special(value)] == state
        match state:
            case "caller" | "foreign" | "dying" | "hvm":
                return self._domain_state(state, value)
            case "reserved" | "unbound" | "interdomain" | "virq" | "pirq" | "ipi" | "xen":
                return state == "reserved" if value == 0 else None
            case "global":
                if value is Special.VIRQ_BOUND:
                    return False
                return value in (self._virq["CONSOLE"], self._virq["DOM_EXC"])
            case "bound":
                return True if value is Special.VIRQ_BOUND else None
            case "initialised" | "up":
                return True if value == 0 else None
            case "free":
                return True if isinstance(value, int) and value else None  # a watchdog
        return None

    def _domain_state(self, state: str, value: Value) -> bool | None:
        is_own = value in (Special.OWN_DOMAIN, self._self)
        if state == "caller":
            return value is Special.OWN_DOMAIN or (self.situation.is_control and value == 0)
        if state == "hvm":
            return self.situation.guest != "pv" if is_own else None
        if state == "foreign" and not isinstance(value, Special):
            return value == 0 and not self.situation.is_control
        return False

    def caller(self, kind: str, state: str) -> bool | None:
        """Whether a condition of the calling domain holds. The hardware is the control domain's,
        and no test uses the FIFO ABI but those that are about it."""
        control = self.situation.is_control
        known: dict[str, bool | None] = {
            "control": control,
            "hardware": control,
            "console": control or None,
            "fifo": False,
            "hvm": self.situation.guest != "pv",
            "pirqs": None if self.situation.guest == "hvm" else False,
        }
        is_it = known.get(state)
        return None if is_it is None else is_it is (kind == "state")

    # ---- Values for which it may hold, or not ----

    def candidates(self, kind: str, wanted: Any, layout: Layout) -> Iterable[Value]:
        """Values for which the condition may hold."""
        match kind:
            case "no_such":
                return self._missing(wanted)
            case "state":
                return self._in_states(wanted if isinstance(wanted, list) else [wanted])
            case "not_state":
                return [*PORT_STATES.values(), self._virq["DEBUG"], 0]
            case "unreadable":
                return [Special.NOWHERE]
            case "unwritable":
                return [Special.NOWHERE]
        numbers = self.numbers(wanted, layout)
        first, top = numbers[0], _largest(layout)
        match kind:
            case "is":
                return numbers
            case "is_not":
                return [max(numbers) + 1, 1, 0, top]
            case "above":
                return [first + 1, top]
            case "below":
                return [first - 1, 0]
            case "misaligned":
                return [1, first + 1]
            case "reserved_bits":
                bits = [1 << bit for bit in range(8 * layout.size) if first >> bit & 1]
                return [bits[0], bits[-1]] if bits else []
        return []

    def counters(self, kind: str, wanted: Any, layout: Layout) -> Iterable[Value]:
        """Values for which the condition does not hold."""
        match kind:
            case "no_such":
                return self._present(wanted)
            case "state" | "not_state":
                if layout.name == DOMID:
                    return self._present("domain")
                return [*PORT_STATES.values(), self._virq["DEBUG"], 0]
            case "unreadable" | "unwritable":
                return [Special.SECOND]
        numbers = self.numbers(wanted, layout)
        match kind:
            case "is":
                return [max(numbers) + 1, 1, 0]
            case "is_not" | "above" | "below":
                return [*numbers, 0]
            case "misaligned":
                return [0, numbers[0]]
        return [0]

    def _missing(self, kind: str) -> list[Value]:
        return {
            "domain": [cases.NO_DOMAIN],
            "vcpu": [cases.NO_VCPU],
            "pcpu": [cases.NO_PCPU],
            "port": [cases.NO_PORT],
            "virq": [self._no_virq()],
            "pirq": [cases.NO_PIRQ],
            "frame": [cases.NO_FRAME, cases.NO_FRAME & 0x7FFF_FFFF],
        }.get(kind, [])

    def _present(self, kind: str) -> list[Value]:
        found: dict[str, list[Value]] = {
            "domain": [Special.OWN_DOMAIN, 0],
            "port": [*PORT_STATES.values()],
            "virq": [self._virq["DEBUG"]],
            "frame": [Special.FRAME],
        }
        return found.get(kind, [0])

    def _in_states(self, states: list[str]) -> list[Value]:
        found: list[Value] = []
        for state in states:
            match state:
                case "caller":
                    found.append(Special.OWN_DOMAIN)
                case "foreign" | "reserved" | "initialised" | "up":
                    found.append(0)
                case "global":
                    found.append(self._virq["DOM_EXC"])
                case "bound":
                    found.append(Special.VIRQ_BOUND)
                case "free":
                    found += [PORT_STATES["free"], 1]
                case _ if state in PORT_STATES:
                    found.append(PORT_STATES[state])
        return found


def _known(value: int, missing: int) -> bool | None:
    """Whether ``value`` names nothing: 0 always names something, ``missing`` nothing."""
    return None if 0 < value < missing else value != 0


def _largest(layout: Layout, *, unsigned: bool = False) -> int:
    return (1 << 8 * layout.size - (layout.signed and not unsigned)) - 1


def _compares(kind: str, numbers: list[int], value: int) -> bool | None:
    first = numbers[0]
    match kind:
        case "is":
            return value in numbers
        case "is_not":
            return value not in numbers
        case "above":
            return value > first
        case "below":
            return value < first
        case "misaligned":
            return bool(value % first)
        case "reserved_bits":
            return bool(value & first)
    return None
