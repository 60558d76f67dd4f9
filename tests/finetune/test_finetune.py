#!/usr/bin/env python3
"""Tests of configs/finetune/finetune.py. usage: PYTHON tests/finetune/test_finetune.py [-v] [CASE ...]

PYTHON is one with torch, 1.13 or 2.x; without it every case is skipped, without transformers those that compare
with it. A model of 2 layers is made on the spot; data/tiny and its recipe's own forward pass are the other judges.
"""
import contextlib, io, itertools, json, math, os, random, re, resource, shutil, signal, struct, subprocess
import sys, tempfile, unittest
from unittest import mock

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PROGRAM = os.path.join(ROOT, "configs", "finetune", "finetune.py")
TINY = os.path.join(ROOT, "data", "tiny")
try:
    import torch
except ImportError:
    print("test_finetune.py: skipped: no torch in this Python; configs/finetune/README.md says how to install it")
    sys.exit(0)
try:
    import transformers
except ImportError:
    transformers = None
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.dirname(PROGRAM), os.path.join(TINY, "recipe")]
import finetune
import model as recipe

torch.set_num_threads(1)
needs_transformers = unittest.skipIf(transformers is None, "no transformers in this Python")
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 96, "hidden_size": 32,
    "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "head_dim": 12, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
    "tie_word_embeddings": False, "bos_token_id": 1, "torch_dtype": "bfloat16"}


def longrope(head_dim, m=1.1, top=4.0):
    factors = [1 + (top - 1) * i / (head_dim // 2 - 1) for i in range(head_dim // 2)]
    return {"rope_type": "longrope", "short_factor": factors, "long_factor": factors, "factor": top,
            "attention_factor": m, "original_max_position_embeddings": 64}


def write_safetensors(path, tensors, dtype="BF16"):
    header, end, data = {"__metadata__": {"format": "pt"}}, 0, []
    for name, tensor in tensors.items():
        tensor = tensor.to(finetune.DTYPES[dtype]).contiguous()
        size = tensor.numel() * tensor.element_size()
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [end, end + size]}
        end += size
        data.append(tensor)
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(raw)) + raw)
        for tensor in data:
            finetune.write_tensor(file, tensor)


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file)


def make_model(folder, shards=1, dtype="BF16", **changes):
    """A model with random weights of CONFIG, changed; returns the folder."""
    os.makedirs(folder)
    config = {key: value for key, value in {**CONFIG, **changes}.items() if value is not None}
    write_json(os.path.join(folder, "config.json"), config)
    shape = finetune.read_shape("config.json", config, 2)
    random_numbers = torch.Generator().manual_seed(7)
    weights = {name: torch.ones(size) if len(size) == 1 else torch.randn(size, generator=random_numbers) * 0.15
               for name, size in finetune.parameter_shapes(shape).items()}
    files = {"model.safetensors": weights}
    if shards > 1:
        names = sorted(weights)
        files = {f"model-{i + 1:05}-of-{shards:05}.safetensors": {n: weights[n] for n in names[i::shards]}
                 for i in range(shards)}
        write_json(os.path.join(folder, "model.safetensors.index.json"),
                   {"metadata": {}, "weight_map": {name: file for file, part in files.items() for name in part}})
    for file, part in files.items():
        write_safetensors(os.path.join(folder, file), part, dtype)
    return folder


def write_tokens(path, ids):
    with open(path, "wb") as file:
        file.write(struct.pack(f"<{len(ids)}I", *ids))
    return path


def texts(count=4000, vocab=96):
    """Ids with something to learn: each is its predecessor's double, now and then another."""
    draw, ids = random.Random(3), [1]
    while len(ids) < count:
        ids.append(ids[-1] * 2 % (vocab - 2) + 2 if draw.random() < 0.9 else draw.randrange(2, vocab))
        if len(ids) % 500 == 0:
            ids.append(1)
    return ids


def load(folder, length=64, dtype=torch.float32, **keys):
    """(model, tables) of a folder."""
    path = os.path.join(folder, "config.json")
    config = finetune.read_json(path)
    shape = finetune.read_shape(path, config, length)
    weights = finetune.read_weights(finetune.read_shards(folder), finetune.parameter_shapes(shape))
    for weight in weights.values():
        weight.requires_grad_()
    tables = finetune.rotation_tables(finetune.read_rotation(path, config, shape.head_dim), length, shape.head_dim)
    return finetune.Model(shape, weights, dtype, **keys), tables


