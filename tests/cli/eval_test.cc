// Evaluation from the command line.
#include <gmock/gmock.h>

#include <csignal>
#include <thread>

#include "trained_model.h"

namespace mdnlab {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

// A run with an `eval:` list, and files to ask about.
class Eval : public TrainedModel {
 protected:
  static void SetUpTestSuite() {
    TrainedModel::SetUpTestSuite();
    std::ofstream choices(*folder_ / "choice.jsonl"), prompts(*folder_ / "prompts.jsonl");
    for (int i = 0; i < 200; ++i)
      choices << R"({"context":"number )" << i << R"( is","choices":["odd","even"],"answer":)" << 1 - i % 2
              << "}\n";
    prompts << R"({"prompt":"the cat sat on the","answers":["Mat"]})"
            << "\nnot json\n"
            << R"({"prompt":"the cat","answers":["dog"]})"
            << "\n";
    choices.close();
    prompts.close();
    train("the cat sat on the mat. ", 100,
          "[{task: text, length_factors: [1]}, {task: contains, path: prompts.jsonl, generated: 8}]");
  }
  static Finished eval(const std::vector<std::string>& more) { return ask("eval", more); }
  static nlohmann::json query(const std::string& sql) {
    return nlohmann::json::parse(mdnlab({"query", sql, "--json"}).out);
  }
};

TEST_F(Eval, AListInYamlIsAskedWhenTheRunEnds) {
  const auto rows = query(
      "select metric, value, n, (select count(*) from evaluation_item where evaluation_id = evaluation.id) as items"
      " from evaluation where task = 'contains'");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0]["metric"], "accuracy");
  EXPECT_EQ(rows[0]["value"], 0.5);  // the mat, no dog
  EXPECT_EQ(rows[0]["items"], 2);
  EXPECT_EQ(query("select count(*) as n from evaluation where task = 'text' and metric = 'loss'")[0]["n"], 1);

  // The same question asked by hand is answered already.
  const auto json = nlohmann::json::parse(
      eval({"--task", "contains", "--path", "prompts.jsonl", "--set", "generated=8", "--json"}).out);
  EXPECT_EQ(json["scores"][0]["value"], 0.5);
  EXPECT_EQ(query("select count(*) as n from evaluation where task = 'contains'")[0]["n"], 1);
}

TEST_F(Eval, PrintsScoresAndStoresThemWithTheirItems) {
  const Finished run = eval({"--task", "choice,contains", "--path", "prompts.jsonl"});
  EXPECT_EQ(run.code, 2);
  EXPECT_THAT(run.err, HasSubstr("no line of the file is a question"));  // no choices there

  const Finished table = eval({"--task", "choice", "--path", "choice.jsonl", "--samples", "20"});
  EXPECT_EQ(table.code, 0) << table.err;
  EXPECT_THAT(
      table.out,
      AllOf(
          HasSubstr("acc_norm"), HasSubstr("  95 % interval  stderr\n"), HasSubstr(" 20 "),
          MatchesRegex("(.|\n)*acc +20  0[.][0-9]{4}  0[.][0-9]{4} to 0[.][0-9]{4}  0[.][0-9]{4}\n(.|\n)*")));
  for (std::istringstream lines(table.out); !lines.eof();) {
    std::string line;
    std::getline(lines, line);
    EXPECT_LE(line.size(), 80u) << line;
  }
  EXPECT_THAT(eval({"--task", "choice", "--path", "choice.jsonl", "--samples", "20", "--csv"}).out,
              StartsWith("task,metric,length,depth,settings,n,value,low,high,stderr\nchoice,acc,,,,20,"));
  const auto json = nlohmann::json::parse(
      eval({"--task", "choice", "--path", "choice.jsonl", "--samples", "20", "--json"}).out)["scores"];
  ASSERT_EQ(json.size(), 2u);
  for (const auto& score : json) {
    EXPECT_GT(score["stderr"], 0);
    EXPECT_LT(score["low"], score["value"]);
    EXPECT_GT(score["high"], score["value"]);
  }
  EXPECT_EQ(query("select count(*) as n from evaluation where task = 'choice' and n = 20 and low < value"
                  " and high > value and stderr > 0")[0]["n"],
            2);
  const Finished warned = eval({"--task", "contains", "--path", "prompts.jsonl"});
  EXPECT_EQ(warned.code, 0);
  EXPECT_THAT(warned.err, AllOf(HasSubstr("prompts.jsonl:2: this line is no JSON"),
                                HasSubstr("1 of 3 lines are left out")));
}

