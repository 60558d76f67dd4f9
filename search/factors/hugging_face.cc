#include "search/factors/hugging_face.h"

#include <unistd.h>

#include "eval/errors.h"
#include "eval/model/model_source.h"
#include "eval/number_text.h"
#include "eval/storage/files.h"
#include "search/factors/model_file.h"

namespace longrope {
namespace fs = std::filesystem;
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr int64_t kMaxConfigBytes = 16 << 20;

OrderedJson RopeBlock(const FactorFile& file, ShortFactors short_factors) {
  const FileBucket& bucket = file.Longest();
  OrderedJson longer = OrderedJson::array(), shorter = OrderedJson::array();
  for (float value : bucket.factors.lambda) {
    longer.push_back(ShortestDecimal(value));
    shorter.push_back(short_factors == ShortFactors::kSame ? ShortestDecimal(value) : 1.0);
  }
  const double m = bucket.factors.attention_factor;
  OrderedJson block;
  block["rope_type"] = "longrope";
  block["rope_theta"] = file.rope_base;
  block["factor"] = static_cast<double>(bucket.length) / static_cast<double>(file.original_length);
  block["original_max_position_embeddings"] = file.original_length;
  block["attention_factor"] = m;  // transformers
  block["short_mscale"] = m;      // vLLM, SGLang, TGI
  block["long_mscale"] = m;
  block["short_factor"] = std::move(shorter);
  block["long_factor"] = std::move(longer);
  return block;
}

// Reads the exported config as eval would and compares what it finds with what was meant.
void Verify(const fs::path& folder, const RopeFactors& factors) {
  const ModelConfig config = ReadModelConfig(folder, {});
  if (!config.own_factors || config.own_factors->Longest().factors != factors) {
    throw InputError(folder.string() + ": the exported config reads back differently");
  }
}

// A folder that vanishes unless it is moved to its place.
class NewFolder {
 public:
  NewFolder(FileSystem& files, const fs::path& place)
      : files_(files),
        place_(place),
        path_(place.string() + kTemporaryMark + std::to_string(::getpid())) {
    fs::remove_all(path_);
    MakeFolders(files, path_);
  }
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;
  ~NewFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }
  void MoveToPlace() {
    if (files_.Rename(path_.string(), place_.string()) != 0) {
      ThrowFileError(place_, "cannot be written");
    }
  }

 private:
  FileSystem& files_;
  fs::path place_, path_;
};

// Weights are linked where the file system can: what else a user may edit is copied.
void LinkOrCopy(FileSystem& files, const fs::path& from, const fs::path& to) {
  std::error_code error;
  const fs::path real = fs::canonical(from, error);  // model caches are folders of symbolic links
  if (error) throw FileError(from.string() + ": cannot be read: " + error.message());
  const bool weights = from.extension() == ".safetensors";
  if (weights && files.Link(real.string(), to.string()) == 0) return;
  if (!fs::copy_file(real, to, error)) {
    throw FileError(to.string() + ": cannot be written: " + error.message());
  }
}

// A file of the model's folder by the model file's name, that is none.
bool IsForeignModelFile(const fs::path& path) {
  return fs::is_regular_file(path) && !IsOurModelFile(ReadFile(path, kMaxConfigBytes));
}

// Two pieces of model code have no way to be one.
void RefuseOtherCode(const fs::path& model, const OrderedJson& config) {
  if (config.contains("auto_map") && !config["auto_map"].empty()) {  // nor null
    throw InputError((model / "config.json").string() +
                     ": auto_map: the model brings code of its own; start tokens cannot be kept "
                     "for it");
  }
  if (IsForeignModelFile(model / kModelFileName)) {
    throw InputError((model / kModelFileName).string() +
                     ": is not of this program; it stands where start tokens need a model file");
  }
}

// Everything in the model's folder but its config and an earlier export's model file.
void CopyFiles(FileSystem& files, const fs::path& model, const fs::path& to) {
  for (const auto& entry : fs::directory_iterator(model)) {
    const fs::path name = entry.path().filename();
    if (entry.is_directory() || name == "config.json") continue;
    if (name == kModelFileName && !IsForeignModelFile(entry.path())) continue;
    LinkOrCopy(files, entry.path(), to / name);
  }
}

}  // namespace

OrderedJson HuggingFaceFragment(const FactorFile& file, const std::string& name,
                                ShortFactors short_factors, std::string_view family) {
  if (file.original_length == 0 || file.Longest().length == 0 || file.rope_base == 0) {
    throw InputError(name +
                     ": states no original_length, target_length or rope_base; a Hugging "
                     "Face config needs them");
  }
  const OrderedJson block = RopeBlock(file, short_factors);
  OrderedJson fragment;
  fragment["max_position_embeddings"] = file.Longest().length;
  fragment["original_max_position_embeddings"] = file.original_length;
  fragment["rope_theta"] = file.rope_base;
  fragment["rope_scaling"] = block;     // transformers 4, vLLM, SGLang, MLX, ...
  fragment["rope_parameters"] = block;  // transformers 5
  // A window would mask all that the factors reach beyond it.
  if (family == "mistral") fragment["sliding_window"] = nullptr;
  const int64_t start = file.Longest().factors.start_tokens;
  if (start > 0 && family.empty()) {
    throw InputError(name + ": start tokens can only be kept for a model whose family is known");
  }
  if (start > 0) NameModelFile(family, start, &fragment);
  return fragment;
}

void ExportModelFolder(FileSystem& files, const fs::path& model, const fs::path& place,
                       const OrderedJson& fragment, const RopeFactors& factors) {
  RefuseGguf(model, "a patched folder");
  // "out/" is "out": the temporary folder stands beside it, not in it.
  const fs::path out = place.has_filename() ? place : place.parent_path();
  if (fs::exists(out)) throw InputError(out.string() + ": exists; allowed: a new folder");
  const fs::path config_path = model / "config.json";
  const std::string text = ReadFile(config_path, kMaxConfigBytes);
  // Refuses what an ordered parse would let pass.
  const JsonObject checked(ParseJson(text, config_path.string()), config_path.string());
  OrderedJson config = OrderedJson::parse(text);
  ForgetModelFile(&config);
  const bool code = fragment.contains(kStartTokensKey);
  if (code) RefuseOtherCode(model, config);
  config.update(fragment);
  NewFolder folder(files, out);
  CopyFiles(files, model, folder.path());
  if (code) ReplaceFile(files, folder.path() / kModelFileName, std::string(kModelFile));
  ReplaceFile(files, folder.path() / "config.json", config.dump(2) + "\n");
  Verify(folder.path(), factors);
  folder.MoveToPlace();
}

}  // namespace longrope
