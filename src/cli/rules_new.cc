#include "cli/rules_new.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <system_error>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/skeleton/skeleton.h"

namespace mdnlab {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_letters = 40;

void check_name(const std::string& name, const Plugins& plugins) {
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const bool is_good =
      !name.empty() && name.size() <= most_letters && is_letter(name[0]) &&
      std::ranges::all_of(name, [&](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_'; });
  if (!is_good) {
    throw Error(Code::usage,
                {.what = "this is no name for a rule",
                 .found = quote(name),
                 .expected = fmt::format("a letter, then letters, digits and _, all lower case, {} at most",
                                         most_letters)});
  }
  if (plugins.has(name)) {
    throw Error(Code::usage, {.what = "a rule of this name exists",
                              .found = quote(name),
                              .hint = plugins.find(name).file().string()});
  }
}

void write_files(const fs::path& folder, const std::string& name) {
  std::error_code cause;
  if (!fs::create_directory(folder, cause)) {
    throw Error(Code::usage,
                {.place = {folder.string()},
                 .what = cause ? "cannot make the folder: " + cause.message() : "this is there already",
                 .hint = cause ? "" : "choose another name or --directory"});
  }
  const auto named = [&](std::string_view text) {
    constexpr std::string_view mark = "{{NAME}}";
    std::string result(text);
    for (std::size_t at = 0; (at = result.find(mark, at)) != std::string::npos; at += name.size())
      result.replace(at, mark.size(), name);
    return result;
  };
  for (const skeleton::File& file : skeleton::files) write_file(folder / named(file.name), named(file.text));
}

// Of this program: its build tree when it has not been installed, else empty.
fs::path build_tree() {
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
  const fs::path tree = program.parent_path();
  return fs::exists(tree / "meson-uninstalled", ignored) ? tree : fs::path();
}

bool is_in_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  return path && std::ranges::any_of(split(path, ':'), [&](const std::string& folder) {
           return !folder.empty() && ::access((fs::path(folder) / program).c_str(), X_OK) == 0;
         });
}

std::string shell_word(const std::string& word) {
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,:@%";
  if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) return word;
  std::string quoted = "'";
  for (const char letter : word) quoted += letter == '\'' ? "'\\''" : std::string(1, letter);
  return quoted + "'";
}

// Commands that work as they stand, on this machine.
std::string commands(const fs::path& folder, const std::string& name) {
  const fs::path tree = build_tree(), own_meson = tree.parent_path() / ".venv/bin/meson";
  std::error_code ignored;
  const std::string program = tree.empty() ? "mdnlab" : shell_word(tree / "mdnlab");
  const bool is_own = !is_in_path("meson") && !tree.empty() && fs::exists(own_meson, ignored);
  const std::string meson = is_own ? shell_word(own_meson) : "meson";
  const std::string found =
      tree.empty() ? "" : "PKG_CONFIG_PATH=" + shell_word(tree / "meson-uninstalled") + " ";
  return fmt::format(
      "cd {}\n{}{} setup build\n{} compile -C build\n{} rules check build/{}.so\n{} run sweep.yaml --plugin build/{}.so\n"
      "{} report\n",
      shell_word(folder), found, meson, meson, program, name, program, name, program);
}

}  // namespace

int rules_new(std::span<const std::string> words) {
  Arguments arguments(
      {.usage = "mdnlab rules new NAME [--directory DIR]",
       .about =
           "Writes a rule of your own as a plugin outside the tree, in the folder NAME: NAME.cc (a delta rule whose "
           "gates are coupled; change it), meson.build, README.md, sweep.yaml. Prints the commands that build it, "
           "check it and train it; the first of them finds mdnlab by pkg-config.",
       .examples = "  mdnlab rules new my_rule\n  mdnlab rules new my_rule --directory ~/rules\n"});
  arguments.positional("NAME", "lower-case letters, digits and _; not yet a rule");
  arguments.option("directory FOLDER", "where the folder is made", ".");
  arguments.add_plugins();
  if (!arguments.parse(words)) return 0;
  const std::string name = arguments.text("NAME");
  check_name(name, arguments.plugins());
  const fs::path folder = fs::path(arguments.text("directory")) / name;
  write_files(folder, name);
  note(fmt::format("wrote {}; type next:", folder.lexically_normal().string()));
  print(commands(folder.lexically_normal(), name));
  return 0;
}

}  // namespace mdnlab
