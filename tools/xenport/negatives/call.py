"""A call under construction: values for its arguments, and what conditions say of them."""

from collections.abc import Iterator, Mapping
from copy import copy
from typing import Any

from xenport.abi import Command, Hypercall, expressions, targets
from xenport.abi.calls import CALLER
from xenport.abi.contract import condition_text
from xenport.abi.layout import Layout
from xenport.abi.schema import XEN
from xenport.abi.targets import Target
from xenport.negatives.cases import Area, Slot, Special, Value
from xenport.negatives.world import World

#: Bytes of the argument's buffer, and of the other one.
ROOM = 1024

#: Elements of a list that is given.
MANY = 100

Condition = tuple[str, Any]


class Impossible(Exception):
    """There is no call that does what is wanted; the text says why."""


class CallDraft:
    """Values for a call of ``thing``, a command of ``hypercall`` or the hypercall itself.

    What nobody sets is 0, but: the command, domains (the caller), and the argument's address.
    """

    def __init__(self, world: World, hypercall: Hypercall, thing: Hypercall | Command) -> None:
        self.values: dict[Slot, Value] = {}
        self.words: frozenset[str] = frozenset()  # what is assumed of Xen
        self._abi = world.abi
        self._hypercall = hypercall
        self._thing = thing
        self._situation = world.situation
        self._world = world
        self._holds = next((arg for arg in hypercall.args if arg.holds), None)
        self._fixed: set[Slot] = set()
        self._targets: dict[str, Target] = {}
        self._slots: dict[str, Slot] = {}
        self._begin()

    def copy(self) -> "CallDraft":
        """One that goes on from here."""
        other = copy(self)
        other.values = dict(self.values)
        other._fixed = set(self._fixed)
        return other

    # ---- The beginning ----

    def _begin(self) -> None:
        hypercall, thing = self._hypercall, self._thing
        word = self._abi.architecture.data_model.sizes["pointer"]
        for index, arg in enumerate(hypercall.args):
            if arg.layout.size > word and arg.layout.kind != "handle":
                raise Impossible("an argument takes two registers here")
            slot = Slot(Area.REGISTER, index, arg.layout.size, arg.layout.signed)
            if arg.role == "command":
                self.command(thing.number if isinstance(thing, Command) else 0)
            elif arg.role == "argument":
                self.values[slot] = Special.ARGUMENT
            elif arg.layout.name == targets.DOMID:
                self.values[slot] = self._domain()
            elif arg.resource == "domain":
                self.values[slot] = self._abi.constant("DOMID_SELF")
        self._count_one()
        if self._holds is not None:
            self._fill_buffers()
        structure = hypercall.structure
        if structure is not None:
            self._domains(structure, 0)
            if hypercall.selector is not None and isinstance(thing, Command):
                self.command(thing.number)
        if isinstance(thing, Command) and thing.arg is not None:
            self._domains(thing.arg.layout, thing.arg.offset)

    def command(self, number: int) -> None:
        """Call the command of this number, whatever else."""
        hypercall = self._hypercall
        roles = [arg.role for arg in hypercall.args]
        if "command" in roles:
            index = roles.index("command")
            slot = Slot(Area.REGISTER, index, hypercall.args[index].layout.size)
        else:
            assert hypercall.selector is not None
            slot = self._place(targets.find(hypercall, hypercall, hypercall.selector))
        self.values[slot] = number
        self._fixed.add(slot)

    def _count_one(self) -> None:
        """One element in an argument that is an array."""
        argument = next((arg.name for arg in self._hypercall.args if arg.role == "argument"), None)
        if argument is not None and self._holds is None:
            for _, slot in self._counted(self.target(argument)):
                self.values[slot] = 1

    def _fill_buffers(self) -> None:
        """The list of buffers, of which the first is the second area."""
        buffer = self._abi.layout("xen_dm_op_buf")
        assert self._hypercall.structure is not None
        for path, value in (("h", Special.SECOND), ("size", self._hypercall.structure.size)):
            offset, layout, _ = buffer.find(path)
            self.values[Slot(Area.ARGUMENT, offset, layout.size)] = value
        for index, arg in enumerate(self._hypercall.args):
            if arg.name == "nr_bufs":
                self.values[Slot(Area.REGISTER, index, arg.layout.size)] = 1

    def _domain(self) -> Value:
        """A domain that exists: the caller, or the one that a tool stack would name."""
        is_for_tools = self._hypercall.selector is not None or self._holds is not None
        return 0 if is_for_tools and not self._situation.is_control else Special.OWN_DOMAIN

    def _domains(self, layout: Layout, base: int) -> None:
        for offset, member in targets.domains_in(layout).items():
            self.values[Slot(self._area, base + offset, member.size)] = self._domain()

    @property
    def _area(self) -> Area:
        return Area.SECOND if self._holds is not None else Area.ARGUMENT

    # ---- Places ----

    def target(self, name: str) -> Target:
        """What a name in a condition stands for."""
        if name not in self._targets:
            self._targets[name] = targets.find(self._hypercall, self._thing, name)
        return self._targets[name]

    def slot(self, target: Target) -> Slot:
        """The place of its value. Raises ``Impossible`` where it is no number of the call."""
        if target.name not in self._slots:
            self._slots[target.name] = self._place(target)
        return self._slots[target.name]

    def _place(self, target: Target) -> Slot:
        if target.field is None:
            names = [arg.name for arg in self._hypercall.args]
            return Slot(
                Area.REGISTER, names.index(target.name), target.layout.size, target.layout.signed
            )
        layout, offset = target.layout, target.offset
        if layout.kind == "array" and layout.element is not None and layout.length:
            offset += layout.element.size * (layout.length - 1)
            layout = layout.element
        if layout.kind not in ("int", "handle"):
            raise Impossible(f"{target.name} is no number")
        if offset + layout.size > ROOM:
            raise Impossible(f"{target.name} is beyond the buffer")
        member = target.field
        bits = (member.bit_offset or 0, member.bits) if member.bits is not None else (0, 0)
        return Slot(self._area, offset, layout.size, layout.signed, *bits)

    def _element(self, target: Target) -> tuple[Slot, Layout]:
        """The first element of what a handle leads to, in the second area."""
        if target.layout.target in (None, "void") or self._holds is not None:
            raise Impossible(f"{target.name} leads to no numbers")
        layout = self._abi.layout(target.layout.target or "")
        if layout.kind != "int":
            raise Impossible(f"{target.name} leads to no numbers")
        return Slot(Area.SECOND, 0, layout.size, layout.signed), layout

    def _is_argument(self, target: Target) -> bool:
        return target.field is None and any(
            arg.name == target.name and arg.role == "argument" for arg in self._hypercall.args
        )

    # ---- Conditions ----

    def holds(self, when: Mapping[str, Any]) -> bool | None:
        """Whether all conditions hold; None where that is not known."""
        known: bool | None = True
        for name, condition in _conditions(when):
            found = self._one_holds(name, condition)
            if found is False:
                return False
            known = None if found is None else known
        return known

    def _one_holds(self, name: str, condition: Condition) -> bool | None:
        kind, wanted = condition
        if name == CALLER:
            return self._world.caller(kind, wanted)
        if name == XEN:
            return self._xen(kind, wanted)
        target = self.target(name)
        try:
            if kind in ("unreadable", "unwritable"):
                return self._memory_fails(target, kind)
            if self._is_about_elements(target, kind, wanted):
                if self.values.get(self.slot(target)) is not Special.SECOND:
                    return False if self._count(target) == 0 else None
                slot, layout = self._element(target)
            else:
                slot, layout = self.slot(target), target.layout
                layout = layout.element or layout
        except Impossible:
            return None
        return self._world.holds(kind, wanted, self.values.get(slot, 0), layout)

    def _xen(self, kind: str, feature: str) -> bool | None:
        """Whether Xen has a feature, or not: as was assumed."""
        if feature in self.words:
            return kind == "state"
        return kind == "not_state" if f"no-{feature}" in self.words else None

    @staticmethod
    def _is_about_elements(target: Target, kind: str, wanted: Any) -> bool:
        """Whether it is about the elements that a handle leads to, not about the handle."""
        if target.layout.kind != "handle":
            return False
        return kind in ("no_such", "state", "not_state") or (kind == "is" and wanted != 0)

    def _memory_fails(self, target: Target, kind: str) -> bool | None:
        if not self._is_argument(target) and self._count(target) == 0:
            return False
        value = self.values.get(self.slot(target), 0)
        return True if value == 0 else self._world.holds(kind, None, value, target.layout)

    def _count(self, target: Target) -> int | None:
        """The elements that a handle reaches."""
        if target.count is None or target.count == "nul":
            return 1
        tree = expressions.expression(target.count)
        values = {name: self.values.get(slot, 0) for name, slot in self._counted(target)}
        if any(isinstance(value, Special) for value in values.values()):
            return None
        try:
            return expressions.evaluate(
                tree,
                lambda name: values[name] if name in values else self._abi.constant(name),
                lambda kind: self._abi.engine.layout(kind, None).size,
            )
        except ValueError:
            return None

    def _counted(self, target: Target) -> Iterator[tuple[str, Slot]]:
        """The names that the count speaks of, and their places."""
        for name in expressions.names(expressions.expression(target.count or "1")):
            if target.field is None:
                if any(arg.name == name for arg in self._hypercall.args):
                    yield name, self.slot(self.target(name))
            elif target.scope is not None and name in target.scope:
                offset, member = target.scope[name]
                yield name, Slot(self._area, offset, member.size, member.layout.signed)

    # ---- Choices ----

    def making(self, when: Mapping[str, Any], most: int = 4) -> Iterator["CallDraft"]:
        """Calls for which all conditions hold. Raises ``Impossible`` where there is none."""
        drafts = [self]
        for name in when:
            conditions = [one for target, one in _conditions(when) if target == name]
            drafts = [changed for draft in drafts for changed in draft._choices(name, conditions)][
                :most
            ]
        if not drafts:
            raise Impossible("no value is known to provoke it")
        yield from drafts

    def _choices(self, name: str, conditions: list[Condition]) -> Iterator["CallDraft"]:
        if name == CALLER:
            for kind, wanted in conditions:
                known = self._world.caller(kind, wanted)
                if not known:
                    why = "is another one" if known is False else "may be one or not"
                    raise Impossible(f"the caller {why}")
            yield self
            return
        if name == XEN:
            draft = self.copy()
            for kind, feature in conditions:
                draft.words |= {feature if kind == "state" else f"no-{feature}"}
            yield draft
            return
        target = self.target(name)
        elements = any(self._is_about_elements(target, kind, one) for kind, one in conditions)
        if elements:
            slot, layout = self._element(target)
        else:
            slot, layout = self.slot(target), target.layout
            layout = layout.element or layout
        if slot in self._fixed:
            if not self.holds({name: self._joined(conditions)}):
                raise Impossible("the command decides it")
            yield self
            return
        seen = set()
        is_list = any(isinstance(wanted, list) for _, wanted in conditions)
        for kind, wanted in conditions:
            for value in self._world.candidates(kind, wanted, layout):
                if value in seen or not _fits(value, slot):
                    continue
                seen.add(value)
                draft = self.copy()
                draft.values[slot] = value
                if elements:
                    draft.values[self.slot(target)] = Special.SECOND
                if elements or kind in ("unreadable", "unwritable"):
                    draft._reach(target)
                if draft.holds({name: self._joined(conditions)}):
                    draft._fixed |= {slot, self.slot(target)}
                    yield draft
                    if not is_list and kind in ("is_not", "misaligned", "below"):
                        return

    @staticmethod
    def _joined(conditions: list[Condition]) -> Any:
        """``conditions`` as they stand in a description."""
        kind, wanted = conditions[0]
        return kind if wanted is None else dict(conditions)

    def _reach(self, target: Target) -> None:
        """Many elements: a command may say that there is no room for less."""
        for name, slot in self._counted(target):
            if self.values.get(slot, 0) in (0, 1) and slot not in self._fixed and name:
                self.values[slot] = MANY

    def avoid(self, earlier: list[Mapping[str, Any]]) -> None:
        """Change what is free until none of ``earlier`` holds. Raises ``Impossible``."""
        tried: set[tuple[Slot, Value]] = set()
        while True:
            wrong = next((when for when in earlier if self.holds(when) is not False), None)
            if wrong is None:
                return
            if not self._counter(wrong, earlier, tried):
                raise Impossible(_blocked(wrong, certain=self.holds(wrong) is True))

    def _counter(
        self,
        wrong: Mapping[str, Any],
        earlier: list[Mapping[str, Any]],
        tried: set[tuple[Slot, Value]],
    ) -> bool:
        """Make one condition of ``wrong`` false by a value that was not tried, with the least harm
        to the others."""
        best: tuple[int, Slot, Value] | None = None
        for name, (kind, wanted) in _conditions(wrong):
            if name == XEN and self._xen(kind, wanted) is None:
                self.words |= {wanted if kind == "not_state" else f"no-{wanted}"}
                return True
            if name in (CALLER, XEN):
                continue
            target = self.target(name)
            try:
                slot, layout = self.slot(target), target.layout
                layout = layout.element or layout
            except Impossible:
                continue
            if slot in self._fixed:
                continue
            for value in self._world.counters(kind, wanted, layout):
                chosen = Special.ARGUMENT if self._is_argument(target) else value
                if (slot, chosen) in tried or not _fits(chosen, slot):
                    continue
                draft = self.copy()
                draft.values[slot] = chosen
                if draft.holds(wrong) is not False:
                    continue
                left = sum(draft.holds(when) is not False for when in earlier)
                if best is None or left < best[0]:
                    best = (left, slot, chosen)
                if not left:
                    break
        if best is None:
            return False
        self.values[best[1]] = best[2]
        tried.add(best[1:])
        return True


def _blocked(when: Mapping[str, Any], *, certain: bool) -> str:
    word = "first" if certain else "perhaps first"
    return f"refused {word}: {condition_text(when)}"


def _conditions(when: Mapping[str, Any]) -> list[tuple[str, Condition]]:
    found: list[tuple[str, Condition]] = []
    for name, condition in when.items():
        if isinstance(condition, str):
            found.append((name, (condition, None)))
        else:
            found += [(name, one) for one in condition.items()]
    return found


def _fits(value: Value, slot: Slot) -> bool:
    if isinstance(value, Special):
        return True
    width = slot.bits or 8 * slot.size
    if slot.signed:
        return -(1 << width - 1) <= value < 1 << width - 1
    return 0 <= value < 1 << width
