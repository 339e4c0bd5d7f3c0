# SPDX-License-Identifier: BSD-3-Clause
"""Small runs, sweeps and data sets in the layout that Atoll writes, made up for the tests."""
import os
import sys

import h5py
import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

SILOS = ["de", "en"]
PAYLOAD = 3.0e6


def put(f, path, values, units, description, axes=(), is_volatile=False):
    d = f.create_dataset(path, data=values)
    d.attrs["units"], d.attrs["description"] = np.bytes_(units), np.bytes_(description)
    for i, axis in enumerate(axes):
        d.dims[i].label = axis
    if is_volatile:
        d.attrs["atoll_volatile"] = 1


def provenance(f, **entries):
    g = f.create_group("provenance")
    for key, value in {"atoll_version": "0.1.0", "isa": "avx2", "config": "seed: 1\n", **entries}.items():
        g.attrs[key] = np.bytes_(value)


def make_run(folder, seed=1, method="photon", loss=2.0, rounds=4, of=None, keys=None, seconds=1.5, named=True):
    """A run whose final losses are `loss` bits/byte; complete if it did all of its rounds (`of`, default `rounds`)."""
    of = of or rounds
    os.makedirs(os.path.join(folder, "checkpoints"))
    local = "".join(f"  {k}: {v}  # Explained. [steps]\n" for k, v in (keys or {}).items())
    with open(os.path.join(folder, "config.yaml"), "w") as f:
        f.write(f"system: photon  # The system.\nrun: {folder}  # Folder.\nseed: {seed}  # Decides every random number.\n"
                f"method: {method}  # photon or a baseline.\nfed:\n  rounds: {of}  # Rounds of the run. [rounds]\n"
                + (f"local:\n{local}" if local else ""))
    r = np.arange(1, rounds + 1)
    curve = loss + 1.0 / r - 1.0 / of
    with h5py.File(os.path.join(folder, "metrics.h5"), "w") as f:
        put(f, "round", r, "1", "round")
        put(f, "axis/silo", np.arange(2), "1", "number, from 0")
        if named:
            f.create_dataset("axis/silo_name", data=np.array(SILOS, dtype="S"))
        put(f, "val_bits_per_byte", curve, "bits/byte", "validation loss, mean over silos", ["round"])
        put(f, "val_nats", curve * np.log(2), "nats/token", "validation loss, mean over silos", ["round"])
        put(f, "val_bits_per_byte_silo", np.stack([curve - .1, curve + .1], 1), "bits/byte", "by silo", ["round", "silo"])
        put(f, "train_loss", np.where(r == 2, np.nan, curve), "nats/token", "training loss", ["round"])
        put(f, "tokens", 1000.0 * r, "tokens", "tokens so far", ["round"])
        put(f, "steps", 16.0 * r, "steps", "steps so far", ["round"])
        put(f, "payload_bytes", np.full(rounds, PAYLOAD), "bytes", "sent by one client", ["round"])
        put(f, "failures", np.zeros(rounds), "clients", "clients without a valid result", ["round"])
        for name in ("round_seconds", "train_seconds", "mpi_seconds", "checkpoint_seconds"):
            put(f, name, np.full(rounds, seconds * (1 if name == "round_seconds" else .25)), "s", name, ["round"], True)
        put(f, "tokens_per_second", np.full(rounds, 2e4), "tokens/s", "throughput", ["round"], True)
        provenance(f)
    with h5py.File(os.path.join(folder, "checkpoints", f"{rounds:06d}.h5"), "w") as f:
        put(f, "clients/facts", np.array([[5, rounds], [6, rounds]]), "1", "Per client: cursor in windows, last round.")
    if rounds == of:
        with h5py.File(os.path.join(folder, "evaluation.h5"), "w") as f:
            f.create_dataset("silo", data=np.array(SILOS, dtype=h5py.string_dtype()))
            for split, shift in (("validation", 0.0), ("test", .01)):
                put(f, f"{split}/bits_per_byte", np.array([loss - .1, loss + .1]) + shift, "bits/byte", "Loss by silo.")
                put(f, f"{split}/mixed_bits_per_byte", loss + shift, "bits/byte", "Loss.")
                put(f, f"{split}/mixed_nats_per_token", (loss + shift) * np.log(2), "nats/token", "Loss.")
            provenance(f)
    return folder


