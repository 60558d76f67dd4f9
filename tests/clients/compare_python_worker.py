#!/usr/bin/env python3
"""Runs configs/workers/transformers_worker.py beside this program's own evaluator. By hand, in a
venv with torch and transformers:

    python3 tests/clients/compare_python_worker.py .build/release/longrope [--job]

1. Scores of data/tiny under random monotone factors, n-hat 0 and 28, m not 1, with and without a
   mask: within 1e-4 relative of `longrope worker`.
2. Models made here from configs with random weights (LLaMA, Mistral, Qwen2, Qwen3, Phi-3; plain
   and scaled): with their own factors (hello's `given` and `dynamic`, or lambda = 1), the score is
   that of the model's plain forward pass; of a scaled LLaMA `longrope worker` says the same ones.
3. Instead of these, with --job: a search of data/tiny by both. Neighbours in rank lie further apart
   than 1e-4; candidates and their order are the same.
"""
import argparse, csv, hashlib, json, math, random, struct, subprocess, sys, tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORKER = ROOT / "configs/workers/transformers_worker.py"
TOLERANCE = 1e-4

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("longrope")
parser.add_argument("--job", action="store_true")
args = parser.parse_args()
longrope = str(Path(args.longrope).resolve())
scratch_folder = tempfile.TemporaryDirectory()
scratch = Path(scratch_folder.name)
failures = 0


def check(name, difference, limit):
    global failures
    good = difference <= limit  # a NaN is not
    failures += not good
    print(f"{'ok  ' if good else 'FAIL'} {name}: {difference:.2e} (allowed {limit:.0e})", flush=True)


