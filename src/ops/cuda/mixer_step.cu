// One token of a linear rule's layer. It moves 16 bytes of state for each 10 to 20 operations, so all that
// counts is to read and write the state once, and that memory never rests: all K rows of 32 columns of a
// head's S and M come to shared memory, asked for before the kernel waits for what the projections give, and
// the next 32, while these are worked on. Each thread asks for its own, so nobody waits for another. One warp
// more has what is not of the state: the gates, while the others add up, and the output, while they write.
// With few sequences a head has several blocks, a cluster, which adds up what the norm of its output needs.
#include <climits>

#include "ops/cuda/decode.h"
#include "ops/cuda/decode_gpu.cuh"
#include "ops/cuda/quick.cuh"

namespace mdnlab::ops::cuda {

namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;  // of the state
constexpr int kAllThreads = kThreads + 32;
constexpr int kColumns = 32, kLanes = kColumns / 4;  // four columns a thread
constexpr int kGroups = kThreads / kLanes;           // rows c, c + kGroups, … are of one thread
constexpr int kMostTiles = 16;                       // of 32 columns, of a head

__device__ float4 operator*(float s, const float4& x) { return {s * x.x, s * x.y, s * x.z, s * x.w}; }
__device__ void add_to(float4& sum, float s, const float4& x) {
  sum.x += s * x.x, sum.y += s * x.y, sum.z += s * x.z, sum.w += s * x.w;
}
__device__ void put(float* p, const float4& x) { *reinterpret_cast<float4*>(p) = x; }

// Σ over the warp's rows of each column, in all of its threads.
__device__ float4 sum_of_warp(float4 x) {
  for (int distance = kLanes; distance < 32; distance *= 2) {
    x.x += __shfl_xor_sync(0xffffffffu, x.x, distance);
    x.y += __shfl_xor_sync(0xffffffffu, x.y, distance);
    x.z += __shfl_xor_sync(0xffffffffu, x.z, distance);
    x.w += __shfl_xor_sync(0xffffffffu, x.w, distance);
  }
  return x;
}
// Side by side, a multiple of two.
template <int kCount>
__device__ void read_row(float (&to)[kCount], const float* from) {
#pragma unroll
  for (int i = 0; i < kCount; i += 2) {
    const float2 x = __ldcg(reinterpret_cast<const float2*>(from + i));
    to[i] = x.x, to[i + 1] = x.y;
  }
}
template <int kCount>
__device__ void put_row(float* to, const float (&x)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; i += 2) *reinterpret_cast<float2*>(to + i) = make_float2(x[i], x[i + 1]);
}
__device__ float sum_of_lanes(float x) {
  for (int distance = 16; distance > 0; distance /= 2) x += __shfl_xor_sync(0xffffffffu, x, distance);
  return x;
}

__device__ float activated(bool is_silu, float z) {
  const float opened = sigmoid(Quick(z)).value;
  return is_silu ? z * opened : opened;
}

// Of a head, as the formula below has them; share: πα, 0 without delta.
struct HeadGates {
  float alpha, beta, eta, mu, share;
};
__device__ HeadGates head_gates(const MixerStep& in, const float* projected, const float* learned) {
  Quick x[kProjections], w[kGateParameters], made[kGates];
#pragma unroll
  for (int i = 0; i < kGateParameters; ++i) w[i] = Quick(learned[i]);
#pragma unroll
  for (int i = 0; i < kProjections; ++i) x[i] = Quick(projected[i]);
  made[kLogAlpha] = made[kLogMu] = Quick(0.f);
  made[kBeta] = made[kEta] = made[kEraseShare] = Quick(1.f);
  gates_of<Quick>(in.rule, x, w, nullptr, made);
  const float alpha = __expf(made[kLogAlpha].value);
  return {.alpha = alpha,
          .beta = made[kBeta].value,
          .eta = made[kEta].value,
          .mu = __expf(made[kLogMu].value) * (in.channels_RHK ? alpha : 1.f),
          .share = in.has_delta ? made[kEraseShare].value * alpha : 0.f};
}

// Of a block, where each may have a multiprocessor to itself: beside a product's of the kernel in front there
// is no room for two, which would share it.
constexpr int kAloneBytes = 76 << 10;
constexpr int kSlotBytes = 64 << 10;  // of a block, of which a multiprocessor has three

