// The JSON forms of cli/spectrum_words.h. A number that is infinite or unknown is null.
#include <nlohmann/json.hpp>

#include "cli/spectrum_words.h"

namespace mdnlab {

using namespace stability;

namespace {

using Json = nlohmann::ordered_json;

const char* axis_name(Axis axis) {
  return axis == Axis::step ? "step" : axis == Axis::alpha ? "alpha" : "mu";
}

Json to_json(const Gate& gate) {
  return {
      {"alpha", gate.alpha}, {"mu", gate.mu}, {"beta", gate.beta}, {"eta", gate.eta}, {"erase", gate.erase}};
}

Json to_json(const GateSet& set) {
  Json json{{"rule", set.rule},
            {"gate_constraint", set.constraint.empty() ? Json() : Json(set.constraint)},
            {"delta", set.has_delta},
            {"momentum", set.has_momentum},
            {"channel_wise", set.is_channel_wise},
            {"free", Json::array()}};
  for (const Variable& v : set.variables)
    json["free"].push_back({{"name", v.name}, {"low", v.low}, {"high", v.high}, {"per_head", v.per_head}});
  return json;
}

Json to_json(const RadiusMap& map) {
  Json rows = Json::array();
  for (std::int64_t i = 0; i < map.cells; ++i) {
    const auto row = map.radius.begin() + i * map.cells;
    rows.push_back(std::vector<double>(row, row + map.cells));
  }
  Json json{{"x", axis_name(map.x)},    {"y", axis_name(map.y)},    {"most_x", map.most_x},
            {"cells", map.cells},       {"compared", map.compared}, {"agreeing", map.agreeing},
            {"radius", std::move(rows)}};
  if (map.x != Axis::alpha && map.y != Axis::alpha) json["alpha"] = map.alpha;
  return json;
}

Json to_json(const GateSet& set, const Constant& constant) {
  Json values = Json::object();
  for (std::size_t i = 0; i < set.variables.size(); ++i) values[set.variables[i].name] = constant.values[i];
  return {{"free", std::move(values)},
          {"gate", to_json(constant.gate)},
          {"turn", constant.turning.angle},
          {"growth", constant.turning.growth}};
}

Json to_json(const Attack& attack, const std::vector<Moment>& moments) {
  Json json{{"growth", attack.growth}, {"turn", attack.turn}, {"period", Json::array()}};
  for (const Token<2>& token : attack.period) {
    json["period"].push_back({{"alpha", token.alpha},
                              {"mu", token.mu},
                              {"beta", token.beta},
                              {"push", token.push},
                              {"key", token.key}});
  }
  json["tokens"] = moments.size();
  json["log_memory"] = moments.empty() ? Json() : Json(moments.back().log_memory);
  return json;
}

Json to_json(const Certificate& certificate, const std::optional<CertificateCheck>& check) {
  constexpr const char* norms[] = {nullptr, "memory", "sum", "escrow"};
  if (!check) return nullptr;
  Json json{{"norm", norms[static_cast<int>(certificate.norm)]}};
  if (certificate.norm == Certificate::Norm::escrow) json["c"] = certificate.c;
  json["random_steps"] = check->random_steps;
  json["worst_random"] = check->worst_random;
  json["worst_adversarial"] = check->worst_adversarial;
  return json;
}

Json to_json(const HeadReport& report) {
  Json json{{"gates", report.gates},
            {"share_uncertified", report.share_uncertified},
            {"share_complex", report.share_complex}};
  for (const Distribution& d : report.distributions) json[d.name] = d.quantiles;
  return json;
}

}  // namespace

nlohmann::ordered_json spectrum_json(const Spectrum& spectrum) {
  Json probes = Json::array();
  for (const Constant& probe : spectrum.probes) probes.push_back(to_json(spectrum.set, probe));
  return {{"gates", to_json(spectrum.set)},
          {"pointwise", to_json(spectrum.map)},
          {"rotating_key",
           {{"worst", to_json(spectrum.set, spectrum.worst_constant)}, {"probes", std::move(probes)}}},
          {"adversary", to_json(spectrum.attack, spectrum.moments)},
          {"certificate", to_json(spectrum.set.certificate, spectrum.certificate)},
          {"holds", spectrum.holds()}};
}

nlohmann::ordered_json checkpoint_json(const CheckpointGates& gates) {
  Json json{{"model", gates.model}, {"tokens", gates.tokens}, {"quantile_points", quantile_points}};
  json["all"] = to_json(gates.all);
  json["heads"] = Json::array();
  for (const HeadReport& head : gates.heads) {
    Json entry{{"layer", head.layer}, {"head", head.head}};
    entry.update(to_json(head));
    json["heads"].push_back(std::move(entry));
  }
  return json;
}

}  // namespace mdnlab
