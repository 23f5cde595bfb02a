//===- NpyTest.cpp - NumPy files and conversions --------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// What NumPy writes, what it must be able to read, and what is neither.
//
//===----------------------------------------------------------------------===//

#include "Run/Npy.h"
#include "Support.h"

#include <cmath>

using namespace moe::run;
using moe::test::readFile;
using moe::test::TemporaryFolder;

static std::string npy(const std::string &header, const std::string &data,
                       char version = 1) {
  std::string out = "\x93NUMPY";
  out += {version, 0, char(header.size()), char(header.size() >> 8)};
  if (version > 1)
    out += {0, 0};
  return out + header + data;
}

static void expectRefused(const std::string &text, const std::string &message) {
  TemporaryFolder folder;
  try {
    readNpy(folder.write("x.npy", text));
    ADD_FAILURE() << "accepted, not: " << message;
  } catch (const RunError &error) {
    EXPECT_NE(std::string(error.what()).find(message), std::string::npos)
        << error.what();
  }
}

TEST(Npy, RoundTripOfEveryType) {
  TemporaryFolder folder;
  for (DType type : {DType::f32, DType::f64, DType::bf16, DType::f16, DType::i8,
                     DType::u8, DType::i32, DType::i64})
    for (const std::vector<int64_t> &shape :
         {std::vector<int64_t>{}, {3}, {2, 3}, {0, 4}, {1, 2, 3, 2}}) {
      Array array(type, shape);
      for (int64_t i = 0; i < array.count(); ++i)
        array.set(i, double(i));
      writeNpy(folder / "x.npy", array);
      Array back = readNpy(folder / "x.npy");
      EXPECT_EQ(type, back.dtype);
      EXPECT_EQ(shape, back.shape);
      EXPECT_EQ(array.data, back.data);
    }
}

TEST(Npy, HeaderAsNumpyWritesIt) {
  TemporaryFolder folder;
  writeNpy(folder / "x.npy", Array(DType::bf16, {2, 3}));
  std::string text = readFile(folder / "x.npy");
  EXPECT_EQ(128u + 12u, text.size() + size_t(64) * (text.size() < 128));
  EXPECT_NE(text.find("{'descr': '<V2', 'fortran_order': False, "
                      "'shape': (2,3,), }"),
            std::string::npos);
  EXPECT_EQ('\n', text[text.size() - 13]);
}

TEST(Npy, OtherFormsOfTheHeader) {
  TemporaryFolder folder;
  std::string data(8, '\0');
  for (const std::string &text :
       {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n",
            data),
        npy("{\"shape\":(2,1),\"descr\":\"<f4\",\"fortran_order\":False}", data,
            2),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", data,
            3)})
    EXPECT_EQ(2, readNpy(folder.write("x.npy", text)).count());
  EXPECT_EQ(DType::bf16,
            readNpy(folder.write("x.npy", npy("{'descr': '<u2', "
                                              "'fortran_order': False, "
                                              "'shape': (4,), }",
                                              data)))
                .dtype);
}

TEST(Npy, Malformed) {
  auto header = [](const char *descr, const char *order, const char *shape) {
    return std::string("{'descr': '") + descr + "', 'fortran_order': " + order +
           ", 'shape': " + shape + ", }";
  };
  expectRefused("", "not an .npy file");
  expectRefused("PK\3\4 something", "not an .npy file");
  expectRefused(npy("{}", "", 9), "unknown .npy version");
  expectRefused(npy("{", "").substr(0, 9), "malformed header");
  expectRefused(npy("{'descr': ", "").substr(0, 14), "ends within its header");
  expectRefused(npy("{}", ""), "expected 'descr', 'fortran_order' and 'shape'");
  expectRefused(npy("[]", ""), "expected '{'");
  expectRefused(npy("{'descr'", ""), "expected ':'");
  expectRefused(npy("{'other': 3}", ""), "unknown key 'other'");
  expectRefused(npy("{'descr: 3}", ""), "expected text");
  expectRefused(npy(header(">f4", "False", "(1,)"), "1234"), "found '>f4'");
  expectRefused(npy(header("<f4", "True", "(1,)"), "1234"), "C order");
  expectRefused(npy(header("<f4", "False", "(-1,)"), "1234"),
                "expected a size");
  expectRefused(npy(header("<f4", "False", "(1 2)"), "1234"), "expected ')'");
  expectRefused(npy(header("<f4", "False", "(9999999999999999999,)"), ""),
                "expected a size");
  expectRefused(npy(header("<f4", "False", "(999999999999,999999999999)"), ""),
                "fewer");
  expectRefused(npy(header("<f4", "False", "(999999999999,)"), ""),
                "expected 3999999999996 bytes for shape [999999999999], "
                "found 0");
  expectRefused(npy(header("<f4", "False", "(1,)"), "12345"),
                "expected 4 bytes for shape [1], found 5");
}

TEST(Npy, FilesThatCannotBe) {
  EXPECT_THROW(readNpy("/nonexistent/x.npy"), RunError);
  EXPECT_THROW(writeNpy("/nonexistent/x.npy", Array(DType::f32, {1})),
               RunError);
}

TEST(Array, EveryNarrowValueSurvives) {
  for (DType type : {DType::bf16, DType::f16})
    for (int bits = 0; bits < 65536; ++bits) {
      Array array(type, {1}), again(type, {1});
      array.data = {char(bits), char(bits >> 8)};
      double value = array.get(0);
      again.set(0, value);
      if (std::isnan(value))
        ASSERT_TRUE(std::isnan(again.get(0))) << bits;
      else
        ASSERT_EQ(array.data, again.data) << bits;
    }
}

TEST(Array, RoundsOnceToNearestEven) {
  auto round = [](DType type, double value) {
    Array array(type, {1});
    array.set(0, value);
    return array.get(0);
  };
  // Halfway cases, and one just above that rounding to f32 would hide.
  EXPECT_EQ(1, round(DType::bf16, 1 + 0x1p-8));
  EXPECT_EQ(1 + 0x1p-6, round(DType::bf16, 1 + 0x3p-8));
  EXPECT_EQ(1 + 0x1p-7, round(DType::bf16, 1 + 0x1p-8 + 0x1p-40));
  EXPECT_EQ(1, round(DType::bf16, 1 + 0x1p-8 - 0x1p-40));
  EXPECT_EQ(1, round(DType::f16, 1 + 0x1p-11));
  EXPECT_EQ(1 + 0x1p-10, round(DType::f16, 1 + 0x1p-11 + 0x1p-40));
  EXPECT_EQ(65504, round(DType::f16, 65519));
  EXPECT_EQ(INFINITY, round(DType::f16, 65520));
  EXPECT_EQ(0x1p-24, round(DType::f16, 0x1.8p-25));
  EXPECT_EQ(0, round(DType::f16, 0x1p-25));
  EXPECT_EQ(INFINITY, round(DType::bf16, 3.4e38 * 1.001));
}

TEST(Array, Conversions) {
  Array floats(DType::f32, {2});
  floats.set(0, 1.5);
  EXPECT_EQ(1.5, convert(floats, DType::bf16, "x").get(0));
  EXPECT_THROW(convert(floats, DType::i32, "x"), RunError);
  Array longs(DType::i64, {1});
  longs.set(0, 300);
  EXPECT_EQ(300, convert(longs, DType::i32, "x").get(0));
  EXPECT_THROW(convert(longs, DType::i8, "x"), RunError);
  EXPECT_THROW(Array(DType::f64, {int64_t(1) << 62}), RunError);
}
