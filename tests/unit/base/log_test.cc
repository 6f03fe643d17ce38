#include "base/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "base/error.h"

namespace mdnlab {
namespace {

using testing::ExitedWithCode;
using testing::internal::CaptureStderr;
using testing::internal::CaptureStdout;
using testing::internal::GetCapturedStderr;
using testing::internal::GetCapturedStdout;

// A pseudo-terminal in the place of stderr while it lives.
class Terminal {
 public:
  explicit Terminal(unsigned short columns) : saved_(::dup(STDERR_FILENO)) {
    winsize size{24, columns, 0, 0};
    int other_end = -1;
    if (::openpty(&reader_, &other_end, nullptr, nullptr, &size) != 0) throw std::runtime_error("openpty");
    ::dup2(other_end, STDERR_FILENO);
    ::close(other_end);
    ::fcntl(reader_, F_SETFL, O_NONBLOCK);
  }
  ~Terminal() {
    ::dup2(saved_, STDERR_FILENO);
    ::close(saved_);
    ::close(reader_);
  }
  std::string shown() {
    std::string text(10000, '\0');
    const ssize_t count = ::read(reader_, text.data(), text.size());
    text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return text;
  }

 private:
  int saved_;
  int reader_ = -1;
};

TEST(Log, MessagesGoToStderr) {
  CaptureStderr();
  CaptureStdout();
  note("hello");
  warn("careful");
  EXPECT_EQ(GetCapturedStderr(), "hello\nwarning: careful\n");
  EXPECT_EQ(GetCapturedStdout(), "");
}

TEST(Log, ResultsGoToStdoutUnchanged) {
  CaptureStdout();
  CaptureStderr();
  print("a\tb");
  print("\n");
  EXPECT_EQ(GetCapturedStdout(), "a\tb\n");
  EXPECT_EQ(GetCapturedStderr(), "");
}

TEST(Log, ProgressIsPlainLinesOffATerminal) {
  CaptureStderr();
  EXPECT_FALSE(stderr_is_terminal());
  EXPECT_EQ(terminal_columns(), 80);
  progress("step 1");
  progress("step 2");
  end_progress();
  EXPECT_EQ(GetCapturedStderr(), "step 1\nstep 2\n");
}

TEST(Log, ProgressIsRewrittenOnATerminal) {
  Terminal terminal(40);
  EXPECT_TRUE(stderr_is_terminal());
  EXPECT_EQ(terminal_columns(), 40);
  progress("step 1");
  EXPECT_EQ(terminal.shown(), "\r\x1b[Kstep 1");
  note("saved");
  EXPECT_EQ(terminal.shown(), "\r\x1b[Ksaved\r\nstep 1");  // the terminal turns \n into \r\n
  end_progress();
  EXPECT_EQ(terminal.shown(), "\r\x1b[K");
  end_progress();
  EXPECT_EQ(terminal.shown(), "");
}

TEST(Log, ProgressIsCutToTheTerminal) {
  Terminal terminal(10);
  progress("αβγδεζηθικλμ");
  EXPECT_EQ(terminal.shown(), "\r\x1b[Kαβγδεζηθι");
  end_progress();
}

void print_into_a_closed_pipe() {
  int ends[2];
  if (::pipe(ends) != 0) std::_Exit(9);
  ::close(ends[0]);
  ::dup2(ends[1], STDOUT_FILENO);
  std::signal(SIGPIPE, SIG_IGN);
  print("nobody reads this");
  std::_Exit(8);
}

TEST(LogDeathTest, AClosedPipeEndsTheProgramQuietly) {
  EXPECT_EXIT(print_into_a_closed_pipe(), ExitedWithCode(128 + SIGPIPE), "^$");
}

void print_onto_a_full_disk() {
  ::dup2(::open("/dev/full", O_WRONLY), STDOUT_FILENO);
  try {
    print("x");
  } catch (const Error& error) {
    warn(error.what());
    std::_Exit(static_cast<int>(error.code()));
  }
  std::_Exit(0);
}

TEST(LogDeathTest, AFullDiskIsSaid) {
  EXPECT_EXIT(print_onto_a_full_disk(), ExitedWithCode(4),
              "warning: cannot write to standard output: No space left on device");
}

}  // namespace
}  // namespace mdnlab
