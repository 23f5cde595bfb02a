//===- Session.h - A package with a layer and arrays ------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Opens a package, gives its layer weights, and runs one function on arrays. A
// sharded package has a layer on each rank; the arrays are those of the whole.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUN_SESSION_H
#define MOE_LIB_RUN_SESSION_H

#include "Shares.h"
#include "Team.h"

#include <memory>

namespace moe::run {

/// The element type of a tensor in the manifest.
DType dtypeOf(const nlohmann::json &tensor);

struct NamedArray {
  std::string name;
  Array array;
};

class Session {
public:
  /// A reference, where there are no options, runs as one rank.
  Session(const std::string &directory, const std::string &function,
          const Options *options = nullptr);
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
  /// The same without a look at the results; returns how long it took.
  double time();
  /// What the ranks of this process have spent in exchanges so far, the most of
  /// any.
  double exchangeSeconds() const;

  /// An output, or anything that the layer shows.
  Array get(const std::string &name);
  bool has(const std::string &name) const;
  std::vector<std::string> planNames() const;
  /// Whether `get` shows it as the whole layer has it.
  bool isWhole(const std::string &planName) const;
  /// A plan tensor of the ranks in this process.
  std::vector<Array> ofRanks(const std::string &planName);
  const Team &ranks() const { return *team; }
  /// Tells other ranks why this process comes no further.
  void abort(const char *reason) { team->abort(reason); }
  /// What ranks have exchanged during `run`; empty where there is one alone.
  const std::vector<moe_world_statistics> &exchanges() const {
    return exchanged;
  }
  nlohmann::json spec() const {
    return manifest.value("spec", nlohmann::json::object());
  }
  /// Those of all tokens. `loads` stays until the next call.
  bool statistics(moe_statistics &statistics);
  std::string cpu() const { return moe_layer_cpu(layers[0].get()); }
  std::string device() const { return moe_layer_device(layers[0].get()); }

  nlohmann::json manifest;
  std::string function;
  std::map<std::string, int64_t> sizes;
  std::vector<NamedArray> inputs, outputs;
  std::string notFinite; ///< what the last run says is not; empty: nothing

private:
  struct PackageClose {
    void operator()(const moe_package *package) const {
      moe_package_close(package);
    }
  };
  struct LayerDelete {
    void operator()(moe_layer *layer) const { moe_layer_destroy(layer); }
  };
  using Layer = std::unique_ptr<moe_layer, LayerDelete>;
  /// What a rank is called with.
  struct Call {
    std::vector<NamedArray> inputs, outputs;
    std::string notFinite;
  };

  void makeTeam(const Options *options);
  void makeLayer(size_t member, moe_layer_options options);
  bool hasCpuCode() const;
  void loadFile(size_t member, const Options &options);
  const nlohmann::json &functionJson() const;
  const nlohmann::json &argumentJson(const std::string &name) const;
  /// Sizes that are not sums over ranks.
  std::vector<std::string> ownSizes() const;
  std::vector<int64_t> shapeOf(const nlohmann::json &argument,
                               const std::map<std::string, int64_t> &of) const;
  void solveSizes(const NamedArray &given, const nlohmann::json &argument);
  std::vector<NamedArray>
  makeOutputs(const std::map<std::string, int64_t> &of) const;
  void makeCalls();
  void callMember(size_t member);
  void collect();
  void measure(std::vector<moe_world_statistics> &before);
  Array view(size_t member, const std::string &name) const;
  std::vector<Array> viewsOf(const std::string &name);
  Array weight(const std::string &name);
  Shares shares() const;
  /// What token ids are below; as good as any where there is no table.
  uint64_t vocabulary() const;

  std::unique_ptr<const moe_package, PackageClose> package;
  std::unique_ptr<Team> team;
  std::vector<Layer> layers; ///< one for each member of the team, as calls
  std::vector<Call> calls;   ///< a single rank alone is called with the whole
  std::vector<moe_world_statistics> exchanged;
  std::vector<int32_t> loads;
};

} // namespace moe::run

#endif // MOE_LIB_RUN_SESSION_H