def token_nats(model, tables, ids):
    with torch.no_grad():
        hidden = model.last_hidden(ids, tables)[:, :-1].flatten(0, 1)
        return model.token_nats(hidden, ids[:, 1:].flatten())


def contents(folder):
    """Digests by name: unittest would take hours to show how two weight files differ."""
    return {name: finetune.digest_of(os.path.join(folder, name)).hexdigest() for name in sorted(os.listdir(folder))}


def run_here(*arguments):
    """The program within this process: exit code and what it said on stderr."""
    error = io.StringIO()
    with mock.patch.object(sys, "argv", ["finetune.py", *arguments]), \
            contextlib.redirect_stderr(error), contextlib.redirect_stdout(io.StringIO()):
        return finetune.main(), error.getvalue()


class Case(unittest.TestCase):
    def setUp(self):
        space = tempfile.TemporaryDirectory()
        self.addCleanup(space.cleanup)
        self.space = space.name

    def path(self, *names):
        return os.path.join(self.space, *names)

    def assertNear(self, got, wanted, tolerance):
        error = ((got - wanted).abs() / wanted.abs().max().clamp_min(1e-30)).max().item()
        self.assertLess(error, tolerance)  # a NaN is not less


class Rotations(Case):
    def test_angle_is_divided_from_start_tokens_on_and_both_are_scaled(self):
        factors = [1.0, 1.1, 2.5, 7.3]
        cos, sin = finetune.rotation_tables(finetune.Rotation(5e5, factors, 1.25, 3), 9000, 8)
        for n, i in itertools.product((0, 2, 3, 4, 8999), range(4)):
            factor = struct.unpack("f", struct.pack("f", factors[i]))[0] if n >= 3 else 1.0
            angle = n * 5e5 ** (-2 * i / 8) / factor
            self.assertAlmostEqual(cos[n, i].item(), 1.25 * math.cos(angle), delta=1e-7)
            self.assertAlmostEqual(sin[n, i].item(), 1.25 * math.sin(angle), delta=1e-7)

    def test_where_config_says_it(self):
        rope = longrope(12)
        for config in ({"rope_theta": 7e4, "rope_scaling": rope}, {"rope_scaling": {**rope, "rope_theta": 7e4}},
                       {"rope_parameters": {**rope, "rope_theta": 7e4}}):
            rotation = finetune.read_rotation("c", {**config, "longrope_start_tokens": 5}, 12)
            self.assertEqual(rotation, finetune.Rotation(7e4, rope["long_factor"], 1.1, 5))
        self.assertEqual(finetune.read_rotation("c", {"rope_parameters": {"rope_type": "default"}}, 12).factors, None)

    def test_short_factors_that_differ_are_said(self):
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            finetune.read_rotation("c", {"rope_scaling": {**longrope(12), "short_factor": [1] * 6}}, 12)
        self.assertIn("short_factor differs", said.getvalue())


class Attention(Case):
    def test_blocks_equal_plain_softmax_with_gradients(self):
        torch.manual_seed(1)
        q, k, v, g = (torch.randn(2, 3, 77, 8) for _ in range(4))
        leaves = [t.clone().requires_grad_() for t in (q, k, v)]
        with mock.patch.object(finetune, "QUERY_ROWS", 16):
            out = finetune.BlockedAttention.apply(*leaves)
            out.backward(g)
        plain = [t.double().requires_grad_() for t in (q, k, v)]
        scores = plain[0] @ plain[1].transpose(-1, -2) + torch.full((77, 77), -math.inf).triu(1)
        wanted = scores.softmax(-1) @ plain[2]
        wanted.backward(g.double())
        self.assertNear(out.double(), wanted, 1e-5)
        for got, reference in zip(leaves, plain):
            self.assertNear(got.grad.double(), reference.grad, 1e-5)


