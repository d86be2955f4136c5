"""Makes the conformance vectors by running other people's convolutions: see README.md."""

import json
import pathlib
import re
import sys

import numpy as np
from scipy import ndimage, signal

FOLDER = pathlib.Path(__file__).parent

# faltung's words for SciPy's boundaries
SIGNAL = {"fill": "constant", "wrap": "wrap", "symm": "symmetric"}
NDIMAGE = {"constant": "constant", "nearest": "edge", "reflect": "symmetric", "mirror": "mirror", "wrap": "wrap"}


def value(x):
    if isinstance(x, (np.int64, np.uint64)):
        return str(int(x))
    if isinstance(x, np.integer):
        return int(x)
    x = float(x)
    return str(x).replace("inf", "Infinity").replace("nan", "NaN") if not np.isfinite(x) else int(x) if x == int(x) and abs(x) < 2**53 else x


def array(a, layout=None):
    a = np.asarray(a)
    packed = {"dtype": a.dtype.name, "shape": list(a.shape), "data": [value(x) for x in a.ravel()]}
    if layout is not None:
        packed["layout"] = layout
    return packed


class File:
    def __init__(self, name, about):
        self.name, self.about, self.cases = name, about, []

    def add(self, name, reason, operation, image, kernel, options, expected, layout=None):
        assert all(case["name"] != name for case in self.cases), name
        self.cases.append({"name": name, "reason": reason, "operation": operation, "image": array(image, layout),
                           "kernel": array(kernel), "options": options, "expected": array(expected)})

    def write(self):
        text = json.dumps(self.__dict__ | {"name": None}, indent=None)
        lines = ",\n".join("\t\t" + json.dumps(case) for case in self.cases)
        text = '{\n\t"about": ' + json.dumps(self.about) + ',\n\t"cases": [\n' + lines + "\n\t]\n}\n"
        (FOLDER / f"{self.name}.json").write_text(text)
        print(self.name, len(self.cases))


def row(*values, dtype=np.int64):
    return np.array([values], dtype=dtype)


# ── scipy.signal ────────────────────────────────────────────────────────────────────────────────────────────────────

