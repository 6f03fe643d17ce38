#include "scan/cuda/table.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <limits>
#include <vector>

#include "base/gpu.h"
#include "base/text.h"
#include "scan/inputs.h"

namespace mdnlab::scan {

namespace {

constexpr auto kBf16 = c10::ScalarType::BFloat16, kF16 = c10::ScalarType::Half;
constexpr std::int64_t kAnyWidth = std::numeric_limits<int>::max();

// Channel-wise decay: A and D are 0 without delta, and no constant of the kernels.
constexpr std::optional<bool> kEither;

// name, delta, momentum, channel-wise decay, K, V: multiples up to, dtype, capability
constexpr KernelRow kRows[] = {
    {"hopper decay K64 bf16", false, false, false, 64, 64, kAnyWidth, kBf16, 90},
    {"hopper decay momentum K64 bf16", false, true, false, 64, 64, kAnyWidth, kBf16, 90},
    {"hopper delta K64 bf16", true, false, false, 64, 64, kAnyWidth, kBf16, 90},
    {"hopper delta momentum K64 bf16", true, true, false, 64, 64, kAnyWidth, kBf16, 90},
    {"hopper decay K128 bf16", false, false, false, 128, 64, kAnyWidth, kBf16, 90},
    {"hopper decay momentum K128 bf16", false, true, false, 128, 64, kAnyWidth, kBf16, 90},
    {"hopper delta K128 bf16", true, false, false, 128, 64, kAnyWidth, kBf16, 90},
    {"hopper delta momentum K128 bf16", true, true, false, 128, 64, kAnyWidth, kBf16, 90},
    {"hopper decay K256 bf16", false, false, false, 256, 64, kAnyWidth, kBf16, 90},
    {"hopper decay momentum K256 bf16", false, true, false, 256, 64, kAnyWidth, kBf16, 90},
    {"hopper delta K256 bf16", true, false, false, 256, 64, kAnyWidth, kBf16, 90},
    {"hopper delta momentum K256 bf16", true, true, false, 256, 64, kAnyWidth, kBf16, 90},
    {"hopper channels K64 bf16", kEither, false, true, 64, 64, kAnyWidth, kBf16, 90},
    {"hopper channels momentum K64 bf16", kEither, true, true, 64, 64, kAnyWidth, kBf16, 90},
    {"hopper channels K128 bf16", kEither, false, true, 128, 64, kAnyWidth, kBf16, 90},
    {"hopper channels momentum K128 bf16", kEither, true, true, 128, 64, kAnyWidth, kBf16, 90},
    {"hopper channels K256 bf16", kEither, false, true, 256, 64, kAnyWidth, kBf16, 90},
    {"hopper channels momentum K256 bf16", kEither, true, true, 256, 64, kAnyWidth, kBf16, 90},
    {"hopper decay K64 f16", false, false, false, 64, 64, kAnyWidth, kF16, 90},
    {"hopper decay momentum K64 f16", false, true, false, 64, 64, kAnyWidth, kF16, 90},
    {"hopper delta K64 f16", true, false, false, 64, 64, kAnyWidth, kF16, 90},
    {"hopper delta momentum K64 f16", true, true, false, 64, 64, kAnyWidth, kF16, 90},
    {"hopper decay K128 f16", false, false, false, 128, 64, kAnyWidth, kF16, 90},
    {"hopper decay momentum K128 f16", false, true, false, 128, 64, kAnyWidth, kF16, 90},
    {"hopper delta K128 f16", true, false, false, 128, 64, kAnyWidth, kF16, 90},
    {"hopper delta momentum K128 f16", true, true, false, 128, 64, kAnyWidth, kF16, 90},
    {"hopper decay K256 f16", false, false, false, 256, 64, kAnyWidth, kF16, 90},
    {"hopper decay momentum K256 f16", false, true, false, 256, 64, kAnyWidth, kF16, 90},
    {"hopper delta K256 f16", true, false, false, 256, 64, kAnyWidth, kF16, 90},
    {"hopper delta momentum K256 f16", true, true, false, 256, 64, kAnyWidth, kF16, 90},
    {"hopper channels K64 f16", kEither, false, true, 64, 64, kAnyWidth, kF16, 90},
    {"hopper channels momentum K64 f16", kEither, true, true, 64, 64, kAnyWidth, kF16, 90},
    {"hopper channels K128 f16", kEither, false, true, 128, 64, kAnyWidth, kF16, 90},
    {"hopper channels momentum K128 f16", kEither, true, true, 128, 64, kAnyWidth, kF16, 90},
    {"hopper channels K256 f16", kEither, false, true, 256, 64, kAnyWidth, kF16, 90},
    {"hopper channels momentum K256 f16", kEither, true, true, 256, 64, kAnyWidth, kF16, 90}};
static_assert(std::size(kRows) <= 40, "each row is compiled: the build stays short");

std::string rule_text(std::optional<bool> has_delta, bool has_momentum, bool has_channel_decay) {
  const char* const delta = !has_delta ? "delta or no delta" : *has_delta ? "delta" : "no delta";
  return std::string(delta) + ", " + (has_momentum ? "momentum" : "no momentum") + ", " +
         (has_channel_decay ? "channel-wise" : "scalar") + " decay";
}

std::string dtype_text(c10::ScalarType dtype) {
  switch (dtype) {
    case c10::ScalarType::Double: return "f64";
    case c10::ScalarType::Float: return "f32";
    case c10::ScalarType::Half: return "f16";
    default: return "bf16";
  }
}

struct Aspect {
  const char* name;
  std::string found;
  std::function<bool(const KernelRow&)> fits;
  std::function<std::string(const KernelRow&)> taken;
};

std::vector<Aspect> aspects(const KernelQuery& query) {
  return {
      {"the GPU's compute capability", capability_text(query.capability),
       [=](const KernelRow& row) { return row.capability == query.capability; },
       [](const KernelRow& row) { return capability_text(row.capability); }},
      {"the rule", rule_text(query.has_delta, query.has_momentum, query.has_channel_decay),
       [=](const KernelRow& row) {
         return row.has_delta.value_or(query.has_delta) == query.has_delta &&
                row.has_momentum == query.has_momentum && row.has_channel_decay == query.has_channel_decay;
       },
       [](const KernelRow& row) {
         return rule_text(row.has_delta, row.has_momentum, row.has_channel_decay);
       }},
      {"the dtype of q", dtype_text(query.dtype),
       [=](const KernelRow& row) { return row.dtype == query.dtype; },
       [](const KernelRow& row) { return dtype_text(row.dtype); }},
      {"K", std::to_string(query.K), [=](const KernelRow& row) { return row.key_width == query.K; },
       [](const KernelRow& row) { return std::to_string(row.key_width); }},
      {"V", std::to_string(query.V),
       [=](const KernelRow& row) {
         return query.V > 0 && query.V % row.value_step == 0 && query.V <= row.most_value;
       },
       [](const KernelRow& row) {
         return "multiples of " + std::to_string(row.value_step) + " up to " + std::to_string(row.most_value);
       }}};
}

}  // namespace

std::span<const KernelRow> kernel_table() { return kRows; }

KernelQuery query_of(const Inputs& in, int capability) {
  return {.has_delta = in.has_delta,
          .has_momentum = in.log_mu.defined(),
          .has_channel_decay = has_channel_decay(in),
          .K = in.q_BTGK.size(3),
          .V = in.v_BTHV.size(3),
          .dtype = in.q_BTGK.scalar_type(),
          .capability = capability};
}

const KernelRow* find_kernel(const KernelQuery& query) {
  const std::vector<Aspect> all = aspects(query);
  const auto row = std::ranges::find_if(kRows, [&](const KernelRow& r) {
    return std::ranges::all_of(all, [&](const Aspect& a) { return a.fits(r); });
  });
  return row == std::end(kRows) ? nullptr : &*row;
}

std::string refusal(const KernelQuery& query) {
  std::vector<KernelRow> left(std::begin(kRows), std::end(kRows));
  for (const Aspect& aspect : aspects(query)) {
    std::vector<std::string> taken;
    for (const KernelRow& row : left) {
      if (std::ranges::find(taken, aspect.taken(row)) == taken.end()) taken.push_back(aspect.taken(row));
    }
    std::erase_if(left, [&](const KernelRow& row) { return !aspect.fits(row); });
    if (left.empty())
      return std::string(aspect.name) + " is " + aspect.found + ", and it takes " + join(taken, "; ");
  }
  return {};
}

}  // namespace mdnlab::scan
