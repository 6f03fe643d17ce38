// y = xWᵀ for more rows x than few_rows_product() takes, one a sequence.
//
// A block has a tile of W's rows at a time. One warp of it asks the copy engine for some panels of 64 of K at
// a time: of W as far ahead as shared memory reaches, before the kernel in front is done, and of 64 rows of x
// behind it. Two groups of four warps multiply every second panel each, or, where a block has several tiles,
// every second tile, so that one writes while the other multiplies. Where W has few rows, the blocks of a
// cluster share out K as well, so that x is read less often; each writes a part of the rows of y, and is sent
// the others' sums of these.
#include "ops/cuda/rows.cuh"

namespace mdnlab::ops::cuda {

namespace {

constexpr int kGroups = 2, kOfGroup = 128, kWorkers = kOfGroup * kGroups, kWarps = kWorkers / 32,
              kThreads = kWorkers + 32;
constexpr int kMostRows = 64, kPanel = 64;  // of x at once, and of K
constexpr int kRowBytes = 2 * kPanel;
constexpr int kLeastSlots = 2, kMostSlots = 32;
constexpr int kXBytes = 48 << 10;        // of x that are there at once,
constexpr int kKeptBytes = 128 << 10;    // or are kept
constexpr int kSharedBytes = 112 << 10;  // of a block, so that the next kernel's is there beside it;
constexpr int kAllBytes = 226 << 10;     // where it has more than one tile, or else no room
constexpr int kMostBlocks = 4;           // of a cluster

// A product as its kernel has it.
struct Launched {
  RowsProduct in;
  TileMap weight[kMostParts], up[kMostParts], x[kMostParts];
  Tiling tiling;
  int cluster, of_block;                   // panels of a row that a block of the cluster has
  int rows;                                // of x at once, in sixteens
  int panels;                              // of a slot
  int w_slots, w_bytes, x_slots, x_bytes;  // bytes of a panel
  bool keeps_x;                            // x is there for all tiles
  bool is_direct;                          // sums are all of the outputs: widen, in kGoesOn
};

struct Gates {
  unsigned long long w_full[kMostSlots], w_free[kMostSlots], x_full[kMostSlots], x_free[kMostSlots];
  unsigned long long summed;          // the cluster's sums are there
  unsigned long long turns[kGroups];  // a group's, to multiply
};

// All slots of a block in the order in which they are multiplied, by one thread: it asks for one after the
// other.
class Slots {
 public:
  __device__ Slots(const Launched& it, int rank)
      : it_(it),
        passes_((it.in.R + it.rows - 1) / it.rows),
        first_(rank * it.of_block),
        tile_(static_cast<int>(blockIdx.x) / it.cluster),
        place_(it.tiling.place(tile_)) {}
  __device__ bool is_over() const { return tile_ >= it_.tiling.tiles; }
  __device__ bool is_first() const { return tile_ < static_cast<int>(gridDim.x) / it_.cluster && pass_ == 0; }
  __device__ int panel() const { return first_ + panel_; }
  __device__ int first_row() const { return pass_ * it_.rows; }
  __device__ const Place& place() const { return place_; }
  __device__ void advance() {
    panel_ += it_.panels;
    if (panel_ < it_.of_block) return;
    panel_ = 0;
    if (++pass_ < passes_) return;
    pass_ = 0;
    tile_ += static_cast<int>(gridDim.x) / it_.cluster;
    if (!is_over()) place_ = it_.tiling.place(tile_);
  }

