/*===- moe.h - The runtime of generated MoE layers ------------------*- C -*-===
 *
 * Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 *===----------------------------------------------------------------------===
 *
 * A package is compiled code for one layer shape; a `moe_layer` holds weights
 * and state for it. The runtime moves memory, calls the code and reports; the
 * arithmetic of the model is in the package.
 *
 * Every function returns a status; `moe_last_error` has the message of the
 * calling thread's last failure. Nothing throws, exits or aborts across this
 * interface. A layer is used by one thread at a time; layers made by
 * `moe_layer_share` use the same weights concurrently.
 *
 *===----------------------------------------------------------------------===*/

#ifndef MOE_RUNTIME_MOE_H
#define MOE_RUNTIME_MOE_H

#include "moe/Runtime/dlpack.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOE_API __attribute__((visibility("default")))

/** Raised whenever the layout of anything in Package.h changes. */
#define MOE_ABI_VERSION 5

typedef enum moe_status {
  MOE_OK = 0,
  MOE_INVALID_ARGUMENT = 1, /* null pointer, bad option, wrong call order */
  MOE_OUT_OF_MEMORY = 2,
  MOE_NOT_FOUND = 3,       /* no such file, function or tensor */
  MOE_IO = 4,              /* the system refused to read or write */
  MOE_BAD_FILE = 5,        /* a manifest or weight file is malformed */
  MOE_ABI_MISMATCH = 6,    /* the package was made for another runtime */
  MOE_CPU_MISMATCH = 7,    /* the package needs features this CPU lacks */
  MOE_SHAPE_MISMATCH = 8,  /* a tensor has another shape than expected */
  MOE_DTYPE_MISMATCH = 9,  /* a tensor has another element type */
  MOE_WEIGHT_MISSING = 10, /* a weight was never set, or is not in the file */
  MOE_NOT_FINITE = 11,     /* NaN or infinity where the result would be lost */
  MOE_CANCELLED = 12,      /* a progress callback asked to stop */
  MOE_TIMEOUT = 13,        /* other ranks did not come before the deadline */
  MOE_RANK_FAILED = 14,    /* another rank has ended, or says that it failed */
  MOE_OP_MISMATCH = 15,    /* ranks are at other operations, or other counts */
  MOE_PROGRAM_MISMATCH = 16, /* ranks have other packages or functions */
  MOE_ABORTED = 17,          /* the world has failed before */
  MOE_UNAVAILABLE = 18,  /* the engine or the driver is not there, or too old */
  MOE_IN_PROGRESS = 19,  /* not an error: it has not ended yet */
  MOE_GPU_MISMATCH = 20, /* the package has no code for this GPU */
  MOE_DEVICE_FAILED = 21 /* a kernel or a call of the GPU has failed */
} moe_status;

/** The name of a status, as in "MOE_SHAPE_MISMATCH". */
MOE_API const char *moe_status_name(moe_status status);
/** The message of this thread's last failure; empty if there was none. One
 *  line of text: control characters in names from files become '?'. */
MOE_API const char *moe_last_error(void);

/*--- Packages -------------------------------------------------------------*/

typedef struct moe_package moe_package; /* Package.h */

/** Loads the package in `directory` after checking ABI and CPU features
 *  against its manifest: this CPU can run one of its variants at least. What is
 * opened twice is closed twice; the code stays until its last layer is
 * destroyed. */
MOE_API moe_status moe_package_open(const char *directory,
                                    const moe_package **package);
MOE_API moe_status moe_package_close(const moe_package *package);
/** The manifest, JSON text owned by the package; NULL for NULL. */
MOE_API const char *moe_package_manifest(const moe_package *package);

/*--- Layers ---------------------------------------------------------------*/

typedef struct moe_layer moe_layer;
typedef struct moe_world moe_world; /* below */

/** For a package that was opened, or one that is linked into the program,
 *  which passes the same checks here. Of the package's variants the layer runs
 *  the one for the CPU that the environment variable MOE_CPU names; without it,
 *  of those that this CPU can run, the one that asks for the most features. A
 *  package for several ranks needs moe_layer_create_in. */
