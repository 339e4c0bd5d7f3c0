# SPDX-License-Identifier: BSD-3-Clause
"""The simulators' side of tests/bench/peers_simulators: federated averaging in pfl-research and in Flower, and the loss of weights.

Usage: simulators.py versions | loss FOLDER THETA ... | pfl FOLDER OUT ROUNDS | flower FOLDER OUT ROUNDS CPUS

FOLDER has about.json (model, classes, clients, batch, lr, layout of the weights), data.npz (x, label: clients first) and theta.npy, the
initial weights.  A simulator writes its last weights to OUT and prints the wall seconds of each round as JSON.

Both get the shortest client that their interfaces allow: tensors in memory, no DataLoader, no metrics, no logging, no evaluation but for
pfl-research's in the first round.  pfl-research goes through a client's batches in the same order every time, Flower's client shuffles.
"""
import functools
import json
import logging
import math
import os
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(1)


class Model(nn.Module):
    """Atoll's preset, with the two functions that pfl-research asks for."""

    def __init__(self, name, classes):
        super().__init__()
        if name == "leaf_cnn":
            self.net = nn.Sequential(nn.Conv2d(1, 32, 5, padding=2), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(32, 64, 5, padding=2),
                                     nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(64 * 49, 2048), nn.ReLU(),
                                     nn.Linear(2048, classes))
        elif name == "mlp":
            self.net = nn.Sequential(nn.Linear(784, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, classes))
        else:
            self.net = nn.Sequential(nn.Linear(784, classes))

    def forward(self, x):
        return self.net(x)

    def loss(self, x, y):
        return F.cross_entropy(self.net(x), y)

    def metrics(self, x, y):
        from pfl.metrics import Weighted
        return {"loss": Weighted(F.cross_entropy(self.net(x), y, reduction="sum").item(), len(y))}


def atoll_to_torch(array, shape):
    """Atoll keeps [inputs][outputs], pixels before channels; PyTorch the reverse."""
    a = torch.from_numpy(array.reshape(shape))
    if len(shape) == 4:
        return a.permute(3, 2, 0, 1)
    if len(shape) == 2 and shape[0] == 49 * 64:
        a = a.reshape(49, 64, shape[1]).permute(1, 0, 2).reshape(shape)
    return a.t() if len(shape) == 2 else a


def torch_to_atoll(tensor, shape):
    a = tensor.detach()
    if len(shape) == 4:
        a = a.permute(2, 3, 1, 0)
    elif len(shape) == 2:
        a = a.t()
        if shape[0] == 49 * 64:
            a = a.reshape(64, 49, shape[1]).permute(1, 0, 2)
    return a.numpy().reshape(-1)


class Task:
    def __init__(self, folder):
        with open(f"{folder}/about.json", encoding="utf-8") as f:
            vars(self).update(json.load(f))
        with np.load(f"{folder}/data.npz") as data:
            self.x, self.label = torch.from_numpy(data["x"]), torch.from_numpy(data["label"]).long()
        self.x = self.x.reshape(self.x.shape[0], self.x.shape[1], *([1, 28, 28] if self.name == "leaf_cnn" else [784]))
        self.model = Model(self.name, self.classes)

    def load(self, path):
        theta = np.load(path)
        with torch.no_grad():
            for p, (offset, *shape) in zip(self.model.parameters(), self.layout, strict=True):
                p.copy_(atoll_to_torch(theta[offset:offset + math.prod(shape)], shape))

    def save(self, path):
        theta = np.zeros(max(offset + math.prod(shape) for offset, *shape in self.layout), "f4")
        for p, (offset, *shape) in zip(self.model.parameters(), self.layout, strict=True):
            theta[offset:offset + math.prod(shape)] = torch_to_atoll(p, shape)
        np.save(path, theta)

    def loss(self):
        with torch.no_grad():
            return sum(self.model.loss(x, y).item() for x, y in zip(self.x, self.label)) / self.clients


# --- pfl-research ----------------------------------------------------------------------------------------------------------------

