"""Writes small float64 networks, one for each operator that is rewritten, with their inputs and their GC
by central differences of ONNX's reference evaluator: cases/form_NAME.onnx, form_x.npy and cases/forms.json."""
import json
import math
import pathlib

import numpy as np
from onnx import AttributeProto, TensorProto, helper, numpy_helper, save
from onnx.reference import ReferenceEvaluator

PLACE = pathlib.Path(__file__).parent / "cases"
SHAPE = (3, 4, 3, 2)
OPERATORS = {
    **{op: ({}, ()) for op in ("LeakyRelu", "Elu", "Selu", "Celu", "HardSigmoid", "Softplus", "Softsign", "Mish",
                               "ThresholdedRelu", "LogSoftmax", "GlobalMaxPool")},
    "PRelu": ({}, (np.array([0.3]),)),
    "Shrink": ({"lambd": 0.4, "bias": 0.1}, ()),
    "ReduceL1": ({}, (np.array([2, 3]),)),
    "ReduceSumSquare": ({}, (np.array([2, 3]),)),
    "ReduceLogSumExp": ({}, (np.array([2, 3]),)),
    "InstanceNormalization": ({}, (np.array([1.0, 0.5, 2.0, 1.5]), np.array([0.1, 0.2, 0.3, 0.4]))),
    # The evaluator normalizes groups in float32 unless told otherwise, too coarse for the differences.
    "GroupNormalization": ({"num_groups": 2, "stash_type": TensorProto.DOUBLE}, (np.array([1.0, 0.5, 2.0, 1.5]), np.array([0.1, 0.2, 0.3, 0.4]))),
    "RMSNormalization": ({}, (np.array([1.0, 0.5]),)),
}


R = np.random.default_rng(7)
SEQUENCE = (3, 5, 4)  # batch, steps, features


def cell(op, gates, outputs=("y",), transpose=True, **attributes):
    """A recurrent layer of 3 hidden values over a sequence whose batch axis is second for it."""
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    weights = {"w": R.normal(size=(directions, gates * 3, 4)) / 2, "r": R.normal(size=(directions, gates * 3, 3)) / 2,
               "b": R.normal(size=(directions, 2 * gates * 3)) / 3}
    attributes["hidden_size"] = 3
    nodes = [("Transpose", "x", "xt", {"perm": [1, 0, 2]}), (op, "xt w r b", " ".join(outputs), attributes)]
    perm = {"y": [2, 0, 1, 3], "h": [1, 0, 2]}[outputs[-1]]
    return [*nodes, ("Transpose", outputs[-1], "out", {"perm": perm})], weights, SEQUENCE


