"""torch's scaled_dot_product_attention on the shapes of measure.cc, as lines of its table. Causal attention
of a whole sequence: per FLOP what the last block of rows costs, too."""
import time

import torch

for name, heads, kv_heads in (("LLaMA-2-7B", 32, 32), ("Mistral-7B", 32, 8)):
    for length in (4096, 32768):
        q = torch.randn(1, heads, length, 128, device="cuda", dtype=torch.bfloat16)
        k = torch.randn(1, kv_heads, length, 128, device="cuda", dtype=torch.bfloat16)
        k = k.repeat_interleave(heads // kv_heads, 1)
        best = float("inf")
        for _ in range(4):
            torch.cuda.synchronize()
            begin = time.perf_counter()
            torch.nn.functional.scaled_dot_product_attention(q, k, k, is_causal=True)
            torch.cuda.synchronize()
            best = min(best, time.perf_counter() - begin)
        flops = 4 * length * (length / 2) * heads * 128
        print(f"| {name} | torch {torch.__version__}, causal attention of {length} | {best * 1e3:.4g} ms "
              f"| {flops / best / 1e12:.1f} |")
