// From one document with `sweep:` to the documents of its runs.
//
//   sweep:
//     train.lr: [1e-3, 3e-3]                    a list is an axis of the grid
//     zip:                                      the lists of one map advance together; each map is an axis
//       - {task: [{…}, {…}], train: [{…}, {…}]}
//     random: {samples: 8, seed: 1, over: {train.lr: {log_uniform: [1e-4, 1e-2]}, rule.name: {choice: [mdn,
//     mamba2]}}}
//
// The axes are crossed in the order of the file, the last one fastest; `random` is one axis of `samples`
// points.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "config/params.h"
#include "config/yaml.h"

namespace mdnlab {

struct SweepPoint {
  Node document;      // without `sweep:`
  std::string label;  // "rule.name=mdn, train.lr=0.001"; "" without a sweep
};

// Faults of the sweep itself are Code::usage with their place; what a swept value breaks is found when the
// document is read, at the value's place.
std::vector<SweepPoint> expand_sweep(const Node& root);

std::span<const Field> random_fields();  // the options of `sweep.random` beside `over`

}  // namespace mdnlab
