// What the kernels of decoding should leave, in double, rounded to bf16 where they do; and problems of random
// numbers for both.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "ops/cuda/decode.h"
#include "ops/cuda/decode_gpu.cuh"

namespace mdnlab::ops::cuda {

inline double halved(double x) { return __bfloat162float(__float2bfloat16_rn(static_cast<float>(x))); }
inline double value(__nv_bfloat16 x) { return __bfloat162float(x); }
inline double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

// Arrays that a kernel works on, and their copies for the reference, which finds them by the same pointers.
class Arrays {
 public:
  explicit Arrays(unsigned seed) : random_(seed) {}

  float* floats(int count, double scale, const std::string& name = "a constant") {
    return take<float>(count, scale, name);
  }
  __nv_bfloat16* halves(int count, double scale, const std::string& name = "a constant") {
    return take<__nv_bfloat16>(count, scale, name);
  }

  void copy() { copy_ = bytes_; }

  template <class T>
  T* copied(T* p) {
    return p ? reinterpret_cast<T*>(
                   copy_.data() +
                   (reinterpret_cast<char*>(const_cast<std::remove_const_t<T>*>(p)) - bytes_.data()))
             : nullptr;
  }

  // Each array's error over all of it.
  void expect_equal(double most, const std::string& where) {
    for (const Array& array : arrays_) {
      double error = 0, norm = 0;
      for (int i = 0; i < array.count; ++i) {
        const double found = at(bytes_, array, i), expected = at(copy_, array, i);
        error += (found - expected) * (found - expected);
        norm += expected * expected;
      }
      EXPECT_LE(std::sqrt(error), most * std::sqrt(norm)) << where << ": " << array.name;
    }
  }

 private:
  static constexpr std::size_t room = std::size_t{64} << 20;
  struct Array {
    std::size_t begin;
    int count;
    bool is_half;
    std::string name;
  };

  static double at(const std::vector<char>& bytes, const Array& array, int i) {
    const char* const begin = bytes.data() + array.begin;
    return array.is_half ? value(reinterpret_cast<const __nv_bfloat16*>(begin)[i])
                         : static_cast<double>(reinterpret_cast<const float*>(begin)[i]);
  }

  template <class T>
  T* take(int count, double scale, const std::string& name) {
    end_ = (end_ + 15) / 16 * 16;
    T* const begin = reinterpret_cast<T*>(bytes_.data() + end_);
    arrays_.push_back({end_, count, sizeof(T) == 2, name});
    end_ += sizeof(T) * static_cast<std::size_t>(count);
    if (end_ > room) throw std::logic_error("no room for more arrays");
    std::normal_distribution<float> normal(0, static_cast<float>(scale));
    for (int i = 0; i < count; ++i) begin[i] = T(normal(random_));
    return begin;
  }

