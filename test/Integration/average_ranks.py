"""Ranks that average with a compiled package: threads of this process, or this process as one."""

import ctypes
import json
import subprocess
import tempfile
import threading
from pathlib import Path

import numpy as np
from moe_mlir import _library

SUCCESS, NO_PEERS, IN_PROGRESS, FAILED = range(4)
_handle = ctypes.c_void_p


class Result(ctypes.Structure):
    _fields_ = [
        ("state", ctypes.c_int),
        ("peers_count", ctypes.c_int32),
        ("ready", ctypes.c_int32),
        ("target", ctypes.c_int32),
        ("compression_ratio", ctypes.c_double),
        ("status", ctypes.c_int),
        ("text", ctypes.c_char * 256),
    ]


class Options(ctypes.Structure):
    _fields_ = [
        ("engine", ctypes.c_char_p),
        ("rank", ctypes.c_int32),
        ("size", ctypes.c_int32),
        ("open_ms", ctypes.c_int64),
        ("timeout_ms", ctypes.c_int64),
        ("rendezvous", ctypes.c_char_p),
        ("flight", ctypes.c_char_p),
        ("node_ranks", ctypes.c_int32),
    ]


class Traffic(ctypes.Structure):
    _fields_ = [
        ("operations", ctypes.c_uint64),
        ("sent_bytes", ctypes.c_uint64),
        ("received_bytes", ctypes.c_uint64),
        ("waited_seconds", ctypes.c_double),
    ]


def call(name, *arguments):
    """Calls a function of moe.h that returns a status; raises with the message."""
    library = _library.runtime()
    function = getattr(library, name)
    function.restype = ctypes.c_int
    if function(*arguments):
        raise RuntimeError(library.moe_last_error().decode())


def compile_for(ranks, kind, folder, block=64, ep=1, **averaging):
    """The path of a package for so many ranks of dp, times those of ep."""
    spec = {
        "hidden": 1,
        "router": {"experts": ep, "top_k": 1},
        "experts": {"intermediate": 1},
        "averaging": {"compression": {"kind": kind, "block": block}, **averaging},
        "parallel": {"grid": {"dp": ranks, "ep": ep, "tp": 1}},
        "functions": ["accumulate", "average_group"],
    }
    place = Path(tempfile.mkdtemp(dir=folder))
    (place / "spec.json").write_text(json.dumps(spec))
    command = [_library.compiler(), place / "spec.json", "--emit=package", "-o", place / "package"]
    subprocess.run(command, check=True)
    return place / "package"


def open_package(path):
    package = _handle()
    call("moe_package_open", str(path).encode(), ctypes.byref(package))
    return package


def open_world(engine=None, rank=-1, size=-1, timeout_ms=30000, meeting=None):
    """One rank; what is left out a launcher says."""
    world = _handle()
    texts = (value and str(value).encode() for value in (engine, meeting))
    options = Options(next(texts), rank, size, 0, timeout_ms, next(texts), None, 0)
    call("moe_world_open", ctypes.byref(options), ctypes.byref(world))
    return world


class Averager:
    """One rank. Lengths are the caller's to get right."""

    def __init__(self, package, world, count):
        self.world, self.layer, self.count = world, _handle(), count
        call("moe_layer_create_in", package, None, world, ctypes.byref(self.layer))
        self.handle = _handle()
        call("moe_averager_create", self.layer, ctypes.c_int64(count), ctypes.byref(self.handle))

    def close(self):
        library = _library.runtime()
        library.moe_averager_destroy(self.handle)
        library.moe_layer_destroy(self.layer)
        library.moe_world_close(self.world)

    def accumulate(self, values):
        values = np.ascontiguousarray(values, np.float32)
        assert values.shape == (self.count,)
        call("moe_averager_accumulate", self.handle, _handle(values.ctypes.data or None))

    def step(self, wait_ms=-1):
        result = Result()
        call("moe_averager_step", self.handle, ctypes.c_int64(wait_ms), ctypes.byref(result))
        return result

    def get(self):
        values, number = np.empty(self.count, np.float32), ctypes.c_int64()
        address = _handle(values.ctypes.data or None)
        call("moe_averager_get", self.handle, address, ctypes.byref(number))
        return values, number.value

    def clear(self):
        call("moe_averager_clear", self.handle)

    def sent_bytes(self):
        traffic = Traffic()
        call("moe_world_get_statistics", self.world, ctypes.byref(traffic))
        return traffic.sent_bytes

    def abort(self):
        _library.runtime().moe_world_abort(self.world, b"of a test")


class Group:
    """Averagers of all ranks; `counts` is a number of values, or one for each rank. Ranks of an
    engine other than threads meet at a file."""

    def __init__(self, package, ranks, counts, timeout_ms=30000, engine="threads", meeting=None):
        self.package, self.ranks = open_package(package), ranks
        worlds = (ctypes.c_void_p * ranks)()
        if engine == "threads":
            options = Options(None, -1, ranks, 0, timeout_ms, None, None, 0)
            call("moe_world_open_threads", ctypes.byref(options), worlds)
        counts = np.broadcast_to(counts, ranks)

        def create(rank):
            world = _handle(worlds[rank])
            if engine != "threads":
                world = open_world(engine, rank, ranks, timeout_ms, meeting)
            return Averager(self.package, world, int(counts[rank]))

        self.averagers = self.together(create)

    def together(self, body):
        """The results of body(rank), each on a thread of its own."""
        results, errors = [None] * self.ranks, []

        def run(rank):
            try:
                results[rank] = body(rank)
            except Exception as error:  # shown by the thread that waits
                errors.append(error)

        threads = [threading.Thread(target=run, args=(rank,)) for rank in range(self.ranks)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return results

    def step(self):
        return self.together(lambda rank: self.averagers[rank].step())

    def average(self, sets):
        """Adds each rank's values to what it has, and steps once."""
        for averager, values in zip(self.averagers, sets):
            averager.accumulate(values)
        return self.step()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Ranks of some engines end together.
        self.together(lambda rank: self.averagers[rank].close())
        call("moe_package_close", self.package)
