//===- SchemaTest.cpp - The schema says what the importer does ------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BadInput.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <set>

using namespace moe;
using nlohmann::json;

namespace {

/// The schema's keys as paths, with what it says about each.
class Schema : public testing::Test {
protected:
  void SetUp() override {
    std::ifstream file(MOE_TEST_SOURCE_DIR "/docs/spec.schema.json");
    schema = json::parse(file, nullptr, /*allow_exceptions=*/false);
    ASSERT_TRUE(schema.is_object());
    collect(schema, "");
  }

  void collect(const json &object, const std::string &prefix) {
    // An editor flags a misspelt key only if nothing else is allowed.
    EXPECT_EQ(object.value("additionalProperties", true), false) << prefix;
    for (const auto &[name, member] : object.at("properties").items()) {
      std::string path = prefix + name;
      EXPECT_FALSE(member.value("description", "").empty()) << path;
      if (member.contains("properties")) {
        collect(member, path + ".");
        continue;
      }
      keys[path] = member;
      // A key can be a value and an object: the object has keys of its own.
      for (const json &form : member.value("oneOf", json::array()))
        if (form.contains("properties"))
          collect(form, path + ".");
    }
  }

  json schema;
  std::map<std::string, json> keys;
};

/// A good spec in which the key has this value.
std::string specWithKey(const std::string &path, const json &value) {
  json spec = json::parse(test::rest(""));
  std::string pointer = "/" + path;
  std::replace(pointer.begin(), pointer.end(), '.', '/');
  spec[json::json_pointer(pointer)] = value;
  return spec.dump(1);
}

/// What is said about the value itself, and not about how it goes with others.
std::string complaint(const std::string &path, const json &value) {
  for (const Diagnostic &diagnostic :
       importSpec(specWithKey(path, value)).diagnostics) {
    const std::string &message = diagnostic.message;
    bool range = message.rfind(path + ": found " + value.dump() + ",", 0) == 0;
    for (const char *words : {", expected an integer from ",
                              ", expected a number", ", expected 1 or 2"})
      if (range && message.find(words) != std::string::npos)
        return message;
    if (message == path + ": found " + value.dump() + ", expected 1" ||
        message.find("unknown") != std::string::npos)
      return message;
  }
  return "";
}

} // namespace

TEST_F(Schema, HasTheKeysOfTheImporterAndNoOthers) {
  std::set<std::string> inSchema, inImporter;
  for (const auto &key : keys)
    inSchema.insert(key.first);
  for (const std::string &path : specKeys())
    inImporter.insert(path);
  EXPECT_EQ(inSchema, inImporter);
}

TEST_F(Schema, HasTheValuesOfTheImporterAndNoOthers) {
  for (const auto &[path, key] : keys) {
    const json &names = path == "functions" ? key.at("items") : key;
    EXPECT_EQ(names.value("enum", std::vector<std::string>()),
              specKeyValues(path))
        << path;
    for (const json &value : names.value("enum", json::array()))
      EXPECT_EQ(
          complaint(path, path == "functions" ? json::array({value}) : value),
          "");
  }
}

TEST_F(Schema, HasTheBoundsOfTheImporter) {
  for (const auto &[path, key] : keys) {
    // Where a bound is, the importer takes it and nothing beyond.
    std::string type = key.value("type", "");
    if (type != "integer" && type != "number")
      continue;
    if (key.contains("minimum")) {
      EXPECT_EQ(complaint(path, key["minimum"]), "");
      EXPECT_NE(complaint(path, key["minimum"].get<int64_t>() - 1), "") << path;
    }
    if (key.contains("exclusiveMinimum")) {
      EXPECT_NE(complaint(path, key["exclusiveMinimum"]), "") << path;
    }
    if (type == "integer") {
      EXPECT_TRUE(key.contains("minimum")) << path;
      EXPECT_EQ(complaint(path, key.at("maximum")), "");
      EXPECT_NE(complaint(path, key["maximum"].get<uint64_t>() + 1), "")
          << path;
      EXPECT_NE(complaint(path, 1.5), "") << path;
    } else if (!key.contains("minimum") && !key.contains("exclusiveMinimum")) {
      EXPECT_EQ(complaint(path, -1000000.5), "");
    }
  }
}

TEST_F(Schema, HasTheDefaultsOfTheImporter) {
  json printed = json::parse(printSpec(*importSpec(test::rest("")).spec));
  for (const auto &[path, key] : keys) {
    if (!key.contains("default"))
      continue;
    std::string pointer = "/" + path;
    std::replace(pointer.begin(), pointer.end(), '.', '/');
    // The parameters of what is off are not printed.
    if (path.rfind("router.renormalize.", 0) == 0)
      continue;
    EXPECT_EQ(printed.at(json::json_pointer(pointer)), key["default"]) << path;
  }
}

TEST_F(Schema, RequiresWhatTheImporterRequires) {
  std::set<std::string> required;
  for (const json &name : schema.at("required"))
    required.insert(name);
  EXPECT_EQ(required, (std::set<std::string>{"hidden", "router", "experts"}));
  const json &properties = schema.at("properties");
  EXPECT_EQ(properties["router"]["required"],
            json::array({"experts", "top_k"}));
  EXPECT_EQ(properties["experts"]["required"], json::array({"intermediate"}));
}
