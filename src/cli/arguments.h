// Command-line words, by Boost.Program_options, with the errors, the --help and the common options of every
// command.
#pragma once

#include <c10/core/Device.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/table.h"
#include "rule/loader.h"

namespace mdnlab {

struct ArgumentsHelp {
  const char* usage;     // "mdnlab run FILE [options]"
  const char* about;     // what it does, and what it prints; long lines are broken
  const char* examples;  // lines, each a command
};

enum class Device { cpu, automatic };  // where a command runs unless it is told

class Arguments {
 public:
  explicit Arguments(const ArgumentsHelp& help);
  ~Arguments();

  // Names as of Boost, "output,o", then for what takes a value the word that stands for it: "output,o FILE".
  void flag(const char* name, const char* doc);
  void option(const char* name, const char* doc, const char* preset = nullptr);  // one value
  void list(const char* name, const char* doc);                                  // may be given several times
  void positional(const char* name, const char* doc, int least = 1, int most = 1);  // most −1: any number

  // --db (MDNLAB_DB, ./mdnlab.db), --plugin, and --json/--csv.
  void add_database();
  void add_plugins();
  void add_formats();

  // --device auto|cpu|cuda[:N].
  void add_device(Device usual = Device::automatic);
  // auto is the first GPU where there is one that can be used (a warning says why one cannot), else the CPU.
  // A GPU that is asked for and is not there, or too old (scan::require_gpu), is Code::machine; another word
  // is Code::usage.
  c10::Device device() const;
  // For work on every GPU: auto and cuda are all that can be used, none is Code::machine; else as device().
  std::vector<c10::Device> gpus() const;

  // False when --help was asked for, and printed. Unknown options, missing or surplus words: Code::usage.
  bool parse(std::span<const std::string> words);

  bool has(const char* name) const;
  std::string text(const char* name) const;
  std::int64_t integer(const char* name, std::int64_t least) const;
  double real(const char* name, double least, double most) const;
  std::vector<std::string> texts(const char* name) const;

  std::filesystem::path database() const;
  Plugins plugins() const;
  std::vector<std::string> plugin_words() const;  // to pass on
  TableFormat format(TableFormat usual = TableFormat::plain) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mdnlab
