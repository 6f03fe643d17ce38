#include "run/yaml_reference.h"

#include <fmt/format.h>

#include "data/fields.h"
#include "model/spec.h"
#include "run/sweep.h"
#include "task/task.h"
#include "train/options.h"

namespace mdnlab {

namespace {

constexpr const char* document = R"(## The document

| section | required | what it is |
| ------- | -------- | ---------- |
| `schema` | yes | the form of the document: 1 |
| `name` | | of the experiment; the file's name when absent. Changes no result. |
| `rule` | yes, or `model.layers` | the recurrence rule of every layer: a name, or a map of `name` and the rule's options |
| `model` | yes | sizes, and hybrids |
| `data` | for tasks that read a text | the text and its tokenizer |
| `task` | yes | what is trained: a map of `name` and the task's options |
| `train` | yes | batches, steps, optimizer, precision, seed |
| `eval` | | what is asked of the trained model: a list of maps of `task` and the task's options; the task itself when absent, `[]` for nothing |
| `sweep` | | values that become a run each |

An option that stands nowhere has its default; `null` means the default too. A key that nobody reads, a key twice, a
value of another type or out of range are errors at their line and column. Numbers may be written 1_000_000 or 1e6.
Documents hold no anchors, aliases, tags or includes. `mdnlab plan FILE --json` prints each run with every default
written out.
)";

constexpr const char* layers = R"(
`layers` is a list of `num_hidden_layers` rules, each a name or a map as under `rule`, and takes the place of `rule`.
)";

constexpr const char* sweep = R"(
## `sweep`

| key | value | meaning |
| --- | ----- | ------- |
| a dotted path, e.g. `train.lr` | a list | an axis of the grid: each value in turn |
| `zip` | a list of maps of path: list | the lists of one map advance together; each map is an axis |
| `random` | a map | one axis of points drawn at random |

Axes are crossed in the order of the file, the last one fastest. A path may name a whole section or an option in it. A
map is merged into what stands there, key by key; any other value takes its place. Points that resolve to the same run
are one run.

`random` draws each path of `over` by its law: `{uniform: [a, b]}`, `{log_uniform: [a, b]}` or `{choice: [values]}`.

)";

}  // namespace

std::string yaml_reference(const Plugins& plugins) {
  std::string text = document;
  text += "\n## `rule`\n";
  for (const Plugin& plugin : plugins.all()) {
    text +=
        fmt::format("\n### `{}`: {}\n\n{}", plugin.info().name, plugin.info().summary,
                    plugin.options().empty() ? "It has no options.\n" : field_reference(plugin.options()));
  }
  text += "\n## `model`\n\n" + field_reference(model_fields()) + layers;
  text += "\n## `data`\n\n" + field_reference(data_fields());
  text += "\n## `task`, and the items of `eval`\n";
  for (const TaskKind& kind : task_kinds()) {
    text += fmt::format("\n### `{}`: {}\n\n{}", kind.name, kind.summary, field_reference(kind.fields));
  }
  text += "\n## `train`\n\n" + field_reference(train_fields());
  return text + sweep + field_reference(random_fields());
}

}  // namespace mdnlab
