// What Hopper adds to CUDA C++, one instruction a function: barriers in shared memory, the copy engine,
// matrix products of a warpgroup (128 threads), and moves between their fragments and shared memory.
//
// Tiles in shared memory are rows of 64 two-byte elements (128 bytes), swizzled: the 16-byte piece c of row r
// lies at piece c ^ (r & 7). A wider matrix is several such panels one after the other. Each tile begins at a
// multiple of 1024 bytes.
#pragma once

#include <cuda.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace mdnlab::scan::cuda {

constexpr int kWarpgroup = 128;
constexpr int kPanel = 64;      // columns of a panel
constexpr int kRowBytes = 128;  // of a panel

__device__ inline std::uint32_t shared_address(const void* pointer) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}

// The shared memory of a launch, from its first multiple of 1024 bytes on. (Not through an integer: the
// compiler would forget that it is shared memory.)
constexpr int kAlignment = 1024;
template <class Shared>
__device__ inline Shared& shared_memory(unsigned char* memory) {
  return *reinterpret_cast<Shared*>(memory + (-shared_address(memory) & (kAlignment - 1)));
}

// ---- barriers ----

__device__ inline void init_barrier(std::uint64_t* barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals));
}

// Makes initialised barriers visible to the copy engine.
__device__ inline void fence_barrier_init() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

__device__ inline void arrive(std::uint64_t* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}

// Arrives, and has the phase last until the copy engine has brought `bytes`.
__device__ inline void arrive_expecting(std::uint64_t* barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
               "r"(bytes)
               : "memory");
}

// Waits for the end of the phase of this parity.
__device__ inline void wait(std::uint64_t* barrier, int parity) {
  asm volatile(
      "{\n .reg .pred done;\n"
      "again:\n mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      " @done bra ready;\n bra again;\n"
      "ready:\n}" ::"r"(shared_address(barrier)),
      "r"(parity)
      : "memory");
}

// Ordinary writes to shared memory before it are seen by the copy engine and the matrix units after the next
// barrier.
__device__ inline void fence_shared() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// A barrier among the `threads` that name it.
__device__ inline void sync(int name, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(name), "r"(threads) : "memory");
}

// ---- the copy engine ----

// `bytes` (a multiple of 16) from global memory as they lie.
__device__ inline void copy_bytes(void* shared, const void* global, int bytes, std::uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
          shared_address(shared)),
      "l"(global), "r"(bytes), "r"(shared_address(barrier))
      : "memory");
}

// A panel of 64 rows from (column, head, token) on, swizzled; zeros beyond the tensor.
__device__ inline void copy_panel(void* shared, const CUtensorMap& map, int column, int head, int token,
                                  std::uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4}], [%5];" ::
          "r"(shared_address(shared)),
      "l"(&map), "r"(column), "r"(head), "r"(token), "r"(shared_address(barrier))
      : "memory");
}

__device__ inline void store_bytes(void* global, const void* shared, int bytes) {
  asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(global),
               "r"(shared_address(shared)), "r"(bytes)
               : "memory");
  asm volatile("cp.async.bulk.commit_group;");
}

// Until all but the last N stores of this thread have read their source.
template <int N = 0>
__device__ inline void wait_stores_read() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(N) : "memory");
}

// ---- registers ----

template <int N>
__device__ inline void raise_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N));
}
template <int N>
__device__ inline void lower_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N));
}

// ---- elements ----

template <class T>
struct Element;
template <>
struct Element<__nv_bfloat16> {
  __device__ static std::uint32_t pack(float low, float high) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return reinterpret_cast<const std::uint32_t&>(pair);
  }
  using Pair = __nv_bfloat162;
  __device__ static float low(std::uint32_t pair) { return __uint_as_float(pair << 16); }
  __device__ static float high(std::uint32_t pair) { return __uint_as_float(pair & 0xffff0000u); }
};
template <>
struct Element<__half> {
  __device__ static std::uint32_t pack(float low, float high) {
    const __half2 pair = __floats2half2_rn(low, high);
    return reinterpret_cast<const std::uint32_t&>(pair);
  }
  using Pair = __half2;
  __device__ static float low(std::uint32_t pair) {
    return __low2float(reinterpret_cast<const __half2&>(pair));
  }
  __device__ static float high(std::uint32_t pair) {
    return __high2float(reinterpret_cast<const __half2&>(pair));
  }
};

