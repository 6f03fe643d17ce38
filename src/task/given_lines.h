// Questions in files that users give: one JSON object a line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "config/params.h"
#include "task/task.h"

namespace mdnlab {

// Hands each line to `take`, which throws what is wrong with it: an Error without a place. A line that is no
// JSON object, or that `take` refuses, is left out: a warning names the first ones by their numbers and
// counts all. A file that is not there, or no line that serves: Code::usage.
void read_given_lines(const std::filesystem::path& file,
                      const std::function<void(const nlohmann::json& line)>& take);

// What stands under a key; missing or of another type: an Error that says so.
std::string text_of(const nlohmann::json& line, const char* key);
std::int64_t integer_of(const nlohmann::json& line, const char* key);
std::vector<std::string> texts_of(const nlohmann::json& line, const char* key);  // or one text

// The file that `path` names, found from the current directory or the YAML file.
std::filesystem::path given_file(const Params& options, const TaskContext& context);

// A task that only asks about a file: its digest is of the file and of the model's tokenizer.
std::unique_ptr<Task> asking_task(const std::filesystem::path& file, const TaskContext& context,
                                  std::function<std::unique_ptr<const Items>()> items);

// Questions of which the first `count` are asked.
template <class Question>
class GivenItems : public Items {
 public:
  GivenItems(std::shared_ptr<const std::vector<Question>> questions, std::int64_t count)
      : questions_(std::move(questions)), count_(count) {}
  std::int64_t count() const override { return count_; }

 protected:
  const Question& at(std::int64_t index) const { return (*questions_)[static_cast<std::size_t>(index)]; }

 private:
  std::shared_ptr<const std::vector<Question>> questions_;
  std::int64_t count_;
};

inline constexpr Field path_field{.name = "path",
                                  .type = Type::text,
                                  .preset = Field::required,
                                  .doc = "the data; relative to the current directory or to the YAML file"};
inline constexpr Field first_samples_field{.name = "samples",
                                           .type = Type::integer,
                                           .preset = "0",
                                           .doc = "items asked, from the file's beginning; 0: all",
                                           .least = 0};

// How many of `all` are asked: the setting `samples`.
std::int64_t samples_of(const Params& options, std::size_t all);

}  // namespace mdnlab
