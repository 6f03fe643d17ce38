// What the kernels of decoding take of a GPU that C++ does not have, and how they are launched: before the
// kernel in front of them in the stream is done (programmatic dependent launch), and in clusters.
// Their tests have another one of this file, for the CPU (tests/unit/ops/on_cpu).
#pragma once

#include <cooperative_groups.h>
#include <cuda.h>
#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

namespace mdnlab::ops::cuda {

__device__ inline unsigned shared_address(const void* p) {
  return static_cast<unsigned>(__cvta_generic_to_shared(p));
}

// Of the block; at a multiple of 128 bytes.
__device__ inline unsigned char* shared_memory() {
  extern __shared__ __align__(128) unsigned char memory_of_the_block[];
  return memory_of_the_block;
}
// Of kSwizzle bytes more, where the copy engine lays tiles.
inline constexpr int kSwizzle = 1024;
__device__ inline unsigned char* swizzled_memory() {
  const unsigned begin = static_cast<unsigned>(__cvta_generic_to_shared(shared_memory()));
  return shared_memory() + (kSwizzle - begin % kSwizzle) % kSwizzle;
}

// Computed by now, and kept: else the compiler computes places where they are used, behind the wait.
__device__ inline void keep(int& x) { asm volatile("" : "+r"(x)); }
template <class T>
__device__ void keep(T*& x) {
  asm volatile("" : "+l"(x));
}

// Ahead of a wait: what no kernel of this step writes but this one. (Never as .nc: the assembler moves such
// loads behind the wait, where they would rather not wait for registers.)
__device__ inline float fetch_early(const float* p) {
  float value;
  asm volatile("ld.global.f32 %0, [%1];" : "=f"(value) : "l"(p));
  return value;
}
__device__ inline float4 fetch_early4(const float* p) {
  float4 x;
  asm volatile("ld.global.L1::no_allocate.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(x.x), "=f"(x.y), "=f"(x.z), "=f"(x.w)
               : "l"(p));
  return x;
}
__device__ inline float fetch_early(const __nv_bfloat16* p) {
  unsigned short value;
  asm volatile("ld.global.u16 %0, [%1];" : "=h"(value) : "l"(p));
  return __uint_as_float(static_cast<unsigned>(value) << 16);
}
__device__ inline float4 fetch_early4(const __nv_bfloat16* p) {
  unsigned a, b;
  asm volatile("ld.global.v2.b32 {%0, %1}, [%2];" : "=r"(a), "=r"(b) : "l"(p));
  return {__uint_as_float(a << 16), __uint_as_float(a & 0xffff0000u), __uint_as_float(b << 16),
          __uint_as_float(b & 0xffff0000u)};
}
// Eight numbers as they are, or what x is.
__device__ inline void fetch_eight(uint4& x, const __nv_bfloat16* p, bool is_there) {
  asm volatile(
      "{\n"
      ".reg .pred there;\n"
      "setp.ne.s32 there, %5, 0;\n"
      "@there ld.global.L1::no_allocate.v4.b32 {%0, %1, %2, %3}, [%4];\n"
      "}"
      : "+r"(x.x), "+r"(x.y), "+r"(x.z), "+r"(x.w)
      : "l"(p), "r"(static_cast<int>(is_there)));
}

// From memory to the cache, a line.
__device__ inline void prefetch(const void* p) { asm volatile("prefetch.global.L2 [%0];" ::"l"(p)); }
// What is not read again before much else is. (A plain store of four numbers becomes four stores where the
// compiler sees loads between them.)
__device__ inline void put_once(float* p, const float4& x) { __stcs(reinterpret_cast<float4*>(p), x); }

// d += a·b, 16×16 by 16×8.
__device__ inline void multiply(float (&d)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3,
                                unsigned b0, unsigned b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// Of 16 rows of 16 numbers what the tensor cores take as a; lane l says where the eight numbers are that
// begin row l mod 16 at k = l / 16 · 8. Eight such rows meet all banks.
__device__ inline void read_matrix(unsigned (&a)[4], const __nv_bfloat16* of_lane) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(a[0]), "=r"(a[1]), "=r"(a[2]), "=r"(a[3])
               : "r"(shared_address(of_lane))
               : "memory");
}