# Name: nodes (operator, inputs, outputs, attributes), weights and the shape of the input.
NETWORKS = {
    "ConvTranspose": ([("ConvTranspose", "x w b", "out", {"strides": [2, 2], "pads": [1, 0, 0, 1], "output_padding": [1, 0]})],
                      {"w": R.normal(size=(4, 3, 3, 2)), "b": R.normal(size=3)}, SHAPE),
    "ConvSame": ([("Conv", "x w", "out", {"auto_pad": "SAME_UPPER", "strides": [2, 1]})], {"w": R.normal(size=(2, 4, 2, 3))}, SHAPE),
    "AveragePoolCeil": ([("AveragePool", "x", "out", {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 0, 1], "ceil_mode": 1})], {}, SHAPE),
    "AveragePoolCounted": ([("AveragePool", "x", "out", {"kernel_shape": [2, 2], "pads": [1, 1, 0, 1], "count_include_pad": 1})], {}, SHAPE),
    "MaxPoolDilated": ([("MaxPool", "x", "out", {"kernel_shape": [2, 2], "dilations": [2, 1], "pads": [0, 1, 1, 0]})], {}, SHAPE),
    "LpPool": ([("LpPool", "x", "out", {"kernel_shape": [2, 2], "p": 3})], {}, SHAPE),
    "GlobalLpPool": ([("GlobalLpPool", "x", "out", {"p": 3})], {}, SHAPE),
    "LRN": ([("LRN", "x", "out", {"size": 3, "alpha": 0.3, "beta": 0.6, "bias": 1.5})], {}, SHAPE),
    "LpNormalization": ([("LpNormalization", "x", "out", {"axis": 1, "p": 1})], {}, SHAPE),
    "DepthToSpace": ([("DepthToSpace", "x", "y", {"blocksize": 2, "mode": "CRD"}), ("Mul", "y y", "out", {})], {}, SHAPE),
    "SpaceToDepth": ([("SpaceToDepth", "x", "y", {"blocksize": 2}), ("Mul", "y y", "out", {})], {}, (3, 2, 4, 2)),
    "PadEdge": ([("Pad", "x p", "y", {"mode": "edge"}), ("Mul", "y y", "out", {})], {"p": np.array([0, 0, 2, 1, 0, 0, 0, 3])}, SHAPE),
    "PadWrap": ([("Pad", "x p", "y", {"mode": "wrap"}), ("Mul", "y y", "out", {})], {"p": np.array([0, 0, 2, 1, 0, 0, 0, 1])}, SHAPE),
    "Einsum": ([("Einsum", "x a b", "out", {"equation": "bcij,ik,jc->bk"})], {"a": R.normal(size=(3, 5)), "b": R.normal(size=(2, 4))}, SHAPE),
    "ScatterElements": ([("ScatterElements", "x i u", "y", {"axis": 1}), ("Mul", "y y", "out", {})],
                        {"i": np.array([[[1, 3]]] * 3).reshape(3, 2, 1), "u": R.normal(size=(3, 2, 1))}, SEQUENCE),
    "Round": ([("Round", "x", "r", {}), ("Ceil", "x", "c", {}), ("Floor", "x", "f", {}), ("Mul", "r x", "rx", {}), ("Add", "rx c", "s", {}),
               ("Sub", "s f", "t", {}), ("Mul", "t x", "out", {})], {}, SHAPE),
    "Sinh": ([("Sinh", "x", "out", {})], {}, SHAPE),
    "Asinh": ([("Asinh", "x", "out", {})], {}, SHAPE),
    "Softmax": ([("Softmax", "x", "out", {"axis": 1})], {}, SHAPE),
    "Attention": ([("MatMul", "x q", "xq", {}), ("MatMul", "x k", "xk", {}), ("MatMul", "x v", "xv", {}),
                   ("Attention", "xq xk xv", "out", {"q_num_heads": 4, "kv_num_heads": 2, "is_causal": 1})],
                  {"q": R.normal(size=(4, 8)), "k": R.normal(size=(4, 4)), "v": R.normal(size=(4, 6))}, SEQUENCE),
    "FusedMatMul": ([("com.microsoft.FusedMatMul", "x a", "out", {"transA": 1, "alpha": 0.5})], {"a": R.normal(size=(5, 6))}, SEQUENCE),
    "FastGelu": ([("com.microsoft.FastGelu", "x b", "out", {})], {"b": R.normal(size=4)}, SEQUENCE),
    "BiasGelu": ([("com.microsoft.BiasGelu", "x b", "out", {})], {"b": R.normal(size=4)}, SEQUENCE),
    "QuickGelu": ([("com.microsoft.QuickGelu", "x", "out", {})], {}, SEQUENCE),
    "SkipLayerNormalization": ([("Mul", "x x", "s", {}), ("com.microsoft.SkipLayerNormalization", "x s g b", "out", {"epsilon": 1e-3})],
                               {"g": R.normal(size=4), "b": R.normal(size=4)}, SEQUENCE),
    "SkipSimplifiedLayerNormalization": ([("Mul", "x x", "s", {}), ("com.microsoft.SkipSimplifiedLayerNormalization", "x s g", "out", {"epsilon": 1e-3})],
                                         {"g": R.normal(size=4)}, SEQUENCE),
    "SimplifiedLayerNormalization": ([("SimplifiedLayerNormalization", "x g", "out", {"epsilon": 1e-3})], {"g": R.normal(size=4)}, SEQUENCE),
    "Function": ([("own.Double", "x", "y", {"by": 0.25}), ("own.Double", "y", "out", {})], {}, SEQUENCE),
    "GRU": cell("GRU", 3),
    "GRUBefore": cell("GRU", 3, ("", "h"), linear_before_reset=1, direction="bidirectional"),
    "RNN": cell("RNN", 1, ("", "h"), direction="reverse"),
    "LSTM": cell("LSTM", 4, ("", "h"), activations=["Sigmoid", "Tanh", "Tanh"]),
}