// 2^x; 0 where that is below the smallest normal number.
__device__ inline float exp2_flushed(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// The address of the 16-byte piece `piece` of row `row` of a panel.
__device__ inline std::uint32_t piece_address(std::uint32_t panel, int row, int piece) {
  return panel + row * kRowBytes + ((piece ^ (row & 7)) << 4);
}

__device__ inline void load_matrices_transposed(std::uint32_t address, std::uint32_t (&r)[4]) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}
__device__ inline void load_matrices(std::uint32_t address, std::uint32_t* r) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}
__device__ inline void store_matrices(std::uint32_t address, std::uint32_t a, std::uint32_t b,
                                      std::uint32_t c, std::uint32_t d) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(a),
               "r"(b), "r"(c), "r"(d)
               : "memory");
}
__device__ inline void store_matrices_transposed(std::uint32_t address, std::uint32_t a, std::uint32_t b,
                                                 std::uint32_t c, std::uint32_t d) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address),
               "r"(a), "r"(b), "r"(c), "r"(d)
               : "memory");
}

// ---- matrix products of a warpgroup ----
//
// A fragment D of 64 rows × N columns, thread of lane l in warp w: D[4n + 2h + e] is row 16w + l/4 + 8h,
// column 8n + 2(l mod 4) + e. As an operand A (two elements a register, 16 columns a step) it has the same
// order.

enum class Major {
  k,
  mn
};  // which index of an operand lies along the rows of its panels: the summed one, or the other

// Where an operand lies. Along k: 16 columns a step, 8-row groups 1024 bytes apart. Along m or n: the panels
// are `panel_bytes` apart, 16 rows a step.
template <Major major>
__device__ inline std::uint64_t operand(std::uint32_t address, int panel_bytes = 8192) {
  const std::uint64_t leading = major == Major::k ? 1 : panel_bytes >> 4;
  return static_cast<std::uint64_t>((address & 0x3ffff) >> 4) | leading << 16 |
         std::uint64_t{1024 >> 4} << 32 | std::uint64_t{1} << 62;
}

// What step k of 16 adds to the descriptor of `operand`.
template <Major major>
__device__ constexpr std::uint64_t step(int k, int panel_bytes = 8192) {
  if (major == Major::mn) return std::uint64_t(k) * (16 * kRowBytes >> 4);
  return std::uint64_t(k / 4) * (panel_bytes >> 4) + std::uint64_t(k % 4) * (32 >> 4);
}

template <int N>
__device__ inline void fence_fragment(float (&d)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i) asm volatile("" : "+f"(d[i])::"memory");
}

__device__ inline void begin_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ inline void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int N>
__device__ inline void wait_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}

// One step of 16: D (64×64 or 64×128) = A·B, or += with `accumulate`; B in shared memory, A there or in 4
// registers, where D may also be 64×32. The unused pointer names the type of the elements.

#define MDNLAB_D8(d, i)                                                                       \
  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), \
      "+f"(d[i + 6]), "+f"(d[i + 7])
#define MDNLAB_D32(d, i) MDNLAB_D8(d, i), MDNLAB_D8(d, i + 8), MDNLAB_D8(d, i + 16), MDNLAB_D8(d, i + 24)
#define MDNLAB_NAMES16 "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15}"
#define MDNLAB_NAMES32                                                                                         \
  "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, " \
  "%23, %24, %25, %26, %27, %28, %29, %30, %31}"
#define MDNLAB_NAMES64                                                                                         \
  "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, " \
  "%23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, "  \
  "%44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}"

