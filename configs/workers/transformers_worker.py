#!/usr/bin/env python3
"""Scores documents for a longrope search with transformers: any causal model whose rotation is a
module `rotary_emb` with `inv_freq` (LLaMA, Mistral, Qwen2, Qwen3, Phi-3, ...). README.md beside
this file is the protocol.

    backend: {command: [python3, configs/workers/transformers_worker.py, --model, M]}
"""
import argparse, hashlib, json, math, os, queue, sys, threading
from pathlib import Path

import torch
import transformers
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--model", required=True, help="Hugging Face folder")
parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
parser.add_argument("--dtype", default="", help="float32, bfloat16, float16; default: float32 on a CPU")
parser.add_argument("--rows", type=int, default=2048, help="rows whose logits exist at once")
parser.add_argument("--inline", action="store_true", help="no file system is shared with the search")
args = parser.parse_args()
args.dtype = args.dtype or ("float32" if args.device == "cpu" else "bfloat16")

out = os.fdopen(os.dup(1), "w")  # the protocol's alone:
os.dup2(2, 1)                    # what else writes to stdout goes to the log
lock, busy, inbox = threading.Lock(), threading.Event(), queue.Queue()


def say(**message):
    with lock:
        out.write(json.dumps(message, allow_nan=False) + "\n")
        out.flush()


def heartbeat():
    while True:
        busy.wait()
        say(type="heartbeat")
        threading.Event().wait(5)


def listen():
    code = 1  # of a line that is no message: nobody would hear of an end of the talk after it
    try:
        for line in sys.stdin:
            message = json.loads(line)
            if message["type"] == "shutdown":
                break
            inbox.put(message)
        code = 0
    except Exception as error:
        print(f"the host's line is no message: {error!r}"[:500], file=sys.stderr, flush=True)
    finally:
        os._exit(code)  # in the middle of a task too


class Rotation:
    """Puts angles of its own in the place of every rotary_emb of a model."""

    def __init__(self, model, base):
        self.modules = [m for n, m in model.named_modules() if n.split(".")[-1] == "rotary_emb"]
        pairs = self.modules[0].inv_freq.numel()  # fewer than half a head where a part is rotated
        self.plain = base ** (-torch.arange(pairs, dtype=torch.float64) / pairs)
        self.tables = None
        for module in self.modules:
            module.forward = lambda x, *_, **__: tuple(t.to(x.device, x.dtype) for t in self.tables)

    def set(self, tokens, factors, start_tokens, m):
        at = torch.arange(tokens, dtype=torch.float64)[:, None]
        slow = self.plain / torch.tensor(factors, dtype=torch.float64)
        angles = at * torch.where(at < start_tokens, self.plain, slow)
        angles = torch.cat((angles, angles), -1)[None]
        self.tables = (angles.cos() * m, angles.sin() * m)


def given_factors(config, rope, kind, plain, original):
    """How the model is scaled without a search and how far it reaches, by the rules of
    eval/model/rope_scaling.cc: hello's `given` and `dynamic`."""
    def bucket(length):
        slow, m = ROPE_INIT_FUNCTIONS[kind](config, "cpu", seq_len=length)
        return {"length": length, "attention_factor": float(m),
                "lambda": (plain / slow.double()).float().tolist()}

    stated, factor = config.max_position_embeddings, rope.get("factor")
    counted = original if kind in ("longrope", "yarn", "llama3") else stated
    longest = max(stated, counted)
    times = int(min(counted * (factor or 1.0), 1 << 32))
    if kind == "longrope":
        return {"given": [bucket(length) for length in sorted({counted, longest})]}
    if kind == "dynamic":  # its factors follow the text's length
        lengths = sorted({counted, max(longest, times)})
        return {"given": [bucket(length) for length in lengths],
                "dynamic": {"factor": float(factor), "original_length": counted}}
    reach = (longest if longest > counted else times) if kind == "llama3" else max(longest, times)
    return {"given": [bucket(reach)]}


