"""One training loop for every stage: time-boxed, resumable, and it can be paused."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.loop.sharing import SharedCores

CHECKPOINT_EVERY = 120.0  # seconds
REPORT_EVERY = 20.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Options:
    """Where and how long; nothing here changes what is learned."""

    work: Path  # caches and checkpoints
    icons: Path
    minutes: float
    device: torch.device
    pause_file: Path | None = None
    share_cores: bool = False
    warm: bool = False  # begin at the shipped weights where there is no checkpoint
    plain: bool = False  # unet: captions by usual names, without filler
    bfloat16: bool = False  # autocast: 2 to 3 times faster with AMX or CUDA, 30 slower without

    def checkpoint(self, stage: str) -> Path:
        return self.work / f"{stage}.pt"

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)


class Ema:
    """Exponential moving average of the trained parameters; the decay grows to its value."""

    def __init__(self, parameters: list[nn.Parameter], decay: float) -> None:
        self.parameters = parameters
        self.decay = decay
        self.shadow = [p.detach().clone() for p in parameters]

    def update(self, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.shadow, [p.detach() for p in self.parameters], 1 - decay)

    def swap(self) -> None:
        """Exchange the averages with the parameters; call it twice to be back."""
        for shadow, parameter in zip(self.shadow, self.parameters, strict=True):
            kept = parameter.detach().clone()
            parameter.data.copy_(shadow)
            shadow.copy_(kept)


def learning_rate(recipe: dict[str, Any], seen: int) -> float:
    """Linear warm-up, then a cosine down to final_rate; depends on samples seen alone."""
    progress = min(1.0, seen / recipe["samples"])
    warm = min(1.0, (progress + 1e-4) / recipe["warmup"])
    floor = recipe["final_rate"]
    cosine = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))
    return recipe["learning_rate"] * warm * cosine


def train(
    stage: str,
    model: nn.Module,
    loss_of: Callable[[float], Tensor],
    recipe: dict[str, Any],
    options: Options,
) -> None:
    """Train until the plan or the time is used up, or SIGTERM; saves, and loads the averages.

    `loss_of(progress)` draws a batch and returns its loss; progress is 0..1 of the plan.
    """
    model.to(options.device).train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters,
        lr=recipe["learning_rate"],
        weight_decay=recipe["weight_decay"],
        betas=(0.9, 0.99),
        fused=True,
    )
    ema = Ema(parameters, recipe["ema"])
    path = options.checkpoint(stage)
    seen = _resume(path, model, optimizer, ema)
    torch.manual_seed(seen + 1)
    cores = SharedCores(options.share_cores)
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    began = reported = saved = time.monotonic()
    losses: list[Tensor] = []
    paused = 0.0
    while seen < recipe["samples"] and not stopped:
        if time.monotonic() - began - paused >= options.minutes * 60:
            break
        paused += wait_while(options.pause_file)
        cores.adapt()
        rate = learning_rate(recipe, seen)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = loss_of(seen / recipe["samples"])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        seen += recipe["batch"]
        ema.update(seen // recipe["batch"])
        losses.append(loss.detach())
        now = time.monotonic()
        if now - reported >= REPORT_EVERY:
            pace = len(losses) * recipe["batch"] / (now - reported)
            mean = torch.stack(losses).mean().item()
            print(
                f"{stage} {seen} loss {mean:.5f} rate {rate:.2e} {pace:.1f}/s",
                f"{torch.get_num_threads()} threads",
                flush=True,
            )
            if not math.isfinite(mean):
                raise SystemExit(f"{stage}: the loss is {mean}; the last checkpoint is kept.")
            losses, reported = [], now
        if now - saved >= CHECKPOINT_EVERY:
            _save(path, model, optimizer, ema, seen)
            saved = time.monotonic()
    _save(path, model, optimizer, ema, seen)
    ema.swap()
    model.eval()
    print(f"{stage} stopped at {seen} of {recipe['samples']} samples", flush=True)


def load_averaged(stage: str, model: nn.Module, options: Options) -> bool:
    """Put the stage's averaged weights into `model`; False where there is no checkpoint.

    `model` must have the same requires_grad flags as in training.
    """
    path = options.checkpoint(stage)
    if not path.exists():
        return False
    state = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    trained = [p for p in model.parameters() if p.requires_grad]
    for parameter, average in zip(trained, state["ema"], strict=True):
        parameter.data.copy_(average)
    model.to(options.device).eval()
    print(f"{stage}: {state['seen']} samples seen", flush=True)
    return True


def _resume(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, ema: Ema) -> int:
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    for shadow, saved in zip(ema.shadow, state["ema"], strict=True):
        shadow.copy_(saved)
    return int(state["seen"])


def _save(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, ema: Ema, seen: int
) -> None:
    """Written beside and renamed: a kill leaves the old checkpoint or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    state = {"model": model.state_dict(), "ema": ema.shadow, "seen": seen}
    torch.save(state | {"optimizer": optimizer.state_dict()}, part)
    part.replace(path)


def wait_while(pause_file: Path | None) -> float:
    """Seconds waited until the file is gone."""
    began = time.monotonic()
    while pause_file is not None and pause_file.exists():
        time.sleep(0.5)
    return time.monotonic() - began
