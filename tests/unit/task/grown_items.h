// Items of questions in grown texts, checked one by one.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/text.h"
#include "task/task.h"
#include "text_questions.h"

namespace mdnlab {

// check(prompt, answers) of each item; that prompts fit, an oracle scores 100 and silence 0.
template <class Check>
void for_each(const Task& task, std::size_t generated, Check check) {
  const auto items = task.items(Split::test);
  for (std::int64_t i = 0; i < items->count(); ++i) {
    const Item item = items->item(i);
    EXPECT_LE(item.prompt.size() + generated, static_cast<std::size_t>(*item.length));
    EXPECT_GT(item.prompt.size() + generated, static_cast<std::size_t>(*item.length) * 9 / 10);
    const std::string answers = items->mark(i, item, {}).answer;
    EXPECT_EQ(items->mark(i, item, {.text = answers}).values.at(0).value, 1);
    EXPECT_EQ(items->mark(i, item, {.text = "#"}).values.at(0).value, 0);
    std::vector<std::string> list;
    for (const std::string& answer : split(answers, ',')) list.push_back(trim(answer));
    check(text_of(item.prompt), list);
  }
}

// What stands after the last occurrence of `from`, before the next `to`.
inline std::string last_between(const std::string& text, const std::string& from, const std::string& to) {
  const std::size_t begin = text.rfind(from) + from.size();
  return text.substr(begin, text.find(to, begin) - begin);
}

}  // namespace mdnlab
