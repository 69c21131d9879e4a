#!/usr/bin/env python3
"""Measures torchvision's networks and compares with PyTorch: zoo_torch.py GCML DIR [TABLE].

The networks have 10 outputs and random weights, and their batch norms the statistics of random images, so that nothing is
downloaded. They are exported to DIR by the older exporter. The oracle is PyTorch's own Jacobian, one vector-Jacobian product for each output."""
import pathlib
import sys
import warnings

import numpy as np
import torch
import torchvision

from zoo_measure import BACKEND, arguments, measure

NETWORKS = ["efficientnet_b0", "convnext_tiny", "mobilenet_v3_small", "shufflenet_v2_x0_5", "resnext50_32x4d", "squeezenet1_1", "googlenet"]


def network(name):
    torch.manual_seed(0)
    model = getattr(torchvision.models, name)(num_classes=10)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0  # The statistics of the last batch.
    with torch.no_grad():
        model.train()(torch.rand(16, 3, 32, 32) * 2 - 1)
    return model.eval()


def geometric_complexity(model, x):
    """The mean over examples of the sum of the squared derivatives of the outputs, in the dtype of x."""
    x = x.clone().requires_grad_()
    y = model(x)
    rows = [torch.autograd.grad(y[:, k].sum(), x, retain_graph=True)[0].double() for k in range(y.shape[1])]
    return sum(float((row**2).sum()) for row in rows) / len(x)


def page(rows):
    return (
        "# Torchvision's networks, compared with PyTorch\n\nFor those who measure image networks, with depthwise and grouped "
        "convolutions among them: torchvision's, with 10 outputs, random weights, and the statistics of 16 random images in their batch norms, on "
        "two random images of 32 × 32 pixels. Each was exported by PyTorch's older exporter and measured by `gcml measure --onnx` in "
        f"float32 on {BACKEND}. PyTorch's values are from its own Jacobians; those in float32 and in float64 "
        f"differ where derivatives jump. Made by `make zoo-torch` with PyTorch {torch.__version__} and torchvision {torchvision.__version__}; do not "
        "edit.\n\n"
        "| network | exact GC | by PyTorch in float32 | in float64 | one projection |\n|---|---|---|---|---|\n"
        + "\n".join(rows) + "\n")


def main():
    warnings.filterwarnings("ignore")
    gcml, folder, table = arguments()
    rows = []
    x = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, size=(2, 3, 32, 32)).astype("f4"))
    for name in NETWORKS:
        model = network(name)
        file = folder / f"{name}.onnx"
        torch.onnx.export(model, x, file, dynamo=False, opset_version=17, input_names=["x"], output_names=["y"])
        single = geometric_complexity(model, x)
        double = geometric_complexity(model.double(), x.double())
        exact, projected = (
            measure(gcml, file, {"x": x.numpy()}, ["--estimator", estimator], folder) for estimator in ("exact", "projection:1"))
        if isinstance(exact, str) or isinstance(projected, str):
            sys.exit(f"{name}: {exact if isinstance(exact, str) else projected}")
        rows.append(f"| {name} | {exact['gc']:.6g} | {single:.6g} | {double:.6g} | {projected['gc']:.4g} |")
        print(rows[-1], f"{exact['seconds']:.0f} s and {projected['seconds']:.0f} s", flush=True)
    if table:
        pathlib.Path(table).write_text(page(rows))


if __name__ == "__main__":
    main()
