// Tensors in safetensors files: the weights of models and checkpoints.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>

namespace mdnlab {

using TensorMap = std::map<std::string, at::Tensor>;

struct Safetensors {
  TensorMap tensors;  // on the CPU, contiguous, in memory of their own
  std::map<std::string, std::string> metadata;
};

std::string file_dtype(
    at::ScalarType type);  // F32, as a file spells it; ATen's word for one that no file has

// A missing, unreadable, truncated or malformed file is an Error with Code::usage that names the file
// and, where there is one, the tensor.
Safetensors read_safetensors(const std::filesystem::path& path);

// Readers see the old file or the new one. Tensors may lie on any device, in any strides. Equal tensors
// and metadata give equal bytes. A type that the format lacks is Code::failed, a full disk Code::store.
void write_safetensors(const std::filesystem::path& path, const TensorMap& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace mdnlab
