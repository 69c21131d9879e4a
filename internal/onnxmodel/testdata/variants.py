"""Writes small networks of forms that files have and ONNX's suite of its newest operators lacks: old opsets, attributes and
inputs left out, other ranks and types, loops. variants/NAME.onnx, the inputs variants/x_SHAPE_TYPE.npy, and variants/index.json
with the GC by central differences of fourth order: of ONNX Runtime in float64, where it has the operators in that type; else of
ONNX's reference evaluator in float64; else of ONNX Runtime in float32. Where the evaluator is known to be wrong, RUNTIME names the
case, and ONNX Runtime's value stands. Where neither has the operators, EQUAL names another case that computes the same.
Made with onnx 1.23.2 and onnxruntime 1.32.0."""
import json
import pathlib
import warnings

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto as T
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.ops import op_affine_grid, op_grid_sample

PLACE = pathlib.Path(__file__).parent / "variants"
R = np.random.default_rng(11)
S2, S3, S4, S5 = (3, 6), (3, 4, 7), (3, 4, 5, 6), (2, 2, 4, 5, 3)
CASES = {}


def N(*shape):
    return R.normal(size=shape)


def case(name, opset, nodes, w=None, shape=S4, dtype="f8", refused=None, scale=1.5):
    """A network of nodes (operator, inputs, outputs, attributes) and weights w, from x to out; refused: a part of the message."""
    assert name not in CASES, name
    CASES[name] = {"opset": opset, "nodes": nodes, "w": w or {}, "shape": shape, "dtype": dtype, "refused": refused, "scale": scale}


def sq(v):
    return ("Mul", f"{v} {v}", "out", {})


def ints(*values):
    return np.array(values, dtype=np.int64)


# softmax of old opsets
case("softmax11_axis2", 11, [("Softmax", "x", "out", {"axis": 2})])
case("softmax11_negative", 11, [("Softmax", "x", "out", {"axis": -1})])
case("softmax11_negative2", 11, [("Softmax", "x", "out", {"axis": -2})])
case("softmax1_default", 6, [("Softmax", "x", "out", {})], shape=S3)
case("logsoftmax9_default", 9, [("LogSoftmax", "x", "out", {})], shape=S3)
case("logsoftmax11_axis3", 11, [("LogSoftmax", "x", "out", {"axis": 3})])
case("softmax13_axis1", 13, [("Softmax", "x", "out", {"axis": 1})])
case("softmax12_2d", 12, [("Softmax", "x", "out", {})], shape=S2)
# clip
case("clip6_min", 6, [("Clip", "x", "y", {"min": 0.25}), sq("y")])
case("clip6_max", 6, [("Clip", "x", "y", {"max": 0.25}), sq("y")])
case("clip1", 6, [("Clip", "x", "y", {"min": -0.5, "max": 0.75}), sq("y")], shape=S2)
case("clip6_none", 6, [("Clip", "x", "y", {}), sq("y")])
case("clip11_max", 11, [("Clip", ["x", "", "m"], "y", {}), sq("y")], {"m": np.array(0.3)})
case("clip13_const", 13, [("Constant", [], "m", {"value": numpy_helper.from_array(np.array(-0.3))}), ("Clip", ["x", "m"], "y", {}), sq("y")])
case("clip12_computed", 12, [("ReduceMin", "w", "m", {"keepdims": 0}), ("Clip", ["x", "m"], "y", {}), sq("y")], {"w": np.array([-0.3, 0.2, 0.1])})
# pools
case("maxpool1_nostrides", 7, [("MaxPool", "x", "out", {"kernel_shape": [2, 3]})], dtype="f4")
case("maxpool8_1d", 8, [("MaxPool", "x", "out", {"kernel_shape": [3], "pads": [1, 1]})], shape=S3)
case("maxpool12_3d", 12, [("MaxPool", "x", "out", {"kernel_shape": [2, 2, 2]})], shape=S5)
case("maxpool10_ceil_nostrides", 10, [("MaxPool", "x", "out", {"kernel_shape": [2, 3], "ceil_mode": 1})])
case("maxpool10_ceil", 10, [("MaxPool", "x", "out", {"kernel_shape": [2, 3], "strides": [2, 2], "ceil_mode": 1})])
case("maxpool12_same_lower", 12, [("MaxPool", "x", "out", {"kernel_shape": [2, 3], "auto_pad": "SAME_LOWER"})])
case("maxpool12_same_upper_strides", 12, [("MaxPool", "x", "out", {"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER", "strides": [2, 3]})])
case("maxpool12_valid", 12, [("MaxPool", "x", "out", {"kernel_shape": [2, 2], "auto_pad": "VALID"})])
case("maxpool12_dilated_ceil", 12, [("MaxPool", "x", "out", {"kernel_shape": [2, 2], "dilations": [2, 2], "strides": [2, 2], "ceil_mode": 1})])
case("maxpool12_storage", 12, [("MaxPool", "x", "out", {"kernel_shape": [2, 2], "storage_order": 1})])
case("maxpool12_pads_asym", 12, [("MaxPool", "x", "out", {"kernel_shape": [3, 3], "pads": [0, 1, 2, 0], "strides": [2, 1]})])
case("maxpool_negative_values", 12, [("Sub", "x c", "y", {}), ("MaxPool", "y", "out", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]})], {"c": np.array(50.0)})
case("avgpool7_nostrides", 7, [("AveragePool", "x", "out", {"kernel_shape": [2, 3]})])
case("avgpool7_include", 7, [("AveragePool", "x", "out", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1})])
case("avgpool11_pads", 11, [("AveragePool", "x", "out", {"kernel_shape": [3, 3], "pads": [1, 0, 1, 2], "strides": [2, 2]})])
case("avgpool11_ceil_include", 11, [("AveragePool", "x", "out", {"kernel_shape": [2, 3], "pads": [0, 1, 0, 1], "strides": [3, 2], "ceil_mode": 1, "count_include_pad": 1})])
case("avgpool19_dilated", 19, [("AveragePool", "x", "out", {"kernel_shape": [2, 2], "dilations": [2, 3]})])
case("avgpool10_1d_same", 10, [("AveragePool", "x", "out", {"kernel_shape": [4], "auto_pad": "SAME_UPPER", "strides": [2]})], shape=S3)
case("avgpool_same_lower", 11, [("AveragePool", "x", "out", {"kernel_shape": [2, 4], "auto_pad": "SAME_LOWER"})])
case("avgpool_3d", 11, [("AveragePool", "x", "out", {"kernel_shape": [2, 3, 2], "pads": [1, 0, 0, 0, 1, 1], "count_include_pad": 1})], shape=S5)
case("lppool2_default", 2, [("LpPool", "x", "out", {"kernel_shape": [2, 3]})], dtype="f4")
case("lppool11_p3_pads", 11, [("LpPool", "x", "out", {"kernel_shape": [2, 2], "p": 3, "pads": [1, 0, 0, 1], "strides": [2, 1]})], dtype="f4")
case("lppool18_ceil_dil", 18, [("LpPool", "x", "out", {"kernel_shape": [2, 2], "p": 1, "dilations": [2, 1], "strides": [2, 2], "ceil_mode": 1})])
case("globalmax_1d", 11, [("GlobalMaxPool", "x", "out", {})], shape=S3)
case("globalavg_3d", 11, [("GlobalAveragePool", "x", "y", {}), sq("y")], shape=S5)
# pads
case("pad10_reflect", 10, [("Pad", "x", "y", {"mode": "reflect", "pads": [0, 0, 2, 1, 0, 0, 0, 3]}), sq("y")])
case("pad10_edge", 10, [("Pad", "x", "y", {"mode": "edge", "pads": [0, 1, 2, 0, 0, 0, 0, 3]}), sq("y")])
case("pad10_negative", 10, [("Pad", "x", "y", {"pads": [0, 0, -1, 1, 0, -1, 0, -2], "value": 0.5}), sq("y")])
case("pad11_value", 11, [("Pad", "x p v", "y", {}), ("ReduceSum", "y", "s", {"axes": [1, 2, 3]}), ("Mul", "s y", "out", {})], {"p": ints(0, 0, 1, 0, 0, 2, 0, 1), "v": np.array(0.7)})
case("pad11_negative_edge", 11, [("Pad", "x p", "y", {"mode": "edge"}), sq("y")], {"p": ints(0, 0, -1, 2, 0, 0, 2, -3)})
case("pad11_negative_reflect", 11, [("Pad", "x p", "y", {"mode": "reflect"}), sq("y")], {"p": ints(0, 0, -1, 2, 0, 0, 2, -3)})
case("pad18_axes_neg", 18, [("Pad", ["x", "p", "", "a"], "y", {"mode": "reflect"}), sq("y")], {"p": ints(1, 2, 0, 1), "a": ints(-1, 2)})
case("pad18_axes_const", 18, [("Pad", ["x", "p", "v", "a"], "y", {}), ("ReduceSum", "y", "s", {}), ("Mul", "s y", "out", {})], {"p": ints(1, 2, 0, 1), "a": ints(-2, 3), "v": np.array(-0.4)}, shape=(1, 4, 5, 6), refused="output out combines the examples of a batch, by ReduceSum")
case("pad19_wrap", 19, [("Pad", "x p", "y", {"mode": "wrap"}), sq("y")], {"p": ints(0, 0, 1, 4, 0, 0, 3, 2)})
case("pad_computed", 13, [("Shape", "x", "s", {}), ("Gather", "s i", "t", {}), ("Div", "t four", "h", {}), ("Concat", "z h z h", "p", {"axis": 0}), ("Pad", "x p", "y", {}), sq("y")], {"i": ints(2, 3), "four": ints(4, 4), "z": ints(0, 0)})
# upsample / resize
case("upsample7", 7, [("Upsample", "x", "y", {"scales": [1.0, 1.0, 2.0, 3.0]}), sq("y")], dtype="f4")
case("upsample7_linear", 7, [("Upsample", "x", "y", {"scales": [1.0, 1.0, 2.0, 3.0], "mode": "linear"}), sq("y")], dtype="f4")
case("upsample9_linear", 9, [("Upsample", "x s", "y", {"mode": "linear"}), sq("y")], {"s": np.array([1, 1, 1.5, 2], dtype="f4")}, dtype="f4")
case("upsample9_nearest_frac", 9, [("Upsample", "x s", "y", {}), sq("y")], {"s": np.array([1, 1, 1.5, 2.5], dtype="f4")}, dtype="f4")
case("resize10_linear", 10, [("Resize", "x s", "y", {"mode": "linear"}), sq("y")], {"s": np.array([1, 1, 0.6, 1.7], dtype="f4")}, dtype="f4")
case("resize10_nearest_down", 10, [("Resize", "x s", "y", {}), sq("y")], {"s": np.array([1, 1, 0.6, 0.5], dtype="f4")}, dtype="f4")
sz = lambda *v: {"r": np.array([], dtype="f4"), "n": np.array([], dtype="f4"), "s": ints(*v)}
sc = lambda *v: {"s": np.array(v, dtype="f4")}
for mode in ("linear", "cubic", "nearest"):
    for ct in ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"):
        case(f"resize11_{mode}_{ct}_sizes", 11, [("Resize", ["x", "r", "n", "s"], "y", {"mode": mode, "coordinate_transformation_mode": ct}), sq("y")], sz(3, 4, 7, 3), dtype="f4")
        case(f"resize13_{mode}_{ct}_scales", 13, [("Resize", ["x", "", "s"], "y", {"mode": mode, "coordinate_transformation_mode": ct}), sq("y")],
             sc(1, 1, 0.6, 1.5), dtype="f4")
case("resize11_tf_half", 11, [("Resize", ["x", "r", "n", "s"], "y", {"mode": "nearest", "coordinate_transformation_mode": "tf_half_pixel_for_nn"}), sq("y")], sz(3, 4, 7, 3), dtype="f4")
case("resize13_nearest_ceil", 13, [("Resize", ["x", "", "s"], "y", {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "ceil"}), sq("y")], sc(1, 1, 1.5, 0.7), dtype="f4")
case("resize13_nearest_prefer_ceil", 13, [("Resize", ["x", "", "s"], "y", {"mode": "nearest", "nearest_mode": "round_prefer_ceil"}), sq("y")], sc(1, 1, 2.5, 0.5), dtype="f4")
case("resize13_nearest_floor_align", 13, [("Resize", ["x", "", "s"], "y", {"mode": "nearest", "coordinate_transformation_mode": "align_corners", "nearest_mode": "floor"}), sq("y")], sc(1, 1, 2.5, 0.5), dtype="f4", refused="a scale gives no whole size")
case("resize13_cubic_exclude", 13, [("Resize", ["x", "", "s"], "y", {"mode": "cubic", "exclude_outside": 1, "cubic_coeff_a": -0.5}), sq("y")], sc(1, 1, 1.4, 0.8), dtype="f4")
case("resize18_axes_antialias", 18, [("Resize", ["x", "", "s"], "y", {"mode": "linear", "antialias": 1, "axes": [2, 3]}), sq("y")], sc(0.6, 0.5), dtype="f4")
case("resize18_axes_sizes", 18, [("Resize", ["x", "", "", "s"], "y", {"mode": "cubic", "axes": [3, 2]}), sq("y")], {"s": ints(4, 8)}, dtype="f4")
case("resize19_symmetric", 19, [("Resize", ["x", "", "s"], "y", {"mode": "linear", "coordinate_transformation_mode": "half_pixel_symmetric"}), sq("y")], sc(1, 1, 0.7, 1.3), dtype="f4")
case("resize13_1d", 13, [("Resize", ["x", "", "s"], "y", {"mode": "linear"}), sq("y")], sc(1, 1, 1.8), shape=S3, dtype="f4")
case("resize13_3d", 13, [("Resize", ["x", "", "s"], "y", {"mode": "linear", "coordinate_transformation_mode": "align_corners"}), sq("y")], sc(1, 1, 2, 1.5, 2), shape=S5, dtype="f4", refused="a scale gives no whole size")
case("resize13_2d", 13, [("Resize", ["x", "", "s"], "y", {"mode": "linear"}), sq("y")], sc(1, 1.8), shape=S2, dtype="f4")
case("resize11_channels_scaled", 11, [("Resize", ["x", "r", "s"], "y", {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}), sq("y")], {"r": np.array([], dtype="f4"), **sc(1, 2, 2, 1)}, dtype="f4")
for policy in "not_larger", "not_smaller":
    for mode, coordinates in ("linear", "half_pixel"), ("cubic", "asymmetric"), ("nearest", "pytorch_half_pixel"), ("linear", "half_pixel_symmetric"):
        case(f"resize19_{policy}_{mode}_{coordinates}", 19, [("Resize", ["x", "", "", "s"], "y", {"mode": mode, "axes": [3, 2], "keep_aspect_ratio_policy": policy, "coordinate_transformation_mode": coordinates}), sq("y")], {"s": ints(9, 8)}, dtype="f4")
