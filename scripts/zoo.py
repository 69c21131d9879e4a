#!/usr/bin/env python3
"""Measures the networks that Python wheels carry, and compares with ONNX Runtime: zoo.py GCML DIR [TABLE].

The wheels are unpacked into DIR, and nothing of them is run but the .onnx files. The oracle is the mean of |J v|^2 over random
directions v of the inputs, whose components are 1 or -1, by central differences of fourth order: its expectation is the GC. It is
in float32, so that it agrees up to its own standard error, and to some digits of rounding."""
import json
import pathlib
import subprocess
import sys
import zipfile

import numpy as np
import onnxruntime

RNG = np.random.default_rng(0)
VOICE = {"input": (RNG.normal(size=(3, 576)) / 10).astype("f4"), "state": (RNG.normal(size=(2, 3, 128)) / 10).astype("f4"), "sr": np.array(16000)}
IMAGES = lambda *size: RNG.uniform(-1, 1, size=size).astype("f4")

# Wheel, version, file in it, inputs, what gcml is told, the input of the derivatives, the step of the differences.
NETWORKS = [
    ("silero-vad", "6.2.3", "silero_vad/data/silero_vad.onnx", VOICE, ["--wrt", "input", "--batch-axis", "state=1"], "input", 3e-4),
    ("silero-vad", "6.2.3", "silero_vad/data/silero_vad_half.onnx", {k: VOICE[k] for k in ("input", "state")},
     ["--wrt", "input", "--batch-axis", "state=1"], "input", 3e-4),
    ("silero-vad", "6.2.3", "silero_vad/data/silero_vad_16k_op15.onnx", VOICE, ["--wrt", "input", "--batch-axis", "state=1"], "input", 3e-4),
    ("silero-vad", "6.2.3", "silero_vad/data/silero_vad_op18_ifless.onnx", VOICE, ["--wrt", "input", "--batch-axis", "state=1"], "input", 3e-4),
    ("rapidocr-onnxruntime", "1.4.4", "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx", {"x": IMAGES(2, 3, 48, 192)}, [], "x", 1e-4),
    ("rapidocr-onnxruntime", "1.4.4", "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx", {"x": IMAGES(2, 3, 48, 64)},
     ["--estimator", "projection:64"], "x", 1e-4),
    ("rapidocr-onnxruntime", "1.4.4", "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx", {"x": 20 * IMAGES(2, 3, 32, 32)},
     ["--estimator", "projection:64"], "x", 1e-4),
    ("nudenet", "3.4.2", "nudenet/320n.onnx", {"images": RNG.uniform(size=(2, 3, 64, 64)).astype("f4")}, ["--estimator", "projection:64"], "images", 1e-5),
    ("magika", "1.0.3", "magika/models/standard_v3_3/model.onnx", {"bytes": RNG.integers(0, 257, size=(2, 2048)).astype("i4")},
     ["--wrt", "jax2tf_get_logits_/pjit_get_logits_/pjit__one_hot_/Cast_1:0", "--estimator", "projection:64"], None, 0),
]
DIRECTIONS = 400


def unpack(folder):
    wheels = sorted({f"{name}=={version}" for name, version, *_ in NETWORKS})
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder / "wheels", *wheels], check=True)
    for wheel in (folder / "wheels").glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.endswith(".onnx"):
                    archive.extract(name, folder)


def oracle(path, inputs, wrt, h):
    """The mean over examples and directions, and its standard error over directions."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = {i.name for i in session.get_inputs()}
    run = lambda x: session.run(None, {**{n: a for n, a in inputs.items() if n in names}, wrt: x.astype("f4")})[0].astype("f8")
    x, squares = inputs[wrt].astype("f8"), []
    for _ in range(DIRECTIONS):
        v = RNG.choice([-h, h], size=x.shape)
        slope = (8 * (run(x + v) - run(x - v)) - (run(x + 2 * v) - run(x - 2 * v))) / (12 * h)
        squares.append(np.sum(slope**2) / len(x))
    return np.mean(squares), np.std(squares) / np.sqrt(DIRECTIONS)


def measure(gcml, path, inputs, options, folder):
    words = []
    for name, array in inputs.items():
        np.save(folder / f"{name}.npy", array)
        words += ["--inputs", f"{name}={folder / name}.npy"]
    done = subprocess.run([gcml, "measure", "--onnx", path, *words, *options, "--json", "--progress", "none"], capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def main(gcml, folder, table=None):
    folder = pathlib.Path(folder)
    unpack(folder)
    rows = []
    for wheel, version, file, inputs, options, wrt, h in NETWORKS:
        result = measure(gcml, folder / file, inputs, options, folder)
        name = f"| {wheel} {version} | {pathlib.Path(file).name} "
        if isinstance(result, str):
            rows.append(f"{name}| {result} | | |")
        else:
            want = "{:.4g} ± {:.1g}".format(*oracle(folder / file, inputs, wrt, h)) if wrt else "not compared: tokens"
            rows.append(f"{name}| {result['gc']:.4g} | {result['estimator']}, {result['outputs']} x {result['inputs']} | {want} |")
        print(rows[-1], flush=True)
    if table:
        pathlib.Path(table).write_text(
            "# Real networks, compared with ONNX Runtime\n\nFor those who want to know which published networks were measured: ONNX files "
            "from Python wheels, each on random inputs. ONNX Runtime's value, on the same inputs, is the mean of "
            f"|J v|² over {DIRECTIONS} random directions v by central differences, with its standard error. Made by `make zoo`; do not edit.\n\n"
            "| wheel | file | GC | estimator, Jacobian | by ONNX Runtime |\n|---|---|---|---|---|\n" + "\n".join(rows) + "\n")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: zoo.py GCML DIR [TABLE]")
    main(*sys.argv[1:])
