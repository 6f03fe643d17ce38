#include "check/given_tensors.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/isfinite.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include "base/text.h"

namespace mdnlab {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

enum class Use { always, decay, momentum, delta };

struct Known {
  const char* name;
  Use use = Use::always;
  double neutral = 0;  // what a rule without use for it may be given
};

constexpr std::array<Known, 14> known_tensors{{{"q"},
                                               {"k"},
                                               {"v"},
                                               {"log_alpha", Use::decay, 0},
                                               {"log_mu", Use::momentum, -infinity},
                                               {"beta"},
                                               {"eta", Use::momentum, 1},
                                               {"p", Use::delta, 0},
                                               {"initial_S"},
                                               {"initial_M", Use::momentum, 0},
                                               {"cu_seqlens"},
                                               {"do"},
                                               {"d_final_S"},
                                               {"d_final_M", Use::momentum, 0}}};

[[noreturn]] void refuse(const std::string& name, const std::string& what, std::string found = {},
                         std::string expected = {}, std::string hint = {}) {
  throw Error(Code::usage, {.what = "tensor " + quote(name) + " " + what,
                            .found = std::move(found),
                            .expected = std::move(expected),
                            .hint = std::move(hint)});
}

bool is_used(const Known& known, const RuleRecurrence& recurrence) {
  switch (known.use) {
    case Use::always: return true;
    case Use::decay: return recurrence.decay != "none";
    case Use::momentum: return recurrence.momentum;
    case Use::delta: return recurrence.delta;
  }
  return false;
}

const char* word(Use use) {
  return use == Use::decay ? "decay" : use == Use::momentum ? "momentum" : "delta";
}

// "-0.5 at [0,3,1]": the first entry that is not good, and where it stands; nothing when all are.
std::optional<std::string> first_other(const at::Tensor& tensor, const at::Tensor& is_good) {
  const at::Tensor bad = is_good.logical_not().nonzero();
  if (bad.size(0) == 0) return std::nullopt;
  std::vector<std::int64_t> index;
  at::Tensor entry = tensor;
  for (std::int64_t axis = 0; axis < bad.size(1); ++axis) {
    const auto at = bad[0][axis].item<std::int64_t>();
    index.push_back(at);
    entry = entry.select(0, at);
  }
  return fmt::format("{} at {}", entry.item<double>(), sizes_text(index));
}

void check_numbers(const std::string& name, const at::Tensor& tensor) {
  const bool is_log = name.starts_with("log_");
  at::Tensor is_good = at::isfinite(tensor);
  if (is_log) is_good = is_good.logical_or(tensor == -infinity);
  if (const auto bad = first_other(tensor, is_good))
    refuse(name, "holds what is no number", *bad, is_log ? "finite numbers, or -inf" : "finite numbers");
  if (!is_log) return;
  if (const auto bad = first_other(tensor, tensor <= 0)) {
    refuse(name, "is above 0", *bad, "logarithms of gates, at most 0",
           "it takes log(" + name.substr(4) + "), not " + name.substr(4));
  }
}

void check_dtype(const std::string& name, const at::Tensor& tensor) {
  const bool is_good =
      name == "cu_seqlens" ? tensor.scalar_type() == at::kInt : at::isFloatingType(tensor.scalar_type());
  if (!is_good)
    refuse(name, "has the wrong dtype", file_dtype(tensor.scalar_type()),
           name == "cu_seqlens" ? "I32" : "F64, F32, F16 or BF16");
}

// A log-gate is one number a head, or one a channel, by the rule's decay.
void check_rank(const std::string& name, const at::Tensor& tensor, const RuleRecurrence& recurrence) {
  const bool is_channel = recurrence.decay == "channel";
  const bool fits = name == "log_alpha" ? tensor.dim() == (is_channel ? 4 : 3)
                                        : tensor.dim() == 3 || (is_channel && tensor.dim() == 4);
  if (fits) return;
  refuse(name, "has the wrong shape", sizes_text(tensor.sizes()),
         name == "log_mu" ? (is_channel ? "[B,T,H] or [B,T,H,K]" : "[B,T,H]")
         : is_channel     ? "[B,T,H,K]"
                          : "[B,T,H]",
         fmt::format("the decay of {} is {}", recurrence.rule, recurrence.decay));
}

void check_neutral(const Known& known, const at::Tensor& tensor, const RuleRecurrence& recurrence) {
  if (const auto other = first_other(tensor, tensor == known.neutral)) {
    refuse(known.name, fmt::format("is not used by {}, which has no {}", recurrence.rule, word(known.use)),
           *other, fmt::format("{} everywhere, or no such tensor", known.neutral));
  }
}

}  // namespace

std::string sizes_text(at::IntArrayRef sizes) {
  std::vector<std::string> words;
  for (const std::int64_t size : sizes) words.push_back(std::to_string(size));
  return "[" + join(words, ",") + "]";
}

TensorMap used_tensors(const RuleRecurrence& recurrence, const TensorMap& given) {
  for (const char* name : {"q", "k", "v"}) {
    if (given.count(name) == 0) refuse(name, "is missing");
  }
  TensorMap used;
  for (const auto& [name, tensor] : given) {
    const auto known = std::ranges::find(known_tensors, name, &Known::name);
    if (known == known_tensors.end()) {
      std::vector<std::string> names;
      for (const Known& one : known_tensors) names.emplace_back(one.name);
      refuse(name, "is none that a rule takes", {}, {}, suggestion(name, names));
    }
    check_dtype(name, tensor);
    if (name != "cu_seqlens") check_numbers(name, tensor);
    if (!is_used(*known, recurrence)) {
      check_neutral(*known, tensor, recurrence);
      continue;
    }
    if (name.starts_with("log_")) check_rank(name, tensor, recurrence);
    used[name] = tensor;
  }
  for (const char* name : {"d_final_S", "d_final_M"}) {
    if (used.count(name) && !used.count("do"))
      refuse(name, "is given without 'do'", {}, {}, "gradients need 'do'");
  }
  return used;
}

}  // namespace mdnlab