// d += a·bᵀ of a warpgroup, over 64 of k: 64 rows of a and 8·kEights of b, panels that the copy engine has
// laid. The thread of lane l in warp w has of d[t] the rows 16w + l/4 and 8 more, of each the columns 8t +
// 2(l mod 4) and the next. Under way until wait_for_products(), but for the last kLeft calls.
template <int kEights>
__device__ inline void multiply_tiles(float (*d)[4], const unsigned char* a, const unsigned char* b);
template <int kLeft>
__device__ inline void wait_for_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kLeft) : "memory");
}
__device__ inline unsigned long long operand_of(const unsigned char* panel) {
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(panel));
  return static_cast<unsigned long long>((address & 0x3ffff) >> 4) | 1ull << 16 | (1024ull >> 4) << 32 |
         1ull << 62;
}
#define MDNLAB_FOUR(d, t) "+f"(d[t][0]), "+f"(d[t][1]), "+f"(d[t][2]), "+f"(d[t][3])
#define MDNLAB_MULTIPLY_TILES(EIGHTS, N, NAMES, A, B, ...)                               \
  template <>                                                                            \
  __device__ inline void multiply_tiles<EIGHTS>(float(*d)[4], const unsigned char* a,    \
                                                const unsigned char* b) {                \
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");                              \
    const unsigned long long of_a = operand_of(a), of_b = operand_of(b);                 \
    _Pragma("unroll") for (int step = 0; step < 4; ++step) asm volatile(                 \
        "{\n.reg .pred adds;\nsetp.eq.b32 adds, 0, 0;\n"                                 \
        "wgmma.mma_async.sync.aligned.m64n" N "k16.f32.bf16.bf16 {" NAMES "}, " A ", " B \
        ", adds, 1, 1, 0, 0;\n}" : __VA_ARGS__ : "l"(of_a + 2 * step),                   \
        "l"(of_b + 2 * step));                                                           \
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");                       \
  }
MDNLAB_MULTIPLY_TILES(1, "8", "%0, %1, %2, %3", "%4", "%5", MDNLAB_FOUR(d, 0))
MDNLAB_MULTIPLY_TILES(2, "16", "%0, %1, %2, %3, %4, %5, %6, %7", "%8", "%9", MDNLAB_FOUR(d, 0),
                      MDNLAB_FOUR(d, 1))
MDNLAB_MULTIPLY_TILES(3, "24", "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11", "%12", "%13",
                      MDNLAB_FOUR(d, 0), MDNLAB_FOUR(d, 1), MDNLAB_FOUR(d, 2))
MDNLAB_MULTIPLY_TILES(4, "32", "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15", "%16",
                      "%17", MDNLAB_FOUR(d, 0), MDNLAB_FOUR(d, 1), MDNLAB_FOUR(d, 2), MDNLAB_FOUR(d, 3))
MDNLAB_MULTIPLY_TILES(6, "48",
                      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18,"
                      " %19, %20, %21, %22, %23",
                      "%24", "%25", MDNLAB_FOUR(d, 0), MDNLAB_FOUR(d, 1), MDNLAB_FOUR(d, 2),
                      MDNLAB_FOUR(d, 3), MDNLAB_FOUR(d, 4), MDNLAB_FOUR(d, 5))
MDNLAB_MULTIPLY_TILES(8, "64",
                      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18,"
                      " %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31",
                      "%32", "%33", MDNLAB_FOUR(d, 0), MDNLAB_FOUR(d, 1), MDNLAB_FOUR(d, 2),
                      MDNLAB_FOUR(d, 3), MDNLAB_FOUR(d, 4), MDNLAB_FOUR(d, 5), MDNLAB_FOUR(d, 6),
                      MDNLAB_FOUR(d, 7))
#undef MDNLAB_MULTIPLY_TILES
#undef MDNLAB_FOUR

// 16 bytes from memory to shared memory, for this thread; what it has asked for since the last commit, and
// until that is there but for the last kLeft commits.
__device__ inline void copy_to_shared(void* to, const void* from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to)), "l"(from) : "memory");
}
__device__ inline void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kLeft>
__device__ inline void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kLeft) : "memory");
}

