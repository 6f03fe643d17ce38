// The kernels by themselves: what they leave in scratch and in outputs does not depend on what was there
// before.
#include "scan/cpu/kernel.h"

#include <cmath>
#include <limits>
#include <vector>

#include "cases.h"
#include "scan/cpu/exp.h"

namespace mdnlab::scan::cpu {

namespace {

constexpr std::int64_t kTokens = 45, kHeads = 2, kKeyWidth = 11, kValueWidth = 19, kChunkSize = 20,
                       kChunks = 3;

std::vector<float> values(std::int64_t count, std::uint64_t seed, double scale, double shift = 0) {
  const at::Tensor drawn = normal({count}, seed).abs().mul(scale).add(shift).to(at::kFloat).contiguous();
  return {drawn.const_data_ptr<float>(), drawn.const_data_ptr<float>() + count};
}

// Outputs, final state and gradients, one after another. Those, the scratch and what is saved begin as
// `poison`.
std::vector<float> run(const Rule& rule, float poison) {
  const auto [has_delta, has_momentum, own_p, channel_decay, channel_mu, look_ahead] = rule;
  std::vector<float> everything;
  const auto rows = [](auto& data, std::int64_t width) {
    return Rows<std::remove_pointer_t<decltype(data.data())>>{data.data(), kHeads * width, width};
  };
  const auto poisoned = [&](std::int64_t count) {
    return std::vector<float>(static_cast<std::size_t>(count), poison);
  };
  const std::int64_t rows_K = kTokens * kHeads * kKeyWidth, rows_V = kTokens * kHeads * kValueWidth;
  const std::int64_t gates = kTokens * kHeads, state = kHeads * kKeyWidth * kValueWidth;
  const std::vector<float> q = values(rows_K, 1, 0.1), k = values(rows_K, 2, 0.2, -0.1),
                           v = values(rows_V, 3, 1), p = values(rows_K, 11, 0.2, -0.1),
                           beta = values(gates, 6, 0.1), eta = values(gates, 7, 0.5),
                           dO = values(rows_V, 8, 1);
  const std::vector<double> alpha(static_cast<std::size_t>(gates), 0.95),
      mu(static_cast<std::size_t>(gates), 0.6);
  const std::vector<float> log_alpha = values(rows_K, 9, -0.1), log_mu = values(rows_K, 10, -1);
  const std::int64_t alphas = channel_decay ? rows_K : gates, mus = channel_mu ? rows_K : gates;
  Scan<float> scan;
  scan.heads = scan.key_heads = kHeads;
  scan.key_width = kKeyWidth;
  scan.value_width = kValueWidth;
  scan.tokens = kTokens;
  scan.chunks_per_state = channel_decay ? 2 : 1;
  scan.chunks = (kChunks + scan.chunks_per_state - 1) / scan.chunks_per_state;
  scan.chunk_size = kChunkSize;
  scan.has_delta = has_delta;
  scan.has_momentum = has_momentum;
  scan.q = rows(q, kKeyWidth);
  scan.k = rows(k, kKeyWidth);
  scan.v = rows(v, kValueWidth);
  if (own_p) scan.p = rows(p, kKeyWidth);
  if (channel_decay) {
    scan.log_alpha = log_alpha.data();
    scan.log_mu = has_momentum ? log_mu.data() : nullptr;
    scan.has_channel_mu = channel_mu;
  } else {
    scan.alpha = alpha.data();
    scan.mu = has_momentum ? mu.data() : nullptr;
  }
  scan.look_ahead = look_ahead;
  scan.beta = beta.data();
  scan.eta = eta.data();

  const Functions<float>& functions = (channel_decay ? channel_kernel() : kernel()).f32;
  std::vector<float> space = poisoned(functions.scratch_size(scan) + 16);
  float* scratch = space.data();
  while (reinterpret_cast<std::uintptr_t>(scratch) % 64 != 0) ++scratch;
  std::vector<float> states =
                         poisoned(kHeads * scan.chunks * scan.halves() * kKeyWidth * padded(kValueWidth)),
                     residuals = poisoned(kHeads * kTokens * padded(kValueWidth)), o = poisoned(rows_V),
                     scores = poisoned(kHeads * kChunks * Saved<float>::scores_of_a_chunk(scan)),
                     final_S = poisoned(state), final_M = poisoned(state), dq = poisoned(rows_K),
                     dk = poisoned(rows_K), dp = poisoned(rows_K), dv = poisoned(rows_V),
                     d_alpha = poisoned(alphas), d_mu = poisoned(mus), d_beta = poisoned(gates),
                     d_eta = poisoned(gates);
  const Saved<float> saved{states.data(), has_delta ? residuals.data() : nullptr, scores.data()};
  const Document document{0, 0, kTokens, 0};
  Gradients<float> gradients;
  gradients.q = rows(dq, kKeyWidth);
  gradients.k = rows(dk, kKeyWidth);
  gradients.v = rows(dv, kValueWidth);
  if (own_p) gradients.p = rows(dp, kKeyWidth);
  gradients.log_alpha = d_alpha.data();
  gradients.log_mu = has_momentum ? d_mu.data() : nullptr;
  gradients.beta = d_beta.data();
  gradients.eta = d_eta.data();
  for (std::int64_t head = 0; head < kHeads; ++head) {
    functions.forward(scan, document, head, {rows(o, kValueWidth), {final_S.data(), final_M.data()}}, saved,
                      scratch);
    functions.backward(scan, document, head, saved, {rows(dO, kValueWidth), {}}, gradients, scratch);
  }
  if (!own_p) dp.clear();  // never written
  if (!has_momentum) {
    final_M.clear();
    d_mu.clear();
  }
  for (const auto* part : {&o, &final_S, &final_M, &dq, &dk, &dp, &dv, &d_alpha, &d_mu, &d_beta, &d_eta}) {
    everything.insert(everything.end(), part->begin(), part->end());
  }
  return everything;
}

TEST(ScanKernel, ReadsNothingItHasNotWritten) {
  for (const Rule& rule : kRules) {
    SCOPED_TRACE(name(rule));
    const float nan = std::numeric_limits<float>::quiet_NaN();  // would differ from itself
    EXPECT_EQ(run(rule, 0), run(rule, nan));
  }
}

// The worst error of the kernels' exponential from `lowest` to 0, in units of the last place.
template <class T>
double worst_exponential(T lowest) {
  double worst = 0;
  constexpr int kPoints = 20000;
  for (int i = 0; i <= kPoints; i += kLanes<T>) {
    Vector<T> x;
    for (int lane = 0; lane < kLanes<T>; ++lane)
      x[lane] = lowest * static_cast<T>(i + lane) / T(kPoints + kLanes<T>);
    const Vector<T> found = exponential<T>(x);
    for (int lane = 0; lane < kLanes<T>; ++lane) {
      const long double expected = std::exp(static_cast<long double>(x[lane]));
      worst = std::max(worst, static_cast<double>(std::abs(found[lane] / expected - 1)));
    }
  }
  return worst / static_cast<double>(std::numeric_limits<T>::epsilon());
}

TEST(ScanKernel, ExponentialsAreRightToTheLastPlaces) {
  EXPECT_LT(worst_exponential<float>(-87), 1.5);
  EXPECT_LT(worst_exponential<double>(-708), 1.5);
  EXPECT_EQ(exponential<float>(Vector<float>{})[0], 1);
  for (const float tiny : {-88.0f, -1e4f, -std::numeric_limits<float>::infinity()})
    EXPECT_EQ(exponential<float>(Vector<float>{} + tiny)[0], 0) << tiny;
  EXPECT_EQ(exponential<double>(Vector<double>{} - std::numeric_limits<double>::infinity())[0], 0);
  EXPECT_TRUE(std::isnan(exponential<float>(Vector<float>{} + std::numeric_limits<float>::quiet_NaN())[0]));
}

}  // namespace

}  // namespace mdnlab::scan::cpu
