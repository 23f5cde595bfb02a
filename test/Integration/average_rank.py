"""One rank of averaging, as a process that a launcher starts.

average_rank.py PACKAGE COUNT STEPS SEED OUT [RANK:SECONDS]: adds COUNT values up and steps,
STEPS times, and writes OUT.RANK.npz with the mean of each step, and OUT.RANK.json with what the
last step said. With RANK:SECONDS, that rank waits so long before the last step. After a failed step
OUT.RANK.npz has what the averager has.
"""

import json
import sys
import time

import numpy as np
from average_ranks import SUCCESS, Averager, open_package, open_world
from moe_mlir import _library


def values_of(seed, step, rank, count):
    rng = np.random.default_rng([seed, step, rank])
    return rng.standard_normal(count).astype(np.float32)


def main(package, count, steps, seed, out, wait="-1:0"):
    count, steps, seed = int(count), int(steps), int(seed)
    late, seconds = wait.split(":")
    library = _library.runtime()
    library.moe_set_threads(1)
    world = open_world()
    rank = library.moe_world_rank(world)
    averager = Averager(open_package(package), world, count)
    means = []
    for step in range(steps):
        averager.accumulate(values_of(seed, step, rank, count))
        if step == steps - 1 and rank == int(late):
            time.sleep(float(seconds))
        begin = time.monotonic()
        result = averager.step()
        lasted = time.monotonic() - begin
        means.append(averager.get()[0])
        if result.state != SUCCESS:
            break
    report = {
        "state": result.state,
        "status": result.status,
        "text": result.text.decode(),
        "ratio": result.compression_ratio,
        "sent_bytes": averager.sent_bytes(),
        "contributions": averager.get()[1],
        "seconds": lasted,
    }
    np.savez(f"{out}.{rank}.npz", *means)
    with open(f"{out}.{rank}.json", "w") as file:
        json.dump(report, file)
    averager.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
