// Tensors of a file against what a model needs.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "interop/safetensors.h"
#include "rule/rule.h"

namespace mdnlab {

// The tensors for `expected`, by its names, looked for in `found` under there(name). Float16 and bfloat16 are
// widened to float32. Code::usage at `file` lists all (up to ten) that are missing, superfluous, of another
// shape, not floating or not finite.
TensorMap fit_tensors(TensorMap found, std::span<const ParameterSpec> expected,
                      const std::function<std::string(const std::string&)>& there, const std::string& file);

// What versions of a peer's layers store otherwise, made what the model has, where the values allow it: A_log
// as (1,1,H,1) or a value a channel, all equal within a head; dt_bias a value a head where the model has one
// a channel.
void undo_drift(TensorMap& found, std::span<const ParameterSpec> expected,
                const std::function<std::string(const std::string&)>& there);

}  // namespace mdnlab
