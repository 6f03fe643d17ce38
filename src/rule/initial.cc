#include "rule/initial.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "base/random.h"

namespace mdnlab {

std::string Initial::text() const {
  const std::string one = fmt::format("{:.4g}", a), other = fmt::format("{:.4g}", b);
  const std::string range = "(" + one + ", " + other + ")";
  switch (kind) {
    case Kind::constant: return one;
    case Kind::normal: return "N(0, " + one + "²)";
    case Kind::uniform: return "U" + range;
    case Kind::log_uniform: return "log U" + range;
    case Kind::inverse_softplus: return "softplus⁻¹(exp U(log " + one + ", log " + other + "))";
    case Kind::log_count: return "log(1…n)";
  }
  return {};
}

namespace {

std::uint64_t hash_name(std::string_view name) {  // FNV-1a
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const unsigned char c : name) hash = (hash ^ c) * 0x100000001b3u;
  return hash;
}

// Box–Muller, of two numbers in [0, 1); 1 − u is never 0.
double normal(double deviation, double u, double v) {
  return deviation * std::sqrt(-2 * std::log(1 - u)) * std::cos(2 * std::numbers::pi * v);
}

double draw(const Initial& initial, Random& random) {
  using Kind = Initial::Kind;
  switch (initial.kind) {
    case Kind::uniform: return random.uniform(initial.a, initial.b);
    case Kind::log_uniform: {
      const double least = std::max(initial.a, 1e-4 * initial.b);
      return std::log(random.uniform(least, initial.b));
    }
    case Kind::inverse_softplus: {
      const double value = std::max(std::exp(random.uniform(std::log(initial.a), std::log(initial.b))), 1e-4);
      return value + std::log(-std::expm1(-value));
    }
    case Kind::constant:
    case Kind::normal:
    case Kind::log_count: break;
  }
  return initial.a;
}

// The random numbers come one after another; what is made of them, most of the work, on all threads.
template <class T>
void fill_normal(T* values, std::int64_t count, double deviation, Random& random) {
  constexpr std::int64_t at_once = 1 << 18, least_of_a_thread = 1 << 12;
  std::vector<double> uniform(static_cast<std::size_t>(2 * std::min(count, at_once)));
  for (std::int64_t from = 0; from < count; from += at_once) {
    const std::int64_t part = std::min(at_once, count - from);
    for (std::int64_t i = 0; i < 2 * part; ++i) uniform[static_cast<std::size_t>(i)] = random.uniform();
    at::parallel_for(0, part, least_of_a_thread, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const double* const pair = uniform.data() + 2 * i;
        values[from + i] = static_cast<T>(normal(deviation, pair[0], pair[1]));
      }
    });
  }
}

template <class T>
void fill_values(at::Tensor& tensor, const Initial& initial, std::uint64_t seed, std::string_view name) {
  Random random{seed, hash_name(name)};
  T* values = tensor.data_ptr<T>();
  if (initial.kind == Initial::Kind::normal) return fill_normal(values, tensor.numel(), initial.a, random);
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    const bool counts = initial.kind == Initial::Kind::log_count;
    values[i] = static_cast<T>(counts ? std::log(1.0 + static_cast<double>(i)) : draw(initial, random));
  }
}

}  // namespace

void fill(at::Tensor& tensor, const Initial& initial, std::uint64_t seed, std::string_view name) {
  if (tensor.scalar_type() == at::kDouble) {
    fill_values<double>(tensor, initial, seed, name);
  } else {
    fill_values<float>(tensor, initial, seed, name);
  }
}

}  // namespace mdnlab
