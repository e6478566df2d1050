"""Faults put into the model on purpose: each must be noticed by a conformance test.

For every command that abi/ describes there is one, in the first environment where a test uses the
command. Which tests those are is found out by a run in which nothing is wrong.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
from conformance import ENVIRONMENTS, Environment, Hang, recording, run

from xenport import kernel
from xenport.model.call import Call
from xenport.model.errors import XenError
from xenport.model.handlers import Handler

Fault = Callable[[Handler], Handler]

MOST_CALLS = 20_000  #: of a broken command in a run; a guest may wait for it for ever


def silent(_handler: Handler) -> Handler:
    """Success, and nothing has happened."""
    return lambda _call: 0


def missing(_handler: Handler) -> Handler:
    """The command is not there."""

    def fail(_call: Call) -> int:
        raise XenError("ENOSYS")

    return fail


def result(value: int) -> Fault:
    """Another result, though all is done."""

    def fault(handler: Handler) -> Handler:
        def wrong(call: Call) -> int:
            handler(call)
            return value

        return wrong

    return fault


def wrong_errno(actual: str, instead: str) -> Fault:
    """Another errno than Xen's."""

    def fault(handler: Handler) -> Handler:
        def wrong(call: Call) -> int | None:
            try:
                return handler(call)
            except XenError as error:
                raise XenError(instead if error.errno == actual else error.errno) from None

        return wrong

    return fault


def wrong_field(name: str, add: int = 1) -> Fault:
    """A field of the answer is wrong."""

    def fault(handler: Handler) -> Handler:
        def wrong(call: Call) -> int | None:
            value = handler(call)
            setattr(call.view, name, getattr(call.view, name) + add)
            return value

        return wrong

    return fault


def other_reason(handler: Handler) -> Handler:
    """The domain ends for another reason than the one it gives."""

    def wrong(call: Call) -> int | None:
        call.view.reason ^= 1
        return handler(call)

    return wrong


#: What is not `silent`: commands whose effect is that nothing goes wrong, and better ideas.
FAULTS: dict[str, Fault] = {
    **dict.fromkeys(
        (
            "MMUEXT_FLUSH_CACHE",
            "MMUEXT_FLUSH_CACHE_GLOBAL",
            "MMUEXT_INVLPG_ALL",
            "MMUEXT_INVLPG_LOCAL",
            "MMUEXT_TLB_FLUSH_ALL",
            "MMUEXT_TLB_FLUSH_LOCAL",
            "VCPUOP_up",
            "VMASST_CMD_disable",
            "VMASST_CMD_enable",
            "XENNMI_unregister_callback",
            "stack_switch",
        ),
        missing,
    ),
    "EVTCHNOP_alloc_unbound": wrong_errno("ESRCH", "EINVAL"),
    "EVTCHNOP_bind_interdomain": wrong_field("local_port"),
    "EVTCHNOP_bind_virq": wrong_errno("EEXIST", "EINVAL"),
    "EVTCHNOP_bind_vcpu": wrong_errno("ENOENT", "EINVAL"),
    "EVTCHNOP_status": wrong_field("status"),
    "SCHEDOP_remote_shutdown": wrong_errno("ESRCH", "EINVAL"),
    "SCHEDOP_shutdown": other_reason,
    "SCHEDOP_yield": result(1),
    "VCPUOP_is_up": result(0),
    "XENVER_get_features": wrong_field("submap_idx"),
    "XENVER_pagesize": result(65536),
    "XENVER_version": result(0x30000),
}


@functools.cache
def uses(environment: Environment) -> dict[str, list[kernel.Test]]:
    """The tests that use each command; [] for one that only the start uses."""
    by_name = {test.name: test for test in environment.tests()}
    found: dict[str, list[kernel.Test]] = {}
    running: list[kernel.Test] = []

    def note(command: str) -> None:
        tests = found.setdefault(command, [])
        if running and running[0] not in tests:
            tests.append(running[0])

    def start(name: str) -> None:
        running[:] = [by_name[name]]

    overrides = recording(environment, note)
    run(environment, [t for t in by_name.values() if not t.ends], overrides, on_start=start)
    for test in by_name.values():
        if test.ends:
            running.clear()
            run(environment, [test], overrides, on_start=start)
    return found


def commands() -> list[str]:
    """Every command that abi/ describes for some environment."""
    return sorted({name for env in ENVIRONMENTS.values() for name in env.commands()})


def limited(handler: Handler) -> Handler:
    calls = 0

    def limit(call: Call) -> int | None:
        nonlocal calls
        calls += 1
        if calls > MOST_CALLS:
            raise Hang
        return handler(call)

    return limit


def noticed(environment: Environment, command: str) -> bool:
    """Does a test fail when the command is broken?"""
    tests = uses(environment)[command]
    fault = FAULTS.get(command, silent)
    overrides = {command: limited(fault(environment.handlers[command]))}
    plain = [test for test in tests if not test.ends]
    if not tests:
        plain = [test for test in environment.tests() if not test.ends]
    if plain and run(environment, plain, overrides, until_failure=True).failed:
        return True
    return any(run(environment, [test], overrides).failed for test in tests if test.ends)


@pytest.mark.parametrize("command", commands())
def test_a_broken_command_is_noticed(command: str) -> None:
    users = [env for env in ENVIRONMENTS.values() if command in env.commands()]
    tried = []
    for environment in users:
        if command in uses(environment):
            tried.append(environment.name)
            if noticed(environment, command):
                return
    pytest.fail(f"no test notices, in {', '.join(tried)}" if tried else "no test uses it")
