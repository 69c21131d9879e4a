"""Writes classifiers and a regression of scikit-learn as skl2onnx exports them by default, with labels and probabilities as
outputs, and their GC by central differences of scikit-learn's own predictions: cases/sklearn_NAME.onnx, sklearn_x.npy and
cases/sklearn.json. Made with scikit-learn 1.9 and skl2onnx 1.20."""
import json
import pathlib

import numpy as np
from skl2onnx import to_onnx
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

PLACE = pathlib.Path(__file__).parent / "cases"


def complexity(predict, x, h=1e-4):
    total = 0.0
    for i in range(x.shape[1]):
        step = np.zeros_like(x)
        step[:, i] = h
        total += np.sum(((predict(x + step) - predict(x - step)) / (2 * h)) ** 2)
    return total / len(x)


if __name__ == "__main__":
    rng = np.random.default_rng(3)
    x = rng.normal(size=(60, 5)) * [1, 2, 3, 1, 0.5] + [0, 1, 0, -1, 2]
    y = np.argmax(x @ rng.normal(size=(5, 3)), axis=1)
    models = {
        "logistic": make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y),
        "binary": LogisticRegression().fit(x, y == 0),
        "names": LogisticRegression().fit(x, np.array(["a", "b", "c"])[y]),
        "mlp": MLPClassifier((8,), activation="tanh", max_iter=300, random_state=0).fit(x, y),
        "linear": make_pipeline(StandardScaler(), LinearRegression()).fit(x, x @ rng.normal(size=(5, 2))),
    }
    examples = x[:6].astype(np.float32)
    np.save(PLACE / "sklearn_x.npy", examples)
    index = []
    for name, model in models.items():
        (PLACE / f"sklearn_{name}.onnx").write_bytes(to_onnx(model, examples[:1]).SerializeToString())
        predict = model.predict_proba if hasattr(model, "predict_proba") else model.predict
        index.append({"model": f"sklearn_{name}.onnx", "inputs": "sklearn_x.npy", "gc": complexity(predict, examples.astype(float)),
                      "tolerance": 1e-4, "batch": 6})
    (PLACE / "sklearn.json").write_text(json.dumps(index, indent=1) + "\n")
