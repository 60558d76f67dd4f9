#!/usr/bin/env python3
"""Golden file of start tokens: what transformers computes with the model file that an export brings.

usage: make_start_tokens_golden.py PROGRAM [--check-only]

PROGRAM is the built longrope; it exports data/tiny and the small Mistral beside this script with
random factors and an n-hat, and transformers (4.48 or later) loads the folders with
trust_remote_code. Before anything is written, the loaded models pass the checks below: rotation,
key/value cache, padding, saving, meta device, dtypes. --check-only writes nothing.
"""

import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers

sys.dont_write_bytecode = True
from make_golden import HERE, TINY, monotone, passage_ids, rounded, token_nats, write

MISTRAL = HERE / "mistral"
CASES = {  # model: its folder, what an export must be told, the factor file
    "tiny": (TINY, [], {"lambda": monotone(32, 10.0, seed=4), "start_tokens": 16,
                        "attention_factor": 1.07, "original_length": 256, "target_length": 2048,
                        "rope_base": 10000.0, "head_dim": 64}),
    "mistral": (MISTRAL, ["--original", "64"],
                {"lambda": monotone(8, 6.0, seed=5), "start_tokens": 12, "attention_factor": 1.05,
                 "original_length": 64, "target_length": 512, "rope_base": 10000.0,
                 "head_dim": 16}),
}


def export(program, case, out, *options):
    folder, told, factors = CASES[case]
    source = out.with_suffix(".json")
    source.write_text(json.dumps(factors))
    subprocess.run([program, "export", source, "--to", "hf-folder", "--model", folder, "--out", out,
                    *told, *options], check=True, capture_output=True)
    return out


def load(folder, trust=True, auto=transformers.AutoModelForCausalLM, **options):
    return auto.from_pretrained(folder, trust_remote_code=trust, attn_implementation="eager",
                                **options).float().eval()


def logits(model, ids, **options):
    with torch.no_grad():
        return model(torch.tensor([ids]), **options).logits[0]


def furthest(a, b):
    return float((a - b).abs().max())


