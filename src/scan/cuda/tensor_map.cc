#include "scan/cuda/tensor_map.h"

#include <cuda_runtime_api.h>

#include "base/error.h"
#include "scan/cuda/device.h"
#include "scan/prepared.h"

namespace mdnlab::scan {

namespace {

using Encode = decltype(&cuTensorMapEncodeTiled);

// From the driver: nothing is linked to it, so that the module loads without one.
Encode encode_function() {
  static const Encode encode = [] {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult found{};
    check_cuda(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault,
                                                &found),
               "scan: the driver's cuTensorMapEncodeTiled");
    if (!function) throw Error(Code::machine, "scan: the driver has no cuTensorMapEncodeTiled");
    return reinterpret_cast<Encode>(function);
  }();
  return encode;
}

constexpr std::int64_t kAlignment = 16;  // of the address and of strides, in bytes

}  // namespace

CUtensorMap tensor_map(const at::Tensor& value) {
  const auto size = [&](int dimension) { return static_cast<cuuint64_t>(value.size(dimension)); };
  const auto bytes = [&](int dimension) {
    return static_cast<cuuint64_t>(value.stride(dimension) * value.element_size());
  };
  const cuuint64_t sizes[3] = {size(3), size(2), size(0) * size(1)};
  const cuuint64_t strides[2] = {bytes(2), bytes(1)};
  const cuuint32_t box[3] = {64, 1, 64}, steps[3] = {1, 1, 1};
  CUtensorMap map;
  // The driver wants the device's context bound to this thread, which autograd's may not have been yet.
  check_cuda(cudaSetDevice(value.get_device()), "scan: the device of a tensor");
  const auto type =
      value.scalar_type() == at::kHalf ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
  const CUresult result =
      encode_function()(&map, type, 3, const_cast<void*>(value.const_data_ptr()), sizes, strides, box, steps,
                        CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                        CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS)
    throw Error(Code::machine, "scan: the driver refuses a tensor map, CUresult " + std::to_string(result));
  return map;
}

at::Tensor as_panels(const at::Tensor& value_BTHX) {
  const at::Tensor rows = as_rows(value_BTHX);
  const auto is_even = [&](std::int64_t elements) {
    return elements * rows.element_size() % kAlignment == 0;
  };
  const bool is_aligned = reinterpret_cast<std::uintptr_t>(rows.const_data_ptr()) % kAlignment == 0;
  return is_aligned && is_even(rows.stride(1)) && is_even(rows.stride(2))
             ? rows
             : rows.clone(at::MemoryFormat::Contiguous);
}

}  // namespace mdnlab::scan
