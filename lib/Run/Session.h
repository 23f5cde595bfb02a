//===- Session.h - A package with a layer and arrays ------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Opens a package, gives its layer weights, and runs one function on arrays.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUN_SESSION_H
#define MOE_LIB_RUN_SESSION_H

#include "Array.h"
#include "Options.h"

#include "moe/Runtime/Package.h"

#include <nlohmann/json.hpp>

#include <memory>

namespace moe::run {

/// Throws RunError with the runtime's message unless the call succeeded.
void check(moe_status status);

struct NamedArray {
  std::string name;
  Array array;
};

class Session {
public:
  /// `cpu` may be empty: the runtime chooses.
  Session(const std::string &directory, const std::string &function,
          const std::string &cpu = "");
  ~Session();
  Session(const Session &) = delete;

  void loadWeights(const Options &options);
  /// The other session's weights, in the types of this package.
  void takeWeights(Session &from);
  /// Inputs from files, or random ones; outputs as large as they must be.
  void makeTensors(const Options &options);
  /// The other session's inputs and sizes, in the types of this package.
  void takeInputs(const Session &from);
  /// Throws unless there are results, be they finite or not.
  void run();

  /// An output, or anything that the layer shows.
  Array get(const std::string &name) const;
  bool has(const std::string &name) const;
  std::vector<std::string> planNames() const;
  nlohmann::json spec() const {
    return manifest.value("spec", nlohmann::json::object());
  }
  bool statistics(moe_statistics &statistics) const;
  std::string cpu() const { return moe_layer_cpu(layer.get()); }

  nlohmann::json manifest;
  std::string function;
  std::map<std::string, int64_t> sizes;
  std::vector<NamedArray> inputs, outputs;
  std::string notFinite; ///< what the last run says is not; empty: nothing

private:
  struct LayerDelete {
    void operator()(moe_layer *layer) const { moe_layer_destroy(layer); }
  };

  void loadFile(const Options &options);
  const nlohmann::json &functionJson() const;
  std::vector<int64_t> shapeOf(const nlohmann::json &argument) const;
  void solveSizes(const NamedArray &given, const nlohmann::json &argument);
  void makeOutputs();
  /// What token ids are below; as good as any where there is no table.
  uint64_t vocabulary() const;

  const moe_package *package = nullptr;
  std::unique_ptr<moe_layer, LayerDelete> layer;
};

} // namespace moe::run

#endif // MOE_LIB_RUN_SESSION_H
