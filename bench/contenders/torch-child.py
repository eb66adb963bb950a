"""PyTorch as a contender: one JSON request per line on stdin, one JSON answer per line on stdout.

Times are taken in here, so the pipe costs nothing. Arrays travel as files of raw float32. `cold` measures the import and
the first projection instead.
"""

import json
import sys
import time


def shape_options(p):
    options = dict(stride=p["s"], padding=p["p"], dilation=p["d"], groups=p["g"])
    if p["kind"] == "convTranspose":
        options["output_padding"] = p["op"]
    return options


def read(path):
    with open(path, "rb") as file:
        return bytearray(file.read())


def tensor(torch, raw, shape):
    return torch.frombuffer(raw, dtype=torch.float32).reshape(shape)


def operation(torch, p):
    name = ("conv_transpose" if p["kind"] == "convTranspose" else "conv") + f"{len(p['size'])}d"
    return getattr(torch.nn.functional, name)


def serve():
    import torch

    call = None

    def timed(times):
        begin = time.perf_counter()
        for _ in range(times):
            call()
        return (time.perf_counter() - begin) * 1000 / times

    def prepare(request):
        nonlocal call
        p = request["problem"]
        x, w, g = (tensor(torch, read(request[key]), request["shapes"][key]) for key in "xwg")
        run, options = operation(torch, p), shape_options(p)
        if request["task"] == "forward":

            def forward():
                with torch.no_grad():
                    return (run(x, w, **options),)

            call = forward
        else:
            x.requires_grad_()
            w.requires_grad_()
            y = run(x, w, **options)
            call = lambda: torch.autograd.grad(y, (x, w), g, retain_graph=True)
        # More threads are not always faster here: take the better count, each tried after a warm-up.
        best = (float("inf"), 1)
        for threads in sorted({1, request["threads"]}):
            torch.set_num_threads(threads)
            timed(1)
            best = min(best, (min(timed(1) for _ in range(2)), threads))
        torch.set_num_threads(best[1])
        return {"threads": best[1]}

    def result(request):
        for path, output in zip(request["files"], call()):
            with open(path, "wb") as file:
                file.write(output.contiguous().numpy().tobytes())
        return {}

    handlers = {"prepare": prepare, "result": result, "run": lambda request: {"ms": timed(request["times"])}}
    print(json.dumps({"version": torch.__version__}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(handlers[request["do"]](request)), flush=True)


def cold(request):
    x, w = read(request["x"]), read(request["w"])
    begin = time.perf_counter()
    import torch

    imported = time.perf_counter()
    torch.set_num_threads(request["threads"])
    shapes = request["shapes"]
    p = request["problem"]
    with torch.no_grad():
        operation(torch, p)(tensor(torch, x, shapes["x"]), tensor(torch, w, shapes["w"]), **shape_options(p))
    done = time.perf_counter()
    print(json.dumps({"imported": (imported - begin) * 1000, "ms": (done - begin) * 1000}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        cold(json.loads(sys.argv[1]))
    else:
        serve()