case("resize_not_larger", 18, [("Resize", ["x", "", "", "s"], "y", {"mode": "linear", "axes": [2, 3], "keep_aspect_ratio_policy": "not_larger"}), sq("y")], {"s": ints(9, 9)}, dtype="f4")
case("resize18_not_larger_axes", 18, [("Resize", ["x", "", "", "s"], "y", {"keep_aspect_ratio_policy": "not_larger"}), sq("y")], {"s": ints(3, 4, 9, 9)}, dtype="f4", refused="axes is left out")
case("resize18_not_larger_corners", 18, [("Resize", ["x", "", "", "s"], "y", {"mode": "linear", "axes": [2, 3], "coordinate_transformation_mode": "align_corners", "keep_aspect_ratio_policy": "not_larger"}), sq("y")], {"s": ints(9, 9)}, dtype="f4", refused="align_corners")
roi = lambda *values: {"r": np.array(values, dtype="f4")}
crop = {"coordinate_transformation_mode": "tf_crop_and_resize"}
for mode in "nearest", "linear", "cubic":
    case(f"resize11_crop_{mode}_sizes", 11, [("Resize", ["x", "r", "", "s"], "y", {"mode": mode, "extrapolation_value": 1.5, **crop}), sq("y")], {**roi(0, 0, 0.3, -0.3, 1, 1, 0.8, 1.15), "s": ints(3, 4, 4, 9)}, dtype="f4")
    case(f"resize13_crop_{mode}_scales", 13, [("Resize", ["x", "r", "s"], "y", {"mode": mode, **crop}), sq("y")], {**roi(0, 0, 0.5, 0.25, 1, 1, 1, 0.75), **sc(1, 1, 0.8, 1.5)}, dtype="f4")
