#include "search/factors/model_file.h"

#include <algorithm>
#include <array>

#include "eval/model/model_config.h"

namespace longrope {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr std::string_view kModule = "modeling_longrope.";
constexpr std::string_view kPrefix = "LongRope";  // of our classes; the plain one's name follows
constexpr std::array<std::string_view, 4> kClasses = {
    "LongRopeLlamaModel", "LongRopeLlamaForCausalLM", "LongRopeMistralModel",
    "LongRopeMistralForCausalLM"};

bool IsOurClass(std::string_view name) {
  return std::ranges::find(kClasses, name) != kClasses.end();
}

// "modeling_longrope.LongRopeLlamaModel", or that after "user/repository--", as transformers writes
// it of a model that it fetched.
bool RefersToOurClass(const OrderedJson& value) {
  if (!value.is_string()) return false;
  std::string_view name = value.get_ref<const std::string&>();
  if (const size_t dashes = name.rfind("--"); dashes != name.npos) name.remove_prefix(dashes + 2);
  return name.starts_with(kModule) && IsOurClass(name.substr(kModule.size()));
}

void ForgetInAutoMap(OrderedJson* config) {
  const auto map = config->find("auto_map");
  if (map == config->end() || !map->is_object()) return;
  OrderedJson others = OrderedJson::object();
  for (const auto& [name, value] : map->items()) {
    if (!RefersToOurClass(value)) others[name] = value;
  }
  if (others.size() == map->size()) return;
  if (others.empty()) {
    config->erase(map);
  } else {
    *map = std::move(others);
  }
}

}  // namespace

bool IsOurModelFile(std::string_view text) {
  return text.starts_with(kModelFile.substr(0, kModelFile.find('\n') + 1));
}

void NameModelFile(std::string_view family, int64_t start_tokens, OrderedJson* config) {
  const std::string stem = std::string(kPrefix) + (family == "mistral" ? "Mistral" : "Llama");
  const std::string reference = std::string(kModule) + stem;
  (*config)["architectures"] = OrderedJson::array({stem + "ForCausalLM"});
  (*config)["auto_map"] = {{"AutoModel", reference + "Model"},
                           {"AutoModelForCausalLM", reference + "ForCausalLM"}};
  (*config)[kStartTokensKey] = start_tokens;
}

void ForgetModelFile(OrderedJson* config) {
  config->erase(kStartTokensKey);
  ForgetInAutoMap(config);
  const auto list = config->find("architectures");
  if (list == config->end() || !list->is_array()) return;
  for (OrderedJson& name : *list) {
    if (!name.is_string() || !IsOurClass(name.get_ref<const std::string&>())) continue;
    name = name.get<std::string>().substr(kPrefix.size());
  }
}

}  // namespace longrope