TEST_F(Eval, TellsScoresApartByWhatNoOtherColumnSays) {
  const Finished table = eval({"--task", "text", "--set", "length_factors=1,2"});
  EXPECT_EQ(table.code, 0) << table.err;
  EXPECT_THAT(table.out, AllOf(HasSubstr(" position=32..64 "), HasSubstr("  95 % interval"),
                               Not(HasSubstr("length_factor="))));
  for (std::istringstream lines(table.out); !lines.eof();) {
    std::string line;
    std::getline(lines, line);
    EXPECT_LE(line.size(), 80u) << line;
  }
}

TEST_F(Eval, HelpNamesEveryTask) {
  const Finished help = mdnlab({"eval", "--help"});
  for (const char* task : {"needle", "choice", "retention", "perplexity_by_position", "babi_long"})
    EXPECT_THAT(help.out, HasSubstr(task));
}

TEST_F(Eval, AsksTasksOfSequencesToo) {
  const auto json = nlohmann::json::parse(
      eval({"--task", "retention", "--set", "values=8", "--set", "keys=16", "--set", "lags=16", "--set",
            "writes=0", "--set", "pairs=4", "--samples", "5", "--json"})
          .out);
  EXPECT_FALSE(json["scores"].empty());
  for (const auto& score : json["scores"]) EXPECT_EQ(score["task"], "retention");

  const auto recall = [&](const char* seed) {
    return nlohmann::json::parse(eval({"--task", "mqar", "--set", "vocabulary=64", "--set", "pairs=2",
                                       "--set", "length=16", "--samples", "12", "--seed", seed, "--json"})
                                     .out)["scores"];
  };
  const auto first = recall("3"), other = recall("4");
  EXPECT_EQ(first[0]["metric"], "accuracy");
  EXPECT_EQ(first[0]["n"], 12);
  EXPECT_EQ(first[0]["settings"]["seed"], 3);
  EXPECT_EQ(first[0]["settings"]["dtype"], "f32");
  EXPECT_NE(first[1]["value"], other[1]["value"]) << "another test";
  EXPECT_EQ(query("select count(*) as n from evaluation_item i join evaluation e on e.id = evaluation_id"
                  " where task = 'mqar' and metric = 'accuracy' and length(prompt_digest) = 64"
                  " and prediction like '% of 2 right'")[0]["n"],
            24);
}

TEST_F(Eval, KeepsWhatALikelihoodWas) {
  ASSERT_EQ(eval({"--task", "choice", "--path", "choice.jsonl", "--samples", "9"}).code, 0);
  EXPECT_EQ(query("select count(*) as n from evaluation_item i join evaluation e on e.id = evaluation_id"
                  " where task = 'choice' and n = 9 and json_array_length(log_probabilities_json) = 2"
                  " and log_probabilities_json ->> 0 < 0")[0]["n"],
            18);
}

TEST_F(Eval, MeasuresInfluenceOnWhatTheModelWasTrainedOn) {
  const auto scores = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"--task", "influence", "--samples", "2", "--json"});
    const Finished run = eval(words);
    EXPECT_EQ(run.code, 0) << run.err;
    return nlohmann::json::parse(run.out)["scores"];
  };
  const auto trained = scores({});
  ASSERT_EQ(trained.size(), 6u) << "lags 0, 1, 2, 4, 8, 16";
  for (const auto& score : trained) {
    EXPECT_EQ(score["metric"], "influence");
    EXPECT_EQ(score["length"], 32);
    EXPECT_EQ(score["n"], 2);
    EXPECT_GT(score["value"], 0);
  }
  EXPECT_EQ(
      scores({"--path", "text.txt", "--lengths", "16", "--set", "lags=1,8", "--set", "heads=true"}).size(),
      2u * (1 + 4));
  EXPECT_EQ(query("select count(distinct settings_json ->> 'lag') as n from evaluation"
                  " where metric = 'influence' and settings_json ->> 'dtype' = 'f32'")[0]["n"],
            6);
  EXPECT_EQ(eval({"--task", "influence", "--path", "gone.txt"}).code, 2);
}