  std::vector<char> bytes_ = std::vector<char>(room), copy_;
  std::vector<Array> arrays_;
  std::size_t end_ = 0;
  std::mt19937 random_;
};

inline RowsPart& add_part(Arrays& arrays, RowsProduct& in, RowsOutput output, int N, void* y,
                          int y_stride = 0) {
  RowsPart& part = in.part[in.parts++];
  part = {.output = output, .N = N, .weight = arrays.halves(N * in.K, 1 / std::sqrt(in.K))};
  part.y = y;
  part.y_stride = y_stride > 0 ? y_stride : N;
  if (output == RowsOutput::swiglu) part.up = arrays.halves(N * in.K, 1 / std::sqrt(in.K));
  return part;
}
inline void add_taps(Arrays& arrays, RowsPart& part, int R, int taps) {
  part.taps = taps;
  part.taps_NW = arrays.floats(part.N * taps, 0.5);
  part.carried_RWN = arrays.halves(R * (taps - 1) * part.N, 1, "what is carried");
}

// x̂ of row r; of a product it is rounded before it is scaled.
inline std::vector<double> normed_row(Arrays& arrays, const RowsNorm& norm, int K, int r, bool of_product) {
  std::vector<double> row(static_cast<std::size_t>(K));
  const float *const x = arrays.copied(norm.x_RK) + r * K, *const weight = arrays.copied(norm.weight);
  double squares = 0;
  for (int c = 0; c < K; ++c) squares += static_cast<double>(x[c]) * x[c];
  const double scale = 1 / std::sqrt(squares / K + norm.eps);
  for (int c = 0; c < K; ++c) {
    const double weighted = static_cast<double>(x[c]) * weight[c];
    row[static_cast<std::size_t>(c)] = (of_product ? halved(weighted) : weighted) * scale;
  }
  return row;
}

inline void write_expected(Arrays& arrays, const RowsPart& part, int n, int r, double sum, double up) {
  const double y = halved(sum);
  const long long to = r * part.y_stride + n;
  auto* const whole = static_cast<float*>(part.y);
  auto* const half = static_cast<__nv_bfloat16*>(part.y);
  const auto put_half = [&](double x) {
    arrays.copied(half)[to] = __float2bfloat16_rn(static_cast<float>(x));
  };
  const auto put_whole = [&](double x) { arrays.copied(whole)[to] = static_cast<float>(x); };
  switch (part.output) {
    case RowsOutput::store: return put_half(part.bias ? y + halved(arrays.copied(part.bias)[n]) : y);
    case RowsOutput::swiglu: return put_half(y * sigmoid_of(y) * halved(up));
    case RowsOutput::add: return put_whole(arrays.copied(whole)[to] + y);
    case RowsOutput::widen: return put_whole(sum);
    case RowsOutput::convolve: break;
  }
  double mixed = part.taps > 0 ? 0 : y;
  const int past = part.taps - 1;
  const auto carried = [&](int i) -> __nv_bfloat16& {
    return arrays.copied(part.carried_RWN)[(r * past + i) * part.N + n];
  };
  for (int i = 0; i < part.taps; ++i)
    mixed += arrays.copied(part.taps_NW)[n * part.taps + i] * (i < past ? value(carried(i)) : y);
  for (int i = 0; i < past; ++i)
    carried(i) = i + 1 < past ? carried(i + 1) : __float2bfloat16_rn(static_cast<float>(y));
  put_whole(mixed * sigmoid_of(mixed));
}

inline void expect_product(Arrays& arrays, const RowsProduct& in) {
  for (int r = 0; r < in.R; ++r) {
    const std::vector<double> normed =
        in.norm.x_RK ? normed_row(arrays, in.norm, in.K, r, true) : std::vector<double>();
    for (int p = 0; p < in.parts; ++p) {
      const RowsPart& part = in.part[p];
      const auto product = [&](const __nv_bfloat16* weight, int n) {
        double sum = 0;
        for (int k = 0; k < in.K; ++k) {
          const double x =
              part.x ? value(arrays.copied(part.x)[r * in.K + k]) : normed[static_cast<std::size_t>(k)];
          sum += x * value(arrays.copied(weight)[n * in.K + k]);
        }
        return sum;
      };
      for (int n = 0; n < part.N; ++n)
        write_expected(arrays, part, n, r, product(part.weight, n), part.up ? product(part.up, n) : 0);
    }
  }
}

// A kernel's product of R rows with some weights, N rows each.
using RunProduct = cudaError_t (*)(const RowsProduct& problem, int multiprocessors, cudaStream_t stream);
struct GivenPart {
  RowsOutput output;
  int N;
  bool has_own_x = false;  // else the norm's, or one of all parts
  int room = 0;            // behind a row of y, where a kernel may write what it likes
};
inline void check_product(RunProduct run, int multiprocessors, int R, int K, bool is_normed,
                          const std::vector<GivenPart>& parts) {
  Arrays arrays(static_cast<unsigned>(R + K));
  RowsProduct in{.R = R, .K = K};
  const __nv_bfloat16* const x = arrays.halves(R * K, 1);
  if (is_normed) in.norm = {.x_RK = arrays.floats(R * K, 1), .weight = arrays.floats(K, 1), .eps = 1e-6F};
  for (const auto& [output, N, has_own_x, room] : parts) {
    const bool is_half = output == RowsOutput::store || output == RowsOutput::swiglu;
    void* const y = is_half ? static_cast<void*>(arrays.halves(R * (N + room), 1, "bf16"))
                            : arrays.floats(R * (N + room), 1, "float32");
    RowsPart& part = add_part(arrays, in, output, N, y, N + room);
    if (!is_normed || has_own_x) part.x = has_own_x ? arrays.halves(R * K, 1) : x;
    if (output == RowsOutput::convolve && N % 16 == 0) add_taps(arrays, part, R, N % 32 == 0 ? 4 : 2);
    if (output == RowsOutput::store && N % 2 == 1) part.bias = arrays.floats(N, 1);
  }
  arrays.copy();
  expect_product(arrays, in);
  ASSERT_EQ(run(in, multiprocessors, nullptr), cudaSuccess);
  for (const RowsPart& part : std::span(in.part).first(static_cast<std::size_t>(in.parts))) {
    auto* const y = static_cast<float*>(part.y);
    for (long long i = 0; part.output == RowsOutput::widen && i < R * part.y_stride; ++i)
      if (i % part.y_stride >= part.N) arrays.copied(y)[i] = y[i];
  }
  arrays.expect_equal(2e-3, std::to_string(R) + " rows, K " + std::to_string(K));
}

// A step of random inputs, into y. With channels the decay is of these alone.
struct StepOptions {
  bool momentum = true, delta = true, channels = false, gate = true, silu = false, correction = false;
};
inline MixerStep random_step(Arrays& arrays, int R, int H, int G, int K, int V, const StepOptions& options) {
  MixerStep step{};
  step.R = R, step.H = H, step.G = G, step.K = K, step.V = V;
  step.q_RGK = arrays.floats(R * G * K, 1);
  step.k_RGK = arrays.floats(R * G * K, 1);
  step.v_RHV = arrays.floats(R * H * V, 1);
  if (options.correction) step.D_log_G = arrays.floats(G, 0.1);
  step.rule = {.has_decay = !options.channels,
               .has_momentum = options.momentum,
               .has_delta = options.delta,
               .constraint = options.momentum ? GateConstraint::effective_step : GateConstraint::none,
               .least_eta = 0.5};  // β is divided by η: near 0 it would enlarge what is rounded the other way
  int used = 0;
  for (int i = 0; i < kProjections; ++i) used += step.rule.uses(static_cast<GateProjection>(i));
  step.gates_RPH = arrays.halves(R * used * H, 1);
  for (const float*& w : step.w_H) w = arrays.floats(H, 0.3);
  if (options.channels) {
    step.channels_RHK = arrays.halves(R * H * K, 1);
    step.rate_log_H = arrays.floats(H, 0.3);
    step.bias_HK = arrays.floats(H * K, 0.5);
  }
  step.has_delta = options.delta;
  step.look_ahead = options.momentum ? 0.25F : 0;
  step.S_RHKV = arrays.floats(R * H * K * V, 0.3, "S");
  if (options.momentum) step.M_RHKV = arrays.floats(R * H * K * V, 0.3, "M");
  if (options.gate) step.gate_RHV = arrays.halves(R * H * V, 1);
  step.gate_is_silu = options.silu;
  step.norm_weight_V = arrays.floats(V, 1);
  step.eps = 1e-5F;
  return step;
}

struct Exact {
  double value = 0;

