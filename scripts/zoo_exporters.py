#!/usr/bin/env python3
"""Measures U-Nets and detectors, exported by both of PyTorch's exporters, and compares with PyTorch: zoo_exporters.py GCML DIR [TABLE].

Weights are random, so that nothing is downloaded. The oracle is PyTorch's own Jacobian in float64, one vector-Jacobian product for
each output."""
import contextlib
import copy
import io
import logging
import os
import warnings

import torch
from torch import nn
from torch.nn import functional

from zoo_measure import BACKEND, measure, write_table

os.environ.setdefault("YOLO_AUTOINSTALL", "false")
WIDTH = 4


def block(inputs, outputs, norm):
    layers = (nn.Conv2d(inputs, outputs, 3, padding=1), norm(outputs), nn.LeakyReLU(0.1))
    return nn.Sequential(*layers, nn.Conv2d(outputs, outputs, 3, padding=1), norm(outputs), nn.SiLU())


class UNet(nn.Module):
    """Two levels, whose way up is transposed convolutions or, before a convolution, resizing in a mode."""

    def __init__(self, up, norm):
        super().__init__()
        w = WIDTH
        self.up = up
        self.down = nn.ModuleList([block(2, w, norm), block(w, 2 * w, norm), block(2 * w, 4 * w, norm)])
        self.merge = nn.ModuleList([block(2 * w, w, norm), block(4 * w, 2 * w, norm)])
        if up == "transposed":
            self.rise = nn.ModuleList([nn.ConvTranspose2d(2 * w, w, 3, 2, padding=1, output_padding=1), nn.ConvTranspose2d(4 * w, 2 * w, 2, 2)])
        else:
            self.rise = nn.ModuleList([nn.Conv2d(2 * w, w, 1), nn.Conv2d(4 * w, 2 * w, 1)])
        self.last = nn.Conv2d(w, 2, 1)

    def upwards(self, x, like):
        if self.up == "transposed":
            return x
        if self.up == "bicubic":
            return functional.interpolate(x, size=like.shape[2:], mode="bicubic")
        mode = self.up.removesuffix(", aligned")
        return functional.interpolate(x, scale_factor=2, mode=mode, align_corners=True if mode != self.up else None)

    def forward(self, x):
        first = self.down[0](x)
        second = self.down[1](functional.max_pool2d(first, 2))
        x = self.down[2](functional.avg_pool2d(second, 2))
        for level, skip in ((1, second), (0, first)):
            x = self.merge[level](torch.cat([self.rise[level](self.upwards(x, skip)), skip], 1))
        return self.last(x)


def unet(up, norm):
    torch.manual_seed(0)
    model = UNet(up, norm)
    for m in model.modules():
        if isinstance(m, (nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d)):
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.normal_(m.bias, std=0.3)
        if isinstance(m, nn.BatchNorm2d):
            m.momentum = 1.0  # The statistics of the last batch.
    with torch.no_grad():
        model.train()(torch.randn(8, 2, 8, 8))
    return model.eval(), torch.randn(2, 2, 8, 8)


class SliceHead(nn.Module):
    """A detector's head, which assigns the positions and sizes of boxes to slices of its output."""

    def __init__(self):
        super().__init__()
        self.features = nn.Conv2d(3, 18, 3, 2, padding=1)

    def forward(self, x):
        y = self.features(x)
        height, width = y.shape[2:]
        y = y.view(-1, 3, 6, height, width).permute(0, 1, 3, 4, 2).sigmoid()
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        boxes = y.clone()
        boxes[..., 0:2] = (y[..., 0:2] * 2 - 0.5 + torch.stack((columns, rows), 2)) * 2
        boxes[..., 2:4] = (y[..., 2:4] * 2) ** 2 * 10
        return boxes.reshape(x.shape[0], -1, 6)


def slices():
    torch.manual_seed(0)
    return SliceHead().eval(), torch.randn(2, 3, 8, 8)


def groups(channels):
    return nn.GroupNorm(2, channels)


def instances(channels):
    return nn.InstanceNorm2d(channels, affine=True)


def yolo():
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(0)
    model = DetectionModel("yolov8n.yaml", ch=3, nc=4, verbose=False)
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.rand(8, 3, 64, 64))
    model.eval()
    head = model.model[-1]
    head.export, head.format = True, "onnx"  # One tensor of boxes and classes, as ultralytics exports it.
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        model(x)  # It keeps the places of its boxes for this size.
    return model, x


NETWORKS = {
    "U-Net, transposed convolutions, batch norm": lambda: unet("transposed", nn.BatchNorm2d),
    "U-Net, nearest, batch norm": lambda: unet("nearest", nn.BatchNorm2d),
    "U-Net, nearest-exact, batch norm": lambda: unet("nearest-exact", nn.BatchNorm2d),
    "U-Net, bilinear, group norm": lambda: unet("bilinear", groups),
    "U-Net, bilinear, aligned corners, group norm": lambda: unet("bilinear, aligned", groups),
    "U-Net, bicubic to a computed size, instance norm": lambda: unet("bicubic", instances),
    "Detector's head, boxes assigned to slices": slices,
    "YOLOv8n, 4 classes": yolo,
}


def geometric_complexity(model, x):
    model, x = copy.deepcopy(model).double(), x.double().requires_grad_()
    y = model(x).flatten(1)
    rows = (torch.autograd.grad(y[:, k].sum(), x, retain_graph=True)[0] for k in range(y.shape[1]))
    return sum(float((row**2).sum()) for row in rows) / len(x)


def exported(model, x, file, dynamo):
    """The error, or None."""
    options = {"dynamic_axes": {"x": {0: "batch"}}}
    if dynamo:
        options = {"dynamic_shapes": ({0: torch.export.Dim("batch", min=2, max=64)},), "external_data": False, "verbose": False}
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # The graph that an exporter fails at.
            torch.onnx.export(model, (x,), file, input_names=["x"], dynamo=dynamo, **options)
    except torch.onnx.errors.UnsupportedOperatorError as error:
        return str(error).splitlines()[0]
    return None


def row(name, gcml, folder):
    model, x = NETWORKS[name]()
    want = geometric_complexity(model, x)
    cells = [name, f"{want:.6g}"]
    for dynamo in (False, True):
        file = folder / f"exported_{dynamo}.onnx"
        error = exported(model, x, file, dynamo)
        if error:
            cells.append(f"not exported: {error}")
            continue
        got = measure(gcml, file, {"x": x.numpy()}, [], folder)
        cells.append(got if isinstance(got, str) else f"{got['gc']:.6g} ({abs(got['gc'] / want - 1):.0e})")
    return f"| {' | '.join(cells)} |"


def page(rows):
    import ultralytics

    return (
        "# U-Nets and detectors of both PyTorch exporters\n\nFor those who export a network that enlarges images or assigns to slices. The "
        "networks have random weights, and the statistics of 8 random images in their batch norms. They are measured on two random images of "
        "8 × 8 pixels (YOLOv8n, in ultralytics' architecture: 32 × 32). The table has the exact GC in float32 by `gcml measure --onnx` on "
        f"{BACKEND}, with its relative difference from PyTorch's own Jacobians in float64. Made by `make zoo-exporters` with PyTorch "
        f"{torch.__version__} and ultralytics {ultralytics.__version__}; do not edit.\n\n"
        "| network | by PyTorch | older exporter | newer exporter |\n|---|---|---|---|\n" + "\n".join(rows) + "\n")


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    write_table(NETWORKS, row, page)
