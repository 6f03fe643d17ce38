// What the kernels of decoding take of a GPU that C++ does not have, and how they are launched: before the
// kernel in front of them in the stream is done (programmatic dependent launch), and in clusters.
// Their tests have another one of this file, for the CPU (tests/unit/ops/on_cpu).
#pragma once

#include <cooperative_groups.h>
#include <cuda_bf16.h>
#include <cuda_pipeline_primitives.h>
#include <cuda_runtime_api.h>

namespace mdnlab::ops::cuda {

// Of the block; 16-byte aligned.
__device__ inline unsigned char* shared_memory() {
  extern __shared__ uint4 memory_of_the_block[];
  return reinterpret_cast<unsigned char*>(memory_of_the_block);
}

// Ahead of a wait: what no kernel of this step writes but this one. (Never as .nc: the assembler moves such
// loads behind the wait, where they would rather not wait for registers.)
__device__ inline uint4 fetch_once(const __nv_bfloat16* p) {
  uint4 value;
  asm volatile("ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
               : "l"(p));
  return value;
}
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

// d += a·b, 16×16 by 16×8.
__device__ inline void multiply(float (&d)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3,
                                unsigned b0, unsigned b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// 16 bytes from memory to shared memory, and until all that the thread has asked for are there.
__device__ inline void copy_to_shared(void* to, const void* from) { __pipeline_memcpy_async(to, from, 16); }
__device__ inline void wait_for_copies() {
  __pipeline_commit();
  __pipeline_wait_prior(0);
}

// All threads of a cluster; the others' shared memory is there, and what they wrote to this one's, when it is
// over. It waits for loads in front of it, too.
__device__ inline void arrive_in_cluster() { cooperative_groups::this_cluster().barrier_arrive(); }
__device__ inline void wait_for_cluster() { cooperative_groups::this_cluster().barrier_wait(); }
__device__ inline unsigned shared_address(const void* p) {
  return static_cast<unsigned>(__cvta_generic_to_shared(p));
}

// Gates: barriers in shared memory that open, turn after turn, when one thread has arrived and the bytes that
// it expects. They are shown before others of the block or the cluster meet.
__device__ inline void make_gate(unsigned long long* gate) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(gate)) : "memory");
}
__device__ inline void show_gates() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
__device__ inline void arrive_expecting(unsigned long long* gate, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(gate)),
               "r"(bytes)
               : "memory");
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
// From memory to shared memory, a multiple of 16 bytes, which the gate expects.
__device__ inline void copy_in_bulk(void* to, const void* from, int bytes, unsigned long long* gate) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
          shared_address(to)),
      "l"(from), "r"(bytes), "r"(shared_address(gate))
      : "memory");
}

// Squares go from block to block by stores that arrive at a gate as four bytes. A barrier of the cluster
// would also wait until the state is written.
__device__ inline void send_square(float* slot, unsigned long long* came, int block, float square) {
  asm volatile(
      "{\n"
      ".reg .b32 slot, came;\n"
      "mapa.shared::cluster.u32 slot, %0, %2;\n"
      "mapa.shared::cluster.u32 came, %1, %2;\n"
      "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.b32 [slot], %3, [came];\n"
      "}" ::"r"(shared_address(slot)),
      "r"(shared_address(came)), "r"(block), "r"(__float_as_uint(square))
      : "memory");
}
__device__ inline void wait_for_squares(unsigned long long* came, unsigned phase) {
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

// Blocks along x in clusters of this many.
class Clusters {
 public:
  explicit Clusters(int blocks) {
    attributes_[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes_[0].val.programmaticStreamSerializationAllowed = 1;
    attributes_[1].id = cudaLaunchAttributeClusterDimension;
    attributes_[1].val.clusterDim = {static_cast<unsigned>(blocks), 1, 1};
    count_ = blocks > 1 ? 2 : 1;
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
