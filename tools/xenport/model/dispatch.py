"""From a hypercall's number and arguments to the handler of its command, as abi/ describes it.

What abi/ says is done here once for all commands: which numbers exist, who may call, what an
unknown command returns, where the command stands, how its structure is copied, and which errors
its conditions provoke, for commands that have no handler and for those whose handlers leave that to
this. Handlers hold the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import TYPE_CHECKING, Any

from xenport.abi import expressions
from xenport.abi.calls import Command
from xenport.model.call import Argument, Arguments, Call
from xenport.model.declared import check as declared_check
from xenport.model.errors import XenError
from xenport.model.policy import require_control
from xenport.model.recording import watched_handler, watched_runner

if TYPE_CHECKING:
    import xenport.abi
    from xenport.abi.layout import Layout
    from xenport.model.handlers import Handler
    from xenport.model.hypervisor import Hypervisor
    from xenport.model.recording import CommandOf, Watch
    from xenport.model.vcpu import Vcpu

#: Carries out one hypercall: gets the caller and the argument registers, returns the result.
Runner = Callable[["Vcpu", Arguments], int]

ENOSYS = "ENOSYS"

NO_HANDLER = "has no handler"
"""What a report of a command that the model does not serve ends with."""


class Dispatcher:
    """The hypercalls of one kind of guest, by number."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        guest: str,
        handlers: Mapping[str, Handler],
        checks: Mapping[str, Handler],
        command_masks: Mapping[str, int],
        declared: Container[str],
        watch: Watch | None = None,
    ) -> None:
        self._hypervisor = hypervisor
        self._watch = watch
        self._abi = hypervisor.abi
        self._guest = guest
        self._handlers = handlers
        self._checks = checks
        self._command_masks = command_masks
        self._refused_here = declared
        self.runners: dict[int, Runner] = {}
        for hypercall in hypervisor.abi.hypercalls.values():
            if guest in hypercall.callers:
                self.runners[hypercall.number] = self._runner(hypercall)

    def _runner(self, hypercall: xenport.abi.Hypercall) -> Runner:
        if not hypercall.commands or hypercall.name in self._handlers:
            return self._plain(hypercall)
        if any(arg.holds for arg in hypercall.args):
            return self._by_buffer(hypercall)
        if any(arg.role == "command" for arg in hypercall.args):
            return self._by_register(hypercall)
        if any(arg.role == "argument" and arg.count for arg in hypercall.args):
            return self._by_element(hypercall)
        return self._by_field(hypercall)

    # ---- The shapes of a hypercall ----

    def _plain(self, hypercall: xenport.abi.Hypercall) -> Runner:
        """A hypercall without commands (set_timer_op)."""
        places = self._places(hypercall)
        handler = self._handler_of(hypercall)
        check = self._check(hypercall)
        failed = self._failure_of(hypercall.name, self._declared(hypercall))

        call = Call(self._hypervisor, places, errnos=self._declared(hypercall))

        def run(vcpu: Vcpu, args: Arguments) -> int:
            call.begin(vcpu, args)
            try:
                if check is not None:
                    check(call)
                return handler(call) or 0
            except XenError as error:
                return failed(error)

        return self._watched(run, lambda _vcpu, _args: hypercall.name)

    def _by_register(self, hypercall: xenport.abi.Hypercall) -> Runner:
        """The command is an argument of the hypercall (event_channel_op)."""
        places = self._places(hypercall)
        names = [arg.name for arg in hypercall.args]
        roles = [arg.role for arg in hypercall.args]
        index = roles.index("command")
        mask = self._command_masks.get(hypercall.name, places[names[index]][1])
        handle_index = roles.index("argument") if "argument" in roles else None
        check = self._check(hypercall)
        unknown = self._unknown(hypercall)
        commands = {}
        for command in hypercall.commands.values():
            if self._guest in command.callers:
                declared = self._declared(command)
                argument = self._argument(command.arg)
                commands[command.number & mask] = (
                    self._handler_of(command),
                    Call(self._hypervisor, places, argument, declared),
                    self._failure_of(command.name, declared),
                )
        any_call = Call(self._hypervisor, places, errnos=self._declared(hypercall))

        def run(vcpu: Vcpu, args: Arguments) -> int:
            found = commands.get(args[index] & mask)
            if found is None:
                return unknown(any_call.begin(vcpu, args), check)
            handler, call, failed = found
            # `begin`, written out: this is the way of most hypercalls.
            call.vcpu = vcpu
            call.args = args
            call.handle = args[handle_index] if handle_index is not None else 0
            call.buffer = None
            try:
                if check is not None:
                    check(call)
                result = handler(call)
                if call.buffer is not None:
                    call.finish()
                return result or 0
            except XenError as error:
                return failed(error)

        command_names = {
            command.number & mask: command.name for command in hypercall.commands.values()
        }
        return self._watched(run, lambda _vcpu, args: command_names.get(args[index] & mask))

    def _by_field(self, hypercall: xenport.abi.Hypercall) -> Runner:
        """The command is a field of the argument (domctl)."""
        places = self._places(hypercall)
        roles = [arg.role for arg in hypercall.args]
        handle_index = roles.index("argument")
        selector = hypercall.selector
        assert selector is not None
        argument = self._pointed_to(hypercall.args[handle_index].type)
        check = self._check(hypercall)
        unknown = self._unknown(hypercall)
        failed_to_read = self._failure_of(hypercall.name, self._declared(hypercall))
        commands = {}
        for command in hypercall.commands.values():
            if self._guest in command.callers:
                commands[command.number] = (
                    self._handler_of(command),
                    self._declared(command),
                    self._failure_of(command.name, self._declared(command)),
                )

        call = Call(self._hypervisor, places, argument)

        def run(vcpu: Vcpu, args: Arguments) -> int:
            call.begin(vcpu, args, args[handle_index])
            try:
                number = getattr(call.view, selector)
            except XenError as error:
                return failed_to_read(error)
            found = commands.get(number)
            if found is None:
                return unknown(call, check)
            handler, declared, failed = found
            call.errnos = declared
            try:
                if check is not None:
                    check(call)
                result = handler(call)
                call.finish()
                return result or 0
            except XenError as error:
                return failed(error)

        watched_call = Call(self._hypervisor, places, argument)

        def command_of(vcpu: Vcpu, args: Arguments) -> str | None:
            watched_call.begin(vcpu, args, args[handle_index])
            try:
                command = hypercall.command_by_number.get(getattr(watched_call.view, selector))
            except XenError:
                return None
            return command.name if command else None

        return self._watched(run, command_of)

    def _by_element(self, hypercall: xenport.abi.Hypercall) -> Runner:
        """The argument is an array, with a command in each element (mmuext_op). Elements are
        carried out until one fails; an ``out`` handle tells the guest how many were."""
        places = self._places(hypercall)
        array = next(arg for arg in hypercall.args if arg.role == "argument")
        handle_index = hypercall.args.index(array)
        selector = hypercall.selector
        assert selector is not None and array.count is not None
        count_tree = expressions.expression(array.count)
        done_name = next((arg.name for arg in hypercall.args if arg.direction == "out"), None)
        argument = self._pointed_to(array.type)
        unknown = next(
            (
                error.errno
                for error in hypercall.errors
                if self._guest in error.callers and list(error.when or ()) == [selector]
            ),
            hypercall.unknown_command or ENOSYS,
        )
        check = self._check(hypercall)
        failed = self._failure_of(
            hypercall.name,
            self._declared(hypercall).union(
                [unknown],
                *(self._declared(command) for command in hypercall.commands.values()),
            ),
        )
        commands = {
            command.number: self._watched_element(command)
            for command in hypercall.commands.values()
            if self._guest in command.callers
        }

        call = Call(self._hypervisor, places, argument)

        def carry_out(vcpu: Vcpu, args: Arguments, index: int) -> None:
            call.begin(vcpu, args, args[handle_index] + index * argument.size)
            handler = commands.get(getattr(call.view, selector))
            if handler is None:
                raise XenError(unknown)
            handler(call)

        def run(vcpu: Vcpu, args: Arguments) -> int:
            call.begin(vcpu, args)
            result = 0
            done = 0
            try:
                if check is not None:
                    check(call)
                count = expressions.evaluate(count_tree, call.__getitem__, lambda _: 0)
                while done < count:
                    carry_out(vcpu, args, done)
                    done += 1
            except XenError as error:
                result = failed(error)
            try:
                if done_name is not None and call[done_name]:
                    vcpu.write_word("uint", done, call[done_name])
            except XenError as error:
                result = failed(error)
            return result

        return run

    def _by_buffer(self, hypercall: xenport.abi.Hypercall) -> Runner:
        """The argument is a list of buffers, and the command in the first of them (dm_op), which
        need be no longer than the command's part of the structure."""
        places = self._places(hypercall)
        listed = next(arg for arg in hypercall.args if arg.holds)
        list_index = hypercall.args.index(listed)
        element = listed.layout.target
        structure, selector = hypercall.structure, hypercall.selector
        assert element is not None and structure is not None and selector is not None
        refuse = declared_check(self._abi, self._guest, hypercall, hypercall, buffers=False)
        commands = {
            command.number: (
                self._handler_of(command),
                Call(self._hypervisor, places, part, self._declared(command)),
                self._failure_of(command.name, self._declared(command)),
                part.size,
            )
            for command in hypercall.commands.values()
            if self._guest in command.callers
            for part in [self._part(structure, command)]
        }
        field = structure.by_name[selector]
        head_size = min(
            command.arg.offset for command in hypercall.commands.values() if command.arg
        )
        abi = self._abi
        unknown = -abi.errno(hypercall.unknown_command or ENOSYS)
        failed_to_read = self._failure_of(hypercall.name, self._declared(hypercall))
        any_call = Call(self._hypervisor, places, errnos=self._declared(hypercall))

        def first(vcpu: Vcpu, args: Arguments) -> tuple[Any, int]:
            """The first buffer, and the number of the command in it."""
            buffer = vcpu.read_struct(element, args[list_index])
            if buffer.size < head_size:
                raise XenError("EFAULT")
            head = vcpu.copy_in(buffer.h, head_size)
            number = head[field.offset : field.offset + field.size]
            return buffer, int.from_bytes(number, vcpu.domain.byte_order)

        def run(vcpu: Vcpu, args: Arguments) -> int:
            try:
                if refuse is not None:
                    refuse(any_call.begin(vcpu, args))
                buffer, number = first(vcpu, args)
            except XenError as error:
                return failed_to_read(error)
            found = commands.get(number)
            if found is None:
                return unknown
            handler, call, failed, size = found
            call.begin(vcpu, args, buffer.h)
            try:
                if buffer.size < size:
                    raise XenError("EFAULT")
                _ = call.view
                result = handler(call)
                call.finish()
                return result or 0
            except XenError as error:
                return failed(error)

        def command_of(vcpu: Vcpu, args: Arguments) -> str | None:
            try:
                command = hypercall.command_by_number.get(first(vcpu, args)[1])
            except XenError:
                return None
            return command.name if command else None

        return self._watched(run, command_of)

    # ---- Parts ----

    def _watched(self, run: Runner, command_of: CommandOf) -> Runner:
        return watched_runner(self._watch, run, command_of) if self._watch is not None else run

    def _watched_element(self, command: xenport.abi.Command) -> Handler:
        handler = self._handler_of(command)
        if self._watch is None:
            return handler
        return watched_handler(self._watch, command.name, handler)

    def _places(self, hypercall: xenport.abi.Hypercall) -> dict[str, tuple[int, int]]:
        """Index in the arguments, and mask of the width, by name."""
        return {
            arg.name: (index, (1 << 8 * self._abi.layout(arg.type).size) - 1)
            for index, arg in enumerate(hypercall.args)
        }

    def _handler(self, name: str) -> Handler:
        if name in self._handlers:
            return self._handlers[name]
        hypervisor = self._hypervisor

        def missing(_call: Call) -> int:
            hypervisor.report(f"{name} {NO_HANDLER}")
            raise XenError(ENOSYS)

        return missing

    def _handler_of(self, thing: xenport.abi.Hypercall | xenport.abi.Command) -> Handler:
        """The handler of a command, or of a hypercall without commands, behind the errors that are
        looked for here. These have the privilege that a command alone of its hypercall needs."""
        handler = self._handler(thing.name)
        hypercall = self._abi.hypercalls[thing.hypercall] if isinstance(thing, Command) else thing
        is_missing = thing.name not in self._handlers
        is_narrower = thing.privilege != hypercall.privilege
        is_refused_here = hypercall.name in self._refused_here or thing.name in self._refused_here
        if is_missing or is_narrower or is_refused_here:
            return self._behind_declared(hypercall, thing, handler, is_missing)
        return handler

    def _behind_declared(
        self,
        hypercall: xenport.abi.Hypercall,
        thing: xenport.abi.Hypercall | xenport.abi.Command,
        handler: Handler,
        is_missing: bool,
    ) -> Handler:
        """``handler``, called for what is not refused by abi/."""
        refuse = declared_check(self._abi, self._guest, hypercall, thing, buffers=is_missing)
        if refuse is None:
            return handler

        def checked(call: Call) -> int | None:
            refuse(call)
            return handler(call)

        return checked

    def _check(self, hypercall: xenport.abi.Hypercall) -> Handler | None:
        """What comes before the command is looked at. A check of the hypercall's own knows when
        Xen asks for privilege; without one that is first of all, or where abi/ says."""
        if hypercall.name in self._checks:
            return self._checks[hypercall.name]
        if hypercall.privilege != "control":
            return None
        if hypercall.name not in self._refused_here and self._is_served(hypercall):
            return lambda call: require_control(call.domain)
        return None

    def _is_served(self, hypercall: xenport.abi.Hypercall) -> bool:
        names = [hypercall.name, *hypercall.commands]
        return any(name in self._handlers for name in names)

    def _argument(self, argument: xenport.abi.Argument | None) -> Argument | None:
        if argument is None or argument.type is None or argument.count is not None:
            return None  # none, or an array, which the handler copies itself
        return self._copied(argument.type, argument.direction)

    def _pointed_to(self, handle_type: str) -> Argument:
        """What ``handle(T)`` points to."""
        return self._copied(handle_type[handle_type.index("(") + 1 : handle_type.rindex(")")], None)

    def _part(self, structure: Layout, command: Command) -> Argument:
        """A structure as far as the part of a command."""
        assert command.arg is not None
        part = self._copied(command.arg.type, command.arg.direction)
        size = command.arg.offset + part.size
        view = self._abi.view_class(structure.name)
        return Argument(size, view, True, part.copies_out, structure.size - size)

    def _copied(self, type_name: str, direction: str | None) -> Argument:
        layout = self._abi.layout(type_name)
        directions = {direction or "in"}
        if layout.fields:
            directions = {field.direction or direction or "in" for field in layout.fields}
        abi = self._abi

        def view(buffer: bytearray) -> Any:
            return abi.view(type_name, buffer)

        return Argument(
            layout.size,
            view if layout.fields else memoryview,
            bool(directions & {"in", "inout"}),
            bool(directions & {"out", "inout"}),
        )

    def _declared(self, thing: xenport.abi.Hypercall | xenport.abi.Command) -> frozenset[str]:
        """The errnos that this kind of guest can get."""
        errnos = {error.errno for error in thing.errors if self._guest in error.callers}
        if thing.privilege == "control":
            errnos.add("EPERM")
        return frozenset(errnos)

    def _failure_of(self, name: str, declared: frozenset[str]) -> Callable[[XenError], int]:
        """Turns an error into the result; one that abi/ does not know of is the model's mistake."""
        abi = self._abi
        hypervisor = self._hypervisor

        def failed(error: XenError) -> int:
            if error.errno not in declared:
                hypervisor.report(f"{name} returned {error.errno}, which abi/ does not declare")
            return -abi.errno(error.errno)

        return failed

    def _unknown(self, hypercall: xenport.abi.Hypercall) -> Callable[[Call, Handler | None], int]:
        abi = self._abi
        errno = -abi.errno(hypercall.unknown_command or ENOSYS)
        refuse = declared_check(abi, self._guest, hypercall, hypercall, buffers=False)
        asks = hypercall.privilege == "control"

        def unknown(call: Call, check: Handler | None) -> int:
            try:
                if check is not None:
                    check(call)
                elif refuse is not None:
                    refuse(call)
                if asks:
                    require_control(call.domain)
            except XenError as error:
                return -abi.errno(error.errno)
            return errno

        return unknown
