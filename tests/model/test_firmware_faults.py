"""Faults put into the firmware that the model shows Arm guests.

Each must be noticed by a conformance test.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import pytest
from conformance import ENVIRONMENTS, Hang, run

from xenport import kernel
from xenport.model.cpu import arm_firmware
from xenport.model.cpu.arm import ArmCpu

ENVIRONMENT_NAMES = ("arm64-dom0", "arm32-dom0")
NOT_SUPPORTED = -1
MOST_CALLS = 20_000  #: of a broken function in a run; a vcpu may try for ever to turn itself off

#: What a broken function answers, without doing anything.
ANSWERS = {"missing": NOT_SUPPORTED, "silent": 0}

ARCH_FEATURES = 0x80000001  # which never has anything to tell


def faults() -> list[tuple[str, int, str]]:
    """Environment, function, answer."""
    return [
        (environment, function, answer)
        for environment in ENVIRONMENT_NAMES
        for function in arm_firmware._FUNCTIONS
        for answer in ANSWERS
        if (environment.startswith("arm64") or not function & 0x40000000)
        and (function, answer) != (ARCH_FEATURES, "missing")
    ]


@functools.cache
def firmware_tests(environment: str) -> list[kernel.Test]:
    """Those that call the firmware."""
    prefixes = ("psci_", "smccc_")
    return [t for t in ENVIRONMENTS[environment].tests() if t.name.startswith(prefixes)]


@pytest.mark.parametrize(
    ("environment", "function", "answer"),
    faults(),
    ids=lambda value: f"{value:#x}" if isinstance(value, int) else value,
)
def test_a_broken_function_is_noticed(
    environment: str, function: int, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def broken(_cpu: ArmCpu, _registers: Sequence[int]) -> int:
        nonlocal calls
        calls += 1
        if calls > MOST_CALLS:
            raise Hang
        return ANSWERS[answer]

    monkeypatch.setitem(arm_firmware._FUNCTIONS, function, broken)
    tests = firmware_tests(environment)
    plain = [test for test in tests if not test.ends]
    where = ENVIRONMENTS[environment]
    assert run(where, plain, until_failure=True).failed or any(
        run(where, [test]).failed for test in tests if test.ends
    )
