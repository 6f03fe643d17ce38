// y = xWᵀ for more than eight rows x, one a sequence.
//
// A block has some eights of rows of the weights. They come into a ring of slots in shared memory by bulk
// copies, for which one thread asks before the kernel in front is done. The tensor cores multiply 16 rows of
// x by an eight; the warps share out K, in blocks of 32, so that each has its part of x in registers for all
// eights. Of swiglu an eight is one of either weight.
#include <climits>

#include "ops/cuda/ring.cuh"
#include "ops/cuda/rows.cuh"

namespace mdnlab::ops::cuda {

namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;
constexpr int kChunk = 1024, kBlocksOfChunk = kChunk / kBlock / kWarps;  // of K; of 32 of it, that a warp has
// A slot holds as many rows of an eight as have 1024 numbers each, or half, a quarter, an eighth of these
// rows. The upper four lie a little aside, so that two rows meet all banks.
constexpr int kAside = 64;
constexpr int kTiles = 12;               // eights whose sums are there at once
constexpr int kMostShared = 227 * 1024;  // bytes that a block can have

// Of all eights those of this block.
struct Units {
  int begin, end;
};
__device__ Units units_of_block(const RowsProduct& in) {
  const int i = blockIdx.x, begin = i * in.each + min(i, in.rest);
  return {begin, begin + in.each + (i < in.rest)};
}

struct Place {
  int part, n;  // row of the part's weight
};
__device__ Place place_of(const RowsProduct& in, int eight) {
  int part = 0;
#pragma unroll
  for (int i = 1; i < kMostParts; ++i) part += in.first[i] <= eight;
  return {part, 8 * (eight - in.first[part])};
}

__device__ int weights_of_eight(const RowsProduct& in) {
  return in.part[0].output == RowsOutput::swiglu ? 2 : 1;
}

// Of an eight's rows in a slot.
__host__ __device__ int rows_of_slot(int K) {
  if (K <= kChunk) return 8;
  if (K <= 2 * kChunk) return 4;
  return K <= 3 * kChunk ? 2 : 1;
}

// By one thread: the weights of a block's eights, slot after slot, in the order in which they are multiplied.
class Fetching {
 public:
  __device__ Fetching(const RowsProduct& in, Units mine, Ring ring)
      : in_(in), ring_(ring), eight_(mine.begin), end_(mine.end) {}

  __device__ void fill(int slots) {
    const int most = rows_of_slot(in_.K), row_bytes = 2 * in_.K;
#pragma unroll 1
    for (; slots > 0 && eight_ < end_; --slots) {
      const Place at = place_of(in_, eight_);
      const RowsPart& part = in_.part[at.part];
      const __nv_bfloat16* const from =
          (half_ == 0 ? part.weight : part.up) + static_cast<long long>(at.n + row_) * in_.K;
      const int here = max(0, min(most, part.N - at.n - row_)), lower = min(here, 4);
      ring_.fill({from, lower * row_bytes, row_ >= 4 ? kAside : 0},
                 {from + 4 * in_.K, (here - lower) * row_bytes, 4 * row_bytes + kAside});
      row_ += most;
      if (row_ == 8) row_ = 0, ++half_;
      if (half_ == weights_of_eight(in_)) half_ = 0, ++eight_;
    }
  }

 private:
  const RowsProduct& in_;
  Ring ring_;
  int eight_, end_, half_ = 0, row_ = 0;
};

// Of x the warp's part, which lane l has of rows l/4 and, of 16, 8 + l/4: block 8j + warp of K at j, of it
// the eight l%4. Lanes past the last row have that one; what comes of it is not written. A condition on a
// load would be a branch of its own for each, so that only blocks that may be behind K's end have one.
template <int kChunks>
struct OfWarp {
  static constexpr int kRows = kChunks <= 3 ? 16 : 8;  // of x at once, as registers allow
  static constexpr int kBlocks = kChunks * kBlocksOfChunk,
                       kSlotsOfEight = kChunks <= 2   ? kChunks
                                       : kChunks == 3 ? 4
                                                      : 8,
                       kSure = (kChunks <= 3 ? kChunks - 1 : 3) * kBlocksOfChunk;  // K is more than that
  static constexpr int kEights = kRows / 8;                                        // of rows of x
  using X = uint4[kBlocks][kEights];

