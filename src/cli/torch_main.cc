// mdnlab-torch: every command. It lies beside mdnlab (main.cc), which starts it.
#include <c10/util/Exception.h>
#include <dlfcn.h>
#include <malloc.h>
#include <sys/mman.h>

#include <array>
#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "base/text.h"
#include "cli/program.h"

namespace mdnlab {

namespace {

constexpr std::array commands{&run_command,    &plan_command,   &status_command,   &query_command,
                              &report_command, &rules_command,  &data_command,     &merge_command,
                              &eval_command,   &score_command,  &generate_command, &import_command,
                              &export_command, &doctor_command, &worker_command};

// Tensors come and go at every step. Memory that stays with the program needs no faulting in again (a third
// of a scan's time), and pages of 2 MiB are found faster than 512 of 4 KiB (a fifteenth).
void keep_memory() {
  constexpr std::size_t large = 1 << 30, page = 4096, reserved = 256 << 20;
  mallopt(M_MMAP_THRESHOLD, large);
  mallopt(M_TRIM_THRESHOLD, large);
  // The heap grows once; what nobody touches costs nothing.
  void* const heap = std::malloc(reserved);
  if (!heap) return;
  const auto first = (reinterpret_cast<std::uintptr_t>(heap) + page - 1) / page * page;
  madvise(reinterpret_cast<void*>(first), reserved - page, MADV_HUGEPAGE);
  std::free(heap);
}

int run(std::span<const std::string> words) {
  try {
    return dispatch(commands, words);
  } catch (const c10::OutOfMemoryError& error) {  // of a GPU
    throw Error(Code::machine, split(error.what_without_backtrace(), '\n')[0] +
                                   " Fewer sequences, or shorter ones, need less.");
  }
}

}  // namespace

}  // namespace mdnlab

int main(int count, char** arguments) {
  mdnlab::keep_memory();
  // The CUDA half of LibTorch joins before anything asks for devices (its hooks are looked up once); without
  // it the program goes on on the CPU.
  dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL);
  const std::vector<std::string> words(arguments + 1, arguments + count);
  return mdnlab::guarded([&] { return mdnlab::run(words); });
}