MOE_API moe_status moe_layer_create(const moe_package *package,
                                    moe_layer **layer);
/** The same with the variant for `cpu`, by its name in the manifest, whatever
 *  MOE_CPU says; NULL leaves the choice. MOE_NOT_FOUND: there is no such
 *  variant; MOE_CPU_MISMATCH: this CPU cannot run it. */
MOE_API moe_status moe_layer_create_for(const moe_package *package,
                                        const char *cpu, moe_layer **layer);
typedef struct moe_layer_options {
  const char *device; /* "cpu", "cuda" or "sim", which the package has code for;
                         NULL: as MOE_DEVICE says, or else the best here */
  const char *cpu;    /* as in moe_layer_create_for */
  moe_world *world;   /* as in moe_layer_create_in; NULL: one rank alone */
} moe_layer_options;

/** The same with a choice of the device. Where it is left open, and a CPU is
 * not named either, a layer runs on a GPU if there is one that the package has
 *  kernels for, and else on the CPU; on the simulator only if the package has
 *  nothing else. MOE_NOT_FOUND: there is no code for this device;
 *  MOE_UNAVAILABLE, MOE_GPU_MISMATCH: there is no such device, or another one.
 */
MOE_API moe_status moe_layer_create_with(const moe_package *package,
                                         const moe_layer_options *options,
                                         moe_layer **layer);
/** The CPU of the variant that the layer runs; NULL for NULL. */
MOE_API const char *moe_layer_cpu(const moe_layer *layer);
/** The device that the layer runs on, as in its options; NULL for NULL. */
MOE_API const char *moe_layer_device(const moe_layer *layer);
/** A further layer with the same weights and fresh state. Weights may be set
 *  or loaded while other layers run on them: a run sees those of before or
 *  after, and views of replaced weights end. Not for a layer in a world. */
MOE_API moe_status moe_layer_share(const moe_layer *layer, moe_layer **shared);
MOE_API void moe_layer_destroy(moe_layer *layer);

/** Called as weights arrive; a non-zero result cancels the load. */
typedef int (*moe_progress)(void *user, const char *tensor, uint64_t done_bytes,
                            uint64_t total_bytes);

/** Loads every weight, or this rank's slice of it, from a `.safetensors` file,
 * a sharded
 *  `.safetensors.index.json`, or a folder with either. The names of an index's
 *  shards stay inside its own folder. On failure the layer keeps what it had.
 */
MOE_API moe_status moe_layer_load_weights(moe_layer *layer, const char *path,
                                          moe_progress progress, void *user);
/** The same for layer `number` of the model, where the package was made for
 *  another one of the same shape. */
MOE_API moe_status moe_layer_load_weights_of(moe_layer *layer, const char *path,
                                             int64_t number,
                                             moe_progress progress, void *user);
/** Copies one weight in, by its name in the manifest. On a rank that has a
 *  slice of it, either the slice or the whole, which the shape tells; where
 *  they have the same shape, the slice. A rank that has zeros in the place of a
 *  weight keeps them. */
MOE_API moe_status moe_layer_set_weight(moe_layer *layer, const char *name,
                                        const DLTensor *value);
/** Uses the caller's memory for one weight, without a copy and without writing
 *  to it; on a CPU those that the manifest calls `packed` are copied, which
 *  `moe-opt --unpacked` avoids. It is compact, aligned to its elements, and
 * stays as it is until the weight is set, loaded or borrowed anew, or the last
 * layer that shares it is destroyed. On a rank that has a slice of it, the
 * slice; one that has zeros keeps them and does not use it. A layer on a GPU
 * uses memory of its device as well, aligned to 16 bytes; what runs before the
 * values are there is the caller's to order. */
MOE_API moe_status moe_layer_borrow_weight(moe_layer *layer, const char *name,
                                           const DLTensor *value);