class TinyModel(Case):
    """data/tiny with and without factors, against independent forward passes."""

    def tiny(self, name, rope, **changes):
        folder = self.path(name)
        os.makedirs(folder)
        shutil.copyfile(os.path.join(TINY, "model.safetensors"), os.path.join(folder, "model.safetensors"))
        config = {**finetune.read_json(os.path.join(TINY, "config.json")), **changes}
        write_json(os.path.join(folder, "config.json"), {**config, "rope_scaling": rope} if rope else config)
        return folder

    def ids(self, length):
        draw = random.Random(5)
        return torch.tensor([[1] + [draw.randrange(3, 4096) for _ in range(length - 1)]])

    def test_losses_equal_the_recipe_that_trained_it(self):
        ids = self.ids(400)
        for name, rope, start in (("plain", None, 0), ("long", longrope(64), 0), ("start", longrope(64), 24)):
            with self.subTest(name):
                model, tables = load(self.tiny(name, rope, longrope_start_tokens=start), 400)
                judge = recipe.Llama(recipe.Config())
                judge.load_state_dict({k[len("model."):]: v for k, v in model.weights.items()})
                table = recipe.rope_table(400, judge.c, rope and rope["long_factor"], start, 1.1 if rope else 1.0)
                with torch.no_grad():
                    logits = judge(ids, table)[0, :-1]
                wanted = torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none")
                got = token_nats(model, tables, ids)
                self.assertLess(((got - wanted).abs() / wanted).max().item(), 1e-5)

    @needs_transformers
    def test_losses_equal_transformers(self):
        ids = self.ids(400)
        for name, rope in (("plain", None), ("long", longrope(64))):
            with self.subTest(name):
                folder = self.tiny(name, rope, max_position_embeddings=512)
                judge = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
                with torch.no_grad():
                    logits = judge(ids).logits[0, :-1]
                wanted = torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none")
                got = token_nats(*load(folder, 400), ids)
                self.assertLess(((got - wanted).abs() / wanted).max().item(), 1e-5)


class Steps(Case):
    @needs_transformers
    def test_gradients_and_step_equal_transformers(self):
        ids = torch.tensor([texts()[:64], texts()[100:164]])
        kinds = {"llama": {}, "tied": {"tie_word_embeddings": True, "rope_scaling": longrope(12)},
                 "mistral": {"model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": 64}}
        for name, changes in kinds.items():
            with self.subTest(name):
                model, tables = load(make_model(self.path(name), **changes))
                judge = transformers.AutoModelForCausalLM.from_pretrained(self.path(name), dtype=torch.float32)
                theirs = dict(judge.named_parameters())
                options = finetune.parse("--model m --tokens t --length 64 --steps 1 --output o --weight-decay 0.1 "
                                         "--lr 1e-3".split())
                judge(input_ids=ids, labels=ids).loss.backward()
                (model.nats(ids, tables) / (2 * 63)).backward()
                self.assertEqual(set(theirs), set(model.weights))
                for key, weight in model.weights.items():
                    self.assertNear(weight.grad, theirs[key].grad, 2e-5)
                decay = [p for p in judge.parameters() if p.dim() == 2], [p for p in judge.parameters() if p.dim() == 1]
                optimizer = torch.optim.AdamW([{"params": decay[0], "weight_decay": 0.1},
                                               {"params": decay[1], "weight_decay": 0.0}], 1e-3, (0.9, 0.95))
                for parameters, step in ((theirs, optimizer), (model.weights, finetune.make_optimizer(options, model.weights))):
                    torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
                    step.step()
                for key, weight in model.weights.items():
                    self.assertNear(weight.detach(), theirs[key].detach(), 1e-5)

    def test_chunks_recomputation_and_plain_attention_leave_the_gradients(self):
        folder, ids = make_model(self.path("m"), rope_scaling=longrope(12)), torch.tensor([texts()[:64]])
        gradients = []
        for recompute, rows in ((False, 512), (True, 512), (True, 7)):
            model, tables = load(folder, recompute=recompute)
            with mock.patch.object(finetune, "LOSS_ROWS", rows):
                model.nats(ids, tables).backward()
            gradients.append({name: weight.grad for name, weight in model.weights.items()})
        for name, gradient in gradients[0].items():
            self.assertTrue(torch.equal(gradients[1][name], gradient), name)
            self.assertNear(gradients[2][name], gradient, 1e-5)

    def test_bfloat16_products_keep_float32_gradients_near(self):
        folder, ids = make_model(self.path("m")), torch.tensor([texts()[:64]])
        (model, tables), (half, _) = load(folder), load(folder, dtype=torch.bfloat16)
        for each in (model, half):
            each.nats(ids, tables).backward()
        for name, weight in half.weights.items():
            self.assertEqual(weight.grad.dtype, torch.float32)
            self.assertNear(weight.grad, model.weights[name].grad, 0.1)

    def test_weight_decay_is_the_matrices_alone(self):
        options = finetune.parse("--model m --tokens t --length 64 --steps 1 --output o --weight-decay 0.5".split())
        weights = {"matrix": torch.ones(2, 2, requires_grad=True), "vector": torch.ones(2, requires_grad=True)}
        optimizer = finetune.make_optimizer(options, weights)
        for weight in weights.values():
            weight.grad = torch.zeros_like(weight)
        optimizer.step()
        self.assertAlmostEqual(weights["matrix"][0, 0].item(), 1 - 0.5 * 2e-5, delta=1e-7)
        self.assertEqual(weights["vector"][0].item(), 1.0)

    def test_rate(self):
        options = finetune.parse("--model m --tokens t --length 64 --steps 10 --output o --warmup 4 --lr 1".split())
        rates = [finetune.learning_rate(options, step) for step in range(1, 11)]
        self.assertEqual(rates, [0.25, 0.5, 0.75, 1.0, 1.0, 5 / 6, 4 / 6, 0.5, 2 / 6, 1 / 6])
        options.schedule = "constant"
        self.assertEqual(finetune.learning_rate(options, 10), 1.0)

    def test_sequence_is_a_window_after_bos(self):
        tokens = torch.arange(1000, dtype=torch.int32)
        drawn = {finetune.sequence(tokens, 10, 1, 1, step, index) for step in range(20) for index in range(5)}
        starts = {ids[1].item() for ids in drawn}
        self.assertGreater(len(starts), 80)
        for ids in drawn:
            self.assertEqual(ids.tolist(), [1, *range(ids[1], ids[1] + 9)])
        again = [finetune.sequence(tokens, 10, 1, 1, 3, 2).tolist() for _ in range(2)]
        self.assertEqual(*again)


