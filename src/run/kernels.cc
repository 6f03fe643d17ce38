#include "run/kernels.h"

#include <algorithm>
#include <set>
#include <vector>

#include "base/gpu.h"
#include "base/text.h"
#include "check/rule_recurrence.h"
#include "scan/cuda/table.h"

namespace mdnlab {

namespace {

// The scan's K and V are those of the memory that the rule carries.
std::string on_gpu(const Plugin& plugin, const RuleChoice& layer, const Rule& rule, c10::ScalarType dtype,
                   int capability) {
  if (!plugin.info().capabilities.scans) return "sdpa";
  const RuleRecurrence recurrence = recurrence_of(plugin, layer.options);
  scan::KernelQuery query{.has_delta = recurrence.delta,
                          .has_momentum = recurrence.momentum,
                          .has_channel_decay = recurrence.decay == "channel",
                          .dtype = dtype,
                          .capability = capability};
  for (const StateSpec& state : rule.state(1, dtype)) {
    if (state.name != "S") continue;
    query.V = state.shape.at(state.shape.size() - 1);
    query.K = state.shape.at(state.shape.size() - 2);
  }
  const scan::KernelRow* row = scan::find_kernel(query);
  return row ? row->name : "batched: " + scan::refusal(query);
}

}  // namespace

std::string kernels_of(const ModelSpec& model, std::span<const std::unique_ptr<Rule>> rules,
                       const Plugins& plugins, c10::ScalarType dtype, c10::Device device) {
  std::set<std::string> kernels;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const Plugin& plugin = plugins.find(model.layers[i].name);
    if (device.is_cpu()) {
      kernels.insert(plugin.info().capabilities.scans ? "cpu chunk" : "cpu sdpa");
    } else {
      const auto index = static_cast<std::size_t>(std::max<int>(device.index(), 0));
      kernels.insert(
          on_gpu(plugin, model.layers[i], *rules[i], dtype, gpu_facts().gpus.at(index).capability));
    }
  }
  return join(std::vector<std::string>(kernels.begin(), kernels.end()), " + ");
}

}  // namespace mdnlab
