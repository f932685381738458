"""Writes svm_golden.txt: scikit-learn's predictions on rows that svm_tests.rs makes in the same way.

    pip install scikit-learn numpy; python svm_golden.py > svm_golden.txt   # scikit-learn 1.9.1
"""
import numpy as np
from sklearn.svm import SVC

MASK = (1 << 64) - 1


def uniform(state=[1]):
    """SplitMix64, the upper 24 bits as a number in [0, 1)."""
    state[0] = (state[0] + 0x9E3779B97F4A7C15) & MASK
    z = state[0]
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return ((z ^ (z >> 31)) >> 40) / (1 << 24)


TRAIN, TEST, WIDTH = 300, 200, 8
centres = [[2.0 * uniform() for _ in range(WIDTH)] for _ in range(8)]
x, y = [], []
for i in range(TRAIN + TEST):
    label = [0, 0, 1, 2, 3, 3, 3][i % 7]
    centre = centres[2 * label + (i // 7) % 2]
    x.append([m + uniform() + uniform() + uniform() - 1.5 for m in centre])
    y.append(label)
x = np.array(x, dtype=np.float32).astype(np.float64)
y = np.array(y)
weight = np.array([0.05 + uniform() for _ in range(TRAIN)])

for kernel, c, gamma, balanced, weighted in [
    ("rbf", 1.0, 0.125, False, False),
    ("rbf", 10.0, 0.5, True, False),
    ("rbf", 100.0, 0.05, False, True),
    ("linear", 1.0, 0.0, False, False),
    ("linear", 0.1, 0.0, True, True),
]:
    model = SVC(
        C=c,
        kernel=kernel,
        gamma=gamma or "scale",
        class_weight="balanced" if balanced else None,
    )
    model.fit(x[:TRAIN], y[:TRAIN], sample_weight=weight if weighted else None)
    predicted = "".join(map(str, model.predict(x[TRAIN:])))
    print(kernel, c, gamma, int(balanced), int(weighted), predicted)
