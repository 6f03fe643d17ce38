// reverse.cuh, and channel_reverse.cuh, for keys of 256 columns (wide.cuh): a block takes one document, head
// and 64 value columns. Two warpgroups hold dX between them; one warp of the third brings tiles, another
// stores dX⁺.
#pragma once

#include "scan/cuda/reverse.cuh"
#include "scan/cuda/tail.cuh"
#include "scan/cuda/wide.cuh"

namespace mdnlab::scan::cuda {

template <class T, bool has_delta, bool has_momentum, bool has_channels = false>
struct WideReverseShared : LastTile<T, has_channels> {  // D
  static constexpr bool channels = has_channels;
  static constexpr int state = (has_momentum ? 2 : 1) * 64 * kWideWidth, slots = key_slots(has_channels);
  alignas(1024) T k[slots][kChunk * kWideWidth];  // with channels Ψ
  struct Others {
    alignas(1024) T q[kChunk * kWideWidth];  // Q̂
    T d_o[kPanelElements];
    T scores[kPanelElements];
    T inverse[has_delta ? kPanelElements : 512];
  } others;
  alignas(1024) T x[state];
  union {
    Parked<32> z[kParts];
    alignas(1024) T d_r[kPanelElements];  // where part 0 has parked, once part 1 has read it
  };
  alignas(16) Coefficients coefficients[kKeySlots];
  std::uint64_t keys_full[slots], keys_empty[slots], others_full, others_empty, x_full, x_empty, parked,
      landed;
};

template <class T, bool has_delta, bool has_momentum, class Shared>
__device__ inline void hold_part_of_adjoint(const ReverseArguments<T>& in, Shared& shared,
                                            Document document) {
  constexpr bool has_channels = Shared::channels;
  constexpr int slots = Shared::slots;
  const int thread = threadIdx.x % kWarpgroup, warp = thread / 32, lane = thread % 32,
            part = threadIdx.x / kWarpgroup;
  const int V = in.sizes.value_width, H = in.sizes.heads;
  const T* const element = nullptr;
  const auto boundary = [&] {
    return ((std::int64_t{blockIdx.z} * H + blockIdx.y) * kWideWidth + part * kPartWidth) * V +
           64 * blockIdx.x;
  };
  Half<kPartWidth> s, m;
  exchange_state<kPartWidth, true>(s, in.d_final_S ? in.d_final_S + boundary() : nullptr, nullptr, V, warp,
                                   lane);
  if constexpr (has_momentum) {
    exchange_state<kPartWidth, true>(m, in.d_final_M ? in.d_final_M + boundary() : nullptr, nullptr, V, warp,
                                     lane);
  }
  for (int i = 0; i < document.chunks; ++i) {
    const Coefficients& of = shared.coefficients[i % kKeySlots];
    const std::uint32_t k_address = shared_address(shared.k[i % slots]) + part * kPartBytes;
    wait(&shared.keys_full[i % slots], i / slots & 1);
    if (i > 0) {
      wait(&shared.others_empty, (i - 1) & 1);  // neither part needs what was parked any more
      wait(&shared.x_empty, (i - 1) & 1);
    }

    // Ψ dX⁺, and dX⁺ itself for memory.
    float z[32];
    read_part<T, has_momentum, true>(s, m, z, operand<Major::k>(k_address), of.write_S, of.write_M,
                                     shared_address(shared.x) + part * kPartBytes, warp, lane);
    if constexpr (has_channels) arrive(&shared.keys_empty[i % slots]);
    park(shared.z[part], z, thread);
    fence_shared();
    arrive(&shared.x_full);
    arrive(&shared.parked);
    wait(&shared.parked, i & 1);
    add_parked(z, shared.z[1 - part], thread);
    wait(&shared.others_full, i & 1);

    // dw = Lᵀ dO + Ψ dX⁺, dr = T⁻ᵀ dw: all transposed.
    std::uint32_t d_o[16];
    for_each_transposed(shared_address(shared.others.d_o), warp, lane,
                        [&](int n, std::uint32_t low, std::uint32_t high) {
                          d_o[2 * n] = low;
                          d_o[2 * n + 1] = high;
                        });
    const std::uint64_t scores = operand<Major::mn>(shared_address(shared.others.scores));
    fence_fragment(z);
    begin_products();
#pragma unroll
    for (int j = 0; j < 4; ++j)
      product<Major::mn>(z, element, &d_o[4 * j], scores + step<Major::mn>(j), true);
    commit_products();
    wait_products<0>();
    fence_fragment(z);
    if constexpr (has_delta) {
      std::uint32_t d_w[16];
      pack_fragment<T>(z, d_w);
      const std::uint64_t inverse = operand<Major::mn>(shared_address(shared.others.inverse));
      fence_fragment(z);
      begin_products();
#pragma unroll
      for (int j = 0; j < 4; ++j)
        product<Major::mn>(z, element, &d_w[4 * j], inverse + step<Major::mn>(j), true);
      commit_products();
    }

    // dX = Φᵀ dX⁺ + Q̂ᵀ dO while dr is made, then − Dᵀ dr.
    const Scale scale_S = scale_of_rows<T>(lane, of.out_S, of.read_S),
                scale_M = has_momentum ? scale_of_rows<T>(lane, of.out_M, of.read_M) : Scale{};
    decay_adjoint<has_momentum>(s, m, of, scale_S, scale_M);
    if constexpr (has_channels) {
      wait(&shared.last_full, i & 1);
      decay<kPartWidth>(s, shared.keep[part], {}, lane);
      if constexpr (has_momentum) decay<kPartWidth>(m, shared.keep[part], {}, lane);
    }
    const auto of_d_o = [&](int j) {
      return j % 2 == 0 ? Element<T>::low(d_o[j / 2]) : Element<T>::high(d_o[j / 2]);
    };
    std::uint32_t read_address = k_address;
    if constexpr (has_channels) read_address = shared_address(shared.last) + part * kPartBytes;
    const std::uint64_t q = operand<Major::mn>(shared_address(shared.others.q) + part * kPartBytes),
                        k = operand<Major::mn>(read_address);
    std::uint32_t out_S[16], out_M[16];
    scale_columns<T>(out_S, of.out_S, scale_S.up, lane, of_d_o);
    write_half<T, kPartWidth>(s, out_S, q);
    if constexpr (has_momentum) {
      scale_columns<T>(out_M, of.out_M, -scale_M.up, lane, of_d_o);
      write_half<T, kPartWidth>(m, out_M, q);
    }
    if constexpr (has_delta) {
      wait_products<has_momentum ? 2 : 1>();
      fence_fragment(z);
    }
    if (part == 1) {  // its own threads have read what part 0 had parked
      sync(2, kWarpgroup);
      const Chunk chunk = in.chunk[document.first_chunk + document.chunks - 1 - i];
      store_tokens(z, shared.d_r, in.d_v + (std::int64_t{chunk.token} * H + blockIdx.y) * V + 64 * blockIdx.x,
                   std::int64_t{H} * V, chunk.rows, warp, lane);
    }
    if constexpr (has_delta) {
      std::uint32_t read_S[16], read_M[16];
      const auto of_d_r = [&](int j) { return z[j]; };
      scale_columns<T>(read_S, of.read_S, -scale_S.up, lane, of_d_r);
      write_half<T, kPartWidth>(s, read_S, k);
      if constexpr (has_momentum) {
        scale_columns<T>(read_M, of.read_M, scale_M.up, lane, of_d_r);
        write_half<T, kPartWidth>(m, read_M, k);
      }
    }
    wait_products<has_delta ? (has_momentum ? 2 : 1) : 0>();  // q has been read
    arrive(&shared.others_empty);
    wait_products<0>();
    fence_fragment(s);
    if constexpr (has_momentum) fence_fragment(m);
    scale_down<T>(s, scale_S);
    if constexpr (has_momentum) scale_down<T>(m, scale_M);
    if constexpr (has_channels) {
      arrive(&shared.last_empty);
    } else {
      arrive(&shared.keys_empty[i % slots]);
    }
  }
  if (in.d_initial_S)
    exchange_state<kPartWidth, false>(s, nullptr, in.d_initial_S + boundary(), V, warp, lane);
  if constexpr (has_momentum) {
    if (in.d_initial_M)
      exchange_state<kPartWidth, false>(m, nullptr, in.d_initial_M + boundary(), V, warp, lane);
  }
}

template <class T, class Shared>
__device__ inline void store_wide_adjoints(const ReverseArguments<T>& in, Shared& shared, Document document) {
  if (threadIdx.x % 32 != 0) return;
#pragma unroll 1
  for (int i = 0; i < document.chunks; ++i) {
    const std::int64_t index = in.sizes.entry(document.first_chunk + document.chunks - 1 - i, blockIdx.y);
    wait(&shared.x_full, i & 1);
    store_bytes(in.d_states + (index * gridDim.x + blockIdx.x) * Shared::state, shared.x,
                sizeof(T) * Shared::state);
    wait_stores_read();
    arrive(&shared.x_empty);
  }
}

template <class T, bool has_delta, class Arguments, class Shared>
__device__ inline void bring_wide_reverse(const Arguments& in, Shared& shared, Document document) {
  constexpr bool has_channels = Shared::channels;
  constexpr int slots = Shared::slots, panel_bytes = sizeof(T) * kPanelElements,
                tile_bytes = sizeof(T) * kChunk * kWideWidth;
  const int head = blockIdx.y, key_head = head / (in.sizes.heads / in.sizes.key_heads);
  Landing landing{&shared.landed};
#pragma unroll 1  // 24 registers
  for (int i = 0; i < document.chunks; ++i) {
    const int c = document.first_chunk + document.chunks - 1 - i, slot = i % slots;
    const Chunk chunk = in.chunk[c];
    const std::int64_t index = in.sizes.entry(c, head);
    T* const k = shared.k[slot];
    auto& others = shared.others;
    if (i >= slots) wait(&shared.keys_empty[slot], (i / slots - 1) & 1);
    bring(&shared.keys_full[slot], landing, tile_bytes + sizeof(Coefficients), k, kWideWidth / kPanel,
          has_channels ? kChunk : chunk.rows, [&](std::uint64_t* barrier) {
            if constexpr (has_channels) copy_bytes(k, in.operands[index].write, tile_bytes, barrier);
#pragma unroll 1
            for (int panel = 0; !has_channels && panel < kWideWidth / kPanel; ++panel) {
              copy_panel(k + panel * kPanelElements, in.k, panel * kPanel, key_head, chunk.token, barrier);
            }
            copy_bytes(&shared.coefficients[i % kKeySlots], in.coefficients + index, sizeof(Coefficients),
                       barrier);
          });
    if (i > 0) wait(&shared.others_empty, (i - 1) & 1);
    constexpr int bytes = tile_bytes + panel_bytes * (2 + has_delta),
                  key_panels = has_channels ? 0 : kWideWidth / kPanel;  // that may hold what is no token
    bring(&shared.others_full, landing, bytes, has_channels ? others.d_o : others.q, key_panels + 1,
          chunk.rows, [&](std::uint64_t* barrier) {
            copy_panel(others.d_o, in.d_o, 64 * blockIdx.x, head, chunk.token, barrier);
            if constexpr (has_channels) {
              const auto& operands = in.operands[index];
              copy_bytes(others.scores, operands.scores, panel_bytes, barrier);
              copy_bytes(others.inverse, operands.inverse, panel_bytes, barrier);
              copy_bytes(others.q, operands.out, tile_bytes, barrier);
            } else {
              copy_bytes(others.scores, in.scores + index * kPanelElements, panel_bytes, barrier);
              if constexpr (has_delta)
                copy_bytes(others.inverse, in.inverse + index * kPanelElements, panel_bytes, barrier);
#pragma unroll 1
              for (int panel = 0; panel < kWideWidth / kPanel; ++panel) {
                copy_panel(others.q + panel * kPanelElements, in.q, panel * kPanel, key_head, chunk.token,
                           barrier);
              }
            }
          });
  }
}

// Grid (V/64, H, N).
template <class T, bool has_delta, bool has_momentum, bool has_channels = false>
__global__ __launch_bounds__(kWideThreads, 1) void wide_reverse(
    const __grid_constant__ WideArguments<T, ReverseArguments<T>, has_channels> in) {
  using Shared = WideReverseShared<T, has_delta, has_momentum, has_channels>;
  extern __shared__ unsigned char memory[];
  Shared& shared = shared_memory<Shared>(memory);
  if (threadIdx.x == 0) {
    for (int i = 0; i < Shared::slots; ++i) {
      init_barrier(&shared.keys_full[i], 32);
      init_barrier(&shared.keys_empty[i], kHoldingThreads);
    }
    init_barrier(&shared.others_full, 32);
    init_barrier(&shared.others_empty, kHoldingThreads);
    init_barrier(&shared.x_full, kHoldingThreads);
    init_barrier(&shared.x_empty, 1);
    init_barrier(&shared.parked, kHoldingThreads);
    init_barrier(&shared.landed, 1);
    if constexpr (has_channels) init_last(shared);
    fence_barrier_init();
  }
  __syncthreads();
  const Document document = in.document[blockIdx.z];
  if (threadIdx.x < kHoldingThreads) {
    raise_registers<kHoldingRegisters>();
    hold_part_of_adjoint<T, has_delta, has_momentum>(in, shared, document);
  } else {
    lower_registers<kWideBringerRegisters>();
    const int warp = threadIdx.x % kWarpgroup / 32;
    if constexpr (has_channels) {
      if (warp == 2) {
        bring_last(shared, document.chunks, [&](int i) {
          const int c = document.first_chunk + document.chunks - 1 - i;
          const auto& operands = in.operands[in.sizes.entry(c, blockIdx.y)];
          return LastOf<T>{operands.read, operands.keep};
        });
        return;
      }
    }
    if (warp == 0) bring_wide_reverse<T, has_delta>(in, shared, document);
    if (warp == 1) store_wide_adjoints(in, shared, document);
  }
}

}  // namespace mdnlab::scan::cuda