enum Sum { kS, qS, qM, kSums };  // over rows c, of each column: Σ a k S , Σ a q S , Σ a q M

template <int K>
struct Shared {
  alignas(16) float k[K], a[K], ak[K], aq[K];  // by row; a: α of channel-wise decay, else 1
  alignas(16) float sums[2][kWarps][kSums][kColumns];
  float learned[kGateParameters], projected[kProjections], qk;  // of the head
  HeadGates gates;
  float o[kMostTiles * kColumns];         // of the block's columns, but for what the norm multiplies it by
  float squares[2][kMostTiles];           // of the head's blocks; by turns
  alignas(8) unsigned long long came[2];  // barriers: they are there
};

struct Launched {
  MixerStep in;
  int slots;  // of 32 columns: one, or two
};

// By one warp: Σ o² of the block's columns to all blocks of the head.
template <int K>
__device__ void send_squares(Shared<K>& shared, int turn, float square) {
  const int blocks = static_cast<int>(gridDim.x), lane = threadIdx.x % 32;
  if (lane == 0) arrive_expecting(&shared.came[turn], 4 * blocks);
  __syncwarp();
  if (lane < blocks) send_number(&shared.squares[turn][blockIdx.x], &shared.came[turn], lane, square);
}

// kRows of each thread: K = kGroups·kRows. A block takes sequence after sequence.
//
// With α_c = α a_c and μ_c = μ a_c (μ alone without channels), r = v − πα Σ a k S:
//     M_c ← μ_c M_c − η k_c r ,  S_c ← α_c S_c − β M_c ,
//     o = Σ_c q_c (S_c − ω M_c) = α Σ a q S − (β + ω)·(μ Σ a q M − η (q·k) r) .
// So one round of sums over the rows is enough, and the gates are not needed before it is over.
template <int kRows, bool kMomentum>
class Step {
 public:
  static constexpr int K = kGroups * kRows, kSlot = kRows * (kMomentum ? 2 : 1) * kThreads;  // in fours
  static constexpr int kOfLane = K / 32;  // rows, whose q and k each warp makes for itself

  __device__ Step(const Launched& it, unsigned char* memory)
      : it_(it),
        in_(it.in),
        slots_(reinterpret_cast<float4*>(memory)),
        shared_(*reinterpret_cast<Shared<K>*>(slots_ + it.slots * kSlot)),
        h_(blockIdx.y),
        lane_(threadIdx.x % 32),
        columns_(in_.V / static_cast<int>(gridDim.x)),
        first_(static_cast<int>(blockIdx.x) * columns_) {}

  __device__ void work() {
    const bool has_others = gridDim.x > 1, is_of_state = threadIdx.x < kThreads;
    if (threadIdx.x == kThreads) {
      for (unsigned long long& gate : shared_.came) make_gate(&gate, 1);
      show_gates();
    }
    if (has_others) arrive_in_cluster();  // before any load: it waits for those in front of it
    if (is_of_state) {
#pragma unroll 1
      for (int i = 0; i < it_.slots; ++i) fetch_state();
    } else {
      if (lane_ < kGateParameters)
        shared_.learned[lane_] = in_.w_H[lane_] ? fetch_early(in_.w_H[lane_] + h_) : 0.f;
    }
    if (has_others) wait_for_cluster();  // the other blocks' shared memory is there
    __syncthreads();
    is_of_state ? of_state() : of_output();
  }

