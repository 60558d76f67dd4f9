#!/usr/bin/env python3
"""A worker whose scores are a formula of the factors and the ids, and which may misbehave.

usage: fake_worker.py [--as WHAT] [--after N] [--once FILE] [--only-worker K --number I] ...
  WHAT: what happens at the task after N good answers (README of the tests that use it).
  --once FILE: only in the first process that finds FILE missing, which it makes.
"""
import argparse, hashlib, json, math, os, signal, struct, sys, threading, time

parser = argparse.ArgumentParser()
parser.add_argument("--as", dest="what", default="")
parser.add_argument("--after", type=int, default=0)
parser.add_argument("--once", default="")
parser.add_argument("--inline", action="store_true")
parser.add_argument("--fingerprint", default="fake 1")
parser.add_argument("--pairs", type=int, default=16)
parser.add_argument("--vocab", type=int, default=4096)
parser.add_argument("--protocol", type=int, default=1)
parser.add_argument("--seconds", type=float, default=0)  # that a score takes, with heartbeats
parser.add_argument("--trace", default="")  # a file that gets a line for every process and task
args = parser.parse_args()


def say(**message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def trace(text):
    if args.trace:
        with open(args.trace, "a") as file:
            file.write(text + "\n")


def content(shared, unit):
    if isinstance(shared, list):
        return shared
    data = open(shared["path"], "rb").read()
    assert hashlib.sha256(data).hexdigest() == shared["sha256"]
    return [one[0] for one in struct.iter_unpack(unit, data)]


def answer(document, task):
    """Nats that a sum in another order, or a factor that is a bit off, would change."""
    ids = content(document["tokens"], "<i")
    assert len(ids) == document["length"] == task["length"]
    marks = content(document["scored"], "B") if "scored" in document else [1] * len(ids)
    count = sum(marks[1:])
    cost = sum((x - 1 - 6 * (i / args.pairs) ** 2) ** 2 for i, x in enumerate(task["lambda"]))
    cost += abs(task["start_tokens"] - 16) / 100 + abs(task["attention_factor"] - 1.07)
    cost += sum(ids[i] for i in range(len(ids)) if marks[i]) / (len(ids) * args.vocab)
    return {"nats": count * math.log(1 + cost), "tokens": count, "status": "done"}


def misbehave(task, good):
    number = task["task"]
    if args.what == "die":
        print("the last words", file=sys.stderr)
        sys.exit(3)
    if args.what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if args.what == "hang":
        time.sleep(3600)
    if args.what == "hang-stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(3600)
    if args.what == "close":
        os.close(1)
        time.sleep(3600)
    if args.what == "never":  # alive, but never done
        while True:
            say(type="heartbeat")
            time.sleep(0.05)
    if args.what == "nan":
        return say(type="answer", task=number, **{**good, "nats": math.nan})
    if args.what == "null":
        return say(type="answer", task=number, **{**good, "nats": None})
    if args.what == "negative":
        return say(type="answer", task=number, **{**good, "nats": -1.0})
    if args.what == "non-finite":
        return say(type="answer", task=number, tokens=good["tokens"], status="non_finite")
    if args.what == "count":
        return say(type="answer", task=number, **{**good, "tokens": good["tokens"] - 1})
    if args.what == "task":
        return say(type="answer", task=number + 1000, **good)
    if args.what == "twice":
        say(type="answer", task=number, **good)
        return say(type="answer", task=number, **{**good, "nats": 1.0})
    if args.what == "status":
        return say(type="answer", task=number, **{**good, "status": "fine"})
    if args.what == "failed":
        return say(type="answer", task=number, status="failed", message="out of luck")
    if args.what == "garbage":
        return print("Loading checkpoint shards: 100%", flush=True)
    if args.what == "hello":
        return hello()
    if args.what == "nested":
        return print("[" * 100000, flush=True)
    if args.what == "long":
        block = "x" * (1 << 20)
        try:
            for _ in range(100):
                sys.stdout.write(block)
            sys.stdout.flush()
        finally:
            os._exit(0)
    if args.what == "flood":  # of its log, while nobody waits for it
        for i in range(20000):
            print("warning", i, file=sys.stderr)
        sys.stderr.write("\rbar " * 1000 + "\x1b" + "x" * 3000000 + "\n")
        return say(type="answer", task=number, **good)
    raise SystemExit("no such misbehaviour: " + args.what)


def hello():
    say(type="hello", protocol=args.protocol, worker="fake_worker 1",
        fingerprint={"model": args.fingerprint}, vocab=args.vocab, inline=args.inline,
        rope={"pairs": args.pairs, "base": 10000.0, "original_length": 256})


def first_of(path):
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False


def main():
    trace(f"process {os.getpid()}")
    bad = bool(args.what) and (not args.once or first_of(args.once))
    if bad and args.what == "mute":
        time.sleep(3600)
    if bad and args.what == "early":
        sys.exit("no model here")
    hello()
    documents, done = [], 0
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "shutdown":
            trace("shutdown")
            return
        if message["type"] == "start":
            assert message["protocol"] == 1
            documents = message["documents"]
            continue
        trace(f"task {message['document']}")
        good = answer(documents[message["document"]], message)
        end = time.monotonic() + args.seconds
        while time.monotonic() < end:
            say(type="heartbeat")
            time.sleep(min(0.05, args.seconds))
        if bad and done == args.after:
            misbehave(message, good)
        else:
            say(type="answer", task=message["task"], **good)
        done += 1


main()
