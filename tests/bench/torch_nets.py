# SPDX-License-Identifier: BSD-3-Clause
"""Atoll's small presets as PyTorch modules, with PyTorch's own initial weights: what FedAvg's peers train."""
from torch import nn

IMAGE, FLAT = (1, 28, 28), (784,)


def build(name, classes):
    """(module, shape of an example)"""
    if name == "leaf_cnn":
        return nn.Sequential(nn.Conv2d(1, 32, 5, padding=2), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(32, 64, 5, padding=2), nn.MaxPool2d(2),
                             nn.ReLU(), nn.Flatten(), nn.Linear(64 * 49, 2048), nn.ReLU(), nn.Linear(2048, classes)), IMAGE
    if name == "mlp":
        return nn.Sequential(nn.Linear(784, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, classes)), FLAT
    return nn.Sequential(nn.Linear(784, classes)), FLAT
