//===- FakeNccl.h - A stand-in for libnccl and libcuda ----------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Exports the calls that the engine makes, over host memory, for ranks that are
// threads, or processes that share the file of MOE_FAKE_NCCL_MEMORY. It checks
// what real libraries would punish with a hang or with wrong data, and fails as
// a script says, in MOE_FAKE_NCCL or given to `fake_nccl_reset`: words with
// commas between them,
//
//     version=21400                what ncclGetVersion says
//     devices=0                    what cuDeviceGetCount says
//     fail=CALL[:N][@RANK]         the N-th call, by a rank of a communicator,
//     fails stall=CALL[:N][@RANK]        what it began never ends
//     hang=CALL[:N][@RANK]         it does not return until the next reset
//     remote=CALL[:N][@RANK]       after it the communicator has a remote error
//     exit=CALL[:N][@RANK]         the process ends in it
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_SUPPORT_FAKENCCL_FAKENCCL_H
#define MOE_TEST_SUPPORT_FAKENCCL_FAKENCCL_H

#include <string>

extern "C" {
/// Forgets complaints, leaks, counts and the script, and takes another one.
void fake_nccl_reset(const char *script);
}

/// What was done wrong, a line each.
std::string fakeComplaints();
/// What was made by this process and not destroyed.
std::string fakeLeaks();
/// Calls of a function by this process since the last reset.
int fakeCalls(const char *call);

#endif // MOE_TEST_SUPPORT_FAKENCCL_FAKENCCL_H
