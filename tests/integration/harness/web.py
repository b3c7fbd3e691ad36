# SPDX-License-Identifier: Apache-2.0
"""nginx in a namespace, with an access log that tells what it read and wrote on each connection."""
import dataclasses
import os
import pathlib

from harness.scale import wait_until

CONFIG = """
daemon off;
worker_processes 2;
user root;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 4096; }}
http {{
    log_format exact '$pid $remote_addr $remote_port $request_length $bytes_sent $status $connection';
    access_log {directory}/access.log exact;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_timeout {keepalive};
    server {{
        listen 0.0.0.0:{port} backlog=1024;
        listen [::]:{port} ipv6only=on;
        root {directory}/files;
    }}
}}
"""


@dataclasses.dataclass
class Request:
    """One line of the access log."""
    pid: int
    address: str
    port: int
    read_bytes: int
    written_bytes: int
    status: int
    connection: int


class Nginx:
    """A server of one file; keepalive 0 makes it close first."""

    def __init__(self, namespace, directory, port, keepalive=0, file_bytes=12345):
        self.port = port
        self.log_path = pathlib.Path(directory) / "access.log"
        self.log_path.write_text("", encoding="ascii")
        files = pathlib.Path(directory) / "files"
        files.mkdir()
        (files / "file").write_bytes(b"x" * file_bytes)
        for path in (pathlib.Path(directory), files):
            path.chmod(0o755)
        config = pathlib.Path(directory) / "nginx.conf"
        config.write_text(CONFIG.format(directory=directory, port=port, keepalive=keepalive),
                          encoding="ascii")
        self.process = namespace.start("nginx", "-c", str(config), "-p", str(directory))
        wait_until(lambda: len(self.worker_pids()) == 2, 10, "nginx and its workers")

    def worker_pids(self):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children",
                  encoding="ascii") as file:
            children = file.read().split()
        return [int(pid) for pid in children
                if os.path.exists(f"/proc/{pid}/cmdline")
                and b"worker" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]

    def requests(self, count):
        """The access log, when it has so many lines, by (address, port) of the client."""
        def read():
            lines = self.log_path.read_text(encoding="ascii").splitlines()
            return lines if len(lines) >= count else None
        lines = wait_until(read, 10, f"{count} lines of the access log")
        found = [Request(int(f[0]), f[1], *map(int, f[2:])) for f in map(str.split, lines)]
        return {(request.address, request.port): request for request in found}

    def close(self):
        self.process.terminate()
        self.process.wait(10)
