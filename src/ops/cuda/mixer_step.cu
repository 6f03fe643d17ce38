// One token of a linear rule's layer. It moves 16 bytes of state for each 10 to 20 operations, so all that
// counts is to read and write the state once, with many loads in flight: a block has all K rows of 32 columns
// of a head's S and M in registers, asked for before it waits for what the projections give. The blocks of a
// head are a cluster, which adds up what the norm of its output needs.
#include "ops/cuda/decode.h"
#include "ops/cuda/decode_gpu.cuh"
#include "ops/cuda/quick.cuh"

namespace mdnlab::ops::cuda {

namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;
constexpr int kColumns = 32, kLanes = kColumns / 4;  // four columns a thread
constexpr int kGroups = kThreads / kLanes;           // rows c, c + kGroups, … are of one thread
constexpr int kMostBlocks = 16;                      // of a head

__device__ float4 operator*(float s, const float4& x) { return {s * x.x, s * x.y, s * x.z, s * x.w}; }
__device__ void add_to(float4& sum, float s, const float4& x) {
  sum.x += s * x.x, sum.y += s * x.y, sum.z += s * x.z, sum.w += s * x.w;
}
__device__ void put(float* p, const float4& x) { *reinterpret_cast<float4*>(p) = x; }

// Σ over the rows of each column, the same in every thread of the column, of which it has four; all of the
// block call it, and have read what an earlier call left in these sums.
__device__ float4 sum_rows(float4 part, float (&sums)[kWarps][kColumns]) {
  for (int distance = kLanes; distance < 32; distance *= 2) {
    part.x += __shfl_xor_sync(0xffffffffu, part.x, distance);
    part.y += __shfl_xor_sync(0xffffffffu, part.y, distance);
    part.z += __shfl_xor_sync(0xffffffffu, part.z, distance);
    part.w += __shfl_xor_sync(0xffffffffu, part.w, distance);
  }
  const int column = threadIdx.x % kLanes * 4;
  if (threadIdx.x % 32 < kLanes) put(&sums[threadIdx.x / 32][column], part);
  __syncthreads();
  part = make_float4(0, 0, 0, 0);
#pragma unroll
  for (int warp = 0; warp < kWarps; ++warp)
    add_to(part, 1, *reinterpret_cast<const float4*>(&sums[warp][column]));
  return part;
}

__device__ float activated(bool is_silu, float z) {
  const float sigmoid = __fdividef(1.f, 1.f + __expf(-z));
  return is_silu ? z * sigmoid : sigmoid;
}

// By one thread: the gates of head h of sequence r, from what is learned of the head.
__device__ void read_gates(const MixerStep& in, const float* learned, int r, int h, float* gates) {
  Quick x[kProjections], w[kGateParameters], made[kGates];
#pragma unroll
  for (int i = 0; i < kGateParameters; ++i) w[i] = Quick(learned[i]);
  int used = 0;
#pragma unroll
  for (int i = 0; i < kProjections; ++i) used += in.rule.uses(static_cast<GateProjection>(i));
  int next = 0;
#pragma unroll
  for (int i = 0; i < kProjections; ++i) {
    if (in.rule.uses(static_cast<GateProjection>(i))) {
      const long long at = (static_cast<long long>(r) * used + next++) * in.H + h;
      x[i] = Quick(__bfloat162float(__ldcg(in.gates_RPH + at)));
    }
  }
  made[kLogAlpha] = made[kLogMu] = Quick(0.f);
  made[kBeta] = made[kEta] = made[kEraseShare] = Quick(1.f);
  gates_of<Quick>(in.rule, x, w, nullptr, made);
#pragma unroll
  for (int i = 0; i < kGates; ++i) gates[i] = made[i].value;
}

struct Shared {
  float q[256], k[256], alpha[256], mu[256];  // by row; alpha and mu of channel-wise decay
  alignas(16) float sums[2][kWarps][kColumns];
  float norms[kWarps][2];
  float learned[kGateParameters], gates[kGates];  // of the head
  alignas(16) float norm_weight[kColumns];
  float squares[2][kMostBlocks];          // of the head's blocks; by turns
  alignas(8) unsigned long long came[2];  // barriers: they are there
};

// kRows of each thread: K = kGroups·kRows. A block takes sequence after sequence, and asks for the next one's
// state as soon as it has written this one's.
template <int kRows, bool kMomentum>
__global__ void __launch_bounds__(kThreads, kRows*(kMomentum ? 2 : 1) <= 4     ? 4
                                            : kRows * (kMomentum ? 2 : 1) <= 8 ? 3
                                                                               : 2)
    mixer_kernel(const __grid_constant__ MixerStep in) {
  constexpr int K = kGroups * kRows;
  Shared& shared = *reinterpret_cast<Shared*>(shared_memory());
  let_next_start();
  if (threadIdx.x < 2) make_gate(&shared.came[threadIdx.x]);
  show_gates();
  arrive_in_cluster();  // before any load: it waits for those in front of it

  const int h = blockIdx.y, key_head = h / (in.H / in.G), row = threadIdx.x / kLanes,
            column = blockIdx.x * kColumns + threadIdx.x % kLanes * 4, step_V = kGroups * in.V;
  const auto state_of = [&](int r) {
    return ((static_cast<long long>(r) * in.H + h) * K + row) * in.V + column;
  };

  // Phase 1: the state sets out, and what is learned.
  float4 S[kRows], M[kMomentum ? kRows : 1];
  const auto fetch_state = [&](int r) {
    const long long at = state_of(r);
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      S[i] = fetch_early4(in.S_RHKV + at + i * step_V);
      if constexpr (kMomentum) M[i] = fetch_early4(in.M_RHKV + at + i * step_V);
    }
  };
  fetch_state(blockIdx.z);
  if (threadIdx.x < kLanes)
    put(shared.norm_weight + threadIdx.x * 4, fetch_early4(in.norm_weight_V + column));
  const bool makes_gates = threadIdx.x == kThreads - 1, has_row = threadIdx.x < K;
  if (threadIdx.x >= kThreads - kGateParameters) {
    const int i = threadIdx.x - (kThreads - kGateParameters);
    shared.learned[i] = in.w_H[i] ? fetch_early(in.w_H[i] + h) : 0.f;
  }
  const float correction = in.D_log_G ? expf(fetch_early(in.D_log_G + key_head)) : 0.f;
  const float rate_log = in.channels_RHK ? fetch_early(in.rate_log_H + h) : 0.f,
              channel_bias = in.channels_RHK && has_row ? fetch_early(in.bias_HK + h * K + threadIdx.x) : 0.f;
  wait_for_cluster();  // the other blocks' shared memory is there
  __syncthreads();
  wait_for_previous();