#define MDNLAB_PRODUCTS(TYPE, NAME)                                                                   \
  template <Major major_a, Major major_b>                                                             \
  __device__ inline void product(float(&d)[32], const TYPE*, std::uint64_t a, std::uint64_t b,        \
                                 bool accumulate) {                                                   \
    asm volatile(                                                                                     \
        "{\n.reg .pred p;\nsetp.ne.b32 p, %34, 0;\n"                                                  \
        "wgmma.mma_async.sync.aligned.m64n64k16.f32." NAME "." NAME " " MDNLAB_NAMES32                \
        ", %32, %33, p, 1, 1, %35, %36;\n}"                                                           \
        : MDNLAB_D32(d, 0)                                                                            \
        : "l"(a), "l"(b), "r"(int(accumulate)), "n"(int(major_a == Major::mn)),                       \
          "n"(int(major_b == Major::mn)));                                                            \
  }                                                                                                   \
  template <Major major_a, Major major_b>                                                             \
  __device__ inline void product(float(&d)[64], const TYPE*, std::uint64_t a, std::uint64_t b,        \
                                 bool accumulate) {                                                   \
    asm volatile(                                                                                     \
        "{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\n"                                                  \
        "wgmma.mma_async.sync.aligned.m64n128k16.f32." NAME "." NAME " " MDNLAB_NAMES64               \
        ", %64, %65, p, 1, 1, %67, %68;\n}"                                                           \
        : MDNLAB_D32(d, 0), MDNLAB_D32(d, 32)                                                         \
        : "l"(a), "l"(b), "r"(int(accumulate)), "n"(int(major_a == Major::mn)),                       \
          "n"(int(major_b == Major::mn)));                                                            \
  }                                                                                                   \
  template <Major major_b>                                                                            \
  __device__ inline void product(float(&d)[16], const TYPE*, const std::uint32_t* a, std::uint64_t b, \
                                 bool accumulate) {                                                   \
    asm volatile(                                                                                     \
        "{\n.reg .pred p;\nsetp.ne.b32 p, %21, 0;\n"                                                  \
        "wgmma.mma_async.sync.aligned.m64n32k16.f32." NAME "." NAME " " MDNLAB_NAMES16                \
        ", {%16, %17, %18, %19}, %20, p, 1, 1, %22;\n}"                                               \
        : MDNLAB_D8(d, 0), MDNLAB_D8(d, 8)                                                            \
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(int(accumulate)),                   \
          "n"(int(major_b == Major::mn)));                                                            \
  }                                                                                                   \
  template <Major major_b>                                                                            \
  __device__ inline void product(float(&d)[32], const TYPE*, const std::uint32_t* a, std::uint64_t b, \
                                 bool accumulate) {                                                   \
    asm volatile(                                                                                     \
        "{\n.reg .pred p;\nsetp.ne.b32 p, %37, 0;\n"                                                  \
        "wgmma.mma_async.sync.aligned.m64n64k16.f32." NAME "." NAME " " MDNLAB_NAMES32                \
        ", {%32, %33, %34, %35}, %36, p, 1, 1, %38;\n}"                                               \
        : MDNLAB_D32(d, 0)                                                                            \
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(int(accumulate)),                   \
          "n"(int(major_b == Major::mn)));                                                            \
  }                                                                                                   \
  template <Major major_b>                                                                            \
  __device__ inline void product(float(&d)[64], const TYPE*, const std::uint32_t* a, std::uint64_t b, \
                                 bool accumulate) {                                                   \
    asm volatile(                                                                                     \
        "{\n.reg .pred p;\nsetp.ne.b32 p, %69, 0;\n"                                                  \
        "wgmma.mma_async.sync.aligned.m64n128k16.f32." NAME "." NAME " " MDNLAB_NAMES64               \
        ", {%64, %65, %66, %67}, %68, p, 1, 1, %70;\n}"                                               \
        : MDNLAB_D32(d, 0), MDNLAB_D32(d, 32)                                                         \
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(int(accumulate)),                   \
          "n"(int(major_b == Major::mn)));                                                            \
  }

MDNLAB_PRODUCTS(__nv_bfloat16, "bf16")
MDNLAB_PRODUCTS(__half, "f16")

#undef MDNLAB_PRODUCTS
#undef MDNLAB_NAMES64
#undef MDNLAB_NAMES32
#undef MDNLAB_NAMES16
#undef MDNLAB_D32
#undef MDNLAB_D8

// Two adjacent elements a register, as an operand A takes them.
template <class T, int N>
__device__ inline void pack_fragment(const float (&d)[N], std::uint32_t (&a)[N / 2]) {
#pragma unroll
  for (int i = 0; i < N / 2; ++i) a[i] = Element<T>::pack(d[2 * i], d[2 * i + 1]);
}

// A fragment of 64×64, rounded, into a panel in shared memory.
template <class T>
__device__ inline void lay_fragment(const float (&d)[32], T* to, int warp, int lane) {
  const std::uint32_t panel = shared_address(to);
#pragma unroll
  for (int n = 0; n < 8; n += 2) {
    store_matrices(piece_address(panel, 16 * warp + lane % 16, n + lane / 16),
                   Element<T>::pack(d[4 * n], d[4 * n + 1]), Element<T>::pack(d[4 * n + 2], d[4 * n + 3]),
                   Element<T>::pack(d[4 * n + 4], d[4 * n + 5]),
                   Element<T>::pack(d[4 * n + 6], d[4 * n + 7]));
  }
}

}  // namespace mdnlab::scan::cuda
