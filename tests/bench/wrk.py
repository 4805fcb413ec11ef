"""Capacity, measured by wrk: as many requests as are answered, on some connections, spread over all keys."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from tests.bench.cores import LOAD_CORE, Missing, Running, pinned

# The requests are made before the clock starts, so that the load generator is not what is measured.
_SCRIPT = """
local requests, at = {}, 0
function init()
  for target in io.lines("TARGETS") do
    requests[#requests + 1] = "GET " .. target .. " HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n"
  end
  if not NUMBERED then
    for i, request in ipairs(requests) do requests[i] = request .. "\\r\\n" end
  end
end
function request()
  at = at + 1
  local request = requests[(at - 1) % #requests + 1]
  if NUMBERED then return request .. "X-Request-Id: " .. at .. "\\r\\n\\r\\n" end
  return request
end
"""

#: Before anything counts, everything is asked for so many times, or as often as so many seconds allow: at their first
#: and second coming requests cost more, and an edge that computes each answer takes seconds to see 10,000 of them.
_WARM_ROUNDS, _WARM_S = 4, 6


@dataclass(frozen=True, slots=True)
class Capacity:
    """The median of some runs.

    Attributes:
        cpu_us: processor time that the server took for one request; what is comparable when others use the machine.
    """

    per_s: float
    p99_ms: float
    cpu_us: float


def capacity(
    directory: Path,
    server: Running,
    targets: Sequence[str],
    *,
    connections: int,
    seconds: float,
    runs: int,
    numbered: bool = False,
) -> Capacity:
    """Requests answered with 200 per second.

    Args:
        numbered: each request carries its number, so that no two are the same bytes.

    Raises:
        Missing: wrk is not installed.
        AssertionError: something else was answered.
    """
    argv = command(directory, server, targets, connections=connections, numbered=numbered)
    asked = 0.0
    for _ in range(_WARM_S):
        asked += one_second(argv, server).per_s
        if asked >= _WARM_ROUNDS * len(targets):
            break
    return median([_run([*argv, f"-d{seconds:g}s"], server) for _ in range(runs)])


def median(found: Sequence[Capacity]) -> Capacity:
    """Of each figure by itself."""
    return Capacity(*(statistics.median(column) for column in zip(*map(astuple, found), strict=True)))


def command(
    directory: Path, server: Running, targets: Sequence[str], *, connections: int, numbered: bool = False
) -> list[str]:
    """A command line of wrk that lacks only how long; raises `Missing` as `capacity` does."""
    program = shutil.which("wrk")
    if program is None:
        raise Missing("wrk is not installed")
    listed, script = directory / f"targets-{server.port}.txt", directory / f"wrk-{server.port}.lua"
    listed.write_text("".join(f"{target}\n" for target in targets))
    script.write_text(_SCRIPT.replace("TARGETS", str(listed)).replace("NUMBERED", str(numbered).lower()))
    return [program, "-t1", f"-c{connections}", "--latency", "-s", str(script), f"http://127.0.0.1:{server.port}"]


@dataclass(frozen=True, slots=True)
class Counted:
    """What one run of wrk says."""

    per_s: float
    requests: int
    p99_ms: float


def counted(said: str) -> Counted:
    """Reads its output; raises `AssertionError` as `capacity` does."""
    assert "Non-2xx" not in said, said
    assert "Socket errors" not in said, said
    rate, count = re.search(r"Requests/sec:\s+([\d.]+)", said), re.search(r"(\d+) requests in", said)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    assert rate, said
    assert count, said
    assert p99, said
    return Counted(float(rate[1]), int(count[1]), float(p99[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[p99[2]])


def one_second(argv: Sequence[str], server: Running) -> Capacity:
    """A single run, of what `command` has made."""
    return _run([*argv, "-d1s"], server)


def _run(argv: Sequence[str], server: Running) -> Capacity:
    began_s = server.cpu_s()
    found = counted(subprocess.run(pinned(LOAD_CORE, argv), capture_output=True, text=True, check=True).stdout)
    used_s = server.cpu_s() - began_s
    return Capacity(found.per_s, found.p99_ms, used_s / found.requests * 1e6)
