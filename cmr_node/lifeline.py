"""Run a program that dies with its parent:  python lifeline.py PARENT_PID PROGRAM [ARGUMENT ...]

The promise kept here: after ``kill -9`` of a supervisor none of its children lives on to hold a
port or a claim.  The kernel sends SIGKILL when the parent dies (Linux, prctl(2)); that wish is
made here, in a process of its own, and survives the exec, so the parent needs no code between
fork and exec.  A parent that died before the wish was made is seen by its process id.

Imports nothing of the node: it is started by its path, with ``python -I -S``, in 20 ms.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def tie_to(parent: int) -> None:
    """Die when the process ``parent`` does, which must be the parent of this one."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit(f"parent {parent} is gone")


def main(arguments: list[str]) -> None:
    """Tie this process to its parent and become the program."""
    parent, program = int(arguments[0]), arguments[1:]
    tie_to(parent)
    os.execvp(program[0], program)  # noqa: S606 - the program our own parent named


if __name__ == "__main__":
    main(sys.argv[1:])
