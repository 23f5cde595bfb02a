/*===- DLPack.c - moe.h before and after the official header ---------------===
 *
 * Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 *===----------------------------------------------------------------------===
 *
 * Compiled once for each order, and once where moe.h cannot find the official
 * header; that it compiles is the test.
 *
 *===----------------------------------------------------------------------===*/

#if DLPACK_FIRST
#include "Inputs/dlpack/dlpack.h"
#endif
#include "moe/Runtime/moe.h"
#if !DLPACK_FIRST
#include "Inputs/dlpack/dlpack.h"
#endif

#if DLPACK_FIRST || DLPACK_FOUND
#ifndef OFFICIAL_DLPACK
#error the official header was not used
#endif
#else
/* What a user of the official header would miss. */
_Static_assert(sizeof(DLManagedTensorVersioned) ==
                   sizeof(DLTensor) + sizeof(DLPackVersion) + 24,
               "layout of DLManagedTensorVersioned");
_Static_assert(sizeof(DLManagedTensor) == sizeof(DLTensor) + 16,
               "layout of DLManagedTensor");
_Static_assert(DLPACK_MAJOR_VERSION == 1 && kDLBool == 6 && kDLHexagon == 16,
               "enumerators");
#endif
_Static_assert(sizeof(DLTensor) == 48, "layout of DLTensor");
