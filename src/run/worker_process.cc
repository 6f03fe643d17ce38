#include "run/worker_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/error.h"

extern char** environ;

namespace mdnlab {

namespace {

// What posix_spawn takes: pointers into `words`, which must stay.
std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> list;
  for (const std::string& word : words) list.push_back(const_cast<char*>(word.c_str()));
  list.push_back(nullptr);
  return list;
}

std::vector<std::string> environment_with(const std::vector<std::string>& variables) {
  std::vector<std::string> all = variables;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view ours = *entry;
    const std::string_view name = ours.substr(0, ours.find('=') + 1);
    if (std::ranges::none_of(variables, [&](const std::string& own) { return own.starts_with(name); }))
      all.emplace_back(ours);
  }
  return all;
}

}  // namespace

WorkerProcess::WorkerProcess(const std::vector<std::string>& words,
                             const std::vector<std::string>& variables) {
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0)
    throw Error(Code::machine, std::string("no pipe for a worker: ") + std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDOUT_FILENO);

  std::vector<std::string> named{"mdnlab"};
  named.insert(named.end(), words.begin(), words.end());
  const std::vector<std::string> environment = environment_with(variables);
  const int failure = posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, pointers(named).data(),
                                  pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  close(pipe_ends[1]);
  if (failure != 0) {
    close(pipe_ends[0]);
    throw Error(Code::machine, std::string("a worker cannot be started: ") + std::strerror(failure));
  }
  output_ = pipe_ends[0];
}

WorkerProcess::WorkerProcess(WorkerProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      output_(std::exchange(other.output_, -1)),
      ended_(other.ended_),
      partial_(std::move(other.partial_)) {}

WorkerProcess::~WorkerProcess() {
  if (output_ >= 0) close(output_);
  if (pid_ > 0) {
    signal(SIGTERM);
    wait();
  }
}

std::vector<std::string> WorkerProcess::read_lines() {
  char buffer[4096];
  const ssize_t count = read(output_, buffer, sizeof buffer);
  if (count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN)) ended_ = true;
  if (count > 0) partial_.append(buffer, static_cast<std::size_t>(count));
  std::vector<std::string> lines;
  for (std::size_t end = 0; (end = partial_.find('\n')) != std::string::npos; partial_.erase(0, end + 1)) {
    lines.push_back(partial_.substr(0, end));
  }
  return lines;
}

void WorkerProcess::signal(int number) const {
  if (pid_ > 0) kill(pid_, number);
}

int WorkerProcess::wait() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace mdnlab