def run_pfl(task, rounds):
    from pfl.aggregate.simulate import SimulatedBackend
    from pfl.aggregate.weighting import WeightByDatapoints
    from pfl.algorithm.base import NNAlgorithmParams
    from pfl.algorithm.federated_averaging import FederatedAveraging
    from pfl.callback.base import TrainingProcessCallback
    from pfl.data.federated_dataset import FederatedDataset
    from pfl.data.pytorch import PyTorchTensorDataset
    from pfl.data.sampling import get_user_sampler
    from pfl.hyperparam.base import NNEvalHyperParams, NNTrainHyperParams
    from pfl.metrics import Metrics
    from pfl.model.pytorch import PyTorchModel

    times = [time.perf_counter()]

    class Clock(TrainingProcessCallback):
        def after_central_iteration(self, aggregate_metrics, model, *, central_iteration):
            times.append(time.perf_counter())
            return False, Metrics()

    users = [PyTorchTensorDataset((x, y)) for x, y in zip(task.x, task.label)]
    data = FederatedDataset(users.__getitem__, get_user_sampler("minimize_reuse", range(task.clients)))
    model = PyTorchModel(task.model, torch.optim.SGD, torch.optim.SGD(task.model.parameters(), lr=1.0))
    FederatedAveraging().run(
        NNAlgorithmParams(central_num_iterations=rounds, evaluation_frequency=10**9, train_cohort_size=task.clients, val_cohort_size=0),
        SimulatedBackend(training_data=data, val_data=data, postprocessors=[WeightByDatapoints()]), model,
        NNTrainHyperParams(local_num_epochs=1, local_learning_rate=task.lr, local_batch_size=task.batch),
        NNEvalHyperParams(local_batch_size=None), callbacks=[Clock()], send_metrics_to_platform=False)
    return [b - a for a, b in zip(times, times[1:])]


# --- Flower ----------------------------------------------------------------------------------------------------------------------

@functools.cache
def task_here(folder):
    """One for each of Ray's workers, which keep it."""
    return Task(folder)


def train_one(message, context):
    """Flower's client: what `atoll` does for one client."""
    from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
    task = task_here(os.environ["ATOLL_SIMULATORS_TASK"])
    task.model.load_state_dict(message.content["arrays"].to_torch_state_dict())
    client = context.node_config["partition-id"]
    x, y = task.x[client], task.label[client]
    optimiser = torch.optim.SGD(task.model.parameters(), lr=task.lr)
    for rows in torch.randperm(len(y)).split(task.batch):
        optimiser.zero_grad()
        task.model.loss(x[rows], y[rows]).backward()
        optimiser.step()
    answer = RecordDict({"arrays": ArrayRecord(task.model.state_dict()), "metrics": MetricRecord({"num-examples": len(y)})})
    return Message(content=answer, reply_to=message)


def run_flower(task, rounds, folder, cpus):
    os.environ.update(ATOLL_SIMULATORS_TASK=folder, FLWR_TELEMETRY_ENABLED="0", RAY_USAGE_STATS_ENABLED="0")
    import ray
    from flwr.app import ArrayRecord
    from flwr.clientapp import ClientApp
    from flwr.serverapp import ServerApp
    from flwr.serverapp.strategy import FedAvg
    from flwr.simulation import run_simulation

    import simulators  # by name, so that Ray's workers import it and keep its data

    logging.disable(logging.WARNING)
    times = []

    class Timed(FedAvg):
        def configure_train(self, *args):
            times.append(time.perf_counter())
            return super().configure_train(*args)

    client, server = ClientApp(), ServerApp()
    client.train()(simulators.train_one)

    @server.main()
    def main(grid, context):
        strategy = Timed(fraction_train=1.0, fraction_evaluate=0.0, min_available_nodes=task.clients)
        result = strategy.start(grid=grid, initial_arrays=ArrayRecord(task.model.state_dict()), num_rounds=rounds)
        times.append(time.perf_counter())
        task.model.load_state_dict(result.arrays.to_torch_state_dict())

    run_simulation(server, client, num_supernodes=task.clients, backend_config={
        "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
        "init_args": {"num_cpus": cpus, "logging_level": "error", "log_to_driver": False}})
    ray.shutdown()
    return [b - a for a, b in zip(times, times[1:])]


def main():
    what, *words = sys.argv[1:]
    if what == "versions":
        from importlib.metadata import version
        print(json.dumps({"Python": sys.version.split()[0], **{name: version(name) for name in ("torch", "pfl", "flwr", "ray")}}))
        return
    task = Task(words[0])
    if what == "loss":
        losses = []
        for path in words[1:]:
            task.load(path)
            losses.append(task.loss())
        print(json.dumps(losses))
        return
    task.load(f"{words[0]}/theta.npy")
    out = os.dup(1)  # the simulators print
    os.dup2(2, 1)
    rounds = int(words[2])
    seconds = run_pfl(task, rounds) if what == "pfl" else run_flower(task, rounds, words[0], int(words[3]))
    task.save(words[1])
    os.write(out, json.dumps(seconds).encode())


if __name__ == "__main__":
    main()
