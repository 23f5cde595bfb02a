//===- Shadow.cpp - Who has last touched each byte ------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Shadow.h"

#include <algorithm>

using namespace moe::sim;

static constexpr Access host{0, 0, Access::Host, 0, 0};

Shadow::Shadow(size_t bytes)
    : bytes(bytes), pages((bytes + pageBytes - 1) / pageBytes) {}

Cell *Shadow::materialize(Page &page) {
  if (page.state == State::Cells)
    return page.cells.get();
  page.cells = std::make_unique<Cell[]>(pageBytes);
  if (page.state == State::Written)
    for (size_t i = 0; i < pageBytes; ++i)
      page.cells[i].writer = host;
  page.state = State::Cells;
  return page.cells.get();
}

Cell *Shadow::cells(size_t offset, size_t count, size_t &here) {
  size_t within = offset % pageBytes;
  here = std::min(count, pageBytes - within);
  return materialize(pages[offset / pageBytes]) + within;
}

bool Shadow::written(size_t offset, size_t count) const {
  while (count) {
    const Page &page = pages[offset / pageBytes];
    size_t within = offset % pageBytes;
    size_t here = std::min(count, pageBytes - within);
    if (page.state == State::Unwritten)
      return false;
    if (page.state == State::Cells)
      for (size_t i = within; i < within + here; ++i)
        if (!page.cells[i].writer.any())
          return false;
    offset += here;
    count -= here;
  }
  return true;
}

void Shadow::mark(size_t offset, size_t count, State state) {
  while (count) {
    Page &page = pages[offset / pageBytes];
    size_t within = offset % pageBytes;
    size_t here = std::min(count, pageBytes - within);
    bool whole = within == 0 && (here == pageBytes || offset + here == bytes);
    if (whole) {
      page.cells.reset();
      page.state = state;
    } else if (page.state != state) {
      Cell *cells = materialize(page) + within;
      Cell value;
      if (state == State::Written)
        value.writer = host;
      std::fill(cells, cells + here, value);
    }
    offset += here;
    count -= here;
  }
}

void Shadow::markHost(size_t offset, size_t count) {
  mark(offset, count, State::Written);
}

void Shadow::markUnwritten(size_t offset, size_t count) {
  mark(offset, count, State::Unwritten);
}

void Shadow::forget() {
  for (size_t i = 0; i < pages.size(); ++i) {
    Page &page = pages[i];
    if (page.state != State::Cells)
      continue;
    size_t count = std::min(pageBytes, bytes - i * pageBytes);
    size_t written = 0;
    for (size_t j = 0; j < count; ++j) {
      bool any = page.cells[j].writer.any();
      written += any;
      page.cells[j] = Cell();
      if (any)
        page.cells[j].writer = host;
    }
    if (written && written < count)
      continue;
    page.state = written ? State::Written : State::Unwritten;
    page.cells.reset();
  }
}
