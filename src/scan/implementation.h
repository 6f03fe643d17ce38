// The implementations of the scan's contract (chunk.h), and how one is chosen for given inputs.
//
// Each device type has a list in order of preference; the first whose `refusal` is empty runs. Built in are
// "cpu" (the kernels of cpu/) and "batched" (batched matrix products, any device).
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "scan/inputs.h"

namespace mdnlab::scan {

// What backward needs beside the inputs. Its length and order are the implementation's own; linear in T.
using Saved = std::vector<at::Tensor>;

// The functions run without autograd, on inputs that passed validate() and that refusal() let through.
struct Implementation {
  std::string name;
  // Empty: it takes these inputs. Else what it requires and what was found: "K is 96, and it takes 64, 128 or
  // 256". Looks at shapes, dtypes, strides and the device, never at values.
  std::string (*refusal)(const Inputs& inputs);
  // `saved` null: inference.
  Outputs (*forward)(const Inputs& inputs, const Options& options, Saved* saved);
  // Gradients of the tensors that are `wanted` (in the order of tensors()), laid out as Inputs, in the dtypes
  // of the inputs; the others undefined. An undefined tensor in `adjoints` takes no part in the loss.
  // `options` are forward's, but for want_state.
  Inputs (*backward)(const Inputs& inputs, const Options& options, const Saved& saved,
                     const Outputs& adjoints, const std::array<bool, kTensors>& wanted);
  // One token a document.
  Outputs (*step)(const Inputs& inputs);
  // As `refusal`, of step alone; null: refusal is step's too.
  std::string (*step_refusal)(const Inputs& inputs) = nullptr;
  // Whether forward and backward may see mu_shares_alpha; else chunk() gives them with_own_mu().
  bool takes_shared_mu = false;
  // Whether backward makes again what it needs where `saved` is empty: forward had none to fill.
  bool prepares_again = false;
};

enum class Pass { chunk, step };

// The last one added for a device type is the first in its list. A name that is there already is an Error
// (Code::machine). From any thread.
void add_implementation(at::DeviceType device, const Implementation& implementation);

// Names in order of preference; none for a device that has no implementation. For CUDA the first call of
// this or the functions below loads the module with our kernels (cuda_module.h), which adds them.
std::vector<std::string> implementation_names(at::DeviceType device);

// Error (Code::usage) unless an implementation of the device has this name: for a command to say before it
// begins.
void require_implementation(at::DeviceType device, std::string_view name);

// Empty where the named implementation takes the inputs; else why not. Code::usage for an unknown name.
std::string refusal(const Inputs& inputs, std::string_view name, Pass pass = Pass::chunk);

// The first that takes the inputs, or the one named `forced`. Lives as long as the program. Where one that
// comes earlier in the list refuses, a warning says so, once for each reason.
//
// Error: Code::machine, naming the device and each implementation with its refusal, where none fits or
// `forced` does not; Code::usage where no implementation of the device has that name; on a GPU also
// require_gpu()'s. There a warning says once why our kernels are not among the implementations, if they are
// not.
const Implementation& choose(const Inputs& inputs, std::string_view forced = {}, Pass pass = Pass::chunk);

}  // namespace mdnlab::scan