case("resize19_crop_axes", 19, [("Resize", ["x", "r", "", "s"], "y", {"mode": "linear", "axes": [3, 2], **crop}), sq("y")], {**roi(0.1, 0.2, 0.7, 0.9), "s": ints(4, 7)}, dtype="f4")
case("resize19_crop_one", 19, [("Resize", ["x", "r", "", "s"], "y", {"mode": "linear", "axes": [3, 2], **crop}), sq("y")], {**roi(0.1, 0.2, 0.7, 0.9), "s": ints(1, 3)}, dtype="f4")
case("resize19_crop_backwards", 19, [("Resize", ["x", "r", "", "s"], "y", {"mode": "linear", "axes": [-1], **crop}), sq("y")], {**roi(1, 0), "s": ints(6)}, dtype="f4")
case("resize11_crop_end", 11, [("Resize", ["x", "r", "", "s"], "y", {"mode": "linear", **crop}), sq("y")], {**roi(0, 0, 0.3, 0, 1, 1, 1, 1), "s": ints(3, 4, 4, 9)}, dtype="f4", refused="at an end of an axis")
case("resize11_crop_computed", 11, [("Add", "q q", "r", {}), ("Abs", "r", "a", {}), ("ReduceSum", "x", "t", {"keepdims": 0}), ("Mul", "a t", "c", {}), ("Resize", ["x", "c", "", "s"], "y", {"mode": "linear", **crop}), sq("y")], {"q": np.array([0, 0, 0.3, 0, 1, 1, 1, 1], dtype="f4"), "s": ints(3, 4, 4, 9)}, dtype="f4", refused="its roi is not constant")
case("resize18_crop_antialias", 18, [("Resize", ["x", "r", "", "s"], "y", {"mode": "linear", "antialias": 1, **crop}), sq("y")], {**roi(0, 0, 0.3, 0, 1, 1, 0.9, 1), "s": ints(3, 4, 4, 9)}, dtype="f4", refused="antialias is 1")
# norms
bn = lambda c: {"g": R.uniform(0.5, 1.5, c), "b": N(c), "m": N(c), "v": R.uniform(0.5, 2, c)}
case("bn6_is_test", 6, [("BatchNormalization", "x g b m v", "y", {"is_test": 1, "epsilon": 1e-3}), sq("y")], bn(4), dtype="f4")
case("bn7", 7, [("BatchNormalization", "x g b m v", "y", {}), sq("y")], bn(4))
case("bn9_2d", 9, [("BatchNormalization", "x g b m v", "y", {"momentum": 0.5}), sq("y")], bn(6), shape=S2)
case("bn14_3d", 14, [("BatchNormalization", "x g b m v", "y", {"epsilon": 0.1}), sq("y")], bn(4), shape=S3)
case("bn15_5d", 15, [("BatchNormalization", "x g b m v", "y", {}), sq("y")], bn(2), shape=S5)
case("bn7_spatial0", 7, [("BatchNormalization", "x g b m v", "y", {"spatial": 0}), sq("y")], bn(4), refused="the attribute spatial is 0")
case("instance6_1d", 6, [("InstanceNormalization", "x g b", "out", {"epsilon": 1e-2})], {"g": N(4), "b": N(4)}, shape=S3, dtype="f4")
case("group18", 18, [("GroupNormalization", "x g b", "out", {"num_groups": 2})], {"g": np.array([0.5, 1.7]), "b": np.array([0.2, -0.4])})
case("group21_1d", 21, [("GroupNormalization", "x g b", "out", {"num_groups": 2, "epsilon": 1e-2})], {"g": N(4), "b": N(4)}, shape=S3, dtype="f4")
case("layernorm17_axis1", 17, [("LayerNormalization", "x g b", "out", {"axis": 1})], {"g": N(4, 5, 6), "b": N(4, 5, 6)})
case("layernorm17_nobias", 17, [("LayerNormalization", "x g", "out", {"axis": -2, "epsilon": 1e-2})], {"g": N(5, 6)})
case("layernorm17_outputs", 17, [("LayerNormalization", "x g", "y m s", {}), ("Mul", "y m", "z", {}), ("Add", "z s", "out", {})], {"g": N(6)})
case("lpnorm1", 1, [("LpNormalization", "x", "out", {})], dtype="f4")
case("lpnorm_p1_axis2", 11, [("LpNormalization", "x", "out", {"p": 1, "axis": 2})], dtype="f4")
case("mvn9_axes", 9, [("MeanVarianceNormalization", "x", "out", {"axes": [2, 3]})], dtype="f4")
case("lrn_wide", 13, [("LRN", "x", "out", {"size": 9, "alpha": 0.5, "beta": 0.5, "bias": 2.0})], dtype="f4")
# reductions
for op in ("ReduceMax", "ReduceMin", "ReduceMean", "ReduceSum", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceSumSquare"):
    case(f"{op}_11_negative", 11, [(op, "x", "y", {"axes": [-1, 1], "keepdims": 0}), sq("y")])
    case(f"{op}_18_axes", 18, [(op, "x a", "y", {}), sq("y")], {"a": ints(-2)})
case("ReduceLogSum_11", 11, [("Abs", "x", "p", {}), ("ReduceLogSum", "p", "out", {"axes": [1], "keepdims": 0})])
case("ReduceSum_13_noop", 13, [("ReduceSum", "x", "y", {"noop_with_empty_axes": 1}), sq("y")])
case("ReduceMean_18_noop0", 18, [("Reshape", "x s", "y", {}), ("ReduceMean", "y a", "z", {"keepdims": 0}), sq("z")], {"s": ints(0, -1), "a": ints(1)})
case("ReduceProd_zero", 13, [("Mul", "x m", "y", {}), ("ReduceProd", "y", "out", {"axes": [1], "keepdims": 0})], {"m": np.array([1., 0, 1, 1, 1, 1])}, shape=S2)
# shapes
case("squeeze1_neg", 11, [("ReduceSum", "x", "y", {"axes": [2]}), ("Squeeze", "y", "z", {"axes": [-2]}), sq("z")])
case("squeeze13_none", 13, [("ReduceMax", "x", "y", {"axes": [2, 3]}), ("Squeeze", "y", "z", {}), sq("z")])
case("unsqueeze11_neg", 11, [("Unsqueeze", "x", "y", {"axes": [-1, 1]}), ("ReduceSum", "y", "z", {"axes": [-1, 2]}), sq("z")])
case("flatten_axis2", 13, [("Flatten", "x", "y", {"axis": 1}), ("MatMul", "y w", "z", {}), ("Tanh", "z", "out", {})], {"w": N(120, 4)})
case("flatten_neg", 13, [("Flatten", "x", "y", {"axis": -3}), ("MatMul", "y w", "out", {})], {"w": N(120, 4)})
case("split2_default", 2, [("Split", "x", "a b", {"axis": 1}), ("Mul", "a b", "out", {})])
case("split11_neg", 11, [("Split", "x", "a b", {"axis": -1, "split": [2, 4]}), ("ReduceSum", "b", "s", {"axes": [-1]}), ("Mul", "a s", "out", {})])
case("split13", 13, [("Split", "x k", "a b", {"axis": 2}), ("ReduceSum", "b ax", "s", {}), ("Mul", "a s", "out", {})], {"k": ints(3, 2), "ax": ints(2)})
case("split18_uneven", 18, [("Split", "x", "a b c", {"axis": 2, "num_outputs": 3}), ("Mul", "a b", "d", {}), ("Mul", "d c", "out", {})])
case("slice9_attrs", 9, [("Slice", "x", "y", {"axes": [1, 3], "starts": [-3, 1], "ends": [9223372036854775807, -1]}), sq("y")])
case("slice9_noaxes", 9, [("Slice", "x", "y", {"starts": [0, 1, 2], "ends": [1000, 3, -1]}), sq("y")])
case("slice10_steps", 10, [("Slice", "x s e a t", "y", {}), sq("y")], {"s": ints(-100, 5), "e": ints(100, -100), "a": ints(2, -1), "t": ints(2, -2)})
case("slice11_int32", 11, [("Slice", "x s e a t", "y", {}), sq("y")], {k: np.array(v, dtype=np.int32) for k, v in {"s": [4, 0], "e": [-2147483648, 5], "a": [2, 3], "t": [-1, 3]}.items()})
case("slice13_rev_all", 13, [("Slice", "x s e a t", "y", {}), ("Mul", "y x", "out", {})], {"s": ints(-1, -1), "e": ints(-9223372036854775808, -9223372036854775808), "a": ints(-1, -2), "t": ints(-1, -1)})
case("slice13_neg_stride2", 13, [("Slice", "x s e a t", "y", {}), sq("y")], {"s": ints(100), "e": ints(0), "a": ints(3), "t": ints(-2)})
case("slice13_beyond", 13, [("Slice", "x s e a t", "y", {}), sq("y")], {"s": ints(-3), "e": ints(-7), "a": ints(3), "t": ints(-1)})
case("slice_computed_ends", 13, [("Shape", "x", "s", {}), ("Gather", "s three", "n", {}), ("Sub", "n two", "e", {}), ("Slice", "x z e a", "y", {}), sq("y")], {"three": ints(3), "two": ints(2), "z": ints(0), "a": ints(3)})
case("gather_neg", 13, [("Gather", "x i", "y", {"axis": -1}), sq("y")], {"i": ints(-1, 0, -3, 0)})
case("gather_2d", 13, [("Gather", "x i", "y", {"axis": 2}), sq("y")], {"i": np.array([[1, -1], [0, 0]])})
case("gather_scalar", 11, [("Gather", "x i", "y", {"axis": 1}), sq("y")], {"i": np.array(-2)})
case("gatherel_neg", 13, [("GatherElements", "x i", "y", {"axis": 1}), sq("y")], {"i": R.integers(-6, 6, (3, 4))}, shape=S2)
case("gathernd", 12, [("GatherND", "x i", "y", {}), sq("y")], {"i": np.array([[0, 1], [1, -2], [2, 3]])}, shape=S2)
case("gathernd_batch", 12, [("GatherND", "x i", "y", {"batch_dims": 1}), sq("y")], {"i": np.array([[[1, 2], [3, -1]]] * 3)}, shape=S3)
case("scatterel_add", 16, [("ScatterElements", "x i u", "y", {"axis": 1, "reduction": "add"}), sq("y")], {"i": np.array([[1, 1, -2]] * 3), "u": N(3, 3)}, shape=S2)
case("scatternd_max", 18, [("ScatterND", "x i u", "y", {"reduction": "max"}), sq("y")], {"i": np.array([[[0, 1], [0, 3]], [[1, 1], [1, 0]], [[2, 5], [2, 4]]]), "u": N(3, 2)}, shape=S2)
case("expand_tile", 13, [("Unsqueeze", "x a", "y", {}), ("Expand", "y e", "z", {}), ("Tile", "z t", "q", {}), sq("q")], {"a": ints(1), "e": ints(1, 3, 1), "t": ints(1, 2, 2)}, shape=S2)
case("cumsum_excl_rev", 14, [("CumSum", "x a", "y", {"exclusive": 1, "reverse": 1}), sq("y")], {"a": np.array(-1)}, shape=S3)
case("trilu_lower", 14, [("Trilu", "x k", "y", {"upper": 0}), sq("y")], {"k": np.array(-1)})
case("transpose_default", 13, [("Transpose", "x", "y", {"perm": [0, 3, 1, 2]}), ("Reshape", "y s", "z", {}), ("MatMul", "z w", "out", {})], {"s": ints(0, 0, -1), "w": N(20, 2)})
case("reshape1_attr", 1, [("Reshape", "x", "y", {"shape": [0, -1]}), ("Tanh", "y", "out", {})], dtype="f4")
case("concat_neg", 11, [("Sin", "x", "s", {}), ("Concat", "x s x", "y", {"axis": -2}), sq("y")])
case("d2s1", 1, [("DepthToSpace", "x", "y", {"blocksize": 2}), ("Tanh", "y", "out", {})], dtype="f4")
case("d2s11_crd", 11, [("DepthToSpace", "x", "y", {"blocksize": 2, "mode": "CRD"}), ("Softmax", "y", "out", {"axis": 3})], dtype="f4")
case("topk1", 9, [("TopK", "x", "y i", {"k": 2, "axis": 1}), ("Mul", "y y", "out", {})], shape=S2, dtype="f4")
case("topk11_smallest", 11, [("TopK", "x k", "y i", {"axis": -1, "largest": 0}), ("ReduceSum", "y", "s", {"axes": [-1]}), ("Mul", "y s", "out", {})], {"k": ints(3)})
case("topk11_unsorted", 11, [("TopK", "x k", "y i", {"axis": 2, "sorted": 0}), ("ReduceSumSquare", "y", "out", {"axes": [2]})], {"k": ints(3)}, dtype="f4")
# arithmetic
case("gemm7_c_rank1", 7, [("Gemm", "x w c", "y", {"alpha": 0.5, "beta": 2.0, "transB": 1}), ("Tanh", "y", "out", {})], {"w": N(4, 6), "c": N(4)}, shape=S2)
case("gemm11_noC", 11, [("Gemm", "x w", "y", {"alpha": 0.5}), ("Tanh", "y", "out", {})], {"w": N(6, 4)}, shape=S2)
case("gemm_c_column", 13, [("Gemm", "x w c", "y", {"beta": 3.0}), ("Tanh", "y", "out", {})], {"w": N(6, 4), "c": N(1, 4)}, shape=S2)
case("gemm6", 6, [("Gemm", "x w c", "y", {"broadcast": 1}), ("Tanh", "y", "out", {})], {"w": N(6, 4), "c": N(4)}, shape=S2, dtype="f4")
case("add6_broadcast", 6, [("Add", "x c", "y", {"broadcast": 1, "axis": 1}), ("Tanh", "y", "out", {})], {"c": N(4)}, dtype="f4")
case("mul6_same", 6, [("Mul", "x x", "out", {})], dtype="f4")
case("prelu7_c11", 7, [("PRelu", "x a", "y", {}), sq("y")], {"a": N(4, 1, 1)}, dtype="f4")
case("prelu16_last", 16, [("PRelu", "x a", "y", {}), sq("y")], {"a": N(6)})
case("prelu6_c", 6, [("PRelu", "x a", "y", {}), ("Tanh", "y", "out", {})], {"a": N(4)}, dtype="f4")
case("matmul_1d", 13, [("MatMul", "x w", "y", {}), ("Tanh", "y", "out", {})], {"w": N(6)})
case("matmul_left", 13, [("MatMul", "w x", "y", {}), ("Tanh", "y", "out", {})], {"w": N(4, 2, 5)})
case("matmul_left_1d", 13, [("MatMul", "w x", "y", {}), ("Tanh", "y", "out", {})], {"w": N(5)})
case("mod_fmod", 13, [("Mod", "x c", "y", {"fmod": 1}), sq("y")], {"c": np.array(0.7)})
case("pow_int", 13, [("Pow", "x c", "out", {})], {"c": ints(3)})
case("pow_float_int32", 12, [("Pow", "x c", "out", {})], {"c": np.array(2, dtype=np.int32)})
case("pow_base_const", 13, [("Pow", "c x", "out", {})], {"c": np.array(2.5)})
case("div_scalar_left", 13, [("Exp", "x", "e", {}), ("Div", "c e", "out", {})], {"c": np.array(2.0)}, scale=0.5)
case("max_many", 13, [("Sin", "x", "s", {}), ("Max", "x s c", "y", {}), sq("y")], {"c": np.array(0.1)})
case("min_many", 8, [("Sin", "x", "s", {}), ("Min", "x s c", "y", {}), sq("y")], {"c": np.array(0.1)})
case("mean_broadcast", 13, [("Tanh", "x", "s", {}), ("Mean", "x s c", "y", {}), sq("y")], {"c": N(4, 1, 1)}, dtype="f4")
case("sum6", 6, [("Tanh", "x", "s", {}), ("Sum", "x s x", "y", {}), ("Tanh", "y", "out", {})], dtype="f4")
case("where_broadcast", 16, [("Greater", "x c", "g", {}), ("Tanh", "x", "t", {}), ("Where", "g t z", "y", {}), ("Add", "y x", "out", {})], {"c": np.array(0.3), "z": np.array(0.0)})
case("einsum_ellipsis", 13, [("Einsum", "x w", "out", {"equation": "...i,ji->...j"})], {"w": N(2, 6)})
case("einsum_implicit", 13, [("Einsum", "x x", "out", {"equation": "bij, bkj -> bik"})], shape=S3)
case("einsum_diag", 13, [("Einsum", "x", "y", {"equation": "bii->bi"}), sq("y")], shape=(3, 4, 4))
# activations
for op, at in {"Elu": {"alpha": 1.7}, "Selu": {"alpha": 1.2, "gamma": 0.8}, "Celu": {"alpha": 0.6}, "HardSigmoid": {"alpha": 0.4, "beta": 0.3}, "LeakyRelu": {"alpha": -0.2}, "Softplus": {}, "Softsign": {}}.items():
    case(f"{op}_attrs", 16, [(op, "x", "y", at), ("Mul", "y x", "out", {})], dtype="f4" if op in ("Selu", "Celu", "HardSigmoid", "Elu") else "f8")
case("hardswish14", 14, [("HardSwish", "x", "y", {}), sq("y")], dtype="f4")
case("swish24", 24, [("Swish", "x", "out", {"alpha": 1.3})])
case("gelu20_none", 20, [("Gelu", "x", "out", {"approximate": "none"})], dtype="f4")
case("mish18", 18, [("Mish", "x", "out", {})], dtype="f4")
case("softplus_large", 13, [("Mul", "x c", "y", {}), ("Softplus", "y", "out", {})], {"c": np.array(60.0)})
# dropout
case("dropout6_test", 6, [("Dropout", "x", "y", {"is_test": 1, "ratio": 0.3}), ("Tanh", "y", "out", {})], dtype="f4")
case("dropout6_train", 6, [("Dropout", "x", "y", {"ratio": 0.3}), ("Tanh", "y", "out", {})], dtype="f4", refused="the attribute is_test is 0")
case("dropout7", 7, [("Dropout", "x", "y", {"ratio": 0.3}), ("Tanh", "y", "out", {})])
case("dropout7_mask", 7, [("Dropout", "x", "y m", {"ratio": 0.3}), ("Tanh", "y", "out", {})])
case("dropout7_mask_used", 7, [("Dropout", "x", "y m", {"ratio": 0.3}), ("Add", "y m", "out", {})], refused="something uses its mask, before opset 10")
case("dropout10_mask", 10, [("Dropout", "x", "y m", {"ratio": 0.3}), ("Tanh", "y", "out", {})])
case("dropout12_false", 12, [("Dropout", "x r t", "y", {}), ("Tanh", "y", "out", {})], {"r": np.array(0.4), "t": np.array(False)})
case("dropout12_true", 12, [("Dropout", "x r t", "y", {}), ("Tanh", "y", "out", {})], {"r": np.array(0.4), "t": np.array(True)}, refused="it has the input training_mode")
# convolutions
case("conv1_group", 1, [("Conv", "x w b", "y", {"group": 2, "pads": [1, 0, 0, 1]}), ("Tanh", "y", "out", {})], {"w": N(6, 2, 2, 3), "b": N(6)}, dtype="f4")
case("conv_same_lower_dil", 11, [("Conv", "x w", "y", {"auto_pad": "SAME_LOWER", "dilations": [2, 1], "strides": [2, 2]}), ("Tanh", "y", "out", {})], {"w": N(2, 4, 2, 3)}, dtype="f4")
case("conv_same_upper_dil", 11, [("Conv", "x w", "y", {"auto_pad": "SAME_UPPER", "dilations": [2, 2]}), ("Tanh", "y", "out", {})], {"w": N(2, 4, 2, 3)}, dtype="f4")
case("conv_valid_pads", 11, [("Conv", "x w", "y", {"auto_pad": "VALID", "strides": [2, 1]}), ("Tanh", "y", "out", {})], {"w": N(2, 4, 2, 3)}, dtype="f4")
case("conv_1d", 11, [("Conv", "x w", "y", {"dilations": [2], "strides": [2], "pads": [3, 1]}), ("Tanh", "y", "out", {})], {"w": N(2, 4, 3)}, shape=S3, dtype="f4")
case("conv_3d_group", 11, [("Conv", "x w", "y", {"group": 2, "pads": [1, 0, 1, 0, 1, 1]}), ("Tanh", "y", "out", {})], {"w": N(4, 1, 2, 3, 2)}, shape=S5, dtype="f4")
case("conv_computed_w", 11, [("Mul", "w w", "ww", {}), ("Conv", "x ww", "y", {"strides": [2, 2]}), ("Tanh", "y", "out", {})], {"w": N(2, 4, 3, 3)}, dtype="f4")
case("convt_group_dil", 11, [("ConvTranspose", "x w b", "y", {"group": 2, "dilations": [2, 1], "strides": [1, 2]}), ("Tanh", "y", "out", {})], {"w": N(4, 3, 2, 3) / 2, "b": N(6)}, dtype="f4")
case("convt_output_shape_upper", 11, [("ConvTranspose", "x w", "y", {"strides": [2, 3], "output_shape": [9, 17], "auto_pad": "SAME_UPPER"}), ("Tanh", "y", "out", {})], {"w": N(4, 2, 3, 3) / 2}, dtype="f4")
case("convt_same_lower", 11, [("ConvTranspose", "x w", "y", {"strides": [2, 2], "auto_pad": "SAME_LOWER"}), ("Tanh", "y", "out", {})], {"w": N(4, 2, 3, 3) / 2}, dtype="f4")
case("convt_same_upper", 11, [("ConvTranspose", "x w", "y", {"strides": [2, 2], "auto_pad": "SAME_UPPER"}), ("Tanh", "y", "out", {})], {"w": N(4, 2, 3, 3) / 2}, dtype="f4")
case("convt_1d_outpad", 11, [("ConvTranspose", "x w", "y", {"strides": [3], "pads": [1, 0], "output_padding": [2]}), ("Tanh", "y", "out", {})], {"w": N(4, 2, 3) / 2}, shape=S3, dtype="f4")
case("convt_3d", 11, [("ConvTranspose", "x w", "y", {"strides": [2, 1, 2], "pads": [1, 0, 0, 1, 1, 0]}), ("Tanh", "y", "out", {})], {"w": N(2, 2, 3, 2, 2) / 2}, shape=S5, dtype="f4")
case("convt_depthwise", 11, [("ConvTranspose", "x w", "y", {"group": 4, "strides": [2, 2], "pads": [1, 1, 1, 1]}), ("Tanh", "y", "out", {})], {"w": N(4, 1, 4, 4) / 2}, dtype="f4")
# recurrent
def rec(name, op, opset=14, i=4, h=3, dirs=1, bias=True, lens=None, init=False, peep=False, out="y", layout=0, dtype="f4", refused=None, **at):
    g = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    w = {"w": N(dirs, g * h, i) / 2, "r": N(dirs, g * h, h) / 2}
    names = ["s" if not layout else "x", "w", "r"]
    if bias: w["b"] = N(dirs, 2 * g * h) / 2
    names.append("b" if bias else "")
    if lens: w["l"] = np.array(lens, dtype=np.int32)
    names.append("l" if lens else "")
    if init:
        sh = (3, dirs, h) if layout else (dirs, 3, h)
        w["h0"] = N(*sh); names.append("h0")
        if op == "LSTM": w["c0"] = N(*sh); names.append("c0")
    elif op == "LSTM": names += ["", ""]
    if peep: w["p"] = N(dirs, 3 * h); names.append("p")
    while names[-1] == "": names.pop()
    outs = {"y": ["o"], "h": ["", "o"], "c": ["", "", "o"]}[out]
    nodes = [] if layout else [("Transpose", "x", "s", {"perm": [1, 0, 2]})]
    nodes.append((op, names, outs, {"hidden_size": h, **({"layout": 1} if layout else {}), **at}))
    if layout: nodes.append(("Tanh", "o", "out", {}))
    else: nodes.append(("Transpose", "o", "out", {"perm": [2, 0, 1, 3] if out == "y" else [1, 0, 2]}))
    case(name, opset, nodes, w, shape=(3, 5, i), dtype=dtype, refused=refused)
rec("lstm_reverse_nobias", "LSTM", direction="reverse", bias=False)
rec("lstm_bi_cell", "LSTM", dirs=2, direction="bidirectional", out="c")
rec("lstm_peep_nobias", "LSTM", peep=True, bias=False)
rec("lstm_clip", "LSTM", clip=0.4)
rec("lstm_lens", "LSTM", lens=[5, 2, 3], out="h")
rec("lstm_lens_reverse", "LSTM", lens=[5, 2, 3], direction="reverse")
rec("lstm_init", "LSTM", init=True, out="c")
rec("lstm_input_forget", "LSTM", input_forget=1)
rec("lstm_hardsigmoid", "LSTM", activations=["HardSigmoid", "Tanh", "Relu"])
rec("lstm_hardsigmoid_alpha", "LSTM", activations=["HardSigmoid", "Tanh", "Tanh"], activation_alpha=[0.2], activation_beta=[0.5])
rec("lstm_leaky", "LSTM", activations=["Sigmoid", "LeakyRelu", "Elu"], activation_alpha=[0.3, 0.7])
rec("lstm7", "LSTM", opset=7, out="h")
rec("gru_nobias", "GRU", bias=False)
rec("gru_lbr_nobias", "GRU", bias=False, linear_before_reset=1, out="h")
rec("gru_lbr_bi", "GRU", dirs=2, direction="bidirectional", linear_before_reset=1)
rec("gru_lens_init", "GRU", lens=[1, 5, 4], init=True, out="h")
rec("gru_hard", "GRU", activations=["HardSigmoid", "Softsign"], activation_alpha=[0.25], activation_beta=[0.4])
rec("gru_scaled", "GRU", activations=["Sigmoid", "ScaledTanh"], activation_alpha=[0.8], activation_beta=[1.3])
rec("gru_reverse_clip", "GRU", direction="reverse", clip=0.5)
rec("rnn_relu", "RNN", activations=["Relu"])
rec("rnn_affine", "RNN", activations=["Affine"], activation_alpha=[0.7], activation_beta=[0.1])
rec("rnn_thresholded", "RNN", activations=["ThresholdedRelu"], activation_alpha=[0.2])
rec("rnn_softplus", "RNN", activations=["Softplus"])
rec("rnn_bi_lens", "RNN", dirs=2, direction="bidirectional", lens=[2, 5, 3], activations=["Tanh", "Relu"])
# quantized weights
q8 = R.integers(-100, 100, (6, 4)).astype(np.int8)
case("dequant_weights", 13, [("DequantizeLinear", "q s z", "w", {"axis": 1}), ("MatMul", "x w", "y", {}), ("Tanh", "y", "out", {})], {"q": q8, "s": np.array([.01, .02, .005, .03], dtype="f4"), "z": np.array([1, -3, 0, 5], dtype=np.int8)}, shape=S2, dtype="f4")
case("dequant_scalar_u8", 10, [("DequantizeLinear", "q s z", "w", {}), ("MatMul", "x w", "y", {}), ("Tanh", "y", "out", {})], {"q": R.integers(0, 255, (6, 4)).astype(np.uint8), "s": np.array(.01, dtype="f4"), "z": np.array(128, dtype=np.uint8)}, shape=S2, dtype="f4")
case("qdq", 13, [("QuantizeLinear", "x s z", "q", {}), ("DequantizeLinear", "q s z", "y", {}), ("Tanh", "y", "out", {})], {"s": np.array(.1, dtype="f4"), "z": np.array(3, dtype=np.int8)}, shape=S2, dtype="f4", refused="operator QuantizeLinear (q): it rounds to integers")
case("qlinearmatmul", 10, [("QuantizeLinear", "x s z", "q", {}), ("QLinearMatMul", "q s z w s z s z", "r", {}), ("DequantizeLinear", "r s z", "out", {})], {"s": np.array(.1, dtype="f4"), "z": np.array(3, dtype=np.int8), "w": q8}, shape=S2, dtype="f4", refused="operator QuantizeLinear (q): it rounds to integers")
case("dynamicquant", 11, [("DynamicQuantizeLinear", "x", "q s z", {}), ("MatMulInteger", "q w z", "r", {}), ("Cast", "r", "f", {"to": 1}), ("Mul", "f s", "out", {})], {"w": q8}, shape=S2, dtype="f4", refused="operator DynamicQuantizeLinear (q): it rounds to integers")
# dtypes
case("cast_double", 13, [("Cast", "x", "d", {"to": T.DOUBLE}), ("Tanh", "d", "t", {}), ("Cast", "t", "out", {"to": T.FLOAT})], shape=S2, dtype="f4")

# indices that count from the end, on axes that are not the batch
tr = lambda a, b, p: ("Transpose", a, b, {"perm": p})
case("gathernd_neg", 13, [tr("x", "t", [1, 2, 0]), ("GatherND", "t i", "y", {}), tr("y", "z", [1, 0]), sq("z")], {"i": np.array([[1, -2], [0, 3], [-1, -1]])}, shape=S3)
case("gathernd_neg_slices", 13, [tr("x", "t", [1, 0, 2]), ("GatherND", "t i", "y", {}), tr("y", "z", [1, 0, 2]), sq("z")], {"i": np.array([[-3], [0], [-1]])}, shape=S3)
case("scatternd_neg", 18, [tr("x", "t", [1, 2, 0]), ("ScatterND", "t i u", "y", {}), tr("y", "z", [2, 0, 1]), sq("z")], {"i": np.array([[1, -2], [0, 3], [-1, -1]]), "u": N(3, 3)}, shape=S3)
case("scatternd_add_neg", 16, [tr("x", "t", [1, 2, 0]), ("ScatterND", "t i u", "y", {"reduction": "add"}), tr("y", "z", [2, 0, 1]), sq("z")], {"i": np.array([[1, -2], [0, 3], [1, -2]]), "u": N(3, 3)}, shape=S3)
case("gather_large_neg", 13, [("Gather", "x i", "y", {"axis": 1}), sq("y")], {"i": np.array([-6, 5, -1], dtype=np.int32)}, shape=S2)
case("gatherel_int32_axis_neg", 11, [("GatherElements", "x i", "y", {"axis": -1}), sq("y")], {"i": R.integers(-7, 7, (3, 4, 2)).astype(np.int32)}, shape=S3)
case("scatter9_neg_axis", 10, [("Scatter", "x i u", "y", {"axis": -1}), sq("y")], {"i": np.array([[1, 0, 3]] * 3), "u": N(3, 3)}, shape=S2, dtype="f4")
case("topk_axis1", 11, [("TopK", "x k", "y i", {"axis": 1}), sq("y")], {"k": ints(2)})
case("topk_indices_used", 11, [("TopK", "x k", "y i", {"axis": 1}), ("GatherElements", "w i", "g", {"axis": 1}), ("Mul", "g y", "out", {})], {"k": ints(2), "w": N(3, 6)}, shape=S2)
case("reverseseq_time", 10, [tr("x", "t", [1, 0, 2]), ("ReverseSequence", "t l", "r", {}), ("Mul", "t r", "m", {}), tr("m", "out", [1, 0, 2])], {"l": ints(4, 2, 3)}, shape=S3)
case("reverseseq_batch", 10, [("ReverseSequence", "x l", "r", {"batch_axis": 0, "time_axis": 1}), ("Mul", "x r", "out", {})], {"l": ints(1, 4, 3)}, shape=S3)
case("mod_fmod_negative", 13, [("Mod", "x c", "y", {"fmod": 1}), ("Mul", "y x", "out", {})], {"c": np.array(-0.9)})
case("mod_fmod_both", 13, [("Exp", "x", "e", {}), ("Mod", "x e", "y", {"fmod": 1}), sq("y")], shape=S2)
case("conv_dil_stride_group", 11, [("Conv", "x w", "y", {"group": 2, "dilations": [1, 2], "strides": [2, 1], "pads": [0, 2, 1, 1]}), ("Tanh", "y", "out", {})], {"w": N(4, 2, 2, 3)}, dtype="f4")
case("einsum_trace", 13, [("Einsum", "x", "y", {"equation": "bii"}), sq("y")], shape=(3, 4, 4))
case("einsum_diag_product", 13, [("Einsum", "x w", "y", {"equation": "bii,ik->bk"}), sq("y")], {"w": N(4, 2)}, shape=(3, 4, 4))
case("einsum_three", 13, [("Einsum", "x w v", "y", {"equation": "bij,jk,kl->bil"}), ("Tanh", "y", "out", {})], {"w": N(7, 5), "v": N(5, 2)}, shape=S3)
case("sub6_axis_middle", 6, [("Sub", "x c", "y", {"broadcast": 1, "axis": 1}), ("Tanh", "y", "out", {})], {"c": N(4, 5)}, dtype="f4")
case("div6_suffix", 6, [("Div", "x c", "y", {"broadcast": 1}), ("Tanh", "y", "out", {})], {"c": N(5, 6)}, dtype="f4")
case("pow6_scalar", 6, [("Abs", "x", "a", {}), ("Pow", "a c", "y", {"broadcast": 1}), ("Tanh", "y", "out", {})], {"c": np.array([1.5])}, dtype="f4")
case("add7_with_axis", 7, [("Add", "x c", "out", {"broadcast": 1, "axis": 1})], {"c": N(4)}, dtype="f4", refused="it has the attribute broadcast or axis")
case("dequant_axis0", 19, [("DequantizeLinear", "q s", "w", {"axis": 0}), ("MatMul", "x w", "y", {}), ("Tanh", "y", "out", {})], {"q": R.integers(-100, 100, (6, 4)).astype(np.int8), "s": np.abs(N(6)).astype("f4") / 50}, shape=S2, dtype="f4")
case("dequant_axis_neg", 13, [("DequantizeLinear", "q s z", "w", {"axis": -1}), ("MatMul", "x w", "y", {}), ("Tanh", "y", "out", {})], {"q": R.integers(-100, 100, (6, 4)).astype(np.int8), "s": np.abs(N(4)).astype("f4") / 50, "z": np.array([1, -9, 0, 4], dtype=np.int8)}, shape=S2, dtype="f4")
case("dequant_conv_int32_bias", 13, [("DequantizeLinear", "q s z", "w", {"axis": 0}), ("DequantizeLinear", "qb sb", "b", {"axis": 0}), ("Conv", "x w b", "y", {}), ("Tanh", "y", "out", {})], {"q": R.integers(-100, 100, (3, 4, 2, 2)).astype(np.int8), "s": np.array([.01, .02, .03], dtype="f4"), "z": np.array([1, 0, 4], dtype=np.int8), "qb": np.array([1000, -5000, 200], dtype=np.int32), "sb": np.array([.0001, .0003, .001], dtype="f4")}, dtype="f4")
# loops
def vi(name, t, shape): return helper.make_tensor_value_info(name, t, shape)
def loop(body_nodes, ins, outs, inits=(), name="body"):
    n = lambda o, i, u, a: helper.make_node(o, i if isinstance(i, list) else i.split(" "), u.split(" "), **a)
    return helper.make_graph([n(*b) for b in body_nodes], name, ins, outs, list(inits))
D = T.DOUBLE
cell = [("MatMul", "h w", "hw", {}), ("Add", "hw x", "s", {}), ("Tanh", "s", "h2", {})]
fixed = loop([*cell, ("Identity", "c", "c2", {})], [vi("i", T.INT64, []), vi("c", T.BOOL, []), vi("h", D, None)], [vi("c2", T.BOOL, []), vi("h2", D, None)])
case("loop_fixed", 13, [("Loop", ["m", "", "x"], "out", {"body": fixed})], {"m": np.array(5), "w": N(6, 6) / 2}, shape=S2)
case("loop_true", 11, [("Loop", ["m", "t", "x"], "out", {"body": fixed})], {"m": np.array(3), "t": np.array(True), "w": N(6, 6) / 2}, shape=S2)
scanned = loop([*cell, ("Identity", "c", "c2", {}), ("Mul", "h2 h2", "q", {})], [vi("i", T.INT64, []), vi("c", T.BOOL, []), vi("h", D, None)], [vi("c2", T.BOOL, []), vi("h2", D, None), vi("q", D, None)])
case("loop_collects", 16, [("Loop", ["m", "", "x"], "h_last all", {"body": scanned}), tr("all", "out", [1, 0, 2])], {"m": np.array(4), "w": N(6, 6) / 2}, shape=S2)
counter = loop([("Gather", "xt k", "g", {}), ("MatMul", "h w", "hw", {}), ("Add", "hw g", "s", {}), ("Tanh", "s", "h2", {}), ("Add", "k one", "k2", {}), ("Cast", "k2", "f", {"to": T.FLOAT}), ("Less", "f lim", "c2", {})],
    [vi("i", T.INT64, []), vi("c", T.BOOL, []), vi("k", T.INT32, []), vi("h", D, None)], [vi("c2", T.BOOL, []), vi("k2", T.INT32, []), vi("h2", D, None)],
    [numpy_helper.from_array(np.array(1, dtype=np.int32), "one"), numpy_helper.from_array(np.array(20, dtype="f4"), "lim")])
case("loop_counter", 13, [tr("x", "xt", [1, 0, 2]), ("Loop", ["m", "t", "z", "h0"], "k_last out", {"body": counter})], {"m": np.array(1000), "t": np.array(True), "z": np.array(0, dtype=np.int32), "h0": np.zeros((3, 3)), "w": N(3, 3) / 2}, shape=(3, 20, 3))
data_dep = loop([*cell, ("ReduceSum", "h2", "r", {"keepdims": 0}), ("Less", "r lim", "c2", {})], [vi("i", T.INT64, []), vi("c", T.BOOL, []), vi("h", D, None)], [vi("c2", T.BOOL, []), vi("h2", D, None)], [numpy_helper.from_array(np.array(1.0), "lim")])
case("loop_data", 13, [("Loop", ["m", "", "x"], "out", {"body": data_dep})], {"m": np.array(4), "w": N(6, 6) / 2}, shape=S2, refused="its condition is computed from the inputs")
nested = loop([("Loop", ["two", "", "h"], "h3", {"body": fixed}), ("Mul", "h3 x", "h4", {}), ("Identity", "c0", "c3", {})], [vi("i0", T.INT64, []), vi("c0", T.BOOL, []), vi("h", D, None)], [vi("c3", T.BOOL, []), vi("h4", D, None)], name="outer")
case("loop_nested", 13, [("Loop", ["m", "", "x"], "out", {"body": nested})], {"m": np.array(2), "two": np.array(2), "w": N(6, 6) / 2}, shape=S2)
ifbody = loop([("Equal", "i one", "e", {}), ("If", "e", "h2", {"then_branch": loop([("Sin", "h", "ta", {})], [], [vi("ta", D, None)], name="t"), "else_branch": loop([("MatMul", "h w", "tb", {})], [], [vi("tb", D, None)], name="e")}), ("Identity", "c", "c2", {})], [vi("i", T.INT64, []), vi("c", T.BOOL, []), vi("h", D, None)], [vi("c2", T.BOOL, []), vi("h2", D, None)])
case("loop_if", 13, [("Loop", ["m", "", "x"], "out", {"body": ifbody})], {"m": np.array(3), "one": np.array(1), "w": N(6, 6) / 2}, shape=S2)
scanbody = loop([("MatMul", "h w", "hw", {}), ("Add", "hw xs", "s", {}), ("Tanh", "s", "h2", {}), ("Mul", "h2 h2", "q", {})], [vi("h", D, None), vi("xs", D, None)], [vi("h2", D, None), vi("q", D, None)])
W = {"h0": np.zeros((3, 7)), "w": N(7, 7) / 2}
case("scan9", 11, [tr("x", "xt", [1, 0, 2]), ("Scan", "h0 xt", "hl all", {"body": scanbody, "num_scan_inputs": 1}), tr("all", "out", [1, 0, 2])], W, shape=S3)
case("scan_axes_reverse", 11, [("Scan", "h0 x", "hl out", {"body": scanbody, "num_scan_inputs": 1, "scan_input_axes": [1], "scan_input_directions": [1], "scan_output_axes": [1], "scan_output_directions": [1]})], W, shape=S3)

# pads that are computed: by PyTorch's older exporter from constants, or from sizes
older = lambda mode: [("Reshape", "p0 two", "pr", {}), ("Slice", "pr m1 least z m1", "ps", {}), ("Transpose", "ps", "pt", {"perm": [1, 0]}), ("Reshape", "pt m1", "p", {}), ("Pad", "x p", "y", {"mode": mode}), sq("y")]
OLDER = {"p0": ints(1, 2, 0, 1, 0, 0, 0, 0), "two": ints(-1, 2), "m1": ints(-1), "least": ints(-2**63), "z": ints(0)}
case("pad11_older_edge", 11, older("edge"), OLDER)
case("pad19_older_wrap", 19, older("wrap"), OLDER)
case("pad11_older_negative", 11, older("reflect"), {**OLDER, "p0": ints(-1, 2, 1, -2, 0, 0, 0, 0)})
sized = [("Shape", "x", "s", {}), ("Gather", "s i", "t", {}), ("Div", "t four", "h", {}), ("Neg", "h", "m", {}), ("Concat", "z h z m", "p", {"axis": 0})]
case("pad_computed_negative", 13, [*sized, ("Pad", "x p", "y", {"mode": "reflect"}), sq("y")], {"i": ints(2, 3), "four": ints(4, 4), "z": ints(0, 0)})
case("slice_computed_steps", 13, [("Shape", "x", "s", {}), ("Mul", "s half", "h", {}), ("Div", "h by", "b", {}), ("Slice", ["x", "b", "s", "", "st"], "y", {}), sq("y")], {"half": ints(0, 0, 1, 1), "by": ints(1, 1, 2, 3), "st": ints(1, 1, 1, 2)})
# sizes and ranges from weights of floats
case("range_floats", 11, [("Range", "from to by", "r", {}), ("Mul", "x r", "y", {}), sq("y")], {"from": np.array(0.5), "to": np.array(3.2), "by": np.array(0.5)})
case("resize13_sizes_by_floats", 13, [("Shape", "x", "s", {}), ("Gather", "s i", "t", {}), ("Cast", "t", "f", {"to": T.FLOAT}), ("Mul", "f k", "g", {}), ("Floor", "g", "whole", {}), ("Cast", "whole", "n", {"to": T.INT64}), ("Slice", "s zero two", "b", {}), ("Concat", "b n", "u", {"axis": 0}),
     ("Resize", ["x", "", "", "u"], "y", {"mode": "linear"}), sq("y")], {"i": ints(2, 3), "k": np.array([1.5, 2.0], dtype="f4"), "zero": ints(0), "two": ints(2)}, dtype="f4")
# forms that runtimes compute otherwise than ONNX defines them, or that depend on values
same = {"kernel_shape": [2, 3], "dilations": [2, 2], "auto_pad": "SAME_UPPER"}
case("avgpool19_same_dilated", 19, [("AveragePool", "x", "out", same)], refused="operator AveragePool (out): the attribute auto_pad is SAME_UPPER with dilations")
case("maxpool12_same_dilated", 12, [("MaxPool", "x", "out", same)], refused="operator MaxPool (out): the attribute auto_pad is SAME_UPPER with dilations")
case("reshape_by_values", 13, [("Cast", "x", "i", {"to": T.INT64}), ("ReduceMax", "i", "m", {"keepdims": 0}), ("Mul", "m zero", "z", {}), ("Add", "z sizes", "s", {}), ("Reshape", "x s", "out", {})], {"zero": np.array(0), "sizes": ints(3, -1)}, shape=S2,
     refused="operator Reshape (out): a size, an index or another parameter of it is computed from values")
# convolutions that ONNX Runtime fused with what follows
fused = {"domain": "com.microsoft", "auto_pad": "SAME_UPPER", "strides": [2, 1]}
case("fusedconv_relu", 17, [("FusedConv", "x w b", "y", {**fused, "activation": "Relu"}), sq("y")], {"w": N(2, 4, 2, 3), "b": N(2)}, dtype="f4")
case("fusedconv_leaky", 17, [("FusedConv", "x w", "y", {**fused, "activation": "LeakyRelu", "activation_params": [0.2]}), sq("y")], {"w": N(2, 4, 2, 3)}, dtype="f4")
case("fusedconv_clip_added", 17, [("Conv", "x w", "z", {"auto_pad": "SAME_UPPER", "strides": [2, 1]}), ("FusedConv", "x v b z", "y", {**fused, "activation": "Clip", "activation_params": [-2.5, 3.5]}), sq("y")], {"w": N(2, 4, 2, 3), "v": N(2, 4, 2, 3) / 3, "b": N(2)}, dtype="f4")
case("fusedconv_hardsigmoid", 17, [("FusedConv", "x w", "y", {**fused, "activation": "HardSigmoid", "activation_params": [0.1, 0.4]}), sq("y")], {"w": N(2, 4, 2, 3)}, dtype="f4")
# scales and biases of fewer axes than are normalized
case("layernorm17_scale_rank1", 17, [("LayerNormalization", "x s b", "y", {"axis": -2}), sq("y")], {"s": N(6), "b": N(6)})
case("layernorm17_bias_rank1", 17, [("LayerNormalization", "x s b", "y", {"axis": 2}), sq("y")], {"s": N(5, 6), "b": N(6)})
case("layernorm17_scale_rank4", 17, [("LayerNormalization", "x s b", "y", {}), sq("y")], {"s": N(1, 1, 1, 6), "b": N(6)})
# axes of size 1 under a letter of another term, and products without a sum
ein = lambda equation, ins="x w": [("Einsum", ins, "y", {"equation": equation}), ("Tanh", "y", "out", {})]
case("einsum_ones_ellipsis", 13, ein("...ij,...jk->...ik"), {"w": N(1, 4, 6, 3)})
case("einsum_ones_letter", 13, ein("bchw,cw->bch"), {"w": N(1, 6)})
case("einsum_outer", 13, ein("bi,bj->bij", "x x"), shape=S2)
# sizes of the second axis, booleans
case("resize13_sizes_second_axis", 13, [("Resize", ["x", "", "", "s"], "y", {"mode": "linear"}), sq("y")], sz(3, 7, 8, 6), dtype="f4")
case("resize13_sizes_rank2", 13, [("Resize", ["x", "", "", "s"], "y", {"mode": "linear"}), sq("y")], sz(3, 9), shape=S2, dtype="f4")
case("equal_booleans", 13, [("Greater", "x low", "a", {}), ("Less", "x high", "b", {}), ("Equal", "a b", "e", {}), ("Where", "e x low", "out", {})], {"low": np.array(0.2), "high": np.array(0.5)})
case("scatternd_booleans", 16, [("Greater", "x low", "a", {}), ("Transpose", "a", "t", {"perm": [1, 0]}), ("ScatterND", "t i u", "v", {}), ("Transpose", "v", "e", {"perm": [1, 0]}), ("Where", "e x low", "out", {})], {"low": np.array(0.2), "i": np.array([[1], [4]]), "u": np.array([[True] * 3, [False] * 3])}, shape=S2)
# norms of nothing but zeros, as after a Relu: their gradient is 0
dead = ("Relu", "x", "r", {})
case("reducel2_zeros", 13, [dead, ("ReduceL2", "r", "out", {"axes": [1]})])
case("normalize_zeros", 13, [dead, ("ReduceL2", "r", "n", {"axes": [1], "keepdims": 1}), ("Clip", "n least", "m", {}), ("Div", "r m", "out", {})], {"least": np.array(1e-12)}, shape=(3, 2, 3, 2))
case("lpnorm_zeros", 13, [dead, ("LpNormalization", "r", "out", {"axis": 3})], shape=(3, 4, 2, 2))
case("lppool18_zeros", 18, [dead, ("LpPool", "r", "out", {"kernel_shape": [2, 2]})], dtype="f4")
case("lppool18_p3_zeros", 18, [dead, ("LpPool", "r", "out", {"kernel_shape": [1, 2], "p": 3})], dtype="f4")

# spectra: transforms of real and complex signals, windows, bands in mels. Weights of their own generator leave those above as they are.
F = np.random.default_rng(23)
size = lambda n: {"n": np.array(n)}
dft = lambda ins="x", **a: [("DFT", ins, "y", a), sq("y")]
real = lambda x: ("Unsqueeze", f"{x} last", "signal", {})
LAST = {"last": ints(-1)}
power = [("Mul", "y y", "squares", {}), ("ReduceSum", "squares last", "power", {"keepdims": 0})]
MEL = {"bands": np.array(5), "dft": np.array(16), "rate": np.array(16000), "from": np.array(20, dtype="f4"), "to": np.array(7600, dtype="f4")}
mel = lambda t, to="from to": ("MelWeightMatrix", f"bands dft rate {to}", "mel", {"output_datatype": t})
logmel = lambda t: [real("x"), ("HannWindow", "dft", "win", {"output_datatype": t}), ("STFT", "signal step win", "y", {}), *power, mel(t),
                    ("MatMul", "power mel", "energies", {}), ("Add", "energies least", "positive", {}), ("Log", "positive", "logs", {}), ("MatMul", "logs w", "out", {})]
LOGMEL = {**LAST, **MEL, "step": np.array(4), "least": np.array(1e-3), "w": F.normal(size=(5, 4))}
case("logmel17", 17, logmel(T.DOUBLE), LOGMEL, shape=(3, 50))
case("logmel20_single", 20, logmel(T.FLOAT), LOGMEL, shape=(3, 50), dtype="f4")
case("mel17_double_edges", 17, [mel(T.DOUBLE, "f t"), ("MatMul", "x mel", "y", {}), sq("y")], {**MEL, "f": np.array(0.), "t": np.array(8000.)}, shape=(3, 9))
case("mel17_beyond", 17, [mel(T.DOUBLE), ("MatMul", "x mel", "out", {})], {**MEL, "to": np.array(16000, dtype="f4")}, shape=(3, 9),
     refused="operator MelWeightMatrix (mel): its upper edge is beyond half")
# as PyTorch's exporter writes a window that is shorter than the frames, of a signal without parts
case("stft17_as_pytorch", 17, [("Concat", "none w none", "wide", {"axis": 0}), ("Cast", "wide", "win", {"to": T.DOUBLE}), ("STFT", "x step win n", "z", {}),
     ("Transpose", "z", "y", {"perm": [0, 2, 1, 3]}), *power, ("Sqrt", "power", "out", {})],
     {**LAST, **size(16), "step": np.array(5), "none": np.zeros(2), "w": F.uniform(0.2, 1, 12)}, shape=(3, 42))
stft = lambda ins, **a: [("STFT", ins.split(" "), "y", a), sq("y")]
case("stft17_complex", 17, stft("x step win", onesided=0), {"step": np.array(3), "win": F.normal(size=8)}, shape=(3, 30, 2))
case("stft17_apart", 17, stft("x step  n"), {**size(5), "step": np.array(7)}, shape=(3, 30, 1))
case("stft17_one_frame", 17, stft("x step"), {"step": np.array(7)}, shape=(3, 9, 1))
case("stft17_onesided_complex", 17, stft("x step win"), {"step": np.array(3), "win": F.normal(size=8)}, shape=(3, 30, 2),
     refused="operator STFT (y): the attribute onesided is 1 and its signal is not real")
case("stft17_short_window", 17, stft("x step win n"), {**size(9), "step": np.array(3), "win": F.normal(size=8)}, shape=(3, 30, 1),
     refused="operator STFT (y): its window has 8 values for frames of 9")
case("stft17_short_signal", 17, stft("x step win"), {"step": np.array(3), "win": F.normal(size=8)}, shape=(3, 7, 1),
     refused="operator STFT (y): its signal is shorter than a frame")
case("stft17_small_step", 17, stft("x step win"), {"step": np.array(1), "win": F.normal(size=200)}, shape=(3, 9, 1),
     refused="operator STFT (y): its frame_step 1 is below 1/128")
case("dft17_shorter", 17, dft("x n"), size(7), shape=(3, 11, 2))
case("dft17_longer_onesided", 17, dft("x n", onesided=1), size(12), shape=(3, 7, 1))
case("dft20_longer", 20, dft("x n"), size(13), shape=(3, 7, 2))
case("dft20_odd_onesided", 20, [real("x"), *dft("signal", onesided=1)], LAST, shape=(3, 9))
case("dft20_inverse_shorter", 20, dft("x n", inverse=1), size(5), shape=(3, 7, 2))
case("dft17_inverse_longer", 17, dft("x n", inverse=1), {"n": np.array(10, dtype=np.int32)}, shape=(3, 7, 2))
case("dft17_inverse_real", 17, dft(inverse=1), shape=(3, 6, 1))
case("dft17_irfft_odd", 17, dft("x n", inverse=1, onesided=1), size(9), shape=(3, 5, 2))
case("dft20_irfft", 20, dft(inverse=1, onesided=1), shape=(3, 5, 2))
case("dft20_axis1", 20, [("DFT", ["x", "", "a"], "y", {}), sq("y")], {"a": np.array(1)}, shape=(3, 5, 4, 2))
case("dft17_axis_negative", 17, dft("x n", axis=-3, onesided=1), size(6), shape=(3, 5, 4, 1))
case("dft17_images", 17, [("DFT", "x", "rows", {"axis": 2}), ("DFT", "rows", "y", {}), sq("y")], shape=(3, 4, 5, 1))
case("dft20_filter", 20, [real("x"), ("DFT", "signal", "f", {"onesided": 1}), ("Mul", "f w", "g", {}), ("DFT", "g", "y", {"onesided": 1, "inverse": 1}), sq("y")],
     {**LAST, "w": F.normal(size=(5, 1))}, shape=(3, 8))
case("dft17_examples", 17, dft(axis=0), shape=(3, 4, 2), refused="combines the examples of a batch")
case("dft17_onesided_complex", 17, dft(onesided=1), shape=(3, 4, 2), refused="operator DFT (y): the attribute onesided is 1 and its input is not real")
case("dft17_irfft_longer", 17, dft("x n", inverse=1, onesided=1), size(12), shape=(3, 5, 2), refused="operator DFT (y): its input has not dft_length / 2 + 1 values")
case("dft20_irfft_real", 20, dft(inverse=1, onesided=1), shape=(3, 5, 1), refused="operator DFT (y): the attributes onesided and inverse are 1 and its input is not complex")
case("dft20_axis_attribute", 20, dft(axis=1), shape=(3, 5, 1), refused="operator DFT (y): it has the attribute axis, which opset 20 ended")
case("dft17_axis_parts", 17, dft(axis=2), shape=(3, 5, 2), refused="operator DFT (y): its axis is 2 for the rank 3")
case("dft17_three_parts", 17, dft(), shape=(3, 5, 3), refused="operator DFT (y): its input has neither 1 nor 2 values along the last axis")
case("dft17_too_long", 17, dft("x n"), size(40_000_000), shape=(3, 5, 1), refused="operator DFT (y): it is too long")
windowed = lambda op, n="n", **a: [(op, n, "win", {"output_datatype": T.DOUBLE, **a}), ("Mul", "x win", "y", {}), sq("y")]
for op in ("HannWindow", "HammingWindow", "BlackmanWindow"):
    case(f"{op}_17", 17, windowed(op), size(6), shape=S2)
    case(f"{op}_17_symmetric", 17, windowed(op, periodic=0), size(6), shape=S2)
case("HannWindow_17_sized", 17, [("Shape", "x", "s", {}), ("Gather", "s one", "n", {}), *windowed("HannWindow")], {"one": np.array(1)}, shape=S2)
case("HannWindow_17_one", 17, windowed("HannWindow", periodic=0), size(1), shape=S2, refused="operator HannWindow (win): the attribute periodic is 0 for the size 1")
case("HannWindow_17_integers", 17, [("HannWindow", "n", "win", {"output_datatype": T.INT32}), ("Cast", "win", "w", {"to": T.DOUBLE}), ("Mul", "x w", "out", {})], size(6), shape=S2,
     refused="operator HannWindow (win): the attribute output_datatype is INT32")
# The same by NumPy, to which the evaluator or ONNX Runtime is held.
complex_of = lambda x: x[..., 0] + 1j * x[..., 1]
squares_of = lambda z: np.stack([z.real, z.imag], axis=-1) ** 2
spans = lambda x, n, step: np.stack([x[:, i:i + n] for i in range(0, x.shape[1] - n + 1, step)], axis=1)
BY_NUMPY = {
    "dft17_shorter": lambda x: squares_of(np.fft.fft(complex_of(x), 7)),
    "dft17_longer_onesided": lambda x: squares_of(np.fft.rfft(x[..., 0], 12)),
    "dft20_longer": lambda x: squares_of(np.fft.fft(complex_of(x), 13)),
    "dft20_odd_onesided": lambda x: squares_of(np.fft.rfft(x)),
    "dft20_inverse_shorter": lambda x: squares_of(np.fft.ifft(complex_of(x), 5)),
    "dft17_inverse_longer": lambda x: squares_of(np.fft.ifft(complex_of(x), 10)),
    "dft17_inverse_real": lambda x: squares_of(np.fft.ifft(x[..., 0])),
    "dft17_irfft_odd": lambda x: np.fft.irfft(complex_of(x), 9) ** 2,
    "dft20_irfft": lambda x: np.fft.irfft(complex_of(x)) ** 2,
    "dft20_axis1": lambda x: squares_of(np.fft.fft(complex_of(x), axis=1)),
    "dft17_axis_negative": lambda x: squares_of(np.fft.rfft(x[..., 0], 6, axis=1)),
    "dft17_images": lambda x: squares_of(np.fft.fft2(x[..., 0])),
    "dft20_filter": lambda x: np.fft.irfft(np.fft.rfft(x) * CASES["dft20_filter"]["w"]["w"][:, 0]) ** 2,
    "stft17_as_pytorch": lambda x: abs(np.fft.rfft(spans(x, 16, 5) * np.pad(CASES["stft17_as_pytorch"]["w"]["w"], 2))),
    "stft17_complex": lambda x: squares_of(np.fft.fft(spans(complex_of(x), 8, 3) * CASES["stft17_complex"]["w"]["win"])),
    "stft17_apart": lambda x: squares_of(np.fft.rfft(spans(x[..., 0], 5, 7))),
    "stft17_one_frame": lambda x: squares_of(np.fft.rfft(x[..., 0])),
    "HammingWindow_17_symmetric": lambda x: (x * (25 / 46 - 21 / 46 * np.cos(2 * np.pi * np.arange(6) / 5))) ** 2,
    "BlackmanWindow_17_symmetric": lambda x: (x * np.blackman(6)) ** 2,
    "HannWindow_17_symmetric": lambda x: (x * np.hanning(6)) ** 2,
}
# Values between elements, at coordinates that depend on the input and keep away from bends, which are at whole numbers, for the
# nearest element halfway between them. They lie up to beyond elements outside: in cubic mode, the evaluator is wrong there.
def sampled(mode, padding, align, sizes, to, beyond):
    sizes = np.array(sizes[::-1])  # The coordinate on the last axis comes first.
    scale = 2 / (sizes - align)
    at = np.stack([R.integers(-beyond, n - 1 + beyond, to) for n in sizes], -1) + (0.0 if mode == "nearest" else 0.5)
    axes = range(1, len(sizes) + 2)
    w = {"start": ints(*[0 for _ in axes]), "end": ints(*[1 for _ in axes]), "axes": ints(*axes), "g0": ((at + (1 - align) / 2) * scale - 1)[None],
         "by": (R.choice([-0.35, 0.35], at.shape) * scale)[None]}
    return [("Slice", "v start end axes", "one", {}), ("Tanh", "one", "t", {}), ("Mul", "t by", "d", {}), ("Add", "d g0", "g", {}),
            ("GridSample", "v g", "y", {"mode": mode, "padding_mode": padding, "align_corners": align})], w
def sampling(name, opset, mode, padding, align, shape=(3, 2, 4, 5), to=(3, 4), dtype="f8", beyond=2):
    nodes, w = sampled(mode, padding, align, shape[2:], to, beyond)
    case(name, opset, [("Identity", "x", "v", {}), *nodes, sq("y")], w, shape=shape, dtype=dtype)
for padding in ("zeros", "border", "reflection"):
    for align in (0, 1):
        for mode in ("linear", "nearest", "cubic"):
            sampling(f"gridsample20_{mode}_{padding}_{align}", 20, mode, padding, align)
            sampling(f"gridsample22_3d_{mode}_{padding}_{align}", 22, mode, padding, align, (3, 1, 3, 4, 3), (2, 1, 3), beyond=0 if mode == "cubic" else 1)
        for mode in ("bilinear", "bicubic"):
            sampling(f"gridsample16_{mode}_{padding}_{align}", 16, mode, padding, align, dtype="f4")
nodes, w = sampled("linear", "zeros", 0, (4, 5), (3, 4), 1)
nodes[-1] = ("GridSample", "v g", "y", {})
case("gridsample22_default", 22, [("Identity", "x", "v", {}), *nodes, sq("y")], w, shape=(3, 2, 4, 5))
# heads that are merged with the examples, as in deformable attention
nodes, w = sampled("linear", "zeros", 0, (4, 5), (3, 4), 1)
case("gridsample20_heads", 20, [("Reshape", "x to", "v", {}), *nodes, ("Reshape", "y back", "z", {}), sq("z")], {**w, "to": ints(-1, 2, 4, 5), "back": ints(-1, 4, 3, 4)}, shape=(3, 4, 4, 5))
case("gridsample20_grid_alone", 20, [("GridSample", "c x", "y", {"mode": "cubic", "padding_mode": "reflection"}), sq("y")], {"c": N(3, 2, 4, 5)}, shape=(3, 3, 4, 2), scale=0.7)
# spatial transformers: the grid of a computed matrix, in cubic mode, which has no bends
def transformed(matrix, to):
    d = len(to)
    return [("ReduceMean", "x axes", "mean", {"keepdims": 0}), ("MatMul", "mean w", "m", {}), ("Add", "m b", "flat", {}), ("Reshape", "flat rows", "theta", {}), ("Shape", "x", "s", {"end": 2}),
            ("Concat", "s to", "size", {"axis": 0})], {"axes": ints(*range(2, d + 2)), "w": N(2, d * (d + 1)), "b": np.array(matrix), "rows": ints(-1, d, d + 1), "to": ints(*to)}
TWO, THREE = [0.9, 0.3, 0.1, -0.2, 0.8, -0.15], [0.9, 0.3, 0.1, 0.05, -0.2, 0.8, -0.15, 0.1, 0.1, 0.2, 0.7, -0.05]
for align in (0, 1):
    nodes, w = transformed(TWO, (3, 4))
    case(f"affinegrid20_2d_{align}", 20, [*nodes, ("AffineGrid", "theta size", "g", {"align_corners": align}), ("GridSample", "x g", "y", {"mode": "cubic", "align_corners": align}), sq("y")], w, shape=(3, 2, 4, 5))
    nodes, w = transformed(THREE, (2, 3, 4))
    case(f"affinegrid20_3d_{align}", 20, [*nodes, ("AffineGrid", "theta size", "g", {"align_corners": align}), sq("g")], w, shape=(3, 2, 2, 3, 2))
one = transformed(TWO, (1, 4))
case("affinegrid20_one_position", 20, [*one[0], ("AffineGrid", "theta size", "out", {"align_corners": 1})], one[1], shape=(3, 2, 4, 5), refused="operator AffineGrid (out): the attribute align_corners is 1, and an axis has one position")
case("affinegrid20_other_batch", 20, [("Reshape", "x rows", "theta", {}), ("AffineGrid", "theta size", "out", {})], {"rows": ints(-1, 2, 3), "size": ints(2, 1, 3, 4)}, shape=S2, refused="operator AffineGrid (out): its size has another number of examples")
case("gridsample20_other_batch", 20, [("GridSample", "x g", "out", {})], {"g": N(2, 3, 4, 2)}, shape=(3, 2, 4, 5), refused="operator GridSample (out): its grid has another number of examples")
case("gridsample20_coordinates", 20, [("GridSample", "x g", "out", {})], {"g": N(3, 3, 4, 3)}, shape=(3, 2, 4, 5), refused="operator GridSample (out): its grid has another number of examples than its values, or not one coordinate for each axis")
case("gridsample20_mode", 20, [("GridSample", "x g", "out", {"mode": "area"})], {"g": N(3, 3, 4, 2)}, shape=(3, 2, 4, 5), refused='operator GridSample (out): the attribute mode is "area"')
case("gridsample20_padding", 20, [("GridSample", "x g", "out", {"padding_mode": "wrap"})], {"g": N(3, 3, 4, 2)}, shape=(3, 2, 4, 5), refused='operator GridSample (out): the attribute padding_mode is "wrap"')
case("gridsample20_integers", 20, [("Cast", "x", "i", {"to": T.INT64}), ("GridSample", "i g", "j", {}), ("Cast", "j", "out", {"to": T.DOUBLE})], {"g": N(3, 3, 4, 2)}, shape=(3, 2, 4, 5), refused="operator GridSample (j): its first input is of type INT64")

# What the evaluator has wrongly: Softmax of old opsets, BatchNormalization of two axes, Loop without a condition, LpNormalization of
# p = 1, cubic weights without what is outside, LRN, most options of
# recurrent layers, and GridSample beyond the border in cubic mode, where it moves the coordinate as PyTorch does in linear mode only.
# pads that cut off, before what is left is repeated
for mode in ("wrap", "reflect", "edge"):
    w = {"p": ints(0, 0, -1, 2, 0, 0, 2, -2)}
    case(f"pad19_cut_{mode}", 19, [("Pad", "x p", "y", {"mode": mode}), sq("y")], w)
case("pad19_cut_wrap_axes", 19, [("Pad", ["x", "p", "", "a"], "y", {"mode": "wrap"}), sq("y")], {"p": ints(-2, 3, 3, -1), "a": ints(-1, 2)})
# windows where ONNX's definition, its evaluator and its runtimes differ
valid = {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "VALID", "ceil_mode": 1}
for op in ("MaxPool", "AveragePool", "LpPool"):
    case(f"{op}_valid_ceil", 19, [(op, "x", "out", valid)], refused=f"operator {op} (out): the attribute ceil_mode is 1 with auto_pad VALID")
case("maxpool_valid_ceil_1", 19, [("MaxPool", "x", "out", valid | {"strides": [1, 1]})], dtype="f4")
partial = {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}
case("LpPool_ceil_partial", 18, [("LpPool", "x", "out", partial)], refused="operator LpPool (out): the attribute ceil_mode is 1, and its last window")
case("LpPool_ceil_whole", 18, [("LpPool", "x", "out", partial | {"kernel_shape": [3, 2]})], dtype="f4")
# scales that a Concat joins, as PyTorch writes them if it does not fold constants
case("resize13_scales_joined", 13, [("Concat", "one two", "s", {"axis": 0}), ("Resize", ["x", "", "s"], "y", {"mode": "linear"}), sq("y")],
     {"one": np.ones(2, dtype="f4"), "two": np.array([2, 1.5], dtype="f4")}, dtype="f4")
case("resize13_linear_integers", 13, [("Cast", "x", "i", {"to": T.INT32}), ("Resize", ["i", "", "s"], "j", {"mode": "linear"}), ("Cast", "j", "out", {"to": T.DOUBLE})],
     {"s": np.array([1, 1, 2, 2], dtype="f4")}, refused='operator Resize (j): the attribute mode is "linear" for values of type INT32')
# heads on an axis of their own, which the file does not tell
unknown = [("Shape", "x", "s", {}), ("Mul", "s one", "t", {}), ("Expand", "x t", "q", {}), ("Attention", "q q q", "out", {"q_num_heads": 2, "kv_num_heads": 2})]
case("attention23_unknown_rank", 23, unknown, {"one": ints(1)},
     shape=(3, 2, 4, 4), dtype="f4", refused="operator Attention (out): the attributes q_num_heads and kv_num_heads are of heads side by side")
case("attention23_unknown_rank_3", 23, unknown, {"one": ints(1)}, shape=(3, 4, 4), dtype="f4")
case("attention23_computed_rank", 23, [("Shape", "x", "s", {}), ("Expand", "x s", "q", {}), ("Attention", "q q q", "out", {"q_num_heads": 2, "kv_num_heads": 2})],
     shape=(3, 2, 4, 4), dtype="f4")
# blocks that are added up to an image, as PyTorch's fold
fold = lambda image, block: {"i": ints(*image), "k": ints(*block)}
case("col2im18", 18, [("Col2Im", "x i k", "y", {}), sq("y")], fold((3, 4), (2, 2)), shape=(3, 8, 6))
case("col2im18_options", 18, [("Col2Im", "x i k", "y", {"dilations": [2, 1], "strides": [1, 2], "pads": [0, 1, 1, 0]}), sq("y")], fold((4, 5), (2, 2)), shape=(3, 8, 9))
case("col2im18_1d", 18, [("Col2Im", "x i k", "y", {"strides": [2], "pads": [1, 1]}), sq("y")], fold((7,), (3,)), shape=(3, 6, 4))
case("col2im18_pool", 18, [("Col2Im", "x i k", "y", {"strides": [2, 1]}), ("MaxPool", "y", "z", {"kernel_shape": [2, 2]}), sq("z")], fold((4, 4), (2, 3)), shape=(3, 12, 4))
case("col2im18_computed", 18, [("Shape", "x", "s", {}), ("Slice", "s a b", "i", {}), ("Col2Im", "x i k", "y", {}), sq("y")], {"a": ints(1), "b": ints(3), "k": ints(2, 2)}, shape=(3, 4, 9), refused="image_shape or block_shape is not constant")
# attention as ONNX Runtime's optimizer writes it
def heads(name, inputs, attributes, w, before=(), refused=None, op="MultiHeadAttention"):
    case(name, 17, [*before, (op, inputs, "y", {"domain": "com.microsoft", "num_heads": 2, **attributes}), sq("y")], w, shape=(3, 4, 6), dtype="f4", scale=0.7, refused=refused)
qkv = [("MatMul", "x wk", "k", {}), ("MatMul", "x wv", "v", {})]
weights = {"wk": N(6, 6), "wv": N(6, 8)}
heads("mha_bias", ["x", "k", "v", "b"], {}, {**weights, "b": N(20)}, qkv)
heads("mha_causal", ["x", "k", "v"], {"unidirectional": 1, "scale": 0.3}, weights, qkv)
heads("mha_added", ["x", "k", "v", "", "", "m"], {}, {**weights, "m": N(1, 2, 4, 4)}, qkv)
short = [("Slice", "x from to axis", "c", {}), ("MatMul", "c wk", "k", {}), ("MatMul", "c wv", "v", {})]
heads("mha_cross", ["x", "k", "v"], {}, {**weights, "from": ints(0), "to": ints(3), "axis": ints(1)}, short)
heads("mha_packed", ["p"], {}, {"to": ints(0, 4, 1, 3, 2)}, [("Reshape", "x to", "p", {})], refused="without the input key or value")
heads("mha_padded", ["x", "k", "v", "", "p"], {}, {**weights, "p": np.ones((3, 4), dtype="i4")}, qkv, refused="it has the input key_padding_mask")
heads("msattention", ["x", "w", "b"], {}, {"w": N(6, 18), "b": N(18)}, op="Attention")
heads("msattention_sizes", ["x", "w", "b"], {"qkv_hidden_sizes": [4, 4, 8], "unidirectional": 1}, {"w": N(6, 16), "b": N(16)}, op="Attention")
rows = [("ReduceSum", "x axis", "t", {"keepdims": 0}), ("Greater", "t zero", "g", {}), ("Cast", "g", "m", {"to": T.INT32})]
heads("msattention_mask", ["x", "w", "b", "m"], {}, {"w": N(6, 18), "b": N(18), "axis": ints(2), "zero": np.array(-0.4)}, rows, op="Attention")
heads("msattention_added", ["x", "w", "b", "", "", "m"], {"scale": 0.6}, {"w": N(6, 18), "b": N(18), "m": N(1, 2, 4, 4)}, op="Attention")
heads("msattention_lengths", ["x", "w", "b", "m"], {}, {"w": N(6, 18), "b": N(18), "m": np.array([2, 4, 3], dtype="i4")}, op="Attention", refused="its mask_index is not of shape")
heads("msattention_uneven", ["x", "w", "b"], {}, {"w": np.ones((6, 16)), "b": np.ones(16)}, op="Attention", refused="do not divide into queries, keys and values")
heads("msattention_other_sizes", ["x", "w", "b"], {"qkv_hidden_sizes": [4, 4, 6]}, {"w": np.ones((6, 16)), "b": np.ones(16)}, op="Attention", refused="do not divide into queries, keys and values")
case("col2im18_other_blocks", 18, [("Col2Im", "x i k", "y", {}), sq("y")], fold((3, 4), (2, 2)), shape=(3, 8, 12), refused="its input has another number of blocks")
def embed(name, segments, position=False, outputs="y,unused", result="y", refused=None):
    w = {"i": np.arange(12, dtype="i4").reshape(3, 4) % 5, "word": N(5, 6), "pos": N(7, 6), "g": N(6), "b": N(6)}
    if segments:
        w |= {"seg": np.array([[0, 1, 1, 0]] * 3, dtype="i4"), "segs": N(2, 6)}
    if position:
        w["at"] = np.array([[3, 1, 0, 6]] * 3, dtype="i4")
    names = ["i", "seg" if segments else "", "word", "pos", "segs" if segments else "", "g", "b"] + ["", "at"] * position
    case(name, 17, [("EmbedLayerNormalization", names, outputs.split(","), {"domain": "com.microsoft", "epsilon": 1e-3}), ("Mul", f"x {result}", "z", {}), sq("z")], w, shape=(3, 4, 6), dtype="f4", refused=refused)
embed("embedlayernorm", True)
embed("embedlayernorm_positions", False, True)
embed("embedlayernorm_sum", True, outputs="y,,e", result="e")
embed("embedlayernorm_mask", True, outputs="y,e", result="e", refused="something uses its output mask_index")
# a padding value with an axis
case("pad13_value_axis", 13, [("Pad", "x p v", "y", {}), ("Softmax", "y", "out", {})], {"p": ints(0, 0, 1, 0, 0, 2, 0, 1), "v": np.array([0.7])}, shape=(3, 4, 5, 6))
case("pad13_value_computed", 13, [("Add", "v v", "w", {}), ("Pad", "x p w", "y", {}), ("Softmax", "y", "out", {})], {"p": ints(0, 0, 1, 0, 0, 2, 0, 1), "v": np.array(0.7)}, shape=(3, 4, 5, 6))
LEAST = float(np.finfo("f4").min)
closed = np.array([[[[0, LEAST, 0, 0], [LEAST] * 4, [0, 0, -np.inf, 0.5], [LEAST, LEAST, 0, LEAST]]]])
heads("mha_closed_rows", ["x", "k", "v", "", "", "m"], {}, {**weights, "m": closed}, qkv)
heads("mha_long_bias", ["x", "k", "v", "b"], {}, {**weights, "b": np.ones(21)}, qkv, refused="its bias is not as long")
# arrays of several axes without elements
empty = {"e": np.zeros((4, 0, 3)), "a": ints(0, 1)}
case("weight_empty", 13, [("ReduceSum", "e a", "s", {"keepdims": 0}), ("Add", "x s", "y", {}), sq("y")], empty, shape=(3, 3))
case("constant_empty", 13, [("Constant", [], "e", {"value": numpy_helper.from_array(np.zeros((4, 0, 3)))}), ("ReduceSum", "e a", "s", {"keepdims": 0}), ("Add", "x s", "y", {}), sq("y")], {"a": ints(0, 1)}, shape=(3, 3))
# constants without axes, and the power 0 of values that are 0
case("constantofshape_number", 13, [("ConstantOfShape", "s", "c", {"value": numpy_helper.from_array(np.array([2.5]))}), ("Mul", "x c", "y", {}), sq("y")], {"s": ints()}, shape=S2)
powers = [("Relu", "x", "r", {}), ("Pow", "r e", "p", {}), ("Add", "p x", "y", {}), ("Tanh", "y", "out", {})]
case("pow_zero_among", 13, powers, {"e": np.array([0., 1, 2, 0, 3, 1.5])}, shape=S2)
case("pow_zero_integers", 13, powers, {"e": ints(0, 1, 2, 0, 3, 1)}, shape=S2)
case("pow_zero_number", 13, powers, {"e": np.array(0.)}, shape=S2)
case("cumsum_axis_list", 14, [("CumSum", "x a", "y", {"exclusive": 1}), sq("y")], {"a": ints(-1)}, shape=S3)
# weights under another name, as those that layers share
shared = ("Identity", "w", "shared", {})
case("convt_shared", 11, [shared, ("ConvTranspose", "x shared", "y", {"strides": [2, 1], "group": 2}), ("Tanh", "y", "out", {})], {"w": N(4, 2, 2, 3) / 2}, dtype="f4")
case("conv_same_shared", 11, [shared, ("Conv", "x shared", "y", {"auto_pad": "SAME_UPPER"}), ("Tanh", "y", "out", {})], {"w": N(2, 4, 2, 3) / 2}, dtype="f4")
case("resize13_scales_shared", 13, [shared, ("Resize", ["x", "", "shared"], "y", {"mode": "linear"}), sq("y")], {"w": np.array([1, 1, 2, 1.5], dtype="f4")}, dtype="f4")
# a row and a column of constants give a table, here of pads
case("pad11_table", 13, [("Add", "row column", "t", {}), ("Reshape", "t list", "p", {}), ("Pad", "x p", "y", {"mode": "reflect"}), sq("y")], {"row": np.array([[0, 2]]), "column": np.array([[0], [0]]), "list": ints(-1)}, shape=S2)

# indices that repeat, where ONNX's runtimes let the last value hold
first = [("Tanh", "x", "t", {}), ("Slice", "t zero three one", "u", {})]
steps = {"zero": ints(0), "three": ints(3), "one": ints(1)}
case("scatterel_repeated", 16, [*first, ("ScatterElements", "x i u", "y", {"axis": 1}), sq("y")], {**steps, "i": np.array([[1, 1, -3], [0, 5, 0], [2, 2, 2]])}, shape=S2)
case("scatternd_repeated", 16, [*first, tr("x", "xt", [1, 0]), tr("u", "ut", [1, 0]), ("ScatterND", "xt i ut", "y", {}), tr("y", "z", [1, 0]), sq("z")], {**steps, "i": np.array([[1], [-5], [3]])}, shape=S2)
case("scatternd_repeated_computed", 16, [*first, tr("x", "xt", [1, 0]), tr("u", "ut", [1, 0]), ("Shape", "x", "s", {}), ("Gather", "s axis", "six", {}), ("Mod", "i six", "j", {}), ("ScatterND", "xt j ut", "y", {}), tr("y", "z", [1, 0]), sq("z")], {**steps, "i": np.array([[7], [1], [3]]), "axis": ints(1)}, shape=S2)
case("scatternd_repeated_booleans", 16, [("Greater", "x low", "a", {}), tr("a", "t", [1, 0]), ("ScatterND", "t i u", "v", {}), tr("v", "e", [1, 0]), ("Where", "e x low", "out", {})], {"low": np.array(0.2), "i": np.array([[1], [4], [1]]), "u": np.array([[True] * 3, [False] * 3, [False] * 3])}, shape=S2)
# y[:, 1:5:2] = v, as PyTorch's older exporter writes it for batches of any size and of one size
assigned = [("Slice", "x from to last by", "s", {}), ("Sin", "s", "v", {}),
            ("Add", "row column", "both", {}), ("Shape", "both", "sizes", {}), ("Shape", "sizes", "axes", {}),
            ("ConstantOfShape", "axes", "ones", {"value": numpy_helper.from_array(ints(1))}), ("Mul", "ones minus", "free", {}),
            ("Equal", "sizes free", "isfree", {}), ("Where", "isfree ones sizes", "all", {}),
            ("Expand", "row all", "rows", {}), ("Unsqueeze", "rows minus", "r", {}), ("Expand", "column all", "columns", {}),
            ("Unsqueeze", "columns minus", "c", {}), ("Concat", "r c", "i", {"axis": -1}), ("Reshape", "v sizes", "u", {}),
            ("ScatterND", "x i u", "y", {}), sq("y")]
counted = [("Shape", "x", "dims", {}), ("Gather", "dims none", "b", {}), ("Range", "none b single", "examples", {}),
           ("Reshape", "examples table", "row", {}), ("Gather", "dims single", "d", {}), ("Range", "none d single", "places", {}),
           ("Slice", "places from to first by", "column", {})]
where = {"from": ints(1), "to": ints(5), "last": ints(1), "by": ints(2), "minus": ints(-1)}
case("assigned_slice", 13, counted + assigned, {**where, "none": np.array(0), "single": np.array(1), "table": ints(-1, 1), "first": ints(0)}, shape=S2)
case("assigned_slice_fixed", 13, assigned, {**where, "row": ints([0], [1], [2]), "column": ints(1, 3)}, shape=S2)
# torch.diagonal, as PyTorch's older exporter writes it
branches = {"then_branch": helper.make_graph([helper.make_node("Add", ["noughts", "k"], ["a"]), helper.make_node("Unsqueeze", ["a", "two"], ["i"]),
                                              helper.make_node("GatherND", ["d", "i"], ["picked"], batch_dims=1)], "some", [], [helper.make_empty_tensor_value_info("picked")]),
            "else_branch": helper.make_graph([helper.make_node("ConstantOfShape", ["sizes"], ["nothing"], value=numpy_helper.from_array(np.zeros(1)))], "none", [], [helper.make_empty_tensor_value_info("nothing")])}
filled = lambda v: {"value": numpy_helper.from_array(ints(v))}
case("diagonal", 18, [("Reshape", "x to", "t", {}), ("Shape", "t", "s", {}), ("Gather", "s one", "r", {}), ("Gather", "s two", "c", {}),
                      ("Concat", "r c", "rc", {"axis": 0}), ("ConstantOfShape", "rc", "z", {"value": numpy_helper.from_array(np.zeros(1))}), ("EyeLike", "z", "e", {}),
                      ("Mul", "t e", "te", {}), ("ReduceSum", "te minus", "d", {"keepdims": 0}), ("Min", "r c", "n", {}), ("Concat", "n", "count", {"axis": 0}),
                      ("ConstantOfShape", "count", "ones", filled(1)), ("CumSum", "ones nought", "from1", {}), ("Add", "from1 minus", "k", {}),
                      ("Shape", "d", "ds", {}), ("Gather", "ds zero", "b", {}), ("Concat", "b count", "sizes", {"axis": 0}), ("ConstantOfShape", "sizes", "noughts", filled(0)),
                      ("Equal", "count nought", "isnone", {}), ("Not", "isnone", "issome", {}), ("If", "issome", "y", branches), sq("y")],
     {"to": ints(-1, 4, 7), "zero": ints(0), "one": ints(1), "two": ints(2), "minus": ints(-1), "nought": np.array(0)}, shape=S3)
# scatter_reduce, which flattens numbers without axes in a branch
same = lambda name: [helper.make_node("Identity", [v], [v + name]) for v in ("base", "i", "v")]
flat = lambda name: [helper.make_node("Reshape", [v, "minus"], [v + name]) for v in ("base", "i", "v")]
branch = lambda make, name: helper.make_graph(make(name), name, [], [helper.make_empty_tensor_value_info(v + name) for v in ("base", "i", "v")])
case("scatterreduce_branches", 18, [("Tanh", "x", "v", {}), ("Shape", "v", "s", {}), ("Expand", "places s", "i", {}), ("Gather", "s zero", "b", {}), ("Concat", "b three", "sizes", {"axis": 0}),
                                    ("ConstantOfShape", "sizes", "base", {"value": numpy_helper.from_array(np.zeros(1))}), ("Shape", "base", "bs", {}), ("Size", "bs", "rank", {}),
                                    ("Equal", "rank nought", "isnumber", {}), ("If", "isnumber", "a i1 v1", {"then_branch": branch(flat, "_flat"), "else_branch": branch(same, "_same")}),
                                    ("ScatterElements", "a i1 v1", "y", {"axis": 1, "reduction": "add"}), ("Exp", "y", "out", {})],
     {"places": ints([0, 0, 1, 2, 1, 0]), "zero": ints(0), "three": ints(3), "minus": ints(-1), "nought": np.array(0)}, shape=S2)
# more fused operators
gemm = {"domain": "com.microsoft", "transB": 1, "alpha": 0.5}
case("fusedgemm_relu", 17, [("FusedGemm", "x w b", "y", {**gemm, "activation": "Relu"}), sq("y")], {"w": N(4, 6), "b": N(4)}, shape=S2, dtype="f4")
case("fusedgemm_leaky", 17, [("FusedGemm", "x w", "y", {**gemm, "activation": "LeakyRelu", "activation_alpha": 0.2}), sq("y")], {"w": N(4, 6)}, shape=S2, dtype="f4")
case("fusedmatmul_batches", 17, [tr("x", "xt", [1, 0, 2]), ("FusedMatMul", "xt w", "y", {"domain": "com.microsoft", "transBatchA": 1, "transBatchB": 1, "transB": 1}), sq("y")], {"w": N(5, 3, 7)}, shape=S3, dtype="f4")

RUNTIME = {"softmax11_axis2", "softmax11_negative2", "softmax1_default", "logsoftmax9_default", "bn9_2d", "loop_fixed", "loop_if", "loop_nested",
           "lpnorm_p1_axis2", "lrn_wide", "resize13_cubic_exclude", "lstm_clip", "lstm_hardsigmoid", "lstm_hardsigmoid_alpha", "lstm_input_forget",
           "lstm_leaky", "lstm_lens", "lstm_lens_reverse", "gru_hard", "gru_lens_init", "gru_reverse_clip", "gru_scaled", "gridsample20_cubic_border_0", "gridsample20_cubic_border_1"}
EQUAL = {"globalmax_1d": ("reduce_like_globalmax", 13, [("ReduceMax", "x", "out", {"axes": [2], "keepdims": 1})]),
         "add6_broadcast": ("add7", 7, [("Reshape", "c shape", "d", {}), ("Add", "x d", "y", {}), ("Tanh", "y", "out", {})]),
         "sub6_axis_middle": ("sub7", 7, [("Reshape", "c shape", "d", {}), ("Sub", "x d", "y", {}), ("Tanh", "y", "out", {})]),
         "pow6_scalar": ("pow7", 7, [("Abs", "x", "a", {}), ("Pow", "a c", "y", {}), ("Tanh", "y", "out", {})]),
         "prelu6_c": ("prelu7", 7, [("Reshape", "a shape", "d", {}), ("PRelu", "x d", "y", {}), ("Tanh", "y", "out", {})]),
         "dropout6_test": ("tanh", 7, [("Tanh", "x", "out", {})]),
         "attention23_computed_rank": ("attention23", 23, [("Attention", "x x x", "out", {})]),
         "reshape1_attr": ("flat", 7, [("Flatten", "x", "y", {}), ("Tanh", "y", "out", {})])}
SHAPES = {"add6_broadcast": ints(4, 1, 1), "sub6_axis_middle": ints(4, 5, 1), "prelu6_c": ints(4, 1, 1)}
# What only XLA refused or had wrong once.
ON_XLA = {"diagonal", "scatterreduce_branches", "assigned_slice", "assigned_slice_fixed", "scatternd_repeated", "scatterel_repeated", "pad13_value_axis", "weight_empty", "constant_empty"}
# What was refused or wrong once: these are always tested, and one in eight of the others.
MENDED = """
    attention23_computed_rank assigned_slice assigned_slice_fixed diagonal scatterreduce_branches
    scatterel_repeated scatternd_repeated scatternd_repeated_computed scatternd_repeated_booleans fusedgemm_relu fusedgemm_leaky fusedmatmul_batches
    constantofshape_number pow_zero_among pow_zero_integers pow_zero_number cumsum_axis_list pad11_table
    convt_shared conv_same_shared resize13_scales_shared
    mha_closed_rows weight_empty constant_empty
    pad13_value_axis pad13_value_computed embedlayernorm_sum col2im18_options mha_bias mha_cross msattention_sizes msattention_mask
    dropout7_mask dropout7_mask_used resize_not_larger resize19_not_smaller_cubic_asymmetric resize11_crop_linear_sizes
    resize13_crop_nearest_scales resize19_crop_axes resize11_crop_end
    ReduceProd_18_axes ReduceProd_zero mod_fmod_both conv_dil_stride_group conv_1d einsum_diag_product einsum_trace gatherel_neg
    gatherel_int32_axis_neg gathernd_neg gathernd_batch gathernd scatternd_neg scatternd_add_neg topk1 topk_axis1 topk11_smallest
    topk_indices_used reverseseq_time reverseseq_batch group18 gemm6 prelu6_c add6_broadcast sub6_axis_middle pow6_scalar add7_with_axis
    resize10_nearest_down resize11_tf_half resize13_3d dequant_weights dequant_axis_neg dequant_scalar_u8 qdq dynamicquant lstm_leaky
    pad11_older_edge pad19_older_wrap pad11_older_negative pad_computed_negative slice_computed_steps layernorm17_scale_rank1
    layernorm17_bias_rank1 layernorm17_scale_rank4 einsum_ones_ellipsis einsum_ones_letter einsum_outer resize13_sizes_second_axis
    reducel2_zeros normalize_zeros lpnorm_zeros lppool18_zeros lppool18_p3_zeros fusedconv_relu fusedconv_leaky fusedconv_clip_added fusedconv_hardsigmoid range_floats resize13_sizes_by_floats avgpool19_same_dilated maxpool12_same_dilated reshape_by_values resize13_sizes_rank2 equal_booleans scatternd_booleans gru_scaled lstm_hardsigmoid_alpha loop_counter loop_collects loop_nested loop_if loop_data scan9 scan_axes_reverse pad18_axes_const
    logmel17 logmel20_single mel17_double_edges mel17_beyond stft17_as_pytorch stft17_complex stft17_apart stft17_one_frame
    stft17_onesided_complex stft17_short_window stft17_short_signal stft17_small_step dft17_shorter dft17_longer_onesided dft20_longer
    dft20_odd_onesided dft20_inverse_shorter dft17_inverse_longer dft17_inverse_real dft17_irfft_odd dft20_irfft dft20_axis1
    dft17_axis_negative dft17_images dft20_filter dft17_examples dft17_onesided_complex dft17_irfft_longer dft20_irfft_real
    dft20_axis_attribute dft17_axis_parts dft17_three_parts dft17_too_long HannWindow_17 HannWindow_17_symmetric HammingWindow_17
    HammingWindow_17_symmetric BlackmanWindow_17 BlackmanWindow_17_symmetric HannWindow_17_sized HannWindow_17_one HannWindow_17_integers
    gridsample20_linear_zeros_0 gridsample20_cubic_border_1 gridsample20_linear_reflection_0 gridsample22_3d_linear_border_1
    gridsample22_3d_cubic_reflection_0 gridsample16_bilinear_zeros_1 gridsample20_heads affinegrid20_2d_1 affinegrid20_3d_0
    gridsample20_other_batch affinegrid20_one_position
    pad19_cut_wrap pad19_cut_reflect pad19_cut_edge pad19_cut_wrap_axes MaxPool_valid_ceil AveragePool_valid_ceil LpPool_valid_ceil
    maxpool_valid_ceil_1 LpPool_ceil_partial LpPool_ceil_whole resize13_scales_joined resize13_linear_integers attention23_unknown_rank
    attention23_unknown_rank_3
""".split()
NUMPY = {"f2": T.FLOAT16, "f4": T.FLOAT, "f8": T.DOUBLE}


def model(c, dtype=None):
    """The network with its floats of 64 bits in a type. Those of 32 bits stay: scales of Resize and of DequantizeLinear."""
    dtype = dtype or c["dtype"]
    value = lambda n, s: helper.make_tensor_value_info(n, NUMPY[dtype], s)
    split = lambda s: s if isinstance(s, list) else s.split(" ")
    nodes = [helper.make_node(o, split(i), split(u), **a) for o, i, u, a in c["nodes"]]
    weights = [numpy_helper.from_array(a.astype(dtype) if a.dtype == np.float64 else a, k) for k, a in c["w"].items()]
    graph = helper.make_graph(nodes, "variant", [value("x", ["batch", *c["shape"][1:]])], [value("out", None)], weights)
    domains = [helper.make_opsetid("com.microsoft", 1)] * any("domain" in a for *_, a in c["nodes"])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", c["opset"]), *domains], ir_version=8 if c["opset"] < 20 else 10)


def complexity(run, x, h, dtype):
    """All examples move at once, as none depends on another."""
    total = 0.0
    for i in np.ndindex(x.shape[1:]):
        step = np.zeros(x.shape)
        step[(slice(None), *i)] = h
        a, b, p, q = (np.asarray(run((x + k * step).astype(dtype)), dtype="f8") for k in (1, -1, 2, -2))
        total += np.sum(((8 * (a - b) - (p - q)) / (12 * h)) ** 2)
    return total / len(x)


class GridSample(op_grid_sample.GridSample):
    """With coordinates and grids in float64, where the evaluator has float32 for any type."""
    op_domain = ""

    def _gs_denormalize_coordinates(self, n, dims, align_corners):
        return np.array([self._gs_denormalize(v, d, align_corners) for v, d in zip(n, dims)])


class AffineGrid(op_affine_grid.AffineGrid):
    op_domain = ""

    def _run(self, theta, size, align_corners=None):
        positions = op_affine_grid.construct_original_grid(size[2:], align_corners or self.align_corners)
        return (np.einsum("nij,...j->n...i", theta, positions),)


def by_evaluator(c, x):
    run = ReferenceEvaluator(model(c, "f8"), new_ops=[GridSample, AffineGrid]).run
    return complexity(lambda v: run(None, {"x": v})[0], x, 1e-4, "f8")


def by_runtime(c, x, dtype, h):
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # It computes with quantized weights otherwise.
    run = onnxruntime.InferenceSession(model(c, dtype).SerializeToString(), options, providers=["CPUExecutionProvider"]).run
    return complexity(lambda v: run(None, {"x": v})[0], x, h, dtype)


def tried(f, *args):
    try:
        return f(*args)
    except Exception:  # Of an operator or a type that one of them lacks: both raise what they like.
        return None


def oracle(name, c, x):
    """The GC and its tolerance. The two agree, where both have a value."""
    if name in EQUAL:
        _, opset, nodes = EQUAL[name]
        more = {"shape": SHAPES[name]} if name in SHAPES else {}
        return by_evaluator({**c, "opset": opset, "nodes": nodes, "w": {**c["w"], **more}}, x), 1e-4
    double, single = tried(by_runtime, c, x, "f8", 1e-4), None
    evaluator = None if name in RUNTIME else tried(by_evaluator, c, x)
    if double is None:
        single = tried(by_runtime, c, x, c["dtype"], 3e-3)
    for runtime, tolerance in ((double, 1e-4), (single, 1e-2)):
        if runtime is not None and evaluator is not None:
            assert abs(evaluator - runtime) <= tolerance * runtime, (name, evaluator, runtime)
    if name in BY_NUMPY:
        other, value = complexity(BY_NUMPY[name], x, 1e-4, "f8"), double if evaluator is None else evaluator
        assert abs(other - value) <= 1e-4 * value, (name, other, value)
    if name == "group21_1d":  # Of opset 21 on both compute it in float32, whatever its type (stash_type).
        return double, 1e-3
    if double is not None:
        return double, 1e-4
    return (evaluator, 1e-4) if evaluator is not None else (single, 5e-3)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    PLACE.mkdir(exist_ok=True)
    index = []
    for name, c in CASES.items():
        x = np.random.default_rng(5).normal(size=c["shape"]) * c["scale"]
        x = np.where(np.abs(x) < 0.02, 0.07, x).astype("f4").astype("f8")  # Away from the bends at 0.
        inputs = f"x_{'_'.join(map(str, c['shape']))}_{c['scale']}_{c['dtype']}.npy"
        np.save(PLACE / inputs, x.astype(c["dtype"]))
        onnx.save(model(c), PLACE / f"{name}.onnx")
        entry = {"model": f"{name}.onnx", "inputs": inputs, "batch": len(x), "always": name in MENDED, "xla": name in ON_XLA}
        if c["refused"]:
            index.append(entry | {"refused": c["refused"]})
        else:
            gc, tolerance = oracle(name, c, x)
            index.append(entry | {"gc": gc, "tolerance": tolerance})
    (PLACE / "index.json").write_text("[\n" + ",\n".join(json.dumps(e) for e in index) + "\n]\n")
