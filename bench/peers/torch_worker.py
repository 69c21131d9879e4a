"""Geometric complexity and its training step in PyTorch, each in the forms a PyTorch user would write."""

import os

import numpy as np
import torch
import torch.nn.functional as F
from torch.func import grad_and_value, jacrev, vjp, vmap

import common

torch.set_num_threads(int(os.environ.get("BENCH_THREADS", os.cpu_count())))

LOOP, BATCHED = "torch_loop", "torch_batched"
FUNC_JACREV, FUNC_VJP = "torch_func_jacrev", "torch_func_vjp"
CHANNELS_LAST = "_channels_last"
NATIVE_NORM = "_native_norm"


class Gate(torch.autograd.Function):
    """The identity, whose backward pass can be shut.

    Shut while the Jacobian is taken and open for the gradient of the loss, it holds training-mode batch statistics fixed
    in the one and not in the other, with a single forward pass.
    """

    is_open = True

    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return g if Gate.is_open else None


def mlp(task, params, x, training):
    layers = task.fixture.manifest["layers"]
    for i in range(layers):
        x = torch.addmm(params[f"layer{i}/biases"], x, params[f"layer{i}/weights"]) if x.ndim == 2 else (
            x @ params[f"layer{i}/weights"] + params[f"layer{i}/biases"])
        if i < layers - 1:
            x = torch.relu(x)
    return x