NETWORKS |= {
    "Atan": ([("Mul", "x x", "xx", {}), ("Mul", "xx x", "cube", {}), ("Atan", "cube", "out", {})], {}, SHAPE),
    "Asin": ([("Tanh", "x", "t", {}), ("Asin", "t", "out", {})], {}, SHAPE),
    "Acos": ([("Tanh", "x", "t", {}), ("Acos", "t", "out", {})], {}, SHAPE),
    "Pow": ([("Abs", "x", "a", {}), ("Pow", "a e", "out", {})], {"e": np.arange(24, dtype=np.int64).reshape(4, 3, 2) % 4}, SHAPE),
    "AttentionWindow": ([*NETWORKS["Attention"][0][:3], ("Attention", "xq xk xv", "out",
                        {"q_num_heads": 4, "kv_num_heads": 2, "left_window_size": 1, "right_window_size": 2})], NETWORKS["Attention"][1], SEQUENCE),
}


WHOLE = [("Mul", "x four", "f", {}), ("Round", "f", "r", {}), ("Cast", "r", "whole", {"to": TensorProto.INT64})]
NETWORKS |= {
    **{op: ([(op, "x", "out", {})], {}, SHAPE) for op in ("Cos", "Cosh", "Erf", "Sigmoid", "Tan")},
    "Acosh": ([("Exp", "x", "e", {}), ("Add", "e one", "a", {}), ("Acosh", "a", "out", {})], {"one": np.array(1.0)}, SHAPE),
    "Atanh": ([("Sin", "x", "s", {}), ("Mul", "s most", "a", {}), ("Atanh", "a", "out", {})], {"most": np.array(0.9)}, SHAPE),
    "Reciprocal": ([("Mul", "x x", "xx", {}), ("Add", "xx one", "a", {}), ("Reciprocal", "a", "out", {})], {"one": np.array(1.0)}, SHAPE),
    "Gelu": ([("com.microsoft.Gelu", "x", "out", {})], {}, SHAPE),
    "SwiGLU": ([("Mul", "x x", "xx", {}), ("SwiGLU", "x xx", "out", {"alpha": 1.5})], {}, SHAPE),
    "RotaryEmbedding": ([("RotaryEmbedding", "x c s p", "y", {"num_heads": 2, "interleaved": 1}), ("Mul", "y y", "out", {})],
                        {"c": np.cos(np.arange(7.0))[:, None], "s": np.sin(np.arange(7.0))[:, None], "p": R.integers(0, 7, size=(3, 5))}, SEQUENCE),
    "OneHot": ([("ArgMax", "x", "i", {"axis": 1, "keepdims": 0}), ("OneHot", "i depth values", "hot", {"axis": 1}), ("Mul", "hot x", "y", {}),
                ("Mul", "y y", "out", {})], {"depth": np.array(4), "values": np.array([0.5, 2.0])}, SHAPE),
    "ArgMin": ([("ArgMin", "x", "i", {"axis": 3}), ("GatherElements", "x i", "y", {"axis": 3}), ("Mul", "y y", "out", {})], {}, SHAPE),
    "Hardmax": ([("Hardmax", "x", "h", {"axis": 1}), ("Sign", "x", "s", {}), ("Add", "h s", "f", {}), ("Mul", "f x", "y", {}), ("Mul", "y x", "out", {})],
                {}, SHAPE),
    "EyeLike": ([("EyeLike", "like", "eye", {"k": 1, "dtype": TensorProto.DOUBLE}), ("MatMul", "eye x", "y", {}), ("Mul", "y y", "out", {})],
                {"like": np.zeros((3, 3))}, SHAPE),
    "ConstantOfShape": ([("Shape", "x", "dims", {}), ("ConstantOfShape", "dims", "two", {"value": numpy_helper.from_array(np.array([2.0]))}),
                         ("CastLike", "whole two", "w", {}), ("Mul", "two x", "y", {}), ("Mul", "y w", "out", {})],
                        {"whole": np.array([3, 5])}, SHAPE),
    "Comparisons": ([("LessOrEqual", "x low", "a", {}), ("GreaterOrEqual", "x high", "b", {}), ("Xor", "a b", "c", {}), ("IsNaN", "x", "n", {}),
                     ("IsInf", "x", "i", {}), ("Or", "n i", "o", {}), ("Not", "o", "finite", {}), ("And", "c finite", "d", {}),
                     ("Mul", "x x", "xx", {}), ("Where", "d xx x", "out", {})], {"low": np.array(-0.5), "high": np.array(0.7)}, SHAPE),
    "Bitwise": ([*WHOLE, ("BitwiseAnd", "whole six", "a", {}), ("BitwiseOr", "a one", "o", {}), ("BitwiseXor", "o three", "e", {}),
                 ("BitwiseNot", "e", "n", {}), ("Cast", "n", "c", {"to": TensorProto.DOUBLE}), ("Mul", "c x", "out", {})],
                {"four": np.array(4.0), "six": np.array(6), "one": np.array(1), "three": np.array(3)}, SHAPE),
}
SPARSE = helper.make_sparse_tensor(numpy_helper.from_array(np.array([2.0, -3.0, 0.5])),
                                   numpy_helper.from_array(np.array([1, 2, 5])), [3, 2])
