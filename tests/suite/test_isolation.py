"""A test that ends its domain, hangs it, floods the console or makes Xen panic costs itself only.

On real Xen, by a kernel whose tests do just that.
"""

from pathlib import Path

import pytest

from xenport import port as ports
from xenport.kernel import build
from xenport.port import Limits, Port
from xenport.suite import plan
from xenport.suite.boots import BootPool, EnvironmentRun
from xenport.suite.results import Outcome, Verdict

CASES = Path(__file__).parent / "hostile"

LIMITS = Limits(silence=15, output=1 << 16)

#: Real Xen, and one that panics when it gets an NMI, on a machine that can be made to send one.
PORTS = """\
name: {port}-nmi
like: {port}
doc: A port of the tests.
environments:
  nmi:
    like: pv64-dom0
    doc: a dom0 that can make Xen panic
    provides: [dom0, observed-end, nmi]
    machine_args: [-device, ib700, -action, watchdog=inject-nmi]
    hypervisor_args: [nmi=fatal]
"""

#: What becomes of a test, and what its verdict says. All others pass.
HOSTILE = {
    "ends_its_domain": (Outcome.CRASH, "poweroff: "),
    "crashes_its_domain": (Outcome.CRASH, "crash: "),
    "hangs": (Outcome.TIMEOUT, "timeout: no line for 15 s"),
    "floods": (Outcome.CRASH, "flood: more than 65536 bytes of console"),
    "makes_xen_panic": (Outcome.CRASH, "crash: FATAL TRAP"),
}


def verdicts(port: Port, environment: str, logs: Path) -> dict[str, Verdict]:
    if missing := ports.missing(port):
        pytest.fail(f"{missing[0].what} is missing: {missing[0].command}")
    kernel = build(port.arch, port.release, cases=CASES)
    words = port.environment(environment).words
    tests = plan.applicable(kernel.tests, words)
    if "nmi" in words:
        tests = [test for test in tests if "nmi" in test.needs]
    run = EnvironmentRun(ports.open(port), environment, kernel, tests, logs, LIMITS)
    pool = BootPool()
    run.start(pool)
    try:
        return {test.name: run.verdict(test.name) for test in tests}
    finally:
        run.close()
        pool.close()


@pytest.mark.parametrize(
    ("name", "environment", "count"),
    [
        ("xen-4.17-amd64", "pv64-dom0", 9),
        ("xen-4.17-amd64", "pv64-domU", 9),
        ("xen-4.17-amd64", "nmi", 2),
        ("xen-4.17-arm64", "domU", 9),
    ],
)
def test_it_costs_that_test_only(name: str, environment: str, count: int, tmp_path: Path) -> None:
    file = tmp_path / "port.yaml"
    file.write_text(PORTS.format(port=name))
    port = ports.load(file) if environment == "nmi" else ports.load(name)
    found = verdicts(port, environment, tmp_path)

    assert len(found) == count
    for test, verdict in found.items():
        outcome, message = HOSTILE.get(test, (Outcome.PASS, ""))
        assert verdict.outcome is outcome, (test, verdict)
        assert verdict.message.startswith(message), (test, verdict)