 private:
  const Launched& it_;
  int passes_, first_, tile_, pass_ = 0, panel_ = 0;
  Place place_;
};

__device__ void fill(const Launched& it, Gates& gates, unsigned char* w_slots, unsigned char* x_slots,
                     int rank) {
  const bool is_pair = it.in.part[0].output == RowsOutput::swiglu;
  const int w_bytes = it.panels * it.w_bytes, x_bytes = it.panels * it.x_bytes;
  Slots w(it, rank), x(it, rank);
  InRing w_at, x_at;
  int used = 0;  // slots of W
  const auto fill_w = [&] {
    if (used >= it.w_slots) wait_at(&gates.w_free[w_at.slot], w_at.parity ^ 1);
    unsigned long long* const gate = &gates.w_full[w_at.slot];
    unsigned char* const to = w_slots + w_at.slot * w_bytes;
    arrive_expecting(gate, w_bytes);
    copy_tile(to, it.weight[w.place().part], w.panel(), w.place().first, gate);
    if (is_pair) copy_tile(to + w_bytes / 2, it.up[w.place().part], w.panel(), w.place().first, gate);
    w_at.advance(it.w_slots);
    w.advance();
    ++used;
  };
#pragma unroll 1
  while (used < it.w_slots && !w.is_over()) fill_w();
#pragma unroll 1
  for (Slots ahead = w; ahead.is_first(); ahead.advance()) {  // what has no room yet, of the first tile
    prefetch_tile(it.weight[w.place().part], ahead.panel(), ahead.place().first);
    if (is_pair) prefetch_tile(it.up[w.place().part], ahead.panel(), ahead.place().first);
  }
  prefetch_map(it.x[x.place().part]);
  wait_for_previous();
#pragma unroll 1
  for (int i = 0; it.keeps_x ? x.is_first() : !x.is_over(); ++i) {
    if (i >= it.x_slots) wait_at(&gates.x_free[x_at.slot], x_at.parity ^ 1);
    unsigned long long* const gate = &gates.x_full[x_at.slot];
    arrive_expecting(gate, x_bytes);
    copy_tile(x_slots + x_at.slot * x_bytes, it.x[x.place().part], x.panel(), x.first_row(), gate);
    x_at.advance(it.x_slots);
    x.advance();
    if (i >= it.x_slots && !w.is_over()) fill_w();  // a slot of W is free, too
  }
#pragma unroll 1
  while (!w.is_over()) fill_w();
}

// A tile of W, of swiglu of both weights, has kEights eights of rows.
template <int kEights, bool kIsPair, bool kGoesOn>
class Worker {
  static constexpr int kStride = 8 * kEights + 4, kOfWeight = kIsPair ? kEights / 2 : kEights;

 public:
  static constexpr int plane(int rows) { return rows * kStride; }  // of a group's sums

  // `sent`: what other blocks of the cluster send.
  __device__ Worker(const Launched& launched, Gates& gates, float* sums, float* sent,
                    const unsigned char* w_slots, const unsigned char* x_slots, int rank)
      : it_(launched),
        in_(launched.in),
        gates_(gates),
        sums_(sums),
        sent_(sent),
        w_slots_(w_slots),
        x_slots_(x_slots),
        rank_(rank),
        thread_(threadIdx.x),
        group_(thread_ / kOfGroup),
        rows_(it_.rows / it_.cluster),
        plane_(plane(it_.rows)) {}

  __device__ void work() {
    if constexpr (kGoesOn) {
      go_on();
    } else {
      const Place place = it_.tiling.place(static_cast<int>(blockIdx.x) / it_.cluster);
      TileOutputs<kWorkers, Kind::any, true> outputs(in_, it_.tiling, place, rank_ * rows_, rows_, thread_);
      outputs.fetch();
      wait_for_previous();
      outputs.fetch_before();
      InRing w_at, x_at;
      Sums sums = {};
      multiply(sums, w_at, x_at);
      put(sums);
      if (it_.cluster > 1) wait_for_cluster();  // the others' gates are there
      sync_some(kWorkers);
      if (it_.cluster > 1) exchange();
      outputs.write(*this);
    }
  }

  __device__ float scale(int) const { return 1; }
  // The sums of the block's row `row` of x and the tile's rows from `column` on.
  template <int kCount>
  __device__ void get(float (&to)[kCount], int row, int column) const {
    const bool is_sent = it_.cluster > 1;
    const float* const planes_at = is_sent ? sent_ : sums_ + (kGoesOn ? group_ * plane_ : 0);
    const float* const from = planes_at + row * kStride + column;
    const int step = is_sent ? rows_ * kStride : plane_, planes = kGoesOn ? 1 : kGroups * it_.cluster;
#pragma unroll
    for (int c = 0; c < kCount; ++c) to[c] = 0;
#pragma unroll 2
    for (int plane = 0; plane < planes; ++plane) {
      float of_plane[kCount];
      read_numbers<kCount>(of_plane, from + plane * step);
#pragma unroll
      for (int c = 0; c < kCount; ++c) to[c] += of_plane[c];
    }
  }

