//===- Environment.h - The one MPI of this process --------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// MPI is initialised once and for the whole process, by us unless the
// application has done it, and then ended by us when the process ends. It
// cannot be left in the middle of an exchange: after a failure that leaves
// messages behind, nothing but MPI_Abort is sure to end.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_ENGINE_MPI_ENVIRONMENT_H
#define MOE_LIB_RUNTIME_ENGINE_MPI_ENVIRONMENT_H

#include "../Support/Failure.h"

#include <mpi.h>

namespace moe::engine {

/// Fails with what MPI says about `code` unless that is success.
void checkMpi(int code, const char *call);

/// What MPI says about `code`.
std::string mpiError(int code);

/// Initialises MPI unless it is; all ranks do this before `deadline`.
void enterMpi(int64_t deadline);

/// The ranks have failed: the end of the process is the end of the job unless
/// all ranks come to their ends soon.
void noteFailure();

/// Memory that is no longer ours is known to MPI: it may not run again.
void noteLeftovers();

/// Registers what tells the other ranks if the process ends without `close`.
void atProcessEnd(void (*body)());

} // namespace moe::engine

#endif // MOE_LIB_RUNTIME_ENGINE_MPI_ENVIRONMENT_H
