#include <c10/util/Exception.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/command.h"

namespace mdnlab {

namespace {

constexpr std::array commands{&run_command,    &plan_command,   &status_command,   &query_command,
                              &report_command, &rules_command,  &data_command,     &merge_command,
                              &eval_command,   &score_command,  &generate_command, &import_command,
                              &export_command, &doctor_command, &worker_command};

std::string overview() {
  std::string text =
      "usage: mdnlab COMMAND …\n\n"
      "A laboratory for linear-attention recurrence rules.\n\n";
  for (const Command* command : commands) {
    if (!command->is_internal) text += fmt::format("  {:<8} {}\n", command->name, command->summary);
  }
  return text +
         "\n`mdnlab COMMAND --help` explains one, with examples. Results go to stdout,\n"
         "messages to stderr. Exit codes: 0 ok, 1 a run or check failed, 2 usage or input,\n"
         "3 machine or plugin, 4 database or disk, 130 interrupted.\n\n"
         "examples:\n"
         "  mdnlab run experiments/quickstart.yaml --jobs 2\n"
         "  mdnlab report\n"
         "  mdnlab rules list\n";
}

int dispatch(std::span<const std::string> words) {
  if (words.empty() || words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    print(overview());
    return words.empty() ? static_cast<int>(Code::usage) : 0;
  }
  std::vector<std::string> names;
  for (const Command* command : commands) {
    if (words[0] == command->name) return command->run(words.subspan(1));
    if (!command->is_internal) names.emplace_back(command->name);
  }
  throw Error(Code::usage,
              {.what = "unknown command", .found = quote(words[0]), .hint = suggestion(words[0], names)});
}

int run_main(int count, char** arguments) {
  try {
    return dispatch(std::vector<std::string>(arguments + 1, arguments + count));
  } catch (const Error& error) {
    end_progress();
    note(std::string("mdnlab: ") + error.what());
    return static_cast<int>(error.code());
  } catch (const std::bad_alloc&) {
    end_progress();
    note("mdnlab: out of memory");
    return static_cast<int>(Code::machine);
  } catch (const c10::OutOfMemoryError& error) {  // of a GPU
    end_progress();
    note("mdnlab: " + split(error.what_without_backtrace(), '\n')[0] +
         " Fewer sequences, or shorter ones, need less.");
    return static_cast<int>(Code::machine);
  } catch (const std::exception& error) {
    end_progress();
    note(std::string("mdnlab: ") + split(error.what(), '\n')[0]);
    return static_cast<int>(Code::failed);
  }
}

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

}  // namespace

}  // namespace mdnlab

int main(int count, char** arguments) {
  mdnlab::keep_memory();
  // The CUDA half of LibTorch joins before anything asks for devices (its hooks are looked up once); without
  // it the program goes on on the CPU.
  dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL);
  return mdnlab::run_main(count, arguments);
}
