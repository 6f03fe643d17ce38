// A ring of slots in shared memory, into which one thread of a block fetches what all its warps work on.
#pragma once

#include "ops/cuda/decode.h"
#include "ops/cuda/decode_gpu.cuh"

namespace mdnlab::ops::cuda {

inline constexpr int kMostSlots = 26;
struct RingGates {
  unsigned long long full[kMostSlots];
};

// Where somebody is in the ring. Slots are filled again when all have met behind their last use.
class Ring {
 public:
  __device__ Ring(RingGates& gates, unsigned char* slots, int count, int bytes)
      : gates_(gates), slots_(slots), count_(count), bytes_(bytes) {}

  // By one thread; others may wait when the block has met.
  __device__ void make() const {
    for (int i = 0; i < count_; ++i) make_gate(&gates_.full[i]);
    show_gates();
  }
  // Of the thread that fetches: `bytes` from here, and what lies behind, each to its place in the next slot.
  struct Piece {
    const void* from;
    int bytes, place;
  };
  __device__ void fill(const Piece& first, const Piece& second) {
    arrive_expecting(full(), first.bytes + second.bytes);
    for (const Piece& piece : {first, second})
      if (piece.bytes > 0) copy_in_bulk(at() + piece.place, piece.from, piece.bytes, full());
    advance(1);
  }

  // The next `count` slots' contents, when they are there.
  __device__ void wait(int count) const {
    Ring of = *this;
    for (int i = 0; i < count; ++i) wait_at(of.full(), of.parity_), of.advance(1);
  }
  __device__ const unsigned char* slot(int i) const {
    const int slot = slot_ + i;
    return slots_ + (slot < count_ ? slot : slot - count_) * bytes_;
  }
  // At most once around.
  __device__ void advance(int count) {
    slot_ += count;
    if (slot_ >= count_) slot_ -= count_, parity_ ^= 1;
  }

 private:
  __device__ unsigned long long* full() { return &gates_.full[slot_]; }
  __device__ unsigned char* at() { return slots_ + slot_ * bytes_; }

  RingGates& gates_;
  unsigned char* slots_;
  int count_, bytes_, slot_ = 0;
  unsigned parity_ = 0;
};

}  // namespace mdnlab::ops::cuda