/** Uniform values in [-bound, bound] with bound = 1/sqrt(fan in), the same for
 *  the same seed everywhere. With `exact`, multiples of a power of two small
 *  enough that f32 sums of products are exact in any order.
 *
 *  Element i of the whole weight NAME, of which a rank may have a slice, in
 *  wrapping 64-bit arithmetic, with mix(z) of
 *  docs/Spec.md, section 3.7, and G = 0x9E3779B97F4A7C15:
 *  - key = mix(seed + G) ^ FNV-1a-64(NAME), z = mix(key + G * (i + 1))
 *  - uniform: ((z >> 40) * 2^-23 - 1) * (1 / sqrt(fan in)), in f64, rounded to
 *    f32, and from there to bf16 or f16, each to nearest, ties to even
 *  - exact: ((z >> 32) mod 9 - 4) * 2^-s, s the smallest for which
 *    4^(s-2) >= fan in
 *  - integers: (z >> 32) mod 9 - 4, or without the - 4 for u8
 *
 *  The parts of a weight of section 5.1 there, told by their names and by the
 *  length r of their rows:
 *  - u8 NAME.weight: the e4m3 code of (z >> 32) mod 9 - 4 if r = fan in, any
 *    byte, (z >> 32) mod 256, if r = fan in / 2
 *  - f32 NAME.scales and NAME.global_scale: (1 + (z >> 40) * 2^-24) / 8 times
 *    1 / sqrt(fan in); exact: 2^-s, halved (z >> 32) mod 3 times
 *  - u8 NAME.scales: the e8m0 code of the latter if r = fan in / 32, else the
 *    e4m3 code of 1, halved as often
 *  - u8 NAME.zeros: (z >> 32) mod 9 + 4 */
MOE_API moe_status moe_layer_randomize(moe_layer *layer, uint64_t seed,
                                       int exact);
/** Writes all weights to a `.safetensors` file under their file names. Of a
 *  weight that state of this layer began as, such as a selection bias that
 *  `step` has trained, the state is written. On failure there is no new file,
 *  and an old one stays as it was. Not for a layer in a world. */
MOE_API moe_status moe_layer_save_weights(const moe_layer *layer,
                                          const char *path);

/** Runs `function` of the package. `inputs` and `outputs` hold its tensors in
 *  the manifest's order; an output may be NULL if the caller does not want it.
 *  Tensors are compact row-major CPU tensors and are neither kept nor copied.
 *  The memory of an output overlaps neither an input nor another output.
 *  Nothing is allocated once the layer has run at these sizes or larger ones.
 *  MOE_NOT_FINITE comes after the run: outputs and plan are there, as they are
 *  where MOE_INVALID_ARGUMENT says that a token has no experts.
 *
 *  In a world, all ranks run the same function, each with its own tokens. What
 *  is wrong with the arguments is said before others are waited for, and the
 *  call can be made again; after MOE_TIMEOUT and the statuses that follow it,
 *  and after whatever else keeps a rank from an exchange that others are in,
 *  the world has failed and outputs are undefined. */
MOE_API moe_status moe_layer_run(moe_layer *layer, const char *function,
                                 const DLTensor *const *inputs,
                                 const DLTensor *const *outputs);

/** On a GPU: work of later calls goes into this stream, a CUstream of the
 *  layer's device (1 and 2 are CUDA's names of the default ones), after what is
 *  in it; NULL: into the layer's own, as at first. In the caller's stream a
 * call whose tensors are all on the device returns once its work is in the
 * stream. The tensors stay until that has ended, and moe_layer_wait says how it
 * did. */
MOE_API moe_status moe_layer_set_stream(moe_layer *layer, void *stream);
/** The stream that calls use; NULL for a layer that is not on a GPU. */
MOE_API void *moe_layer_stream(const moe_layer *layer);
/** Waits for the calls that have returned before their end, and returns what
 * the last of them would have. */
MOE_API moe_status moe_layer_wait(moe_layer *layer);
/** On a GPU: with `use` not 0, a call is recorded as a CUDA graph when it is
 * made for the first time with its sizes and with the addresses of its tensors
 * on the device, and repeated by one launch from then on, whatever the tensors
 * hold. Tensors of the host can be anywhere. A function keeps the 16 graphs
 * that it used last. A function with exchanges between ranks is recorded by all
 * of them at the same call, if rows are padded and the engine is `nccl`. */