 private:
  using Sums = float[kEights][4];

  // Every second pass of all tiles is of one group. A group waits until the other has multiplied: slots are
  // full for the one that is next.
  __device__ void go_on() {
    const int jump = static_cast<int>(gridDim.x), passes = (in_.R + it_.rows - 1) / it_.rows,
              slots = it_.of_block / it_.panels;
    wait_for_previous();
    InRing w_at, x_at, turn;
    int tile = blockIdx.x, pass = group_;
    if (group_ > 0) w_at.advance(it_.w_slots, slots), x_at.advance(it_.x_slots, slots);
    bool waits = group_ > 0;
#pragma unroll 1
    while (true) {
      while (pass >= passes) pass -= passes, tile += jump;
      if (tile >= it_.tiling.tiles) return;
      if (waits) {
        wait_at(&gates_.turns[group_], turn.parity);
        turn.advance(1);
      }
      waits = true;
      const int first_row = pass * it_.rows;
      const Place place = it_.tiling.place(tile);
      Sums sums = {};
      if (it_.is_direct) {
        multiply(sums, w_at, x_at);
        write(sums, place, first_row);
      } else {
        TileOutputs<kOfGroup, Kind::any, true> outputs(in_, it_.tiling, place, first_row, rows_,
                                                       thread_ % kOfGroup);
        outputs.fetch();
        multiply(sums, w_at, x_at);
        outputs.fetch_before();
        put(sums);
        sync_some(kOfGroup, 2 + group_);
        outputs.write(*this);
        sync_some(kOfGroup, 2 + group_);  // the sums have been read
      }
      w_at.advance(it_.w_slots, slots), x_at.advance(it_.x_slots, slots);  // the other group's
      pass += kGroups;
    }
  }
  // The group's panels of a tile.
  __device__ void multiply(Sums& d, InRing& w_at, InRing& x_at) const {
    if (it_.keeps_x) x_at = InRing();
    const int half = it_.panels * it_.w_bytes / 2, of_panel = it_.w_bytes / (kIsPair ? 2 : 1);
#pragma unroll 1
    for (int panel = 0; panel < it_.of_block; panel += it_.panels) {
      wait_at(&gates_.w_full[w_at.slot], w_at.parity);
      wait_at(&gates_.x_full[x_at.slot], x_at.parity);
      const unsigned char* const w = w_slots_ + w_at.slot * it_.panels * it_.w_bytes;
      const unsigned char* const x = x_slots_ + x_at.slot * it_.panels * it_.x_bytes;
#pragma unroll 1
      for (int i = kGoesOn ? 0 : group_; i < it_.panels; i += kGoesOn ? 1 : kGroups) {
        multiply_tiles<kOfWeight>(d, x + i * it_.x_bytes, w + i * of_panel);
        if constexpr (kIsPair)
          multiply_tiles<kOfWeight>(d + kOfWeight, x + i * it_.x_bytes, w + half + i * of_panel);
      }
      wait_for_products<0>();
      __syncwarp();
      if (thread_ % 32 == 0) {
        arrive(&gates_.w_free[w_at.slot]);
        if (!it_.keeps_x) arrive(&gates_.x_free[x_at.slot]);
      }
      w_at.advance(it_.w_slots), x_at.advance(it_.x_slots);
    }
    if (kGoesOn && thread_ % 32 == 0) arrive(&gates_.turns[group_ ^ 1]);
  }
  __device__ void write(const Sums& d, const Place& at, int first_row) const {
    const RowsPart& part = in_.part[at.part];
    const int lane = thread_ % 32, n = at.first + lane % 4 * 2;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = thread_ % kOfGroup / 32 * 16 + lane / 4 + 8 * half, r = first_row + row;
      if (r >= in_.R || row >= rows_) continue;
      float* const to = static_cast<float*>(part.y) + r * part.y_stride + n;
#pragma unroll
      for (int t = 0; t < kEights; ++t)
        if (n + 8 * t < part.N)
          *reinterpret_cast<float2*>(to + 8 * t) = make_float2(d[t][2 * half], d[t][2 * half + 1]);
    }
  }
  // To shared memory.
  __device__ void put(const Sums& d) const {
    const int lane = thread_ % 32, first_row = thread_ % kOfGroup / 32 * 16;
    float* const to = sums_ + group_ * plane_ + (first_row + lane / 4) * kStride + lane % 4 * 2;
#pragma unroll
    for (int t = 0; t < kEights && first_row < it_.rows; ++t) {
#pragma unroll
      for (int half = 0; half < 2; ++half)
        *reinterpret_cast<float2*>(to + 8 * half * kStride + 8 * t) =
            make_float2(d[t][2 * half], d[t][2 * half + 1]);
    }
    if (it_.cluster > 1) show_to_copies();
  }

