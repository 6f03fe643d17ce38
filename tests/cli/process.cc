#include "process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <thread>

extern char** environ;

namespace mdnlab {

namespace {

std::vector<std::string> environment_of(const ProcessOptions& options) {
  std::vector<std::string> list;
  const auto is_replaced = [&](std::string_view variable) {
    return variable == "MDNLAB_DB" || variable == "MDNLAB_PLUGIN_PATH" ||
           std::ranges::any_of(options.environment, [&](const auto& own) { return own.first == variable; });
  };
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    if (!is_replaced(text.substr(0, text.find('=')))) list.emplace_back(text);
  }
  for (const auto& [name, value] : options.environment) list.push_back(name + "=" + value);
  return list;
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> list;
  for (const std::string& word : words) list.push_back(const_cast<char*>(word.c_str()));
  list.push_back(nullptr);
  return list;
}

// A file in memory: written by the child without ever filling up, read by us at any time.
int memory_file() {
  const int file = memfd_create("output", MFD_CLOEXEC);
  if (file < 0) throw std::runtime_error(std::string("no memory file: ") + std::strerror(errno));
  return file;
}

std::string content(int file) {
  std::string text;
  char buffer[4096];
  for (ssize_t count = 0;
       (count = pread(file, buffer, sizeof buffer, static_cast<off_t>(text.size()))) > 0;) {
    text.append(buffer, static_cast<std::size_t>(count));
  }
  return text;
}

std::filesystem::path variable(const char* name) {
  const char* value = std::getenv(name);
  if (!value) throw std::runtime_error(std::string(name) + " is not set: run the tests through Meson");
  return value;
}

}  // namespace

Process::Process(const std::vector<std::string>& words, const ProcessOptions& options)
    : timeout_(options.timeout), out_(memory_file()), err_(memory_file()) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out_, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err_, STDERR_FILENO);
  if (!options.folder.empty()) posix_spawn_file_actions_addchdir_np(&actions, options.folder.c_str());
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);

  const std::vector<std::string> environment = environment_of(options);
  const int failure = posix_spawnp(&pid_, words.at(0).c_str(), &actions, &attributes, pointers(words).data(),
                                   pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) {
    close(out_);
    close(err_);
    throw std::runtime_error(words[0] + " cannot be started: " + std::strerror(failure));
  }
}

Process::~Process() {
  signal_group(SIGKILL);
  while (!reap()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  close(out_);
  close(err_);
}

bool Process::reap() {
  int status = 0;
  if (!ended_ && waitpid(pid_, &status, WNOHANG) == pid_) {
    ended_ = true;
    code_ = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  }
  return ended_;
}

bool Process::is_running() { return !reap(); }

std::string Process::out() const { return content(out_); }

std::string Process::err() const { return content(err_); }

void Process::signal(int number) {
  if (!reap()) kill(pid_, number);
}

// The group keeps its number for as long as anything of it lives.
void Process::signal_group(int number) { kill(-pid_, number); }

Finished Process::wait() {
  using Clock = std::chrono::steady_clock;
  auto give_up = Clock::now() + timeout_;
  while (!reap()) {
    if (Clock::now() > give_up) {
      give_up = Clock::time_point::max();
      ADD_FAILURE() << "the process ran longer than " << timeout_.count()
                    << " s and was killed; its messages: " << err();
      signal_group(SIGKILL);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return {code_, out(), err()};
}

Finished run(const std::vector<std::string>& words, const ProcessOptions& options) {
  return Process(words, options).wait();
}

std::vector<std::string> mdnlab_words(std::vector<std::string> words) {
  words.insert(words.begin(), (build_folder() / "mdnlab").string());
  return words;
}

Finished run_mdnlab(const std::vector<std::string>& words, const ProcessOptions& options) {
  return run(mdnlab_words(words), options);
}

std::filesystem::path source_folder() { return variable("MDNLAB_SOURCE"); }

std::filesystem::path build_folder() { return variable("MDNLAB_BUILD"); }

}  // namespace mdnlab
