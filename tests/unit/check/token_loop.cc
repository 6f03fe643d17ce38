#include "token_loop.h"

#include <cmath>
#include <cstdint>
#include <limits>

namespace mdnlab {

namespace {

// A tensor's numbers, or one number for all of them.
class Numbers {
 public:
  Numbers(const TensorMap& tensors, const char* name, double absent) : absent_(absent) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) return;
    const at::Tensor whole = found->second.contiguous();
    const double* first = whole.const_data_ptr<double>();
    values_.assign(first, first + whole.numel());
  }
  bool are_given() const { return !values_.empty(); }
  double operator()(std::int64_t index) const {
    return values_.empty() ? absent_ : values_[static_cast<std::size_t>(index)];
  }
  std::int64_t count() const { return static_cast<std::int64_t>(values_.size()); }

 private:
  double absent_;
  std::vector<double> values_;
};

}  // namespace

LoopResult token_loop(const RuleRecurrence& recurrence, const TensorMap& tensors) {
  const at::Tensor &q_shape = tensors.at("q"), &v_shape = tensors.at("v");
  const std::int64_t B = v_shape.size(0), T = v_shape.size(1), H = v_shape.size(2), K = q_shape.size(3),
                     V = v_shape.size(3);
  const double infinity = std::numeric_limits<double>::infinity();
  const Numbers q(tensors, "q", 0), k(tensors, "k", 0), v(tensors, "v", 0),
      log_alpha(tensors, "log_alpha", 0), log_mu(tensors, "log_mu", -infinity), beta(tensors, "beta", 1),
      eta(tensors, "eta", 1), p(tensors, "p", 0), initial_S(tensors, "initial_S", 0),
      initial_M(tensors, "initial_M", 0);
  std::vector<std::int64_t> starts;
  if (tensors.count("cu_seqlens")) {
    const int* first = tensors.at("cu_seqlens").const_data_ptr<int>();
    starts.assign(first, first + tensors.at("cu_seqlens").numel());
  } else {
    for (std::int64_t row = 0; row <= B; ++row) starts.push_back(row * T);
  }
  // Of token i, head h, channel c: a log-gate has one number a head or one a channel.
  const auto gate = [&](const Numbers& log, std::int64_t i, std::int64_t h, std::int64_t c) {
    return std::exp(log(log.count() == B * T * H ? i * H + h : (i * H + h) * K + c));
  };

  LoopResult result;
  const std::int64_t documents = static_cast<std::int64_t>(starts.size()) - 1;
  result.o.resize(static_cast<std::size_t>(B * T * H * V));
  for (std::int64_t n = 0; n < documents; ++n) {
    for (std::int64_t h = 0; h < H; ++h) {
      std::vector<double> S, M;
      for (std::int64_t i = 0; i < K * V; ++i) {
        S.push_back(initial_S((n * H + h) * K * V + i));
        M.push_back(initial_M((n * H + h) * K * V + i));
      }
      for (std::int64_t i = starts[n]; i < starts[n + 1]; ++i) {
        const std::int64_t head = i * H + h;
        for (std::int64_t d = 0; d < V; ++d) {
          double residual = v(head * V + d);
          for (std::int64_t c = 0; recurrence.delta && c < K; ++c) {
            const double erase = p.are_given() ? p(head * K + c) : gate(log_alpha, i, h, c) * k(head * K + c);
            residual -= erase * S[c * V + d];
          }
          double output = 0;
          for (std::int64_t c = 0; c < K; ++c) {
            double &s = S[c * V + d], &m = M[c * V + d];
            m = gate(log_mu, i, h, c) * m - eta(head) * k(head * K + c) * residual;
            s = gate(log_alpha, i, h, c) * s - beta(head) * m;
            output += q(head * K + c) * (s - recurrence.look_ahead * m);
          }
          result.o[head * V + d] = output;
        }
      }
      result.final_S.insert(result.final_S.end(), S.begin(), S.end());
      result.final_M.insert(result.final_M.end(), M.begin(), M.end());
    }
  }
  return result;
}

}  // namespace mdnlab
