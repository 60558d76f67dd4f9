#!/usr/bin/env python3
"""A tiny LLaMA that retrieves passkeys, and what transformers says of it on some tries.

usage: make_copy_model.py [--from training|polishing|golden]

Needs torch, transformers 5, safetensors and sentencepiece (never needed to build, run or test this
project). One thread, float32; some twenty minutes. Each step begins with what the one before it
stored. Fails unless 200 tries that no step has seen are right at each of the lengths 128, 256 and
512.
"""

import argparse
import copy
import json
import pathlib
import random

import sentencepiece
import torch
import transformers
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).resolve().parent
LENGTHS = (128, 256, 512)  # tokens of prompt and answer together, at most
LONGEST = LENGTHS[-1]
HELD_OUT = 200  # tries a length, all of which must be right
DECAY = 1200  # last steps of training, at a falling rate
STEPS = ("training", "polishing", "golden")

TASK = ("There is an important info hidden inside a lot of irrelevant text. Find it and memorize "
        "them. I will quiz you about the important information there.")
FILLER = (" The grass is green. The sky is blue. The sun is yellow. Here we go. There and back "
          "again.")
QUESTION = " What is the pass key? The pass key is"


def prompt(before, after, key):
    """The paper's prompt with the key after `before` of the repeats of the filler."""
    fact = f" The pass key is {key}. Remember it. {key} is the pass key."
    return TASK + FILLER * before + fact + FILLER * after + QUESTION


def train_tokenizer():
    """BPE as LLaMA-2's, digits one by one; a piece for every word of the prompt."""
    draw = random.Random(1)
    sample = HERE / "sample.txt"
    sample.write_text("\n".join(prompt(2, 2, draw.randint(10000, 99999)) for _ in range(200)) +
                      "\n")
    sentencepiece.SentencePieceTrainer.train(
        input=str(sample), model_prefix=str(HERE / "tokenizer"), model_type="bpe", vocab_size=256,
        hard_vocab_limit=False, split_digits=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False, add_dummy_prefix=True, num_threads=1,
        max_sentence_length=16384, unk_id=0, bos_id=1, eos_id=2, pad_id=-1, minloglevel=2)
    sample.unlink()
    (HERE / "tokenizer.vocab").unlink()
    (HERE / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True}, indent=2) + "\n")


class Prompts:
    """Token ids of prompts, put together from those of their parts."""

    def __init__(self):
        self.spm = sentencepiece.SentencePieceProcessor(model_file=str(HERE / "tokenizer.model"))
        self.task, self.filler, self.question = (
            self.spm.encode(part.strip()) for part in (TASK, FILLER, QUESTION))
        self.empty = len(self.ids(0, 0, 12345))
        for before, after, key in [(0, 0, 17865), (2, 1, 90010), (0, 3, 55555)]:
            assert self.ids(before, after, key) == self.whole(prompt(before, after, key) + f" {key}")

    def whole(self, text):
        """The ids of a text as a tokenizer of LLaMA's makes them."""
        return [self.spm.bos_id()] + self.spm.encode(text)

    def ids(self, before, after, key):
        """BOS, prompt, answer."""
        fact = self.spm.encode(f"The pass key is {key}. Remember it. {key} is the pass key.")
        return ([self.spm.bos_id()] + self.task + self.filler * before + fact +
                self.filler * after + self.question + self.spm.encode(str(key)))

    def answer(self, before, after, key):
        """Position of the answer's first id: behind what prompt and whole text share."""
        whole, alone = self.ids(before, after, key), self.whole(prompt(before, after, key))
        shared = 0
        while shared < len(alone) and alone[shared] == whole[shared]:
            shared += 1
        return shared

    def repeats(self, length):
        """Of the filler, that fit into `length` tokens."""
        return (length - self.empty) // len(self.filler)

    def batch(self, draw, size, filler):
        """Tries of equal length; weights of their targets, high for the two mentions of the key
        that can be known; how many ids the answers have."""
        rows, weights = [], []
        for _ in range(size):
            before = draw.randint(0, filler)
            key = draw.randint(10000, 99999)
            tokens = self.ids(before, filler - before, key)
            digits = self.spm.encode(str(key))
            weight = [1 / len(tokens)] * len(tokens)
            second = [i for i in range(len(tokens) - len(digits))
                      if tokens[i:i + len(digits)] == digits][1]
            weight[second:second + len(digits)] = [0.5] * len(digits)
            weight[-len(digits):] = [1] * len(digits)
            rows.append(tokens)
            weights.append(weight)
        return torch.tensor(rows), torch.tensor(weights), len(digits)


def new_model(vocab):
    torch.manual_seed(3)
    config = transformers.LlamaConfig(
        hidden_size=64, intermediate_size=128, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=4, head_dim=16, vocab_size=vocab, tie_word_embeddings=True,
        max_position_embeddings=LONGEST, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2)
    return transformers.LlamaForCausalLM(config)


def losses(model, ids):
    logits = model(ids).logits[:, :-1]
    return torch.nn.functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), ids[:, 1:].reshape(-1), reduction="none"
    ).view(ids.shape[0], -1), logits


