"""A child process that cannot outlive its parent or its use."""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Child:
    """A process in a session of its own, with stdout and stderr on pipes that do not block.

    The kernel kills it when the thread that started it ends, however that happens, so it has to be
    used in the thread that began it. Nothing reaps the process before `kill` does: until then its
    process id, and the id of its group, cannot belong to anybody else.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        pass_fds: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        """Start ``command``; ``environment`` is added to our own. Raises ``OSError``."""
        self.name = Path(command[0]).name
        parent = os.getpid()

        def die_with_parent() -> None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:  # it ended before the call above
                os._exit(1)

        self._process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=pass_fds,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
            preexec_fn=die_with_parent,
            bufsize=0,
        )
        self.pidfd = os.pidfd_open(self._process.pid)
        """Becomes readable when the process ends."""
        assert self._process.stdout is not None and self._process.stderr is not None
        self.stdout = self._process.stdout.fileno()
        self.stderr = self._process.stderr.fileno()
        os.set_blocking(self.stdout, False)
        os.set_blocking(self.stderr, False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def status(self) -> int | None:
        """The exit status, negative for the number of a signal; ``None`` while it runs."""
        result = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if result is None:
            return None
        return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status

    def wait(self, seconds: float) -> bool:
        """Wait for its end, at most ``seconds``; whether it came."""
        return bool(select.select([self.pidfd], [], [], seconds)[0])

    def terminate(self) -> None:
        """Ask it to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and everything in its group now, and reap it. Can be called again."""
        if self._process.returncode is None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            os.close(self.pidfd)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
