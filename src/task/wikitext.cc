// Perplexity of a word, over a text in pages (`= Title =` begins one, as in WikiText): exp(−Σ ln p / words),
// words parted by white space as the file has them. Each page, its spacing undone unless told otherwise
// (task/wikitext_spacing.h), is read in disjoint windows of `length` tokens, each after one token of context:
// the last before it, or what ends a text before a page. So the number depends on `length`.
#include <cctype>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/file.h"
#include "base/text.h"
#include "task/continuation.h"
#include "task/given_lines.h"
#include "task/tasks.h"
#include "task/wikitext_spacing.h"

namespace mdnlab {

namespace {

constexpr Field fields[] = {
    path_field,
    {.name = "length", .type = Type::integer, .preset = "2048", .doc = "tokens of a window", .least = 1},
    {.name = "detokenized",
     .type = Type::boolean,
     .preset = "true",
     .doc = "WikiText's spaces around punctuation and its @-@ are taken back first, as lm-eval does"},
    first_samples_field};

struct Window {
  std::int64_t before;  // the token that it goes on from
  std::vector<std::int64_t> tokens;
  double words;  // of the page, by the window's share of its bytes
  double bytes;  // likewise
};

bool begins_page(std::string_view line) {
  const std::string text = trim(line);
  return text.size() > 4 && text.starts_with("= ") && text.ends_with(" =") && !text.starts_with("= =");
}

std::vector<std::string> pages_of(const std::string& text) {
  std::vector<std::string> pages(1);
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size() - 1) + 1;
    if (begins_page(rest.substr(0, end)) && !trim(pages.back()).empty()) pages.emplace_back();
    pages.back() += rest.substr(0, end);
    rest.remove_prefix(end);
  }
  return pages;
}

double words_of(std::string_view text) {
  double words = 0;
  bool inside = false;
  for (const unsigned char c : text) {
    const bool is_word = !std::isspace(c);
    words += is_word && !inside;
    inside = is_word;
  }
  return words;
}

void add_windows(const std::string& page, const std::string& read, std::int64_t length,
                 const Tokenizer& tokenizer, std::vector<Window>& windows) {
  const std::vector<std::int64_t> tokens = tokens_of(tokenizer, read);
  const double words = words_of(page);
  std::int64_t before = token_before_text(tokenizer);
  for (std::size_t first = 0; first < tokens.size(); first += static_cast<std::size_t>(length)) {
    const std::size_t end = std::min(tokens.size(), first + static_cast<std::size_t>(length));
    Window window{before,
                  {tokens.begin() + static_cast<std::ptrdiff_t>(first),
                   tokens.begin() + static_cast<std::ptrdiff_t>(end)},
                  0,
                  0};
    double bytes = 0;
    for (const std::int64_t token : window.tokens)
      bytes += tokenizer.token_bytes(static_cast<std::int32_t>(token));
    const double share = bytes / static_cast<double>(read.size());
    window.words = words * share;
    window.bytes = static_cast<double>(page.size()) * share;
    before = window.tokens.back();
    if (window.words > 0) windows.push_back(std::move(window));
  }
}

class WikitextItems final : public GivenItems<Window> {
 public:
  WikitextItems(std::shared_ptr<const std::vector<Window>> windows, std::int64_t count, std::int64_t length)
      : GivenItems(std::move(windows), count), length_(length) {}

  Item item(std::int64_t index) const override {
    const Window& window = at(index);
    return {.prompt = {window.before}, .continuations = {window.tokens}, .length = length_};
  }

  Mark mark(std::int64_t index, const Item&, const Answer& answer) const override {
    const Window& window = at(index);
    const std::vector<double>& ln_p = answer.log_probabilities[0];
    const double nll = -std::accumulate(ln_p.begin(), ln_p.end(), 0.0);
    const auto per = [&](const char* metric, double units) {
      return ItemValue{.metric = metric, .value = nll / units, .weight = units, .mean = Mean::exponential};
    };
    return {"", "", {per("word_perplexity", window.words), per("byte_perplexity", window.bytes)}};
  }

 private:
  std::int64_t length_;
};

std::unique_ptr<Task> make(const Params& options, const TaskContext& context) {
  const std::filesystem::path file = given_file(options, context);
  const std::string text = read_file(file);
  if (const std::size_t at = invalid_utf8(text); at != std::string::npos)
    throw options.error("path", "the text is not UTF-8, from byte " + std::to_string(at) + " on");
  const auto windows = std::make_shared<std::vector<Window>>();
  const std::int64_t length = options.integer("length");
  for (const std::string& page : pages_of(text)) {
    const std::string read = options.boolean("detokenized") ? without_wikitext_spacing(page) : page;
    add_windows(page, read, length, *context.tokenizer, *windows);
  }
  if (windows->empty()) throw options.error("path", "the text has no words");
  const std::int64_t count = samples_of(options, windows->size());
  return asking_task(file, context,
                     [=] { return std::make_unique<const WikitextItems>(windows, count, length); });
}

}  // namespace

const TaskKind wikitext_task{
    "wikitext", 2, "perplexity of a word in a text of pages, window by window", false, fields, make, false};

}  // namespace mdnlab
