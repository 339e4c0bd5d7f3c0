# SPDX-License-Identifier: BSD-3-Clause
"""PyTorch's side of tests/bench/peers: the model that FOLDER/about.json describes, with the weights and the batch beside it.

Usage: peer_torch.py FOLDER eager|compile f32|bf16; obeys the commands of tests/bench/peer.c.
"""
import contextlib
import json
import math
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

CONV = "resnet18", "leaf_cnn"  # may do better with channels last


class Weights:
    def __init__(self, folder):
        with open(f"{folder}/about.json", encoding="utf-8") as f:
            self.about = json.load(f)
        self.flat = torch.from_file(f"{folder}/weights", size=self.count(), dtype=torch.float32).clone()

    def count(self):
        return max(offset + math.prod(shape) for offset, *shape in self.about["tensors"].values())

    def get(self, name):
        offset, *shape = self.about["tensors"][name]
        return self.flat[offset:offset + math.prod(shape)].reshape(shape)

    def has(self, name):
        return name in self.about["tensors"]


def linear(w, name):
    weight = w.get(name + ".weight").reshape(-1, w.get(name + ".weight").shape[-1])
    m = nn.Linear(*weight.shape, bias=w.has(name + ".bias"))
    m.weight.data = weight.t().contiguous()
    if m.bias is not None:
        m.bias.data = w.get(name + ".bias").clone()
    return m


def conv(w, name, stride=1, pad=0):
    weight = w.get(name + ".weight")
    k, _, c, o = weight.shape
    m = nn.Conv2d(c, o, k, stride, pad, bias=w.has(name + ".bias"))
    m.weight.data = weight.permute(3, 2, 0, 1).contiguous()
    if m.bias is not None:
        m.bias.data = w.get(name + ".bias").clone()
    return m


def norm(w, name, eps):
    m = nn.LayerNorm(w.get(name + ".weight").shape[0], eps=eps)
    m.weight.data = w.get(name + ".weight").clone()
    m.bias.data = w.get(name + ".bias").clone()
    return m


class Block(nn.Module):
    def __init__(self, w, name, heads, causal, eps, length):
        super().__init__()
        self.norm1, self.norm2 = norm(w, name + "norm1", eps), norm(w, name + "norm2", eps)
        self.qkv, self.proj = linear(w, name + "attn.qkv"), linear(w, name + "attn.proj")
        self.up, self.down = linear(w, name + "mlp.up"), linear(w, name + "mlp.down")
        self.heads, self.causal, self.fused = heads, causal, hasattr(F, "scaled_dot_product_attention")
        self.register_buffer("mask", torch.full((length, length), -math.inf).triu(1))

    def attention(self, x):
        b, t, d = x.shape
        q, k, v = (a.reshape(b, t, self.heads, -1).transpose(1, 2) for a in self.qkv(x).chunk(3, -1))
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        else:
            a = q @ k.transpose(-2, -1) * (1 / math.sqrt(d // self.heads))
            y = F.softmax(a + self.mask if self.causal else a, -1) @ v
        return self.proj(y.transpose(1, 2).reshape(b, t, d))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


def blocks(w, causal, eps, length):
    n = sum(name.endswith("attn.qkv.weight") for name in w.about["tensors"])
    return nn.Sequential(*[Block(w, f"blocks.{i}.", w.about["heads"], causal, eps, length) for i in range(n)])


class Gpt(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.embed = nn.Parameter(w.get("embed.weight").clone())
        self.pos = nn.Parameter(w.get("pos.weight").clone())
        self.blocks = blocks(w, True, 1e-5, w.about["input"][0])
        self.norm = norm(w, "norm", 1e-5)

    def forward(self, ids):
        x = F.embedding(ids, self.embed) + self.pos
        return F.linear(self.norm(self.blocks(x)), self.embed).flatten(0, 1)


class Vit(nn.Module):
    def __init__(self, w):
        super().__init__()
        c, side = w.about["input"][2], round(math.sqrt(w.get("patch.weight").shape[0] / w.about["input"][2]))
        self.patch = nn.Conv2d(c, w.get("pos").shape[1], side, side)
        self.patch.weight.data = w.get("patch.weight").reshape(side, side, c, -1).permute(3, 2, 0, 1).contiguous()
        self.patch.bias.data = w.get("patch.bias").clone()
        self.cls, self.pos = nn.Parameter(w.get("cls").clone()), nn.Parameter(w.get("pos").clone())
        self.blocks = blocks(w, False, 1e-6, w.get("pos").shape[0])
        self.norm, self.head = norm(w, "norm", 1e-6), linear(w, "head")

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], 1, -1), x], 1) + self.pos
        return self.head(self.norm(self.blocks(x)[:, 0]))


