"""Whether this web server process was asked to stop, and only finishes what still comes."""

from threading import Event

_asked = Event()
begin = _asked.set
is_on = _asked.is_set
