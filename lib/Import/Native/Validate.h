//===- Validate.h - What keys say together ----------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_NATIVE_VALIDATE_H
#define MOE_LIB_IMPORT_NATIVE_VALIDATE_H

#include "moe/Import/Import.h"

namespace moe {

class Locations;
class Reporter;

/// Puts `grid`, where there is one, in the place of the spec's.
void setGrid(Spec &spec, const std::optional<Grid> &grid);

/// Checks a spec whose keys are each right against the constraints that bind
/// several of them: [S3] to [S31] of docs/Spec.md but for [S15].
void validate(const Spec &spec, const Locations &locations, Reporter &reporter);

// Parts of it.
void validateRouter(const Spec &spec, const Locations &locations,
                    Reporter &reporter);
void validateExperts(const Spec &spec, const Locations &locations,
                     Reporter &reporter);
void validateSizes(const Spec &spec, const Locations &locations,
                   Reporter &reporter);

} // namespace moe

#endif // MOE_LIB_IMPORT_NATIVE_VALIDATE_H
