"""``python -m tests.support.scarce files|quota N MODULE [ARGUMENTS]``: a module as a program that soon gets no more.

``files``: beside those that are open it may open N at a time. ``quota``: it may create none, for which the system gives
the reason that it gives when a quota is used up; no disk with a quota is needed, nor root.
"""

from __future__ import annotations

import ctypes
import errno
import importlib
import importlib.util
import os
import platform
import resource
import struct
import sys

_OPENAT = {"x86_64": 257, "aarch64": 56}
_LOAD, _EQUAL, _SET, _RETURN = 0x20, 0x15, 0x45, 0x06  # classic BPF: of a word, two jumps, an answer
_NUMBER, _FLAGS = 0, 16 + 2 * 8  # where a system call's number and its third argument lie
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2


def in_want_of(what: str, number: int, *command: str) -> tuple[str, ...]:
    """What stands behind ``python`` for ``-m MODULE [ARGUMENTS]`` in want of ``files``, of which there are so many, or
    of a ``quota``."""
    assert command[0] == "-m"
    return ("-m", "tests.support.scarce", what, str(number), *command[1:])


def _allow_files(more: int) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    highest = max(int(name) for name in os.listdir("/proc/self/fd")[:-1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + more, most))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def _use_up_quota() -> None:
    """Let every ``openat`` that may create a file end with EDQUOT (seccomp)."""
    lines = (
        (_LOAD, 0, 0, _NUMBER),
        (_EQUAL, 0, 3, _OPENAT[platform.machine()]),
        (_LOAD, 0, 0, _FLAGS),
        (_SET, 0, 1, os.O_CREAT),
        (_RETURN, 0, 0, _ERRNO | errno.EDQUOT),
        (_RETURN, 0, 0, _ALLOW),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
    program = _Program(len(lines), ctypes.cast(code, ctypes.c_void_p))
    system = ctypes.CDLL(None, use_errno=True)
    for given in ((_NO_NEW_PRIVILEGES, 1, 0, 0, 0), (_SECCOMP, _FILTER, ctypes.byref(program), 0, 0)):
        if system.prctl(*given):
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    _what, _number, _module, *sys.argv[1:] = sys.argv[1:]
    # What tells a fault in one line is there by then, as it is in a program that has begun.
    importlib.import_module("ramer.cli" if _module.startswith("ramer") else "stages._harness")
    _spec = importlib.util.find_spec(_module)
    assert _spec is not None
    _code = _spec.loader.get_code(_module)  # type: ignore[union-attr]  # has it: a module's loader does
    _allow_files(int(_number)) if _what == "files" else _use_up_quota()
    exec(_code, {"__name__": "__main__", "__file__": _spec.origin})
