//===- Flight.cpp - The last operations of a rank -------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// An operation to a line.
//
//===----------------------------------------------------------------------===//

#include "Flight.h"
#include "../TemporaryFile.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace moe::runtime {

FlightEntry &FlightRecorder::add() {
  if (ring.empty())
    ring.resize(capacity);
  FlightEntry &entry = ring[next % capacity];
  entry = FlightEntry();
  entry.sequence = next++;
  return entry;
}

static std::string print(const nlohmann::ordered_json &value) {
  // Names of files may be any bytes.
  return value.dump(-1, ' ', false,
                    nlohmann::ordered_json::error_handler_t::replace);
}

static std::string line(const FlightEntry &entry) {
  nlohmann::ordered_json axes = nlohmann::ordered_json::array();
  for (int32_t axis : {dpAxis, epAxis, tpAxis})
    if (entry.axes & axis)
      axes.push_back(describeAxes(axis));
  nlohmann::ordered_json out = {
      {"sequence", entry.sequence}, {"operation", entry.operation},
      {"name", entry.name.data()},  {"axes", axes},
      {"bytes", entry.bytes},       {"start_ns", entry.start}};
  out["state"] = entry.ended ? moe_status_name(entry.status) : "running";
  if (entry.ended)
    out["end_ns"] = entry.end;
  return print(out);
}

void FlightRecorder::write(const std::string &path, int32_t rank, int32_t size,
                           moe_status status,
                           const std::string &message) const {
  std::string target = path;
  for (size_t at = 0; (at = target.find("%r", at)) != target.npos;) {
    std::string number = std::to_string(rank);
    target.replace(at, 2, number);
    at += number.size();
  }
  std::string text = "{\"rank\": " + std::to_string(rank) +
                     ", \"size\": " + std::to_string(size) +
                     ", \"status\": " + print(moe_status_name(status)) +
                     ",\n \"message\": " + print(message) +
                     ",\n \"operations\": [";
  uint64_t first = next - std::min<uint64_t>(next, capacity);
  for (uint64_t i = first; i < next; ++i)
    text += (i == first ? "\n  " : ",\n  ") + line(ring[i % capacity]);
  text += "]}\n";
  TemporaryFile file(target);
  file.write(text.data(), text.size());
  file.commit(/*durable=*/false); // others' deadlines do not wait for a disk
}

} // namespace moe::runtime
