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
#include "scan/rehearsal.h"

namespace mdnlab::scan {

namespace {

std::string takes_all(const Inputs&) { return {}; }

const Implementation kCpu{"cpu", takes_all, forward_cpu, backward_cpu, step_cpu};
const Implementation kBatched{"batched", takes_all, forward_batched, backward_batched, step_batched};

// Never moves nor drops an element: references to them outlive later additions.
using List = std::list<Implementation>;

struct Registry {
  std::mutex mutex;
  std::map<at::DeviceType, List> of_device{{at::kCPU, {kCpu, kBatched}}, {at::kCUDA, {kBatched}}};
  std::set<std::string> warnings;
};

Registry& registry() {
  static Registry registry;
  return registry;
}

struct LockedList {
  std::unique_lock<std::mutex> lock;
  const List& list;
};
LockedList list_of(at::DeviceType device) {
  if (device == at::kCUDA) cuda_module();  // before the lock, which its additions take
  std::unique_lock lock(registry().mutex);
  return {std::move(lock), registry().of_device[device]};
}

std::vector<std::string> names_of(const List& list) {
  std::vector<std::string> names;
  for (const Implementation& implementation : list) names.push_back(implementation.name);
  return names;
}

const Implementation& find(const List& list, at::DeviceType device, std::string_view name) {
  const auto found = std::ranges::find(list, name, &Implementation::name);
  if (found != list.end()) return *found;
  const std::string device_name = c10::DeviceTypeName(device, /*lower_case=*/true);
  throw Error(Code::usage, {.what = "scan: no kernel of " + device_name + " has this name",
                            .found = quote(name),
                            .hint = suggestion(name, names_of(list))});
}

std::string refusal_of(const Implementation& implementation, const Inputs& inputs, Pass pass) {
  const bool is_own = pass == Pass::step && implementation.step_refusal;
  return is_own ? implementation.step_refusal(inputs) : implementation.refusal(inputs);
}

// On a GPU: that there is one, and once, why our kernels are not among its implementations.
void check_gpu(at::Device device) {
  if (!device.is_cuda()) return;
  require_gpu(device);
  [[maybe_unused]] static const bool is_told = [] {
    const CudaModule& module = cuda_module();
    if (!module.trouble.empty())
      warn("scan: " + module.file + " is not used: " + module.trouble +
           "; scans run as batched matrix products");
    return true;
  }();
}

// Under the lock.
[[noreturn]] void refuse_device(const at::Device& device) {
  std::vector<std::string> devices;
  for (const auto& [type, list] : registry().of_device) {
    if (!list.empty()) devices.push_back(c10::DeviceTypeName(type, /*lower_case=*/true));
  }
  throw Error(
      Code::machine,
      {.what = "scan: no kernel for this device", .found = device.str(), .expected = join(devices, " or ")});
}

}  // namespace

void add_implementation(at::DeviceType device, const Implementation& implementation) {
  const std::lock_guard lock(registry().mutex);
  List& list = registry().of_device[device];
  if (std::ranges::count(list, implementation.name, &Implementation::name) > 0)
    throw Error(Code::machine, "scan: the kernel " + quote(implementation.name) + " is there already");
  list.push_front(implementation);
}

std::vector<std::string> implementation_names(at::DeviceType device) {
  return names_of(list_of(device).list);
}

void require_implementation(at::DeviceType device, std::string_view name) {
  find(list_of(device).list, device, name);
}

std::string refusal(const Inputs& inputs, std::string_view name, Pass pass) {
  const at::DeviceType device = inputs.q_BTGK.device().type();
  const auto& [lock, list] = list_of(device);
  return refusal_of(find(list, device, name), inputs, pass);
}

const Implementation& choose(const Inputs& inputs, std::string_view forced, Pass pass) {
  const at::Device device = inputs.q_BTGK.device();
  check_gpu(device);
  const auto& [lock, list] = list_of(device.type());
  if (list.empty()) refuse_device(device);
  if (!forced.empty()) {
    const Implementation& named = find(list, device.type(), forced);
    const std::string reason = refusal_of(named, inputs, pass);
    if (reason.empty()) return named;
    throw Error(Code::machine, "scan: the kernel " + quote(forced) + " does not take these inputs on " +
                                   device.str() + ": " + reason);
  }
  const bool is_rehearsal = device.is_meta() && is_rehearsed();
  std::string refusals;
  for (const Implementation& implementation : list) {
    const std::string reason = refusal_of(implementation, inputs, pass);
    if (reason.empty()) {
      if (!refusals.empty() && !is_rehearsal && registry().warnings.insert(refusals).second)
        warn("scan: the kernel " + quote(implementation.name) + " is used, because of " + refusals);
      return implementation;
    }
    refusals += (refusals.empty() ? "" : "; ") + quote(implementation.name) + ": " + reason;
  }
  throw Error(Code::machine, "scan: no kernel takes these inputs on " + device.str() + "; " + refusals);
}

}  // namespace mdnlab::scan
