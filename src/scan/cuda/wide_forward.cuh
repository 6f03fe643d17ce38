// forward.cuh, and channel_forward.cuh, for keys of 256 columns (wide.cuh): a block takes one document, head
// and 64 value columns.
//
//   warpgroups 0 and 1 hold the state and make the outputs too: what o reads of it goes through shared memory
//   like what
//               r reads, so that it needs no registers while w is made; each finishes o for 32 of the 64
//               tokens.
//   warpgroup 2 brings tiles, one of its warps with the copy engine; for the backward pass another stores X
//   and w.
#pragma once

#include "scan/cuda/forward.cuh"
#include "scan/cuda/tail.cuh"
#include "scan/cuda/wide.cuh"

namespace mdnlab::scan::cuda {

template <class T, bool has_delta, bool has_momentum, Result result, bool has_channels = false>
struct WideForwardShared : LastTile<T, has_channels> {  // Ψ
  static constexpr bool has_outputs = result == Result::outputs, channels = has_channels;
  static constexpr int state = (has_momentum ? 2 : 1) * 64 * kWideWidth, slots = key_slots(has_channels);
  struct Keys {
    alignas(1024) T k[kChunk * kWideWidth];        // with channels D
    T q[has_outputs ? kChunk * kWideWidth : 512];  // Q̂
  } keys[slots];
  struct Others {
    alignas(1024) T v[kPanelElements];
    T inverse[has_delta ? kPanelElements : 512];
    T scores[has_outputs ? kPanelElements : 512];
  } others;
  alignas(1024) T x[has_outputs ? 512 : state];
  T w[has_outputs ? 512 : kPanelElements];
  T o[has_outputs ? kPanelElements : 512];
  alignas(16) Parked<32> z[kParts];
  Parked<16> half_of_o[kParts];
  Coefficients coefficients[kKeySlots];
  std::uint64_t keys_full[slots], keys_empty[slots], others_full, others_empty;
  std::uint64_t x_full, w_full, x_empty, landed;
};

template <class T, bool has_delta, bool has_momentum, class Shared>
__device__ inline void hold_part(const ForwardArguments<T>& in, Shared& shared, Document document) {
  constexpr bool has_outputs = Shared::has_outputs, has_channels = Shared::channels;
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
  exchange_state<kPartWidth, true>(s, in.initial_S ? in.initial_S + boundary() : nullptr, nullptr, V, warp,
                                   lane);
  if constexpr (has_momentum) {
    exchange_state<kPartWidth, true>(m, in.initial_M ? in.initial_M + boundary() : nullptr, nullptr, V, warp,
                                     lane);
  }
  for (int c = 0; c < document.chunks; ++c) {
    const Coefficients& of = shared.coefficients[c % kKeySlots];
    const std::uint32_t k_address = shared_address(shared.keys[c % slots].k) + part * kPartBytes;
    const std::uint32_t q_address = shared_address(shared.keys[c % slots].q) + part * kPartBytes;
    const std::uint32_t x = shared_address(shared.x) + part * kPartBytes;
    wait(&shared.keys_full[c % slots], c / slots & 1);
    if (c > 0) {
      wait(&shared.others_empty, (c - 1) & 1);  // neither part needs what was parked any more
      if constexpr (!has_outputs) wait(&shared.x_empty, (c - 1) & 1);
    }

    // What r (along k) and o (along q) read of the incoming state, in part. Unrolled, the rounded state would
    // be kept from the one to the other, in 64 registers that are not there.
    float z[32], o[16];
#pragma unroll 1
    for (int of_o = !has_delta; of_o <= has_outputs; ++of_o) {
      fence_fragment(s);
      if constexpr (has_momentum) fence_fragment(m);
      const std::uint32_t keys = of_o ? q_address : k_address;
      read_part<T, has_momentum, !has_outputs>(s, m, z, operand<Major::k>(keys), of_o ? of.out_S : of.read_S,
                                               of_o ? of.out_M : of.read_M, x, warp, lane);
      if (!of_o) park(shared.z[part], z, thread);
    }
    if constexpr (has_channels) arrive(&shared.keys_empty[c % slots]);
    if constexpr (has_outputs) {
      float of_other[16];
#pragma unroll
      for (int i = 0; i < 16; ++i) {
        o[i] = part == 0 ? z[i] : z[16 + i];
        of_other[i] = part == 0 ? z[16 + i] : z[i];
      }
      park(shared.half_of_o[part], of_other, thread);
    } else {
      if constexpr (!has_delta) {
        read_half<T, kPartWidth, false>(s, z, 0, x, warp, lane);
        if constexpr (has_momentum)
          read_half<T, kPartWidth, false>(m, z, 0, x + kParts * kPartBytes, warp, lane);
      }
      fence_shared();
      arrive(&shared.x_full);
    }
    sync(1, kHoldingThreads);
    wait(&shared.others_full, c & 1);
    if constexpr (has_outputs) add_parked(o, shared.half_of_o[1 - part], thread);

    // r = V − DX, w = T⁻¹ r.
    const std::uint32_t v = shared_address(shared.others.v);
    int end = kChunk;  // where values above T's range begin
    if constexpr (has_delta) {
#pragma unroll
      for (int i = 0; i < 32; ++i) z[i] = 0;
      add_parked(z, shared.z[0], thread);
      add_parked(z, shared.z[1], thread);
      subtract_from_transposed<T>(z, v, warp, lane);
      std::uint32_t r[16];
      pack_fragment<T>(z, r);
      end = cut_to_range<T>(r, lane);
      const std::uint64_t inverse = operand<Major::k>(shared_address(shared.others.inverse));
      fence_fragment(z);
      begin_products();
#pragma unroll
      for (int i = 0; i < 4; ++i) product<Major::k>(z, element, &r[4 * i], inverse + step<Major::k>(i), true);
      commit_products();
    } else {
      load_transposed<T>(z, v, warp, lane);
    }
    const Scale scale_S = scale_of_rows<T>(lane, of.write_S),
                scale_M = has_momentum ? scale_of_rows<T>(lane, of.write_M) : Scale{};
    decay_state<has_momentum>(s, m, of, scale_S, scale_M);
    if constexpr (has_channels) {
      wait(&shared.last_full, c & 1);
      decay<kPartWidth>(s, shared.keep[part], {}, lane);
      if constexpr (has_momentum) decay<kPartWidth>(m, shared.keep[part], {}, lane);
    }
    fence_fragment(s);  // the decay, under the product
    if constexpr (has_momentum) fence_fragment(m);
    if constexpr (has_delta) {
      wait_products<0>();
      fence_fragment(z);
    }

    // o + Lw for this part's tokens, or w to memory; and what w leaves in the state.
    std::uint32_t w[16], w_S[16], w_M[16];
    pack_fragment<T>(z, w);
    if constexpr (has_delta) end = min(end, cut_to_range<T>(w, lane));
    const auto of_w = [&](int i) { return z[i]; };
    if constexpr (has_outputs) {
      const std::uint64_t scores =
          operand<Major::k>(shared_address(shared.others.scores) + part * 32 * kRowBytes);
      fence_fragment(o);
      begin_products();
#pragma unroll
      for (int i = 0; i < 4; ++i) product<Major::k>(o, element, &w[4 * i], scores + step<Major::k>(i), true);
      commit_products();
    } else if constexpr (has_delta) {
      if (part == 0) {
        const std::uint32_t panel = shared_address(shared.w);
        lay_operand(w, panel, warp, lane);
        fence_shared();
        arrive(&shared.w_full);
      }
    }
    scale_columns<T>(w_S, of.write_S, scale_S.up, lane, of_w);
    if constexpr (has_momentum) scale_columns<T>(w_M, of.write_M, -scale_M.up, lane, of_w);
    std::uint32_t write_address = k_address;
    if constexpr (has_channels) write_address = shared_address(shared.last) + part * kPartBytes;
    write_half<T, kPartWidth>(s, w_S, operand<Major::mn>(write_address));
    if constexpr (has_momentum) write_half<T, kPartWidth>(m, w_M, operand<Major::mn>(write_address));
    if constexpr (has_outputs) {
      wait_products<has_momentum ? 2 : 1>();
      fence_fragment(o);
      spoil_from<T>(o, end - part * 32, lane);
    }
    arrive(&shared.others_empty);
    if constexpr (has_outputs) {
      const Chunk chunk = in.chunk[document.first_chunk + c];
      store_tokens(o, shared.o + part * 32 * kPanel,
                   in.o + (std::int64_t{chunk.token + part * 32} * H + blockIdx.y) * V + 64 * blockIdx.x,
                   std::int64_t{H} * V, chunk.rows - part * 32, warp, lane);
    }
    wait_products<0>();
    fence_fragment(s);
    if constexpr (has_momentum) fence_fragment(m);
    scale_down<T>(s, scale_S);
    if constexpr (has_momentum) scale_down<T>(m, scale_M);
    if constexpr (has_channels) {
      arrive(&shared.last_empty);
    } else {
      arrive(&shared.keys_empty[c % slots]);
    }
  }
  if (in.final_S) exchange_state<kPartWidth, false>(s, nullptr, in.final_S + boundary(), V, warp, lane);
  if constexpr (has_momentum) {
    if (in.final_M) exchange_state<kPartWidth, false>(m, nullptr, in.final_M + boundary(), V, warp, lane);
  }
}

template <class T, bool has_delta, class Shared>
__device__ inline void store_wide_states(const ForwardArguments<T>& in, Shared& shared, Document document) {
  if (threadIdx.x % 32 != 0) return;
#pragma unroll 1
  for (int c = 0; c < document.chunks; ++c) {
    const std::int64_t tile = in.sizes.entry(document.first_chunk + c, blockIdx.y) * gridDim.x + blockIdx.x;
    wait(&shared.x_full, c & 1);
    if (in.states) store_bytes(in.states + tile * Shared::state, shared.x, sizeof(T) * Shared::state);
    if constexpr (has_delta) {
      wait(&shared.w_full, c & 1);
      if (in.states) store_bytes(in.residuals + tile * kPanelElements, shared.w, sizeof(T) * kPanelElements);
    }
    wait_stores_read();
    arrive(&shared.x_empty);
  }
}

template <class T, bool has_delta, class Arguments, class Shared>
__device__ inline void bring_wide_tiles(const Arguments& in, Shared& shared, Document document) {
  constexpr bool has_outputs = Shared::has_outputs, has_channels = Shared::channels;
  constexpr int slots = Shared::slots;
  const int key_head = blockIdx.y / (in.sizes.heads / in.sizes.key_heads);
  Landing landing{&shared.landed};
#pragma unroll 1  // 24 registers
  for (int c = 0; c < document.chunks; ++c) {
    const int token = in.chunk[document.first_chunk + c].token;
    const std::int64_t index = in.sizes.entry(document.first_chunk + c, blockIdx.y);
    const int slot = c % slots;
    auto& keys = shared.keys[slot];
    auto& others = shared.others;
    const int rows = has_channels ? in.chunk[document.first_chunk + c].rows : in.coefficients[index].rows;
    if (c >= slots) wait(&shared.keys_empty[slot], (c / slots - 1) & 1);
    constexpr int tile_bytes = sizeof(T) * kChunk * kWideWidth;
    bring(&shared.keys_full[slot], landing, tile_bytes * (1 + has_outputs) + sizeof(Coefficients), keys.k,
          kWideWidth / kPanel, has_channels ? kChunk : rows, [&](std::uint64_t* barrier) {
            if constexpr (has_channels) {
              copy_bytes(keys.k, in.operands[index].read, tile_bytes, barrier);
              if constexpr (has_outputs) copy_bytes(keys.q, in.operands[index].out, tile_bytes, barrier);
            }
#pragma unroll 1
            for (int panel = 0; !has_channels && panel < kWideWidth / kPanel; ++panel) {
              copy_panel(keys.k + panel * kPanelElements, in.k, panel * kPanel, key_head, token, barrier);
            }
            copy_bytes(&shared.coefficients[c % kKeySlots], in.coefficients + index, sizeof(Coefficients),
                       barrier);
#pragma unroll 1
            for (int panel = 0; !has_channels && has_outputs && panel < kWideWidth / kPanel; ++panel) {
              copy_panel(keys.q + panel * kPanelElements, in.q, panel * kPanel, key_head, token, barrier);
            }
          });
    if (c > 0) wait(&shared.others_empty, (c - 1) & 1);
    constexpr int panel_bytes = sizeof(T) * kPanelElements,
                  bytes = panel_bytes * (1 + has_delta + has_outputs);
    const auto issue = [&](std::uint64_t* barrier) {
      copy_panel(others.v, in.v, 64 * blockIdx.x, blockIdx.y, token, barrier);
      if constexpr (has_channels) {
        copy_bytes(others.inverse, in.operands[index].inverse, panel_bytes, barrier);
        if constexpr (has_outputs) copy_bytes(others.scores, in.operands[index].scores, panel_bytes, barrier);
      } else {
        if constexpr (has_delta)
          copy_bytes(others.inverse, in.inverse + index * kPanelElements, panel_bytes, barrier);
        if constexpr (has_outputs)
          copy_bytes(others.scores, in.scores + index * kPanelElements, panel_bytes, barrier);
      }
    };
    if constexpr (has_outputs) {
      bring_mended(&shared.others_full, landing, bytes, issue, [&] {
        for (int half = 0; half < 2; ++half) {
          mend_values(others.v, half, rows, [&](int row) {
            fill_rows(others.scores, 1, row, kNaNs);
            wait(&shared.keys_full[slot], c / slots & 1);
            Coefficients& of = shared.coefficients[c % kKeySlots];
            if (threadIdx.x % 32 == 0) of.keep_S = of.keep_M = nanf("");
          });
        }
      });
    } else {
      bring(&shared.others_full, landing, bytes, others.v, 1, rows, issue);
    }
  }
}

// Grid (V/64, H, N).
template <class T, bool has_delta, bool has_momentum, Result result, bool has_channels = false>
__global__ __launch_bounds__(kWideThreads, 1) void wide_forward(
    const __grid_constant__ WideArguments<T, ForwardArguments<T>, has_channels> in) {
  using Shared = WideForwardShared<T, has_delta, has_momentum, result, has_channels>;
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
    init_barrier(&shared.w_full, kWarpgroup);
    init_barrier(&shared.x_empty, 1);
    init_barrier(&shared.landed, 1);
    if constexpr (has_channels) init_last(shared);
    fence_barrier_init();
  }
  __syncthreads();
  const Document document = in.document[blockIdx.z];
  if (threadIdx.x < kHoldingThreads) {
    raise_registers<kHoldingRegisters>();
    hold_part<T, has_delta, has_momentum>(in, shared, document);
  } else {
    lower_registers<kWideBringerRegisters>();
    const int warp = threadIdx.x % kWarpgroup / 32;
    if constexpr (has_channels) {
      if (warp == 2) {
        bring_last(shared, document.chunks, [&](int c) {
          const auto& operands = in.operands[in.sizes.entry(document.first_chunk + c, blockIdx.y)];
          return LastOf<T>{operands.write, operands.keep};
        });
        return;
      }
    }
    if (warp == 0) bring_wide_tiles<T, has_delta>(in, shared, document);
    if (result == Result::states && warp == 1) store_wide_states<T, has_delta>(in, shared, document);
  }
}

}  // namespace mdnlab::scan::cuda
