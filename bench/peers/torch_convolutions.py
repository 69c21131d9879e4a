"""Times the convolutions of a ResNet18 and their gradients in PyTorch, as BenchmarkResNet18 of internal/convolution does.

It prints the shortest CPU time of a run, of all threads, in milliseconds. Run it in the environment that `make bench` makes.
"""

import itertools
import time

import torch

# Size of the image, channels in and out, kernel, stride, and the number of such convolutions in the network.
CONVOLUTIONS = [
    (32, 3, 64, 3, 1, 1), (32, 64, 64, 3, 1, 4),
    (32, 64, 128, 3, 2, 1), (32, 64, 128, 1, 2, 1), (16, 128, 128, 3, 1, 3),
    (16, 128, 256, 3, 2, 1), (16, 128, 256, 1, 2, 1), (8, 256, 256, 3, 1, 3),
    (8, 256, 512, 3, 2, 1), (8, 256, 512, 1, 2, 1), (4, 512, 512, 3, 1, 3),
]
RUNS = 5


def shortest_cpu_time(fn):
    fn()
    times = []
    for _ in range(RUNS):
        before = time.process_time()
        fn()
        times.append((time.process_time() - before) * 1e3)
    return min(times)


def gradients(c, batch, layout, images, kernel):
    size, n_in, n_out, k, stride, _ = c
    x = torch.randn(batch, n_in, size, size).to(memory_format=layout)
    w = torch.randn(n_out, n_in, k, k).to(memory_format=layout)
    v = torch.randn_like(torch.conv2d(x, w, stride=stride, padding=k // 2))
    pair = lambda n: [n, n]
    return shortest_cpu_time(lambda: torch.ops.aten.convolution_backward(
        v, x, w, None, pair(stride), pair(k // 2), pair(1), False, pair(0), 1, [images, kernel, False]))


def forward(c, batch, layout):
    size, n_in, n_out, k, stride, _ = c
    x = torch.randn(batch, n_in, size, size).to(memory_format=layout)
    w = torch.randn(n_out, n_in, k, k).to(memory_format=layout)
    return shortest_cpu_time(lambda: torch.conv2d(x, w, stride=stride, padding=k // 2))


def main():
    layouts = [torch.contiguous_format, torch.channels_last]
    print("| image | channels | kernel | stride | times | forward | images' gradient | kernel's gradient | images' gradient, batch 320 |")
    totals = [0.0] * 4
    for c in CONVOLUTIONS:
        with torch.no_grad():
            row = [min(forward(c, 32, m) for m in layouts), min(gradients(c, 32, m, True, False) for m in layouts),
                   min(gradients(c, 32, m, False, True) for m in layouts), min(gradients(c, 320, m, True, False) for m in layouts)]
        totals = [t + c[-1] * ms for t, ms in zip(totals, row)]
        print("|", " | ".join(str(v) for v in itertools.chain((c[0], f"{c[1]} to {c[2]}"), c[3:], (f"{ms:.1f}" for ms in row))), "|", flush=True)
    print("| all |  |  |  |  |", " | ".join(f"{t:.0f}" for t in totals), "|")


if __name__ == "__main__":
    main()
