#!/usr/bin/env python3
"""Fine-tunes a LLaMA or Mistral at an extended length, by the recipe of the LongRoPE paper.

AdamW over float32 weights, warm-up, clipped gradients, then linear decay or a constant rate; the rotation is
the one that config.json describes. Loss lines go to stdout, notes and errors to stderr. Exit codes: 0 done,
1 the training failed, 2 bad input, 75 stopped by SIGTERM or SIGINT and resumable.
"""
import argparse, contextlib, ctypes, dataclasses, fcntl, hashlib, json, math, os, re, shutil, signal, struct
import sys, time

signals_seen = []
if __name__ == "__main__":  # before torch, which takes seconds to load
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda seen, _: signals_seen.append(seen))
try:
    import torch
    import torch.nn.functional as F
    from torch.utils.checkpoint import checkpoint
except ImportError as error:
    print(f"finetune.py: {error}; needs PyTorch, README.md beside it says how to install it", file=sys.stderr)
    sys.exit(2)

EXIT_FAILED, EXIT_BAD_INPUT, EXIT_STOPPED = 1, 2, 75
MAX_JSON_BYTES = 100_000_000  # the limit of a safetensors header
MAX_SIZE = 1 << 24  # of a width or a vocabulary, in elements
LOSS_ROWS = 512  # tokens whose logits are in memory at once
QUERY_ROWS = 256  # tokens whose attention scores are in memory at once, where torch has no kernel of its own
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
# Weights in whatever format: old ones must not stand beside the new ones.
WEIGHT_FILE = re.compile(r"\.(safetensors|bin|pt|pth|ckpt|gguf|h5|msgpack|onnx)(\.index\.json)?$")
# What decides the result, beside the model and the tokens: a state goes on only under the same.
RECIPE = ("length", "steps", "lr", "schedule", "warmup", "clip", "weight_decay", "beta1", "beta2", "batch",
          "accumulate", "seed", "dtype")


class Refused(Exception):
    """Bad input."""


class Failed(Exception):
    """A training that cannot go on."""


class Stopped(Exception):
    """A signal asked for the end."""


def refuse(where, what, allowed):
    raise Refused(f"{where}: {what}; allowed: {allowed}")


def note(text):
    print(text, file=sys.stderr, flush=True)


# ---- files ----

def sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def sync_folder_of(path):
    sync(os.path.dirname(os.path.abspath(path)))


