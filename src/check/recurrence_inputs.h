// Inputs of the recurrence level, and what comes of them. Shape letters as in scan/chunk.h.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "check/recurrence.h"

namespace mdnlab::check {

// Log-gates and the size of the steps.
struct Gates {
  double log_alpha = -0.05, log_mu = -0.5;  // kMixed: each token's drawn from −1e-4, −0.1, −1, −5, −20
  double largest_beta = 0.3;
};
inline constexpr double kMixed = 1;

struct InputSettings {
  std::int64_t B = 2, T = 47, G = 2, H = 2, K = 20, V = 12;
  Gates gates = {};
  bool state = true;      // initial states
  bool own_p = false;     // an erase key of its own; rules with delta
  bool raw_keys = false;  // keys and queries as drawn, N(0,1), not normalised
  bool neutral = false;   // no beta and no eta
  enum class Mu { shares_alpha, scalar, channel } mu = Mu::shares_alpha;  // where α has channels
  bool forgets = false;                                                   // gates of −∞ at two tokens
  double look_ahead = 0;
  std::vector<std::int32_t> cu_seqlens = {};
  std::int64_t draws = 1;  // as repeated()
};

// float64 on a device, every value one of float32, so that all dtypes but bf16 start from the same numbers. β
// is halved until no entry of the float64 states reaches 1e3 at any token.
scan::Inputs make_inputs(const Recurrence& recurrence, const InputSettings& settings, std::uint64_t seed,
                         c10::Device device = c10::kCPU);

// The settings with K and V as a kernel takes them in `dtype` (recurrence.h); none where it takes no widths,
// and then `verdict` is told the reason.
std::optional<InputSettings> fitted(const Kernel::Refusal& refusal, const Recurrence& recurrence,
                                    const InputSettings& settings, at::ScalarType dtype, Verdict& verdict);

// q, k, v, p in `dtype`, states rounded to it, gates and states in float32 (float64 for float64).
scan::Inputs as(const scan::Inputs& inputs, at::ScalarType dtype);

struct Named {
  std::string name;
  at::Tensor tensor;
  std::int64_t head_dimension;
};

using Scan = std::function<scan::Outputs(const scan::Inputs&)>;

// o, S, M and the gradients of ⟨o, dO⟩ + ⟨S, dS⟩ + ⟨M, dM⟩ with regard to every tensor given, with the same
// random dO, dS, dM for one seed, rounded to the dtype of q or to another. Undefined where there is none.
std::vector<Named> results(const Scan& scan, const scan::Inputs& inputs, std::uint64_t seed,
                           std::optional<at::ScalarType> rounded_to = {});

bool is_low_precision(at::ScalarType dtype);  // bf16, f16

// Low precision is judged by several draws, side by side as further rows and documents: in a single one a
// tensor of few numbers, or with one that outweighs the others, may come out of its rounding unscathed by
// chance, and no kernel can be held to that. They have the same gates: drawn apart, gates of all sizes would
// make answers of all sizes, and the one that happens to be worst conditioned would speak for all.
inline constexpr std::int64_t kDraws = 24;
InputSettings repeated(InputSettings settings, std::int64_t draws);

// How far such a kernel may be from the exact answers (results of scan::reference), as relative_errors over
// kDraws: for each result, head by head, twice as far as the float64 answer to rounded inputs (all but the
// gates), rounded itself; float32's own tolerance on top.
std::vector<std::vector<double>> low_precision_tolerances(const scan::Inputs& inputs,
                                                          const std::vector<Named>& exact, std::uint64_t seed,
                                                          at::ScalarType dtype);

// Tokens begin..end of every row; states as they are.
scan::Inputs tokens(const scan::Inputs& inputs, std::int64_t begin, std::int64_t end);

bool is_state(std::size_t tensor);  // of scan::tensors()

at::Tensor normal(at::IntArrayRef shape, std::uint64_t seed, std::string_view name);   // float64, N(0,1)
at::Tensor uniform(at::IntArrayRef shape, std::uint64_t seed, std::string_view name);  // float64, [0,1)

}  // namespace mdnlab::check