  int count = 0;  // of turns
  for (int r = blockIdx.z; r < in.R; r += gridDim.z, ++count) {
    // Phase 2: q and k as the scan reads them, a row a thread; the gates by the last thread.
    const long long pair = static_cast<long long>(r) * in.H + h;
    const float4 v = *reinterpret_cast<const float4*>(in.v_RHV + pair * in.V + column);
    uint2 z = make_uint2(0, 0);
    if (in.gate_RHV && threadIdx.x < kLanes)
      z = *reinterpret_cast<const uint2*>(in.gate_RHV + pair * in.V + column);
    float q = 0, k = 0, of_channel = 0;
    if (has_row) {
      const long long at = (static_cast<long long>(r) * in.G + key_head) * K + threadIdx.x;
      k = in.k_RGK[at];
      q = in.q_RGK[at] - correction * k;
      if (in.channels_RHK) of_channel = __bfloat162float(in.channels_RHK[pair * K + threadIdx.x]);
    }
    if (makes_gates) read_gates(in, shared.learned, r, h, shared.gates);
    float squares[2] = {q * q, k * k};
    for (int step = 16; step > 0; step /= 2) {
      squares[0] += __shfl_xor_sync(0xffffffffu, squares[0], step);
      squares[1] += __shfl_xor_sync(0xffffffffu, squares[1], step);
    }
    if (threadIdx.x % 32 == 0) {
      shared.norms[threadIdx.x / 32][0] = squares[0];
      shared.norms[threadIdx.x / 32][1] = squares[1];
    }
    __syncthreads();
    if (has_row) {
      float sums[2] = {};
      for (int warp = 0; warp < kWarps; ++warp)
        sums[0] += shared.norms[warp][0], sums[1] += shared.norms[warp][1];
      shared.q[threadIdx.x] = rounded(q * rsqrtf(sums[0] + 1e-6f) * rsqrtf(static_cast<float>(K)));
      shared.k[threadIdx.x] = rounded(k * rsqrtf(sums[1] + 1e-6f));
      if (in.channels_RHK) {
        const Quick log_alpha = decay_log_gate(Quick(of_channel), Quick(rate_log), Quick(channel_bias));
        shared.alpha[threadIdx.x] = expf(log_alpha.value + shared.gates[kLogAlpha]);
        shared.mu[threadIdx.x] = shared.alpha[threadIdx.x] * expf(shared.gates[kLogMu]);
      }
    }
    __syncthreads();
    const float beta = shared.gates[kBeta], eta = shared.gates[kEta], share = shared.gates[kEraseShare];
    const float head_alpha = expf(shared.gates[kLogAlpha]), head_mu = expf(shared.gates[kLogMu]);
    const auto alpha = [&](int c) { return in.channels_RHK ? shared.alpha[c] : head_alpha; };

    // Phase 3: residual = v − Σ_c p_c S_c , p = π·α∘k
    float4 residual = {rounded(v.x), rounded(v.y), rounded(v.z), rounded(v.w)};
    if (in.has_delta) {
      float4 erased = make_float4(0, 0, 0, 0);
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        const int c = row + i * kGroups;
        add_to(erased, share * alpha(c) * shared.k[c], S[i]);
      }
      add_to(residual, -1, sum_rows(erased, shared.sums[0]));
    }

