//===- collectives.cpp - How fast ranks exchange rows ---------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   CollectivesBenchmark RANKS            ranks are threads of this process
//   mpirun -n RANKS CollectivesBenchmark  ranks are MPI's, where it was found
//
// Prints `OPERATION BYTES SECONDS`: the bytes that a rank sends or adds, and
// the best time of an operation over some batches, as the first rank sees it.
//
//===----------------------------------------------------------------------===//

#include "Runtime/Collective/Exchange.h"

#include "moe/Runtime/Package.h"

#ifdef MOE_BENCHMARK_MPI
#include <mpi.h>
#endif

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>

using namespace moe::runtime;

namespace {
/// What is measured, on one rank.
struct Peer {
  virtual ~Peer() = default;
  virtual void allToAllV(const float *send, float *receive,
                         const std::vector<int32_t> &counts) = 0;
  virtual void allReduce(const float *send, float *receive, int32_t count) = 0;
  virtual void barrier() = 0;
};

struct ThreadsPeer final : Peer {
  explicit ThreadsPeer(moe_world &world)
      : exchange(world, {1, world.size(), 1}, makeTable()) {}
  static std::vector<Collective> makeTable() {
    std::vector<Collective> table(3);
    table[0].kind = CollectiveKind::allToAllV;
    table[1].kind = CollectiveKind::allReduce;
    table[1].reduce = MOE_REDUCE_SUM;
    for (Collective &collective : table) {
      collective.axes = epAxis;
      collective.dtype = MOE_F32;
    }
    table[2].kind = CollectiveKind::barrier;
    return table;
  }
  void run(int32_t number, const float *send, float *receive, int64_t rows,
           const int32_t *counts) {
    if (exchange.run(number, send, receive, rows, counts, counts) != MOE_OK) {
      std::fprintf(stderr, "%s\n", moe_last_error());
      std::exit(1);
    }
  }
  void allToAllV(const float *send, float *receive,
                 const std::vector<int32_t> &counts) override {
    run(0, send, receive, counts[0] * int64_t(counts.size()), counts.data());
  }
  void allReduce(const float *send, float *receive, int32_t count) override {
    run(1, send, receive, count, nullptr);
  }
  void barrier() override { run(2, nullptr, nullptr, 0, nullptr); }
  Exchange exchange;
};

#ifdef MOE_BENCHMARK_MPI
struct MpiPeer final : Peer {
  void allToAllV(const float *send, float *receive,
                 const std::vector<int32_t> &counts) override {
    offsets.assign(counts.size(), 0);
    for (size_t i = 1; i < counts.size(); ++i)
      offsets[i] = offsets[i - 1] + counts[i - 1];
    MPI_Alltoallv(send, counts.data(), offsets.data(), MPI_FLOAT, receive,
                  counts.data(), offsets.data(), MPI_FLOAT, MPI_COMM_WORLD);
  }
  void allReduce(const float *send, float *receive, int32_t count) override {
    MPI_Allreduce(send, receive, count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  }
  void barrier() override { MPI_Barrier(MPI_COMM_WORLD); }
  std::vector<int32_t> offsets;
};
#endif
} // namespace

/// Seconds of one call, the best of some batches.
template <typename Call>
static double measure(Peer &peer, int64_t bytes, const Call &call) {
  int64_t times = std::clamp<int64_t>((4 << 20) / bytes, 1, 200);
  double best = 1e9;
  call(); // pages come into being
  for (int batch = 0; batch < 7; ++batch) {
    peer.barrier();
    int64_t start = moe_clock();
    for (int64_t i = 0; i < times; ++i)
      call();
    best = std::min(best, double(moe_clock() - start) * 1e-9 / double(times));
  }
  return best;
}

static void runAll(Peer &peer, int32_t rank, int32_t size) {
  for (int64_t bytes = 1 << 10; bytes <= 64 << 20; bytes *= 4) {
    int32_t count = static_cast<int32_t>(bytes / 4);
    std::vector<float> send(static_cast<size_t>(count), 1),
        receive(send.size());
    std::vector<int32_t> counts(static_cast<size_t>(size), count / size);
    double exchange = measure(peer, bytes, [&] {
      peer.allToAllV(send.data(), receive.data(), counts);
    });
    double sum = measure(peer, bytes, [&] {
      peer.allReduce(send.data(), receive.data(), count);
    });
    if (rank == 0)
      std::printf("all_to_all_v %lld %.9f\nall_reduce %lld %.9f\n",
                  static_cast<long long>(bytes), exchange,
                  static_cast<long long>(bytes), sum);
  }
}

int main(int argc, char **argv) {
#ifdef MOE_BENCHMARK_MPI
  if (argc == 1) {
    MPI_Init(&argc, &argv);
    int rank, size;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MpiPeer peer;
    runAll(peer, rank, size);
    MPI_Finalize();
    return 0;
  }
#endif
  moe_world_options options = {};
  options.size =
      argc == 2 ? static_cast<int32_t>(std::strtol(argv[1], nullptr, 10)) : 0;
  std::vector<moe_world *> worlds(
      static_cast<size_t>(std::max(options.size, 1)));
  if (moe_world_open_threads(&options, worlds.data()) != MOE_OK) {
    std::fprintf(stderr, "usage: CollectivesBenchmark RANKS: %s\n",
                 moe_last_error());
    return 1;
  }
  std::vector<std::thread> threads;
  for (moe_world *world : worlds)
    threads.emplace_back([world] {
      ThreadsPeer peer(*world);
      runAll(peer, world->rank(), world->size());
    });
  for (std::thread &thread : threads)
    thread.join();
  for (moe_world *world : worlds)
    moe_world_close(world);
  return 0;
}
