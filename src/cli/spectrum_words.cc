#include "cli/spectrum_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "check/stability/pointwise.h"

namespace mdnlab {

using namespace stability;

namespace {

constexpr double grows = 1e-6;  // more than rounding

// value + 0.0 is 0 where value is −0.
std::string number(double value) {
  if (!std::isfinite(value)) return "any";
  return fmt::format("{:.4g}", value + 0.0);
}

std::string radians(double value) { return std::isfinite(value) ? fixed(value, 3) : "∞"; }

// Radians in (−π, π].
double half_turn(double angle) { return std::atan2(std::sin(angle), std::cos(angle)); }

std::string short_number(double value) {
  return std::isfinite(value) ? fmt::format("{:.3g}", value + 0.0) : "∞";
}

double median(const HeadReport& head, const char* quantity) { return head.of(quantity).quantiles[2]; }

std::string indented(const Table& table) {
  std::string text = "  ";
  for (const char c : table.text(TableFormat::plain)) {
    text += c;
    if (c == '\n') text += "  ";
  }
  text.resize(text.size() - 2);
  return text;
}

std::string heading(const GateSet& set) {
  std::vector<std::string> parts;
  if (set.has_delta) parts.emplace_back("delta");
  if (set.has_momentum) parts.emplace_back("momentum");
  if (!set.is_drawn)
    parts.emplace_back(!set.decays() ? "no decay" : set.is_channel_wise ? "decay a channel" : "decay");
  std::vector<std::string> free;
  for (const Variable& v : set.variables) {
    free.push_back(v.low == v.high ? fmt::format("{} = {}", v.name, number(v.low))
                                   : fmt::format("{} {}…{}", v.name, number(v.low), number(v.high)));
    if (v.per_head) free.back() += " (a head)";
  }
  if (set.is_drawn) {
    return fmt::format("{}: {} gates drawn from a layer of it, since nobody has described them\n", set.rule,
                       grouped(static_cast<std::int64_t>(set.variables.front().high) + 1));
  }
  return fmt::format("{}{}: {}\nFree gates: {}\n", set.rule,
                     set.constraint.empty() ? "" : ", gate_constraint " + set.constraint, join(parts, ", "),
                     free.empty() ? "none" : join(free, ", "));
}

std::string pointwise_text(const Spectrum& s) {
  const RadiusMap& map = s.map;
  std::string text = "\n1  One token along its own key";
  if (!s.set.has_delta) {
    return text + fmt::format("\n    Without delta nothing is fed back: the eigenvalues are {}, at most 1.\n",
                              s.set.has_momentum ? "α and μ" : "α");
  }
  if (s.set.has_momentum) {
    text += fmt::format(", at α = {}: steps βη\n", number(map.alpha));
    Table table{{{"mu", true},
                 {"complex from", true},
                 {"to", true},
                 {"one key stable to", true},
                 {"every key to", true},
                 {"gates reach", true}},
                {}};
    for (const double mu : {0.0, 0.5, 0.9, 0.99, 0.999}) {
      const auto [from, to] = complex_steps(map.alpha, mu);
      table.rows.push_back({number(mu), short_number(from), short_number(to),
                            short_number(most_step_one_key(map.alpha, mu)),
                            short_number(most_step_every_key(map.alpha, mu).value_or(0)),
                            short_number(s.set.most_step(map.alpha, mu))});
    }
    text += indented(table);
  } else {
    text += ": steps β\n";
    Table table{{{"alpha", true}, {"one key stable to", true}, {"gates reach", true}}, {}};
    for (const double alpha : {1.0, 0.9, 0.5, 0.1}) {
      if (alpha < 1 && !s.set.decays()) break;
      table.rows.push_back({number(alpha), short_number(most_step_one_key(alpha, 0)),
                            short_number(s.set.most_step(alpha, 0))});
    }
    text += indented(table);
  }
  return text + fmt::format(
                    "    Eigenvalues on a grid of {0}×{0}: {1} of {2} gates agree with\n"
                    "    radius ≤ 1 ⇔ αβη ≤ (1+α)(1+μ){3}.\n",
                    map.cells, grouped(map.agreeing), grouped(map.compared),
                    map.compared < map.cells * map.cells ? " (the others are at 1)" : "");
}

std::vector<std::string> gate_cells(const Gate& gate) {
  return {number(gate.alpha), number(gate.mu), number(gate.beta), number(gate.eta * gate.erase)};
}

const std::vector<Table::Column> gate_columns{{"alpha", true}, {"mu", true}, {"beta", true}, {"eta", true}};

std::string rotating_text(const Spectrum& s) {
  Table table{{{"gates"}}, {}};
  std::ranges::copy(gate_columns, std::back_inserter(table.columns));
  table.columns.push_back({"turn", true});
  table.columns.push_back({"growth", true});
  const auto add = [&](std::string name, const Constant& constant) {
    std::vector<std::string> row{std::move(name)};
    std::ranges::move(gate_cells(constant.gate), std::back_inserter(row));
    row.push_back(radians(constant.turning.angle));
    row.push_back(fmt::format("{:.5f}", constant.turning.growth));
    table.rows.push_back(std::move(row));
  };
  add("worst found", s.worst_constant);
  for (std::size_t i = 0; i < s.probes.size(); ++i) {
    std::vector<std::string> words;
    for (const auto& [name, value] : s.set.probes[i]) words.push_back(name + " " + number(value));
    add(join(words, ", "), s.probes[i]);
  }
  return "\n2  Constant gates, a key that turns by a fixed angle (radians): growth a token\n" +
         indented(table);
}

std::string attack_text(const Spectrum& s) {
  const Attack& attack = s.attack;
  std::string text = "\n3  Worst growth of a search over gates and keys\n";
  const auto peak = std::ranges::max_element(s.moments, {}, &Moment::log_memory);
  if (attack.growth <= 1 + grows) {
    return text + fmt::format(
                      "    No period of gates and keys grows: {:.5f} a token at most. Along {} tokens\n"
                      "    ‖S‖ reached {:.3f} of its start.\n",
                      attack.growth, s.moments.size(), std::exp(peak->log_memory));
  }
  text +=
      fmt::format("    {:.5f} a token, e^{:.1f} in {} tokens, by a period of {}:\n", attack.growth,
                  s.moments.back().log_memory, s.moments.size(),
                  attack.period.size() == 1 ? "one token" : fmt::format("{} tokens", attack.period.size()));
  Table table{{{"token", true}}, {}};
  std::ranges::copy(gate_columns, std::back_inserter(table.columns));
  table.columns.push_back({"key at", true});
  for (std::size_t i = 0; i < attack.period.size(); ++i) {
    std::vector<std::string> row{std::to_string(i + 1)};
    std::ranges::move(gate_cells(attack.gates[i]), std::back_inserter(row));
    row.push_back(radians(std::atan2(attack.period[i].key[1], attack.period[i].key[0])));
    table.rows.push_back(std::move(row));
  }
  text += indented(table);
  if (attack.channels_apart) return text + "    (alpha and mu of the first of two channels)\n";
  return text + fmt::format("    then the same, turned by {}\n", radians(half_turn(attack.turn)));
}

std::string certificate_text(const Spectrum& s) {
  const auto norm = [&]() -> std::string {
    switch (s.set.certificate.norm) {
      case Certificate::Norm::memory: return "‖S‖' ≤ α‖S‖ a token";
      case Certificate::Norm::sum: return "‖S‖ + ‖M‖ never grows";
      case Certificate::Norm::escrow:
        return fmt::format("W = ‖S − M‖² + {}‖M‖², W' ≤ α²W a token", number(s.set.certificate.c));
      case Certificate::Norm::none: break;
    }
    return "none is known";
  }();
  std::string text = "\n4  Certificate: " + norm + "\n";
  if (!s.certificate) {
    return text + (s.attack.growth > 1 + grows ? "    With the growth of part 3 there can be none.\n" : "");
  }
  return text + fmt::format(
                    "    Worst step, as a share of what it allows: {:.9f} of {} random ones,\n"
                    "    {:.9f} of a search over gates, keys and states. It {}.\n",
                    s.certificate->worst_random, grouped(s.certificate->random_steps),
                    s.certificate->worst_adversarial, s.holds() ? "holds" : "is BROKEN");
}

}  // namespace

std::string spectrum_text(const Spectrum& spectrum) {
  return heading(spectrum.set) + pointwise_text(spectrum) + rotating_text(spectrum) + attack_text(spectrum) +
         certificate_text(spectrum);
}

std::string checkpoint_text(const CheckpointGates& gates) {
  std::string text = fmt::format("\n5  {} on {} tokens\n", gates.model, grouped(gates.tokens));
  Table whole{
      {{"of all heads"}, {"5 %", true}, {"25 %", true}, {"50 %", true}, {"75 %", true}, {"95 %", true}}, {}};
  for (const Distribution& d : gates.all.distributions) {
    std::vector<std::string> row{d.meaning};
    for (const double value : d.quantiles) row.push_back(short_number(value));
    whole.rows.push_back(std::move(row));
  }
  text += indented(whole) + "\n";
  Table heads{{{"layer", true},
               {"head", true},
               {"alpha", true},
               {"mu", true},
               {"nu", true},
               {"u", true},
               {"rho", true},
               {"ρ > 1", true},
               {"complex", true},
               {"half-life S", true},
               {"of M", true}},
              {}};
  for (const HeadReport& head : gates.heads) {
    std::vector<std::string> row{std::to_string(head.layer), std::to_string(head.head)};
    for (const char* name : {"alpha", "mu", "nu", "u", "rho"})
      row.push_back(short_number(median(head, name)));
    row.push_back(fmt::format("{:.1f} %", 100 * head.share_uncertified));
    row.push_back(fmt::format("{:.1f} %", 100 * head.share_complex));
    row.push_back(short_number(median(head, "decay_half_life")));
    row.push_back(short_number(median(head, "momentum_half_life")));
    heads.rows.push_back(std::move(row));
  }
  return text + indented(heads) +
         fmt::format(
             "    Medians of each head; half-lives in tokens. In all, {:.1f} % of gates lie beyond what\n"
             "    is certified when held constant (ρ > 1), {:.1f} % have complex eigenvalues.\n",
             100 * gates.all.share_uncertified, 100 * gates.all.share_complex);
}

Table trajectory_table(const Spectrum& spectrum) {
  Table table{{{"token", true},
               {"alpha", true},
               {"mu", true},
               {"beta", true},
               {"eta", true},
               {"erase", true},
               {"key_angle", true},
               {"log_memory", true},
               {"log_velocity", true}},
              {}};
  for (const Moment& m : spectrum.moments) {
    std::vector<std::string> row{std::to_string(m.token)};
    for (const double value : {m.gate.alpha, m.gate.mu, m.gate.beta, m.gate.eta, m.gate.erase, m.key_angle,
                               m.log_memory, m.log_velocity}) {
      row.push_back(std::isfinite(value) ? shortest(value + 0.0) : "");
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace mdnlab
