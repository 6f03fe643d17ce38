// The scan: one contract for every coefficient rule, on every device.
//
// Per token t and head h, with memory S (K×V) and velocity M (K×V), both starting at the initial state or 0:
//
//     r_t = v_t − S_{t−1}ᵀ p_t                  delta rules; without delta r_t = v_t
//     M_t = μ_t M_{t−1} − η_t k_t r_tᵀ          momentum rules; without momentum M_t = −η_t k_t r_tᵀ
//     S_t = α_t S_{t−1} − β_t M_t
//     o_t = (S_t − ω M_t)ᵀ q_t                  ω: look_ahead, 0 without momentum
//
// With channel-wise decay α_t is a vector over K (row c of S decays by α_t[c]), and μ_t may be one as well.
//
// Shape letters: B batch, T time, H value heads, G key heads (H is a multiple of G; head h reads key head
// h·G/H), K key width, V value width, N documents. q, k, v, o share one dtype (f32, f64, bf16, f16); gates
// and states are float32 (float64 when q is). All on one device but cu_seqlens.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace mdnlab::scan {

struct Inputs {
  at::Tensor q_BTGK;
  at::Tensor k_BTGK;
  at::Tensor v_BTHV;
  at::Tensor log_alpha;  // ≤ 0, (B,T,H) or channel-wise (B,T,H,K); undefined: 0 (no decay); −inf forgets
  at::Tensor log_mu;     // ≤ 0, (B,T,H), or (B,T,H,K) where log_alpha is; undefined: no momentum
  bool mu_shares_alpha = false;  // μ = ν∘α, and log_mu, (B,T,H), is log ν; only where log_alpha is (B,T,H,K)
  at::Tensor beta_BTH;           // step; undefined: 1
  at::Tensor eta_BTH;            // inner rate; undefined: 1
  bool has_delta = false;
  at::Tensor p_BTHK;          // erase key, q's dtype; only with has_delta; undefined: p = αk (per channel)
  double look_ahead = 0;      // ω: the output also reads what is still in the velocity; only with momentum
  at::Tensor initial_S_NHKV;  // undefined: 0. N = B without cu_seqlens
  at::Tensor initial_M_NHKV;  // only with log_mu; undefined: 0
  // int32 [N+1], rising from 0 to B·T, over the flattened (B,T) tokens; every row start k·T is among them.
  // Each document starts from its own initial state (or 0). Undefined: one document a row. On the CPU; or
  // where q is, as a recording (ops/recording.h) needs: then each row has N/B documents, some perhaps empty,
  // and on a GPU the values are not checked, as nothing waits for them: wrong ones give wrong results.
  at::Tensor cu_seqlens;
};

struct Outputs {
  at::Tensor o_BTHV;
  at::Tensor final_S_NHKV;  // defined when want_state
  at::Tensor final_M_NHKV;  // defined when want_state and momentum
};

struct Options {
  std::int64_t chunk_size = 0;  // a wish; 0: the implementation's choice. Changes results by rounding only
  // Into how many a document is cut that is scanned side by side with itself, likewise; one that has no such
  // way takes no notice.
  std::int64_t segments = 0;
  bool want_state = false;
  std::string implementation = {};  // its name (implementation.h); empty: the first that takes the inputs
};

// Throws Error (Code::usage) naming the tensor whose shape, dtype or device does not fit, and what is
// expected.
void validate(const Inputs& inputs);

// The chunkwise form with its hand-written backward (README.md; recurrences.md, sections 2 and 3), as an
// autograd function: gradients for every floating tensor given. Time and memory linear in T; T may be any
// length, also 0. bf16 and f16 are computed in float32. Numbers below the dtype's smallest normal one (1e-38,
// 1e-308) count as 0. The same inputs give the same bits on one machine, whatever the number of threads. The
// backward cannot be differentiated. Errors: validate()'s, and those of choose() (implementation.h).
Outputs chunk(const Inputs& inputs, const Options& options = {});

// The judge: the recurrence above token by token in float64 (inputs are converted; outputs are float64).
// Differentiable by plain autograd; slow.
Outputs reference(const Inputs& inputs);

// One token a sequence (T = 1, no cu_seqlens) for decoding: reads the initial states, which stay as they are,
// and returns the new ones. Where autograd records, it is chunk() with its gradients. Errors and
// `implementation` as with chunk().
Outputs step(const Inputs& inputs, std::string_view implementation = {});

}  // namespace mdnlab::scan