def make_model(folder, markov):
    """Adds parameters to a run's checkpoint, and byte models: {name: bits per byte by silo}."""
    checkpoint = sorted(os.listdir(os.path.join(folder, "checkpoints")))[-1]
    with h5py.File(os.path.join(folder, "checkpoints", checkpoint), "a") as f:
        f["model/theta"] = np.zeros(1000, dtype=np.float32)
    with h5py.File(os.path.join(folder, "markov.h5"), "w") as f:
        for name, values in markov.items():
            put(f, f"models/{name}/bits_per_byte", np.array(values), "bits/byte", "Loss by silo.")


def make_sweep(folder, losses, grid_yaml="", axes=()):
    """losses: {(method, *point): {seed: loss or None for a run that never began}}."""
    os.makedirs(folder)
    lines = ["\t".join(["task", "run", "method", "seed", *axes, "keys"])]
    for (method, *point), by_seed in losses.items():
        for seed, loss in by_seed.items():
            name = "-".join([method, *point, f"s{seed}"])
            lines.append("\t".join([str(len(lines) - 1), name, method, str(seed), *point, f"method={method}"]))
            if loss is not None:
                make_run(os.path.join(folder, name), seed, method, loss, keys=dict(zip(axes, point)))
    with open(os.path.join(folder, "index.tsv"), "w") as f:
        f.write("\n".join(lines) + "\n")
    with open(os.path.join(folder, "sweep.yaml"), "w") as f:
        f.write(grid_yaml or "name: t\n")
    return folder


def make_text(path, silos=(("de", "Der Hund schläft. "), ("en", "The dog sleeps. "))):
    with h5py.File(path, "w") as f:
        f.attrs["tokenizer"], f.attrs["vocab"], f.attrs["description"] = np.bytes_("byte"), 256, np.bytes_("Made up.")
        for name, sentence in silos:
            raw = np.frombuffer((sentence * 200 + "\0" + sentence * 50 + "\0").encode(), dtype=np.uint8)
            for split, part in (("examples", raw), ("validation", raw[:500]), ("test", raw[:400])):
                put(f, f"{split}/{name}/tokens", part, "token", "Text as bytes.")
            g = f[f"examples/{name}"]
            g.attrs["description"], g.attrs["documents"], g.attrs["licences"] = np.bytes_(f"Text {name}"), 2, np.bytes_("MIT; MIT")
            put(f, f"documents/{name}/length", np.array([200, 50]) * len(sentence.encode()), "token", "Tokens.")
        provenance(f)
    return path


def make_images(path, clients):
    """A set in the manner of TensorFlow Federated: pixels and labels, nothing else."""
    generator = np.random.default_rng(1)
    with h5py.File(path, "w") as f:
        for c in range(clients):
            n = int(generator.integers(5, 50))
            f[f"examples/f{c:04d}/pixels"] = generator.random((n, 4, 4), dtype=np.float32)
            f[f"examples/f{c:04d}/label"] = generator.integers(0, 10, n)
    return path


def make_classified(folder, rounds=4):
    """A run of cross-device learning, whose second round was not evaluated."""
    os.makedirs(os.path.join(folder, "checkpoints"))
    with open(os.path.join(folder, "config.yaml"), "w") as f:
        f.write(f"system: federate  # The system.\nrun: {folder}  # Folder.\nseed: 1  # Decides every random number.\n"
                f"method: fedavg  # How clients learn.\nfed:\n  rounds: {rounds}  # Rounds of the run. [rounds]\n")
    r = np.arange(1, rounds + 1)
    told = np.where(r == 2, np.nan, 1 - .5 / r)
    with h5py.File(os.path.join(folder, "metrics.h5"), "w") as f:
        put(f, "round", r, "1", "round")
        for name, units in (("accuracy", "1"), ("accuracy_p10", "1"), ("train_loss", "nats")):
            put(f, name, told, units, name, ["round"])
        put(f, "bytes_total", 1e6 * r, "bytes", "to and from all clients so far", ["round"])
        put(f, "virtual_seconds", 60. * r, "s", "on the virtual clock so far", ["round"])
        put(f, "round_seconds", np.full(rounds, .5), "s", "the whole round", ["round"], True)
        put(f, "accuracy_histogram", np.where(r == 2, np.nan, 1)[:, None] * np.arange(20.), "clients", "by accuracy", ["round", "bin"])
        put(f, "client_accuracy", told[:, None] * np.linspace(0, 1, 5), "1", "first clients", ["round", "client"])
        provenance(f)