 private:
  // By the state's warps. All threads meet once for each 32 columns, and once more for each sequence: so do
  // those of of_output().
  __device__ void of_state() {
    const int key_head = h_ / (in_.H / in_.G), row = threadIdx.x / kLanes, of_tile = threadIdx.x % kLanes * 4;
    const float correction = in_.D_log_G ? expf(fetch_early(in_.D_log_G + key_head)) : 0.f;
    if (in_.channels_RHK && threadIdx.x < 32) {
      prefetch(in_.bias_HK + h_ * K + lane_ * kOfLane);
      prefetch(in_.rate_log_H + h_);
    }
    wait_for_previous();
    int slot = 0, turn = 0;
#pragma unroll 1
    for (int r = blockIdx.z; r < in_.R; r += gridDim.z) {
      make_keys(r, key_head, correction);
      __syncwarp();  // all warps write the same
#pragma unroll 1
      for (int column = 0; column < columns_; column += kColumns, turn ^= 1) {
        const float4 v = __ldcg(reinterpret_cast<const float4*>(in_.v_RHV + at_head(r) + column + of_tile));
        if (it_.slots > 1) {
          wait_for_copies<1>();
        } else {
          wait_for_copies<0>();
        }
        const float4* const S_here = slots_ + slot * kSlot + threadIdx.x;
        const float4* const M_here = S_here + kRows * kThreads;
        if (++slot == it_.slots) slot = 0;
        float4 sum[kSums] = {};
#pragma unroll
        for (int i = 0; i < kRows; ++i) {
          const int c = row + i * kGroups;
          const float4 S = S_here[i * kThreads];
          add_to(sum[kS], shared_.ak[c], S);
          add_to(sum[qS], shared_.aq[c], S);
          if constexpr (kMomentum) add_to(sum[qM], shared_.aq[c], M_here[i * kThreads]);
        }
        auto& sums = shared_.sums[turn];
#pragma unroll
        for (int i = 0; i < (kMomentum ? kSums : qM); ++i) {
          sum[i] = sum_of_warp(sum[i]);
          if (lane_ < kLanes) put(&sums[threadIdx.x / 32][i][of_tile], sum[i]);
        }
        __syncthreads();
        const auto [alpha, beta, eta, mu, share] = shared_.gates;
        float4 residual = {rounded(v.x), rounded(v.y), rounded(v.z), rounded(v.w)};
#pragma unroll
        for (int warp = 0; warp < kWarps; ++warp)
          add_to(residual, -share, *reinterpret_cast<const float4*>(&sums[warp][kS][of_tile]));
        const long long state = state_of(r, column);
#pragma unroll
        for (int i = 0; i < kRows; ++i) {
          const int c = row + i * kGroups;
          float4 written = (-eta * shared_.k[c]) * residual;
          if constexpr (kMomentum) {
            add_to(written, mu * shared_.a[c], M_here[i * kThreads]);
            put_once(in_.M_RHKV + state + i * kGroups * in_.V, written);
          }
          float4 now = (alpha * shared_.a[c]) * S_here[i * kThreads];
          add_to(now, -beta, written);
          put_once(in_.S_RHKV + state + i * kGroups * in_.V, now);
        }
        fetch_state();
      }
      __syncthreads();  // q, k and the gates have been read
    }
  }