def right_tries(model, prompts, draw, filler, tries):
    """How many answers greedy reading would give, token by token."""
    right = 0
    with torch.no_grad():
        for _ in range(0, tries, 20):
            ids, _, count = prompts.batch(draw, 20, filler)
            likeliest = model(ids).logits[:, :-1].argmax(-1)
            right += (likeliest[:, -count:] == ids[:, -count:]).all(-1).sum().item()
    return right


def all_right(model, prompts, seed):
    """Are the held-out tries of every length?"""
    found = [right_tries(model, prompts, random.Random(seed + length), prompts.repeats(length),
                         HELD_OUT) for length in LENGTHS]
    print(f"{found} of {HELD_OUT} right at {LENGTHS} tokens", flush=True)
    return min(found) == HELD_OUT


def learn(model, optimizer, prompts, draw, filler):
    """One step on 16 tries; the loss."""
    ids, weights, _ = prompts.batch(draw, 16, filler)
    each, _ = losses(model, ids)
    loss = (each * weights[:, 1:]).sum() / weights[:, 1:].sum()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def adam(model, rate):
    return torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.01)


def train(prompts):
    """The filler grows with what has been learned; at its full length the rate falls to nothing."""
    model = new_model(prompts.spm.get_piece_size())
    optimizer = adam(model, 2e-3)
    draw, held_out = random.Random(2), random.Random(4)
    most = prompts.repeats(LONGEST)
    reach, settled = 1, None
    for step in range(1, 20001):
        rate = 2e-3 * min(1, step / 100)
        if settled is not None:
            rate *= 1 - (step - settled) / (DECAY + 1)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = learn(model, optimizer, prompts, draw, draw.randint(0, reach))
        if step % 50:
            continue
        right = right_tries(model, prompts, held_out, reach, 40)
        print(f"step {step}, loss {loss:.4f}, {right} of 40 right with {reach} repeats", flush=True)
        if right >= 34 and reach < most:
            reach = min(most, reach + 3)
        elif right >= 34 and settled is None:
            settled = step
        if settled is not None and step == settled + DECAY:
            return model
    raise SystemExit("not learned")


def polish(model, prompts):
    """Mostly the longest filler, until the mean of the last steps' weights is right on all that is
    held out."""
    mean, optimizer, draw = copy.deepcopy(model), adam(model, 3e-4), random.Random(5)
    most = prompts.repeats(LONGEST)
    for step in range(1, 3001):
        loss = learn(model, optimizer, prompts, draw, most if step % 3 else draw.randint(0, most))
        with torch.no_grad():
            for kept, now in zip(mean.parameters(), model.parameters()):
                kept.lerp_(now, 0.02)
        if step % 25:
            continue
        right = right_tries(mean, prompts, random.Random(step), most, 60)
        print(f"polish {step}, loss {loss:.4f}, {right} of 60 right", flush=True)
        if right == 60 and all_right(mean, prompts, 10000):
            return mean
    raise SystemExit("not all right")


def stored_model():
    return transformers.AutoModelForCausalLM.from_pretrained(
        HERE, dtype=torch.float32, attn_implementation="eager").eval()


def save(model):
    tensors = {name: value.detach().to(torch.bfloat16).contiguous()
               for name, value in model.state_dict().items() if name != "lm_head.weight"}
    save_file(tensors, HERE / "model.safetensors", metadata={"format": "pt"})
    config = model.config
    (HERE / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama",
        "vocab_size": config.vocab_size, "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads, "head_dim": config.head_dim,
        "max_position_embeddings": config.max_position_embeddings,
        "rms_norm_eps": config.rms_norm_eps, "rope_theta": 10000.0, "hidden_act": "silu",
        "tie_word_embeddings": True, "attention_bias": False, "mlp_bias": False,
        "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "bfloat16"}, indent=2) + "\n")


def golden(model, prompts):
    """Some tries as transformers reads them."""
    draw = random.Random(7)
    cases = []
    for length in LENGTHS + (2 * LONGEST,):  # the last one beyond what was learned
        filler = prompts.repeats(length)
        for before in (0, filler // 3, filler):
            key = draw.randint(10000, 99999)
            ids = prompts.ids(before, filler - before, key)
            answer = prompts.answer(before, filler - before, key)
            with torch.no_grad():
                each, logits = losses(model, torch.tensor([ids]))
            likeliest = logits[0].argmax(-1).tolist()
            cases.append({"length": length, "before": before, "filler": filler, "key": key,
                          "answer": answer, "right": likeliest[answer - 1:] == ids[answer:],
                          "nats": float(f"{each[0, answer - 1:].double().sum().item():.9g}"),
                          "likeliest": likeliest[answer - 1:], "ids": ids})
    (HERE / "passkey.json").write_text(
        json.dumps({"cases": cases}, indent=0, separators=(",", ":")) + "\n")
    for case in cases:
        print({key: value for key, value in case.items() if key != "ids"})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--from", dest="begin", choices=STEPS, default=STEPS[0])
    begin = STEPS.index(parser.parse_args().begin)
    torch.set_num_threads(1)
    if begin == 0:
        train_tokenizer()
        save(train(Prompts()))
    prompts = Prompts()
    if begin <= 1:
        save(polish(stored_model(), prompts))
    model = stored_model()
    assert all_right(model, prompts, 20000)
    golden(model, prompts)


if __name__ == "__main__":
    main()
