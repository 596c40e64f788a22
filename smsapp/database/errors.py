"""What is no fault of whoever asks: the database is away, read-only or damaged, or the disk is full.

Work that meets an outage may come again as it is. Everything else that a database refuses is a defect of ours.
"""

import errno

from django.db import DatabaseError, Error, InterfaceError, InternalError, OperationalError

RETRY_AFTER = 5  # seconds

_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
#: States of PostgreSQL that psycopg does not count as operational errors.
_STATES = (
    "25006",  # read-only: a standby, or an administrator's measure
    "25P03",  # idle in a transaction for too long: the connection is gone
    "25P04",  # a transaction that took too long: the same
    "42501",  # its own files may not be written: the file system went read-only
)
_BROKEN = "XX"  # errors of the server itself; of a full disk, too, unless the system calls it ENOSPC


def is_outage(error: BaseException) -> bool:
    """`error`: of Django's database layer (not of a driver), or of the operating system."""
    if isinstance(error, OSError):
        return error.errno in _OF_THE_DISK
    if isinstance(error, OperationalError | InterfaceError):
        return True
    if not isinstance(error, Error) or error.__cause__ is None:  # Django's own, such as a row that was not there
        return False
    state = getattr(error.__cause__, "sqlstate", None)
    if state is None:  # the driver's: it lost the thread of a connection that was cut, or found a damaged file
        return type(error) in (DatabaseError, InternalError)
    return state in _STATES or state.startswith(_BROKEN)
