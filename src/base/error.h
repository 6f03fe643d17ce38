// One exception type for the whole program. It carries what a user needs to mend the cause
// (place, what, found, expected, hint) and the exit code that the program ends with.
#pragma once

#include <concepts>
#include <exception>
#include <string>
#include <utility>

namespace mdnlab {

// The values are the program's exit codes.
enum class Code {
  ok = 0,
  failed = 1,        // a run, a check or a checkpoint failed
  usage = 2,         // command line, YAML, unreadable or malformed input
  machine = 3,       // a device, a library or a plugin
  store = 4,         // the database, a full disk
  interrupted = 130  // Ctrl-C
};

// Where an error stands in a text file. line and column count from 1; 0 means unknown.
struct Place {
  std::string file;
  int line = 0;
  int column = 0;

  std::string text() const;  // "file:line:column", shortened by what is unknown
};

// Every field but `what` may stay empty. Written as `place: what; found X, expected Y; hint`.
struct ErrorText {
  Place place;
  std::string what;
  std::string found;
  std::string expected;
  std::string hint;
};

// Thrown everywhere, caught in main and at the boundary of each run. The destructor is defined in
// libmdnlab, so that plugins throw and catch the same type.
class Error : public std::exception {
 public:
  Error(Code code, ErrorText text);
  // A template, so that braces always mean an ErrorText.
  template <std::convertible_to<std::string> Text>
  Error(Code code, Text what) : Error(code, ErrorText{.what = std::move(what)}) {}
  ~Error() override;

  const char* what() const noexcept override;
  Code code() const noexcept { return code_; }
  const ErrorText& text() const noexcept { return text_; }

 private:
  Code code_;
  ErrorText text_;
  std::string message_;
};

}  // namespace mdnlab