  Exact() = default;
  Exact(double constant) : value(constant) {}
};
inline Exact operator+(Exact x, Exact y) { return x.value + y.value; }
inline Exact operator-(Exact x, Exact y) { return x.value - y.value; }
inline Exact operator*(Exact x, Exact y) { return x.value * y.value; }
inline Exact operator/(Exact x, Exact y) { return x.value / y.value; }
inline Exact operator-(Exact x) { return -x.value; }
inline Exact exp(Exact x) { return std::exp(x.value); }
inline Exact log(Exact x) { return std::log(x.value); }
inline Exact sqrt(Exact x) { return std::sqrt(x.value); }
inline Exact square(Exact x) { return x.value * x.value; }
inline Exact log1p(Exact x) { return std::log1p(x.value); }
inline Exact expm1(Exact x) { return std::expm1(x.value); }
inline Exact sigmoid(Exact x) { return sigmoid_of(x.value); }
inline Exact tanh(Exact x) { return std::tanh(x.value); }
inline Exact softplus(Exact x) { return std::log1p(std::exp(x.value)); }
inline Exact clamp_min(Exact x, double least) { return std::max(x.value, least); }

inline void expect_step(Arrays& arrays, const MixerStep& in) {
  const int K = in.K, V = in.V;
  for (int pair = 0; pair < in.R * in.H; ++pair) {
    const int r = pair / in.H, h = pair % in.H, key_head = r * in.G + h / (in.H / in.G);
    Exact x[kProjections], w[kGateParameters], gates[kGates];
    int used = 0, next = 0;
    for (int i = 0; i < kProjections; ++i) used += in.rule.uses(static_cast<GateProjection>(i));
    for (int i = 0; i < kProjections; ++i)
      if (in.rule.uses(static_cast<GateProjection>(i)))
        x[i] = value(arrays.copied(in.gates_RPH)[(r * used + next++) * in.H + h]);
    for (int i = 0; i < kGateParameters; ++i) w[i] = arrays.copied(in.w_H[i])[h];
    gates[kBeta] = gates[kEta] = gates[kEraseShare] = 1.;
    gates_of<Exact>(in.rule, x, w, nullptr, gates);

    std::vector<double> q, k, alpha, mu;
    double of_q = 1e-6, of_k = 1e-6;
    for (int c = 0; c < K; ++c) {
      k.push_back(arrays.copied(in.k_RGK)[key_head * K + c]);
      q.push_back(arrays.copied(in.q_RGK)[key_head * K + c]);
      if (in.D_log_G) q.back() -= std::exp(arrays.copied(in.D_log_G)[key_head % in.G]) * k.back();
      of_q += q.back() * q.back(), of_k += k.back() * k.back();
      double log_alpha = gates[kLogAlpha].value;
      if (in.channels_RHK) {
        const double z =
            value(arrays.copied(in.channels_RHK)[pair * K + c]) + arrays.copied(in.bias_HK)[h * K + c];
        log_alpha -= std::exp(arrays.copied(in.rate_log_H)[h]) * softplus(Exact(z)).value;
      }
      alpha.push_back(std::exp(log_alpha));
      mu.push_back(std::exp(gates[kLogMu].value) * (in.channels_RHK ? alpha.back() : 1));
    }
    float* const S = arrays.copied(in.S_RHKV) + pair * K * V;
    float* const M = in.M_RHKV ? arrays.copied(in.M_RHKV) + pair * K * V : nullptr;
    std::vector<double> o;
    double squares = 0;
    for (int v = 0; v < V; ++v) {
      double residual = halved(arrays.copied(in.v_RHV)[pair * V + v]), sum = 0;
      const auto of_k_at = [&](int c) { return halved(k[static_cast<std::size_t>(c)] / std::sqrt(of_k)); };
      const auto at = [](const std::vector<double>& list, int c) {
        return list[static_cast<std::size_t>(c)];
      };
      for (int c = 0; c < K && in.has_delta; ++c)
        residual -= gates[kEraseShare].value * at(alpha, c) * of_k_at(c) * S[c * V + v];
      for (int c = 0; c < K; ++c) {
        double written = -gates[kEta].value * of_k_at(c) * residual;
        if (M) written += at(mu, c) * M[c * V + v];
        const double kept = at(alpha, c) * S[c * V + v] - gates[kBeta].value * written;
        S[c * V + v] = static_cast<float>(kept);
        if (M) M[c * V + v] = static_cast<float>(written);
        sum += halved(at(q, c) / std::sqrt(of_q) / std::sqrt(K)) * (kept - (M ? in.look_ahead * written : 0));
      }
      o.push_back(halved(sum));
      squares += o.back() * o.back();
    }
    for (int v = 0; v < V; ++v) {
      double y = o[static_cast<std::size_t>(v)] / std::sqrt(squares / V + in.eps) *
                 arrays.copied(in.norm_weight_V)[v];
      if (in.gate_RHV) {
        const double z = value(arrays.copied(in.gate_RHV)[pair * V + v]);
        y *= in.gate_is_silu ? z * sigmoid_of(z) : sigmoid_of(z);
      }
      arrays.copied(in.y_RHV)[pair * V + v] = __float2bfloat16_rn(static_cast<float>(y));
    }
  }
}

}  // namespace mdnlab::ops::cuda
