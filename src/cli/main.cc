// mdnlab: what asks the database alone is answered here, at once. For everything else it becomes mdnlab-torch
// (torch_main.cc), which takes 0.3 s to load LibTorch.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "cli/program.h"
#include "cli/whole_report.h"

namespace mdnlab {

namespace {

constexpr std::array commands{&status_command, &query_command, &report_command, &merge_command};

char** given = nullptr;  // main's arguments

[[noreturn]] void become_whole_program() {
  const auto whole = std::filesystem::read_symlink("/proc/self/exe").replace_filename("mdnlab-torch");
  execv(whole.c_str(), given);
  throw Error(Code::machine, {.place = {.file = whole.string()},
                              .what = "the program that belongs beside this one cannot be started",
                              .found = std::strerror(errno)});
}

int run(int count, char** arguments) {
  given = arguments;
  const std::vector<std::string> words(arguments + 1, arguments + count);
  const auto is_asked = [&](const Command* command) { return !words.empty() && words[0] == command->name; };
  if (std::ranges::none_of(commands, is_asked)) become_whole_program();
  return dispatch(commands, words);
}

}  // namespace

void write_whole_report(const Arguments&, const std::filesystem::path&) { become_whole_program(); }

}  // namespace mdnlab

int main(int count, char** arguments) {
  return mdnlab::guarded([&] { return mdnlab::run(count, arguments); });
}