    // Phase 4: M_c ← μ_c M_c − η k_c r ,  S_c ← α_c S_c − β M_c ,  o = Σ_c q_c (S_c − ω M_c)
    float4 o = make_float4(0, 0, 0, 0);
    const long long state = state_of(r);
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const int c = row + i * kGroups;
      float4 written = (-eta * shared.k[c]) * residual;
      if constexpr (kMomentum) {
        add_to(written, in.channels_RHK ? shared.mu[c] : head_mu, M[i]);
        put(in.M_RHKV + state + i * step_V, written);
      }
      float4 now = alpha(c) * S[i];
      add_to(now, -beta, written);
      put(in.S_RHKV + state + i * step_V, now);
      add_to(o, shared.q[c], now);
      if constexpr (kMomentum) add_to(o, -shared.q[c] * in.look_ahead, written);
    }
    if (r + gridDim.z < in.R) fetch_state(r + gridDim.z);
    o = sum_rows(o, shared.sums[1]);
    o = {rounded(o.x), rounded(o.y), rounded(o.z), rounded(o.w)};

    // Phase 5: Σ o² over the head, from block to block, and the gated norm.
    float square = o.x * o.x + o.y * o.y + o.z * o.z + o.w * o.w;
    for (int step = 1; step < kLanes; step *= 2) square += __shfl_xor_sync(0xffffffffu, square, step);
    const int blocks = static_cast<int>(gridDim.x), turn = count % 2;
    if (threadIdx.x == 0) arrive_expecting(&shared.came[turn], 4 * blocks);
    if (threadIdx.x < blocks)
      send_square(&shared.squares[turn][blockIdx.x], &shared.came[turn], threadIdx.x, square);
    if (threadIdx.x >= kLanes) continue;
    wait_for_squares(&shared.came[turn], count / 2 % 2);
    float sum = 0;
    for (int block = 0; block < blocks; ++block) sum += shared.squares[turn][block];
    const float scale = rsqrtf(sum / static_cast<float>(in.V) + in.eps);
    const float4 weight = *reinterpret_cast<const float4*>(shared.norm_weight + threadIdx.x * 4);
    float y[4] = {o.x * scale * weight.x, o.y * scale * weight.y, o.z * scale * weight.z,
                  o.w * scale * weight.w};
    if (in.gate_RHV) {
      const float gate[4] = {__uint_as_float(z.x << 16), __uint_as_float(z.x & 0xffff0000u),
                             __uint_as_float(z.y << 16), __uint_as_float(z.y & 0xffff0000u)};
      for (int i = 0; i < 4; ++i) y[i] *= activated(in.gate_is_silu, gate[i]);
    }
    __nv_bfloat162* const to = reinterpret_cast<__nv_bfloat162*>(in.y_RHV + pair * in.V + column);
    to[0] = __floats2bfloat162_rn(y[0], y[1]);
    to[1] = __floats2bfloat162_rn(y[2], y[3]);
  }
}

template <int kRows>
cudaError_t launch(const MixerStep& in, cudaStream_t stream) {
  const auto kernel = in.M_RHKV ? mixer_kernel<kRows, true> : mixer_kernel<kRows, false>;
  const int blocks = in.V / kColumns;
  int heads_at_once = 0;
  const cudaError_t asked = clusters_at_once(&heads_at_once, kernel, kThreads, sizeof(Shared), blocks);
  if (asked != cudaSuccess) return asked;
  // As many sequences side by side as there is room for, each block as many as the others.
  const int room = heads_at_once > in.H ? heads_at_once / in.H : 1, turns = (in.R + room - 1) / room,
            beside = (in.R + turns - 1) / turns;
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(in.H), static_cast<unsigned>(beside));
  return launch_early(kernel, in, grid, kThreads, sizeof(Shared), blocks, stream);
}

}  // namespace

cudaError_t mixer_step(const MixerStep& in, cudaStream_t stream) {
  switch (in.K) {
    case 64: return launch<64 / kGroups>(in, stream);
    case 128: return launch<128 / kGroups>(in, stream);
    case 256: return launch<256 / kGroups>(in, stream);
    default: return cudaErrorInvalidValue;
  }
}

}  // namespace mdnlab::ops::cuda