def signal_cases():
    f = File("scipy-signal", "scipy.signal.convolve2d and convolve: full, same and valid; fill, wrap and symm")
    a = np.array([[1, 2, 3], [3, 4, 5]])
    b = np.array([[2, 3, 4], [4, 5, 6]])

    def conv(name, reason, x, h, mode="full", boundary="fill", fill=0, **more):
        expected = signal.convolve2d(x, h, mode, boundary, fill)
        options = {"mode": mode, "boundary": SIGNAL[boundary]} | more
        if boundary == "fill" and fill != 0:
            options["value"] = value(x.dtype.type(fill))
        if expected.dtype != x.dtype:
            options["outputDtype"] = expected.dtype.name
        f.add(name, reason, "convolve", x, h, options, expected)

    conv("basic 1-D full", "a known polynomial product", row(3, 4, 5, 6, 5, 4), row(1, 2, 3))
    conv("1-D same, even kernel", "same starts (K-1)//2 into full", row(3, 4, 5), row(1, 2, 3, 4), "same")
    conv("1-D same, odd kernel", "same starts (K-1)//2 into full", row(3, 4, 5), row(1, 2, 3), "same")
    for dtype in (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64, np.float32, np.float64):
        conv(f"2-D full {np.dtype(dtype).name}", "same answer in every dtype that holds it", a.astype(dtype), b.astype(dtype))
    conv("2-D valid, one row", "kernel as high as the image", np.array([[1, 2, 3, 4, 5, 6, 7], [3, 4, 5, 6, 7, 8, 9]]), np.array([[1, 2, 3], [3, 4, 5]]), "valid")
    conv("fill value 1", "the constant outside is seen by every border pixel", a, b, "full", "fill", 1)
    conv("fill value 1, same", "", a, b, "same", "fill", 1)
    conv("fill value -3, 3x4 kernel", "negative constant, even width", a, np.arange(12).reshape(3, 4) - 4, "full", "fill", -3)
    for boundary in ("wrap", "symm"):
        for mode in ("full", "same"):
            conv(f"{boundary} {mode} 2x3 by 2x3", "borders of both axes, even height", a, b, mode, boundary)
    x = row(2, -1, 3, 4)
    ones = np.ones((1, 21), np.int64)
    for boundary in ("symm", "wrap", "fill"):
        for mode in ("same", "full"):
            conv(f"{boundary} {mode}, kernel five times the image", "the extension is periodic, not clamped after one period", x, ones, mode, boundary)
    rng = np.random.default_rng(398)
    big = rng.integers(-9, 10, (10, 10))
    conv("wrap same 10x3 by 10x10", "kernel as large as the image and larger", rng.integers(-9, 10, (10, 3)), big, "same", "wrap")
    conv("wrap full 3x3 by 6x6", "kernel twice the image", rng.integers(-9, 10, (3, 3)), rng.integers(-9, 10, (6, 6)), "full", "wrap")
    conv("symm full 3x4 by 8x11", "kernel more than twice the image", rng.integers(-9, 10, (3, 4)), rng.integers(-9, 10, (8, 11)), "full", "symm")
    conv("same, kernel larger than the image", "same keeps the image's size, not the larger one's", np.array([[1, 2, 3], [3, 4, 5]]), np.array([[2, 3, 4, 5], [4, 5, 6, 7], [6, 7, 8, 9]]), "same")
    for boundary in ("fill", "wrap", "symm"):
        for mode in ("full", "same", "valid"):
            for shape in ((1, 1), (2, 2), (3, 2), (4, 5)):
                conv(f"random {mode} {boundary} {shape[0]}x{shape[1]}", "odd and even sides", rng.integers(-50, 50, (6, 7)), rng.integers(-9, 10, shape), mode, boundary)
    with np.errstate(over="ignore"):
        for dtype in (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64):
            info = np.iinfo(dtype)
            image = rng.integers(info.min, info.max, (4, 5), dtype=dtype, endpoint=True)
            kernel = rng.integers(info.min, info.max, (3, 2), dtype=dtype, endpoint=True)
            conv(f"overflow wraps {np.dtype(dtype).name}", "NumPy's modular arithmetic, bit for bit", image, kernel, "full", "fill", 0, overflow="wrap")
    for k in range(0, 31):
        f.add(f"2^{k} times 2^{k}", "large exact integers", "convolve", row(2**k), row(2**k), {}, signal.convolve(row(2**k), row(2**k), method="direct"))
    for mode in ("full", "same", "valid"):
        expected = signal.correlate(row(3, 4, 5, 6, 5, 4), row(1, -2, 3, 7), mode, method="direct")
        f.add(f"correlate {mode}, even kernel", "N-D correlate centres on K//2", "correlate", row(3, 4, 5, 6, 5, 4), row(1, -2, 3, 7), {"mode": mode}, expected)
    x = row(1, 2, 3, 4)
    h = row(1, 10)
    f.add("correlate2d's own centre", "correlate2d centres on (K-1)//2, unlike correlate", "correlate", x, h, {"mode": "same", "anchor": [0, 0]}, signal.correlate2d(x, h, "same"))
    f.add("even kernel, convolve2d", "the same call, four answers elsewhere", "convolve", x, h, {"mode": "same"}, signal.convolve2d(x, h, "same"))
    f.add("even kernel, correlate", "the same call, four answers elsewhere", "correlate", x, h, {"mode": "same"}, signal.correlate(x, h, "same"))
    f.write()


# ── scipy.ndimage ───────────────────────────────────────────────────────────────────────────────────────────────────