class Worker:
    """A worker, asked one task at a time."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True, cwd=ROOT)
        self.hello = json.loads(self.process.stdout.readline())
        self.tasks = 0

    def say(self, **message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def share(self, documents):
        """(ids, marks or None) pairs."""
        def by_file(data):
            path = scratch / hashlib.sha256(data).hexdigest()
            path.write_bytes(data)
            return {"path": str(path), "sha256": path.name}
        self.lengths, shared = [len(ids) for ids, _ in documents], []
        for i, (ids, marks) in enumerate(documents):
            shared.append({"document": i, "length": len(ids),
                           "tokens": by_file(struct.pack(f"<{len(ids)}i", *ids))})
            if marks:
                shared[-1]["scored"] = by_file(bytes(marks))
        self.say(type="start", protocol=1, documents=shared)

    def score(self, document, factors):
        self.say(type="task", task=self.tasks, document=document, length=self.lengths[document],
                 **factors)
        while (answer := json.loads(self.process.stdout.readline()))["type"] == "heartbeat":
            pass
        assert answer["task"] == self.tasks and answer["status"] == "done", answer
        self.tasks += 1
        return answer["nats"], answer["tokens"]

    def end(self):
        self.say(type="shutdown")
        assert self.process.wait(timeout=30) == 0


def float32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def job_file(name, **stage):
    text = (ROOT / "tests/golden/transformers/passage.txt").read_text()
    (scratch / "texts").mkdir(exist_ok=True)
    for i in range(3):
        part = text[text.index("\n", 2500 * i) + 1:]
        (scratch / f"texts/{i}.txt").write_text(part[:3000])
    path = scratch / f"{name}.yaml"
    path.write_text(json.dumps({
        "seed": 2, "model": {"path": str(ROOT / "data/tiny")}, "data": {"path": str(scratch / "texts")},
        "output": {"folder": str(scratch / name)},
        "stages": [{"name": "a", "kind": "search", "length": 320, "documents": 2, **stage}]}))
    return path


def compare_scores():
    ids = [int(line) for line in subprocess.run(
        [longrope, "tokenize", "--model", "data/tiny", "tests/golden/transformers/passage.txt"],
        capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()][:2048]
    draw = random.Random(7)
    documents = [(ids, None), (ids[:700], [draw.randint(0, 1) for _ in range(700)])]
    own = Worker([longrope, "worker", str(job_file("own"))])
    python = Worker([sys.executable, str(WORKER), "--model", "data/tiny", "--device", "cpu", "--rows", "300"])
    check("hello's base", abs(own.hello["rope"]["base"] - python.hello["rope"]["base"]), 0)
    assert own.hello["rope"]["pairs"] == python.hello["rope"]["pairs"]
    for worker in (own, python):
        worker.share(documents)
    worst = 0
    pairs = own.hello["rope"]["pairs"]
    for start in (0, 28):
        for m in (1.0, 1.0734, 0.93):
            factors = {"lambda": sorted(float32(draw.uniform(1, 10)) for _ in range(pairs)),
                       "start_tokens": start, "attention_factor": m}
            for document in range(2):
                (a, count), (b, other) = own.score(document, factors), python.score(document, factors)
                assert count == other
                worst = max(worst, abs(a - b) / a) if abs(a - b) >= 0 else math.nan
    own.end()
    python.process.stdin.write("no message\n")
    python.process.stdin.flush()
    assert python.process.wait(timeout=30) == 1  # nobody would tell it of the end
    check("scores of data/tiny, 12 of them, worst", worst, TOLERANCE)


def made_models():
    import torch
    import transformers as t
    five = int(t.__version__.split(".")[0]) >= 5
    sizes = dict(vocab_size=300, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
                 num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128,
                 pad_token_id=0, bos_token_id=1, eos_token_id=2)
    def scaled(**rope):
        base = {"rope_theta": 10000.0}
        return {"rope_parameters": {**base, **rope}} if five else {"rope_scaling": rope}
    slow = [1 + 0.4 * i for i in range(8)]
    yield "llama", t.LlamaConfig(**sizes)
    yield "llama, linear", t.LlamaConfig(**sizes, **scaled(rope_type="linear", factor=2.0))
    yield "llama, llama3", t.LlamaConfig(**sizes, **scaled(
        rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=64))
    yield "mistral, window 48", t.MistralConfig(**sizes, sliding_window=48)
    yield "mistral, no window", t.MistralConfig(**sizes, sliding_window=None)
    yield "qwen2", t.Qwen2Config(**sizes)
    yield "qwen2, yarn", t.Qwen2Config(**sizes, **scaled(
        rope_type="yarn", factor=4.0, original_max_position_embeddings=32))
    if hasattr(t, "Qwen3Config"):  # since 4.51
        yield "qwen3", t.Qwen3Config(**sizes, head_dim=24)
    yield "phi3", t.Phi3Config(**{**sizes, "num_key_value_heads": 4},
                               original_max_position_embeddings=128)
    yield "phi3, longrope", t.Phi3Config(
        **{**sizes, "num_key_value_heads": 4}, original_max_position_embeddings=32,
        **({"rope_parameters": {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0] * 8,
                                "long_factor": slow, "original_max_position_embeddings": 32}} if five else
           {"rope_scaling": {"type": "longrope", "short_factor": [1.0] * 8, "long_factor": slow}}))
    yield "llama, dynamic", t.LlamaConfig(**{**sizes, "max_position_embeddings": 64}, **scaled(
        rope_type="dynamic", factor=2.0))
    yield "llama, yarn", t.LlamaConfig(**{**sizes, "max_position_embeddings": 64}, **scaled(
        rope_type="yarn", factor=4.0, original_max_position_embeddings=32))


REACHES = {"llama, linear": [256], "llama, dynamic": [64, 128], "llama, yarn": [128],
           "llama, llama3": [128], "qwen2, yarn": [128], "phi3, longrope": [32, 128]}


def own_factors(rope, tokens):
    """Of a hello, for a text of so many tokens."""
    given = rope.get("given", [{"lambda": [1.0] * rope["pairs"], "attention_factor": 1.0}])
    factors = next((one for one in given[:-1] if tokens <= one["length"]), given[-1])
    slow = factors["lambda"]
    if dynamic := rope.get("dynamic"):
        factor, pairs = dynamic["factor"], rope["pairs"]
        over = max(tokens / dynamic["original_length"], 1.0)
        slow = [float32((factor * over - factor + 1) ** (i / (pairs - 1))) for i in range(pairs)]
    return {"lambda": slow, "start_tokens": 0, "attention_factor": factors["attention_factor"]}


def compare_hellos(name, rope, folder):
    worker = Worker([longrope, "worker", str(job_file("own")), "--set", f"model.path={folder}"])
    own = worker.hello["rope"]
    worker.end()
    check(f"{name}: reach and kind, said by both",
          0 if own.get("dynamic") == rope.get("dynamic") and
          [one["length"] for one in own["given"]] == [one["length"] for one in rope["given"]] else 1, 0)
    for key in ("lambda", "attention_factor"):
        a, b = ([one[key] for one in said["given"]] for said in (own, rope))
        if key == "lambda":
            a, b = sum(a, []), sum(b, [])
        check(f"{name}: {key}, said by both", max(abs(x - y) / x for x, y in zip(a, b, strict=True)), 1e-5)


def compare_models():
    import torch
    import transformers
    draw = random.Random(3)
    for name, config in made_models():
        torch.manual_seed(11)
        folder = scratch / name.replace(", ", "-")
        model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
        with torch.no_grad():
            for parameter in model.parameters():  # attention that depends on its positions
                parameter.normal_(0.3 if parameter.ndim == 1 else 0.0, 0.3)
        model.save_pretrained(folder)
        ids = [draw.randrange(300) for _ in range(100)]
        if name == "mistral, window 48":  # off in the worker: compare with the model without one
            config.sliding_window = None
            model = transformers.AutoModelForCausalLM.from_pretrained(folder, config=config).eval()
        with torch.no_grad():
            # Lengths decide about longrope's factors: the pass is as long as the worker's.
            logits = model(input_ids=torch.tensor([ids[:-1]]), use_cache=False).logits[0].float()
        wanted = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none")
        wanted = wanted.double().sum().item()
        worker = Worker([sys.executable, str(WORKER), "--model", str(folder), "--device", "cpu", "--rows", "17"])
        rope = worker.hello["rope"]
        assert [one["length"] for one in rope.get("given", [])] == REACHES.get(name, []), rope
        factors = own_factors(rope, 99)
        worker.share([(ids, None)])
        found, count = worker.score(0, factors)
        assert count == 99
        other, _ = worker.score(0, {**factors, "start_tokens": 99, "lambda": [9.0] * rope["pairs"]})
        plain, _ = worker.score(0, {**factors, "lambda": [1.0] * rope["pairs"]})
        turned, _ = worker.score(0, {**factors, "lambda": [2.0] * rope["pairs"]})
        worker.end()
        check(f"{name}: {wanted:.4f} nats, its own rotation", abs(found - wanted) / wanted, 1e-5)
        check(f"{name}: all positions below n-hat", abs(other - plain) / plain, 0)
        if name.startswith("llama, "):
            compare_hellos(name, rope, folder)
        check(f"{name}: lambda matters", 1 if abs(turned - plain) / plain < 1e-3 else 0, 0)


def history(folder):
    with open(folder / "a/history.csv") as file:
        return list(csv.DictReader(file))


def compare_job():
    # Few candidates, far apart: among many, some pair is always closer.
    stage = dict(population=8, generations=1, mutations=2, crossovers=2, parents=4, mutation_rate=1,
                 seed_sweeps=60, held_out=0)
    own = job_file("job-own", **stage)
    python = job_file("job-python", **stage)
    command = [sys.executable, str(WORKER), "--model", str(ROOT / "data/tiny"), "--device", "cpu"]
    subprocess.run([longrope, "search", str(own)], check=True, cwd=ROOT, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    subprocess.run([longrope, "search", str(python), "--set", "backend.command=" + json.dumps(command)],
                   check=True, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    a, b = history(scratch / "job-own"), history(scratch / "job-python")
    assert len(a) == len(b)
    scores = [(float(x), float(y)) for one, other in zip(a, b)
              for x, y in zip(one["nats"].split(), other["nats"].split(), strict=True)]
    check(f"{len(scores)} scores of {len(a)} candidates, worst",
          max(abs(x - y) / x for x, y in scores), TOLERANCE)
    key = "perplexity"
    ranked = sorted(a, key=lambda row: (float(row[key]), int(row["id"])))
    gaps = [float(y[key]) / float(x[key]) - 1 for x, y in zip(ranked, ranked[1:])]
    print(f"smallest gap in rank: {min(gaps):.2e}")
    check("gaps that are not above 1e-4", sum(not gap > TOLERANCE for gap in gaps), 0)
    order = [row["id"] for row in ranked]
    other = [row["id"] for row in sorted(b, key=lambda row: (float(row[key]), int(row["id"])))]
    genomes = [name for name in a[0] if name not in (key, "nats")]
    same = all([x[k] for k in genomes] == [y[k] for k in genomes] for x, y in zip(a, b))
    check("candidates that differ", 0 if same else 1, 0)
    check("places in rank that differ", sum(x != y for x, y in zip(order, other)), 0)


if args.job:
    compare_job()
else:
    compare_scores()
    compare_models()
sys.exit(1 if failures else 0)
