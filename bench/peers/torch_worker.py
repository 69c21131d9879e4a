"""Geometric complexity and its training step in PyTorch, each in the forms a PyTorch user would write."""

import os

import numpy as np
import torch
import torch.nn.functional as F
from torch.func import grad_and_value, jacrev, vjp, vmap

import common

torch.set_num_threads(int(os.environ.get("BENCH_THREADS", os.cpu_count())))
if common.ON_GPU:
    torch.set_float32_matmul_precision("high" if common.TF32 else "highest")
    torch.backends.cudnn.allow_tf32 = common.TF32
    torch.backends.cudnn.benchmark = True  # cuDNN tries its algorithms for each convolution and keeps the fastest.

LOOP, BATCHED, CHUNKS = "torch_loop", "torch_batched", "torch_chunks"
FUNC_JACREV, FUNC_VJP = "torch_func_jacrev", "torch_func_vjp"
CHANNELS_LAST = "_channels_last"
NATIVE_NORM = "_native_norm"
COMPILED = "_compiled"  # By torch.compile.
CUDA_GRAPH = "_cuda_graph"  # The whole task is recorded once and replayed, so that no kernel waits for Python.
WARM_UP_RUNS = 3  # Before recording, as in PyTorch's documentation of CUDA graphs.


class GradientSwitch(torch.autograd.Function):
    """The identity, whose backward pass can be switched off.

    It is off while the Jacobian is computed and on for the gradient of the loss. So batch statistics are fixed in the
    Jacobian but not in the gradient of the loss, with a single forward pass.
    """

    is_on = True

    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return g if GradientSwitch.is_on else None


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
            # PyTorch's running variance is the unbiased estimate. A training step's values do not depend on it.
            return F.batch_norm(x, mean, variance, scale, offset, training, 1 - fixture.momentum, fixture.epsilon)
        if training:
            running_mean, running_variance, m = mean, variance, 1 - fixture.momentum
            variance, mean = torch.var_mean(x, (0, 2, 3), correction=0)
            with torch.no_grad():
                running_mean.lerp_(mean, m)
                running_variance.lerp_(variance, m)
            mean, variance = GradientSwitch.apply(mean), GradientSwitch.apply(variance)
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
    """[outputs, batch, outputs]: the k-th cotangent selects output k of every example."""
    k = logits.shape[1]
    return torch.eye(k, device=logits.device)[:, None, :].expand(k, *logits.shape)


