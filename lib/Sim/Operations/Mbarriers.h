//===- Mbarriers.h - Barriers in shared memory ------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_OPERATIONS_MBARRIERS_H
#define MOE_LIB_SIM_OPERATIONS_MBARRIERS_H

#include "../Machine/Cluster.h"

namespace moe::sim {

/// The one at the address, which the thread must know to be initialized.
Mbarrier &mbarrierAt(Thread &thread, void *address, unsigned site);

void arriveAt(Thread &thread, Mbarrier &barrier, unsigned count, Order order,
              unsigned site);

/// Bytes that a copy has brought, of which its clock says what it comes after.
void completeBytes(Thread &thread, Mbarrier &barrier, uint32_t bytes,
                   const Past &past, unsigned site);

} // namespace moe::sim

#endif // MOE_LIB_SIM_OPERATIONS_MBARRIERS_H