  int blocks, warp, row, eight;
  __device__ explicit OfWarp(const RowsProduct& in) {
    const int thread = threadIdx.x;
    blocks = in.K / kBlock;
    warp = thread / 32, row = thread % 32 / 4, eight = thread % 4 * 8;
  }
  __device__ bool has(int j) const { return j < kSure || j * kWarps + warp < blocks; }
  __device__ int first() const { return warp * kBlock + eight; }  // the j-th is kStep·j behind
  static constexpr int kStep = kWarps * kBlock;

  __device__ void read(X& x, const RowsProduct& in, const __nv_bfloat16* array, int first_row) const {
#pragma unroll
    for (int i = 0; i < kEights; ++i) {
      const int r = min(first_row + row + 8 * i, in.R - 1);
      const __nv_bfloat16* const from = array + static_cast<long long>(r) * in.K + first();
#pragma unroll
      for (int j = 0; j < kBlocks; ++j) {
        x[j][i] = make_uint4(0, 0, 0, 0);  // else the assembler keeps what was there all along
        if (has(j)) x[j][i] = __ldcg(reinterpret_cast<const uint4*>(from + j * kStep));
      }
    }
  }
};

// The warp's shares of the sums of `tiles` eights, to shared memory: eight of each row of x. The eight's rows
// are taken in the order 0, 4, 1, 5, 2, 6, 3, 7, since pairs of these meet all banks.
template <int kChunks>
struct Tiles {
  using Of = OfWarp<kChunks>;
  static constexpr int kRowsOfSlot = 8 / Of::kSlotsOfEight;

  const Of& of;
  const typename Of::X& x;
  int plane, n, of_row;

  __device__ Tiles(const RowsProduct& in, const Of& of_warp, const typename Of::X& of_x)
      : of(of_warp), x(of_x), plane(in.tiles_at_once * 8 * Of::kRows), n(of.row % 2 * 4 + of.row / 2) {
    of_row = 2 * (n % kRowsOfSlot * in.K + of.first()) + (n >= 4 ? kAside : 0);
  }

  // So many at once, for what each waits for takes longer than the sums.
  template <int kCount>
  __device__ void multiply_some(const Ring& ring, float* to) const {
    ring.wait(kCount * Of::kSlotsOfEight);
    const unsigned char* from[kCount];
    float sum[kCount][kBlocksOfChunk][4] = {};
#pragma unroll
    for (int t = 0; t < kCount; ++t) from[t] = ring.slot(t * Of::kSlotsOfEight + n / kRowsOfSlot) + of_row;
    const auto load = [&](int t, int j) {
      return *reinterpret_cast<const uint4*>(from[t] + 2 * j * Of::kStep);
    };
    const auto multiply_by = [&](int t, int j, const uint4& w) {
      const uint4 upper = x[j][0], lower = Of::kEights > 1 ? x[j][Of::kEights - 1] : make_uint4(0, 0, 0, 0);
      multiply(sum[t][j % kBlocksOfChunk], upper.x, lower.x, upper.y, lower.y, w.x, w.y);
      multiply(sum[t][j % kBlocksOfChunk], upper.z, lower.z, upper.w, lower.w, w.z, w.w);
    };
#pragma unroll
    for (int begin = 0; begin < Of::kBlocks; begin += kBlocksOfChunk) {
      if (of.has(begin + kBlocksOfChunk - 1)) {
        uint4 w[kCount][kBlocksOfChunk];
#pragma unroll
        for (int i = 0; i < kBlocksOfChunk; ++i)
#pragma unroll
          for (int t = 0; t < kCount; ++t) w[t][i] = load(t, begin + i);
#pragma unroll
        for (int i = 0; i < kBlocksOfChunk; ++i)
#pragma unroll
          for (int t = 0; t < kCount; ++t) multiply_by(t, begin + i, w[t][i]);
      } else {
#pragma unroll
        for (int i = 0; i < kBlocksOfChunk; ++i)
#pragma unroll
          for (int t = 0; t < kCount; ++t)
            if (of.has(begin + i)) multiply_by(t, begin + i, load(t, begin + i));
      }
    }
#pragma unroll
    for (int t = 0; t < kCount; ++t) {
#pragma unroll
      for (int i = 1; i < kBlocksOfChunk; ++i)
#pragma unroll
        for (int c = 0; c < 4; ++c) sum[t][0][c] += sum[t][i][c];
#pragma unroll
      for (int i = 0; i < Of::kEights; ++i) {
        float* const of_tile = to + ((t * Of::kRows + of.row + 8 * i) * 8 + of.eight / 8);
        of_tile[0] = sum[t][0][2 * i], of_tile[4] = sum[t][0][2 * i + 1];
      }
    }
  }
  __device__ void multiply_all(Ring ring, int tiles, float* sums) const {
    float* to = sums + of.warp * plane;
    constexpr int kAtOnce = Of::kRows == 16 ? 2 : 1;  // as registers allow
    int tile = 0;
#pragma unroll 1
    for (; tile + kAtOnce <= tiles; tile += kAtOnce, to += kAtOnce * 8 * Of::kRows) {
      multiply_some<kAtOnce>(ring, to);
      ring.advance(kAtOnce * Of::kSlotsOfEight);
    }
    if (tile < tiles) multiply_some<1>(ring, to);
  }
};

// The threads, in eights, have an output each of the eights from `first` on, row after row of x from
// `first_row` on, kRows of them.
template <int kRows>
struct Output {
  int part = 0, n = -1, r = 0, sum = 0;  // n < 0: none
  Beside beside{};