class Task:
    def __init__(self, fixture, request):
        self.fixture, self.task, self.variant = fixture, request["task"], request["variant"]
        self.coefficient = request.get("coefficient", 0.0)
        self.learning_rate = request.get("learning_rate", 0.0)
        self.native_norm = NATIVE_NORM in self.variant
        self.memory_format = torch.channels_last if CHANNELS_LAST in self.variant else torch.contiguous_format
        self.stepping = self.task == "loop" or self.task.startswith("step_")
        self.y = torch.from_numpy(fixture.y).long().to(common.DEVICE)
        self.directions = torch.from_numpy(fixture.directions).to(common.DEVICE)
        self.statistics = {k: torch.from_numpy(v).to(common.DEVICE) for k, v in fixture.statistics().items()}
        self.params = {k: self.tensor(v).requires_grad_(self.stepping) for k, v in fixture.parameters().items()}
        self.x = self.tensor(fixture.x, is_input=True)
        self.data, self.labels = self.x, self.y
        if COMPILED in self.variant:
            self.compile()
        self.replay = self.record() if CUDA_GRAPH in self.variant else None

    def compile(self):
        """Compiles what PyTorch's compiler supports: second derivatives only by torch.func."""
        if self.variant.startswith("torch_func") and self.stepping:
            self.grads_and_loss = torch.compile(self.grads_and_loss)
        elif self.variant.startswith("torch_func"):
            self.complexity = torch.compile(self.complexity)
        elif self.stepping:
            self.loss = torch.compile(self.loss)
        else:
            self.model = torch.compile(self.model)

    def record(self):
        """Records the task as a CUDA graph, restores parameters and statistics, and returns the function that replays it."""
        state = list(self.params.values()) + list(self.statistics.values())
        before = [t.detach().clone() for t in state]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_RUNS):
                self.compute()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            value = self.compute()
        with torch.no_grad():
            for t, old in zip(state, before):
                t.copy_(old)

        def replay():
            graph.replay()
            return value

        return replay

    def tensor(self, array, is_input=False):
        t = torch.from_numpy(array).to(common.DEVICE)
        if t.ndim == 4:  # From NHWC data and HWIO kernels to PyTorch's order of axes.
            t = t.permute(0, 3, 1, 2) if is_input else t.permute(3, 2, 0, 1)
            return t.contiguous(memory_format=self.memory_format)
        return t.clone()

    def model(self, params, x):
        return MODELS[self.fixture.model](self, params, x, self.stepping)

    def complexity(self, kind, params):
        """(GC, logits), from a single forward pass."""
        if self.variant.startswith(FUNC_JACREV):
            def single(example):
                logits = self.model(params, example)
                return logits, logits
            jacobian, logits = vmap(jacrev(single, has_aux=True))(self.x)
            return jacobian.square().sum() / len(self.x), logits
        if self.variant.startswith(FUNC_VJP):
            logits, model_vjp = vjp(lambda x: self.model(params, x), self.x)
            (g,) = vmap(model_vjp)(cotangents(logits))
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
        batched = self.variant.startswith(CHUNKS)
        parts = c.split(common.CHUNK) if batched else c.unbind()
        return sum(self.square(logits, x, part, i == len(parts) - 1, batched) for i, part in enumerate(parts)) / len(x), logits

    def square(self, logits, x, cotangent, last, batched=False):
        GradientSwitch.is_on = False
        (g,) = torch.autograd.grad(logits, x, cotangent, create_graph=self.stepping,
                                   retain_graph=self.stepping or not last, is_grads_batched=batched)
        GradientSwitch.is_on = True
        return g.square().sum()

    def loss(self, params):
        kind = "plain" if self.task == "loop" else self.task.removeprefix("step_")
        if kind == "plain":
            return F.cross_entropy(self.model(params, self.x), self.y)
        gc, logits = self.complexity(kind, params)
        return F.cross_entropy(logits, self.y) + self.coefficient * gc

    def grads_and_loss(self, params):
        return grad_and_value(self.loss)(params)

    def run(self):
        """Runs the task, waits for its number, and returns it."""
        return (self.replay or self.compute)().item()

    def compute(self):
        if self.task == "forward":
            # A recorded graph uses its tensors outside of inference mode, which those of inference mode do not allow.
            with torch.no_grad() if CUDA_GRAPH in self.variant else torch.inference_mode():
                return self.model(self.params, self.x).square().mean()
        if not self.stepping:
            return self.complexity(self.task.removeprefix("gc_"), self.params)[0]
        if self.task == "loop":  # A batch is the whole data set in a new order.
            order = torch.randperm(len(self.data))
            self.x, self.y = self.data[order], self.labels[order]
        if self.variant.startswith("torch_func"):
            detached = {k: v.detach() for k, v in self.params.items()}
            grads, loss = self.grads_and_loss(detached)
            grads = list(grads.values())
        else:
            loss = self.loss(self.params)
            grads = torch.autograd.grad(loss, list(self.params.values()))
        with torch.no_grad():
            torch._foreach_add_(list(self.params.values()), list(grads), alpha=-self.learning_rate)
        return loss.detach()

    def check(self, value):
        if not self.stepping:
            return {"value": value}
        before = {k: self.tensor(v).cpu().numpy() for k, v in self.fixture.parameters().items()}
        after = {k: v.detach().cpu().numpy() for k, v in self.params.items()}
        return {"value": value, "update_norm": common.update_norm(before, after), "next_loss": self.run()}


def variants(fixture, task):
    names = variants_of_cpu(fixture, task)
    if not common.ON_GPU:
        return names
    if fixture.model != "mlp" and task.endswith("_exact") and not (fixture.batch_norm and task.startswith("step_")):
        # On a GPU the batched form may be faster. Only the loop can hold the statistics fixed.
        names += [BATCHED + layout for layout in ("", CHANNELS_LAST)]
    layout = "" if fixture.model == "mlp" else CHANNELS_LAST  # The layout of NVIDIA's fast convolutions.
    compilable = [n for n in names if n.removesuffix(NATIVE_NORM) in ("torch" + layout, FUNC_VJP)]
    return names + [n + CUDA_GRAPH for n in names] + [n + COMPILED + CUDA_GRAPH for n in compilable]


def variants_of_cpu(fixture, task):
    plain = task in ("forward", "step_plain", "loop")
    if fixture.model == "mlp":
        if plain:
            return ["torch"]
        if task.endswith("_projection"):
            return [LOOP]
        return [FUNC_JACREV, FUNC_VJP, BATCHED] + ([LOOP] if fixture.outputs <= 10 else [])
    if fixture.outputs > 10 and task.endswith("_exact"):
        return [variant + layout for variant in (LOOP, CHUNKS) for layout in ("", CHANNELS_LAST)]
    # On a CPU the batched and torch.func forms are slower than the loop: they turn convolutions into grouped ones.
    names = [("torch" if plain else LOOP) + layout for layout in ("", CHANNELS_LAST)]
    if fixture.batch_norm and task not in ("step_projection", "step_exact"):
        # PyTorch's own batch norm cannot hold the statistics fixed only in the Jacobian.
        names += [name + NATIVE_NORM for name in names]
    return names


if __name__ == "__main__":
    common.main(Task, variants, lambda: {"torch": torch.__version__, "numpy": np.__version__})
