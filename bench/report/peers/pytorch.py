# Microseconds of work in PyTorch, into buffers that are reused where its
# functions take them. Lines are "work microseconds"; the first is "version TEXT".
import ctypes
import os
import sys
import time

# An OpenBLAS that is older than the processor takes it for a Prescott: ask for its best kernels.
if "OPENBLAS_CORETYPE" not in os.environ:
    try:
        core = ctypes.CDLL("libopenblas.so.0").openblas_get_corename
        core.restype = ctypes.c_char_p
        with open("/proc/cpuinfo") as info:
            if core() == b"Prescott" and " avx512f " in info.read():
                os.environ["OPENBLAS_CORETYPE"] = "SkylakeX"
                os.execv(sys.executable, [sys.executable] + sys.argv)
    except (OSError, AttributeError):
        pass

import torch
import torch.nn.functional as F

torch.set_num_threads(int(sys.argv[1]))
print("version", torch.__version__)


def measure(work, f):
    least, start, rounds = 1e30, time.perf_counter(), 0
    while rounds < 1 or time.perf_counter() - start < 0.2:
        t = time.perf_counter()
        f()  # the first time warms up too, but counts where one is enough
        least = min(least, time.perf_counter() - t)
        rounds += 1
    print(work, "%.3f" % (least * 1e6), flush=True)


def product(name, kind, m, n, k):
    a, b, c = torch.randn(m, k).to(kind), torch.randn(n, k).to(kind), torch.empty(m, n, dtype=kind)
    measure("matmul-%s-%dx%dx%d" % (name, m, n, k), lambda: torch.matmul(a, b.t(), out=c))


def attention(n):
    q, k, v = (torch.randn(1, 8, n, 64) for _ in range(3))
    if hasattr(F, "scaled_dot_product_attention"):
        f = lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True)
    else:  # before 2.0
        f = lambda: F._scaled_dot_product_attention(q, k, v, is_causal=True)
    measure("attention-%d" % n, f)


def convolution(n):
    u, k = torch.randn(64, n), torch.fft.rfft(torch.randn(64, n), n=2 * n)
    spectrum, y = torch.empty(64, n + 1, dtype=torch.complex64), torch.empty(64, 2 * n)

    def f():
        torch.fft.rfft(u, n=2 * n, out=spectrum)
        torch.mul(spectrum, k, out=spectrum)
        torch.fft.irfft(spectrum, n=2 * n, out=y)

    measure("conv-%d" % n, f)


with torch.no_grad():
    product("f32", torch.float32, 512, 3072, 768)
    product("f32", torch.float32, 1024, 1024, 1024)
    product("bf16", torch.bfloat16, 512, 3072, 768)
    product("bf16", torch.bfloat16, 1024, 1024, 1024)
    attention(1024)
    attention(4096)
    convolution(4096)
    convolution(65536)