  Output() = default;
  __device__ Output(const RowsProduct& in, int first, int count, int first_row, int turn) {
    const int i = turn * (kThreads / 8) + static_cast<int>(threadIdx.x) / 8;
    if (i >= count * kRows) return;
    const int of_eights = i / kRows, of_rows = i % kRows;
    r = first_row + of_rows;
    if (r >= in.R) return;
    const Place at = place_of(in, first + of_eights);
    part = at.part;
    sum = (of_eights * weights_of_eight(in) * kRows + of_rows) * 8 + threadIdx.x % 8;
    if (at.n + static_cast<int>(threadIdx.x) % 8 >= in.part[part].N) return;
    n = at.n + threadIdx.x % 8;
    beside.fetch(in.part[part].output, in.part[part], n, r);
  }
  __device__ void fetch_before(const RowsProduct& in) {
    if (n >= 0) beside.fetch_before(in.part[part].output, in.part[part], n, r);
  }
  __device__ void write(const RowsProduct& in, const float* sums) const {
    if (n < 0) return;
    const auto sum_at = [&](int at) {
      float whole = 0;
#pragma unroll
      for (int warp = 0; warp < kWarps; ++warp) whole += sums[warp * in.tiles_at_once * 8 * kRows + at];
      return whole;
    };
    const float up = weights_of_eight(in) == 2 ? sum_at(sum + kRows * 8) : 0;
    write_output(in.part[part].output, in.part[part], n, r, sum_at(sum), up, beside);
  }
};

// How many eights from `first` on are multiplied at once: of one x.
__device__ int count_at_once(const RowsProduct& in, int first, int end) {
  const int last = min(first + in.at_once, end);
  if (in.has_one_x) return last - first;
  const __nv_bfloat16* const x = in.part[place_of(in, first).part].x;
  int count = 1;
#pragma unroll 1
  while (first + count < last && in.part[place_of(in, first + count).part].x == x) ++count;
  return count;
}

template <int kChunks>
__global__ void __launch_bounds__(kThreads, 1) many_rows_kernel(const __grid_constant__ RowsProduct in) {
  using Of = OfWarp<kChunks>;
  constexpr int kHeld = Of::kRows / 8 * 2 - 1;  // outputs of a thread that are fetched for ahead
  let_next_start();
  RingGates& gates = *reinterpret_cast<RingGates*>(shared_memory());
  unsigned char* const behind = shared_memory() + sizeof(RingGates);
  float* const sums = reinterpret_cast<float*>(behind);
  Ring ring(gates, behind + in.sums_bytes, in.slots, in.slot_bytes);
  const Units mine = units_of_block(in);
  Fetching fetching(in, mine, ring);
  if (threadIdx.x == 0) {
    ring.make();
    fetching.fill(in.slots);
  }
  __syncthreads();

  const Of of(in);
  typename Of::X x = {};
#pragma unroll 1
  for (int first = mine.begin, count; first < mine.end; first += count) {
    count = count_at_once(in, first, mine.end);
    const int tiles = count * weights_of_eight(in);
    const __nv_bfloat16* const x_RK = in.part[place_of(in, first).part].x;
#pragma unroll 1
    for (int first_row = 0; first_row < in.R; first_row += Of::kRows) {
      Output<Of::kRows> outputs[kHeld];
#pragma unroll
      for (int i = 0; i < kHeld; ++i) outputs[i] = Output<Of::kRows>(in, first, count, first_row, i);
      if (first == mine.begin && first_row == 0) wait_for_previous();
      if (first_row == 0) of.read(x, in, x_RK, 0);
#pragma unroll
      for (int i = 0; i < kHeld; ++i) outputs[i].fetch_before(in);
      Tiles<kChunks>(in, of, x).multiply_all(ring, tiles, sums);
      if (first_row + Of::kRows < in.R) of.read(x, in, x_RK, first_row + Of::kRows);
      __syncthreads();
#pragma unroll
      for (int i = 0; i < kHeld; ++i) outputs[i].write(in, sums);
#pragma unroll 1
      for (int turn = kHeld; turn * (kThreads / 8) < count * Of::kRows; ++turn) {
        Output<Of::kRows> output(in, first, count, first_row, turn);
        output.fetch_before(in);
        output.write(in, sums);
      }
      __syncthreads();  // the sums have been read
    }
    const int used = tiles * Of::kSlotsOfEight;
    ring.advance(used);
    if (threadIdx.x == 0) fetching.fill(used);
  }
}

template <int kChunks>
cudaError_t launch(const RowsProduct& in, int blocks, cudaStream_t stream) {
  const int bytes = static_cast<int>(sizeof(RingGates)) + in.sums_bytes + in.slots * in.slot_bytes;
  return launch_early(many_rows_kernel<kChunks>, in, dim3(static_cast<unsigned>(blocks)), kThreads, bytes, 1,
                      stream);
}

}  // namespace

