// Joins results that were made elsewhere.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "store/store.h"

namespace mdnlab {

struct MergeCount {
  std::int64_t runs_added = 0;
  std::int64_t runs_replaced = 0;  // of a known key, further on in the source
  std::int64_t runs_kept = 0;      // of a known key, at least as far here
  std::int64_t evaluations = 0;
  std::int64_t benches = 0;

  MergeCount& operator+=(const MergeCount& other);
};

// Copies every run of `source` with its metrics, evaluations, items, sweeps, machines and builds, the
// evaluations of models without a run, and the benches. One transaction: a source comes in whole or not at
// all, and a second time changes nothing.
//
// A run of a known key: the done one stays, else the one at the greater step; a run that is being trained
// here is left alone. Two done ones are the same work: scores that are new here are added to ours. A run that
// is being trained in the source comes in as interrupted.
//
// The source is only read, unless an older mdnlab wrote it (Store::open_reading): beside a running writer, or
// from a network file system when no log lies beside it (and it does not change meanwhile). Code::usage when
// it is `into` itself; Code::store as Store::open_reading, or when the source is damaged.
MergeCount merge(Store& into, const std::filesystem::path& source, const StoreOptions& options = {});

// All of them; what was done before a failing source stays done.
MergeCount merge(Store& into, std::span<const std::filesystem::path> sources,
                 const StoreOptions& options = {});

}  // namespace mdnlab