IN_ROWS = helper.make_sparse_tensor(SPARSE.values, numpy_helper.from_array(np.array([[0, 1], [1, 0], [2, 1]])), [3, 2])
NETWORKS |= {name: ([("Constant", "", "c", {"sparse_value": value}), ("Mul", "x c", "y", {}), ("Mul", "y x", "out", {})], {}, SHAPE)
             for name, value in (("ConstantSparse", SPARSE), ("ConstantSparseInRows", IN_ROWS))}
OPSETS = {"SwiGLU": 28}  # Else 23.


# By other operators: what the evaluator does not have, and what it has wrongly. Its LRN stops at the channel that is
# as far as there are examples, and its LpNormalization takes no absolute value for p = 1.
BAND = np.array([[abs(i - j) <= 1 for j in range(4)] for i in range(4)], dtype=float).reshape(4, 4, 1, 1)
DENSE = ([("Mul", "x c", "y", {}), ("Mul", "y x", "out", {})], {"c": np.array([[0, 2.0], [-3.0, 0], [0, 0.5]])})
INSTEAD = {
    "ConstantSparse": DENSE, "ConstantSparseInRows": DENSE,
    "LRN": ([("Mul", "x x", "xx", {}), ("Conv", "xx band", "sum", {}), ("Mul", "sum tenth", "s", {}), ("Add", "s bias", "base", {}),
             ("Pow", "base beta", "d", {}), ("Div", "x d", "out", {})],
            {"band": BAND, "tenth": np.array(0.1), "bias": np.array(1.5), "beta": np.array(0.6)}),
    "FusedMatMul": ([("Transpose", "x", "t", {"perm": [0, 2, 1]}), ("MatMul", "t a", "m", {}), ("Mul", "m half", "out", {})],
                    {"a": NETWORKS["FusedMatMul"][1]["a"], "half": np.array(0.5)}),
    "FastGelu": ([("Add", "x b", "y", {}), ("Gelu", "y", "out", {"approximate": "tanh"})], NETWORKS["FastGelu"][1]),
    "Function": ([("LeakyRelu", "x", "a", {"alpha": 0.25}), ("Mul", "a x", "y", {}), ("LeakyRelu", "y", "b", {"alpha": 0.5}), ("Mul", "b y", "out", {})], {}),
    "QuickGelu": ([("Swish", "x", "out", {"alpha": 1.702})], {}),
    "SkipLayerNormalization": ([("Mul", "x x", "s", {}), ("Add", "x s", "y", {}), ("LayerNormalization", "y g b", "out", {"epsilon": 1e-3})],
                               NETWORKS["SkipLayerNormalization"][1]),
    "SkipSimplifiedLayerNormalization": ([("Mul", "x x", "s", {}), ("Add", "x s", "y", {}), ("RMSNormalization", "y g", "out", {"epsilon": 1e-3})],
                                         NETWORKS["SkipSimplifiedLayerNormalization"][1]),
    "SimplifiedLayerNormalization": ([("RMSNormalization", "x g", "out", {"epsilon": 1e-3})], NETWORKS["SimplifiedLayerNormalization"][1]),
    "LpNormalization": ([("Abs", "x", "a", {}), ("ReduceSum", "a axes", "s", {}), ("Div", "x s", "out", {})], {"axes": np.array([1])}),
    "GlobalLpPool": ([("Abs", "x", "a", {}), ("Pow", "a three", "p", {}), ("ReduceSum", "p axes", "s", {}), ("Pow", "s third", "out", {})],
                     {"three": np.array(3.0), "third": np.array(1 / 3), "axes": np.array([2, 3])}),
}