  // The gates, and what becomes of the sums: a column a lane.
  __device__ void of_output() {
    // Each lane asks for one projection: one thread would wait for one after the other.
    int used = 0, before = 0;
#pragma unroll
    for (int i = 0; i < kProjections; ++i) {
      const bool is_used = in_.rule.uses(static_cast<GateProjection>(i));
      used += is_used, before += is_used && i < lane_;
    }
    const bool asks = lane_ < kProjections && in_.rule.uses(static_cast<GateProjection>(lane_));
    float weight = fetch_early(in_.norm_weight_V + first_ + lane_);
    wait_for_previous();
    int turn = 0, count = 0;
#pragma unroll 1
    for (int r = blockIdx.z; r < in_.R; r += gridDim.z, ++count) {
      const long long at = at_head(r) + lane_;
      __nv_bfloat16 projected, z;
      if (asks) projected = __ldcg(in_.gates_RPH + (static_cast<long long>(r) * used + before) * in_.H + h_);
      if (in_.gate_RHV) z = __ldcg(in_.gate_RHV + at);
      float v = __ldcg(in_.v_RHV + at);
      if (asks) shared_.projected[lane_] = __bfloat162float(projected);
      __syncwarp();
      if (lane_ == 0) shared_.gates = head_gates(in_, shared_.projected, shared_.learned);
      float square = 0;
#pragma unroll 1
      for (int column = 0; column < columns_; column += kColumns, turn ^= 1) {
        if (columns_ > kColumns) {
          weight = fetch_early(in_.norm_weight_V + first_ + column + lane_);
          if (in_.gate_RHV) z = __ldcg(in_.gate_RHV + at + column);
          v = __ldcg(in_.v_RHV + at + column);
        }
        float factor = weight;
        if (in_.gate_RHV) factor *= activated(in_.gate_is_silu, __bfloat162float(z));
        __syncthreads();
        float sum[kSums] = {};
#pragma unroll
        for (int i = 0; i < (kMomentum ? kSums : qM); ++i)
#pragma unroll
          for (int warp = 0; warp < kWarps; ++warp) sum[i] += shared_.sums[turn][warp][i][lane_];
        const auto [alpha, beta, eta, mu, share] = shared_.gates;
        const float written = mu * sum[qM] - eta * shared_.qk * (rounded(v) - share * sum[kS]),
                    look_ahead = kMomentum ? in_.look_ahead : 0.f,
                    o = rounded(alpha * sum[qS] - (beta + look_ahead) * written);
        square += o * o;
        shared_.o[column + lane_] = o * factor;
      }
      send_squares(shared_, count % 2, sum_of_lanes(square));
      __syncthreads();  // the sums and q·k have been read
      wait_at_cluster(&shared_.came[count % 2], count / 2 % 2);
      float sum = 0;
      for (unsigned block = 0; block < gridDim.x; ++block) sum += shared_.squares[count % 2][block];
      const float scale = rsqrtf(__fdividef(sum, static_cast<float>(in_.V)) + in_.eps);
#pragma unroll 1
      for (int column = 0; column < columns_; column += kColumns)
        in_.y_RHV[at + column] = __float2bfloat16_rn(shared_.o[column + lane_] * scale);
    }
  }

  // q and k as the scan reads them, by each warp.
  __device__ void make_keys(int r, int key_head, float correction) {
    const long long pair = static_cast<long long>(r) * in_.H + h_;
    const int c_first = lane_ * kOfLane;
    float q[kOfLane], k[kOfLane], a[kOfLane], squares[2] = {}, qk = 0;
    const long long of_key = (static_cast<long long>(r) * in_.G + key_head) * K + c_first;
    read_row(k, in_.k_RGK + of_key);
    read_row(q, in_.q_RGK + of_key);
    if (in_.channels_RHK) {
      const float rate_log = fetch_early(in_.rate_log_H + h_);
      float bias[kOfLane];
#pragma unroll
      for (int i = 0; i < kOfLane; ++i) {
        bias[i] = fetch_early(in_.bias_HK + h_ * K + c_first + i);
        a[i] = __bfloat162float(__ldcg(in_.channels_RHK + pair * K + c_first + i));
      }
#pragma unroll
      for (int i = 0; i < kOfLane; ++i)
        a[i] = __expf(decay_log_gate(Quick(a[i]), Quick(rate_log), Quick(bias[i])).value);
    } else {
#pragma unroll
      for (int i = 0; i < kOfLane; ++i) a[i] = 1;
    }
#pragma unroll
    for (int i = 0; i < kOfLane; ++i) {
      q[i] -= correction * k[i];
      squares[0] += q[i] * q[i], squares[1] += k[i] * k[i];
    }
    const float q_scale = rsqrtf(sum_of_lanes(squares[0]) + 1e-6f) * rsqrtf(static_cast<float>(K)),
                k_scale = rsqrtf(sum_of_lanes(squares[1]) + 1e-6f);
#pragma unroll
    for (int i = 0; i < kOfLane; ++i) {
      q[i] = rounded(q[i] * q_scale), k[i] = rounded(k[i] * k_scale);
      qk += q[i] * k[i], q[i] *= a[i];
    }
    put_row(shared_.k + c_first, k);
    put_row(shared_.a + c_first, a);
    put_row(shared_.aq + c_first, q);
#pragma unroll
    for (int i = 0; i < kOfLane; ++i) k[i] *= a[i];
    put_row(shared_.ak + c_first, k);
    qk = sum_of_lanes(qk);
    if (threadIdx.x == 0) shared_.qk = qk;
  }

