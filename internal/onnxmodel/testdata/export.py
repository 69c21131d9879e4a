"""Writes the fixtures of this folder: networks that PyTorch exports to ONNX, inputs, and the geometric complexity by
PyTorch's own Jacobians, in float64. Made with torch 2.15.0, onnx 1.23.2 and onnxscript 0.7.2:

    python export.py
"""

import copy
import json
import pathlib
import sys

import numpy as np
import onnx
import torch
from torch import nn

HERE = pathlib.Path(__file__).parent


def mlp():
    return nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 16), nn.Tanh(), nn.Linear(16, 4))


def conv_net():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1),
        nn.Flatten(), nn.Linear(48, 5))


class Block(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != width:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


def resnet18(width=4):
    blocks, inputs = [], width
    for stage in range(4):
        for stride in (1 if stage == 0 else 2, 1):
            blocks.append(Block(inputs, width << stage, stride))
            inputs = width << stage
    return nn.Sequential(
        nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(), *blocks,
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10))


def randomize_norms(model):
    """Statistics as after training, so that a batch norm that is left out shows."""
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.normal_(m.bias, std=0.3)
            nn.init.normal_(m.running_mean, std=0.3)
            nn.init.uniform_(m.running_var, 0.5, 1.5)


def squared_norms(model, x):
    """||d model(x_b) / d x_b||_F^2 for every example b."""
    return [torch.autograd.functional.jacobian(lambda v: model(v[None])[0], e).square().sum().item() for e in x]


def write(name, model, shape, examples, **export):
    randomize_norms(model)
    model.eval()
    x = torch.randn(examples, *shape)
    path = HERE / f"{name}.onnx"
    torch.onnx.export(model, (x,), path, input_names=["x"], output_names=["logits"], verbose=False, **export)
    graph = onnx.load(path)
    strip(graph.graph)
    onnx.checker.check_model(graph)
    onnx.save(graph, path)
    np.save(HERE / f"{name}_x.npy", x.numpy())
    double = copy.deepcopy(model).double()
    logits, probabilities = squared_norms(double, x.double()), squared_norms(nn.Sequential(double, nn.Softmax(1)), x.double())
    labels = np.arange(examples, dtype=np.int64) % 3
    np.save(HERE / f"{name}_y.npy", labels)
    result = {
        "gc": float(np.mean(logits)),
        "stderr": float(np.std(logits, ddof=1) / np.sqrt(examples)),
        "gc_softmax": float(np.mean(probabilities)),
        "per_class": [float(np.mean(np.array(logits)[labels == c])) for c in range(3)],
        "examples": examples,
        "inputs": int(np.prod(shape)),
        "outputs": int(model(x).shape[1]),
        "operators": sorted({n.op_type for n in graph.graph.node}),
    }
    (HERE / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    print(name, result, path.stat().st_size, file=sys.stderr)


def write_images():
    """A linear network for images of 1 x 28 x 28 and batches of exactly 4, as an export without dynamic axes is."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 3))
    torch.onnx.export(model, (torch.zeros(4, 1, 28, 28),), HERE / "images.onnx", input_names=["x"],
                      output_names=["logits"], dynamo=False)
    print("images", model[1].weight.double().square().sum().item(), file=sys.stderr)


class Floor(nn.Module):
    def forward(self, x):
        return torch.floor(x)


class Random(nn.Module):
    def forward(self, x):
        return torch.bernoulli(x)


def write_refused(name, inner):
    """A network that cannot be measured, for the errors."""
    model, x = nn.Sequential(nn.Linear(12, 3), inner, nn.Linear(3, 2)), torch.zeros(2, 12)
    path = HERE / f"{name}.onnx"
    torch.onnx.export(model, (x,), path, input_names=["x"], output_names=["logits"], dynamo=False,
                      dynamic_axes={"x": {0: "batch"}, "logits": {0: "batch"}})


def strip(graph):
    """Drops what the exporter notes about the places in its own sources."""
    for node in graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    del graph.metadata_props[:]
    for value in graph.value_info:
        del value.metadata_props[:]


if __name__ == "__main__":
    torch.manual_seed(1)
    torch.set_num_threads(1)
    batch = torch.export.Dim("batch", min=2, max=1024)
    write("mlp", mlp(), (12,), 10, dynamo=True, dynamic_shapes=({0: batch},), external_data=False)
    # The older exporter, and its attributes; batch norm is kept, not folded into the convolution.
    axes = {"x": {0: "batch"}, "logits": {0: "batch"}}
    write("convnet", conv_net(), (3, 8, 8), 10, dynamo=False, dynamic_axes=axes, do_constant_folding=False,
          training=torch.onnx.TrainingMode.PRESERVE)
    write("resnet18", resnet18(), (3, 16, 16), 6, dynamo=False, dynamic_axes=axes)
    write_refused("unknown_operator", Random())
    write_refused("no_gradient", Floor())
    write_images()
