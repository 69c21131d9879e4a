"""Geometric complexity and its training step in JAX, each in the forms a JAX user would write."""

import functools
import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import common

if common.ON_GPU and not common.TF32:
    # By default JAX computes float32 products and convolutions in TF32.
    jax.config.update("jax_default_matmul_precision", "highest")

UNROLLED, BATCHED, JACREV = "jax_unrolled_vjp", "jax_batched_vjp", "jax_vmap_jacrev"
UNROLLED_CHUNKS, MAPPED_CHUNKS = "jax_unrolled_chunks", "jax_mapped_chunks"


def mlp(params, statistics, x, training, fixture):
    """(logits, statistics, vjp with respect to x)."""
    layers = fixture.manifest["layers"]

    def apply(x):
        for i in range(layers):
            x = x @ params[f"layer{i}/weights"] + params[f"layer{i}/biases"]
            if i < layers - 1:
                x = jax.nn.relu(x)
        return x

    logits, vjp = jax.vjp(apply, x)
    return logits, statistics, lambda c: vjp(c)[0]


def resnet18(params, statistics, x, training, fixture):
    """(logits, statistics, vjp with respect to x), where the vjp is composed layer by layer.

    With batch norm in training mode, the statistics have to be fixed in the Jacobian but not in its gradient, at the cost
    of one forward pass. So they are computed outside of the layer's vjp. In all other cases the compiled program is the
    same as with jax.vjp of the whole network.
    """
    new_statistics = {}

    def layer(f, x):
        y, vjp = jax.vjp(f, x)
        return y, lambda g: vjp(g)[0]

    def conv(name, x, stride):
        kernel = params[name + "/weights"]
        pad = (kernel.shape[0] - 1) // 2
        return layer(lambda x: lax.conv_general_dilated(
            x, kernel, (stride, stride), [(pad, pad)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")), x)

    def norm(name, x):
        if not fixture.batch_norm:
            return x, lambda g: g
        mean, variance = statistics[name + "/mean"], statistics[name + "/variance"]
        if training:
            old_mean, old_variance = mean, variance
            mean, variance = jnp.mean(x, (0, 1, 2)), jnp.var(x, (0, 1, 2))
            m = fixture.momentum
            new_statistics[name + "/mean"] = m * old_mean + (1 - m) * mean
            new_statistics[name + "/variance"] = m * old_variance + (1 - m) * variance
        scale = lax.rsqrt(variance + fixture.epsilon) * params[name + "/scale"]
        return layer(lambda x: x * scale + (params[name + "/offset"] - mean * scale), x)

    def conv_norm(name, norm_name, x, stride):
        y, vjp_conv = conv(name, x, stride)
        y, vjp_norm = norm(norm_name, y)
        return y, lambda g: vjp_conv(vjp_norm(g))

    def residual_block(name, x, stride, project):
        h, vjp1 = conv_norm(f"{name}/conv1", f"{name}/norm1", x, stride)
        h, vjp_relu1 = layer(jax.nn.relu, h)
        h, vjp2 = conv_norm(f"{name}/conv2", f"{name}/norm2", h, 1)
        shortcut, vjp_shortcut = x, lambda g: g
        if project:
            shortcut, vjp_shortcut = conv_norm(f"{name}/shortcut", f"{name}/shortcut_norm", x, stride)
        y, vjp_relu2 = layer(jax.nn.relu, h + shortcut)

        def block_vjp(g):
            g = vjp_relu2(g)
            return vjp1(vjp_relu1(vjp2(g))) + vjp_shortcut(g)

        return y, block_vjp

    layer_vjps = []
    x, layer_vjp = conv_norm("stem/conv", "stem/norm", x, 1)
    layer_vjps.append(layer_vjp)
    x, layer_vjp = layer(jax.nn.relu, x)
    layer_vjps.append(layer_vjp)
    for stage in range(4):
        for block in range(2):
            first = stage > 0 and block == 0
            x, layer_vjp = residual_block(f"stage{stage}/block{block}", x, 2 if first else 1, first)
            layer_vjps.append(layer_vjp)
    logits, layer_vjp = layer(lambda x: jnp.mean(x, (1, 2)) @ params["head/weights"] + params["head/biases"], x)
    layer_vjps.append(layer_vjp)

    def vjp(c):
        for layer_vjp in reversed(layer_vjps):
            c = layer_vjp(c)
        return c

    return logits, new_statistics if training else statistics, vjp


MODELS = {"mlp": mlp, "resnet18": resnet18}


def one_hot_cotangents(logits):
    """[outputs, batch, outputs]: the k-th cotangent selects output k of every example."""
    k = logits.shape[1]
    return jnp.broadcast_to(jnp.eye(k, dtype=logits.dtype)[:, None, :], (k,) + logits.shape)


def squared_jacobian(variant, logits, vjp):
    """Sum over the batch and all outputs of the squared gradients."""
    cotangents = one_hot_cotangents(logits)
    if variant == BATCHED:
        return jnp.sum(jax.vmap(vjp)(cotangents) ** 2)
    if variant in (UNROLLED_CHUNKS, MAPPED_CHUNKS):
        # The adjoints of a chunk are computed again for its gradient: those of all chunks would not fit into memory.
        square = jax.checkpoint(lambda c: jnp.sum(jax.vmap(vjp)(c) ** 2))
        chunks = cotangents.reshape((-1, common.CHUNK) + logits.shape)
        return jnp.sum(lax.map(square, chunks)) if variant == MAPPED_CHUNKS else sum(square(c) for c in chunks)
    return sum(jnp.sum(vjp(c) ** 2) for c in cotangents)


def squared_projections(logits, vjp, directions):
    """The unbiased estimate from p orthonormal directions per example: (outputs/p) sum_j ||v_j^T J||^2."""
    p = directions.shape[1]
    total = sum(jnp.sum(vjp(directions[:, j]) ** 2) for j in range(p))
    return total * (logits.shape[1] / p)


def complexity(kind, variant, model, x, directions):
    """(GC, logits, statistics), from a single forward pass."""
    if variant == JACREV:
        def single(example):
            logits = model(example[None])[0][0]
            return logits, logits
        jacobian, logits = jax.vmap(jax.jacrev(single, has_aux=True))(x)
        return jnp.sum(jacobian**2) / x.shape[0], logits, {}
    logits, statistics, vjp = model(x)
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
        model = lambda x: self.model(params, statistics, x, False)
        if self.task == "forward":
            return jnp.mean(model(x)[0] ** 2)
        return complexity(self.task.removeprefix("gc_"), self.variant, model, x, directions)[0]

    def loss(self, params, statistics, x, y, directions):
        model = lambda x: self.model(params, statistics, x, True)
        kind = self.task.removeprefix("step_")
        if kind == "plain":
            logits, statistics, _ = model(x)
            return cross_entropy(logits, y), statistics
        gc, logits, statistics = complexity(kind, self.variant, model, x, directions)
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

    def check(self, value):
        if not self.task.startswith("step_"):
            return {"value": value}
        norm = common.update_norm(self.fixture.parameters(), {k: np.asarray(v) for k, v in self.params.items()})
        return {"value": value, "update_norm": norm, "next_loss": self.run()}


def variants(fixture, task):
    if task == "loop":  # Only PyTorch runs this task.
        return []
    if task in ("forward", "step_plain"):
        return ["jax"]
    if task.endswith("_projection"):
        return [UNROLLED]
    if fixture.model == "mlp":
        return [JACREV, BATCHED] + ([UNROLLED] if fixture.outputs <= 10 else [])
    if fixture.outputs > 10:
        # On a CPU the first step with mapped chunks had not ended after six minutes.
        return [UNROLLED_CHUNKS] + ([] if task == "step_exact" and not common.ON_GPU else [MAPPED_CHUNKS])
    # On a CPU vmap over convolutions is two to four times slower, to run and to compile.
    return [UNROLLED, BATCHED] if common.ON_GPU else [UNROLLED]


if __name__ == "__main__":
    common.main(Task, variants, lambda: {"jax": jax.__version__, "numpy": np.__version__})
