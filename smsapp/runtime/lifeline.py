"""Children that a program forks end with it, even if it is killed with -9. On Linux, which alone can be asked for that.

A worker's child or a web server's that lived on would keep what it holds, the write lock of a SQLite database for one.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Have the kernel kill this process when `parent`, which forked it, ends; at once if it ended before we could ask.

    The kernel means the thread that forked: it must be one that lives as long as `parent`.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
