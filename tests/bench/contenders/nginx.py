"""What a server in C costs for a constant answer: nginx with one worker process."""

import shutil
from contextlib import AbstractContextManager

from tests.bench.contenders.asgi import ANSWER
from tests.bench.contenders.contender import Running, Site, serving
from tests.bench.requests import singles
from tests.bench.server import Server
from tests.door.rig import free_port

SETTINGS = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    default_type application/json;
    location / {{ return 200 '{answer}'; }}
  }}
}}
"""


def absent() -> str:
    return "" if shutil.which("nginx") else "not installed"


def start(site: Site) -> AbstractContextManager[Running]:
    port = free_port()
    path = site.folder / "nginx.conf"
    path.write_text(SETTINGS.format(folder=site.folder, port=port, answer=ANSWER.decode()))
    program = shutil.which("nginx")
    assert program is not None
    server = Server([program, "-p", str(site.folder), "-c", str(path)], folder=site.folder, port=port)
    return serving(server, singles(["constant"]))
