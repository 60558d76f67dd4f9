#!/usr/bin/env python3
"""rope_scaling.json: what transformers makes of the rope_scaling and rope_parameters of a config.

usage: make_rope_scaling_golden.py [--check-only]

--check-only compares what this transformers computes with the committed file and writes nothing;
older ones skip the cases that they read in another way (SINCE below).
"""

import argparse
import json
import pathlib
import tempfile

import torch
import transformers

HERE = pathlib.Path(__file__).resolve().parent
TINY = HERE.parents[2] / "data" / "tiny"
LENGTHS = [200, 256, 257, 600, 1500]
VERSION = tuple(int(part) for part in transformers.__version__.split(".")[:2])

LAMBDA = [round(1 + 7 * (i / 31) ** 2, 6) for i in range(32)]
SHORT = [round(1 + 0.2 * i / 31, 6) for i in range(32)]
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 128}
LONGROPE = {"rope_type": "longrope", "short_factor": SHORT, "long_factor": LAMBDA}

# name, what is laid over data/tiny's config, first version that reads it so.
CASES = [
    ("linear", {"rope_scaling": {"type": "linear", "factor": 4.0}}, (4, 43)),
    ("linear of 5.x", {"rope_theta": None, "rope_parameters": {
        "rope_type": "linear", "factor": 2.5, "rope_theta": 50000.0}}, (5, 0)),
    ("dynamic", {"rope_scaling": {"type": "dynamic", "factor": 4.0}}, (4, 43)),
    ("dynamic of 5.x", {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0,
                                            "rope_theta": 10000.0}}, (5, 0)),
    ("yarn", {"rope_scaling": {"rope_type": "yarn", "factor": 8.0}}, (4, 45)),
    ("yarn of an extended config", {"max_position_embeddings": 2048, "rope_scaling": {
        "type": "yarn", "factor": 8.0, "original_max_position_embeddings": 256}}, (4, 51)),
    ("yarn, ramp and m", {"rope_scaling": {"rope_type": "yarn", "factor": 8.0, "beta_fast": 4.0,
                                           "beta_slow": 0.5, "attention_factor": 1.03}}, (4, 45)),
    ("yarn, mscale", {"rope_scaling": {"rope_type": "yarn", "factor": 16.0, "mscale": 0.7,
                                       "mscale_all_dim": 0.4}}, (4, 51)),
    ("yarn, ends between pairs", {"rope_parameters": {
        "rope_type": "yarn", "factor": 8.0, "truncate": False, "rope_theta": 10000.0,
        "original_max_position_embeddings": 256}}, (5, 0)),
    ("llama3", {"rope_theta": 500000.0, "rope_scaling": LLAMA3}, (4, 43)),
    ("llama3 of 5.x", {"rope_theta": None, "rope_parameters": {**LLAMA3, "factor": 32.0,
                                                               "rope_theta": 500000.0}}, (5, 0)),
    ("longrope", {"max_position_embeddings": 2048, "original_max_position_embeddings": 256,
                  "rope_scaling": LONGROPE}, (4, 51)),
    ("longrope, factor", {"max_position_embeddings": 2048, "rope_parameters": {
        **LONGROPE, "factor": 4.0, "rope_theta": 10000.0,
        "original_max_position_embeddings": 256}}, (5, 0)),
    ("longrope, m", {"max_position_embeddings": 2048, "original_max_position_embeddings": 256,
                     "rope_scaling": {**LONGROPE, "factor": 8.0, "attention_factor": 1.21}}, (4, 51)),
]


def rounded(values):
    return [float(f"{value:.9g}") for value in values]


def computed(folder, ids):
    """Frequencies, m and summed nats of the first n ids, by n."""
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, torch_dtype=torch.float32, attn_implementation="eager").eval()
    rotary = model.model.rotary_emb
    results = []
    for length in LENGTHS:
        with torch.no_grad():
            logits = model(torch.tensor([ids[:length]])).logits[0]
        chosen = logits.double().log_softmax(-1)[:-1].gather(1, torch.tensor(ids[1:length])[:, None])
        results.append({"length": length, "inv_freq": rounded(rotary.inv_freq.tolist()),
                        "attention_scaling": float(rotary.attention_scaling),
                        "nats": -float(chosen.sum())})
    return results


def close(got, expected):
    near = lambda a, b, tolerance: abs(a - b) <= tolerance * abs(b)
    return all(near(g["nats"], e["nats"], 1e-6)
               and near(g["attention_scaling"], e["attention_scaling"], 1e-7)
               and all(near(a, b, 1e-6) for a, b in zip(g["inv_freq"], e["inv_freq"]))
               for g, e in zip(got, expected, strict=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check-only", action="store_true")
    check_only = parser.parse_args().check_only
    torch.set_num_threads(1)
    ids = json.loads((HERE / "tiny.json").read_text())["ids"]
    before = json.loads((HERE / "rope_scaling.json").read_text())["cases"] if check_only else []
    config = json.loads((TINY / "config.json").read_text())
    cases, wrong = [], 0
    for i, (name, over, since) in enumerate(CASES):
        if VERSION < since:
            print(f"{name}: not read so by {transformers.__version__}")
            continue
        merged = {key: value for key, value in {**config, **over}.items() if value is not None}
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "config.json").write_text(json.dumps(merged))
            (folder / "model.safetensors").symlink_to(TINY / "model.safetensors")
            results = computed(folder, ids)
        if check_only:
            right = close(results, before[i]["results"])
            wrong += not right
            print(f"{name}: {'as committed' if right else 'DIFFERS'}")
        cases.append({"name": name, "config": over, "results": results})
    if check_only:
        raise SystemExit(1 if wrong else 0)
    text = json.dumps({"cases": cases}, indent=0, separators=(",", ":")) + "\n"
    (HERE / "rope_scaling.json").write_text(text)


if __name__ == "__main__":
    main()
