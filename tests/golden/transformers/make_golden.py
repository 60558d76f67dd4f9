#!/usr/bin/env python3
"""Golden files of transformers: what it computes for data/tiny and for two small random models.

usage: make_golden.py [--passage-from BOOK]

Needs torch and transformers 5 (never needed to build, run or test this project). Without
--passage-from the committed passage.txt is read. Everything runs in float32 on one thread.
"""

import argparse
import json
import pathlib
import shutil

import sentencepiece
import torch
import transformers

HERE = pathlib.Path(__file__).resolve().parent
TINY = HERE.parents[2] / "data" / "tiny"
LENGTH = 2048  # tokens of the passage that are scored, BOS included
ORIGINAL = 256  # tokens that data/tiny was trained on


def rounded(values):
    """Nine significant digits: a float32 reads back exactly."""
    return [float(f"{value:.9g}") for value in values]


def token_nats(model, ids):
    """-ln p of ids[1:], each given those before it: float32 logits, float64 log-softmax."""
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    chosen = logits.double().log_softmax(-1)[:-1].gather(1, torch.tensor(ids[1:])[:, None])
    return (-chosen[:, 0]).tolist()


def result(name, network, ids, **settings):
    """One case of a golden file."""
    nats = token_nats(network, ids)
    rotary = network.model.rotary_emb
    return {
        "name": name,
        **settings,
        "attention_scaling": float(rotary.attention_scaling),
        "inv_freq": rounded(rotary.inv_freq.tolist()),
        "total_nats": sum(nats),
        "token_nats": rounded(nats),
    }


def write(path, value):
    path.write_text(json.dumps(value, indent=0, separators=(",", ":")) + "\n")


def cut_passage(book):
    """Some 10 KB from the body of a book, whole lines, CRLF folded."""
    text = book.read_bytes().decode("utf-8").replace("\r\n", "\n")
    begin = text.index("\n", len(text) // 3) + 1
    end = text.index("\n", begin + 10_000) + 1
    (HERE / "passage.txt").write_bytes(text[begin:end].encode())


def passage_ids():
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(TINY / "tokenizer.model"))
    ids = [tokenizer.bos_id()] + tokenizer.encode((HERE / "passage.txt").read_text())
    assert len(ids) >= LENGTH, len(ids)
    return ids[:LENGTH]


def tiny_model(rope):
    """data/tiny with these rope_parameters, in float32."""
    config = transformers.AutoConfig.from_pretrained(TINY)
    config.rope_parameters = {"rope_theta": 10000.0, **rope}
    return transformers.AutoModelForCausalLM.from_pretrained(
        TINY, config=config, dtype=torch.float32, attn_implementation="eager"
    ).eval()


def monotone(pairs, top, seed):
    """Non-decreasing float32 factors from 1 to `top`, random."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.rand(pairs, generator=generator).cumsum(0)
    steps = (steps - steps[0]) / (steps[-1] - steps[0])
    return rounded((1 + (top - 1) * steps**2).tolist())


def tiny_cases(ids):
    scaled = {"factor": 8.0, "original_max_position_embeddings": ORIGINAL}
    lam = monotone(32, 10.0, seed=1)
    longrope = {"rope_type": "longrope", "short_factor": lam, "long_factor": lam,
                "attention_factor": 1.07, **scaled}
    return [
        result("none", tiny_model({"rope_type": "default"}), ids),
        result("linear", tiny_model({"rope_type": "linear", "factor": 8.0}), ids, factor=8),
        result("dynamic", tiny_model({"rope_type": "dynamic", **scaled}), ids, factor=8),
        result("yarn", tiny_model({"rope_type": "yarn", **scaled}), ids, factor=8),
        result("yarn_beta_4_1",
               tiny_model({"rope_type": "yarn", "beta_fast": 4.0, "beta_slow": 1.0, **scaled}),
               ids, factor=8, beta_fast=4, beta_slow=1),
        result("longrope", tiny_model(longrope), ids, attention_factor=1.07, **{"lambda": lam}),
    ]


def key_tokens(ids):
    """Nats of every token beyond the original length under all that stands before it (YaRN), and
    under windows of the original length (BOS, then the ids just before; half of each is scored)."""
    long = token_nats(tiny_model({"rope_type": "yarn", "factor": 8.0,
                                  "original_max_position_embeddings": ORIGINAL}), ids)
    plain = tiny_model({"rope_type": "default"})
    step = (ORIGINAL - 1) // 2
    short = []
    for begin in range(ORIGINAL, len(ids), step):
        end = min(begin + step, len(ids))
        window = ids[:1] + ids[end - (ORIGINAL - 1):end]
        short += token_nats(plain, window)[-(end - begin):]
    return {"first": ORIGINAL, "long": rounded(long[ORIGINAL - 1:]), "short": rounded(short)}


def windows_over(count, window, stride):
    """(begin, first, end): reads [begin, end), scores [first, end), what no window before did."""
    windows, done = [], 0
    for begin in range(0, count, stride):
        end = min(begin + window, count)
        first = max(done, begin + 1)  # nothing stands before a window's first token
        if first < end:
            windows.append((begin, first, end))
        done = end
        if end == count:
            break
    return windows


def sliding_windows(ids):
    """Nats of each window, read by itself from position 0."""
    lam = monotone(32, 10.0, seed=1)
    longrope = {"rope_type": "longrope", "short_factor": lam, "long_factor": lam, "factor": 8.0,
                "original_max_position_embeddings": ORIGINAL, "attention_factor": 1.07}
    plain, extended = tiny_model({"rope_type": "default"}), tiny_model(longrope)
    cases = []
    for name, model, window, stride in [
            ("none", plain, 256, 64), ("none", plain, 256, 256), ("longrope", extended, 256, 64),
            ("longrope", extended, 256, 256), ("longrope", extended, 511, 100)]:
        windows = windows_over(len(ids), window, stride)
        nats = [sum(token_nats(model, ids[begin:end])[first - end:])
                for begin, first, end in windows]
        cases.append({"name": name, "window": window, "stride": stride, "windows": windows,
                      "nats": nats, "tokens": sum(end - first for _, first, end in windows),
                      "total_nats": sum(nats)})
    return {"tokens": len(ids), "lambda": lam, "attention_factor": 1.07, "cases": cases}


def perturb_norms(model):
    """Norm weights of a fresh model are all one, which would hide a missing norm."""
    for name, parameter in model.named_parameters():
        if "norm" in name:
            parameter.data += 0.2 * torch.randn_like(parameter)


def save_llama(folder):
    """Sharded float16 with a config as transformers 4 wrote LLaMA-2's."""
    torch.manual_seed(27)
    config = transformers.LlamaConfig(
        hidden_size=64, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=160, vocab_size=288, tie_word_embeddings=False, initializer_range=0.3,
        max_position_embeddings=64, rms_norm_eps=1e-5)
    model = transformers.LlamaForCausalLM(config)
    perturb_norms(model)
    model.half().save_pretrained(folder, max_shard_size="100KB")
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 288,
        "hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "rope_scaling": None, "hidden_act": "silu",
        "tie_word_embeddings": False, "attention_bias": False, "mlp_bias": False,
        "pretraining_tp": 1, "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float16",
        "initializer_range": 0.3, "use_cache": True}, indent=2) + "\n")


