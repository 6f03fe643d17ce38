#include "base/log.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <string>
#include <system_error>

#include "base/error.h"

namespace mdnlab {

namespace {

constexpr std::string_view clear_line = "\r\x1b[K";

// The line that progress() last drew on the terminal, "" when none stands there.
struct Display {
  std::mutex mutex;
  std::string line;
};

Display& display() {
  static Display instance;
  return instance;
}

// Returns 0 or the errno. One write where possible, so that lines of several processes stay whole.
int write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

// A message that cannot be written has nowhere else to go.
void write_stderr(std::string_view text) { static_cast<void>(write_all(STDERR_FILENO, text)); }

void write_message(std::string_view prefix, std::string_view message) {
  Display& shown = display();
  const std::lock_guard lock(shown.mutex);
  std::string text;
  if (!shown.line.empty()) text += clear_line;
  text.append(prefix).append(message).append("\n").append(shown.line);
  write_stderr(text);
}

// The longest beginning of at most `columns` characters: a wrapped line could not be rewritten in place.
std::string_view fitting(std::string_view line, int columns) {
  int characters = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool starts_character = (line[i] & 0xc0) != 0x80;
    if (starts_character && ++characters > columns) return line.substr(0, i);
  }
  return line;
}

}  // namespace

void note(std::string_view message) { write_message("", message); }

void warn(std::string_view message) { write_message("warning: ", message); }

void print(std::string_view text) {
  const int failure = write_all(STDOUT_FILENO, text);
  if (failure == 0) return;
  // The reader has seen enough (mdnlab … | head); the status is the one that SIGPIPE would have given.
  if (failure == EPIPE) std::_Exit(128 + SIGPIPE);
  throw Error(failure == ENOSPC ? Code::store : Code::machine,
              "cannot write to standard output: " + std::generic_category().message(failure));
}

bool stderr_is_terminal() { return ::isatty(STDERR_FILENO) == 1; }

int terminal_columns() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void progress(std::string_view line) {
  if (!stderr_is_terminal()) {
    write_stderr(std::string(line) + "\n");
    return;
  }
  Display& shown = display();
  const std::lock_guard lock(shown.mutex);
  shown.line = fitting(line, terminal_columns() - 1);
  write_stderr(std::string(clear_line) + shown.line);
}

void end_progress() {
  Display& shown = display();
  const std::lock_guard lock(shown.mutex);
  if (shown.line.empty()) return;
  shown.line.clear();
  write_stderr(clear_line);
}

}  // namespace mdnlab
