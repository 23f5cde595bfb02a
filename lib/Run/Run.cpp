//===- Run.cpp - The whole of moe-run -------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Options in, report out.
//
//===----------------------------------------------------------------------===//

#include "Run.h"
#include "Npy.h"
#include "Report.h"
#include "moe/Version.h"

#include <chrono>
#include <filesystem>
#include <thread>

namespace moe::run {

static void writePlan(Session &session, const std::string &name,
                      const std::filesystem::path &directory) {
  if (session.isWhole(name)) {
    Array whole = session.get(name);
    if (session.ranks().reports())
      writeNpy((directory / (name + ".npy")).string(), whole);
    return;
  }
  std::vector<Array> arrays = session.ofRanks(name);
  for (size_t i = 0; i < arrays.size(); ++i)
    writeNpy((directory /
              (name + "." + std::to_string(session.ranks().rank(i)) + ".npy"))
                 .string(),
             arrays[i]);
}

static void dumpPlan(Session &session, const std::string &directory) {
  std::error_code code;
  std::filesystem::create_directories(directory, code);
  if (code)
    throw RunError(directory + ": error: " + code.message());
  for (const std::string &name : session.planNames()) {
    if (name.find('/') != name.npos)
      throw RunError("the plan tensor '" + name + "' is no name for a file");
    writePlan(session, name, directory);
  }
}

static void writeResults(Session &session, const Options &options) {
  if (!options.firstOutput.empty()) {
    if (session.outputs.empty())
      throw RunError("'" + session.function + "' has no output for --output");
    if (session.ranks().reports())
      writeNpy(options.firstOutput, session.outputs[0].array);
  }
  for (const auto &[name, path] : options.outputs) {
    Array array = session.get(name);
    if (session.ranks().reports())
      writeNpy(path, array);
  }
  if (!options.dumpPlan.empty())
    dumpPlan(session, options.dumpPlan);
}

static int runSession(Session &session, const Options &options,
                      std::ostream &out) {
  session.loadWeights(options);
  session.makeTensors(options);
  // Before the run: it may change state that began as a weight.
  std::unique_ptr<Session> reference;
  if (!options.against.empty()) {
    reference = std::make_unique<Session>(options.against, options.function);
    reference->takeWeights(session);
    reference->takeInputs(session);
    reference->run();
  }
  session.run();
  writeResults(session, options);
  Report report = describeRun(session);
  bool agree = true;
  if (reference)
    report["against"] = compare(session, *reference, agree);
  if (options.bench)
    report["bench"] = benchmark(session);
  if (session.ranks().reports())
    print(report, options.json, out);
  if (!session.notFinite.empty())
    throw RunError(session.notFinite);
  return agree ? 0 : 1;
}

static int runOptions(const Options &options, std::ostream &out) {
  if (options.help) {
    out << helpText;
    return 0;
  }
  if (options.version) {
    out << MOE_VERSION_TEXT "\n";
    return 0;
  }
  moe_set_threads(options.threads);
  Session session(options.directory, options.function, &options);
  try {
    return runSession(session, options, out);
  } catch (const std::exception &error) {
    session.abort(error.what());
    throw;
  }
}

int runMain(int argc, const char *const *argv, std::ostream &out,
            std::ostream &err) {
  bool silent = isSilent({});
  try {
    Options options = parseOptions(argc, argv);
    silent = isSilent(options);
    int status = runOptions(options, out);
    if (!out.flush())
      throw RunError("cannot write the report");
    return status;
  } catch (const std::bad_alloc &) {
    if (!silent)
      err << "moe-run: error: out of memory\n";
  } catch (const std::exception &error) {
    if (silent) {
      // Launchers end all processes when one fails; the first has to speak.
      std::this_thread::sleep_for(std::chrono::seconds(1));
      return 1;
    }
    err << (isLocated(error) ? "" : "moe-run: error: ") << error.what() << "\n";
  }
  return 1;
}

} // namespace moe::run
