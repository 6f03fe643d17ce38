#include "run/evaluation.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "eval/ask.h"
#include "eval/marks.h"
#include "store/askings.h"

namespace mdnlab {

namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

constexpr std::int64_t batch_tokens = 8192;  // of one forward pass

// What fixes answers beside the task's options.
json circumstances(const TaskChoice& choice, const Task& task, const std::string& dtype, at::Device device) {
  json settings{
      {"version", choice.kind->version}, {"dtype", dtype}, {"device", device.is_cpu() ? "cpu" : "cuda"}};
  if (const std::string digest = task.data_digest(); !digest.empty()) settings["data_digest"] = digest;
  return settings;
}

// All that fixes items and answers. What the options leave to the run (its seed, its length) shows in the
// items themselves: the first and the last stand for all.
json asking_settings(const TaskChoice& choice, const Items& items, const json& around) {
  json settings = json::parse(choice.options.json());
  for (const char* path : {"path", "words", "facts", "train_facts"})
    settings.erase(path);  // the digest says what lies there
  settings.update(around);
  settings["items"] = {marked(0, items.item(0), {}).prompt_digest,
                       marked(0, items.item(items.count() - 1), {}).prompt_digest, items.count()};
  return settings;
}

// The name of the data, for people: what it holds is told by its digest.
std::string data_file(const TaskChoice& choice, const Task& task) {
  const json options = json::parse(choice.options.json());
  for (const char* name : {"path", "facts", "words"}) {
    if (!options.contains(name) || !options[name].is_string()) continue;
    const std::filesystem::path path = options[name].get<std::string>();
    return (path.has_filename() ? path : path.parent_path()).filename().string();
  }
  return task.corpus_name();
}

// Of one score: a list holds what other scores are told by.
json score_settings(json settings, const std::string& file) {
  if (!file.empty()) settings["data_file"] = file;
  for (auto field = settings.begin(); field != settings.end();)
    field = field->is_array() ? settings.erase(field) : std::next(field);
  return settings;
}

// Items on their way into the store: each is written within seconds, many in one transaction.
class Waiting {
 public:
  Waiting(Store& store, std::int64_t asking) : store_(store), asking_(asking) {
    for (const AnsweredItem& item : answered_items(store, asking))
      items_.push_back(read_marked(item.item, item.marked_json));
  }

  const std::vector<MarkedItem>& items() const { return items_; }

  void add(MarkedItem item) {
    unwritten_.push_back({item.index, marked_json(item)});
    items_.push_back(std::move(item));
    if (Clock::now() - written_ > std::chrono::seconds(2)) flush();
  }

  void flush() {
    add_answered(store_, asking_, unwritten_);
    unwritten_.clear();
    written_ = Clock::now();
  }

 private:
  Store& store_;
  std::int64_t asking_;
  std::vector<MarkedItem> items_;
  std::vector<AnsweredItem> unwritten_;
  Clock::time_point written_ = Clock::now();
};

std::vector<std::int64_t> unanswered(const Items& items, const std::vector<MarkedItem>& answered) {
  std::set<std::int64_t> done;
  for (const MarkedItem& item : answered) done.insert(item.index);
  std::vector<std::int64_t> left;
  for (std::int64_t index = 0; index < items.count(); ++index) {
    if (!done.contains(index)) left.push_back(index);
  }
  return left;
}

}  // namespace

std::optional<std::vector<Score>> evaluate_and_store(Store& store, const EvaluatedModel& identity,
                                                     const LanguageModel& model, const std::string& dtype,
                                                     const TaskChoice& choice, const Task& task,
                                                     const EvaluationHooks& hooks) {
  const std::unique_ptr<const Items> items = task.items(Split::test);
  const json around = circumstances(choice, task, dtype, model.device());
  const json settings = asking_settings(choice, *items, around);
  const std::int64_t asking = ensure_asking(store, identity, choice.kind->name, settings.dump());
  if (auto scores = ended_scores(store, asking)) {
    std::ranges::for_each(*scores, add_interval);
    return scores;
  }

  Waiting waiting(store, asking);
  const std::vector<std::int64_t> left = unanswered(*items, waiting.items());
  ask(model, *items, left,
      {.answered =
           [&](std::int64_t index, const Item& item, const Answer& answer) {
             waiting.add(marked(index, item, items->mark(index, item, answer)));
             hooks.progress(std::ssize(waiting.items()), items->count());
           },
       .should_stop = hooks.should_stop},
      batch_tokens);
  waiting.flush();
  if (std::ssize(waiting.items()) < items->count()) return std::nullopt;
  std::vector<MarkedItem> all = waiting.items();
  std::ranges::sort(all, {}, &MarkedItem::index);
  std::vector<Score> scores =
      scores_of(choice.kind->name, score_settings(settings, data_file(choice, task)).dump(), all);
  end_asking(store, asking, identity, scores);
  return scores;
}

}  // namespace mdnlab
