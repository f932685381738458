"""scikit-learn's side of `ser-train bench svm`: reads cases on standard input, writes times and predictions to standard output."""
import json
import sys
import time

import numpy as np
import sklearn
from sklearn.svm import SVC

out = []
request = json.load(sys.stdin)
for case in request["cases"]:
    width = case["width"]
    read = lambda name, kind: np.fromfile(case[name], dtype=kind)
    x = read("train", "<f4").reshape(-1, width).astype(np.float64)
    test = read("test", "<f4").reshape(-1, width).astype(np.float64)
    y = read("class", "<u4")
    weight = read("weight", "<f8")
    model = SVC(
        C=case["c"],
        kernel="linear" if case["gamma"] is None else "rbf",
        gamma="scale" if case["gamma"] is None else case["gamma"],
        class_weight="balanced" if case["balanced"] else None,
        tol=case["tolerance"],
    )
    fit, predict = [], []
    for _ in range(request["runs"]):
        start = time.perf_counter()
        model.fit(x, y, sample_weight=weight)
        fitted = time.perf_counter()
        predicted = model.predict(test)
        fit.append(fitted - start)
        predict.append(time.perf_counter() - fitted)
    out.append(
        {
            "fit_s": fit,
            "predict_s": predict,
            "predicted": predicted.tolist(),
            "support_vectors": int(model.n_support_.sum()),
        }
    )
json.dump({"version": sklearn.__version__, "cases": out}, sys.stdout)
