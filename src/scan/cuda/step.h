// One token of the recurrence of chunk.h for every sequence and head, on the GPU; without torch. Pointers are
// device memory. Layouts are row-major; the shape letters are those of chunk.h with T = 1.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace mdnlab::scan::cuda {

enum class Element { f32, bf16, f16 };

// (B,1,heads,width) whose last dimension is contiguous; null: absent. Strides are in elements.
struct Rows {
  const void* data = nullptr;
  std::int64_t batch_stride = 0, head_stride = 0;
};

struct StepParams {
  Rows q_BGK, k_BGK, v_BHV, p_BHK;  // of `element`; p absent: αk, where has_delta
  Element element = Element::f32;
  // Contiguous float32; null: 0, 0, 1, 1.
  const float* log_alpha = nullptr;  // (B,H), or (B,H,K) with channel_alpha
  const float* log_mu = nullptr;     // likewise; null also: no momentum
  const float* beta_BH = nullptr;
  const float* eta_BH = nullptr;
  bool channel_alpha = false, channel_mu = false, has_delta = false;
  float look_ahead = 0;
  const float *S_BHKV = nullptr, *M_BHKV = nullptr;    // contiguous; null: 0
  void* o_BHV = nullptr;                               // of `element`
  float *new_S_BHKV = nullptr, *new_M_BHKV = nullptr;  // new_M with momentum; may be S and M themselves
  int B = 0, G = 0, H = 0, K = 0, V = 0;
};

// The widest K that step() takes on a GPU whose blocks have `shared_bytes` of shared memory.
int widest_step_key(int shared_bytes, bool has_momentum);

// Queues the token on `stream`. cudaErrorInvalidValue where K is wider than widest_step_key.
cudaError_t step(const StepParams& params, int shared_bytes, int multiprocessors, cudaStream_t stream);

}  // namespace mdnlab::scan::cuda