// All threads of a cluster; the others' shared memory is there, and what they wrote to this one's, when it is
// over. It waits for loads in front of it, too.
__device__ inline void arrive_in_cluster() { cooperative_groups::this_cluster().barrier_arrive(); }
__device__ inline void wait_for_cluster() { cooperative_groups::this_cluster().barrier_wait(); }
// Until all threads that are left have come here; nothing is shown to others.
__device__ inline void leave_cluster() {
  asm volatile("barrier.cluster.arrive.relaxed.aligned;\nbarrier.cluster.wait.aligned;" ::: "memory");
}

// Gates: barriers in shared memory that open, turn after turn, when so many have arrived and the bytes that
// they expect. They are shown before others of the block or the cluster meet.
__device__ inline void make_gate(unsigned long long* gate, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(gate)), "r"(arrivals)
               : "memory");
}
__device__ inline void show_gates() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
__device__ inline void arrive_expecting(unsigned long long* gate, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(gate)),
               "r"(bytes)
               : "memory");
}
__device__ inline void arrive(unsigned long long* gate) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(gate)) : "memory");
}
// So many threads of the block, whole warps, at one of its barriers from 1 on.
__device__ inline void sync_some(int threads, int barrier = 1) {
  asm volatile("bar.sync %1, %0;" ::"r"(threads), "r"(barrier) : "memory");
}
// Until the turn of this parity is over.
__device__ inline void wait_at(unsigned long long* gate, unsigned parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n"
      "}" ::"r"(shared_address(gate)),
      "r"(parity)
      : "memory");
}
// From memory to shared memory, by the copy engine; 16 bytes or a multiple.
__device__ inline void copy_row(void* to, const void* from, int bytes, unsigned long long* gate) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
          shared_address(to)),
      "l"(from), "r"(bytes), "r"(shared_address(gate))
      : "memory");
}
// What the copy engine is told of the rows of a matrix, and a tile of it: panels of 64 numbers of some rows,
// side by side, which come to lie panel behind panel, a row behind the other, with zeros beyond the matrix;
// eight numbers c of a row r at 128 r + 16 (c ^ r % 8) of a panel.
struct TileMap {
  CUtensorMap map;
};
__device__ inline void copy_tile(void* to, const TileMap& from, int panel, int row,
                                 unsigned long long* gate) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4}], "
      "[%5];" ::"r"(shared_address(to)),
      "l"(&from.map), "r"(0), "r"(row), "r"(panel), "r"(shared_address(gate))
      : "memory");
}
// From memory to the cache: what the copy engine is told, and a tile.
__device__ inline void prefetch_map(const TileMap& tiles) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&tiles.map) : "memory");
}
__device__ inline void prefetch_tile(const TileMap& from, int panel, int row) {
  asm volatile("cp.async.bulk.prefetch.tensor.3d.L2.global [%0, {%1, %2, %3}];" ::"l"(&from.map), "r"(0),
               "r"(row), "r"(panel)
               : "memory");
}
// Rows of `width` numbers, whole panels of them.
inline cudaError_t map_tiles(TileMap& tiles, const __nv_bfloat16* matrix, int rows, int width,
                             int tile_panels, int tile_rows) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
  const cudaError_t done =
      cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &found);
  if (done != cudaSuccess || !function) return done != cudaSuccess ? done : cudaErrorNotSupported;
  const auto size = [](int x) { return static_cast<cuuint64_t>(x); };
  const cuuint64_t sizes[3] = {64, size(rows), size(width / 64)}, strides[2] = {2 * size(width), 128};
  const cuuint32_t box[3] = {64, static_cast<cuuint32_t>(tile_rows), static_cast<cuuint32_t>(tile_panels)},
                   steps[3] = {1, 1, 1};
  const CUresult result = reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function)(
      &tiles.map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3, const_cast<__nv_bfloat16*>(matrix), sizes, strides,
      box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
      CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return result == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}