  // Each block gets the sums of its rows: [cluster][kGroups][rows_][kStride].
  __device__ void exchange() const {
    const int part = rows_ * kStride, bytes = 4 * part;
    if (thread_ == 0) arrive_expecting(&gates_.summed, it_.cluster * kGroups * bytes);
    if (thread_ < it_.cluster * kGroups) {
      const int to = thread_ / kGroups, group = thread_ % kGroups;
      send(sent_ + (rank_ * kGroups + group) * part, sums_ + group * plane_ + to * part, bytes,
           &gates_.summed, to);
    }
    wait_at(&gates_.summed, 0);
  }

  const Launched& it_;
  const RowsProduct& in_;
  Gates& gates_;
  float *const sums_, *const sent_;  // [kGroups][rows][kStride]
  const unsigned char *const w_slots_, *const x_slots_;
  int rank_, thread_, group_, rows_, plane_;  // rows: of a pass, that the block writes
};

// In shared memory: panels of x, and of W, sums, those that are sent, gates.
template <int kEights, bool kIsPair, bool kGoesOn>
__global__ void __launch_bounds__(kThreads, kGoesOn ? 1 : 2)
    many_rows_kernel(const __grid_constant__ Launched it) {
  let_next_start();
  const int planes = it.is_direct ? 0 : kGroups * Worker<kEights, kIsPair, kGoesOn>::plane(it.rows);
  unsigned char *const x_slots = swizzled_memory(), *const w_slots =
                                                        x_slots + it.x_slots * it.panels * it.x_bytes;
  float* const sums = reinterpret_cast<float*>(w_slots + it.w_slots * it.panels * it.w_bytes);
  float* const sent = sums + planes;
  Gates& gates = *reinterpret_cast<Gates*>(it.cluster > 1 ? sent + planes : sent);
  const int rank = static_cast<int>(blockIdx.x) % it.cluster;
  const bool fills = threadIdx.x == kWorkers;
  if (fills) {
    constexpr int kReaders = kGoesOn ? kWarps / kGroups : kWarps;
    for (int i = 0; i < it.w_slots; ++i)
      make_gate(&gates.w_full[i], 1), make_gate(&gates.w_free[i], kReaders);
    for (int i = 0; i < it.x_slots; ++i)
      make_gate(&gates.x_full[i], 1), make_gate(&gates.x_free[i], kReaders);
    make_gate(&gates.summed, 1);
    for (unsigned long long& turn : gates.turns) make_gate(&turn, kWarps / kGroups);
    show_gates();
  }
  if (it.cluster > 1) arrive_in_cluster();
  __syncthreads();
  if (fills) fill(it, gates, w_slots, x_slots, rank);
  if (threadIdx.x < kWorkers) {
    Worker<kEights, kIsPair, kGoesOn>(it, gates, sums, sent, w_slots, x_slots, rank).work();
  } else if (it.cluster > 1) {
    wait_for_cluster();
  }
  if (it.cluster > 1) leave_cluster();  // what is sent has been read
}

bool has_one_x(const RowsProduct& in) {
  for (int i = 1; i < in.parts; ++i)
    if (in.part[i].x != in.part[0].x) return false;
  return true;
}

template <int kEights, bool kIsPair, bool kGoesOn>
cudaError_t launch(Launched it, int multiprocessors, cudaStream_t stream) {
  const RowsProduct& in = it.in;
  it.tiling = tiling_of(in, 8 * kEights / (kIsPair ? 2 : 1));
  it.rows = in.R < kMostRows ? (in.R + 15) / 16 * 16 : kMostRows;
  it.panels = 2;
  it.of_block = (in.K / kPanel + it.cluster * it.panels - 1) / (it.cluster * it.panels) * it.panels;
  it.w_bytes = 8 * kEights * kRowBytes, it.x_bytes = it.rows * kRowBytes;
  const auto least = [](int a, int b) { return a < b ? a : b; };
  const int clusters = least(it.tiling.tiles, multiprocessors / it.cluster),
            passes = (in.R + it.rows - 1) / it.rows,
            needed = (it.tiling.tiles + clusters - 1) / clusters * passes * (it.of_block / it.panels);
  const int slots_of_x = it.of_block / it.panels, slot_of_x = it.panels * it.x_bytes;
  it.keeps_x = kGoesOn && passes == 1 && has_one_x(in) && slots_of_x <= kMostSlots &&
               slots_of_x * slot_of_x <= kKeptBytes;
  it.x_slots = it.keeps_x ? slots_of_x : least(least(needed, kXBytes / slot_of_x), kMostSlots);
  it.is_direct = kGoesOn && in.part[0].output == RowsOutput::widen && in.parts == 1 && it.tiling.is_even[0];
  const int sums = it.is_direct ? 0
                                : kGroups * Worker<kEights, kIsPair, kGoesOn>::plane(it.rows) * 4 *
                                      (it.cluster > 1 ? 2 : 1),
            others = it.x_slots * it.panels * it.x_bytes + sums + static_cast<int>(sizeof(Gates)) + kSwizzle;
  const auto room = [&](int bytes) { return (bytes - others) / (it.panels * it.w_bytes); };
  const int slots = room(kGoesOn || room(kSharedBytes) < kLeastSlots ? kAllBytes : kSharedBytes);
  it.w_slots = least(least(needed, slots), kMostSlots);
  for (int i = 0; i < in.parts; ++i) {
    const RowsPart& part = in.part[i];
    cudaError_t done = map_tiles(it.weight[i], part.weight, part.N, in.K, it.panels, it.tiling.tile);
    if (done == cudaSuccess) done = map_tiles(it.x[i], part.x, in.R, in.K, it.panels, it.rows);
    if (done == cudaSuccess && kIsPair)
      done = map_tiles(it.up[i], part.up, part.N, in.K, it.panels, it.tiling.tile);
    if (done != cudaSuccess) return done;
  }
  return launch_early(many_rows_kernel<kEights, kIsPair, kGoesOn>, it,
                      dim3(static_cast<unsigned>(clusters * it.cluster)), kThreads,
                      it.w_slots * it.panels * it.w_bytes + others, it.cluster > 1 ? it.cluster : 0, stream);
}

// The smallest tile of which there is one for each block, or the largest.
template <bool kIsPair>
cudaError_t run(const Launched& it, int multiprocessors, cudaStream_t stream) {
  const auto fits = [&](int eights) {
    return it.in.R <= kMostRows &&
           count_tiles(it.in, 8 * eights / (kIsPair ? 2 : 1)) * it.cluster <= multiprocessors;
  };
  if (fits(2)) return launch<2, kIsPair, false>(it, multiprocessors, stream);
  if (fits(4)) return launch<4, kIsPair, false>(it, multiprocessors, stream);
  if (fits(6)) return launch<6, kIsPair, false>(it, multiprocessors, stream);
  if (fits(8)) return launch<8, kIsPair, false>(it, multiprocessors, stream);
  return launch<8, kIsPair, true>(it, multiprocessors, stream);
}

}  // namespace

cudaError_t many_rows_product(const RowsProduct& in, int multiprocessors, cudaStream_t stream) {
  Launched it{.in = in, .cluster = 1};
  if (in.part[0].output == RowsOutput::swiglu) return run<true>(it, multiprocessors, stream);
  // A cluster has one tile, and one pass.
  if (in.part[0].output == RowsOutput::add && in.R <= kMostRows &&
      count_tiles(in, 64) * kMostBlocks <= multiprocessors)
    it.cluster = kMostBlocks;
  return run<false>(it, multiprocessors, stream);
}

}  // namespace mdnlab::ops::cuda