cudaError_t many_rows_product(const RowsProduct& given, int multiprocessors, cudaStream_t stream) {
  RowsProduct in = given;
  in.has_one_x = true;
  int eights = 0;
  for (int i = 0; i < kMostParts; ++i) {
    in.first[i] = i < in.parts ? eights : INT_MAX;
    if (i < in.parts) eights += (in.part[i].N + 7) / 8, in.has_one_x &= in.part[i].x == in.part[0].x;
  }
  const int blocks = eights < multiprocessors ? eights : multiprocessors;
  in.each = eights / blocks, in.rest = eights % blocks;
  const int rows = in.K <= 3 * kChunk ? OfWarp<3>::kRows : OfWarp<8>::kRows;
  const int most_eights = in.each + (in.rest > 0);
  const int of_slot = rows_of_slot(in.K), pair = in.part[0].output == RowsOutput::swiglu ? 2 : 1,
            of_eight = 8 / of_slot * pair, needed = most_eights * of_eight;
  in.slot_bytes = 2 * of_slot * in.K + kAside;
  // As many eights at once as there is room for; where slots are filled again, half of them are, while the
  // others are worked on.
  for (in.at_once = most_eights < kTiles / pair ? most_eights : kTiles / pair; in.at_once > 0; --in.at_once) {
    in.tiles_at_once = in.at_once * pair;
    in.sums_bytes = kWarps * in.tiles_at_once * 8 * rows * 4;
    const int room = (kMostShared - static_cast<int>(sizeof(RingGates)) - in.sums_bytes) / in.slot_bytes,
              most = room < kMostSlots ? room : kMostSlots;
    in.slots = needed < most ? needed : most;
    const int at_once = in.at_once * of_eight;
    if (at_once <= in.slots && (needed <= in.slots || 2 * at_once <= in.slots || in.at_once == 1)) break;
  }
  if (in.at_once == 0) return cudaErrorInvalidValue;
  if (in.K <= kChunk) return launch<1>(in, blocks, stream);
  if (in.K <= 2 * kChunk) return launch<2>(in, blocks, stream);
  if (in.K <= 3 * kChunk) return launch<3>(in, blocks, stream);
  return launch<8>(in, blocks, stream);
}

}  // namespace mdnlab::ops::cuda
