"""What can go wrong, as exceptions."""

from __future__ import annotations

import enum


class Status(enum.IntEnum):
    """Results of the runtime's functions; the values of `moe_status` in moe.h."""

    OK = 0
    INVALID_ARGUMENT = 1
    OUT_OF_MEMORY = 2
    NOT_FOUND = 3
    IO = 4
    BAD_FILE = 5
    ABI_MISMATCH = 6
    CPU_MISMATCH = 7
    SHAPE_MISMATCH = 8
    DTYPE_MISMATCH = 9
    WEIGHT_MISSING = 10
    NOT_FINITE = 11
    CANCELLED = 12
    TIMEOUT = 13
    RANK_FAILED = 14
    OP_MISMATCH = 15
    PROGRAM_MISMATCH = 16
    ABORTED = 17
    UNAVAILABLE = 18
    IN_PROGRESS = 19
    GPU_MISMATCH = 20
    DEVICE_FAILED = 21


class Error(RuntimeError):
    """A function of the runtime refused; `status` says why in one word.

    >>> raise Error(Status.NOT_FOUND, "no such file")
    Traceback (most recent call last):
    ...
    moe_mlir._errors.Error: NOT_FOUND: no such file
    """

    def __init__(self, status: int, message: str):
        known = status in Status._value2member_map_
        self.status = Status(status) if known else status
        super().__init__(f"{self.status.name if known else status}: {message}")


class CompileError(ValueError):
    """`moe-opt` refused the spec; the message is what it printed."""
