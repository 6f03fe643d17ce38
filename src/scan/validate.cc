// Shapes, dtypes and devices of a scan's inputs against the contract of chunk.h.
#include <c10/core/ScalarType.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "scan/inputs.h"

namespace mdnlab::scan {

namespace {

std::string shape_text(at::IntArrayRef shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? "," : "") + std::to_string(shape[i]);
  return text + "]";
}

[[noreturn]] void refuse(const std::string& name, const std::string& aspect, std::string found,
                         std::string expected, std::string hint = {}) {
  throw Error(Code::usage, ErrorText{.what = "scan: " + name + " has the wrong " + aspect,
                                     .found = std::move(found),
                                     .expected = std::move(expected),
                                     .hint = std::move(hint)});
}

class Checker {
 public:
  Checker(at::Device device) : device_(device) {}

  void tensor(const char* name, const char* letters, const at::Tensor& value, std::vector<std::int64_t> shape,
              at::ScalarType dtype) const {
    if (!value.defined()) return;
    if (value.sizes() != at::IntArrayRef(shape)) {
      refuse(name, "shape", shape_text(value.sizes()), std::string(letters) + " = " + shape_text(shape));
    }
    if (value.scalar_type() != dtype) {
      refuse(name, "dtype", c10::toString(value.scalar_type()), c10::toString(dtype));
    }
    if (value.device() != device_) {
      refuse(name, "device", value.device().str(), device_.str() + ", where q is");
    }
  }

 private:
  at::Device device_;
};

void require(const char* name, const at::Tensor& value, const char* letters) {
  if (!value.defined()) refuse(name, "shape", "an undefined tensor", letters);
  if (value.dim() != 4) refuse(name, "shape", shape_text(value.sizes()), letters);
}

// Returns N, the number of documents.
std::int64_t check_documents(const at::Tensor& cu_seqlens, std::int64_t batch, std::int64_t time,
                             at::Device device) {
  if (!cu_seqlens.defined()) return batch;
  if (!cu_seqlens.device().is_cpu() && cu_seqlens.device() != device)
    refuse("cu_seqlens", "device", cu_seqlens.device().str(),
           device.is_cpu() ? "cpu" : "cpu or " + device.str() + ", where q is");
  if (cu_seqlens.scalar_type() != at::kInt) {
    refuse("cu_seqlens", "dtype", c10::toString(cu_seqlens.scalar_type()), "Int");
  }
  if (cu_seqlens.dim() != 1 || cu_seqlens.size(0) < 1) {
    refuse("cu_seqlens", "shape", shape_text(cu_seqlens.sizes()), "[N+1]");
  }
  const std::int64_t documents = cu_seqlens.size(0) - 1;
  if (!cu_seqlens.device().is_cpu()) {
    if (batch == 0 ? documents != 0 : documents < batch || documents % batch != 0)
      refuse("cu_seqlens", "number of documents", std::to_string(documents),
             "a multiple of B = " + std::to_string(batch) + ", as many in each row");
    return documents;
  }
  const at::Tensor starts = cu_seqlens.contiguous();
  const int* start = starts.const_data_ptr<int>();
  if (start[0] != 0) refuse("cu_seqlens", "first value", std::to_string(start[0]), "0");
  if (start[documents] != batch * time) {
    refuse("cu_seqlens", "last value", std::to_string(start[documents]),
           "B·T = " + std::to_string(batch * time));
  }
  std::int64_t row = 1;  // the next row whose start has not been seen
  for (std::int64_t n = 0; n < documents; ++n) {
    if (start[n + 1] < start[n]) {
      refuse("cu_seqlens", "order", std::to_string(start[n + 1]) + " after " + std::to_string(start[n]),
             "values that rise");
    }
    while (row < batch && row * time <= start[n + 1]) {
      if (row * time < start[n + 1]) {
        refuse("cu_seqlens", "boundaries",
               "a document of tokens " + std::to_string(start[n]) + " to " + std::to_string(start[n + 1]),
               "the row start " + std::to_string(row * time) + " among them", "a document lies in one row");
      }
      ++row;
    }
  }
  return documents;
}

// `shape` is the channel-wise one, [B,T,H,K].
void check_gate(const Checker& check, const char* name, const at::Tensor& gate,
                std::vector<std::int64_t> shape, at::ScalarType dtype) {
  if (!gate.defined()) return;
  if (gate.dim() != 4) shape.pop_back();
  check.tensor(name, gate.dim() == 4 ? "[B,T,H,K]" : "[B,T,H]", gate, std::move(shape), dtype);
}

}  // namespace

