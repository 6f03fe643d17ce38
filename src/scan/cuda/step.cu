// The decode step. It moves 16 bytes of state for each 10 to 20 operations, so all that counts is to read and
// write the state once, in whole sectors, with many loads in flight: a block copies its tile (all K rows of
// some columns of S and M) into shared memory asynchronously and works on it there. No atomics: sums run in a
// fixed order.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_pipeline_primitives.h>

#include "scan/cuda/step.h"

namespace mdnlab::scan::cuda {

namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;
constexpr int kWide = 32, kNarrow = 8;  // columns of a tile

template <class T>
__device__ float widened(T x) {
  return static_cast<float>(x);
}

// Shared memory of a block: what each key channel reads and writes with, then the tile.
struct Layout {
  int K, columns, halves;
  __host__ __device__ int floats() const { return 5 * K + kWarps * columns + halves * K * columns; }
};

// `Vector` columns a thread: 4 where V is a multiple of 4, so that every access is 16 bytes, else 1.
template <class T, bool kMomentum, int Vector, int Columns>
__global__ void __launch_bounds__(kThreads) step_kernel(const __grid_constant__ StepParams in) {
  constexpr int kLanes = Columns / Vector;  // threads across a row
  constexpr int kRows = kThreads / kLanes;  // rows at once
  constexpr int kHalves = kMomentum ? 2 : 1;
  extern __shared__ float4 shared_memory[];
  float* const sS = reinterpret_cast<float*>(shared_memory);  // [halves][K][Columns]
  float* const sM = sS + in.K * Columns;
  float* const s_sums = sS + kHalves * in.K * Columns;  // [warps][Columns]
  float* const s_q = s_sums + kWarps * Columns;         // [K] each
  float *const s_write = s_q + in.K, *const s_erase = s_write + in.K, *const s_alpha = s_erase + in.K,
               *const s_mu = s_alpha + in.K;

  const int head = blockIdx.y, batch = blockIdx.z, key_head = head / (in.H / in.G);
  const int lane = threadIdx.x % kLanes, first_row = threadIdx.x / kLanes;
  const int column = blockIdx.x * Columns + lane * Vector;
  const bool is_inside = column < in.V;
  const std::int64_t pair = static_cast<std::int64_t>(batch) * in.H + head;
  const std::int64_t tile = pair * in.K * in.V + column;

  // Phase 1: the tile sets out. Each thread reads later only what it asked for itself.
  for (int c = first_row; c < in.K; c += kRows) {
    float *const S = sS + c * Columns + lane * Vector, *const M = sM + c * Columns + lane * Vector;
    const std::int64_t at = tile + static_cast<std::int64_t>(c) * in.V;
    if (is_inside && in.S_BHKV) {
      __pipeline_memcpy_async(S, in.S_BHKV + at, Vector * sizeof(float));
    } else {
      for (int i = 0; i < Vector; ++i) S[i] = 0;
    }
    if constexpr (kMomentum) {
      if (is_inside && in.M_BHKV) {
        __pipeline_memcpy_async(M, in.M_BHKV + at, Vector * sizeof(float));
      } else {
        for (int i = 0; i < Vector; ++i) M[i] = 0;
      }
    }
  }
  __pipeline_commit();

  // Phase 2: vectors over K. write = ηk, erase = p.
  const auto row = [&](const Rows& rows, int h) {
    return static_cast<const T*>(rows.data) + batch * rows.batch_stride + h * rows.head_stride;
  };
  const float eta = in.eta_BH ? in.eta_BH[pair] : 1.f, beta = in.beta_BH ? in.beta_BH[pair] : 1.f;
  const auto gate = [&](const float* log_gate, bool is_channel, int c) {
    return log_gate ? expf(log_gate[is_channel ? pair * in.K + c : pair]) : 1.f;
  };
  for (int c = threadIdx.x; c < in.K; c += kThreads) {
    const float alpha = gate(in.log_alpha, in.channel_alpha, c), k = widened(row(in.k_BGK, key_head)[c]);
    s_q[c] = widened(row(in.q_BGK, key_head)[c]);
    s_write[c] = eta * k;
    s_erase[c] = !in.has_delta ? 0.f : in.p_BHK.data ? widened(row(in.p_BHK, head)[c]) : alpha * k;
    s_alpha[c] = alpha;
    s_mu[c] = kMomentum ? gate(in.log_mu, in.channel_mu, c) : 0.f;
  }
  float residual[Vector] = {}, o[Vector] = {};
  if (is_inside) {
    for (int i = 0; i < Vector; ++i) residual[i] = widened(row(in.v_BHV, head)[column + i]);
  }
  __pipeline_wait_prior(0);
  __syncthreads();

  // Sums over all rows of a column, the same in every thread of the column.
  const auto summed = [&](float(&part)[Vector]) {
    for (int i = 0; i < Vector; ++i) {
      for (int distance = kLanes; distance < 32; distance *= 2)
        part[i] += __shfl_xor_sync(0xffffffffu, part[i], distance);
    }
    __syncthreads();  // the sums before these have been read
    if (threadIdx.x % 32 < kLanes) {
      for (int i = 0; i < Vector; ++i) s_sums[threadIdx.x / 32 * Columns + lane * Vector + i] = part[i];
    }
    __syncthreads();
    for (int i = 0; i < Vector; ++i) {
      part[i] = 0;
      for (int warp = 0; warp < kWarps; ++warp) part[i] += s_sums[warp * Columns + lane * Vector + i];
    }
  };

  // Phase 3: r = v − Σ_c p_c S_c
  if (in.has_delta) {
    float erased[Vector] = {};
    for (int c = first_row; c < in.K; c += kRows) {
      for (int i = 0; i < Vector; ++i) erased[i] += s_erase[c] * sS[c * Columns + lane * Vector + i];
    }
    summed(erased);
    for (int i = 0; i < Vector; ++i) residual[i] -= erased[i];
  }

  // Phase 4: M_c ← μ_c M_c − η k_c r ,  S_c ← α_c S_c − β M_c ,  o = Σ_c q_c (S_c − ω M_c)
  for (int c = first_row; c < in.K; c += kRows) {
    float new_S[Vector], new_M[Vector];
    for (int i = 0; i < Vector; ++i) {
      const int at = c * Columns + lane * Vector + i;
      new_M[i] = -s_write[c] * residual[i];
      if constexpr (kMomentum) new_M[i] += s_mu[c] * sM[at];
      new_S[i] = s_alpha[c] * sS[at] - beta * new_M[i];
      o[i] += s_q[c] * (new_S[i] - in.look_ahead * new_M[i]);
    }
    if (!is_inside) continue;
    const std::int64_t at = tile + static_cast<std::int64_t>(c) * in.V;
    if constexpr (Vector == 4) {
      *reinterpret_cast<float4*>(in.new_S_BHKV + at) = make_float4(new_S[0], new_S[1], new_S[2], new_S[3]);
      if constexpr (kMomentum)
        *reinterpret_cast<float4*>(in.new_M_BHKV + at) = make_float4(new_M[0], new_M[1], new_M[2], new_M[3]);
    } else {
      in.new_S_BHKV[at] = new_S[0];
      if constexpr (kMomentum) in.new_M_BHKV[at] = new_M[0];
    }
  }
  summed(o);
  if (is_inside && first_row == 0) {
    for (int i = 0; i < Vector; ++i)
      static_cast<T*>(in.o_BHV)[pair * in.V + column + i] = static_cast<T>(o[i]);
  }
}

using Kernel = void (*)(StepParams);

template <class T, bool kMomentum>
Kernel kernel_of(bool has_vectors, bool is_wide) {
  if (has_vectors) {
    return is_wide ? step_kernel<T, kMomentum, 4, kWide> : step_kernel<T, kMomentum, 4, kNarrow>;
  }
  return is_wide ? step_kernel<T, kMomentum, 1, kWide> : step_kernel<T, kMomentum, 1, kNarrow>;
}

template <bool kMomentum>
Kernel kernel_of(Element element, bool has_vectors, bool is_wide) {
  switch (element) {
    case Element::bf16: return kernel_of<__nv_bfloat16, kMomentum>(has_vectors, is_wide);
    case Element::f16: return kernel_of<__half, kMomentum>(has_vectors, is_wide);
    case Element::f32: break;
  }
  return kernel_of<float, kMomentum>(has_vectors, is_wide);
}

int bytes(const StepParams& in, int columns) {
  return static_cast<int>(sizeof(float)) * Layout{in.K, columns, in.log_mu ? 2 : 1}.floats();
}

}  // namespace

