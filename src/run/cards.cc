#include "run/cards.h"

#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "base/text.h"

namespace mdnlab {

namespace {

struct Rate {
  const char* name;  // the beginning of the driver's; longer ones first
  double teraflops;
};

constexpr Rate rates[] = {{"NVIDIA A100", 312},       {"NVIDIA B200", 2250},
                          {"NVIDIA GH200", 989.4},    {"NVIDIA H100 NVL", 835.5},
                          {"NVIDIA H100 PCIe", 756},  {"NVIDIA H100 80GB HBM3", 989.4},
                          {"NVIDIA H200 NVL", 835.5}, {"NVIDIA H200", 989.4}};

// Those that the kernels are for.
struct Card {
  const char* name;
  std::int64_t gib;
};

constexpr Card cards[] = {{"H100", 79}, {"H200", 140}};

// Of a card's memory: the driver's and the libraries' own, and what the allocator cannot use.
constexpr std::int64_t reserve_bytes = std::int64_t{2} << 30;

std::int64_t usable_bytes(const Card& card) { return (card.gib << 30) - reserve_bytes; }

}  // namespace

std::optional<double> dense_bf16_flops(std::string_view gpu_name) {
  for (const Rate& rate : rates) {
    if (gpu_name.starts_with(rate.name)) return rate.teraflops * 1e12;
  }
  return std::nullopt;
}

std::string cards_text(const TrainingMemory& memory) {
  std::vector<std::string> whole, shared;
  for (const Card& card : cards) {
    const std::int64_t usable = usable_bytes(card), left = usable - memory.batch_bytes();
    const std::string name = fmt::format("{} ({} GiB)", card.name, card.gib);
    if (memory.peak_bytes <= usable) {
      whole.push_back(name);
    } else if (left > 0) {
      shared.push_back(fmt::format("{} {}", (memory.kept_bytes + left - 1) / left, name));
    }
  }
  if (!whole.empty()) return "one " + join(whole, " or ");
  if (shared.empty()) return "more than any has for a batch; lower train.batch_size";
  return "no single one, but " + join(shared, " or ") + " that share parameters, gradients and moments";
}

}  // namespace mdnlab