TEST_F(Eval, GoesOnAfterCtrlC) {
  const std::vector<std::string> words{"eval",   model_,         "--task",  "choice",
                                       "--path", "choice.jsonl", "--dtype", "f64"};
  bool interrupted = false;
  for (int attempt = 0; attempt < 50 && !interrupted; ++attempt) {
    Process process(mdnlab_words(words), {.folder = folder_->path()});
    std::this_thread::sleep_for(std::chrono::milliseconds(300 + 40 * attempt));
    process.signal(SIGINT);
    const int code = process.wait().code;
    ASSERT_TRUE(code == 130 || code == 0 || code == -SIGINT) << process.err();
    interrupted = code == 130;
    if (code == 0) break;  // it was faster
  }
  const Finished rest = mdnlab(words);
  EXPECT_EQ(rest.code, 0) << rest.err;
  EXPECT_EQ(query("select n from evaluation where task = 'choice' and metric = 'acc'"
                  " and settings_json ->> 'dtype' = 'f64'")[0]["n"],
            200);
  EXPECT_EQ(query("select count(distinct item) as n from evaluation_item join evaluation on evaluation.id ="
                  " evaluation_id where metric = 'acc' and settings_json ->> 'dtype' = 'f64'")[0]["n"],
            200);
}

TEST_F(Eval, SaysWhatIsWrongWithItsWords) {
  const auto refused = [&](std::vector<std::string> words, const char* message) {
    const Finished run = eval(std::move(words));
    EXPECT_EQ(run.code, 2) << run.err;
    EXPECT_EQ(run.out, "");
    EXPECT_THAT(run.err, AllOf(StartsWith("mdnlab: "), HasSubstr(message)));
  };
  refused({}, "--task is missing");
  refused({"--task", "lambda"}, "unknown task; found 'lambda'; did you mean 'lambada'?");
  refused({"--task", "lambada", "--path", "gone.jsonl"}, "gone.jsonl");
  refused({"--task", "lambada"}, "path");
  refused({"--task", "choice", "--path", "choice.jsonl", "--set", "sett=piqa"}, "did you mean 'set'?");
  refused({"--task", "choice", "--path", "choice.jsonl", "--set", "set=piqua"}, "did you mean 'piqa'?");
  refused({"--task", "lambada", "--path", "choice.jsonl", "--lengths", "5"}, "lengths");
  refused({"--task", "perplexity_by_position", "--path", "text.txt", "--lengths", "100000"},
          "too few for a block of 100,000");
  refused({"--task", "mqar"}, "the task 'mqar' has tokens that the model does not have");
  const std::string words = "words=" + (source_folder() / "experiments/data/words").string();
  refused({"--task", "needle"}, "lists of words are needed; expected words: FOLDER");
  refused({"--task", "needle", "--set", words, "--lengths", "300"},
          "--lengths 300: needle of 300 tokens has no room for its prompt");
  refused({"--task", "needle", "--set", words, "--set", "variant=s-niah-2", "--path", "text.txt", "--lengths",
           "4000"},
          "--lengths 4000: the haystack is too short for 4000 tokens");
  refused({"--task", "needle", "--set", words, "--depths", "0,50"}, "--depths 0,50");
  refused({"--task", "choice", "--path", "choice.jsonl", "--tokenizer",
           "gpt2:" + (source_folder() / "experiments/data/gpt2").string()},
          "the tokenizer has more tokens than the model; found 50,257, expected at most 256");
}

}  // namespace
}  // namespace mdnlab
