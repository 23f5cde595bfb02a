//===- QuantizationReader.h - Keys of quantization_config -------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_HUGGINGFACE_QUANTIZATIONREADER_H
#define MOE_LIB_IMPORT_HUGGINGFACE_QUANTIZATIONREADER_H

#include "Quantization.h"

namespace moe {

/// Reads the keys of one method. What is wrong is reported, and reading goes
/// on.
class QuantizationReader {
public:
  /// `path` is what messages call `object`.
  QuantizationReader(const json::Value &object, std::string path,
                     Filler &filler)
      : object(object), path(std::move(path)), filler(filler) {}

  const json::Value &object;
  std::string path;
  Filler &filler;
  Quantization result;

  /// Messages about the kind and the block point to this key.
  void readFrom(const std::string &name, ConfigKey key);
  void readBlockFrom(const std::string &name, ConfigKey key);

  /// A value that is not the only one that can be computed is an error.
  void needs(const json::Value &in, const std::string &name,
             const json::Value &expected, const std::string &why);

  bool readFlag(const json::Value &in, const std::string &name, bool otherwise);
  void readBlock(const json::Value &in, const std::string &name);
  /// `[1, group_size]`; −1 is the whole row.
  void readGroupSize(const json::Value &in);
  void readExceptions(const std::string &name);
};

/// The method whose object says of each group of modules how it is quantised.
void readCompressedTensors(QuantizationReader &reader);

} // namespace moe

#endif // MOE_LIB_IMPORT_HUGGINGFACE_QUANTIZATIONREADER_H
