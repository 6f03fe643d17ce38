// What the recurrences of a model run on, for people.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <memory>
#include <span>
#include <string>

#include "model/spec.h"

namespace mdnlab {

// "cpu chunk", "cpu sdpa"; on a GPU the row of the kernel table (scan/cuda/table.h) for each rule's
// recurrence, or "batched: K is 32, and it takes 64; 128", or "sdpa". Several, joined by " + ", where layers
// differ.
std::string kernels_of(const ModelSpec& model, std::span<const std::unique_ptr<Rule>> rules,
                       const Plugins& plugins, c10::ScalarType dtype, c10::Device device);

}  // namespace mdnlab
