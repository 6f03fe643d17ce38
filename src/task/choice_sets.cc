#include "task/choice_sets.h"

#include <cctype>
#include <map>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/text.h"
#include "task/given_lines.h"

namespace mdnlab {

namespace {

using nlohmann::json;

ChoiceQuestion question(std::string context, std::vector<std::string> choices, std::int64_t right) {
  if (right < 0 || right >= std::ssize(choices)) {
    throw Error(Code::usage, {.what = "the right answer is none of the choices",
                              .found = std::to_string(right),
                              .expected = "0 to " + std::to_string(std::ssize(choices) - 1)});
  }
  ChoiceQuestion made{{std::move(context)}, {}, std::move(choices), static_cast<std::size_t>(right)};
  for (const std::string& choice : made.choices) made.continuations.push_back(" " + choice);
  return made;
}

std::int64_t place_of(const std::vector<std::string>& labels, const std::string& wanted) {
  const auto found = std::ranges::find(labels, wanted);
  return found == labels.end() ? -1 : found - labels.begin();
}

ChoiceQuestion hellaswag(const json& line) {
  return question(text_of(line, "query"), texts_of(line, "choices"), integer_of(line, "gold"));
}

// {"question", "choices": {"text", "label"}, "answerKey"}
ChoiceQuestion lettered(const json& line, std::string context) {
  if (!line.contains("choices") || !line["choices"].is_object())
    throw Error(Code::usage,
                {.what = "'choices' has the wrong type", .expected = "lists `text` and `label`"});
  const json& choices = line["choices"];
  return question(std::move(context), texts_of(choices, "text"),
                  place_of(texts_of(choices, "label"), text_of(line, "answerKey")));
}

ChoiceQuestion arc(const json& line) {
  return lettered(line, "Question: " + text_of(line, "question") + "\nAnswer:");
}

ChoiceQuestion openbookqa(const json& line) {
  return lettered(line, text_of(line, line.contains("question_stem") ? "question_stem" : "question"));
}

// The text after the blank, given the text with each option in it.
ChoiceQuestion winogrande(const json& line) {
  const std::string sentence = text_of(line, "sentence");
  const std::size_t blank = sentence.find('_');
  if (blank == std::string::npos) throw Error(Code::usage, {.what = "the sentence has no blank `_`"});
  const std::string rest = trim(sentence.substr(blank + 1)), answer = text_of(line, "answer");
  ChoiceQuestion made{{}, {}, {}, static_cast<std::size_t>(place_of({"1", "2"}, answer))};
  if (answer != "1" && answer != "2")
    throw Error(Code::usage,
                {.what = "the answer is no option", .found = quote(answer), .expected = "'1' or '2'"});
  for (const char* option : {"option1", "option2"}) {
    made.choices.push_back(text_of(line, option));
    made.contexts.push_back(sentence.substr(0, blank) + made.choices.back());
    made.continuations.push_back(" " + rest);
  }
  return made;
}

ChoiceQuestion boolq(const json& line) {
  const auto answer = line.find("answer");
  if (answer == line.end() || !answer->is_boolean())
    throw Error(Code::usage, {.what = "'answer' has the wrong type", .expected = "true or false"});
  return question(text_of(line, "passage") + "\nQuestion: " + text_of(line, "question") + "?\nAnswer:",
                  {"no", "yes"}, answer->get<bool>() ? 1 : 0);
}

// The premise without its full stop, then why or what for, then the choice as the rest of the sentence.
ChoiceQuestion copa(const json& line) {
  std::string context = trim(text_of(line, "premise"));
  if (!context.empty()) context.pop_back();
  context += text_of(line, "question") == "cause" ? " because" : " therefore";
  std::vector<std::string> choices;
  for (const char* key : {"choice1", "choice2"}) {
    std::string choice = text_of(line, key);
    if (!choice.empty()) choice[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(choice[0])));
    choices.push_back(std::move(choice));
  }
  return question(std::move(context), std::move(choices), integer_of(line, "label"));
}

ChoiceQuestion mmlu(const json& line) {
  std::string subject = text_of(line, "subject");
  std::ranges::replace(subject, '_', ' ');
  std::string context = "The following are multiple choice questions (with answers) about " + subject +
                        ".\n\n" + trim(text_of(line, "question"));
  const std::vector<std::string> texts = texts_of(line, "choices");
  std::vector<std::string> letters;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    letters.emplace_back(1, static_cast<char>('A' + i));
    context += "\n" + letters.back() + ". " + texts[i];
  }
  return question(context + "\nAnswer:", std::move(letters), integer_of(line, "answer"));
}

ChoiceQuestion given(const json& line) {
  std::vector<std::string> choices = texts_of(line, "choices");
  const auto answer = line.find("answer");
  const std::int64_t right = answer != line.end() && answer->is_string()
                                 ? place_of(choices, answer->get<std::string>())
                                 : integer_of(line, "answer");
  return question(text_of(line, "context"), std::move(choices), right);
}

std::vector<std::string> piqa_labels(const std::filesystem::path& file) {
  std::filesystem::path beside = file;
  beside.replace_filename(file.stem().string() + "-labels.lst");
  if (!std::filesystem::exists(beside)) return {};
  return split(trim(read_file(beside)), '\n');
}

}  // namespace

std::vector<ChoiceQuestion> read_choice_set(const std::string& set, const std::filesystem::path& file) {
  std::vector<ChoiceQuestion> questions;
  const std::vector<std::string> labels = set == "piqa" ? piqa_labels(file) : std::vector<std::string>{};
  std::size_t lines = 0;
  const auto piqa = [&](const json& line) {
    const std::size_t number = lines++;
    std::int64_t right = -1;
    if (number < labels.size()) {
      parse_integer(trim(labels[number]), right);
    } else {
      right = integer_of(line, "label");
    }
    return question("Question: " + text_of(line, "goal") + "\nAnswer:",
                    {text_of(line, "sol1"), text_of(line, "sol2")}, right);
  };
  const std::map<std::string, std::function<ChoiceQuestion(const json&)>> readers{{"piqa", piqa},
                                                                                  {"hellaswag", hellaswag},
                                                                                  {"arc_easy", arc},
                                                                                  {"arc_challenge", arc},
                                                                                  {"winogrande", winogrande},
                                                                                  {"boolq", boolq},
                                                                                  {"openbookqa", openbookqa},
                                                                                  {"copa", copa},
                                                                                  {"mmlu", mmlu},
                                                                                  {"jsonl", given}};
  const auto& read = readers.at(set);
  read_given_lines(file, [&](const json& line) { questions.push_back(read(line)); });
  return questions;
}

}  // namespace mdnlab
