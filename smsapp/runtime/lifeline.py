"""Children that a program forks end with it, even if it is killed with -9. Only Linux can do that.

An orphaned child of a worker or web server would keep what it holds, such as the write lock of a SQLite database.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Have the kernel kill this process when `parent`, which forked it, ends; at once if it has ended already.

    The kernel means the thread that forked: it must live as long as `parent`.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