def network(nodes, weights, shape, opset=23):
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.DOUBLE, shape)
    node = lambda op, i, o, a: helper.make_node(op.rpartition(".")[2], i.split(" ") if i else [], o.split(" "), domain=op.rpartition(".")[0], **a)
    graph = helper.make_graph([node(*n) for n in nodes], "form",
                              [value("x", ["batch", *shape[1:]])], [value("out", None)],
                              [numpy_helper.from_array(w, n) for n, w in weights.items()])
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, functions=[double()])


def double():
    """A function of the file: v * LeakyRelu(v), with an attribute that has a default."""
    leaky = helper.make_node("LeakyRelu", ["v"], ["y"])
    leaky.attribute.append(AttributeProto(name="alpha", type=AttributeProto.FLOAT, ref_attr_name="by"))
    nodes = [leaky, helper.make_node("Mul", ["y", "v"], ["w"])]
    return helper.make_function("own", "Double", ["v"], ["w"], nodes, [helper.make_opsetid("", 23)],
                                attribute_protos=[helper.make_attribute("by", 0.5)])


def single(op, attributes, weights):
    names = [f"w{i}" for i in range(len(weights))]
    node = helper.make_node(op, ["x", *names], ["y"], **attributes)
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.DOUBLE, shape)
    graph = helper.make_graph([node], op, [value("x", ["batch", *SHAPE[1:]])], [value("y", None)],
                              [numpy_helper.from_array(w, n) for w, n in zip(weights, names)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)


# The evaluator's Erf and Gelu are of float32, too coarse for the differences.
erf = np.vectorize(math.erf, otypes=[float])


def gelu(x):
    return x * (1 + erf(x / math.sqrt(2))) / 2


BY_NUMPY = {"Erf": erf, "Gelu": gelu, "BiasGelu": lambda x: gelu(x + NETWORKS["BiasGelu"][1]["b"])}


def complexity(model, x, h=1e-5):
    run = model if callable(model) else lambda v: ReferenceEvaluator(model).run(None, {"x": v})[0]
    total = 0.0
    for i in np.ndindex(x.shape[1:]):
        step = np.zeros(x.shape)
        step[(slice(None), *i)] = h  # all examples at once: no operator here mixes them
        total += np.sum(((run(x + step) - run(x - step)) / (2 * h)) ** 2)
    return total / x.shape[0]


if __name__ == "__main__":
    x = np.random.default_rng(1).normal(size=SHAPE) * 1.5
    index = []
    for op, (attributes, weights) in OPERATORS.items():
        model = single(op, attributes, weights)
        save(model, PLACE / f"form_{op}.onnx")
        index.append({"model": f"form_{op}.onnx", "inputs": "form_x.npy", "name": op, "gc": complexity(model, x),
                      "tolerance": 1e-5, "batch": 3})
    np.save(PLACE / "form_x.npy", x)
    for name, (nodes, weights, shape) in NETWORKS.items():
        model, inputs = network(nodes, weights, shape, OPSETS.get(name, 23)), "form_x.npy"
        if shape != SHAPE:
            inputs = f"form_x_{'_'.join(map(str, shape))}.npy"
            np.save(PLACE / inputs, np.random.default_rng(2).normal(size=shape))
        save(model, PLACE / f"form_{name}.onnx")
        reference = network(*INSTEAD[name], shape) if name in INSTEAD else model
        reference = BY_NUMPY.get(name, reference)
        index.append({"model": f"form_{name}.onnx", "inputs": inputs, "name": name,
                      "gc": complexity(reference, np.load(PLACE / inputs)), "tolerance": 1e-5, "batch": 3})
    (PLACE / "forms.json").write_text(json.dumps(index, indent=1) + "\n")
