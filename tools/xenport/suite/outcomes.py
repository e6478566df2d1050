"""The last outcome of every test in every environment of a port, kept in the cache from run to run.

What was run with another hypervisor image than the port's own is not kept.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from xenport import content
from xenport.kernel.cache import Fingerprint
from xenport.port import Port
from xenport.suite.results import Outcome, Result

ByTest = Mapping[str, Outcome]


def remember(port: Port, results: Iterable[Result]) -> None:
    """Keeps the results of ``port`` among ``results``, beside older ones of other tests."""
    known = _read(port)
    for result in results:
        if result.port == port.name:
            known.setdefault(result.environment, {})[result.test] = result.outcome.value
    path = _path(port)
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f".{path.name}-{id(known)}")
    made.write_text(json.dumps(known))
    made.replace(path)


def last(port: Port, environment: str) -> ByTest:
    """The last outcome of each test that was run in ``environment`` on this machine."""
    return {test: Outcome(outcome) for test, outcome in _read(port).get(environment, {}).items()}


def _path(port: Port) -> Path:
    key = Fingerprint(str(port.path.absolute()), port.release).digest()
    return content.cache_folder() / "outcomes" / f"{port.name}-{port.release}-{key}.json"


def _read(port: Port) -> dict[str, dict[str, str]]:
    try:
        known: dict[str, dict[str, str]] = json.loads(_path(port).read_text())
    except (OSError, ValueError):  # none yet, or no longer whole
        return {}
    return known
