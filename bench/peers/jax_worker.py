"""Geometric complexity and its training step in JAX, each in the forms a JAX user would write."""

import functools
import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import common

UNROLLED, BATCHED, JACREV = "jax_unrolled_vjp", "jax_batched_vjp", "jax_vmap_jacrev"


def mlp(params, statistics, x, training, fixture):
    layers = fixture.manifest["layers"]
    for i in range(layers):
        x = x @ params[f"layer{i}/weights"] + params[f"layer{i}/biases"]
        if i < layers - 1:
            x = jax.nn.relu(x)
    return x, statistics


def resnet18(params, statistics, x, training, fixture):
    new_statistics = {}

    def conv(name, x, stride):
        kernel = params[name + "/weights"]
        pad = (kernel.shape[0] - 1) // 2
        return lax.conv_general_dilated(
            x, kernel, (stride, stride), [(pad, pad)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def norm(name, x):
        if not fixture.batch_norm:
            return x
        mean, variance = statistics[name + "/mean"], statistics[name + "/variance"]
        if training:
            old_mean, old_variance = mean, variance
            mean, variance = jnp.mean(x, (0, 1, 2)), jnp.var(x, (0, 1, 2))
            m = fixture.momentum
            new_statistics[name + "/mean"] = m * old_mean + (1 - m) * mean
            new_statistics[name + "/variance"] = m * old_variance + (1 - m) * variance
        scale = lax.rsqrt(variance + fixture.epsilon) * params[name + "/scale"]
        return x * scale + (params[name + "/offset"] - mean * scale)

    x = jax.nn.relu(norm("stem/norm", conv("stem/conv", x, 1)))
    for stage in range(4):
        for block in range(2):
            name = f"stage{stage}/block{block}"
            stride = 2 if stage > 0 and block == 0 else 1
            h = jax.nn.relu(norm(f"{name}/norm1", conv(f"{name}/conv1", x, stride)))
            h = norm(f"{name}/norm2", conv(f"{name}/conv2", h, 1))
            if stage > 0 and block == 0:
                x = norm(f"{name}/shortcut_norm", conv(f"{name}/shortcut", x, stride))
            x = jax.nn.relu(h + x)
    x = jnp.mean(x, (1, 2))
    return x @ params["head/weights"] + params["head/biases"], new_statistics if training else statistics


MODELS = {"mlp": mlp, "resnet18": resnet18}


def one_hot_cotangents(logits):
    """[outputs, batch, outputs]: the k-th asks for the gradient of output k, of all examples at once."""
    k = logits.shape[1]
    return jnp.broadcast_to(jnp.eye(k, dtype=logits.dtype)[:, None, :], (k,) + logits.shape)


def squared_jacobian(variant, logits, vjp):
    """Sum over the batch and all outputs of the squared gradients."""
    cotangents = one_hot_cotangents(logits)
    if variant == BATCHED:
        return jnp.sum(jax.vmap(lambda c: vjp(c)[0])(cotangents) ** 2)
    return sum(jnp.sum(vjp(c)[0] ** 2) for c in cotangents)


def squared_projections(logits, vjp, directions):
    """The unbiased estimate from p orthonormal directions per example: (outputs/p) sum_j ||v_j^T J||^2."""
    p = directions.shape[1]
    total = sum(jnp.sum(vjp(directions[:, j])[0] ** 2) for j in range(p))
    return total * (logits.shape[1] / p)


def complexity(kind, variant, apply, x, directions):
    """(GC, logits, statistics), the forward pass written once."""
    if variant == JACREV:
        def single(example):
            logits, statistics = apply(example[None])
            return logits[0], (logits[0], statistics)
        jacobian, (logits, _) = jax.vmap(jax.jacrev(single, has_aux=True))(x)
        return jnp.sum(jacobian**2) / x.shape[0], logits, {}
    logits, vjp, statistics = jax.vjp(apply, x, has_aux=True)
    if kind == "projection":
        total = squared_projections(logits, vjp, directions)
    else:
        total = squared_jacobian(variant, logits, vjp)
    return total / x.shape[0], logits, statistics


def cross_entropy(logits, labels):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1))


class Task:
    def __init__(self, fixture, request):
        self.fixture, self.variant = fixture, request["variant"]
        self.task = request["task"]
        self.model = functools.partial(MODELS[fixture.model], fixture=fixture)
        self.x, self.y = jnp.asarray(fixture.x), jnp.asarray(fixture.y)
        self.directions = jnp.asarray(fixture.directions)
        self.coefficient = request.get("coefficient", 0.0)
        self.learning_rate = request.get("learning_rate", 0.0)
        self.params = {k: jnp.asarray(v) for k, v in fixture.parameters().items()}
        self.statistics = {k: jnp.asarray(v) for k, v in fixture.statistics().items()}
        if self.task.startswith("step_"):
            self.compiled = jax.jit(self.step, donate_argnums=(0, 1))
        else:
            self.compiled = jax.jit(self.measure)

    def measure(self, params, statistics, x, directions):
        apply = lambda x: self.model(params, statistics, x, False)
        if self.task == "forward":
            return jnp.mean(apply(x)[0] ** 2)
        return complexity(self.task.removeprefix("gc_"), self.variant, apply, x, directions)[0]

    def loss(self, params, statistics, x, y, directions):
        apply = lambda x: self.model(params, statistics, x, True)
        kind = self.task.removeprefix("step_")
        if kind == "plain":
            logits, statistics = apply(x)
            return cross_entropy(logits, y), statistics
        gc, logits, statistics = complexity(kind, self.variant, apply, x, directions)
        return cross_entropy(logits, y) + self.coefficient * gc, statistics

    def step(self, params, statistics, x, y, directions):
        (loss, statistics), grads = jax.value_and_grad(self.loss, has_aux=True)(params, statistics, x, y, directions)
        return jax.tree.map(lambda p, g: p - self.learning_rate * g, params, grads), statistics, loss

    def run(self):
        if self.task.startswith("step_"):
            self.params, self.statistics, loss = self.compiled(
                self.params, self.statistics, self.x, self.y, self.directions)
            jax.block_until_ready((self.params, self.statistics))
            return float(loss)
        return float(self.compiled(self.params, self.statistics, self.x, self.directions))

    def check(self):
        value = self.run()
        if not self.task.startswith("step_"):
            return {"value": value}
        norm = common.update_norm(self.fixture.parameters(), {k: np.asarray(v) for k, v in self.params.items()})
        return {"value": value, "update_norm": norm, "next_loss": self.run()}


def variants(fixture, task):
    if task in ("forward", "step_plain"):
        return ["jax"]
    if task.endswith("_projection"):
        return [UNROLLED]
    if fixture.model == "mlp":
        return [JACREV, BATCHED] + ([UNROLLED] if fixture.outputs <= 10 else [])
    # vmap over convolutions is two to four times slower, to run and to compile.
    return [UNROLLED]


if __name__ == "__main__":
    common.main(Task, variants, lambda: {"jax": jax.__version__, "numpy": np.__version__})