@contextlib.contextmanager
def replacing(path):
    """A file that takes its name only when all of it is on the disk."""
    try:
        with open(path + ".tmp", "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        os.unlink(path + ".tmp")  # of a full disk
        raise
    os.rename(path + ".tmp", path)
    sync_folder_of(path)


@contextlib.contextmanager
def locked(folder):
    with open(os.path.join(folder, "lock"), "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            refuse(folder, "another process works in it", "one at a time")
        yield


def digest_of(*paths, size=math.inf):
    """SHA-256 of the files one after the other, `size` bytes of each at most."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            left = size
            while block := file.read(min(left, 1 << 22)):
                digest.update(block)
                left -= len(block)
    return digest


def parse_json(raw, where):
    def unique(pairs):
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a key stands twice")
        return dict(pairs)
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        refuse(where, f"not JSON ({error})", "a JSON object")
    if not isinstance(value, dict):
        refuse(where, "not a JSON object", "a JSON object")
    return value


def read_json(path):
    with open(path, "rb") as file:
        return parse_json(file.read(MAX_JSON_BYTES), path)


# ---- safetensors ----

@dataclasses.dataclass
class Shard:
    path: str
    head: bytes    # all before the data; written back as it is, so that the layout stays
    tensors: dict  # name -> (dtype, shape, first byte, end) in the file, in the order of the data


def read_shard(path):
    """The header of a safetensors file, checked: the ranges fit the shapes and tile the file."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
        if not 2 <= length <= min(MAX_JSON_BYTES, size - 8):
            refuse(path, f"a header of {length} bytes in a file of {size}", "a safetensors file")
        raw = file.read(length)
    entries = parse_json(raw, path)
    entries.pop("__metadata__", None)
    end = 8 + length
    tensors = {name: checked_entry(path, name, entry, end) for name, entry in entries.items()}
    tensors = dict(sorted(tensors.items(), key=lambda item: item[1][2:]))
    for name, (_, _, begin, next_end) in tensors.items():
        if begin != end:
            refuse(path, f"{name!r:.80} begins at byte {begin}, not {end}", "no holes, no overlaps")
        end = next_end
    if end != size:
        refuse(path, f"{size} bytes, {end} by its header", "equal sizes")
    return Shard(path, prefix + raw, tensors)


def checked_entry(path, name, entry, data):
    def whole(values, count):
        return isinstance(values, list) and len(values) <= count and all(type(v) is int and v >= 0 for v in values)
    entry = entry if isinstance(entry, dict) else {}
    shape, offsets = entry.get("shape"), entry.get("data_offsets")
    if not whole(shape, 8) or not whole(offsets, 2) or len(offsets) != 2:
        refuse(path, f"{name!r:.80} lacks shape or data_offsets", "lists of integers from 0")
    if str(entry.get("dtype")) not in DTYPES:
        refuse(path, f"{name!r:.80} is of dtype {entry.get('dtype')!r:.20}", ", ".join(DTYPES))
    dtype, size = DTYPES[entry["dtype"]], offsets[1] - offsets[0]
    if size != math.prod(shape) * torch.empty(0, dtype=dtype).element_size():
        refuse(path, f"{name!r:.80} has {size} bytes", "as many as its shape says")
    return dtype, tuple(shape), data + offsets[0], data + offsets[1]


def read_shards(folder):
    single = os.path.join(folder, "model.safetensors")
    index = os.path.join(folder, "model.safetensors.index.json")
    if os.path.exists(single) or not os.path.exists(index):
        return [read_shard(single)]
    places = read_json(index).get("weight_map")
    names = list(places.values()) if isinstance(places, dict) else [None]
    if not all(type(name) is str and re.fullmatch(r"[\w.-]+\.safetensors", name) for name in names):
        refuse(index, "weight_map", "tensor names, each with a *.safetensors file beside the index")
    shards = [read_shard(os.path.join(folder, name)) for name in sorted(set(names))]
    held = [(name, os.path.basename(shard.path)) for shard in shards for name in shard.tensors]
    if sorted(held) != sorted(places.items()):
        refuse(index, "weight_map differs from what the files hold", "each tensor once")
    return shards


def read_tensor(shard, name):
    dtype, shape, begin, end = shard.tensors[name]
    buffer = bytearray(end - begin)
    with open(shard.path, "rb") as file:
        file.seek(begin)
        file.readinto(buffer)
    return torch.frombuffer(buffer, dtype=dtype).reshape(shape) if buffer else torch.empty(shape, dtype=dtype)


def write_tensor(file, tensor):
    tensor = tensor.contiguous()
    size = tensor.numel() * tensor.element_size()
    file.write((ctypes.c_char * size).from_address(tensor.data_ptr()))


# ---- config.json ----

@dataclasses.dataclass
class Shape:
    vocab: int
    hidden: int
    ffn: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    epsilon: float
    tied: bool  # the head is the embedding
    bos: int


@dataclasses.dataclass
class Rotation:
    base: float
    factors: list            # lambda of each pair, by which its angle is divided; None: plain RoPE
    attention_factor: float  # m, on cos and sin
    start_tokens: int        # n-hat: the positions before it keep the plain angle


def integer(path, block, key, default=None, low=1, high=MAX_SIZE):
    value = default if block.get(key) is None else block[key]
    if type(value) is not int or not low <= value <= high:
        refuse(path, f"{key} is {value!r:.40}", f"an integer from {low} to {high}")
    return value


def number(path, block, key, default=None):
    value = default if block.get(key) is None else block[key]
    if type(value) not in (int, float) or not 0 < value < 1e12:
        refuse(path, f"{key} is {value!r:.40}", "a number above 0")
    return float(value)


def only(path, block, key, *allowed):
    if block.get(key, allowed[0]) not in allowed:
        refuse(path, f"{key} is {block[key]!r:.40}", " or ".join(map(str, allowed)))


def read_shape(path, config, length):
    only(path, config, "model_type", None, "llama", "mistral")
    only(path, config, "hidden_act", "silu")
    only(path, config, "attention_bias", False, None)
    only(path, config, "mlp_bias", False, None)
    if config.get("model_type") == "mistral" and integer(path, config, "sliding_window", 1 << 40) < length:
        refuse(path, f"sliding_window is {config['sliding_window']}", f"null, or at least --length, {length}")
    vocab, hidden = integer(path, config, "vocab_size"), integer(path, config, "hidden_size")
    heads = integer(path, config, "num_attention_heads")
    shape = Shape(vocab, hidden, ffn=integer(path, config, "intermediate_size"),
                  layers=integer(path, config, "num_hidden_layers", high=1 << 12), heads=heads,
                  kv_heads=integer(path, config, "num_key_value_heads", heads),
                  head_dim=integer(path, config, "head_dim", hidden // heads, low=2, high=4096),
                  epsilon=number(path, config, "rms_norm_eps", 1e-6),
                  tied=config.get("tie_word_embeddings") is True,
                  bos=integer(path, config, "bos_token_id", low=0, high=vocab - 1))
    if heads % shape.kv_heads != 0 or shape.head_dim % 2 != 0:
        refuse(path, f"{heads} heads, {shape.kv_heads} of keys, of {shape.head_dim}", "a divisor; an even size")
    return shape


def read_rotation(path, config, head_dim):
    blocks = [config.get(key) or {} for key in ("rope_scaling", "rope_parameters")]
    if not all(isinstance(block, dict) for block in blocks):
        refuse(path, "rope_scaling or rope_parameters", "an object or null")
    places, block = [config, *blocks], blocks[0] or blocks[1]
    for place in places:
        only(path, place, "partial_rotary_factor", None, 1)
    bases = {number(path, place, "rope_theta") for place in places if place.get("rope_theta") is not None}
    if len(bases) > 1:
        refuse(path, f"rope_theta is {sorted(bases)}", "one value")
    base = bases.pop() if bases else 1e4
    kind = block.get("rope_type", block.get("type", "default"))
    if kind == "default":
        return Rotation(base, None, 1.0, 0)
    if kind != "longrope":
        refuse(path, f"a rotation of type {kind!r:.40}", "longrope, default, or no rope_scaling")
    factors = block.get("long_factor")
    if not isinstance(factors, list) or len(factors) != head_dim // 2 or not all(
            type(factor) in (int, float) and 1e-30 < factor < 1e30 for factor in factors):
        refuse(path, "long_factor", f"{head_dim // 2} numbers above 0")
    if block.get("short_factor", factors) != factors:
        note(f"{path}: short_factor differs from long_factor, which is used at every length")
    return Rotation(base, factors, number(path, block, "attention_factor"),
                    integer(path, config, "longrope_start_tokens", 0, low=0, high=1 << 32))


def rotation_tables(rotation, length, head_dim):
    """cos and sin, [length, head_dim / 2]; angles in float64, for they grow with the position."""
    frequencies = rotation.base ** -(torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    positions = torch.arange(length, dtype=torch.float64)[:, None]
    angles = positions * frequencies
    if rotation.factors:
        factors = torch.tensor(rotation.factors, dtype=torch.float32).double()
        angles = torch.where(positions < rotation.start_tokens, angles, angles / factors)
    return [(table * rotation.attention_factor).float() for table in (angles.cos(), angles.sin())]


# ---- model: x is [batch, tokens, hidden]; q, k and v are [batch, heads, tokens, head_dim] ----

def parameter_shapes(s):
    q, kv = s.heads * s.head_dim, s.kv_heads * s.head_dim
    of_layer = {
        "input_layernorm": (s.hidden,), "post_attention_layernorm": (s.hidden,),
        "self_attn.q_proj": (q, s.hidden), "self_attn.k_proj": (kv, s.hidden),
        "self_attn.v_proj": (kv, s.hidden), "self_attn.o_proj": (s.hidden, q),
        "mlp.gate_proj": (s.ffn, s.hidden), "mlp.up_proj": (s.ffn, s.hidden), "mlp.down_proj": (s.hidden, s.ffn)}
    shapes = {f"model.layers.{layer}.{name}.weight": shape
              for layer in range(s.layers) for name, shape in of_layer.items()}
    shapes |= {"model.embed_tokens.weight": (s.vocab, s.hidden), "model.norm.weight": (s.hidden,)}
    return shapes if s.tied else shapes | {"lm_head.weight": (s.vocab, s.hidden)}


def read_weights(shards, shapes):
    """Float32 parameters; beside them the files may hold only what nothing depends on."""
    found = {name: shard for shard in shards for name in shard.tensors}
    for name, shape in shapes.items():
        stored = found[name].tensors[name][1] if name in found else "missing"
        if stored != shape:
            refuse(shards[0].path, f"{name} is {stored}", f"{shape}, by config.json")
    for name in found.keys() - shapes.keys():
        if name != "lm_head.weight" and not name.endswith(".rotary_emb.inv_freq"):
            refuse(found[name].path, f"{name!r:.80}, which is not computed", "a LLaMA's tensors")
    # Copies, so that each has torch's own alignment: the order of a sum may depend on it.
    return {name: torch.empty(shape).copy_(read_tensor(found[name], name)) for name, shape in shapes.items()}


def rms_norm(x, weight, epsilon):
    return weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon))


def rotate(x, cos, sin):
    """Pair i is (x_i, x_{i + head_dim / 2}), as in every Hugging Face folder."""
    a, b = x.float().chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).to(x.dtype)


