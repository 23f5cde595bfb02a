"""Engines between processes: MPI under mpirun, and NCCL by its stand-in.

python3 test_engines.py BUILD_FOLDER
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

BUILD = Path(sys.argv.pop(1)).resolve()
RANKS = BUILD / "test" / "Support" / "EngineRanks" / "engine-ranks"
FAKE = BUILD / "test" / "Support" / "FakeNccl" / "libfake_nccl.so"
MPI, NCCL = (BUILD / "lib" / f"libmoe_engine_{name}.so" for name in ("mpi", "nccl"))
LIMIT = 120  # seconds, for machines with much to do
LINE = re.compile(r"rank (-?\d+): (MOE_\w+) blames (-?\d+) after ([\d.]+) s: (.*)")


class Ended:
    """What processes have said: the status, who is to blame and why, by rank."""

    def __init__(self, code, output):
        self.code, self.output = code, output
        found = [LINE.fullmatch(line) for line in output.splitlines()]
        self.lines = [match.groups() for match in found if match]
        self.ranks = {int(rank): (status, int(blamed), text) for rank, status, blamed, _, text
                      in self.lines}
        self.seconds = {int(rank): float(seconds) for rank, _, _, seconds, _ in self.lines}


def mpirun(count, scenario):
    command = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", str(count)]
    done = subprocess.run(
        [*command, str(RANKS), str(MPI), scenario], text=True, timeout=LIMIT,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    return Ended(done.returncode, done.stdout)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def nccl(count, scenario, scripts=None):
    """`count` processes as torchrun would start them; `scripts` are faults by rank."""
    with tempfile.TemporaryDirectory() as folder:
        shared = dict(
            os.environ, WORLD_SIZE=str(count), MASTER_ADDR="127.0.0.1",
            MASTER_PORT=str(free_port()), MOE_NCCL=str(FAKE), MOE_CUDA=str(FAKE),
            MOE_FAKE_NCCL_MEMORY=str(Path(folder) / "memory"),
        )
        processes = [
            subprocess.Popen(
                [str(RANKS), str(NCCL), scenario], text=True, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env=dict(shared, RANK=str(rank), MOE_FAKE_NCCL=(scripts or {}).get(rank, "")),
            )
            for rank in range(count)
        ]
        try:
            output = [process.communicate(timeout=LIMIT)[0] for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()
    return Ended([process.returncode for process in processes], "".join(output))


class Engines:
    """What holds for both."""

    def check(self, ended, rank, status, blamed, text):
        self.assertIn(rank, ended.ranks, ended.output)
        self.assertEqual(ended.ranks[rank][:2], (status, blamed), ended.output)
        self.assertIn(text, ended.ranks[rank][2])

    def check_some(self, ended, status, text):
        """One found it out; the others did as well, or heard of it, or were done."""
        self.assertIn(status, [rank[0] for rank in ended.ranks.values()], ended.output)
        for found, _, words in ended.ranks.values():
            self.assertIn(found, (status, "MOE_OK"), ended.output)
            self.assertIn(text if found != "MOE_OK" else "", words)

    def test_exchanges(self):
        for count in (2, 4):
            ended = self.run_ranks(count, "exchange")
            self.assertEqual(len(ended.ranks), count, (ended.code, ended.output))
            self.assertEqual(len(ended.output.splitlines()), count, ended.output)
            for rank in range(count):
                self.check(ended, rank, "MOE_OK", -1, "")

    def test_again_in_the_same_processes(self):
        ended = self.run_ranks(2, "again")
        self.assertEqual([line[1] for line in ended.lines], 6 * ["MOE_OK"], ended.output)

    def test_other_sizes(self):
        self.check_some(self.run_ranks(3, "sizes"), "MOE_OP_MISMATCH",
                        "rank 1 sends 7 bytes, expected 101")

    def test_other_large_sizes(self):
        self.check_some(self.run_ranks(2, "large-sizes"), "MOE_OP_MISMATCH",
                        "rank 0 sends 3000001 bytes, expected 2000")

    def test_other_operations(self):
        self.check_some(self.run_ranks(3, "operations"), "MOE_OP_MISMATCH",
                        "barrier over dp")

    def check_late(self, ended):
        self.check(ended, 0, "MOE_TIMEOUT", 1, "rank 1 did not come")
        self.assertGreaterEqual(ended.seconds[0], 1.0)
        self.assertLess(ended.seconds[0], 2.0)  # this machine may be busy

    def test_late_rank(self):
        ended = self.run_ranks(2, "late")
        self.check_late(ended)
        self.assertIn(ended.ranks[1][0], ("MOE_TIMEOUT", "MOE_ABORTED"), ended.output)
        self.assertEqual(ended.ranks[1][1:], (1, "rank 1 did not come"), ended.output)

    def test_late_rank_of_large_pieces(self):
        self.check_late(self.run_ranks(2, "late-large"))

    def test_abort(self):
        ended = self.run_ranks(3, "abort")
        for rank in range(3):
            self.check(ended, rank, "MOE_NOT_FINITE", 1, "NaN in the logits")

    def test_a_rank_leaves(self):
        self.check(self.run_ranks(2, "leaves"), 0, "MOE_RANK_FAILED", 1, "ended")


@unittest.skipUnless(MPI.is_file(), "the engine 'mpi' was not built: no mpi.h")
@unittest.skipUnless(shutil.which("mpirun"), "mpirun is not installed")
class Mpi(Engines, unittest.TestCase):
    run_ranks = staticmethod(mpirun)

    def test_killed_rank_ends_the_job(self):
        ended = mpirun(3, "killed")
        self.assertNotEqual(ended.code, 0)
        self.assertRegex(ended.output, r"rank 1 .*exited on signal 9")

    def test_another_size(self):
        ended = mpirun(2, "world")
        self.assertNotEqual(ended.code, 0)
        self.assertIn("MPI has 2 ranks, expected 3; is this run by 'mpirun -n 3'?", ended.output)


class Nccl(Engines, unittest.TestCase):
    run_ranks = staticmethod(nccl)

    def test_killed_rank(self):
        ended = nccl(3, "killed")
        self.assertEqual(ended.code, [0, -signal.SIGKILL, 0], ended.output)
        for rank in (0, 2):
            self.check(ended, rank, "MOE_RANK_FAILED", 1, "rank 1 has ended")
            self.assertLess(ended.seconds[rank], 1.0)  # before the deadline

    def test_dies_in_a_call(self):
        # The first group is that of the exchange before the scenario's.
        for call in ("ncclGroupEnd:2", "ncclSend:3", "cuMemcpyDtoHAsync:3"):
            ended = nccl(2, "exchange", {1: f"exit={call}"})
            self.assertIn("rank 0: rank 1 has ended", ended.output)
            self.assertEqual(ended.code[1], 9)

    def test_other_versions(self):
        ended = nccl(2, "exchange", {1: "version=22003"})
        self.assertEqual([line[1] for line in ended.lines], 2 * ["MOE_UNAVAILABLE"], ended.output)
        self.assertIn("rank 1 has NCCL 2.20.3, and rank 0 2.28.9: all need the same",
                      ended.output)

    def test_another_size(self):
        ended = nccl(2, "world")
        self.assertEqual({line[1] for line in ended.lines}, {"MOE_TIMEOUT"}, ended.output)
        self.assertIn("rank 2 did not come", ended.output)


if __name__ == "__main__":
    unittest.main()