class ConvNorm(nn.Module):
    def __init__(self, w, name, stride=1):
        super().__init__()
        self.conv = conv(w, name, stride, w.get(name + ".weight").shape[0] // 2)
        self.norm = nn.BatchNorm2d(self.conv.out_channels)

    def forward(self, x):
        return self.norm(self.conv(x))


class Residual(nn.Module):
    def __init__(self, w, name, stride):
        super().__init__()
        self.one, self.two = ConvNorm(w, name + "conv1", stride), ConvNorm(w, name + "conv2")
        self.skip = ConvNorm(w, name + "down", stride) if w.has(name + "down.weight") else nn.Identity()

    def forward(self, x):
        return F.relu(self.two(F.relu(self.one(x))) + self.skip(x))


class Resnet(nn.Module):
    def __init__(self, w):
        super().__init__()
        names = [f"stages.{i}.{j}." for i in range(4) for j in range(2)]
        self.stem, self.head = ConvNorm(w, "stem"), linear(w, "head")
        self.stages = nn.Sequential(*[Residual(w, n, 2 if n[7] != "0" and n[9] == "0" else 1) for n in names])

    def forward(self, x):
        return self.head(self.stages(F.relu(self.stem(x))).mean((2, 3)))


class LeafCnn(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.one, self.two = conv(w, "conv1", 1, 2), conv(w, "conv2", 1, 2)
        self.dense, self.head = linear(w, "dense"), linear(w, "head")
        side = 7  # Atoll's channels are last where this flattens them first
        order = torch.arange(self.dense.in_features).reshape(side, side, -1).permute(2, 0, 1).flatten()
        self.dense.weight.data = self.dense.weight.data[:, order].contiguous()

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.one(x)), 2)
        x = F.max_pool2d(F.relu(self.two(x)), 2)
        return self.head(F.relu(self.dense(x.flatten(1))))


def mlp(w):
    hidden = sum(name.startswith("hidden") and name.endswith("weight") for name in w.about["tensors"])
    layers = [m for i in range(hidden) for m in (linear(w, f"hidden.{i}"), nn.ReLU())]
    return nn.Sequential(*layers, linear(w, "head"))


def build(w):
    row = w.about["row"]
    return Gpt(w) if row.startswith("gpt") else Vit(w) if row.startswith("deit") else \
        {"resnet18": Resnet, "leaf_cnn": LeafCnn}.get(row, mlp)(w)


class Peer:
    def __init__(self, folder, mode, precision):
        self.w, self.mode, self.precision = Weights(folder), mode, precision
        shape = [self.w.about["batch"], *self.w.about["input"]]
        tokens = self.w.about["row"].startswith("gpt")
        self.x = torch.from_file(f"{folder}/input", size=math.prod(shape),
                                 dtype=torch.int32 if tokens else torch.float32).clone().reshape(shape)
        self.x = self.x.long() if tokens else self.x.permute(0, 3, 1, 2).contiguous() if len(shape) == 4 else self.x
        count = math.prod(shape) if tokens else shape[0]
        self.target = torch.from_file(f"{folder}/target", size=count, dtype=torch.int32).long()
        self.flags = [mode]
        if self.w.about["row"] in CONV:
            self.flags.append("channels_last" if self.last_is_faster() else "channels_first")
        self.restart()

    def last_is_faster(self):
        seconds = {}
        for last in (False, True, False, True):
            self.flags = ["eager"] + ["channels_last"] * last
            self.restart(compiled=False)
            self.step()
            start = time.process_time()
            self.step()
            seconds[last] = time.process_time() - start
        self.flags = [self.mode]
        return seconds[True] < seconds[False]

    def restart(self, compiled=True):
        model = build(self.w)
        if "channels_last" in self.flags:
            model = model.to(memory_format=torch.channels_last)
            self.x = self.x.contiguous(memory_format=torch.channels_last)
        elif self.x.dim() == 4:
            self.x = self.x.contiguous()
        self.optimizer = self.make_optimizer(model)
        self.model = torch.compile(model) if compiled and self.mode == "compile" else model

    def make_optimizer(self, model):
        kind = torch.optim.AdamW if self.w.about["optimizer"] == "adamw" else torch.optim.SGD
        options = {"lr": self.w.about["lr"]}
        if kind is torch.optim.AdamW:
            options.update(betas=(0.9, 0.95), eps=1e-8, weight_decay=0.0)
        for extra in ({"fused": True}, {"foreach": True}):  # the fastest that this version has
            try:
                optimizer = kind(model.parameters(), **options, **extra)
                self.flags = [f for f in self.flags if f not in ("fused", "foreach")] + list(extra)
                return optimizer
            except (RuntimeError, TypeError, ValueError):
                continue
        return kind(model.parameters(), **options)

    def step(self):
        bf16 = self.precision == "bf16"
        with torch.autocast("cpu", torch.bfloat16) if bf16 else contextlib.nullcontext():
            loss = F.cross_entropy(self.model(self.x).float(), self.target)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss

    def losses(self, n):
        values = [self.step().item() for _ in range(n)]
        self.restart()
        self.step()  # compiled again if need be
        return values

    def steps(self, seconds):
        wall, cpu, n, some, spent = time.perf_counter(), time.process_time(), 0, 1, 0
        while spent < seconds:
            some *= 2 if spent < seconds / 16 else 1
            for _ in range(some // 2):
                self.step()
            n += some // 2
            spent = time.process_time() - cpu
        return {"n": n, "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def main():
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    peer = Peer(*sys.argv[1:4])
    print(json.dumps({"flags": " ".join(peer.flags)}), flush=True)
    for line in sys.stdin:
        command, value = line.split()
        print(json.dumps(peer.losses(int(value)) if command == "losses" else peer.steps(float(value))), flush=True)


if __name__ == "__main__":
    main()
