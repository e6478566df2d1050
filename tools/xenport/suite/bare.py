"""The boot of a hypervisor that runs no guests yet: does it come up, and halt as it should?"""

import threading
from collections import deque
from pathlib import Path

from xenport.port import Boot, Driver, Ended, Limits
from xenport.suite.boots import BOOT_TEST, CONSOLE_LINES, BootPool
from xenport.suite.results import Outcome, Verdict


class BareRun:
    """The one verdict of an environment without kernels; used like an `EnvironmentRun`.

    The boot passes if it ends as ``poweroff``, which the port's description says the signs of: a
    line that shows how far the hypervisor came, and the machine's own event. The raw console goes
    to ``boot.log`` in ``logs``.
    """

    def __init__(self, driver: Driver, environment: str, logs: Path, limits: Limits) -> None:
        self._driver = driver
        self._environment = environment
        self._logs = logs
        self._limits = limits
        self._done = threading.Event()
        self._verdict: Verdict | None = None
        self._error: BaseException | None = None
        self._boot: Boot | None = None
        self._closed = False

    def start(self, pool: BootPool) -> None:
        """Hands the boot to ``pool``."""
        pool.submit(self._guarded)

    def verdict(self, test: str) -> Verdict:
        """The verdict on the boot, as soon as it is there. Raises what the driver raised."""
        assert test == BOOT_TEST
        self._done.wait()
        if self._verdict is None:
            raise self._error or KeyboardInterrupt
        return self._verdict

    def close(self) -> None:
        """Ends the machine if it still runs."""
        self._closed = True
        if self._boot is not None:
            self._boot.stop()

    def _guarded(self) -> None:
        try:
            self._verdict = self._judge()
        except BaseException as error:
            self._error = error
        finally:
            self._done.set()

    def _judge(self) -> Verdict:
        self._logs.mkdir(parents=True, exist_ok=True)
        console: deque[str] = deque(maxlen=CONSOLE_LINES)
        log = self._logs / f"{BOOT_TEST}.log"
        with self._driver.boot(self._environment, None, "", log, self._limits) as boot:
            self._boot = boot
            if self._closed:
                boot.stop()
            for event in boot.events():
                if isinstance(event, Ended):
                    return _verdict(event, tuple(console))
                console.append(event.text)
        raise AssertionError("a boot without an end")


def _verdict(end: Ended, console: tuple[str, ...]) -> Verdict:
    if end.kind == "poweroff":
        return Verdict(Outcome.PASS, "", end.seconds, console)
    outcome = Outcome.TIMEOUT if end.kind == "timeout" else Outcome.CRASH
    return Verdict(outcome, f"{end.kind}: {end.detail}", end.seconds, console)
