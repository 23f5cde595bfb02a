//===- Options.cpp - The command line of moe-run --------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// A table of options, each with what it does to `Options`.
//
//===----------------------------------------------------------------------===//

#include "Options.h"
#include "Array.h"
#include "moe/Support/Suggest.h"

#include <algorithm>
#include <functional>

namespace moe::run {

const char *const helpText = R"(moe-run: runs a package made by moe-opt

usage: moe-run DIR [options]

examples:
  moe-run out/                              random weights and tokens, statistics
  moe-run out/ --tokens 512 --bench         how fast is it?
  moe-run out/ --weights model.safetensors --input x.npy --output y.npy
  moe-run out/ --against reference/         do two packages agree?
  moe-run out/ --tokens 4 --dump-plan plan/ which expert got which token?
  moe-run sharded/ --ranks 4 --against whole/  does it equal the whole layer?
  moe-run out/ --function quantize --set values=v.npy --get scales=s.npy

data:
  --tokens N           number of tokens (default 16)
  --size NAME=N        any other size of the function
  --input FILE.npy     the first input; without it, seeded random values
  --token-ids FILE.npy the input 'token_ids'
  --set NAME=FILE.npy  any input
  --output FILE.npy    write the first output
  --get NAME=FILE.npy  write any output, plan or state tensor or weight
  --dump-plan DIR      write every plan tensor as DIR/NAME.npy

weights:
  --weights PATH       .safetensors, a sharded .safetensors.index.json, or the
                       folder of a model
  --layer N            load layer N of the model, and not that of the package
  --random SEED        uniform values (the default, with seed 0)
  --exact SEED         values whose sums are exact in f32, inputs too
  --save-weights FILE  write the weights as .safetensors

what to do:
  --function NAME      function of the package (default forward)
  --cpu NAME           the package's code for this CPU (default: the best that
                       runs here, or what the environment variable MOE_CPU says)
  --device NAME        cpu, cuda or sim, of those that the package has code for
                       (default: a GPU if there is one that it has kernels for,
                       or else the CPU, or what the environment variable
                       MOE_DEVICE says)
  --threads N          threads to use, of all ranks together (default: all)
  --against DIR        run that package too, on the same weights and inputs, on
                       the CPU if it can; it is the reference; exit status 1 if
                       they disagree
  --ranks N            run a sharded package on N ranks, threads of this process
  --engine NAME        how ranks reach each other: threads, mpi or nccl; of the
                       latter this process is one rank, as the launcher says
                       (default: threads, or what has launched this process);
                       nccl with --ranks and no launcher: all ranks here, each
                       on its GPU
  --node-ranks N       ranks of one machine, for the exchange 'hierarchical'
                       (default: all)
  --timeout MS         how long ranks wait for each other (default 60000)
  --flight FILE        what ranks did last, as JSON, where they fail; '%r' in the
                       name is the rank
  --graph              record the function as a CUDA graph, and repeat it
  --bench              time the function
  --json               print JSON instead of a table
  --help               this text
  --version            the version of this and of LLVM

The bound of --against for the relative Frobenius error of an output is
4e-7*sqrt(K), K the longest reduction, which is four times what rounding in f32
explains. Outputs of bf16 and f16 add sqrt(2)*2^-8 and sqrt(2)*2^-11, the
roundings of two results; specs with products of tf32 add 2*sqrt(2)*2^-11.
Integers must be equal.
Tokens are divided among the ranks that have tokens of their own, and what has a
row for each token is put together again; of the rest, the first rank's is shown
and --dump-plan writes each rank's as DIR/NAME.RANK.npy.
Files of bf16 hold '<V2' elements: x = np.load(f).view(ml_dtypes.bfloat16).
)";

static int64_t parseNumber(const std::string &option, const std::string &text,
                           int64_t most) {
  bool digits = !text.empty() && text.size() <= 18 &&
                text.find_first_not_of("0123456789") == text.npos;
  if (!digits || std::stoll(text) > most)
    throw RunError(option + " expects a number, found '" + text + "'");
  return std::stoll(text);
}

static std::pair<std::string, std::string> parsePair(const std::string &option,
                                                     const std::string &text) {
  size_t sign = text.find('=');
  if (sign == text.npos || sign == 0 || sign + 1 == text.size())
    throw RunError(option + " expects NAME=VALUE, found '" + text + "'");
  return {text.substr(0, sign), text.substr(sign + 1)};
}

namespace {
struct Option {
  const char *name;
  bool hasValue;
  std::function<void(Options &, const std::string &)> apply;
};
} // namespace

