//===- Matrices.cpp - Matrices of a warp ----------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// ldmatrix, stmatrix and mma.sync: which lane has which element is in the PTX
// manual's figures of fragments; here it is a formula for all shapes at once.
//
//===----------------------------------------------------------------------===//

#include "Calls.h"

#include "../Machine/Check.h"
#include "Elements.h"

#include <cstring>

using namespace moe::sim;

namespace {
struct Move {
  char *row; // of this lane, 16 bytes
  uint32_t *registers;
  uint32_t count; // matrices of 8 rows
  bool transposed;
};
} // namespace

/// Lane 4 r + c has columns 2 c and 2 c + 1 of row r; transposed, of column r.
static uint16_t *elementOf(Move *moves[32], unsigned matrix, unsigned lane,
                           unsigned i, bool transposed) {
  unsigned row = lane / 4, column = 2 * (lane % 4) + i;
  if (transposed)
    std::swap(row, column);
  return reinterpret_cast<uint16_t *>(moves[8 * matrix + row]->row) + column;
}

static void moveMatrices(Meeting &meeting, Does does) {
  Move *moves[32];
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (!meeting.threads[lane])
      fail(*meeting.threads[__builtin_ctz(meeting.here)], Fault::Divergence,
           text(meeting.name, " by part of a warp, lanes 0x", std::hex,
                meeting.here),
           meeting.site);
    moves[lane] = static_cast<Move *>(meeting.parts[lane]);
  }
  unsigned count = moves[0]->count;
  // Rows are given by the first lanes: of eight for each matrix.
  for (unsigned lane = 0; lane < 8 * count; ++lane) {
    Thread &thread = *meeting.threads[lane];
    check(accessor(thread), moves[lane]->row, 16, 16, Shared, does,
          meeting.site);
  }
  for (unsigned matrix = 0; matrix < count; ++matrix)
    for (unsigned lane = 0; lane < 32; ++lane)
      for (unsigned i = 0; i < 2; ++i) {
        uint16_t *element =
            elementOf(moves, matrix, lane, i, moves[lane]->transposed);
        auto *half =
            reinterpret_cast<uint16_t *>(moves[lane]->registers + matrix) + i;
        if (does == Does::Read)
          *half = *element;
        else
          *element = *half;
      }
}

MOE_SIM_CALL void moe_sim_ldmatrix(void *row, uint32_t count,
                                   uint32_t transposed, uint32_t *registers,
                                   uint32_t site) {
  return guarded([&] {
    Move own{static_cast<char *>(row), registers, count, transposed != 0};
    meet("ldmatrix", ~0u, &own, site, true,
         [](Meeting &meeting) { moveMatrices(meeting, Does::Read); });
  });
}

MOE_SIM_CALL void moe_sim_stmatrix(void *row, uint32_t count,
                                   uint32_t transposed, uint32_t *registers,
                                   uint32_t site) {
  return guarded([&] {
    Move own{static_cast<char *>(row), registers, count, transposed != 0};
    meet("stmatrix", ~0u, &own, site, true,
         [](Meeting &meeting) { moveMatrices(meeting, Does::Write); });
  });
}

namespace {
struct Fragments {
  const Product *product;
  const char *a, *b, *c;
  char *d;
};
} // namespace

/// Lane 4 g + t. In a register of A or B are e elements of consecutive k: of
/// register r of A in row g, or g + 8 for odd r, from k = e t + 4 e (r / 2);
/// of register r of B in column g, from k = e t + 4 e r.
static double elementA(Fragments *lanes[32], const Product &p, unsigned row,
                       unsigned k) {
  unsigned e = 32 / bitsOf(p.a);
  unsigned lane = 4 * (row % 8) + k % (4 * e) / e;
  unsigned registerNumber = 2 * (k / (4 * e)) + row / 8;
  return readElement(lanes[lane]->a, registerNumber * e + k % e, p.a);
}

static double elementB(Fragments *lanes[32], const Product &p, unsigned k,
                       unsigned column) {
  unsigned e = 32 / bitsOf(p.b);
  unsigned lane = 4 * column + k % (4 * e) / e;
  return readElement(lanes[lane]->b, k / (4 * e) * e + k % e, p.b);
}

/// C and D: elements 0 and 1 in row g, 2 and 3 in row g + 8, from column 2 t.
static void multiply(Meeting &meeting) {
  Fragments *lanes[32];
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (!meeting.threads[lane])
      fail(*meeting.threads[__builtin_ctz(meeting.here)], Fault::Divergence,
           text("mma.sync by part of a warp, lanes 0x", std::hex, meeting.here),
           meeting.site);
    lanes[lane] = static_cast<Fragments *>(meeting.parts[lane]);
  }
  const Product &p = *lanes[0]->product;
  double a[16][64], b[64][8];
  for (unsigned k = 0; k < p.k; ++k) {
    for (unsigned i = 0; i < 16; ++i)
      a[i][k] = elementA(lanes, p, i, k);
    for (unsigned j = 0; j < 8; ++j)
      b[k][j] = elementB(lanes, p, k, j);
  }
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned i = 0; i < 4; ++i) {
      unsigned row = lane / 4 + 8 * (i / 2), column = 2 * (lane % 4) + i % 2;
      double sum = readElement(lanes[lane]->c, i, p.c);
      for (unsigned k = 0; k < p.k; ++k)
        sum += a[row][k] * b[k][column];
      writeElement(lanes[lane]->d, i, p.d, sum, p.saturate != 0);
    }
}

MOE_SIM_CALL void moe_sim_mma(const Product *product, const char *a,
                              const char *b, const char *c, char *d,
                              uint32_t site) {
  return guarded([&] {
    Fragments own{product, a, b, c, d};
    meet("mma.sync", ~0u, &own, site, true, multiply);
  });
}