  // The state sets out, 32 columns after 32 of sequence after sequence.
  __device__ void fetch_state() {
    if (ahead_r_ < in_.R) {
      const long long at = state_of(ahead_r_, ahead_);
      float4* const to = slots_ + ahead_slot_ * kSlot + threadIdx.x;
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        copy_to_shared(to + i * kThreads, in_.S_RHKV + at + i * kGroups * in_.V);
        if constexpr (kMomentum)
          copy_to_shared(to + (kRows + i) * kThreads, in_.M_RHKV + at + i * kGroups * in_.V);
      }
      ahead_ += kColumns;
      if (ahead_ == columns_) ahead_ = 0, ahead_r_ += static_cast<int>(gridDim.z);
      if (++ahead_slot_ == it_.slots) ahead_slot_ = 0;
    }
    commit_copies();
  }
  __device__ long long at_head(int r) const {
    return (static_cast<long long>(r) * in_.H + h_) * in_.V + first_;
  }
  __device__ long long state_of(int r, int column) const {
    return ((static_cast<long long>(r) * in_.H + h_) * K + threadIdx.x / kLanes) * in_.V + first_ + column +
           threadIdx.x % kLanes * 4;
  }

  const Launched& it_;
  const MixerStep& in_;
  float4* const slots_;
  Shared<K>& shared_;
  int h_, lane_, columns_, first_;
  int ahead_r_ = blockIdx.z, ahead_ = 0, ahead_slot_ = 0;  // of what is fetched next
};

template <int kRows, bool kMomentum>
__global__ void __maxnreg__(kRows == 8 && kMomentum ? 96 : 64)
    mixer_kernel(const __grid_constant__ Launched it) {
  let_next_start();
  Step<kRows, kMomentum>(it, shared_memory()).work();
}

// As many blocks a head, two at least where there are columns for them, and sequences side by side, as leave
// each block the least to do. (With one, blocks that have more than one turn take longer for the same.)
template <int kRows, bool kMomentum>
cudaError_t launch(const MixerStep& in, cudaStream_t stream) {
  constexpr int kBytes = kGroups * kRows * kColumns * 4 * (kMomentum ? 2 : 1);  // of a slot
  constexpr int kMostSlots = 2 * kBytes <= kSlotBytes ? 2 : 1;
  const auto kernel = mixer_kernel<kRows, kMomentum>;
  const auto bytes = [&](int slots) {
    return slots * kBytes + static_cast<int>(sizeof(Shared<kGroups * kRows>));
  };
  const int tiles = in.V / kColumns;
  int least = INT_MAX, blocks = 0, beside = 0;
  for (int of_head = tiles > 1 ? 2 : 1; of_head <= tiles; ++of_head) {
    if (tiles % of_head != 0) continue;
    int heads_at_once = 0;
    const cudaError_t asked =
        clusters_at_once(&heads_at_once, kernel, kAllThreads, bytes(kMostSlots), of_head);
    if (asked != cudaSuccess) return asked;
    const int room = heads_at_once > in.H ? heads_at_once / in.H : 1, turns = (in.R + room - 1) / room,
              each = turns * tiles / of_head;
    if (each < least) least = each, blocks = of_head, beside = (in.R + turns - 1) / turns;
  }
  const int slots = least > 1 ? kMostSlots : 1;
  int alone = 0;
  const cudaError_t asked = clusters_at_once(&alone, kernel, kAllThreads, kAloneBytes, blocks);
  if (asked != cudaSuccess) return asked;
  const int taken = alone >= in.H * beside && bytes(slots) < kAloneBytes ? kAloneBytes : bytes(slots);
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(in.H), static_cast<unsigned>(beside));
  return launch_early(kernel, Launched{in, slots}, grid, kAllThreads, taken, blocks, stream);
}

template <int kRows>
cudaError_t run(const MixerStep& in, cudaStream_t stream) {
  return in.M_RHKV ? launch<kRows, true>(in, stream) : launch<kRows, false>(in, stream);
}

}  // namespace

cudaError_t mixer_step(const MixerStep& in, cudaStream_t stream) {
  switch (in.K) {
    case 64: return run<64 / kGroups>(in, stream);
    case 128: return run<128 / kGroups>(in, stream);
    case 256: return run<256 / kGroups>(in, stream);
    default: return cudaErrorInvalidValue;
  }
}

}  // namespace mdnlab::ops::cuda