static const std::vector<Option> &optionTable() {
  using Text = const std::string &;
  constexpr int64_t most = 999999999999999999;
  static const std::vector<Option> table = {
      {"--tokens", true,
       [](Options &o, Text v) {
         o.sizes["T"] = parseNumber("--tokens", v, most);
       }},
      {"--size", true,
       [](Options &o, Text v) {
         auto [name, value] = parsePair("--size", v);
         o.sizes[name] = parseNumber("--size", value, most);
       }},
      {"--input", true, [](Options &o, Text v) { o.firstInput = v; }},
      {"--output", true, [](Options &o, Text v) { o.firstOutput = v; }},
      {"--token-ids", true,
       [](Options &o, Text v) { o.inputs["token_ids"] = v; }},
      {"--set", true,
       [](Options &o, Text v) {
         auto [name, file] = parsePair("--set", v);
         o.inputs[name] = file;
       }},
      {"--get", true,
       [](Options &o, Text v) { o.outputs.push_back(parsePair("--get", v)); }},
      {"--weights", true, [](Options &o, Text v) { o.weights = v; }},
      {"--layer", true,
       [](Options &o, Text v) {
         o.layer = parseNumber("--layer", v, INT32_MAX);
       }},
      {"--random", true,
       [](Options &o, Text v) {
         o.seed = uint64_t(parseNumber("--random", v, most));
       }},
      {"--exact", true,
       [](Options &o, Text v) {
         o.seed = uint64_t(parseNumber("--exact", v, most));
         o.exact = true;
       }},
      {"--save-weights", true, [](Options &o, Text v) { o.saveWeights = v; }},
      {"--function", true, [](Options &o, Text v) { o.function = v; }},
      {"--cpu", true,
       [](Options &o, Text v) {
         if (v.empty())
           throw RunError("--cpu expects a value");
         o.cpu = v;
       }},
      {"--device", true,
       [](Options &o, Text v) {
         static const std::vector<std::string_view> known = {"cpu", "cuda",
                                                             "sim"};
         if (std::find(known.begin(), known.end(), v) == known.end())
           throw RunError("--device expects cpu, cuda or sim, found '" + v +
                          "'" + didYouMean(v, known));
         o.device = v;
       }},
      {"--threads", true,
       [](Options &o, Text v) {
         o.threads = int(parseNumber("--threads", v, 65536));
       }},
      {"--ranks", true,
       [](Options &o, Text v) {
         o.ranks = int(parseNumber("--ranks", v, 65536));
         if (o.ranks == 0)
           throw RunError("--ranks expects at least 1, found '0'");
       }},
      {"--engine", true,
       [](Options &o, Text v) {
         if (v.empty())
           throw RunError("--engine expects a value");
         o.engine = v;
       }},
      {"--node-ranks", true,
       [](Options &o, Text v) {
         o.nodeRanks = int(parseNumber("--node-ranks", v, 65536));
       }},
      {"--timeout", true,
       [](Options &o, Text v) {
         o.timeout = parseNumber("--timeout", v, INT32_MAX);
       }},
      {"--flight", true, [](Options &o, Text v) { o.flight = v; }},
      {"--against", true, [](Options &o, Text v) { o.against = v; }},
      {"--dump-plan", true, [](Options &o, Text v) { o.dumpPlan = v; }},
      {"--graph", false, [](Options &o, Text) { o.graph = true; }},
      {"--bench", false, [](Options &o, Text) { o.bench = true; }},
      {"--json", false, [](Options &o, Text) { o.json = true; }},
      {"--help", false, [](Options &o, Text) { o.help = true; }},
      {"--version", false, [](Options &o, Text) { o.version = true; }},
      {"-h", false, [](Options &o, Text) { o.help = true; }},
  };
  return table;
}

[[noreturn]] static void failUnknown(const std::string &name) {
  std::vector<std::string_view> known;
  for (const Option &option : optionTable())
    known.push_back(option.name);
  std::string hint = didYouMean(name, known);
  throw RunError("unknown option '" + name + "'" +
                 (hint.empty() ? "; see --help" : hint));
}

Options parseOptions(int argc, const char *const *argv) {
  Options options;
  bool random = false;
  for (int i = 1; i < argc; ++i) {
    std::string name = argv[i], value;
    if (name.empty() || name[0] != '-') {
      if (!options.directory.empty())
        throw RunError("expected one package, found '" + options.directory +
                       "' and '" + name + "'");
      options.directory = name;
      continue;
    }
    size_t sign = name.find('=');
    bool inlineValue = name.size() > 2 && name[1] == '-' && sign != name.npos;
    if (inlineValue) {
      value = name.substr(sign + 1);
      name.resize(sign);
    }
    auto option = std::find_if(optionTable().begin(), optionTable().end(),
                               [&](const Option &o) { return o.name == name; });
    if (option == optionTable().end())
      failUnknown(name);
    if (option->hasValue && !inlineValue) {
      if (++i == argc)
        throw RunError(name + " expects a value");
      value = argv[i];
    } else if (!option->hasValue && inlineValue) {
      throw RunError(name + " takes no value");
    }
    random |= name == "--random" || name == "--exact";
    option->apply(options, value);
  }
  if (options.help || options.version)
    return options;
  if (options.directory.empty())
    throw RunError("expected the directory of a package; see --help");
  if (!options.weights.empty() && random && !options.exact)
    throw RunError("--weights and --random exclude one another");
  if (options.layer && options.weights.empty())
    throw RunError("--layer expects --weights beside it");
  return options;
}

} // namespace moe::run