// From this block's shared memory to the same place of another one's of the cluster, `at` the place there;
// before that, all threads have met and called show_to_copies(). A block is there until wait_for_sends().
__device__ inline void show_to_copies() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
__device__ inline void send(void* to, const void* from, int bytes, unsigned long long* gate, int rank) {
  asm volatile(
      "{\n"
      ".reg .b32 to, gate;\n"
      "mapa.shared::cluster.u32 to, %0, %4;\n"
      "mapa.shared::cluster.u32 gate, %3, %4;\n"
      "cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [to], [%1], %2, [gate];\n"
      "}" ::"r"(shared_address(to)),
      "r"(shared_address(from)), "r"(bytes), "r"(shared_address(gate)), "r"(rank)
      : "memory");
}

// Numbers go from block to block by stores that arrive at a gate as four bytes. A barrier of the cluster
// would also wait until all else is written.
__device__ inline void send_number(float* slot, unsigned long long* came, int block, float number) {
  asm volatile(
      "{\n"
      ".reg .b32 slot, came;\n"
      "mapa.shared::cluster.u32 slot, %0, %2;\n"
      "mapa.shared::cluster.u32 came, %1, %2;\n"
      "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.b32 [slot], %3, [came];\n"
      "}" ::"r"(shared_address(slot)),
      "r"(shared_address(came)), "r"(block), "r"(__float_as_uint(number))
      : "memory");
}
__device__ inline void wait_at_cluster(unsigned long long* came, unsigned phase) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n"
      "}" ::"r"(shared_address(came)),
      "r"(phase)
      : "memory");
}

// The kernel behind may set out.
__device__ inline void let_next_start() { asm volatile("griddepcontrol.launch_dependents;"); }

// All kernels in front are done, and what they wrote is seen.
__device__ inline void wait_for_previous() { asm volatile("griddepcontrol.wait;" ::: "memory"); }

// Blocks along x in clusters of this many, 0: in none. (A block in none has no number sent to it.)
class Clusters {
 public:
  explicit Clusters(int blocks) {
    attributes_[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes_[0].val.programmaticStreamSerializationAllowed = 1;
    attributes_[1].id = cudaLaunchAttributeClusterDimension;
    attributes_[1].val.clusterDim = {static_cast<unsigned>(blocks), 1, 1};
    count_ = blocks > 0 ? 2 : 1;
  }
  cudaLaunchConfig_t config(dim3 grid, int threads, int shared_bytes) {
    cudaLaunchConfig_t config{};
    config.gridDim = grid;
    config.blockDim = dim3(static_cast<unsigned>(threads));
    config.dynamicSmemBytes = static_cast<std::size_t>(shared_bytes);
    config.attrs = attributes_;
    config.numAttrs = count_;
    return config;
  }

 private:
  cudaLaunchAttribute attributes_[2];
  unsigned count_;
};

template <class Kernel>
cudaError_t allow(Kernel kernel, int shared_bytes, int cluster) {
  const cudaError_t done =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
  if (done != cudaSuccess || cluster <= 8) return done;
  return cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1);
}

template <class Problem>
cudaError_t launch_early(void (*kernel)(Problem), const Problem& problem, dim3 grid, int threads,
                         int shared_bytes, int cluster, cudaStream_t stream) {
  if (const cudaError_t done = allow(kernel, shared_bytes, cluster); done != cudaSuccess) return done;
  Clusters clusters(cluster);
  cudaLaunchConfig_t config = clusters.config(grid, threads, shared_bytes);
  config.stream = stream;
  return cudaLaunchKernelEx(&config, kernel, problem);
}

// How many clusters the GPU has room for.
template <class Problem>
cudaError_t clusters_at_once(int* count, void (*kernel)(Problem), int threads, int shared_bytes,
                             int cluster) {
  if (const cudaError_t done = allow(kernel, shared_bytes, cluster); done != cudaSuccess) return done;
  Clusters clusters(cluster);
  const cudaLaunchConfig_t config =
      clusters.config(dim3(static_cast<unsigned>(cluster)), threads, shared_bytes);
  return cudaOccupancyMaxActiveClusters(count, kernel, &config);
}

}  // namespace mdnlab::ops::cuda