class BlockedAttention(torch.autograd.Function):
    """Causal attention for torch 1.x, a block of queries at a time; backward computes the scores again."""

    @staticmethod
    def blocks(q, k):
        """First query, end, and probabilities over the keys before the end."""
        for begin in range(0, q.shape[2], QUERY_ROWS):
            end = min(begin + QUERY_ROWS, q.shape[2])
            scores = (q[:, :, begin:end] @ k[:, :, :end].transpose(-1, -2)).float()
            later = torch.ones(end - begin, end - begin, dtype=torch.bool, device=q.device).triu(1)
            scores[..., begin:].masked_fill_(later, -math.inf)
            yield begin, end, scores.softmax(-1)

    @staticmethod
    def forward(ctx, q, k, v):
        ctx.save_for_backward(q, k, v)
        out = torch.empty_like(q)
        for begin, end, p in BlockedAttention.blocks(q, k):
            out[:, :, begin:end] = p.to(v.dtype) @ v[:, :, :end]
        return out

    @staticmethod
    def backward(ctx, d_out):
        q, k, v = ctx.saved_tensors
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k).float(), torch.zeros_like(v).float()
        for begin, end, p in BlockedAttention.blocks(q, k):
            g = d_out[:, :, begin:end]
            dv[:, :, :end] += p.to(g.dtype).transpose(-1, -2) @ g
            dp = (g @ v[:, :, :end].transpose(-1, -2)).float()
            ds = (p * (dp - (dp * p).sum(-1, keepdim=True))).to(q.dtype)
            dq[:, :, begin:end] = ds @ k[:, :, :end]
            dk[:, :, :end] += ds.transpose(-1, -2) @ q[:, :, begin:end]
        return dq, dk.to(k.dtype), dv.to(v.dtype)


