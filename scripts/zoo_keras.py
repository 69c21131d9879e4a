#!/usr/bin/env python3
"""Measures Keras networks that tf2onnx exported, and compares with TensorFlow: zoo_keras.py GCML DIR [TABLE].

The oracle is TensorFlow's own Jacobian of the same network with the same weights in float64."""
import collections
import os

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import tf2onnx  # noqa: E402

from zoo_measure import BACKEND, measure, write_table  # noqa: E402

L = keras.layers


def dense():
    return keras.Sequential([keras.Input((12,)), L.Dense(16, activation="selu"), L.BatchNormalization(), L.Dense(8, activation="softplus"),
                             L.Dropout(0.3), L.Dense(4)])


def convolutional():
    return keras.Sequential([
        keras.Input((12, 12, 3)), L.Conv2D(8, 3, padding="same", strides=2, activation="relu"), L.BatchNormalization(),
        L.MaxPooling2D(2, padding="same"), L.DepthwiseConv2D(3, padding="same"), L.LeakyReLU(), L.SeparableConv2D(6, 3, activation="swish"),
        L.GlobalAveragePooling2D(), L.Dense(5, activation="softmax")])


def unet():
    return keras.Sequential([
        keras.Input((8, 8, 3)), L.Conv2D(6, 3, strides=2, padding="same", activation="elu"), L.Conv2DTranspose(4, 3, strides=2, padding="same"),
        L.UpSampling2D(2, interpolation="bilinear"), L.AveragePooling2D(3, padding="same"), L.UpSampling2D(2), L.Conv2D(2, 3, dilation_rate=2)])


def lstm():
    return keras.Sequential([keras.Input((6, 5)), L.LSTM(7, return_sequences=True), L.LSTM(4), L.Dense(3)])


def gru():
    return keras.Sequential([keras.Input((6, 5)), L.Bidirectional(L.GRU(4, return_sequences=True)), L.GRU(3, reset_after=False), L.Dense(3)])


def simple():
    return keras.Sequential([keras.Input((6, 5)), L.SimpleRNN(4), L.Dense(3)])


def attention():
    x = keras.Input((6, 8))
    y = L.LayerNormalization()(L.MultiHeadAttention(2, 4)(x, x) + x)
    return keras.Model(x, L.Dense(3)(L.GlobalAveragePooling1D()(y)))


NETWORKS = {"dense layers, batch norm": dense, "convolutions": convolutional, "transposed convolution, upsampling": unet, "LSTM, two layers": lstm,
            "GRU, bidirectional and plain": gru, "SimpleRNN": simple, "attention, layer norm": attention}


def randomize(model, rng):
    for w in model.weights:
        if "moving_variance" in w.path or "gamma" in w.path:
            w.assign(rng.uniform(0.5, 1.5, w.shape))
        elif "bias" in w.path or "beta" in w.path or "moving_mean" in w.path:
            w.assign(rng.normal(size=w.shape) * 0.3)


def geometric_complexity(build, weights, x):
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        model = build()
        model.set_weights([w.astype("f8") for w in weights])
        x = tf.constant(x, tf.float64)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = model(x, training=False)
        return float(tf.reduce_sum(tape.batch_jacobian(y, x, experimental_use_pfor=False) ** 2)) / len(x)
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


def row(name, gcml, folder):
    rng = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    model = NETWORKS[name]()
    randomize(model, rng)
    x = rng.normal(size=(3, *model.input_shape[1:])).astype("f4")
    signature = [tf.TensorSpec([None, *x.shape[1:]], tf.float32, name="x")]
    function = tf.function(lambda x: model(x, training=False), input_signature=signature)
    proto, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=18, output_path=str(folder / "keras.onnx"))
    want = geometric_complexity(NETWORKS[name], model.get_weights(), x)
    got = measure(gcml, folder / "keras.onnx", {"x": x}, [], folder)
    cell = f"{got} | " if isinstance(got, str) else f"{got['gc']:.6g} | {abs(got['gc'] / want - 1):.0e}"
    kinds = collections.Counter(n.op_type for n in proto.graph.node)
    return f"| {name} | {', '.join(sorted(kinds))} | {want:.6g} | {cell} |"


def page(rows):
    return (
        "# Keras networks that tf2onnx exported\n\nFor those who come from Keras: small networks with random weights, on three random "
        f"examples. Exact GC in float32 by `gcml measure --onnx` on {BACKEND}, and its relative difference from TensorFlow's own Jacobians "
        "of the same network in float64. For GRU and SimpleRNN give `keras.Input` the length of the sequences "
        "([why](onnx.md#from-keras)). tf2onnx writes the activation gelu as Erfc, which is no operator of ONNX. Made by `make zoo-keras` with "
        f"Keras {keras.__version__}, TensorFlow {tf.__version__} and tf2onnx {tf2onnx.__version__}; do not edit.\n\n"
        "| network | operators of the file | by TensorFlow | GC | difference |\n|---|---|---|---|---|\n" + "\n".join(rows) + "\n")


if __name__ == "__main__":
    write_table(NETWORKS, row, page)
