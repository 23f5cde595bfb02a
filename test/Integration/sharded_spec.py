"""Random specs for grids of up to eight ranks, the same for the same seed.

    python3 sharded_spec.py SEED
"""

import json
import math
import random
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "Oracle")]

import random_spec
from random_spec import Dice
from weight_formats import UNITS

MOST_RANKS = 8
GRIDS = [
    (dp, ep, tp)
    for dp in range(1, MOST_RANKS + 1)
    for ep in range(1, MOST_RANKS // dp + 1)
    for tp in range(1, MOST_RANKS // (dp * ep) + 1)
    if dp * ep * tp > 1
]


def sharded_spec(seed):
    """A spec with a grid, and the same without one."""
    dice = Dice(f"grid {seed}")
    spec = random_spec.random_spec(seed)
    dp, ep, tp = GRIDS[seed % len(GRIDS)] if dice.chance(0.5) else dice.pick(*GRIDS)
    experts = spec["router"]["experts"]
    parallel = {"grid": {"dp": dp, "ep": ep, "tp": tp}}
    on_tp = tp > 1 and ep == 1 and experts % tp == 0 and dice.chance(0.5)
    if on_tp:
        parallel["experts_on"] = "tp"
    elif experts % ep or (ep > 1 and dice.chance(0.2)):
        parallel["placement"] = _placement(dice, experts, ep)
    if ep > 1 and not on_tp:
        parallel["exchange"] = dice.pick("all_to_all", "point_to_point", "hierarchical", "ring")
        parallel["rows"] = dice.pick("exact", "exact", "padded")
        parallel.update(_wire(Dice(f"wire {seed}")))
        parallel.update(_chunks(Dice(f"chunks {seed}"), experts, parallel))
    if dp > 1 and dice.chance(0.4):
        parallel["fsdp"] = True
    if "placement" in parallel:
        spec.pop("capacity", None)
    if dp * ep > 1 and "capacity" in spec:
        spec["capacity"]["scope"] = "global"  # the whole layer is one rank of scope 'local'
    chained = spec["router"].get("projection", {}).get("chained")
    if tp > 1 and not chained and dice.chance(0.3):
        parallel["sequence_parallel"] = True
    if _has_table_of_few(spec["router"]):
        return sharded_spec(seed + 1000003)
    _widths(spec, tp, on_tp)
    return {**spec, "parallel": parallel}, spec


def _wire(dice):
    """Rows as they are, for half of the specs."""
    wire = dice.pick("none", "none", "none", "bf16", "int8", "fp8_e4m3")
    if wire == "none":
        return {}
    return {"wire": wire, **({"wire_block": dice.pick(1, 5, 32, 64)} if dice.chance(0.5) else {})}


def _chunks(dice, experts, parallel):
    """Rows in several exchanges, for half of the specs where there can be several."""
    placement = parallel.get("placement")
    places = max(map(len, placement)) if placement else experts // parallel["grid"]["ep"]
    if places == 1 or dice.chance(0.5):
        return {}
    return {"exchange": "all_to_all", "chunks": dice.random.randint(2, min(places, 8))}


def _has_table_of_few(router):
    """Random tables have experts up to 8."""
    return router.get("strategy") == "table" and router["experts"] <= 8


def _placement(dice, experts, ep):
    """Every expert somewhere, some of them twice, ranks with more and with fewer."""
    places = [[] for _ in range(ep)]
    for expert in dice.random.sample(range(experts), experts):
        for rank in dice.random.sample(range(ep), 2 if ep > 1 and dice.chance(0.2) else 1):
            places[rank].append(expert)
    return places


def _widths(spec, tp, on_tp):
    """Widths and blocks that tp divides."""
    for section in ("experts", "shared"):
        part = spec.get(section, {})
        if "intermediate" not in part:
            continue
        quantization = part.get("quantization", {})
        if section == "experts" and on_tp:
            continue
        if section == "shared" and not quantization:
            continue  # which is split only where it can be
        blocks = [max(1, size) for size in quantization.get("block", [1, 1])]
        unit = math.lcm(UNITS.get(quantization.get("kind"), 1), *blocks)
        if unit > 64 and blocks != [1, 1]:
            quantization["block"] = [1, 0]
            quantization.pop("activations", None)  # rows need blocks of the depth
            unit = UNITS.get(quantization.get("kind"), 1)
        part["intermediate"] += -part["intermediate"] % (tp * unit)


def main():
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        sys.exit("usage: sharded_spec.py SEED")
    print(json.dumps(sharded_spec(int(sys.argv[1]))[0], indent=2))


if __name__ == "__main__":
    main()