def attention(q, k, v):
    group = q.shape[1] // k.shape[1]
    if group > 1:
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return BlockedAttention.apply(q * q.shape[-1] ** -0.5, k, v)


def again(function, *arguments):
    """Calls it and keeps nothing but its arguments; backward calls it a second time."""
    return checkpoint(function, *arguments, use_reentrant=True, preserve_rng_state=False)


class Model:
    """Products are in `dtype`; weights, norms, rotations, the residual x and the loss in float32."""

    def __init__(self, shape, weights, dtype=torch.float32, recompute=False):
        self.shape, self.weights, self.dtype, self.recompute = shape, weights, dtype, recompute

    def linear(self, x, name):
        return F.linear(x.to(self.dtype), self.weights[name + ".weight"].to(self.dtype))

    def norm(self, x, name):
        return rms_norm(x, self.weights[name + ".weight"], self.shape.epsilon)

    def layer(self, index, x, cos, sin):
        at = f"model.layers.{index}."
        y = self.norm(x, at + "input_layernorm")
        q, k, v = (self.linear(y, f"{at}self_attn.{name}_proj").unflatten(-1, (-1, self.shape.head_dim))
                   .transpose(1, 2) for name in "qkv")
        y = attention(rotate(q, cos, sin), rotate(k, cos, sin), v).transpose(1, 2).flatten(2)
        x = x + self.linear(y, at + "self_attn.o_proj")
        y = self.norm(x, at + "post_attention_layernorm")
        y = F.silu(self.linear(y, at + "mlp.gate_proj")) * self.linear(y, at + "mlp.up_proj")
        return x + self.linear(y, at + "mlp.down_proj")

    def last_hidden(self, ids, tables):
        x = F.embedding(ids, self.weights["model.embed_tokens.weight"])
        for index in range(self.shape.layers):
            x = again(self.layer, index, x, *tables) if self.recompute else self.layer(index, x, *tables)
        return self.norm(x, "model.norm")

    def token_nats(self, hidden, targets):
        logits = self.linear(hidden, "model.embed_tokens" if self.shape.tied else "lm_head")
        return F.cross_entropy(logits.float(), targets, reduction="none")

    def nats(self, ids, tables):
        """Sum over the tokens of ids [batch, length] that have one before them."""
        hidden = self.last_hidden(ids, tables)[:, :-1].flatten(0, 1).split(LOSS_ROWS)
        targets = ids[:, 1:].flatten().split(LOSS_ROWS)
        return sum(again(self.token_nats, h, t).sum() for h, t in zip(hidden, targets))