def resnet18(task, params, x, training):
    fixture = task.fixture

    def conv(name, x, stride):
        kernel = params[name + "/weights"]
        return F.conv2d(x, kernel, stride=stride, padding=(kernel.shape[2] - 1) // 2)

    def norm(name, x):
        if not fixture.batch_norm:
            return x
        mean, variance = task.statistics[name + "/mean"], task.statistics[name + "/variance"]
        scale, offset = params[name + "/scale"], params[name + "/offset"]
        if task.native_norm:
            # PyTorch's running variance takes the unbiased estimate; it does not enter a training step's values.
            return F.batch_norm(x, mean, variance, scale, offset, training, 1 - fixture.momentum, fixture.epsilon)
        if training:
            running_mean, running_variance, m = mean, variance, 1 - fixture.momentum
            variance, mean = torch.var_mean(x, (0, 2, 3), correction=0)
            with torch.no_grad():
                running_mean.lerp_(mean, m)
                running_variance.lerp_(variance, m)
            mean, variance = Gate.apply(mean), Gate.apply(variance)
        a = torch.rsqrt(variance + fixture.epsilon) * scale
        return x * a[:, None, None] + (offset - mean * a)[:, None, None]

    x = torch.relu(norm("stem/norm", conv("stem/conv", x, 1)))
    for stage in range(4):
        for block in range(2):
            name = f"stage{stage}/block{block}"
            stride = 2 if stage > 0 and block == 0 else 1
            h = torch.relu(norm(f"{name}/norm1", conv(f"{name}/conv1", x, stride)))
            h = norm(f"{name}/norm2", conv(f"{name}/conv2", h, 1))
            if stage > 0 and block == 0:
                x = norm(f"{name}/shortcut_norm", conv(f"{name}/shortcut", x, stride))
            x = torch.relu(h + x)
    x = x.mean((2, 3))
    return torch.addmm(params["head/biases"], x, params["head/weights"])


MODELS = {"mlp": mlp, "resnet18": resnet18}


def cotangents(logits):
    """[outputs, batch, outputs]: the k-th asks for the gradient of output k, of all examples at once."""
    k = logits.shape[1]
    return torch.eye(k)[:, None, :].expand(k, *logits.shape)


class Task:
    def __init__(self, fixture, request):
        self.fixture, self.task, self.variant = fixture, request["task"], request["variant"]
        self.coefficient = request.get("coefficient", 0.0)
        self.learning_rate = request.get("learning_rate", 0.0)
        self.native_norm = NATIVE_NORM in self.variant
        self.memory_format = torch.channels_last if CHANNELS_LAST in self.variant else torch.contiguous_format
        self.stepping = self.task.startswith("step_")
        self.y = torch.from_numpy(fixture.y).long()
        self.directions = torch.from_numpy(fixture.directions)
        self.statistics = {k: torch.from_numpy(v) for k, v in fixture.statistics().items()}
        self.params = {k: self.tensor(v).requires_grad_(self.stepping) for k, v in fixture.parameters().items()}
        self.x = self.tensor(fixture.x, is_input=True)

    def tensor(self, array, is_input=False):
        t = torch.from_numpy(array)
        if t.ndim == 4:  # NHWC data and HWIO kernels as PyTorch wants them.
            t = t.permute(0, 3, 1, 2) if is_input else t.permute(3, 2, 0, 1)
            return t.contiguous(memory_format=self.memory_format)
        return t.clone()

    def model(self, params, x):
        return MODELS[self.fixture.model](self, params, x, self.stepping)

    def complexity(self, kind, params):
        """(GC, logits), the forward pass written once."""
        if self.variant.startswith(FUNC_JACREV):
            def single(example):
                logits = self.model(params, example)
                return logits, logits
            jacobian, logits = vmap(jacrev(single, has_aux=True))(self.x)
            return jacobian.square().sum() / len(self.x), logits
        if self.variant.startswith(FUNC_VJP):
            logits, pull = vjp(lambda x: self.model(params, x), self.x)
            (g,) = vmap(pull)(cotangents(logits))
            return g.square().sum() / len(self.x), logits
        x = self.x.detach().requires_grad_()
        logits = self.model(params, x)
        if kind == "projection":
            p = self.directions.shape[1]
            total = sum(self.square(logits, x, self.directions[:, j], j == p - 1) for j in range(p))
            return total * (logits.shape[1] / p / len(x)), logits
        if self.variant.startswith(BATCHED):
            (g,) = torch.autograd.grad(
                logits, x, cotangents(logits), is_grads_batched=True, create_graph=self.stepping)
            return g.square().sum() / len(x), logits
        c = cotangents(logits)
        return sum(self.square(logits, x, c[k], k == len(c) - 1) for k in range(len(c))) / len(x), logits

    def square(self, logits, x, cotangent, last):
        Gate.is_open = False
        (g,) = torch.autograd.grad(
            logits, x, cotangent, create_graph=self.stepping, retain_graph=self.stepping or not last)
        Gate.is_open = True
        return g.square().sum()

    def loss(self, params):
        kind = self.task.removeprefix("step_")
        if kind == "plain":
            return F.cross_entropy(self.model(params, self.x), self.y)
        gc, logits = self.complexity(kind, params)
        return F.cross_entropy(logits, self.y) + self.coefficient * gc

    def run(self):
        if self.task == "forward":
            with torch.inference_mode():
                return self.model(self.params, self.x).square().mean().item()
        if not self.stepping:
            return self.complexity(self.task.removeprefix("gc_"), self.params)[0].item()
        if self.variant.startswith("torch_func"):
            detached = {k: v.detach() for k, v in self.params.items()}
            grads, loss = grad_and_value(self.loss)(detached)
            grads = list(grads.values())
        else:
            loss = self.loss(self.params)
            grads = torch.autograd.grad(loss, list(self.params.values()))
        with torch.no_grad():
            torch._foreach_add_(list(self.params.values()), list(grads), alpha=-self.learning_rate)
        return loss.item()

    def check(self):
        value = self.run()
        if not self.stepping:
            return {"value": value}
        before = {k: self.tensor(v).numpy() for k, v in self.fixture.parameters().items()}
        after = {k: v.detach().numpy() for k, v in self.params.items()}
        return {"value": value, "update_norm": common.update_norm(before, after), "next_loss": self.run()}


def variants(fixture, task):
    plain = task in ("forward", "step_plain")
    if fixture.model == "mlp":
        if plain:
            return ["torch"]
        if task.endswith("_projection"):
            return [LOOP]
        return [FUNC_JACREV, FUNC_VJP, BATCHED] + ([LOOP] if fixture.outputs <= 10 else [])
    # Over convolutions the batched and torch.func forms are slower than the loop: they rebuild them as grouped ones.
    names = [("torch" if plain else LOOP) + layout for layout in ("", CHANNELS_LAST)]
    if fixture.batch_norm and task not in ("step_projection", "step_exact"):
        # PyTorch's own batch norm cannot hold the statistics fixed in the Jacobian alone.
        names += [name + NATIVE_NORM for name in names]
    return names


if __name__ == "__main__":
    common.main(Task, variants, lambda: {"torch": torch.__version__, "numpy": np.__version__})