MOE_API moe_status moe_layer_set_graph(moe_layer *layer, int use);
/** A compact tensor in memory of the device that the layer runs on, which is
 * the host's for a CPU; what it holds is undefined. Its deleter frees it, from
 * any thread, before or after the layer's end. */
MOE_API moe_status moe_layer_new_tensor(const moe_layer *layer,
                                        DLDataType dtype, int32_t ndim,
                                        const int64_t *shape,
                                        DLManagedTensor **tensor);
/** A further one over the memory of such a tensor, which goes with the last. */
MOE_API moe_status moe_tensor_share(const DLManagedTensor *tensor,
                                    DLManagedTensor **shared);

/** A view of a weight, a state tensor or a tensor of the last forward's plan
 *  ("indices", "weights", "rows", "offsets", "positions", "counts", ...), valid
 *  until the next call that runs or changes this layer. The shape points into
 *  the layer. Of a plan tensor, a state and a weight with the same name, the
 *  first that exists is meant; the plan is that of the function that ran last
 *  of those that have such a tensor. */
MOE_API moe_status moe_layer_get(moe_layer *layer, const char *name,
                                 DLTensor *view);
/** Puts state (loads, selection bias) back to what it was at creation. */
MOE_API moe_status moe_layer_reset(moe_layer *layer);

typedef struct moe_statistics {
  const int32_t *loads;    /* [experts], slots routed by the last forward */
  int64_t experts;         /* length of loads */
  float imbalance;         /* standard deviation over mean of loads */
  int64_t tokens;          /* tokens of the last forward */
  int64_t routed;          /* slots computed by an expert */
  int64_t dropped;         /* slots lost to capacity */
  double seconds;          /* of the last forward */
  double routing_fraction; /* share of it spent until slots were grouped */
} moe_statistics;

/** Figures of the last forward; `loads` is valid until the next call. */
MOE_API moe_status moe_layer_statistics(moe_layer *layer,
                                        moe_statistics *statistics);

/*--- Ranks ----------------------------------------------------------------*/

/* A moe_world is one rank among those that run a sharded package together. It
 * is used by one thread at a time. */
typedef struct moe_world_options {
  const char *engine;     /* "threads", "mpi", "nccl" */
  int32_t rank, size;     /* -1: as the launcher's variables say */
  int64_t open_ms;        /* until all ranks have come; 0: 60000 */
  int64_t timeout_ms;     /* of each operation; 0: 60000 */
  const char *rendezvous; /* where ranks meet; NULL: as the launcher says */
  const char *flight; /* file for the last 4096 operations, written on failure;
                         NULL: none. "%r" in it is the rank */
  int32_t node_ranks; /* ranks of one machine, for `hierarchical`; 0: all */
} moe_world_options;

/** Joins as one rank of several processes. NULL for options: the engine that
 *  the launcher's variables suggest. */
MOE_API moe_status moe_world_open(const moe_world_options *options,
                                  moe_world **world);
/** `size` ranks of this process, each to be used by a thread of its own. */
MOE_API moe_status moe_world_open_threads(const moe_world_options *options,
                                          moe_world **worlds);
MOE_API int32_t moe_world_rank(const moe_world *world);
MOE_API int32_t moe_world_size(const moe_world *world);
/** Ends the others' waiting with MOE_RANK_FAILED and `reason`. From any thread.
 */
MOE_API void moe_world_abort(moe_world *world, const char *reason);
/** After the layers that use it. */
MOE_API void moe_world_close(moe_world *world);

typedef struct moe_world_statistics {
  uint64_t operations;
  uint64_t sent_bytes;     /* to other ranks */
  uint64_t received_bytes; /* from other ranks */
  double waited_seconds;   /* in exchanges */
} moe_world_statistics;

/** Of this rank since it was opened. */
MOE_API moe_status moe_world_get_statistics(const moe_world *world,
                                            moe_world_statistics *statistics);