# ---- data ----

def read_tokens(path, shape, length):
    """The ids of a file of little-endian uint32, mapped into memory."""
    size = os.path.getsize(path)
    if size % 4 != 0 or size // 4 < length:
        refuse(path, f"{size} bytes", f"ids of 4 bytes each, at least {length} of them (--length)")
    ids = torch.from_file(path, shared=False, size=size // 4, dtype=torch.int32)
    for block in ids.split(1 << 22):
        bad = (block < 0) | (block >= shape.vocab)
        if bad.any():
            refuse(path, f"holds the id {block[bad][0].item() % (1 << 32)}", f"0 to {shape.vocab - 1}")
    if ids[0] != shape.bos:
        refuse(path, f"begins with the id {ids[0]}", f"texts that each begin with BOS, {shape.bos}")
    return ids


def sequence(tokens, length, bos, seed, step, index):
    """A random window of the packed texts, its first id replaced by BOS: a function of its arguments alone."""
    draw = hashlib.sha256(f"{seed} {step} {index}".encode()).digest()
    begin = int.from_bytes(draw, "little") % (len(tokens) - length + 1)
    ids = tokens[begin:begin + length].long()
    ids[0] = bos
    return ids


# ---- state ----

class DigestingFile:
    """What torch.save writes through. It takes the digest, for torch reads without a look at the sums in its
    files, and keeps an error to itself, for torch 1.13 aborts the process on one."""

    def __init__(self, file):
        self.file, self.digest, self.error = file, hashlib.sha256(), None

    def write(self, data):
        try:
            self.digest.update(data)
            self.file.write(data)
        except OSError as error:
            self.error = self.error or error
        return memoryview(data).nbytes

    def flush(self):
        pass

    def finish(self):
        if self.error:
            raise self.error
        self.file.write(self.digest.digest())


def save_state(path, settings, weights, optimizer, losses):
    # Numbers stand in tensors and in JSON: torch 1.13 refuses others where it loads data alone.
    state = {"settings": json.dumps(settings), "losses": torch.tensor(losses, dtype=torch.float64),
             "weights": weights, "optimizer": optimizer.state_dict()["state"]}
    with replacing(path) as file:
        digesting = DigestingFile(file)
        torch.save(state, digesting)
        digesting.finish()


def load_state(path, settings, weights, optimizer):
    """Restores weights and optimizer; returns the losses of the steps so far."""
    size = max(os.path.getsize(path) - 32, 0)
    with open(path, "rb") as file:
        file.seek(size)
        if file.read() != digest_of(path, size=size).digest():
            refuse(path, "is damaged", "a state as it was written, or none to begin anew")
    state = torch.load(path, map_location="cpu", weights_only=True)
    refuse_other_settings(path, json.loads(state["settings"]), settings)
    for name, weight in weights.items():
        weight.data.copy_(state["weights"][name])
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state["optimizer"], "param_groups": groups})
    return state["losses"].tolist()