class Runs(Case):
    """The program as a user starts it."""

    STEPS = 24

    def setUp(self):
        super().setUp()
        make_model(self.path("model"), shards=2, rope_scaling=longrope(12), longrope_start_tokens=2)
        with open(self.path("model", "tokenizer.model"), "wb") as file:
            file.write(b"any bytes")
        with open(self.path("model", "pytorch_model.bin"), "wb") as file:
            file.write(b"old weights")
        write_tokens(self.path("tokens"), texts())

    def command(self, output, *more):
        return [sys.executable, PROGRAM, "--model", self.path("model"), "--tokens", self.path("tokens"), "--length",
                "48", "--steps", str(self.STEPS), "--output", self.path(output), "--lr", "3e-3", "--warmup", "4",
                "--batch", "2", "--accumulate", "2", "--save-every", "5", "--threads", "1", *more]

    def run_to_end(self, output, *more, code=0):
        done = subprocess.run(self.command(output, *more), capture_output=True, text=True, timeout=600)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def stop_after(self, output, lines, which):
        """Starts it, sends the signal after so many lines; returns the exit code."""
        with subprocess.Popen(self.command(output), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            for _ in range(lines):
                process.stdout.readline()
            process.send_signal(which)
            process.stdout.read()
            return process.wait(timeout=600)

    def assertSameResult(self, output, wanted):
        self.assertEqual(contents(self.path(output)), contents(self.path(wanted)))
        with open(self.path(output + ".work", "loss.csv")) as a, open(self.path(wanted + ".work", "loss.csv")) as b:
            self.assertEqual(a.read(), b.read())

    def test_whole_run(self):
        done = self.run_to_end("out")
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), self.STEPS)
        self.assertRegex(lines[11], r"^step 12/24 loss \d\.\d{4} lr 1\.95e-03 tokens/s \d+$")
        losses = [float(re.search(r"loss (\S+)", line)[1]) for line in lines]
        self.assertLess(sum(losses[-4:]) / 4, sum(losses[:4]) / 4 - 0.3)
        model, out = contents(self.path("model")), contents(self.path("out"))
        self.assertEqual(set(out), set(model) - {"pytorch_model.bin"} | {"finetune.json"})
        for name in ("config.json", "tokenizer.model", "model.safetensors.index.json"):
            self.assertEqual(out[name], model[name])
        for before, after in zip(finetune.read_shards(self.path("model")), finetune.read_shards(self.path("out"))):
            self.assertEqual((before.head, before.tensors), (after.head, after.tensors))
        state = torch.load(self.path("out.work", "state.pt"), weights_only=True)
        for shard in finetune.read_shards(self.path("out")):
            for name in shard.tensors:
                self.assertTrue(torch.equal(finetune.read_tensor(shard, name), state["weights"][name].bfloat16()))
        with open(self.path("out.work", "loss.csv")) as file:
            rows = file.read().splitlines()
        self.assertEqual(rows[0], "step,loss,lr,tokens")
        self.assertRegex(rows[-1], rf"^24,\d\.\d{{6}},1\.500000e-04,{24 * 48 * 4}$")
        self.assertIn("complete for these settings", self.run_to_end("out").stderr)
        self.assertIn("finetune.json: was made with lr 0.003, not 0.1", self.run_to_end("out", "--lr", "0.1", code=2).stderr)

    def test_killed_and_stopped_runs_end_with_the_same_bytes(self):
        self.run_to_end("whole")
        draw = random.Random(11)
        for _ in range(2):
            for _ in range(2):
                self.stop_after("killed", draw.randrange(1, 9), signal.SIGKILL)
            self.run_to_end("killed")
            self.assertSameResult("killed", "whole")
            for name in ("killed", "killed.work"):
                shutil.rmtree(self.path(name))
        for which in (signal.SIGTERM, signal.SIGINT):
            self.assertEqual(self.stop_after("stopped", draw.randrange(1, 9), which), finetune.EXIT_STOPPED)
            self.assertFalse(os.path.exists(self.path("stopped")))
        done = self.run_to_end("stopped", "--save-every", "7")
        self.assertIn("going on after step", done.stderr)
        self.assertSameResult("stopped", "whole")

    def test_full_disk_leaves_one_line_and_no_rest(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

        done = subprocess.run(self.command("out"), capture_output=True, text=True, timeout=600, preexec_fn=limit)
        self.assertEqual(done.returncode, finetune.EXIT_FAILED, done.stderr)
        self.assertRegex(done.stderr, r"^\S+: File too large\n$")
        self.assertEqual(sorted(os.listdir(self.path("out.work"))), ["lock", "loss.csv"])
        self.assertEqual(self.run_to_end("out").stderr, f"{self.path('out')}: written\n")

    def test_batches_do_not_change_what_a_step_reads(self):
        first = [self.run_to_end("a", "--steps", "1", "--warmup", "0"),
                 self.run_to_end("b", "--steps", "1", "--warmup", "0", "--batch", "4", "--accumulate", "1")]
        losses = [re.search(r"loss (\S+)", done.stdout)[1] for done in first]
        model, tables = load(self.path("model"), 48)
        tokens = finetune.read_tokens(self.path("tokens"), model.shape, 48)
        ids = torch.stack([finetune.sequence(tokens, 48, 1, 1, 1, index) for index in range(4)])
        wanted = token_nats(model, tables, ids).mean().item()
        for loss in losses:
            self.assertAlmostEqual(float(loss), wanted, delta=2e-4)

    def test_states_of_other_settings_and_damaged_ones_are_refused(self):
        self.assertEqual(self.stop_after("out", 6, signal.SIGTERM), finetune.EXIT_STOPPED)
        path = self.path("out.work", "state.pt")
        for more, what in ((("--steps", "25"), "steps 24, not 25"), (("--seed", "2"), "seed 1, not 2"),
                           (("--length", "47"), "length 48, not 47"), (("--dtype", "bfloat16"), "dtype float32"),
                           (("--model", make_model(self.path("other"))), "model ")):
            with open(path, "rb") as file:
                before = file.read()
            error = self.run_to_end("out", *more, code=2).stderr
            self.assertRegex(error, rf"^\S*state.pt: was made with {what}.*\n$")
            with open(path, "rb") as file:
                self.assertEqual(file.read(), before)
        with open(path, "r+b") as file:
            file.seek(len(before) // 2)
            file.write(bytes([before[len(before) // 2] ^ 1]))
        self.assertRegex(self.run_to_end("out", code=2).stderr, r"^\S*state.pt: is damaged.*\n$")

    def test_second_process_is_refused(self):
        with subprocess.Popen(self.command("out", "--steps", "100000"), stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as process:
            process.stdout.readline()
            error = self.run_to_end("out", "--steps", "100000", code=2).stderr
            self.assertRegex(error, r"^\S*: another process works in it.*\n$")
            process.kill()
            process.stdout.read()

    def test_divergence_keeps_the_state(self):
        whole = finetune.Training.accumulate

        def broken(training, step):
            return whole(training, step) * (math.nan if step == 8 else 1)

        with mock.patch.object(finetune.Training, "accumulate", broken):
            code, error = run_here(*self.command("out")[2:])
        self.assertEqual(code, finetune.EXIT_FAILED)
        self.assertRegex(error, r"^step 8: loss nan, .*\n$")
        self.assertFalse(os.path.exists(self.path("out")))
        self.assertIn("going on after step 5", self.run_to_end("out").stderr)
        done = self.run_to_end("wild", "--lr", "1e6", "--clip", "0", "--schedule", "constant", code=1)
        self.assertRegex(done.stderr, r"^step \d+: .*\n$")


class BadInputs(Case):
    """Each is refused in one line that names the file, with exit code 2, and nothing is written."""

    def setUp(self):
        super().setUp()
        self.model = make_model(self.path("m"), rope_scaling=longrope(12))
        self.tokens = write_tokens(self.path("t"), texts())

    def refused(self, pattern, *more):
        before = sorted(os.listdir(self.space))
        code, error = run_here("--model", self.model, "--tokens", self.tokens, "--length", "48", "--steps", "1",
                               "--output", self.path("out"), *more)
        self.assertEqual(code, finetune.EXIT_BAD_INPUT, error)
        self.assertRegex(error, rf"^[^\n]*{pattern}[^\n]*\n$")
        self.assertEqual(sorted(os.listdir(self.space)), before)

    def test_command_lines(self):
        for more in (["--length", "1"], ["--lr", "nan"], ["--lr", "0"], ["--steps", "x"], ["--beta2", "1"],
                     ["--schedule", "cosine"], ["--unknown"], ["--sav", "3"], ["--output", "/"]):
            self.refused("finetune.py: .*--", *more)
        self.refused("config.json: No such file", "--model", self.path("none"))
        self.refused("m: exists and was not written by", "--output", self.model)
        if not torch.cuda.is_available():
            self.refused("no CUDA device", "--device", "cuda")

    def test_configs(self):
        config_path = os.path.join(self.model, "config.json")
        good = finetune.read_json(config_path)
        rope = good["rope_scaling"]
        changes = [
            {"model_type": "qwen2"}, {"hidden_act": "gelu"}, {"attention_bias": True}, {"vocab_size": 2 ** 40},
            {"num_hidden_layers": 0}, {"num_hidden_layers": 3}, {"num_hidden_layers": True}, {"head_dim": 11},
            {"head_dim": 10}, {"num_key_value_heads": 3}, {"bos_token_id": 96}, {"bos_token_id": None},
            {"rms_norm_eps": "1e-5"}, {"rope_theta": -1}, {"partial_rotary_factor": 0.5},
            {"longrope_start_tokens": -1}, {"model_type": "mistral", "sliding_window": 47},
            {"rope_scaling": [1]}, {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}},
            {"rope_scaling": {"type": "dynamic"}}, {"rope_scaling": {**rope, "long_factor": [1.0] * 5}},
            {"rope_scaling": {**rope, "long_factor": [0.0] * 6}}, {"rope_scaling": {**rope, "attention_factor": None}},
            {"rope_scaling": {**rope, "long_factor": [math.nan] * 6}}, {"rope_scaling": {**rope, "rope_theta": 2e4}}]
        for change in changes:
            with self.subTest(change):
                write_json(config_path, {**good, **change})
                self.refused("(config.json|model.safetensors): ")
        for raw in (b"", b"[]", b"{", b"\xff{}", b"[" * 100_000, b'{"a": 1, "a": 2}'):
            with open(config_path, "wb") as file:
                file.write(raw)
            self.refused("config.json: not ")

    def test_tokens(self):
        for ids in ([1] * 47, [1] * 99 + [96], [1] * 99 + [2 ** 32 - 1], [2] * 99):
            write_tokens(self.tokens, ids)
            self.refused(self.tokens)
        with open(self.tokens, "ab") as file:
            file.write(b"\0")
        self.refused(self.tokens)
        self.refused("none: No such file", "--tokens", self.path("none"))

    def test_weights(self):
        path = os.path.join(self.model, "model.safetensors")
        with open(path, "rb") as file:
            good = file.read()
        size = struct.unpack("<Q", good[:8])[0]
        header, data = json.loads(good[8:8 + size]), good[8 + size:]
        name = "model.norm.weight"

        def changed(**entry):
            return with_header({**header, name: {**header[name], **entry}})

        def with_header(value):
            raw = json.dumps(value).encode()
            return struct.pack("<Q", len(raw)) + raw + data

        begin, end = header[name]["data_offsets"]
        files = [b"", good[:7], good[:-1], good + b"\0", struct.pack("<Q", 2 ** 63) + good[8:],
                 struct.pack("<Q", len(good)) + good[8:], good[:8] + b"\0" + good[9:], changed(dtype="I8"),
                 changed(dtype=["F32"]), changed(shape=[31]), changed(shape=[-32]), changed(shape=[2 ** 60, 16]),
                 changed(shape=32), changed(data_offsets=[begin]), changed(data_offsets=[begin - 2, end - 2]),
                 changed(data_offsets=[begin, end + 2]), changed(data_offsets=[begin, 2 ** 70]), changed(shape=[4, 8]),
                 with_header({key: value for key, value in header.items() if key != name}),
                 with_header({**header, "a\nb": 5}),
                 with_header({**header, "q_proj.bias": {"dtype": "F32", "shape": [0], "data_offsets": [end, end]}})]
        for number, raw in enumerate(files):
            with self.subTest(number):
                with open(path, "wb") as file:
                    file.write(raw)
                self.refused("model.safetensors: ")

    def test_shards(self):
        self.model = make_model(self.path("sharded"), shards=2)
        index = os.path.join(self.model, "model.safetensors.index.json")
        places = finetune.read_json(index)["weight_map"]
        name = next(iter(places))
        for change in ({name: "../m/model.safetensors"}, {name: 3}, {name: list(places.values())[-1]},
                       {"more": places[name]}):
            write_json(index, {"weight_map": {**places, **change}})
            self.refused("index.json: weight_map")
        write_json(index, {"weight_map": {**places, name: "missing.safetensors"}})
        self.refused("missing.safetensors: No such file")


class Dtypes(Case):
    def test_output_has_the_dtypes_of_the_model_and_rounds_to_even(self):
        path = self.path("x.safetensors")
        values = torch.tensor([1.0, 1 + 2 ** -8, 1 + 3 * 2 ** -8, -1 - 2 ** -8 - 2 ** -20])
        for dtype in finetune.DTYPES:
            write_safetensors(path, {"lm_head.weight": values, "a": values}, dtype)
            shard = finetune.read_shard(path)
            model = mock.Mock(weights={"lm_head.weight": values}, shape=mock.Mock(tied=False))
            finetune.write_shard(self.path("y"), shard, model)
            got = finetune.read_tensor(finetune.read_shard(self.path("y")), "lm_head.weight")
            self.assertTrue(torch.equal(got, values.to(finetune.DTYPES[dtype])))
        write_safetensors(path, {"lm_head.weight": values}, "BF16")
        finetune.write_shard(self.path("y"), finetune.read_shard(path), model)
        got = finetune.read_tensor(finetune.read_shard(self.path("y")), "lm_head.weight").tolist()
        self.assertEqual(got, [1.0, 1.0, 1 + 2 ** -6, -1 - 2 ** -7])
        model.weights["lm_head.weight"] = values * 1e6
        write_safetensors(path, {"lm_head.weight": values}, "F16")
        with self.assertRaises(finetune.Failed):
            finetune.write_shard(self.path("y"), finetune.read_shard(path), model)


if __name__ == "__main__":
    unittest.main()
