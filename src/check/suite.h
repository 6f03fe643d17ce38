// The conformance suite of a rule: its recurrence, and its layer with every option that is a choice.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "check/layer.h"
#include "check/recurrence.h"
#include "check/verdict.h"

namespace mdnlab::check {

// The rule with its usual options and `settings` (key=value), then with every boolean switched and every
// choice of a text taken, value heads that share keys, one at a time (`delta`, `momentum` and `decay`, the
// switches of an ablation, in all their combinations), then without and with the shortest convolution.
// Combinations that the rule refuses are left out. The shape is the smallest of a few that it accepts, on a
// GPU the one whose heads our kernels take where the rule does; refusing all is its own Error.
std::vector<LayerChoice> layer_choices(const Plugin& plugin, std::span<const std::string> settings,
                                       c10::Device device = c10::kCPU);

// The recurrence that the layer hands to the scan; none for a rule that is no recurrence.
std::optional<Recurrence> recurrence_of(const LayerChoice& choice);

class Suite {
 public:
  // Both levels on the CPU with the usual choice of a kernel.
  explicit Suite(std::uint64_t seed) : Suite(seed, Kernel{}, c10::kCPU) {}
  // The recurrence level with this kernel (kernel_on), where one is given; the layer level on this device,
  // where one is given, with the usual choice for each layer's scan.
  Suite(std::uint64_t seed, std::optional<Kernel> kernel, std::optional<c10::Device> layers)
      : seed_(seed), kernel_(std::move(kernel)), layers_(layers) {}

  // Every case of one rule. None for a rule without a recurrence where the layers are left out.
  Verdict check(const Plugin& plugin, std::span<const std::string> settings = {});

 private:
  const Verdict& of_recurrence(const Recurrence& recurrence);

  std::uint64_t seed_;
  std::optional<Kernel> kernel_;
  std::optional<c10::Device> layers_;
  std::vector<std::pair<Recurrence, Verdict>> recurrences_;  // rules share them
};

}  // namespace mdnlab::check
