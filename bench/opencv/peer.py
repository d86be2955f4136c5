"""OpenCV's side of the comparison: reads one request a line (JSON) and answers with one line.

{"load": path, "dtype": ..., "side": n}      memory-maps the image of the run
{"filter": "dense"|"gaussian"|"box", "k": K, "kernel": path, "kernelDtype": ..., "sigma": s}
                                              chooses what "time" does and writes the result once beside the image
{"time": true}                                one call with the result reused; answers its milliseconds
"""
import json
import sys
import time

import cv2
import numpy as np

cv2.setNumThreads(int(sys.argv[1]))
image = out = call = None


def answer(**values):
    print(json.dumps(values), flush=True)


answer(version=cv2.__version__, threads=cv2.getNumThreads(), optimized=cv2.useOptimized())
for line in sys.stdin:
    request = json.loads(line)
    if "load" in request:
        side = request["side"]
        image = np.fromfile(request["load"], dtype=request["dtype"]).reshape(side, side)
        out = np.zeros_like(image)
        answer(loaded=image.nbytes)
    elif "filter" in request:
        k, sigma, border = request["k"], request["sigma"], cv2.BORDER_REFLECT  # ours: symmetric
        if request["filter"] == "dense":
            kernel = np.fromfile(request["kernel"], dtype=request["kernelDtype"]).reshape(k, k)
            call = lambda: cv2.filter2D(image, -1, kernel, dst=out, borderType=border)
        elif request["filter"] == "gaussian":
            call = lambda: cv2.GaussianBlur(image, (k, k), sigma, dst=out, borderType=border)
        else:
            call = lambda: cv2.blur(image, (k, k), dst=out, borderType=border)
        call().tofile(request["result"])
        answer(written=request["result"])
    else:
        began = time.perf_counter()
        call()
        answer(milliseconds=(time.perf_counter() - began) * 1000)
