"""nginx with the configuration that we ship, ports replaced."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import wait_until

SHIPPED = Path(__file__).parents[1] / "deploy" / "nginx" / "nearcast.conf"
#: What stands around it in the distribution's own file; as little of it as will do without root.
_AROUND = """
worker_processes 1; daemon off; pid {directory}/nginx.pid; error_log {directory}/error.log notice;
events {{ worker_connections 1024; }}
http {{
  access_log {directory}/access.log;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  include {directory}/nearcast.conf;
}}
"""


def program() -> str | None:
    """nginx, if it is installed; Debian keeps it where not everybody looks."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextmanager
def nginx(directory: Path, port: int, upstreams: Sequence[int]) -> Iterator[None]:
    """Runs it in front of two ports until the end of the block, from the moment it listens."""
    text = SHIPPED.read_text().replace("listen 80;", f"listen 127.0.0.1:{port};")
    for shipped, real in zip((8300, 8301), upstreams, strict=True):
        assert f"server 127.0.0.1:{shipped} " in text
        text = text.replace(f"server 127.0.0.1:{shipped} ", f"server 127.0.0.1:{real} ")
    (directory / "nearcast.conf").write_text(text)
    configuration = directory / "nginx.conf"
    configuration.write_text(_AROUND.format(directory=directory))
    found = program()
    assert found is not None
    log = directory / "error.log"
    with subprocess.Popen([found, "-c", str(configuration), "-e", str(log)]) as process:
        try:
            wait_until(lambda: _listens(port) or process.poll() is not None, message="nginx does not listen")
            assert process.poll() is None, log.read_text()
            yield
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
