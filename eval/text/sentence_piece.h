// tokenizer.model files, by the SentencePiece library.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "eval/text/tokenizer.h"

namespace longrope {

// Throws InputError if the file is damaged, has more than `vocab` pieces, or no BOS to add.
std::unique_ptr<Tokenizer> OpenSentencePiece(const std::filesystem::path& path, bool add_bos,
                                             int64_t vocab);

}  // namespace longrope
