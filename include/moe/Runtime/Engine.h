/*===- Engine.h - How ranks reach each other ------------------------*- C -*-===
 *
 * Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 *===----------------------------------------------------------------------===
 *
 * The table that an engine fills. An engine moves pieces of memory between the
 * members of a group; slices, orders of sums, patterns, deadlines and reports
 * are the runtime's, written once for all engines.
 *
 *===----------------------------------------------------------------------===*/

#ifndef MOE_RUNTIME_ENGINE_H
#define MOE_RUNTIME_ENGINE_H

#include "moe/Runtime/moe.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Raised whenever anything below changes. */
#define MOE_ENGINE_ABI_VERSION 2

typedef struct moe_piece {
  void *data;
  uint64_t bytes;
} moe_piece;

/** One exchange among the members of a group: what goes to each and what comes
 *  from each, an empty piece for nothing. Two ranks start the exchanges that
 *  both are members of in the same order; where they do not, or pieces do not
 *  fit, the exchange fails with MOE_OP_MISMATCH. It ends on a rank once every
 *  member has started it and all pieces for this rank are there, so one of
 *  empty pieces alone is a barrier. A piece for the member itself is copied. */
typedef struct moe_transfer {
  const int32_t *ranks; /* of the members in ascending order, in the world */
  int32_t members;
  int32_t self;          /* this rank's number among the members */
  const moe_piece *send; /* one for each member */
  const moe_piece *receive;
  uint64_t sequence; /* how many exchanges of this group there were before */
  uint64_t tag;      /* what is exchanged: members with another one mismatch */
  /* A sum: receive[0] becomes the sum over members, in their order, of the
   * elements of send[0]. Only for engines with MOE_ENGINE_REDUCES. */
  int32_t reduce;   /* 0: no sum, else a moe_reduction */
  int32_t dtype;    /* a moe_element */
  const char *what; /* the operation, for messages */
  uint64_t flags;   /* MOE_TRANSFER_..., the same on all members */
  /* A CUstream of the engine's device, whose memory all pieces are then, in the
   * thread's current context; only for engines with MOE_ENGINE_STREAMS. Rows
   * move after what the stream holds at `start`. The exchange has ended, for
   * `poll` and `wait`, once all members have come and what is put into the
   * stream from then on comes after it; `check` says what went wrong later. */
  void *stream;
} moe_transfer;

/** All pieces of all members have the same size: engines have a faster way. */
enum { MOE_TRANSFER_EQUAL = 1 };

typedef enum moe_reduction {
  MOE_REDUCE_NONE = 0,
  MOE_REDUCE_SUM = 1,
  MOE_REDUCE_MAX = 2,
  MOE_REDUCE_MIN = 3
} moe_reduction;

typedef enum moe_element {
  MOE_F32 = 0,
  MOE_F64 = 1,
  MOE_BF16 = 2,
  MOE_F16 = 3,
  MOE_I32 = 4,
  MOE_I64 = 5,
  MOE_BYTE = 6
} moe_element;

enum { MOE_ENGINE_REDUCES = 1, MOE_ENGINE_STREAMS = 2 };

/** Why an exchange did not end well; `rank` is -1 where no one is to blame. */
typedef struct moe_engine_failure {
  moe_status status;
  int32_t rank;
  char text[232];
} moe_engine_failure;

typedef struct moe_engine_request moe_engine_request;

/** Of one rank. Functions return MOE_OK or what `failure` then tells more
 *  of; none throws. Times are those of moe_clock, in nanoseconds. */
typedef struct moe_engine {
  uint32_t abi_version; /* MOE_ENGINE_ABI_VERSION */
  uint32_t struct_size;
  uint64_t capabilities;
  const char *name;
  int32_t rank, size;
  int32_t local; /* number among the ranks of this machine, or the rank */
  void *self;    /* passed to each function */

  /** Never waits for others; what the transfer points to stays until it is
   *  done. After a failure of the engine each start fails with the first one.
   */
  moe_status (*start)(void *self, const moe_transfer *transfer,
                      moe_engine_request **request,
                      moe_engine_failure *failure);
  /** MOE_OK: done and released; MOE_IN_PROGRESS; else failed and released. */
  moe_status (*poll)(void *self, moe_engine_request *request,
                     moe_engine_failure *failure);
  /** The same once it is done or `deadline` is over, which is MOE_TIMEOUT: the
   *  request is released, and the engine only takes `abort`, `close` and waits
   *  for what else was started. Other ranks hear of a failure only by `abort`.
   */
  moe_status (*wait)(void *self, moe_engine_request *request, int64_t deadline,
                     moe_engine_failure *failure);
  /** Ends what runs on all ranks that can be reached, with `status` and
   *  `text`, unless a failure has done so before. What starts only after a
   *  timeout of others fails with MOE_ABORTED. From any thread, any number of
   *  times, within 100 ms. */
  void (*abort)(void *self, moe_status status, const char *text);
  /** Sets failed[r] for each rank r that is known to have failed. */
  void (*failed)(void *self, uint8_t *failed);
  /** The first failure, of an engine with MOE_ENGINE_STREAMS; else NULL. */
  moe_status (*check)(void *self, moe_engine_failure *failure);
  /** With no request left. Others may still be at work. */
  void (*close)(void *self);
} moe_engine;

typedef struct moe_engine_options {
  int32_t rank, size;     /* -1: as the launcher's variables say */
  int64_t open_deadline;  /* until when all ranks have come */
  const char *rendezvous; /* address or file; NULL: the launcher's */
} moe_engine_options;

/** Exported by an engine that is a library of its own, libmoe_engine_NAME.so,
 *  under this name. Fills `engine`, which stays valid until `close`. */
typedef moe_status (*moe_engine_opener)(const moe_engine_options *options,
                                        moe_engine *engine,
                                        moe_engine_failure *failure);
#define MOE_ENGINE_OPEN_SYMBOL "moe_engine_open"

#ifdef __cplusplus
}
#endif

#endif /* MOE_RUNTIME_ENGINE_H */
