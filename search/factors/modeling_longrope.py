# longrope: a model whose first tokens keep their plain rotation
"""LLaMA and Mistral with the rotation that config.json states, n-hat (LongRoPE, eq. 3) included.

Pair i turns by n * theta^(-2i/d) at positions n < longrope_start_tokens, by that angle divided by
lambda_i at later ones; cos and sin are multiplied by attention_factor at all of them. The other
keys are those of transformers' rope type `longrope`, whose own code does the same for n-hat = 0.

For transformers from 4.48 on, with trust_remote_code=True. Without it transformers takes its own
classes, which rescale the first tokens too.
"""

import struct

import torch
from transformers import LlamaForCausalLM, LlamaModel, MistralForCausalLM, MistralModel

WITH_FLOAT64 = ("cpu", "cuda", "meta")  # devices; for any other the angles are taken on the CPU


def float32(number):
    """The float32 next to a number, as every runtime holds lambda."""
    return struct.unpack("f", struct.pack("f", number))[0]


class StartTokensRotary(torch.nn.Module):
    """cos and sin of positions. It holds numbers and no tensors, so that a model made on the meta
    device, moved or cast has nothing in it to fill in, move or round."""

    def __init__(self, config):
        super().__init__()
        # transformers 5 has rope_parameters; 4 has rope_scaling, and the other as a key like any.
        block = getattr(config, "rope_scaling", None) or getattr(config, "rope_parameters", None)
        if not block or block.get("rope_type") != "longrope":
            raise ValueError("config.json: the rotation is not of type longrope")
        head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        base = block.get("rope_theta") or config.rope_theta
        self.plain = [base ** (-2.0 * i / head) for i in range(head // 2)]
        self.short = [float32(factor) for factor in block["short_factor"]]
        self.long = [float32(factor) for factor in block["long_factor"]]
        if not len(self.plain) == len(self.short) == len(self.long):
            raise ValueError(f"config.json: {head // 2} factors are needed in each list")
        self.start_tokens = int(config.longrope_start_tokens)
        self.attention_scaling = float(block["attention_factor"])
        self.original_length = int(
            getattr(config, "original_max_position_embeddings", None)
            or block["original_max_position_embeddings"]
        )

    @torch.no_grad()
    def forward(self, x, position_ids):
        device = x.device if x.device.type in WITH_FLOAT64 else torch.device("cpu")
        numbers = torch.tensor([self.plain, self.short, self.long], dtype=torch.float64,
                               device=device)
        n = position_ids.to(device)[..., None]
        # As transformers chooses between the lists, if they differ: by the furthest position.
        factors = torch.where(n.max() < self.original_length, numbers[1], numbers[2])
        angles = n.double() * numbers[0]
        angles = torch.where(n < self.start_tokens, angles, angles / factors)
        cos, sin = (
            (turned * self.attention_scaling).to(device=x.device, dtype=x.dtype)
            for turned in (angles.cos(), angles.sin())
        )
        return torch.cat((cos, cos), dim=-1), torch.cat((sin, sin), dim=-1)


def replace_rotary(model, config):
    if not getattr(config, "longrope_start_tokens", 0):
        return  # a model without: transformers may give these classes to any of the family
    if not isinstance(getattr(model, "rotary_emb", None), torch.nn.Module):
        raise ImportError("modeling_longrope.py needs transformers 4.48 or later")
    model.rotary_emb = StartTokensRotary(config)


class LongRopeLlamaModel(LlamaModel):
    def __init__(self, config):
        super().__init__(config)
        replace_rotary(self, config)


class LongRopeLlamaForCausalLM(LlamaForCausalLM):
    def __init__(self, config):
        super().__init__(config)
        replace_rotary(self.model, config)


class LongRopeMistralModel(MistralModel):
    def __init__(self, config):
        super().__init__(config)
        replace_rotary(self, config)


class LongRopeMistralForCausalLM(MistralForCausalLM):
    def __init__(self, config):
        super().__init__(config)
        replace_rotary(self.model, config)


# What save_pretrained writes loads again: with this file, and named in config.json.
for one in (LongRopeLlamaModel, LongRopeMistralModel):
    one.register_for_auto_class("AutoModel")
for one in (LongRopeLlamaForCausalLM, LongRopeMistralForCausalLM):
    one.register_for_auto_class("AutoModelForCausalLM")
