//===- Results.cpp - Runs a session, and what comes out -------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Ranks run together; what they have is put together where it is part of a
// whole.
//
//===----------------------------------------------------------------------===//

#include "Session.h"

#include <cmath>
#include <cstring>

namespace moe::run {

using nlohmann::json;

void Session::callMember(size_t member) {
  Call &call = calls[member];
  bool alone = team->isAlone();
  std::vector<NamedArray> &from = alone ? inputs : call.inputs;
  std::vector<NamedArray> &to = alone ? outputs : call.outputs;
  std::vector<DLTensor> views;
  views.reserve(from.size() + to.size());
  std::vector<const DLTensor *> given, wanted;
  for (NamedArray &input : from)
    given.push_back(&views.emplace_back(input.array.view()));
  for (NamedArray &output : to)
    wanted.push_back(&views.emplace_back(output.array.view()));
  moe_status status = moe_layer_run(layers[member].get(), function.c_str(),
                                    given.data(), wanted.data());
  call.notFinite.clear();
  try {
    check(status);
  } catch (const StatusError &error) {
    if (status != MOE_NOT_FINITE)
      throw;
    call.notFinite = error.what();
  }
}

double Session::time() {
  int64_t start = moe_clock();
  team->each([&](size_t member) { callMember(member); });
  return team->ofFirst(double(moe_clock() - start) * 1e-9);
}

static Array bytesOf(const void *data, size_t size) {
  Array array(DType::u8, {int64_t(size)});
  if (size)
    std::memcpy(array.data.data(), data, size);
  return array;
}

static moe_world_statistics figuresOf(const moe_world *world) {
  moe_world_statistics figures = {};
  check(moe_world_get_statistics(world, &figures));
  return figures;
}

double Session::exchangeSeconds() const {
  double most = 0;
  for (size_t member = 0; !team->isAlone() && member < calls.size(); ++member)
    most = std::max(most, figuresOf(team->world(member)).waited_seconds);
  return most;
}

/// What has been exchanged since `before`, on all ranks.
void Session::measure(std::vector<moe_world_statistics> &before) {
  std::vector<Array> mine;
  for (size_t member = 0; member < before.size(); ++member) {
    moe_world_statistics now = figuresOf(team->world(member));
    const moe_world_statistics &then = before[member];
    now.operations -= then.operations;
    now.sent_bytes -= then.sent_bytes;
    now.received_bytes -= then.received_bytes;
    now.waited_seconds -= then.waited_seconds;
    mine.push_back(bytesOf(&now, sizeof now));
  }
  exchanged.clear();
  for (const Array &figures : team->gather(std::move(mine)))
    std::memcpy(&exchanged.emplace_back(), figures.data.data(),
                sizeof(moe_world_statistics));
}

void Session::run() {
  std::vector<moe_world_statistics> before;
  if (!team->isAlone())
    for (size_t member = 0; member < team->size(); ++member)
      before.push_back(figuresOf(team->world(member)));
  team->each([&](size_t member) { callMember(member); });
  notFinite = calls[0].notFinite;
  if (team->isAlone())
    return;
  measure(before);
  collect();
}

void Session::collect() {
  Shares shares = this->shares();
  for (size_t i = 0; i < outputs.size(); ++i) {
    std::vector<Array> mine;
    for (const Call &call : calls)
      mine.push_back(call.outputs[i].array);
    const std::string &name = outputs[i].name;
    outputs[i].array = shares.join(team->gather(std::move(mine)),
                                   shares.rowsOf(argumentJson(name)), name);
  }
  std::vector<Array> messages;
  for (const Call &call : calls)
    messages.push_back(bytesOf(call.notFinite.data(), call.notFinite.size()));
  notFinite.clear();
  std::vector<Array> all = team->gather(std::move(messages));
  for (size_t rank = all.size(); rank-- > 0;)
    if (!all[rank].data.empty())
      notFinite = "rank " + std::to_string(rank) + ": " +
                  std::string(all[rank].data.begin(), all[rank].data.end());
}

Array Session::view(size_t member, const std::string &name) const {
  DLTensor view;
  check(moe_layer_get(layers[member].get(), name.c_str(), &view));
  return copyOf(view);
}

std::vector<Array> Session::viewsOf(const std::string &name) {
  std::vector<Array> views;
  for (size_t member = 0; member < layers.size(); ++member)
    views.push_back(view(member, name));
  return views;
}

/// Put together from the slices of all ranks.
Array Session::weight(const std::string &name) {
  const json *entry = nullptr;
  for (const json &weight : manifest["weights"])
    if (weight["name"] == name)
      entry = &weight;
  if (!entry)
    throw RunError("the first package has no weight '" + name +
                   "', which the reference needs");
  if (!entry->contains("shard"))
    return view(0, name);
  const json &shard = (*entry)["shard"];
  std::vector<Array> slices = team->gather(viewsOf(name));
  Array whole(slices[0].dtype, shard["whole"].get<std::vector<int64_t>>());
  for (size_t rank = 0; rank < slices.size(); ++rank)
    copyIn(sliceOf(shard, gridOf(manifest), int(rank)),
           slices[rank].data.data(), whole.data.data(),
           runtime::bytes(whole.dtype));
  return whole;
}

bool Session::isWhole(const std::string &name) const {
  return team->isAlone() || shares().rowsOf(argumentJson(name));
}

std::vector<Array> Session::ofRanks(const std::string &name) {
  return viewsOf(name);
}

Array Session::get(const std::string &name) {
  for (const NamedArray &output : outputs)
    if (output.name == name)
      return output.array;
  const json &argument = argumentJson(name);
  if (!argument.is_null() && argument["role"] != "weight")
    return isWhole(name) && !team->isAlone()
               ? shares().join(team->gather(viewsOf(name)),
                               shares().rowsOf(argument), name)
               : view(0, name);
  for (const json &weight : manifest["weights"])
    if (weight["name"] == name && !team->isAlone())
      return this->weight(name);
  return view(0, name);
}

std::vector<std::string> Session::planNames() const {
  std::vector<std::string> names;
  for (const json &argument : functionJson()["arguments"])
    if (argument["role"] == "plan")
      names.push_back(argument["name"]);
  return names;
}

/// As the runtime's: standard deviation over mean.
static float imbalanceOf(const std::vector<int32_t> &loads) {
  double sum = 0, squares = 0, count = double(loads.size());
  for (int32_t load : loads) {
    sum += load;
    squares += double(load) * load;
  }
  double mean = sum / std::max(count, 1.0);
  return mean > 0
             ? float(std::sqrt(std::max(squares / count - mean * mean, 0.0)) /
                     mean)
             : 0;
}

bool Session::statistics(moe_statistics &statistics) {
  if (function != "forward")
    return false;
  std::vector<Array> figures, counts;
  for (const Layer &layer : layers) {
    if (moe_layer_statistics(layer.get(), &statistics) != MOE_OK)
      return false;
    figures.push_back(bytesOf(&statistics, sizeof statistics));
    counts.push_back(
        bytesOf(statistics.loads,
                statistics.loads ? size_t(statistics.experts) * 4 : 0));
  }
  if (team->isAlone())
    return true;
  Shares shares = this->shares();
  figures = team->gather(std::move(figures));
  counts = team->gather(std::move(counts));
  loads.assign(counts[0].data.size() / 4, 0);
  moe_statistics all = {};
  for (size_t rank = 0; rank < figures.size(); ++rank) {
    moe_statistics one;
    std::memcpy(&one, figures[rank].data.data(), sizeof one);
    if (one.seconds >= all.seconds) {
      all.seconds = one.seconds;
      all.routing_fraction = one.routing_fraction;
    }
    if (!shares.isFirst(int(rank)))
      continue;
    all.tokens += one.tokens;
    all.routed += one.routed;
    all.dropped += one.dropped;
    for (size_t e = 0; e < loads.size(); ++e) {
      int32_t load;
      std::memcpy(&load, counts[rank].data.data() + 4 * e, sizeof load);
      loads[e] += load;
    }
  }
  all.loads = loads.empty() ? nullptr : loads.data();
  all.experts = int64_t(loads.size());
  all.imbalance = imbalanceOf(loads);
  statistics = all;
  return true;
}

} // namespace moe::run
