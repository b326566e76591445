"""PyTorch on one thread, the yardstick. Its first line of input is the problem, as JSON; each further line is for how many
seconds to repeat it, at least once. Every line is answered by one of JSON."""

import json
import sys
import time

START = time.perf_counter()

import torch
import torch.nn.functional as F

LOSSES = 4


def milliseconds_since(start):
    return 1000 * (time.perf_counter() - start)


class Transformer:
    """The network of problem.js on its flat list of tensors."""

    def __init__(self, problem):
        self.size, self.epsilon = problem["size"], problem["normEpsilon"]
        self.p = {
            it["name"]: torch.tensor(it["values"], dtype=torch.float32).reshape(it["shape"]).requires_grad_() for it in problem["parameters"]
        }

    def norm(self, x, name):
        return F.layer_norm(x, x.shape[-1:], self.p[name + "g"], self.p[name + "b"], self.epsilon)

    def trunk(self, tokens):
        """What leaves the last block, (batch, length, width), from tokens, (batch, length)."""
        width, heads = self.size["width"], self.size["heads"]
        batch, length = tokens.shape
        x = (F.embedding(tokens, self.p["wte"]) + self.p["wpe"][:length]).view(batch * length, width)
        for l in range(self.size["layers"]):
            of = lambda name: self.p[f"l{l}.{name}"]
            qkv = torch.addmm(of("bqkv"), self.norm(x, f"l{l}.ln1"), of("wqkv"))
            queries, keys, values = qkv.view(batch, length, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
            attended = F.scaled_dot_product_attention(queries, keys, values, is_causal=True)
            attended = attended.transpose(1, 2).reshape(batch * length, width)
            x = x + torch.addmm(of("bo"), attended, of("wo"))
            inner = F.gelu(torch.addmm(of("b1"), self.norm(x, f"l{l}.ln2"), of("w1")), approximate="tanh")
            x = x + torch.addmm(of("b2"), inner, of("w2"))
        return x.view(batch, length, width)

    def unembed(self, x):
        return self.norm(x, "lnf") @ self.p["wte"].t()


def step(problem):
    """Steps of AdamW; each gives its loss."""
    network, size, constants = Transformer(problem), problem["size"], problem["optimiser"]
    shape = (size["batch"], size["length"])
    data = [(torch.tensor(it["inputs"]).view(shape), torch.tensor(it["targets"])) for it in problem["batches"]]
    adamw = torch.optim.AdamW(
        network.p.values(),
        lr=constants["rate"],
        betas=(constants["beta1"], constants["beta2"]),
        eps=constants["epsilon"],
        weight_decay=constants["decay"],
        fused=True,
    )

    def one(i):
        inputs, targets = data[i % len(data)]
        adamw.zero_grad()
        loss = F.cross_entropy(network.unembed(network.trunk(inputs)).flatten(0, 1), targets)
        loss.backward()
        adamw.step()
        return loss.item()

    first = [one(0)]
    first_time = milliseconds_since(START)
    first += [one(i) for i in range(1, LOSSES)]
    return first, first_time, lambda i: one(LOSSES + i)


def rollout(problem):
    """Completions, which read all that is written so far for each token."""
    network, sizes = Transformer(problem), problem["rollout"]
    prompts = torch.tensor(problem["prompts"]).view(sizes["batch"], sizes["prompt"])

    @torch.inference_mode()
    def one(draw):
        tokens = prompts
        for _ in range(sizes["written"]):
            logits = network.unembed(network.trunk(tokens)[:, -1])
            tokens = torch.cat([tokens, draw(logits)], 1)
        return tokens[:, sizes["prompt"] :].flatten().tolist()

    likeliest = lambda logits: logits.argmax(-1, keepdim=True)
    drawn = lambda logits: torch.multinomial(logits.softmax(-1), 1)
    first = one(likeliest)
    return first, milliseconds_since(START), lambda _: one(drawn)


def answer(content):
    print(json.dumps(content), flush=True)


def main():
    torch.set_num_threads(1)
    problem = json.loads(sys.stdin.readline())
    first, first_time, again = {"step": step, "rollout": rollout}[problem["work"]](problem)
    answer({"first": first, "firstTime": first_time, "version": torch.__version__})
    done = 0
    for seconds in map(float, sys.stdin):
        times, start = [], time.perf_counter()
        while not times or time.perf_counter() - start < seconds:
            before = time.perf_counter()
            again(done)
            times.append(milliseconds_since(before))
            done += 1
        answer({"times": times})


main()
