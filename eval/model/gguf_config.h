// What a GGUF file's keys say of its model.
#pragma once

#include "eval/model/gguf_file.h"
#include "eval/model/model_config.h"

namespace longrope {

inline constexpr const char* kEmbeddingName = "token_embd.weight";
inline constexpr const char* kHeadName = "output.weight";  // missing where it is the embedding
// Tensors of factors: float32, [head_dim / 2].
inline constexpr const char* kRopeFreqsName = "rope_freqs.weight";
inline constexpr const char* kShortFactorsName = "rope_factors_short.weight";
inline constexpr const char* kLongFactorsName = "rope_factors_long.weight";

// The keys in the words of a Hugging Face config; `stored` as the tensors are. LLaMA's and
// Mistral's files look alike: the original length is llama.rope.scaling.original_context_length,
// else llama.context_length. Rotations as llama.cpp computes them: angles are divided by
// llama.rope.scaling.factor, or where it is missing the older llama.rope.scale_linear (0: by 1;
// along the ramp for type yarn, not at all for none), and by
// rope_freqs.weight; for type longrope by rope_factors_short.weight up to the original length and
// rope_factors_long.weight beyond; cos and sin are multiplied by llama.rope.scaling.attn_factor.
// Throws InputError, by name, for what cannot be honoured: another architecture, experts, another
// scaling, a partial rotation, sizes that do not fit.
ModelConfig GgufConfig(const GgufFile& file, const ConfigOverrides& overrides);

}  // namespace longrope