def refuse_other_settings(path, theirs, ours):
    for key, value in ours.items():
        if theirs.get(key) != value:
            refuse(path, f"was made with {key} {theirs.get(key)}, not {value}",
                   "the same settings, or another --output and --work")


# ---- training ----

def learning_rate(options, step):
    """Of step 1 .. steps: linear warm-up, then constant, or linear to the 0 of a step after the last."""
    if step <= options.warmup:
        return options.lr * step / options.warmup
    if options.schedule == "constant":
        return options.lr
    return options.lr * (options.steps - step + 1) / (options.steps - options.warmup)


def make_optimizer(options, weights):
    matrices = [weight for weight in weights.values() if weight.dim() == 2]
    vectors = [weight for weight in weights.values() if weight.dim() == 1]
    return torch.optim.AdamW([{"params": matrices, "weight_decay": options.weight_decay},
                              {"params": vectors, "weight_decay": 0.0}],
                             lr=options.lr, betas=(options.beta1, options.beta2))


class Training:
    def __init__(self, options, settings, model, tables, tokens):
        self.options, self.settings, self.model = options, settings, model
        self.tables, self.tokens = tables, tokens
        self.optimizer = make_optimizer(options, model.weights)
        self.step_tokens = options.length * options.batch * options.accumulate
        self.losses = []  # of the steps so far, nats a token
        self.state_path = os.path.join(options.work, "state.pt")
        if os.path.exists(self.state_path):
            self.losses = load_state(self.state_path, settings, model.weights, self.optimizer)
            note(f"{self.state_path}: going on after step {len(self.losses)}")

    def save(self):
        if not all(weight.isfinite().all() for weight in self.model.weights.values()):
            raise Failed(f"step {len(self.losses)}: weights are not finite; {self.state_path} is kept")
        save_state(self.state_path, self.settings, self.model.weights, self.optimizer, self.losses)

    def accumulate(self, step):
        """Gradients of the mean loss of a step's sequences; returns that loss."""
        o, loss = self.options, 0.0
        for first in range(0, o.accumulate * o.batch, o.batch):
            if signals_seen:
                raise Stopped
            ids = torch.stack([sequence(self.tokens, o.length, self.model.shape.bos, o.seed, step, index)
                               for index in range(first, first + o.batch)]).to(o.device)
            part = self.model.nats(ids, self.tables) / (o.accumulate * o.batch * (o.length - 1))
            part.backward()
            loss += part.item()
        return loss

    def step(self, step):
        begin, rate = time.perf_counter(), learning_rate(self.options, step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.accumulate(step)
        norm = torch.nn.utils.clip_grad_norm_(self.model.weights.values(), self.options.clip or math.inf).item()
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise Failed(f"step {step}: loss {loss}, gradient norm {norm}: diverged, a lower --lr may help; "
                         f"{self.state_path} is of the last step saved")
        self.optimizer.step()
        self.losses.append(loss)
        speed = self.step_tokens / (time.perf_counter() - begin)
        print(f"step {step}/{self.options.steps} loss {loss:.4f} lr {rate:.2e} tokens/s {speed:.0f}", flush=True)

    def run(self):
        """To the last step; the table of losses begins anew from the state's."""
        path, done = os.path.join(self.options.work, "loss.csv"), len(self.losses)
        with replacing(path) as file:
            file.write("".join(["step,loss,lr,tokens\n", *map(self.row, range(1, done + 1))]).encode())
        with open(path, "a", encoding="utf-8") as table:
            for step in range(done + 1, self.options.steps + 1):
                try:
                    self.step(step)
                except Stopped:
                    self.save()
                    raise
                table.write(self.row(step))
                table.flush()
                if step % self.options.save_every == 0 or step == self.options.steps:
                    self.save()

    def row(self, step):
        rate = learning_rate(self.options, step)
        return f"{step},{self.losses[step - 1]:.6f},{rate:.6e},{step * self.step_tokens}\n"


# ---- output ----

def write_shard(path, shard, model):
    with open(path, "wb") as file:
        file.write(shard.head)
        for name, (dtype, *_) in shard.tensors.items():
            source = "model.embed_tokens.weight" if model.shape.tied and name == "lm_head.weight" else name
            if source in model.weights:
                tensor = model.weights[source].detach().cpu().to(dtype)  # to the nearest, ties to even
                if not tensor.isfinite().all():
                    raise Failed(f"{name}: does not fit into {dtype}; no output is written")
            else:
                tensor = read_tensor(shard, name)
            write_tensor(file, tensor)


def write_output(options, shards, training):
    """The folder takes its name only when all of it is on the disk."""
    folder = options.output + ".tmp"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    kept = {name for name in os.listdir(options.model) if not WEIGHT_FILE.search(name)}
    if os.path.basename(shards[0].path) != "model.safetensors":
        kept.add("model.safetensors.index.json")
    for name in kept:
        if os.path.isfile(os.path.join(options.model, name)):
            shutil.copyfile(os.path.join(options.model, name), os.path.join(folder, name))
    for shard in shards:
        write_shard(os.path.join(folder, os.path.basename(shard.path)), shard, training.model)
    record = {"settings": training.settings, "first_loss": training.losses[0], "last_loss": training.losses[-1]}
    with open(os.path.join(folder, "finetune.json"), "w", encoding="utf-8") as file:
        file.write(json.dumps(record, indent=2) + "\n")
    for name in [*os.listdir(folder), "."]:
        sync(os.path.join(folder, name))
    os.rename(folder, options.output)
    sync_folder_of(options.output)


def is_complete(options, settings):
    if not os.path.lexists(options.output):
        return False
    record = os.path.join(options.output, "finetune.json")
    if not os.path.isfile(record):
        refuse(options.output, "exists and was not written by finetune.py", "a new name")
    refuse_other_settings(record, read_json(record).get("settings") or {}, settings)
    return True


# ---- command line ----

class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Refused(f"finetune.py: {message}; allowed: see --help")


def within(kind, low, high):
    def convert(text):
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not from {low} to {high}")
        return value
    convert.__name__ = "integer" if kind is int else "number"
    return convert


def parse(arguments):
    count, beta = within(int, 1, 1 << 40), within(float, 0, 0.999999)
    parser = Parser(prog="finetune.py", description=__doc__, allow_abbrev=False,
                    formatter_class=argparse.RawDescriptionHelpFormatter)

    def need(name, kind, metavar, text):
        parser.add_argument(name, type=kind, metavar=metavar, help=text, required=True)

    def may(name, default, text, **keys):
        parser.add_argument(name, default=default, help=f"{text} (default {default})", **keys)

    need("--model", str, "DIR", "Hugging Face folder of a LLaMA or Mistral with the factors in its config.json")
    need("--tokens", str, "FILE", "texts one after the other, each from BOS on, as little-endian uint32 ids")
    need("--length", within(int, 2, 1 << 32), "N", "tokens of a sequence, BOS included")
    need("--steps", count, "S", "optimizer steps")
    need("--output", str, "DIR", "folder to write; complete as soon as it has its name")
    may("--work", "OUTPUT.work", "folder of state.pt and loss.csv", metavar="DIR")
    may("--lr", 2e-5, "peak of the learning rate", type=within(float, 1e-12, 1e6), metavar="X")
    may("--schedule", "linear", "after the warm-up: down to 0, or not", choices=["linear", "constant"])
    may("--warmup", 20, "steps of linear warm-up", type=within(int, 0, 1 << 40), metavar="N")
    may("--clip", 1.0, "limit of the gradient's norm, 0 for none", type=within(float, 0, 1e9), metavar="X")
    may("--weight-decay", 0.0, "AdamW's, on matrices", type=within(float, 0, 1e3), metavar="X")
    may("--beta1", 0.9, "AdamW's, of the gradient's mean", type=beta, metavar="X")
    may("--beta2", 0.95, "AdamW's, of its square's mean", type=beta, metavar="X")
    may("--batch", 1, "sequences computed together", type=count, metavar="N")
    may("--accumulate", 1, "batches that make a step", type=count, metavar="N")
    may("--seed", 1, "which windows of the texts are taken", type=within(int, 0, 2**64 - 1), metavar="N")
    may("--save-every", 50, "steps from one state to the next", type=count, metavar="N")
    may("--threads", 0, "of the CPU, 0 as torch chooses", type=within(int, 0, 4096), metavar="N")
    may("--dtype", "float32", "of matrix products; weights stay float32", choices=["float32", "bfloat16"])
    may("--device", "cpu", "where it is computed", choices=["cpu", "cuda"])
    parser.add_argument("--recompute", action="store_true",
                        help="compute each layer a second time in backward instead of keeping it in memory")
    options = parser.parse_args(arguments)
    options.output = options.output.rstrip("/") or parser.error("--output is no name of a folder")
    options.work = options.output + ".work" if options.work == "OUTPUT.work" else options.work
    return options


def prepare_torch(options):
    torch.set_num_threads(options.threads or torch.get_num_threads())
    torch.set_flush_denormal(True)  # moments of ids that are not met decay through denormals, slowly
    if options.device == "cuda":
        if not torch.cuda.is_available():
            refuse("--device", "torch sees no CUDA device", "cpu")
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # equal bits in every run
        torch.use_deterministic_algorithms(True, warn_only=True)


def run(options):
    config_path = os.path.join(options.model, "config.json")
    config = read_json(config_path)
    shape = read_shape(config_path, config, options.length)
    rotation = read_rotation(config_path, config, shape.head_dim)
    shards = read_shards(options.model)
    prepare_torch(options)
    tokens = read_tokens(options.tokens, shape, options.length)
    settings = {"model": digest_of(config_path, *(shard.path for shard in shards)).hexdigest(),
                "tokens": digest_of(options.tokens).hexdigest(), **{key: getattr(options, key) for key in RECIPE}}
    if is_complete(options, settings):
        return note(f"{options.output}: complete for these settings")
    weights = {name: weight.to(options.device).requires_grad_()
               for name, weight in read_weights(shards, parameter_shapes(shape)).items()}
    tables = [table.to(options.device) for table in rotation_tables(rotation, options.length, shape.head_dim)]
    os.makedirs(options.work, exist_ok=True)
    with locked(options.work):
        model = Model(shape, weights, getattr(torch, options.dtype), options.recompute)
        training = Training(options, settings, model, tables, tokens)
        training.run()
        write_output(options, shards, training)
    note(f"{options.output}: written")


def main():
    try:
        options = parse(None)
        run(options)
    except Refused as error:
        return note(error) or EXIT_BAD_INPUT
    except Failed as error:
        return note(error) or EXIT_FAILED
    except Stopped:
        return note(f"stopped; the same command goes on from {options.work}/state.pt") or EXIT_STOPPED
    except OSError as error:
        note(f"{error.filename or 'finetune.py'}: {error.strerror or error}")
        unreadable = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)
        return EXIT_BAD_INPUT if isinstance(error, unreadable) else EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
