// Initial values of learned parameters, as data: printable, and a function of the seed and the name alone.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace mdnlab {

struct Initial {
  enum class Kind {
    constant,          // a
    normal,            // N(0, a²)
    uniform,           // U(a, b)
    log_uniform,       // log of U(a, b), a bounded away from 0
    inverse_softplus,  // softplus⁻¹ of max(exp U(log a, log b), 1e-4): softplus of it is log-uniform in (a,
                       // b)
    log_count  // log(1 + i) of the flat index i
  };
  Kind kind = Kind::normal;
  double a = 0.02;
  double b = 0;

  std::string text() const;  // e.g. "log U(0, 16)"
};

// Fills a CPU tensor in place. The draw depends on (seed, name, size) only, not on the other parameters.
void fill(at::Tensor& tensor, const Initial& initial, std::uint64_t seed, std::string_view name);

}  // namespace mdnlab
