// Outputs, final states and every gradient against the reference, over the table below; each row in float64,
// float32 and bf16.
#include <ATen/TensorOperators.h>

#include <algorithm>

#include "check/recurrence.h"
#include "check/recurrence_inputs.h"

namespace mdnlab::check {

namespace {

constexpr std::int64_t kChunk = 32;

struct Row {
  const char* group;
  const char* variant;
  InputSettings inputs;
  std::int64_t chunk_size = kChunk;
  std::int64_t segments = 0;
};

std::vector<Row> rows() {
  // Where writes last, a small β keeps the state bounded for all tokens, not for a few.
  constexpr Gates kSlow{.log_alpha = -1e-4, .log_mu = -1e-4, .largest_beta = 0.01};
  const auto length = [](std::int64_t T, bool state) {
    return InputSettings{.T = T, .K = 12, .V = 7, .state = state};
  };
  const auto gates = [](Gates values) {
    return InputSettings{.B = 1, .T = 67, .K = 16, .V = 16, .gates = values};
  };
  const InputSettings odd{.B = 1, .T = 67, .K = 17, .V = 9};
  return {{"length", "T=1", length(1, false)},
          {"length", "T=1,state", length(1, true)},
          {"length", "T=C-1", length(kChunk - 1, false)},
          {"length", "T=C-1,state", length(kChunk - 1, true)},
          {"length", "T=C", length(kChunk, false)},
          {"length", "T=C,state", length(kChunk, true)},
          {"length", "T=C+1", length(kChunk + 1, false)},
          {"length", "T=C+1,state", length(kChunk + 1, true)},
          {"length", "T=67", length(67, false)},
          {"length", "T=67,state", length(67, true)},
          // Kernels whose chunks have 64 tokens, whatever is wished.
          {"length", "T=63", length(63, true)},
          {"length", "T=64", length(64, true)},
          {"length", "T=65", length(65, true)},
          {"length", "T=131", length(131, true)},
          {"chunk", "C=1", odd, 1},
          {"chunk", "C=7", odd, 7},
          {"chunk", "C=16", odd, 16},
          {"chunk", "C=64", odd, 64},
          {"chunk", "C=auto", odd, 0},
          // Five chunks of 64 tokens and one of two; where gates are slow, what one segment leaves to the
          // next counts.
          {"segments", "3", {.B = 1, .T = 322, .K = 16, .V = 16}, kChunk, 3},
          {"segments", "6,slow", {.B = 1, .T = 322, .K = 16, .V = 16, .gates = kSlow}, kChunk, 6},
          {"segments",
           "documents",
           {.B = 1, .T = 300, .K = 16, .V = 16, .cu_seqlens = {0, 194, 194, 200, 300}},
           kChunk,
           4},
          {"gates", "near_zero", gates({.log_alpha = -20, .log_mu = -20, .largest_beta = 1e-3})},
          {"gates", "slow", gates(kSlow)},
          {"gates", "strong", gates({.log_alpha = -5, .log_mu = -5})},
          {"gates", "mixed", gates({.log_alpha = kMixed, .log_mu = kMixed})},
          {"gates", "log_mu=-2", gates({.log_alpha = -0.01, .log_mu = -2})},
          {"gates", "log_mu=-4", gates({.log_alpha = -0.01, .log_mu = -4})},
          {"gates", "minus_infinity", {.B = 1, .T = 67, .K = 16, .V = 16, .forgets = true}},
          {"keys", "not_normalised", {.B = 1, .T = 67, .K = 16, .V = 16, .raw_keys = true}},
          {"keys", "shared", {.T = 40, .G = 2, .H = 4, .K = 8, .V = 8}},
          {"keys", "own_erase_key", {.B = 1, .T = 67, .K = 16, .V = 16, .own_p = true}},
          {"options", "neutral", {.B = 1, .T = 40, .K = 16, .V = 16, .state = false, .neutral = true}},
          {"options", "look_ahead", {.B = 1, .T = 67, .K = 16, .V = 16, .look_ahead = 0.7}},
          {"options", "scalar_mu", {.B = 1, .T = 67, .K = 16, .V = 16, .mu = InputSettings::Mu::scalar}},
          {"options", "channel_mu", {.B = 1, .T = 67, .K = 16, .V = 16, .mu = InputSettings::Mu::channel}},
          {"documents",
           "reference",
           {.T = 50, .K = 16, .V = 16, .cu_seqlens = {0, 0, 3, 31, 50, 50, 83, 100, 100}}},
          {"documents",
           "reference,no_state",
           {.T = 50, .K = 16, .V = 16, .state = false, .cu_seqlens = {0, 1, 31, 50, 83, 100}}}};
}

bool applies(const Row& row, const Recurrence& recurrence) {
  const InputSettings& s = row.inputs;
  const bool about_momentum = std::string_view(row.variant).starts_with("log_mu") || s.look_ahead != 0;
  if (about_momentum && !recurrence.momentum) return false;
  if (s.own_p && !recurrence.delta) return false;
  const bool has_channels = recurrence.momentum && recurrence.decay == Decay::channel;
  if (s.mu != InputSettings::Mu::shares_alpha && !has_channels) return false;
  const bool has_gates = recurrence.momentum || recurrence.decay != Decay::none;
  return has_gates || std::string_view(row.group) != "gates";
}

}  // namespace

void check_against_reference(const Recurrence& recurrence, const Kernel& kernel, std::uint64_t seed,
                             Verdict& verdict) {
  for (const Row& row : rows()) {
    if (!applies(row, recurrence)) continue;
    const Scan chunk = [&](const scan::Inputs& in) {
      return kernel.chunk(in, {.chunk_size = row.chunk_size, .segments = row.segments, .want_state = true});
    };
    for (const at::ScalarType dtype : kernel.dtypes) {
      const auto settings = fitted(kernel.refusal_of_chunk, recurrence, row.inputs, dtype, verdict);
      if (!settings) continue;
      const Where where{std::string("recurrence/") + row.group, row.variant, dtype};
      verdict.attempt(where, [&] {
        const bool is_low = is_low_precision(dtype);
        const scan::Inputs inputs =
            make_inputs(recurrence, is_low ? repeated(*settings, kDraws) : *settings, seed, kernel.device);
        const std::vector<Named> exact = results(scan::reference, inputs, seed),
                                 found = results(chunk, as(inputs, dtype), seed);
        const auto tolerances = is_low ? low_precision_tolerances(inputs, exact, seed, dtype)
                                       : std::vector<std::vector<double>>();
        for (std::size_t i = 0; i < exact.size(); ++i) {
          const auto& [name, expected, heads] = exact[i];
          if (is_low) {
            verdict.close_each(where, name, found[i].tensor, expected, heads, kDraws, tolerances[i]);
          } else {
            verdict.close(where, name, found[i].tensor, expected);
          }
        }
      });
    }
  }
}

Verdict check_recurrence(const Recurrence& recurrence, const Kernel& kernel, std::uint64_t seed) {
  Verdict verdict;
  check_against_reference(recurrence, kernel, seed, verdict);
  check_structure(recurrence, kernel, seed, verdict);
  verdict.set_place(kernel.device.is_cpu() ? "cpu" : "cuda", kernel.name);
  return verdict;
}

}  // namespace mdnlab::check