def ndimage_cases():
    f = File("scipy-ndimage", "scipy.ndimage.correlate and convolve: same size; five boundaries; origins as anchors")

    def both(name, reason, x, h, mode="reflect", cval=0, origin=(0, 0), outputDtype=None, **more):
        for operation, run in (("correlate", ndimage.correlate), ("convolve", ndimage.convolve)):
            expected = run(x, h, mode=mode, cval=cval, origin=origin, output=outputDtype or x.dtype)
            # c = K//2 + origin for correlate, s = K//2 + origin for convolve
            anchor = [k // 2 + o for k, o in zip(h.shape, origin)]
            options = {"mode": "same", "boundary": NDIMAGE[mode], "anchor": anchor} | more
            if cval:
                options["value"] = cval
            if outputDtype is not None:
                options["outputDtype"] = np.dtype(outputDtype).name
            f.add(f"{operation}: {name}", reason, operation, x, h, options, expected)

    both("1x2 by 1x1", "one tap", row(1, 2), row(2))
    both("1x2 by 1x2", "even kernel: K//2 on both sides", row(1, 2), row(1, 1))
    both("1x3 by 1x2", "even kernel, shifted result", row(1, 2, 3), row(1, 1))
    both("1x3 by 1x3", "sum of neighbours", row(1, 2, 3), row(1, 1, 1))
    both("1x3 by 1x3, ramp", "unequal taps tell convolve from correlate", row(1, 2, 3), row(1, 2, 3))
    both("1x3 by 1x3, derivative", "negative taps", row(1, 2, 3), row(1, 0, -1))
    a = np.array([[1, 2, 3], [4, 5, 6]])
    both("2x3 by 2x2 ones", "even kernel on both axes", a, np.ones((2, 2), np.int64))
    both("2x3 by 2x2 diagonal", "even kernel on both axes, unequal taps", a, np.array([[1, 0], [0, 1]]))
    halves = np.array([[0.5, 0], [0, 0.5]])
    for dtype in (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.float32, np.float64):
        for output in (np.float32, np.float64):
            both(f"half weights {np.dtype(dtype).name} to {np.dtype(output).name}", "integer image, float kernel, float output", a.astype(dtype), halves, outputDtype=output)
    for dtype in (np.uint8, np.int16, np.int32):
        both(f"half weights {np.dtype(dtype).name}, truncated", "a float sum truncates toward zero in ndimage", (a - 3 if dtype != np.uint8 else a).astype(dtype), halves, rounding="truncate")
    for origin in ((0, -1), (0, 0), (0, 1)):
        both(f"origin {origin[1]}", "the anchor moves the result, not the kernel", row(1, 2, 3), row(1, 1, 1), origin=origin)
        both(f"origin {origin[1]}, unequal taps", "the anchor moves the result, not the kernel", row(1, 2, 3, 5), row(1, 10, 100), origin=origin)
    both("origin -1, -1", "anchor on both axes", a, np.array([[1, 2], [3, 4]]), origin=(-1, -1))
    both("origin -1, 0", "anchor on one axis", a, np.array([[1, 2], [3, 4]]), origin=(-1, 0))
    both("wrap, column kernel", "rows wrap", np.array([[1, 2, 3], [2, 4, 6]]), np.array([[1], [2], [1]]), "wrap")
    both("mirror, one pixel", "a single pixel mirrors onto itself", row(5), np.ones((3, 3), np.int64) , "mirror")
    for mode in NDIMAGE:
        for n in (1, 2, 3, 5):
            for at in (0, 4, 8):
                delta = np.zeros((1, 9), np.int64)
                delta[0, at] = 1
                both(f"{mode}, {n} pixels, tap {at} of 9", "K much larger than N: which pixel does a far position show", row(*range(1, n + 1)), delta, mode, 0 if mode != "constant" else 7)
        delta = np.zeros((9, 9), np.int64)
        delta[0, 8] = 1
        delta[8, 1] = 10
        both(f"{mode}, 3x2, far corners", "both axes extend at once", np.arange(1, 7).reshape(3, 2), delta, mode, 0 if mode != "constant" else -2)
    rng = np.random.default_rng(2259)
    for first in NDIMAGE:
        for second in NDIMAGE:
            # ndimage.convolve takes one mode; pad each axis by its own rule and keep the valid part
            image = rng.integers(-9, 10, (3, 4))
            kernel = rng.integers(-9, 10, (5, 7))
            pad = {"constant": "constant", "nearest": "edge", "reflect": "symmetric", "mirror": "reflect", "wrap": "wrap"}
            padded = image
            # a constant outside on one axis wins wherever that axis is outside: pad the other axis first
            order = [1, 0] if first == "constant" else [0, 1]
            for axis in order:
                mode = pad[(first, second)[axis]]
                widths = [(0, 0), (0, 0)]
                widths[axis] = [(4, 4), (6, 6)][axis]
                padded = np.pad(padded, widths, mode, **({"constant_values": 5} if mode == "constant" else {}))
            expected = signal.convolve2d(padded, kernel, "valid")
            options = {"mode": "full", "boundary": [NDIMAGE[first], NDIMAGE[second]], "value": "5"}
            f.add(f"full, rows {first}, columns {second}", "a boundary for each axis", "convolve", image, kernel, options, expected)
    f.write()


# ── the tutorial's function ─────────────────────────────────────────────────────────────────────────────────────────

def naive_cases(page):
    text = pathlib.Path(page).read_text()
    lines = re.search(r"^( +)def naive_convolve.*?^\1    return h$", text, re.M | re.S)
    body = "\n".join(line[len(lines.group(1)):] for line in lines.group(0).split("\n"))
    scope = {"np": np}
    exec(body, scope)
    naive = scope["naive_convolve"]
    f = File("naive", "the tutorial's naive_convolve, run on NumPy 2: full size, the image's dtype, modular integers, truncation")
    rng = np.random.default_rng(20141113)

    def add(name, reason, image, kernel):
        with np.errstate(all="ignore"):
            f.add(name, reason, "naive", image, kernel, {}, naive(image, kernel))

    add("the post's own call", "the last lines of the page", np.array([[1, 1, 1]]), np.array([[1], [2], [1]]))
    for dtype in (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64):
        info = np.iinfo(dtype)
        for shape, sides in (((3, 4), (3, 3)), ((1, 5), (3, 1)), ((2, 2), (5, 3))):
            image = rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
            kernel = rng.integers(info.min, info.max, sides, dtype=dtype, endpoint=True)
            add(f"{np.dtype(dtype).name} {shape[0]}x{shape[1]} by {sides[0]}x{sides[1]}", "integers wrap modulo 2^n", image, kernel)
    for dtype in (np.float32, np.float64):
        image = rng.integers(-20, 20, (4, 3)).astype(dtype) / 4
        kernel = rng.integers(-20, 20, (3, 5)).astype(dtype) / 8
        add(f"{np.dtype(dtype).name}, exact sums", "quarters times eighths: every partial sum is representable", image, kernel)
    add("float16, exact sums", "small integers: no rounding in either arithmetic", rng.integers(-5, 6, (3, 3)).astype(np.float16), rng.integers(-3, 4, (3, 3)).astype(np.float16))
    add("uint8 by float64", "a float sum is truncated toward zero, not rounded", np.array([[10, 11, 12]], np.uint8), np.array([[0.25], [0.5], [0.25]]))
    add("int16 by float64, negative", "toward zero from below, too", np.array([[-7, 5, 9]], np.int16), np.array([[0.5, -0.75, 0.25]]))
    add("uint8 by int8", "the sum wraps in the image's dtype", np.array([[200, 3]], np.uint8), np.array([[-1, 0, 2]], np.int8))
    f.write()


signal_cases()
ndimage_cases()
if len(sys.argv) > 1:
    naive_cases(sys.argv[1])