def save_mistral(folder):
    """One float32 file with a config as transformers 5 writes it: explicit head_dim, a window."""
    torch.manual_seed(8)
    config = transformers.MistralConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2,
        head_dim=16, intermediate_size=128, vocab_size=288, sliding_window=37,
        initializer_range=0.3, max_position_embeddings=128, rms_norm_eps=1e-5)
    model = transformers.MistralForCausalLM(config)
    perturb_norms(model)
    model.save_pretrained(folder)


def small_model(folder, changes, rope=None):
    config = transformers.AutoConfig.from_pretrained(folder)
    for key, value in changes.items():
        setattr(config, key, value)
    if rope:
        config.rope_parameters = {"rope_theta": 10000.0, **rope}
    return transformers.AutoModelForCausalLM.from_pretrained(
        folder, config=config, dtype=torch.float32, attn_implementation="eager").eval()


def without_rotation(model):
    """cos = 1 and sin = 0 at every position."""
    def forward(x, position_ids):
        shape = (*position_ids.shape, 2 * model.model.rotary_emb.inv_freq.numel())
        return torch.ones(shape), torch.zeros(shape)
    model.model.rotary_emb.forward = forward
    return model


def longrope_block(lam, m):
    return {"rope_type": "longrope", "short_factor": lam, "long_factor": lam, "factor": 4.0,
            "original_max_position_embeddings": 64, "attention_factor": m}


def small_cases(ids):
    llama, mistral = HERE / "llama", HERE / "mistral"
    lam, other = monotone(8, 6.0, seed=2), monotone(8, 6.0, seed=3)
    cases = [
        result("none", small_model(llama, {}), ids, model="llama", sliding_window=0),
        result("longrope", small_model(llama, {}, longrope_block(lam, 1.1)), ids, model="llama",
               sliding_window=0, attention_factor=1.1, **{"lambda": lam}),
        result("no_rotation", without_rotation(small_model(llama, {})), ids, model="llama",
               sliding_window=0),
        result("none_window", small_model(mistral, {}), ids, model="mistral", sliding_window=37),
        result("longrope_no_window",
               small_model(mistral, {"sliding_window": None}, longrope_block(other, 1.05)), ids,
               model="mistral", sliding_window=0, attention_factor=1.05, **{"lambda": other}),
        result("no_rotation", without_rotation(small_model(mistral, {})), ids, model="mistral",
               sliding_window=37),
    ]
    open_window = sum(token_nats(small_model(mistral, {"sliding_window": None}), ids))
    check_that_cases_tell_apart(cases, open_window)
    return cases


def check_that_cases_tell_apart(cases, open_window):
    """A comparison within 1e-4 only means something if a missing part misses by far more."""
    def miss(a, b):
        return abs(a - b) / a
    totals = [case["total_nats"] for case in cases]
    for name, ratio in [("llama without rotation", miss(totals[0], totals[2])),
                        ("mistral without rotation", miss(totals[3], totals[5])),
                        ("mistral without window", miss(totals[3], open_window))]:
        print(f"{name}: {ratio:.4f} relative")
        assert ratio > 1e-2, name


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passage-from", type=pathlib.Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.passage_from:
        cut_passage(arguments.passage_from)
    ids = passage_ids()
    write(HERE / "tiny.json", {"ids": ids, "cases": tiny_cases(ids)})
    write(HERE / "key_tokens.json", key_tokens(ids))
    write(HERE / "sliding_window.json", sliding_windows(ids[:700]))
    for name, save in [("llama", save_llama), ("mistral", save_mistral)]:
        shutil.rmtree(HERE / name, ignore_errors=True)
        save(HERE / name)
        (HERE / name / "generation_config.json").unlink(missing_ok=True)
    generator = torch.Generator().manual_seed(9)
    small_ids = [1] + torch.randint(0, 288, (299,), generator=generator).tolist()
    write(HERE / "small.json", {"ids": small_ids, "cases": small_cases(small_ids)})
    for case in json.loads((HERE / "tiny.json").read_text())["cases"]:
        print(f"tiny {case['name']}: {case['total_nats'] / (LENGTH - 1):.6f} nats per token")


if __name__ == "__main__":
    main()