void validate(const Inputs& inputs) {
  require("q", inputs.q_BTGK, "[B,T,G,K]");
  require("v", inputs.v_BTHV, "[B,T,H,V]");
  const auto dtype = inputs.q_BTGK.scalar_type();
  if (dtype != at::kFloat && dtype != at::kDouble && dtype != at::kBFloat16 && dtype != at::kHalf) {
    refuse("q", "dtype", c10::toString(dtype), "Float, Double, BFloat16 or Half");
  }
  const auto gate_dtype = dtype == at::kDouble ? at::kDouble : at::kFloat;
  const std::int64_t B = inputs.q_BTGK.size(0), T = inputs.q_BTGK.size(1), G = inputs.q_BTGK.size(2),
                     K = inputs.q_BTGK.size(3), H = inputs.v_BTHV.size(2), V = inputs.v_BTHV.size(3);
  if (G == 0 || H % G != 0) {
    refuse("v", "number of heads", std::to_string(H),
           "a multiple of q's " + std::to_string(G) + " key heads");
  }
  const Checker check(inputs.q_BTGK.device());
  require("k", inputs.k_BTGK, "[B,T,G,K]");
  check.tensor("k", "[B,T,G,K]", inputs.k_BTGK, {B, T, G, K}, dtype);
  check.tensor("v", "[B,T,H,V]", inputs.v_BTHV, {B, T, H, V}, dtype);
  check_gate(check, "log_alpha", inputs.log_alpha, {B, T, H, K}, gate_dtype);
  check_gate(check, "log_mu", inputs.log_mu, {B, T, H, K}, gate_dtype);
  if (has_channel_momentum(inputs) && !has_channel_decay(inputs)) {
    refuse("log_mu", "shape", shape_text(inputs.log_mu.sizes()), "[B,T,H] = " + shape_text({B, T, H}),
           "momentum is channel-wise only where log_alpha is");
  }
  if (inputs.mu_shares_alpha &&
      (!has_channel_decay(inputs) || !inputs.log_mu.defined() || has_channel_momentum(inputs))) {
    const auto shape = [](const at::Tensor& gate) {
      return gate.defined() ? shape_text(gate.sizes()) : "an undefined tensor";
    };
    refuse("mu_shares_alpha", "gates",
           "log_alpha " + shape(inputs.log_alpha) + ", log_mu " + shape(inputs.log_mu),
           "log_alpha [B,T,H,K], log_mu [B,T,H]", "with it log_mu is log ν of μ = ν∘α");
  }
  check.tensor("beta", "[B,T,H]", inputs.beta_BTH, {B, T, H}, gate_dtype);
  check.tensor("eta", "[B,T,H]", inputs.eta_BTH, {B, T, H}, gate_dtype);
  if (inputs.p_BTHK.defined() && !inputs.has_delta) {
    throw Error(Code::usage, ErrorText{.what = "scan: p is given to a rule without delta",
                                       .hint = "set has_delta, or leave p undefined"});
  }
  if (inputs.look_ahead != 0 && !inputs.log_mu.defined()) {
    throw Error(Code::usage, ErrorText{.what = "scan: look_ahead is given to a rule without momentum",
                                       .hint = "give log_mu, or leave look_ahead 0"});
  }
  check.tensor("p", "[B,T,H,K]", inputs.p_BTHK, {B, T, H, K}, dtype);
  const std::int64_t N = check_documents(inputs.cu_seqlens, B, T, inputs.q_BTGK.device());
  check.tensor("initial_S", "[N,H,K,V]", inputs.initial_S_NHKV, {N, H, K, V}, gate_dtype);
  if (inputs.initial_M_NHKV.defined() && !inputs.log_mu.defined()) {
    throw Error(Code::usage, ErrorText{.what = "scan: initial_M is given to a rule without momentum",
                                       .hint = "give log_mu, or leave initial_M undefined"});
  }
  check.tensor("initial_M", "[N,H,K,V]", inputs.initial_M_NHKV, {N, H, K, V}, gate_dtype);
}

}  // namespace mdnlab::scan
