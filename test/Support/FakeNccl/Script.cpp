//===- Script.cpp - What goes wrong, and when -----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FakeNccl.h"
#include "Shared.h"

#include <cstdlib>
#include <cstring>
#include <sstream>
#include <thread>
#include <unistd.h>

namespace {
struct Rule {
  fake::Fault fault;
  std::string call;
  int number, rank; /* 0, -1: any */
};

/// Of this process.
struct Script {
  Script() { read(std::getenv("MOE_FAKE_NCCL")); }
  void read(const char *words);
  void readRule(fake::Fault fault, std::string value);

  std::mutex mutex;
  unsigned generation = 0;
  std::vector<Rule> rules;
  std::map<std::string, int> settings;
  std::map<std::string, int> calls;
};
} // namespace

/// Never destroyed: threads of an engine may call while the process ends.
static Script &script() {
  static Script &one = *new Script;
  return one;
}

static int numberAt(const std::string &words, size_t at) {
  return static_cast<int>(std::strtol(words.c_str() + at, nullptr, 10));
}

void Script::readRule(fake::Fault fault, std::string value) {
  Rule rule = {fault, "", 0, -1};
  if (size_t at = value.find('@'); at != std::string::npos) {
    rule.rank = numberAt(value, at + 1);
    value.resize(at);
  }
  if (size_t colon = value.find(':'); colon != std::string::npos) {
    rule.number = numberAt(value, colon + 1);
    value.resize(colon);
  }
  rule.call = value;
  rules.push_back(rule);
}

void Script::read(const char *words) {
  static const std::map<std::string, fake::Fault> faults = {
      {"fail", fake::Fault::Fail},
      {"stall", fake::Fault::Stall},
      {"hang", fake::Fault::Hang},
      {"remote", fake::Fault::Remote},
      {"exit", fake::Fault::Exit}};
  rules.clear();
  settings.clear();
  calls.clear();
  ++generation;
  std::istringstream in(words ? words : "");
  for (std::string word; std::getline(in, word, ',');) {
    size_t equals = word.find('=');
    std::string name = word.substr(0, equals);
    std::string value = equals == word.npos ? "" : word.substr(equals + 1);
    auto fault = faults.find(name);
    if (fault == faults.end())
      settings[name] = numberAt(value, 0);
    else
      readRule(fault->second, value);
  }
}

namespace fake {

Fault faultOf(const char *call, int rank) {
  std::lock_guard<std::mutex> lock(script().mutex);
  ++script().calls[call];
  int number = ++script().calls[call + ("@" + std::to_string(rank))];
  for (const Rule &rule : script().rules)
    if (rule.call == call && (rule.number == 0 || rule.number == number) &&
        (rule.rank < 0 || rule.rank == rank))
      return rule.fault;
  return Fault::None;
}

void suffer(Fault fault) {
  if (fault == Fault::Exit)
    ::_exit(9);
  if (fault != Fault::Hang)
    return;
  auto generation = [] {
    std::lock_guard<std::mutex> lock(script().mutex);
    return script().generation;
  };
  for (unsigned begun = generation(); generation() == begun;)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

int setting(const char *name, int usual) {
  std::lock_guard<std::mutex> lock(script().mutex);
  auto found = script().settings.find(name);
  return found == script().settings.end() ? usual : found->second;
}

} // namespace fake

extern "C" void fake_nccl_reset(const char *words) {
  {
    std::lock_guard<std::mutex> lock(script().mutex);
    script().read(words);
  }
  fake::Access state;
  state->complaints.clear();
  for (auto &each : state->comms)
    each.second = false;
  state->owners.clear();
  state->contexts.clear();
  state->streams.clear();
  state->events.clear();
}

int fakeCalls(const char *call) {
  std::lock_guard<std::mutex> lock(script().mutex);
  return script().calls[call];
}