int widest_step_key(int shared_bytes, bool has_momentum) {
  const int fixed = Layout{0, kNarrow, 1}.floats(),
            each = Layout{1, kNarrow, has_momentum ? 2 : 1}.floats() - fixed;
  return (shared_bytes / static_cast<int>(sizeof(float)) - fixed) / each;
}

cudaError_t step(const StepParams& in, int shared_bytes, int multiprocessors, cudaStream_t stream) {
  if (in.B == 0 || in.H == 0 || in.V == 0) return cudaSuccess;
  const auto tiles = [&](int columns) { return (in.V + columns - 1) / columns; };
  // Few heads: narrower tiles, until every multiprocessor has one.
  const bool is_wide = tiles(kWide) * in.H * in.B >= multiprocessors && bytes(in, kWide) <= shared_bytes;
  const int columns = is_wide ? kWide : kNarrow;
  if (bytes(in, columns) > shared_bytes) return cudaErrorInvalidValue;
  const Kernel kernel = in.log_mu ? kernel_of<true>(in.element, in.V % 4 == 0, is_wide)
                                  : kernel_of<false>(in.element, in.V % 4 == 0, is_wide);
  const cudaError_t raised =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes(in, columns));
  if (raised != cudaSuccess) return raised;
  const dim3 grid(static_cast<unsigned>(tiles(columns)), static_cast<unsigned>(in.H),
                  static_cast<unsigned>(in.B));
  kernel<<<grid, kThreads, static_cast<std::size_t>(bytes(in, columns)), stream>>>(in);
  return cudaGetLastError();
}

}  // namespace mdnlab::scan::cuda
