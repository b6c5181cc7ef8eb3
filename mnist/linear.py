"""A linear layer whose sums have one order, whatever the processor and the number of threads.

Floating-point sums round differently in another order (Demmel and Nguyen, "Fast Reproducible Floating-Point Summation",
ARITH 2013), and MKL picks its order by the processor, the shape and the number of threads. So the order is fixed here:

    Start at the bias. Cut the terms into blocks of 192. Add up each block on its own, from 0, in ascending order, by
    fused multiply-adds (the product is not rounded). Add the blocks' sums to the total in ascending order.

`reference` is that order as code. MKL keeps it by itself within a block: an order can be read off a library by what a
sum of large and small numbers loses (FPRev, arXiv 2411.00442). Its kernels for Intel keep it for any shape in MKL's
strict mode, which `numerics.pin` asks for; those for AMD do for up to 192 terms, 4 rows and 64 columns or more.
"""

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK = 192  # terms
LEAST_ROWS, LEAST_COLUMNS = 4, 64  # smaller products have kernels of their own, with an order of their own


class Linear(nn.Linear):
    """`torch.nn.Linear` in one order, on the CPU: the same weights, the same result up to rounding.

    Takes float32 (n, in_features) and returns float32 (n, out_features).
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.device.type != "cpu":
            return super().forward(input)
        output: Tensor = Ordered.apply(input, self.weight, self.bias)
        return output


class Ordered(torch.autograd.Function):
    """x wᵀ + b and its gradients, each product of matrices in the one order; the gradient of b is torch's own sum."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, w)
        return product(x, w.t(), b)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        x, w = ctx.saved_tensors
        of_x = product(gradient, w) if ctx.needs_input_grad[0] else None
        of_b = gradient.sum(0) if ctx.needs_input_grad[2] else None
        return of_x, product(gradient.t(), x), of_b


def product(a: Tensor, b: Tensor, start: Tensor | None = None) -> Tensor:
    """`start` + `a` @ `b` in the one order; float32 (m, k), (k, n), and `start` of a shape that expands to (m, n)."""
    m, k = a.shape
    n = b.shape[1]
    if m < LEAST_ROWS or n < LEAST_COLUMNS:
        return small_product(a, b, start)
    if k <= BLOCK or cut_by_mkl(m, k, n, a.is_contiguous(), b.is_contiguous(), torch.get_num_threads()):
        return torch.mm(a, b) if start is None else torch.addmm(start, a, b)
    return in_blocks(a, b, start)


def in_blocks(a: Tensor, b: Tensor, start: Tensor | None) -> Tensor:
    """`product` of a long sum: one product of matrices for each block."""
    cuts = tuple(range(BLOCK, len(b), BLOCK))
    lefts, rights = a.tensor_split(cuts, 1), b.tensor_split(cuts)
    total = product(lefts[0], rights[0], start)
    for left, right in zip(lefts[1:], rights[1:], strict=True):
        total.addmm_(left, right)
    return total


def small_product(a: Tensor, b: Tensor, start: Tensor | None) -> Tensor:
    """`product` with few columns: as rows, if there are more of those, else among columns and rows of zeros."""
    m, n = len(a), b.shape[1]
    if n < m:
        return product(b.t(), a.t(), None if start is None else start.expand(m, n).t()).t().contiguous()
    down, right = max(0, LEAST_ROWS - m), max(0, LEAST_COLUMNS - n)
    start = None if start is None else F.pad(start.expand(m, n), (0, right, 0, down))
    return product(F.pad(a, (0, 0, 0, down)), F.pad(b, (0, right)), start)[:m, :n]


@functools.cache
def cut_by_mkl(m: int, k: int, n: int, a_is_contiguous: bool, b_is_contiguous: bool, threads: int) -> bool:
    """Whether MKL cuts a sum of k terms into the same blocks by itself, as for AMD: one call then does, a tenth sooner.

    Tried once for each shape, layout and number of threads, on numbers whose sums tell the order.
    """
    del threads  # MKL knows it
    a = whole_numbers(m, k) if a_is_contiguous else whole_numbers(k, m).t()
    b = whole_numbers(k, n) if b_is_contiguous else whole_numbers(n, k).t()
    start = whole_numbers(n)
    return torch.equal(torch.addmm(start, a, b), in_blocks(a, b, start)) and torch.equal(a @ b, in_blocks(a, b, None))


def whole_numbers(*shape: int) -> Tensor:
    """The same random whole numbers below 2¹³ every time, in float32: their products and sums do not fit into one."""
    return torch.randint(-(2**13), 2**13, shape, generator=torch.Generator().manual_seed(0)).float()


def reference(a: Tensor, b: Tensor, start: Tensor | None = None) -> Tensor:
    """What `product` returns, by definition, term by term, for whole numbers below 2¹³ (in float32).

    For those a float64 holds a product and its sum with the total exactly, so that one rounding to float32 is a fused
    multiply-add.
    """
    total = torch.zeros(len(a), b.shape[1]) if start is None else start.expand(len(a), b.shape[1])
    for terms in torch.arange(len(b)).split(BLOCK):
        block = torch.zeros_like(total)
        for k in terms:
            block = (block.double() + a[:, k, None].double() * b[k].double()).float()
        total = total + block
    return total


def keeps_order() -> bool:
    """Whether this machine and this build of torch keep the order: whether `product` is `reference`."""
    a, b, start = whole_numbers(16, 200), whole_numbers(200, 64), whole_numbers(64)
    return torch.equal(product(a, b, start), reference(a, b, start))
