"""Whether this web server process was asked to stop, and only finishes the requests that still come."""

from threading import Event

_asked = Event()
begin = _asked.set
is_on = _asked.is_set
