#include "scan/implementation.h"

#include <algorithm>
#include <list>
#include <map>
#include <mutex>
#include <set>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "scan/batched/batched.h"
#include "scan/chunk_cpu.h"
#include "scan/cuda_module.h"

namespace mdnlab::scan {

namespace {

std::string takes_all(const Inputs&) { return {}; }

const Implementation kCpu{"cpu", takes_all, forward_cpu, backward_cpu, step_cpu};
const Implementation kBatched{"batched", takes_all, forward_batched, backward_batched, step_batched};

struct Registry {
  std::mutex mutex;
  // Lists, for references to their elements outlive later additions.
  std::map<at::DeviceType, std::list<Implementation>> of_device{{at::kCPU, {kCpu, kBatched}},
                                                                {at::kCUDA, {kBatched}}};
  std::set<std::string> warnings;
};

Registry& registry() {
  static Registry registry;
  return registry;
}

// Under the lock.
std::list<Implementation>& list_of(const Inputs& inputs) {
  const at::Device device = inputs.q_BTGK.device();
  std::list<Implementation>& list = registry().of_device[device.type()];
  if (!list.empty()) return list;
  std::vector<std::string> devices;
  for (const auto& [type, others] : registry().of_device) {
    if (!others.empty()) devices.push_back(c10::DeviceTypeName(type, /*lower_case=*/true));
  }
  throw Error(
      Code::machine,
      {.what = "scan: no kernel for this device", .found = device.str(), .expected = join(devices, " or ")});
}

std::vector<std::string> names_of(const std::list<Implementation>& list) {
  std::vector<std::string> names;
  for (const Implementation& implementation : list) names.push_back(implementation.name);
  return names;
}

std::string refusal_of(const Implementation& implementation, const Inputs& inputs, Pass pass) {
  const bool is_own = pass == Pass::step && implementation.step_refusal;
  return is_own ? implementation.step_refusal(inputs) : implementation.refusal(inputs);
}

const Implementation& forced_one(const std::list<Implementation>& list, const Inputs& inputs,
                                 std::string_view name, Pass pass) {
  const auto found = std::ranges::find(list, name, &Implementation::name);
  if (found == list.end()) {
    const std::vector<std::string> names = names_of(list);
    throw Error(Code::usage, {.what = "scan: no kernel of " + inputs.q_BTGK.device().str() + " has this name",
                              .found = quote(name),
                              .expected = join(names, ", "),
                              .hint = suggestion(name, names)});
  }
  if (const std::string reason = refusal_of(*found, inputs, pass); !reason.empty()) {
    throw Error(Code::machine,
                {.what = "scan: the kernel " + quote(name) + " does not take these inputs on " +
                         inputs.q_BTGK.device().str() + ": " + reason});
  }
  return *found;
}

}  // namespace

void add_implementation(at::DeviceType device, const Implementation& implementation) {
  const std::lock_guard lock(registry().mutex);
  std::list<Implementation>& list = registry().of_device[device];
  if (std::ranges::count(list, implementation.name, &Implementation::name) > 0)
    throw Error(Code::machine, "scan: the kernel " + quote(implementation.name) + " is there already");
  list.push_front(implementation);
}

std::vector<std::string> implementation_names(at::DeviceType device) {
  const std::lock_guard lock(registry().mutex);
  const auto found = registry().of_device.find(device);
  return found == registry().of_device.end() ? std::vector<std::string>() : names_of(found->second);
}

const Implementation& choose(const Inputs& inputs, std::string_view forced, Pass pass) {
  if (inputs.q_BTGK.device().is_cuda()) cuda_module();
  const std::lock_guard lock(registry().mutex);
  const std::list<Implementation>& list = list_of(inputs);
  if (!forced.empty()) return forced_one(list, inputs, forced, pass);
  std::string refusals;
  for (const Implementation& implementation : list) {
    const std::string reason = refusal_of(implementation, inputs, pass);
    if (reason.empty()) {
      if (!refusals.empty() && registry().warnings.insert(refusals).second)
        warn("scan: the kernel " + quote(implementation.name) + " is used, because of " + refusals);
      return implementation;
    }
    refusals += (refusals.empty() ? "" : "; ") + quote(implementation.name) + ": " + reason;
  }
  throw Error(Code::machine, {.what = "scan: no kernel takes these inputs on " +
                                      inputs.q_BTGK.device().str() + "; " + refusals});
}

}  // namespace mdnlab::scan
