"""Settings of the web server beside its arguments: `gunicorn --config python:smsapp.runtime.gunicorn`."""

import resource
from typing import Any

from smsapp.runtime.lifeline import end_with

worker_class = "smsapp.runtime.web_worker.Worker"
logger_class = "smsapp.runtime.web_log.Logger"
access_log_format = '%(h)s "%(r)s" %(s)s %(b)s %(M)s ms %({x-request-id}o)s'
keepalive = 75  # seconds: clients keep a connection between calls, and a proxy in front for a minute
#: No header moves a request to another path: its sender is unknown here, and proxies allow and forbid by path.
forwarder_headers = ""
control_socket_disable = True  # a file in the home directory, which a container may not write to

FILES_BESIDE = 256  # open files of a worker that are no connections of clients
MOST_CONNECTIONS = 10_000

_, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
_files = MOST_CONNECTIONS + FILES_BESIDE if _hard == resource.RLIM_INFINITY else _hard
worker_connections = max(64, min(MOST_CONNECTIONS, _files - FILES_BESIDE))


def post_fork(server: Any, worker: Any) -> None:
    """gunicorn's hook, in a worker that was just forked.

    A worker looks for its parent by itself, too, but not while one of its threads is blocked.
    """
    end_with(worker.ppid)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_files, hard))
