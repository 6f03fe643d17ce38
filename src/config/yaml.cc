#include "config/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <unordered_map>
#include <utility>

#include "base/file.h"
#include "base/text.h"

namespace mdnlab {

namespace {

constexpr std::size_t most_nesting = 64;

[[noreturn]] void fail(const Place& place, std::string what, std::string hint = {}) {
  throw Error(Code::usage, {.place = place, .what = std::move(what), .hint = std::move(hint)});
}

[[noreturn]] void refuse_alias(const Place& place) {
  fail(place, "an alias", "aliases are refused: write the value where it is used");
}

// Builds the tree from yaml-cpp's events and refuses what the documents may not hold.
class Builder : public YAML::EventHandler {
 public:
  Builder(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  Node root;

  Place place(const YAML::Mark& mark) const { return {file_, mark.line + 1, mark.column + 1}; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) fail(place(mark), "a second document", "keep one document a file");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    Node node;
    node.place = place(mark);
    add(std::move(node));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    refuse_tag(mark, tag);
    refuse_open_quote(mark);
    Node node;
    node.kind = Node::Kind::scalar;
    node.scalar = value;
    node.is_quoted = tag == "!";
    node.place = place(mark);
    add(std::move(node));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, Node::Kind::list);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, Node::Kind::map);
  }
  void OnMapEnd() override { close(); }

  void OnAnchor(const YAML::Mark& mark, const std::string& name) override {
    fail(place(mark), "anchor &" + name, "anchors are refused: write the value where it is used");
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    refuse_alias(place(mark));
  }

 private:
  // A list or map that is still open. In a map, `key` waits for its value.
  struct Level {
    Node node;
    std::optional<std::pair<std::string, Place>> key;
    std::unordered_map<std::string, Place> keys;
  };

  // yaml-cpp tags plain nodes "?" and quoted scalars "!" of its own; a written "!" looks like the latter.
  void refuse_tag(const YAML::Mark& mark, const std::string& tag) const {
    const auto position = static_cast<std::size_t>(mark.pos);
    const bool is_written = tag == "!" && position < text_.size() && text_[position] == '!';
    if (is_written || (tag != "?" && tag != "!" && !tag.empty())) {
      fail(place(mark), "tag " + tag, "tags are refused: types follow from the options");
    }
  }

  // yaml-cpp takes the end of the text for the closing quote.
  void refuse_open_quote(const YAML::Mark& mark) const {
    const std::string_view rest = text_.substr(std::min(text_.size(), static_cast<std::size_t>(mark.pos)));
    if (!rest.starts_with('\'') && !rest.starts_with('"')) return;
    const char quote_mark = rest.front();
    for (std::size_t i = 1; i < rest.size(); ++i) {
      const bool is_escape = quote_mark == '"' ? rest[i] == '\\' : rest.substr(i).starts_with("''");
      if (is_escape) {
        ++i;
      } else if (rest[i] == quote_mark) {
        return;
      }
    }
    fail(place(mark), "the quote is never closed");
  }

  void open(const YAML::Mark& mark, const std::string& tag, Node::Kind kind) {
    refuse_tag(mark, tag);
    if (levels_.size() >= most_nesting) {
      fail(place(mark), "nesting is deeper than " + std::to_string(most_nesting) + " levels");
    }
    if (!levels_.empty()) refuse_key(levels_.back(), place(mark));
    Level level;
    level.node.kind = kind;
    level.node.place = place(mark);
    levels_.push_back(std::move(level));
  }

  void close() {
    Node node = std::move(levels_.back().node);
    levels_.pop_back();
    add(std::move(node));
  }

  // A list, a map or a null where a map expects a key.
  static void refuse_key(const Level& level, const Place& place) {
    if (level.node.kind == Node::Kind::map && !level.key) {
      fail(place, "a key must be a scalar", "write `key: value`; quote a key that holds special characters");
    }
  }

  void add(Node node) {
    if (levels_.empty()) {
      root = std::move(node);
      return;
    }
    Level& level = levels_.back();
    if (level.node.kind == Node::Kind::list) {
      level.node.items.push_back(std::move(node));
    } else if (level.key) {
      level.node.entries.push_back(
          {std::move(level.key->first), std::move(level.key->second), std::move(node)});
      level.key.reset();
    } else {
      if (node.kind != Node::Kind::scalar) refuse_key(level, node.place);
      const auto [earlier, is_new] = level.keys.emplace(node.scalar, node.place);
      if (!is_new) {
        fail(node.place, "duplicate key " + quote(node.scalar),
             "it stands already at " + earlier->second.text());
      }
      level.key.emplace(std::move(node.scalar), std::move(node.place));
    }
  }

  std::string_view text_;
  const std::string& file_;
  std::vector<Level> levels_;
  int documents_ = 0;
};

// yaml-cpp takes some control bytes for marks of its own and mends bad UTF-8 silently.
void refuse_bytes(std::string_view text, const std::string& file) {
  const auto is_control = [](char c) { return c >= 0 && c < ' ' && c != '\n' && c != '\r' && c != '\t'; };
  const std::size_t control = std::find_if(text.begin(), text.end(), is_control) - text.begin();
  const std::size_t position = std::min(control, invalid_utf8(text));
  if (position >= text.size()) return;
  const std::string_view before = text.substr(0, position);
  const int line = 1 + static_cast<int>(std::count(before.begin(), before.end(), '\n'));
  const int column = static_cast<int>(position - (before.rfind('\n') + 1)) + 1;  // npos + 1 is 0
  fail({file, line, column}, position == control ? "a control character" : "the text is not UTF-8");
}

// Tabs are looked for around the line of a syntax error, whose words never mention them.
bool is_indented_by_tab(std::string_view text, int line) {
  const std::vector<std::string> lines = split(text, '\n');
  for (int i = std::max(0, line - 1); i <= line && i < static_cast<int>(lines.size()); ++i) {
    const std::string& content = lines[static_cast<std::size_t>(i)];
    if (content.find('\t') < content.find_first_not_of(" \t")) return true;
  }
  return false;
}

}  // namespace

Node parse_yaml(std::string_view text, const std::string& file) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // the byte order mark of some editors
  refuse_bytes(text, file);
  Builder builder(text, file);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& failure) {
    // An alias of no anchor fails before its event; the library's versions word it differently.
    if (failure.msg.starts_with("the referenced anchor is not defined")) refuse_alias(builder.place(failure.mark));
    fail(builder.place(failure.mark), "YAML syntax: " + failure.msg,
         is_indented_by_tab(text, failure.mark.line) ? "a tab does not indent: use spaces" : "");
  }
  if (builder.root.kind == Node::Kind::null) fail({file}, "the document is empty");
  return std::move(builder.root);
}

Node parse_yaml_file(const std::filesystem::path& path) { return parse_yaml(read_file(path), path.string()); }

}  // namespace mdnlab
