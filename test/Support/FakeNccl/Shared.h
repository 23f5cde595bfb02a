//===- Shared.h - State that all ranks see ----------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Everything is in one piece of memory at one address in all processes, so that
// pointers and containers may be shared, and is used under one mutex.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_SUPPORT_FAKENCCL_SHARED_H
#define MOE_TEST_SUPPORT_FAKENCCL_SHARED_H

#include <cstddef>
#include <mutex>
#include <new>

#include <deque>
#include <map>
#include <string>
#include <vector>

namespace fake {

/// Under the mutex.
void *allocate(size_t bytes);
void release(void *block);

template <typename T> struct Shared {
  using value_type = T;
  Shared() = default;
  template <typename U> Shared(const Shared<U> &) {}
  T *allocate(size_t count) {
    return static_cast<T *>(fake::allocate(count * sizeof(T)));
  }
  void deallocate(T *block, size_t) { fake::release(block); }
  template <typename U> bool operator==(const Shared<U> &) const {
    return true;
  }
  template <typename U> bool operator!=(const Shared<U> &) const {
    return false;
  }
};

template <typename T> using Vector = std::vector<T, Shared<T>>;
template <typename T> using Deque = std::deque<T, Shared<T>>;
template <typename Key, typename T>
using Map = std::map<Key, T, std::less<Key>, Shared<std::pair<const Key, T>>>;
using String = std::basic_string<char, std::char_traits<char>, Shared<char>>;

template <typename T, typename... Arguments> T *make(Arguments &&...arguments) {
  return new (allocate(sizeof(T))) T(std::forward<Arguments>(arguments)...);
}
template <typename T> void destroy(T *object) {
  object->~T();
  release(object);
}

struct Op {
  bool sends;
  bool ofAllToAll;
  int peer;
  char *data;
  size_t bytes;
  int type;
  bool done;
};

struct Clique;
struct Comm {
  Clique *clique;
  int rank, pid;
  unsigned long thread;
  int polls = 0; /* until NCCL has done what was asked */
  int error = 0;
  bool stalled = false, aborted = false, finalized = false;
  Vector<Op *> asked; /* to be put into `stream` */
  struct StreamState *stream = nullptr;
  Map<int, Deque<Op *>> sends, receives; /* that run, by peer */
};

struct Clique {
  size_t size;
  Map<int, Comm *> members;
};

/// A group of NCCL if it has a communicator, else an event, which is reached or
/// waited for.
struct Item {
  Comm *comm;
  Vector<Op *> ops;
  bool running;
  struct EventState *event;
  bool waits = false;
};

struct StreamState {
  int pid;
  Deque<Item *> items;
};

struct EventState {
  int pid;
  bool recorded = false, reached = false;
};

struct State {
  Map<String, Clique *> cliques;
  Map<StreamState *, bool> streams;
  Map<EventState *, bool> events;
  Map<Comm *, bool> comms;    /* true: still to be destroyed */
  Map<char *, size_t> memory; /* of the devices */
  Map<char *, int> owners;
  Map<int, int> contexts; /* retained, by process */
  Vector<String> complaints;
  unsigned long ids = 0;
  unsigned generation = 0;
};

/// The state while its mutex is held.
class Access {
public:
  Access();
  ~Access();
  Access(const Access &) = delete;
  Access &operator=(const Access &) = delete;
  State &operator*() const;
  State *operator->() const { return &**this; }
};

/// Under the mutex.
void addComplaint(const std::string &complaint);

/// Moves what can be moved. Under the mutex.
void pump();

//===--- Script -----------------------------------------------------------===//

enum class Fault { None, Fail, Stall, Hang, Remote, Exit };
/// What is to happen to this call, which is counted.
Fault faultOf(const char *call, int rank);
/// Acts on Hang and Exit; without the mutex.
void suffer(Fault fault);
/// The value of `name` in the script.
int setting(const char *name, int usual);

} // namespace fake

#endif // MOE_TEST_SUPPORT_FAKENCCL_SHARED_H