def check_rotation(model, factors):
    """cos and sin of every position against Python's own floats, to half a unit of float32."""
    rotary = model.model.rotary_emb
    positions = torch.tensor([[0, 1, factors["start_tokens"] - 1, factors["start_tokens"],
                               factors["start_tokens"] + 1, 2000, 1_999_999]])
    for dtype, unit in [(torch.float32, 2.0**-24), (torch.bfloat16, 2.0**-8)]:
        cos, sin = rotary(torch.zeros(1, dtype=dtype), positions)
        assert cos.dtype == sin.dtype == dtype
        for row, n in enumerate(positions[0].tolist()):
            for i, lam in enumerate(torch.tensor(factors["lambda"]).tolist()):  # as float32
                angle = n * factors["rope_base"] ** (-2.0 * i / factors["head_dim"])
                if n >= factors["start_tokens"]:
                    angle /= lam
                for half in (i, i + factors["head_dim"] // 2):
                    for got, function in [(cos, math.cos), (sin, math.sin)]:
                        expected = factors["attention_factor"] * function(angle)
                        difference = abs(float(got[0, row, half]) - expected)
                        assert difference <= unit * max(1, abs(expected)) + 1e-9, (n, i)


def check_cache(model, ids, start, unlike):
    """One pass, and pieces whose edges lie before, at and beyond n-hat. Another order of sums (norms
    are float32 even here) is all that may differ: far less than `unlike`, logits without n-hat."""
    whole = logits(model, ids)
    allowed = 1e-4 * furthest(whole, unlike)
    for edges in [[start - 3], [start], [start + 1], [2, start - 1, start + 5],
                  list(range(1, 2 * start))]:
        cache, parts = transformers.DynamicCache(), []
        for begin, end in zip([0, *edges], [*edges, len(ids)]):
            parts.append(logits(model, ids[begin:end], past_key_values=cache, use_cache=True))
        difference = furthest(torch.cat(parts), whole)
        assert difference < allowed, (edges, difference, allowed)
    return f"{difference:.1e}, {furthest(whole, unlike):.1e} without n-hat"


def check_generation(model, ids, start):
    """Greedy tokens with and without a cache, alone and padded on the left beside a longer text."""
    options = {"do_sample": False, "max_new_tokens": 2 * start, "pad_token_id": 0,
               "eos_token_id": None}
    short, long = torch.tensor([ids[:5]]), torch.tensor([ids[:11]])
    alone = model.generate(short, attention_mask=torch.ones_like(short), **options)
    uncached = model.generate(short, attention_mask=torch.ones_like(short), use_cache=False,
                              **options)
    assert torch.equal(alone, uncached)
    padding = torch.zeros(1, 6, dtype=torch.long)
    both = torch.cat([torch.cat([padding, short], 1), long])
    mask = torch.cat([torch.cat([padding, torch.ones_like(short)], 1), torch.ones_like(long)])
    padded = model.generate(both, attention_mask=mask, **options)
    assert torch.equal(padded[0, 6:], alone[0])


def check_saving(model, ids, folder, kind):
    """What save_pretrained writes loads again, twice over, with the file and the keys."""
    expected = logits(model, ids)
    for generation in range(2):
        saved = folder / f"saved{generation}"
        model.save_pretrained(saved)
        config = json.loads((saved / "config.json").read_text())
        assert config["longrope_start_tokens"] == model.config.longrope_start_tokens
        assert config["architectures"] == [f"LongRope{kind}ForCausalLM"]
        model = load(saved)
        assert type(model).__name__ == f"LongRope{kind}ForCausalLM"
        assert torch.equal(logits(model, ids), expected)
    return saved


def check_meta(folder, model, ids):
    """Made without memory, then given weights; and through device_map where accelerate is there."""
    config = transformers.AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        empty = transformers.AutoModelForCausalLM.from_config(
            config, trust_remote_code=True, attn_implementation="eager")
    assert not list(empty.model.rotary_emb.buffers())
    empty.load_state_dict(model.state_dict(), assign=True)
    assert torch.equal(logits(empty.eval(), ids), logits(model, ids))
    try:
        import accelerate  # noqa: F401
    except ImportError:
        print("  accelerate is missing: device_map not tried")
        return
    for device_map in [{"": "cpu"}, "auto"]:
        assert torch.equal(logits(load(folder, device_map=device_map), ids), logits(model, ids))


def check_compiled(model, ids):
    """No break in the graph, and the same numbers."""
    rotary, x = model.model.rotary_emb, torch.zeros(1)
    positions = torch.tensor([list(range(len(ids)))])
    compiled = torch.compile(rotary, backend="eager", fullgraph=True)
    for a, b in zip(compiled(x, positions), rotary(x, positions)):
        assert torch.equal(a, b)


def check_short_factors(program, case, ids, folder):
    """With ones up to the original length: the plain rotation there (times m), lambda beyond."""
    factors = CASES[case][2]
    model = load(export(program, case, folder / "ones", "--keep-start-tokens", "--short-factors",
                        "ones"))
    same = load(export(program, case, folder / "same", "--keep-start-tokens"))
    original = factors["original_length"]
    assert torch.equal(logits(model, ids[:original + 1]), logits(same, ids[:original + 1]))
    assert not torch.equal(logits(model, ids[:original]), logits(same, ids[:original]))
    rotary = model.model.rotary_emb
    rotary.plain, plain = rotary.plain, logits(model, ids[:original])
    rotary.short = [1.0] * len(rotary.short)
    assert torch.equal(logits(model, ids[:original]), plain)


def case_of(program, name, ids, folder):
    """The golden case of one model, whose folder has passed every check."""
    kind = "Mistral" if name == "mistral" else "Llama"
    factors = CASES[name][2]
    start = factors["start_tokens"]
    exported = export(program, name, folder / name, "--keep-start-tokens")
    plain = load(exported, trust=False)  # first: transformers 4.48 remembers classes once trusted
    assert type(plain).__name__ == f"{kind}ForCausalLM", type(plain)
    model = load(exported)
    assert type(model).__name__ == f"LongRope{kind}ForCausalLM", type(model)
    check_rotation(model, factors)
    nats = token_nats(model, ids)
    few = ids[:300]
    untrusted = sum(token_nats(plain, ids))
    hidden = load(exported, auto=transformers.AutoModel)(torch.tensor([few])).last_hidden_state
    with torch.no_grad():
        assert torch.equal(hidden, model.model(torch.tensor([few])).last_hidden_state)
    base = load(CASES[name][0])  # by the same class in transformers 4.48
    assert torch.equal(base.model.rotary_emb.inv_freq[:1], torch.ones(1))
    saved = check_saving(model, few, folder, kind)
    check_meta(exported, model, few)
    check_compiled(model, few)
    check_short_factors(program, name, ids, folder)
    difference = check_cache(load(exported).double(), few, start, logits(plain, few))
    check_generation(model, ids, start)
    check_generation(load(saved), ids, start)
    total = sum(nats)
    print(f"{name}: {total / len(nats):.8f} nats per token; without trust_remote_code "
          f"{untrusted / len(nats):.8f} ({abs(untrusted - total) / total:.2e} relative); "
          f"logits by a cache against one pass: {difference}")
    assert abs(untrusted - total) > 2e-4 * total
    return {"name": "start_tokens", "model": name, "start_tokens": start,
            "attention_factor": factors["attention_factor"], "lambda": factors["lambda"],
            "total_nats": total, "total_nats_without": untrusted, "token_nats": rounded(nats)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--check-only", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    ids = {"tiny": passage_ids(), "mistral": json.loads((HERE / "small.json").read_text())["ids"]}
    print("transformers", transformers.__version__)
    cases = []
    for name in CASES:
        with tempfile.TemporaryDirectory() as folder:
            cases.append(case_of(arguments.program, name, ids[name], pathlib.Path(folder)))
    if not arguments.check_only:
        write(HERE / "start_tokens.json", {"cases": cases})


if __name__ == "__main__":
    main()
