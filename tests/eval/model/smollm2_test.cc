// SmolLM2-135M as a wheel of the package index brings it (data/README.md), against the gguf
// package. Named Slow: the file is 100 MB, and not in the repository.
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>

#include "eval/model/gguf_model.h"
#include "eval/storage/digest.h"
#include "kernels/load_row.h"
#include "tests/support/temp_folder.h"

namespace longrope {
namespace {

TEST(SlowSmolLm2, EveryTensorHasTheBitsOfTheGgufPackage) {
  const char* path = std::getenv("LONGROPE_SMOLLM2");
  if (path == nullptr) GTEST_SKIP() << "LONGROPE_SMOLLM2 does not name the file";
  const GgufFile file(path);
  std::istringstream golden(
      testing::SlurpFile(testing::SourcePath("tests/golden/gguf/smollm2.sha256")));
  size_t compared = 0;
  for (std::string name, digest; golden >> name >> digest; ++compared) {
    const GgufTensor& tensor = file.tensors().at(name);
    const int64_t rows = tensor.shape.size() == 1 ? 1 : tensor.shape[0];
    const TensorView view{tensor.bytes.data(), tensor.dtype, rows, tensor.shape.back()};
    std::vector<float> row(static_cast<size_t>(view.cols));
    Sha256 hash;
    for (int64_t i = 0; i < rows; ++i) {
      LoadRow(view, i, row.data());
      hash.Add(std::as_bytes(std::span(row)));
    }
    EXPECT_EQ(Hex(hash.Finish()), digest) << name;
  }
  EXPECT_EQ(compared, file.tensors().size());
  EXPECT_EQ(compared, 272u);
  const GgufModel model(path, {});
  EXPECT_EQ(model.config().shape.layers, 30);
  EXPECT_EQ(model.config().original_length, 8192);
}

}  // namespace
}  // namespace longrope
