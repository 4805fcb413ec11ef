"""What nearcast is measured against: C servers in front of the same answers.

Each is a context manager that yields the running server, and raises `Missing` with a reason where it is not installed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.local.ports import free_port
from tests.bench.cores import Missing, Running, server

_MODULES = (Path("/usr/lib/nginx/modules"), Path("/usr/lib64/nginx/modules"))
_LUA_REDIS = Path("/usr/share/lua/5.1/nginx/redis.lua")


@contextmanager
def nginx(directory: Path, location: str, *, http: str = "", modules: tuple[str, ...] = ()) -> Iterator[Running]:
    """One nginx worker; `location` is what stands in `location /`."""
    program, port = _program("nginx"), free_port()
    text = f"""
{"".join(f"load_module {_module(name)};" for name in modules)}
worker_processes 1; daemon off; pid {directory}/nginx.pid; error_log {directory}/nginx.log warn;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 75; default_type application/json;
  client_body_temp_path {directory}; proxy_temp_path {directory}; fastcgi_temp_path {directory};
  uwsgi_temp_path {directory}; scgi_temp_path {directory};
  {http}
  server {{ listen 127.0.0.1:{port}; location / {{ {location} }} }}
}}
"""
    configuration = directory / f"nginx-{port}.conf"
    configuration.write_text(text)
    with server(
        [program, "-c", str(configuration), "-e", str(directory / "nginx.log")], port, directory / "nginx.out"
    ) as it:
        yield it


@contextmanager
def nginx_return(directory: Path, body: str) -> Iterator[Running]:
    """One constant answer: the floor of what HTTP costs."""
    with nginx(directory, f"return 200 '{body}';") as it:
        yield it


@contextmanager
def nginx_shared_dictionary(directory: Path, bodies: Mapping[str, str]) -> Iterator[Running]:
    """Answers from shared memory, found by key in Lua."""
    source = directory / "bodies.tsv"
    source.write_text("".join(f"{key}\t{body}\n" for key, body in bodies.items()))
    http = f"""lua_shared_dict bodies 64m;
      init_by_lua_block {{
        for line in io.lines("{source}") do
          local key, body = line:match("^(.-)\\t(.*)$")
          ngx.shared.bodies:set("/" .. key, body)
        end
      }}"""
    location = """content_by_lua_block {
        local body = ngx.shared.bodies:get(ngx.var.uri)
        if not body then return ngx.exit(404) end
        ngx.header["Content-Length"] = #body
        ngx.print(body)
      }"""
    with nginx(directory, location, http=http, modules=("ndk_http_module", "ngx_http_lua_module")) as it:
        yield it


@contextmanager
def nginx_redis(directory: Path, redis_port: int) -> Iterator[Running]:
    """Answers read from Redis in Lua, over connections that are kept."""
    if not _LUA_REDIS.exists():
        raise Missing("lua-nginx-redis is not installed")
    location = f"""content_by_lua_block {{
        local client = require("nginx.redis"):new()
        local ok = client:connect("127.0.0.1", {redis_port})
        if not ok then return ngx.exit(502) end
        local body = client:get("body:" .. ngx.var.uri:sub(2))
        client:set_keepalive(60000, 64)
        if body == ngx.null then return ngx.exit(404) end
        ngx.header["Content-Length"] = #body
        ngx.print(body)
      }}"""
    with nginx(directory, location, modules=("ndk_http_module", "ngx_http_lua_module")) as it:
        yield it


@contextmanager
def webdis(directory: Path, redis_port: int) -> Iterator[Running]:
    """HTTP in front of Redis, in C: `/GET/body:KEY.txt`."""
    program, port = _program("webdis"), free_port()
    configuration = {
        "redis_host": "127.0.0.1",
        "redis_port": redis_port,
        "http_host": "127.0.0.1",
        "http_port": port,
        "threads": 1,
        "pool_size": 20,
        "daemonize": False,
        "verbosity": 0,
        "logfile": str(directory / "webdis.log"),
    }
    path = directory / "webdis.json"
    path.write_text(json.dumps(configuration))
    with server([program, str(path)], port, directory / "webdis.out") as it:
        yield it


@contextmanager
def varnish(directory: Path, bodies: Mapping[str, str]) -> Iterator[Running]:
    """A cache in front of the shared dictionary; asked once, everything is a hit."""
    program, port = _program("varnishd"), free_port()
    configuration = directory / "default.vcl"
    with nginx_shared_dictionary(directory, bodies) as behind:
        configuration.write_text(
            f'vcl 4.1; backend default {{ .host = "127.0.0.1"; .port = "{behind.port}"; }}'
            " sub vcl_backend_response { set beresp.ttl = 1h; }"
        )
        argv = [program, "-F", "-n", str(directory / "varnish"), "-f", str(configuration)]
        argv += ["-a", f"127.0.0.1:{port}", "-s", "malloc,128m", "-p", "thread_pools=1"]
        with server(argv, port, directory / "varnish.out") as it:
            yield it


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise Missing(f"{name} is not installed")
    return found


def _module(name: str) -> Path:
    found = next((path for folder in _MODULES if (path := folder / f"{name}.so").exists()), None)
    if found is None:
        raise Missing(f"nginx's {name} is not installed (Debian: libnginx-mod-http-lua)")
    return found
