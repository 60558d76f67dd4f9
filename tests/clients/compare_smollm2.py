#!/usr/bin/env python3
"""SmolLM2-135M from its GGUF, scored by this program, by transformers and by llama.cpp.

usage: compare_smollm2.py PROGRAM MODEL.gguf TEXT [--tokens 2048] [--llama] [--device cuda]

The weights are dequantised by the gguf package and written as a Hugging Face folder in float32.
transformers scores it by its own rotation and through configs/workers/transformers_worker.py, with random
monotone factors at n-hat 0 and 28; this program scores the GGUF itself. --llama adds llama.cpp
(llama-cpp-python) on the same file, whose products of quantised numbers are less exact. Prints
relative differences of the summed nats; exit code 1 if one is beyond what is allowed. Needs torch,
transformers, gguf and numpy.
"""

import argparse
import json
import math
import pathlib
import random
import subprocess
import sys
import tempfile

import gguf
import numpy
import torch
import transformers

ROOT = pathlib.Path(__file__).resolve().parents[2]
ALLOWED = 1e-4  # of transformers, relative
QUANTISED = 2e-2  # of llama.cpp, relative
ROLES = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
         "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
         "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
         "ffn_down": "mlp.down_proj"}


def hugging_face_name(name):
    if name.startswith("blk."):
        _, layer, role, _ = name.split(".")
        return f"model.layers.{layer}.{ROLES[role]}.weight"
    return {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
            "output.weight": "lm_head.weight"}[name]


def write_folder(path, folder):
    """The model as a Hugging Face folder in float32."""
    reader = gguf.GGUFReader(path)
    value = lambda key: reader.fields["llama." + key].contents()
    heads, kv_heads = value("attention.head_count"), value("attention.head_count_kv")
    hidden = value("embedding_length")
    tensors = {}
    for tensor in reader.tensors:
        weight = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        weight = torch.from_numpy(numpy.array(weight, dtype=numpy.float32).reshape(tensor.shape[::-1]))
        role = tensor.name.split(".")[2] if tensor.name.startswith("blk.") else ""
        if role in ("attn_q", "attn_k"):  # rows by pairs -> by halves
            count = heads if role == "attn_q" else kv_heads
            dim = weight.shape[0] // count
            weight = weight.view(count, dim // 2, 2, -1).transpose(1, 2).reshape(weight.shape)
        tensors[hugging_face_name(tensor.name)] = weight.contiguous()
    config = transformers.LlamaConfig(
        vocab_size=tensors["model.embed_tokens.weight"].shape[0], hidden_size=hidden,
        intermediate_size=value("feed_forward_length"), num_hidden_layers=value("block_count"),
        num_attention_heads=heads, num_key_value_heads=kv_heads, head_dim=hidden // heads,
        max_position_embeddings=value("context_length"), rope_theta=value("rope.freq_base"),
        rms_norm_eps=value("attention.layer_norm_rms_epsilon"), hidden_act="silu",
        tie_word_embeddings="lm_head.weight" not in tensors)
    model = transformers.LlamaForCausalLM(config).float()
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()
    model.save_pretrained(folder)
    return model.eval(), value("rope.freq_base"), hidden // heads


def summed(logits, ids):
    chosen = logits.double().log_softmax(-1)[:-1].gather(1, torch.tensor(ids[1:])[:, None])
    return -float(chosen.sum())


class Worker:
    """The Python worker, asked as a search asks."""

    def __init__(self, folder, ids, device):
        self.process = subprocess.Popen(
            [sys.executable, ROOT / "configs/workers/transformers_worker.py", "--model", folder,
             "--device", device, "--dtype", "float32", "--inline"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.read("hello")["protocol"] == 1
        self.say(type="start", protocol=1,
                 documents=[{"document": 0, "length": len(ids), "tokens": ids}])
        self.length = len(ids)

    def say(self, **message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def read(self, kind):
        for line in self.process.stdout:
            message = json.loads(line)
            if message["type"] == kind:
                return message
        raise SystemExit("the worker ended")

    def nats(self, factors):
        self.say(type="task", task=1, document=0, length=self.length, **factors)
        answer = self.read("answer")
        assert answer["status"] == "done" and answer["tokens"] == self.length - 1, answer
        return answer["nats"]


def random_factors(pairs, seed, start_tokens):
    draw = random.Random(seed)
    steps = [0.0]
    for _ in range(pairs - 1):
        steps.append(steps[-1] + draw.random())
    top = draw.uniform(1.5, 4)
    values = [1 + (top - 1) * (step / steps[-1]) ** 2 for step in steps]
    return {"lambda": numpy.float32(values).astype(float).tolist(), "start_tokens": start_tokens,
            "attention_factor": 1 + 0.05 * draw.random()}


class Own:
    """This program on one text."""

    def __init__(self, program, text, tokens):
        self.program, self.text, self.tokens = program, text, tokens

    def ids(self, model):
        lines = subprocess.run([self.program, "tokenize", "--model", model, self.text], check=True,
                               capture_output=True, text=True).stdout
        return [int(line) for line in lines.split()][:self.tokens]

    def nats(self, model, factors=None):
        more = ["--method", "none"]
        with tempfile.TemporaryDirectory() as folder:
            if factors:
                path = pathlib.Path(folder) / "factors.json"
                path.write_text(json.dumps(factors))
                more = ["--factors", path]
            line = subprocess.run(
                [self.program, "eval", "--model", model, "--text", self.text, "--json", "--lengths",
                 str(self.tokens), "--backend", "reference", *more], check=True, capture_output=True,
                text=True).stdout
        return json.loads(line)["nats"]


def llama_nats(path, ids):
    import llama_cpp

    model = llama_cpp.Llama(str(path), n_ctx=len(ids), n_batch=len(ids), logits_all=True, verbose=False)
    model.eval(ids)
    return summed(torch.from_numpy(numpy.array(model.scores[:len(ids)])), ids)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("text")
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--llama", action="store_true")
    parser.add_argument("--device", default="cpu", help="of the worker")
    args = parser.parse_args()
    own = Own(args.program, args.text, args.tokens)
    ids = own.ids(args.model)
    assert len(ids) == args.tokens, len(ids)
    wrong = 0

    def compare(what, got, expected, allowed):
        nonlocal wrong
        off = abs(got - expected) / abs(expected)
        wrong += not off <= allowed
        print(f"{what}: {got:.6f} nats, expected {expected:.6f}, off by {off:.2e} of {allowed:g} allowed",
              flush=True)

    with tempfile.TemporaryDirectory() as folder:
        model, _, head_dim = write_folder(args.model, folder)
        with torch.inference_mode():
            plain = summed(model(torch.tensor([ids])).logits[0], ids)
        compare("transformers, plain", own.nats(args.model), plain, ALLOWED)
        worker = Worker(folder, ids, args.device)
        cases = [{"lambda": [1.0] * (head_dim // 2), "start_tokens": 0, "attention_factor": 1.0}]
        cases += [random_factors(head_dim // 2, seed, start) for seed in (1, 2) for start in (0, 28)]
        for factors in cases:
            compare(f"worker, lambda up to {factors['lambda'][-1]:.3f}, n-hat {factors['start_tokens']}, "
                    f"m {factors['attention_factor']:.4f}", own.nats(args.model, factors),
                    worker.nats(factors), ALLOWED)
    if args.llama:
        compare("llama.cpp, plain", own.nats(args.model), llama_nats(args.model, ids), QUANTISED)
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
