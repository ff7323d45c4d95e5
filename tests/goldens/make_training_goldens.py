"""Writes training.json: learning-rate schedules, optimizers, label smoothing and NEFTune as the
libraries of Python compute them.

    pip install torch transformers==5.24.0 bitsandbytes==0.50.2 lion-pytorch==0.2.5
    python make_training_goldens.py

The numbers are those of the versions above. Parameters and gradients are drawn by a small generator
that the test in Rust repeats, so that the file contains results only.
"""

import json
import math
from pathlib import Path

import bitsandbytes
import torch
import transformers
from lion_pytorch import Lion
from transformers import optimization
from transformers.trainer_pt_utils import LabelSmoother

STEPS = 24
WARMUP = 5
PEAK = 0.02


def draw(seed, count):
    """Numbers in [-1, 1), a multiple of 2^-23 each, so that 32-bit floats hold them exactly."""
    state, numbers = seed, []
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        numbers.append((state >> 40) / 2**23 - 1.0)
    return numbers


def schedules():
    """Factor times PEAK after k = 0, 1, ... steps of the scheduler."""
    names = {
        "constant": ("constant", {}),
        "constant_with_warmup": ("constant_with_warmup", {}),
        "linear": ("linear", {}),
        "cosine": ("cosine", {}),
        "cosine_with_min_lr": ("cosine_with_min_lr", {"min_lr_rate": 0.25}),
        "inverse_sqrt": ("inverse_sqrt", {}),
        "polynomial": ("polynomial", {"power": 2.0}),
    }
    found = {}
    for name, (kind, kwargs) in names.items():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
        scheduler = optimization.get_scheduler(
            kind, optimizer, num_warmup_steps=WARMUP, num_training_steps=STEPS, scheduler_specific_kwargs=kwargs
        )
        rates = []
        for _ in range(STEPS + 2):
            rates.append(scheduler.get_last_lr()[0])
            optimizer.step()
            scheduler.step()
        found[name] = rates
    return found


def plateau():
    """The rate after each validation, for losses and for accuracies."""
    losses = [3.0, 2.0, 2.0, 1.9999, 2.1, 1.0, 1.5, 1.2, 1.1, 1.0, 0.99995, 0.5]
    found = {}
    for mode, values in [("min", losses), ("max", [1.0 - loss / 4 for loss in losses])]:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
        scheduler = optimization.get_scheduler(
            "reduce_lr_on_plateau", optimizer, scheduler_specific_kwargs={"mode": mode, "patience": 2, "factor": 0.5}
        )
        rates = []
        for value in values:
            scheduler.step(value)
            rates.append(optimizer.param_groups[0]["lr"])
        found[mode] = {"values": values, "rates": rates}
    return found


def optimizers():
    """The parameters after three steps; of the large one, every 37th number."""
    makers = {
        "sgd": lambda p: torch.optim.SGD(p, lr=PEAK, weight_decay=0.1),
        "sgd_momentum": lambda p: torch.optim.SGD(p, lr=PEAK, momentum=0.9, weight_decay=0.1),
        "adamw": lambda p: torch.optim.AdamW(p, lr=PEAK, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1),
        "adafactor": lambda p: optimization.Adafactor(
            p, lr=PEAK, weight_decay=0.1, scale_parameter=False, relative_step=False
        ),
        "lion": lambda p: Lion(p, lr=PEAK, betas=(0.9, 0.99), weight_decay=0.1),
        "adamw_8bit": lambda p: bitsandbytes.optim.AdamW8bit(
            p, lr=PEAK, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1
        ),
    }
    shapes = {"vector": (6,), "matrix": (3, 4), "stack": (2, 3, 4), "large": (72, 64)}
    found = {}
    for name, make in makers.items():
        parameters = {
            key: torch.nn.Parameter(torch.tensor(draw(index, math.prod(shape))).reshape(shape))
            for index, (key, shape) in enumerate(shapes.items())
        }
        optimizer = make(list(parameters.values()))
        for step in range(3):
            for index, parameter in enumerate(parameters.values()):
                seed = 100 * (step + 1) + index
                parameter.grad = torch.tensor(draw(seed, parameter.numel())).reshape(parameter.shape)
            optimizer.step()
        values = {key: parameter.detach().flatten() for key, parameter in parameters.items()}
        values["large"] = values["large"][::37]
        found[name] = {key: value.tolist() for key, value in values.items()}
    return found


def label_smoothing():
    logits = torch.tensor(draw(7, 4 * 5)).reshape(1, 4, 5) * 3
    labels = torch.tensor([[3, -100, 0, 4]])
    loss = LabelSmoother(epsilon=0.1)({"logits": logits}, labels)
    return {"epsilon": 0.1, "labels": labels[0].tolist(), "loss": loss.item()}


def main():
    goldens = {
        "versions": {
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "bitsandbytes": bitsandbytes.__version__,
        },
        "peak": PEAK,
        "steps": STEPS,
        "warmup": WARMUP,
        "schedules": schedules(),
        "plateau": plateau(),
        "optimizers": optimizers(),
        "label_smoothing": label_smoothing(),
    }
    path = Path(__file__).parent / "training.json"
    path.write_text(json.dumps(goldens) + "\n")


if __name__ == "__main__":
    main()