def load():
    config = transformers.AutoConfig.from_pretrained(args.model)
    rope = dict(getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {})
    base = float(rope.get("rope_theta") or getattr(config, "rope_theta", None) or 10000.0)
    kind = rope.get("rope_type") or rope.get("type") or "default"
    config.sliding_window = None  # factors reach beyond a window; within it, it masks nothing
    if getattr(config, "layer_types", None):
        config.layer_types = ["full_attention"] * config.num_hidden_layers
    key = "dtype" if int(transformers.__version__.split(".")[0]) >= 5 else "torch_dtype"
    model = transformers.AutoModelForCausalLM.from_pretrained(
        args.model, config=config, **{key: getattr(torch, args.dtype)})
    model = model.to(args.device).eval()
    rotation = Rotation(model, base)
    original = rope.get("original_max_position_embeddings") or getattr(
        config, "original_max_position_embeddings", None)
    if not original and config.model_type != "mistral":  # whose number is not what it was trained on
        original = config.max_position_embeddings
    shape = {"pairs": rotation.plain.numel(), "base": base, "original_length": original}
    if kind != "default":
        counted = original or config.max_position_embeddings
        shape |= given_factors(config, rope, kind, rotation.plain, counted)
    return model, rotation, {k: v for k, v in shape.items() if v is not None}


def digest(folder):
    files = hashlib.sha256()
    for path in sorted(Path(folder).iterdir()):
        if path.suffix in (".safetensors", ".bin", ".py") or path.name == "config.json":
            files.update(path.name.encode() + b"\0")
            with path.open("rb") as stream:
                while block := stream.read(1 << 22):
                    files.update(block)
    return files.hexdigest()


def shared(content, width):
    if isinstance(content, list):
        return torch.tensor(content, dtype=torch.int64)
    data = Path(content["path"]).read_bytes()
    if hashlib.sha256(data).hexdigest() != content["sha256"]:
        raise ValueError(content["path"] + ": another SHA-256")
    return torch.frombuffer(bytearray(data), dtype=width).long()


@torch.inference_mode()
def score(model, rotation, document, task):
    ids = shared(document["tokens"], torch.int32)
    counts = torch.ones(len(ids)) if "scored" not in document else shared(document["scored"], torch.uint8)
    rotation.set(len(ids) - 1, task["lambda"], task["start_tokens"], task["attention_factor"])
    ids, counts = ids.to(model.device), counts[1:].bool().to(model.device)
    hidden = model.get_decoder()(input_ids=ids[None, :-1], use_cache=False).last_hidden_state[0]
    nats = 0.0
    for i in range(0, len(hidden), args.rows):
        logits = model.get_output_embeddings()(hidden[i:i + args.rows]).float()
        losses = torch.nn.functional.cross_entropy(logits, ids[1:][i:i + args.rows], reduction="none")
        nats += losses[counts[i:i + args.rows]].double().sum().item()
    result = {"tokens": int(counts.sum()), "status": "done" if math.isfinite(nats) else "non_finite"}
    return {**result, "nats": nats} if math.isfinite(nats) else result


def main():
    model, rotation, shape = load()
    device = torch.cuda.get_device_name(model.device) if args.device != "cpu" else \
        f"cpu, {torch.get_num_threads()} threads"
    say(type="hello", protocol=1, worker="transformers_worker 1", inline=args.inline, rope=shape,
        vocab=model.config.vocab_size,
        fingerprint={"model": digest(args.model), "dtype": args.dtype, "device": device,
                     "rows": str(args.rows), "attention": str(model.config._attn_implementation),
                     "torch": torch.__version__, "transformers": transformers.__version__})
    for target in (heartbeat, listen):
        threading.Thread(target=target, daemon=True).start()
    documents = []
    while True:
        message = inbox.get()
        if message["type"] == "start":
            documents = message["documents"]
            continue
        busy.set()
        try:
            answer = score(model, rotation, documents[message["document"]], message)
        except Exception as error:  # for the search to judge; the next task may do
            answer = {"status": "failed", "message": f"{type(error).__name__}: {error}"[:500]}
        busy.clear()
        say(type="answer", task=message["task"], **answer)


main()