/** Of all ranks `bytes` bytes each, in their order, on every one of them. All
 *  ranks call it with the same `bytes`. */
MOE_API moe_status moe_world_gather(moe_world *world, const void *mine,
                                    uint64_t bytes, void *all);

/** A layer of a package for a grid, on this rank; all ranks call it. `cpu` as
 * in moe_layer_create_for. `world` outlives the layer. */
MOE_API moe_status moe_layer_create_in(const moe_package *package,
                                       const char *cpu, moe_world *world,
                                       moe_layer **layer);

/*--- Averaging ------------------------------------------------------------*/

/** Values that this rank adds up, until the group replaces them by the mean of
 *  all that its members have added. Used by one thread at a time. */
typedef struct moe_averager moe_averager;

typedef enum moe_average_state {
  MOE_AVERAGE_SUCCESS = 0,     /* the values are the mean */
  MOE_AVERAGE_NO_PEERS = 1,    /* the group is this rank alone */
  MOE_AVERAGE_IN_PROGRESS = 2, /* ask again */
  MOE_AVERAGE_FAILED = 3       /* the values are as they were */
} moe_average_state;

typedef struct moe_average_result {
  moe_average_state state;
  int32_t peers_count;      /* members whose values are in it, this one too */
  int32_t ready, target;    /* ranks that are known to have come, of all */
  double compression_ratio; /* bytes of f32 over those that were sent */
  moe_status status;        /* why it failed */
  char text[256];
} moe_average_result;

/** For `count` values, of a layer whose package has `average_group` and
 *  `accumulate`. It goes before the layer. */
MOE_API moe_status moe_averager_create(moe_layer *layer, int64_t count,
                                       moe_averager **averager);
/** Adds `values` to those that are there; the first ones after a success
 *  replace the mean. Not while a step is in progress. */
MOE_API moe_status moe_averager_accumulate(moe_averager *averager,
                                           const float *values);
/** Begins a step, or goes on with the one that is in progress, for at most
 *  `wait_ms`; negative: until it has ended. Each rank of the world takes part
 *  in it: all match, then they exchange. How long either may take is in the
 *  package, or else it is the world's `timeout_ms`. Until then the layer and
 * its world are not used for anything else. Whatever the result, the status is
 * MOE_OK unless the call was wrong. */
MOE_API moe_status moe_averager_step(moe_averager *averager, int64_t wait_ms,
                                     moe_average_result *result);
/** Copies what is there: a sum and how often was added to it, or a mean and 0.
 *  Either may be NULL. */
MOE_API moe_status moe_averager_get(const moe_averager *averager, float *values,
                                    int64_t *contributions);
/** Forgets the values. Not while a step is in progress. */
MOE_API moe_status moe_averager_clear(moe_averager *averager);
/** Waits for a step in progress. */
MOE_API void moe_averager_destroy(moe_averager *averager);

/*--- Threads --------------------------------------------------------------*/

/** Runs `body(context, begin, end)` over a partition of [0, count). */
typedef void (*moe_body)(void *context, int64_t begin, int64_t end);
typedef void (*moe_executor)(void *user, moe_body body, void *context,
                             int64_t count);

/** Replaces the thread pool (OpenMP) by the application's own; NULL puts it
 *  back. Any partition gives the same bits. Not while a layer runs. Loops
 *  inside a loop stay on their thread and never reach the executor. */
MOE_API void moe_set_executor(moe_executor executor, void *user);
/** Threads of the built-in pool, 0: its default. A forked process has one. */
MOE_API void moe_set_threads(int threads);

/*--- safetensors ----------------------------------------------------------*/

typedef struct moe_named_tensor {
  const char *name;
  const DLTensor *value;
} moe_named_tensor;

/** Writes all of a file or nothing. */
MOE_API moe_status moe_safetensors_write(const char *path,
                                         const moe_named_tensor *tensors,
                                         size_t count);

#ifdef __cplusplus
}
#endif

#endif /* MOE_RUNTIME_MOE_H */
