/*===- FakeEngine.c - An engine for one rank ------------------------*- C -*-===
 *
 * Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 *===----------------------------------------------------------------------===
 * FAKE_* name what is wrong with it.
 *===----------------------------------------------------------------------===*/

#include "moe/Runtime/Engine.h"

#include <stdio.h>

#ifndef FAKE_ENGINE_ABI
#define FAKE_ENGINE_ABI MOE_ENGINE_ABI_VERSION
#endif
#ifndef FAKE_ENGINE_SYMBOL
#define FAKE_ENGINE_SYMBOL MOE_ENGINE_OPEN_SYMBOL
#endif

static void fakeClose(void *self) { (void)self; }
static void fakeAbort(void *self, moe_status status, const char *text) {
  (void)self, (void)status, (void)text;
}

/* By the name of its symbol, as the header has a type of that name. */
moe_status fakeOpen(const moe_engine_options *options, moe_engine *engine,
                    moe_engine_failure *failure) __asm__(FAKE_ENGINE_SYMBOL)
    __attribute__((visibility("default")));

moe_status fakeOpen(const moe_engine_options *options, moe_engine *engine,
                    moe_engine_failure *failure) {
  if (options->rank == 7) {
    snprintf(failure->text, sizeof failure->text, "nobody is at %s",
             options->rendezvous ? options->rendezvous : "home");
    return MOE_TIMEOUT;
  }
  engine->abi_version = FAKE_ENGINE_ABI;
  engine->name = "fake";
  engine->rank = options->rank < 0 ? 0 : options->rank;
  engine->size = options->size < 0 ? 1 : options->size;
  engine->abort = fakeAbort;
  engine->close = fakeClose;
  return MOE_OK;
}
