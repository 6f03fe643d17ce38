#include "scan/cuda_module.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <dlfcn.h>

#include <filesystem>

#include "base/error.h"
#include "base/gpu.h"
#include "scan/cuda/entry.h"

namespace mdnlab::scan {

namespace {

std::filesystem::path module_file() {
  static const int anchor = 0;
  Dl_info library{};
  if (!dladdr(&anchor, &library) || !library.dli_fname) return MDNLAB_CUDA_MODULE;
  return std::filesystem::absolute(library.dli_fname).parent_path() / MDNLAB_CUDA_MODULE;
}

// What dlopen says, without the words that follow from it.
std::string last_error() {
  const char* text = dlerror();
  return text ? text : "unknown error";
}

CudaModule load() {
  CudaModule found{.file = module_file().string()};
  if (!dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL)) {
    found.libraries_trouble = last_error();
    found.trouble = "LibTorch's CUDA libraries are not loaded";
    return found;
  }
  if (!std::filesystem::exists(found.file)) {
    found.trouble = "not there: this build has no CUDA kernels (-Dcuda=enabled builds them)";
    return found;
  }
  void* module = dlopen(found.file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!module) {
    found.trouble = last_error();
    return found;
  }
  const auto entry = reinterpret_cast<CudaEntry*>(dlsym(module, MDNLAB_CUDA_SYMBOL));
  if (!entry || entry(MDNLAB_CUDA_STAMP) != 0)
    found.trouble = "of another build than libmdnlab.so; build again";
  return found;
}

[[noreturn]] void refuse(std::string what, std::string found, std::string expected, std::string hint = {}) {
  throw Error(Code::machine, ErrorText{.what = std::move(what),
                                       .found = std::move(found),
                                       .expected = std::move(expected),
                                       .hint = std::move(hint)});
}

}  // namespace

const CudaModule& cuda_module() {
  static const CudaModule module = load();
  return module;
}

void require_cuda() {
  const char* what = "LibTorch cannot use the GPU";
  if (!cuda_module().libraries_trouble.empty()) {
    refuse(what, cuda_module().libraries_trouble, "the CUDA libraries of LibTorch",
           "pip install torch==2.11.0 brings them; name its torch/lib in LD_LIBRARY_PATH");
  }
  const int needed = static_cast<int>(at::detail::getCUDAHooks().versionCUDART()), found = gpu_facts().cuda;
  if (found / 1000 < needed / 1000) {  // a driver runs every later CUDA of its major version
    refuse(what, driver_text(gpu_facts()),
           "a driver of CUDA " + cuda_text(needed) + ", as LibTorch's libraries are",
           "a newer NVIDIA driver, or --device cpu");
  }
  if (!at::hasCUDA()) {
    refuse(what, "no device that its CUDA libraries can start", "the GPUs that `nvidia-smi` lists",
           "a warning of LibTorch before this line says why");
  }
}

void require_gpu(c10::Device device) {
  const std::string name = device.str();
  const std::string needed = "an NVIDIA GPU of compute capability " + capability_text(kLeastCapability) +
                             " or more, with its driver";
  const GpuFacts& facts = gpu_facts();
  if (!facts.trouble.empty())
    refuse("there is no device " + name, facts.trouble, needed,
           "`mdnlab doctor` tells what this machine has; --device cpu");
  const std::size_t index = device.has_index() ? static_cast<std::size_t>(device.index()) : 0;
  if (index >= facts.gpus.size()) {
    const std::size_t last = facts.gpus.size() - 1;
    refuse("there is no device " + name, std::to_string(facts.gpus.size()) + (last ? " GPUs" : " GPU"),
           last ? "cuda:0 to cuda:" + std::to_string(last) : "cuda:0");
  }
  const Gpu& gpu = facts.gpus[index];
  if (gpu.capability < kLeastCapability) {
    refuse("device " + name + " is too old",
           gpu.name + ", compute capability " + capability_text(gpu.capability), needed);
  }
  require_cuda();
}

}  // namespace mdnlab::scan
