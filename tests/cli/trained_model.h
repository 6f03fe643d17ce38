// A model trained from the command line in a folder of its own, for tests of what is asked of it.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "../unit/temporary_folder.h"
#include "process.h"

namespace mdnlab {

class TrainedModel : public testing::Test {
 protected:
  // Learns `line`, so many `times`. `eval`: the run's list; "": none of its own.
  static void train(const std::string& line, int times, const std::string& eval = "") {
    std::ofstream text(*folder_ / "text.txt");
    for (int i = 0; i < times; ++i) text << line;
    text.close();
    std::ofstream(*folder_ / "one.yaml")
        << "schema: 1\nrule: gated_deltanet\nmodel: {hidden_size: 32, num_hidden_layers: 2, num_heads: 2}\n"
           "data: {path: text.txt}\ntask: {name: text, length_factors: [1]}\n"
           "train: {batch_size: 8, seq_len: 32, steps: 60, lr: 0.02}\n"
        << (eval.empty() ? "" : "eval: " + eval + "\n");
    const Finished run = mdnlab({"run", "one.yaml"});
    if (run.code != 0) throw std::runtime_error(run.err);
    const auto status = nlohmann::json::parse(mdnlab({"status", "--json"}).out);
    model_ = "run:" + status["runs"][0]["key"].get<std::string>();
  }
  static void SetUpTestSuite() { folder_ = new TemporaryFolder; }
  static void TearDownTestSuite() { delete folder_; }

  static Finished mdnlab(const std::vector<std::string>& words) {
    return run_mdnlab(words, {.folder = folder_->path()});
  }
  // mdnlab COMMAND MODEL more…
  static Finished ask(const std::string& command, std::vector<std::string> more) {
    more.insert(more.begin(), {command, model_});
    return mdnlab(more);
  }

  static inline TemporaryFolder* folder_ = nullptr;
  static inline std::string model_;
};

}  // namespace mdnlab
