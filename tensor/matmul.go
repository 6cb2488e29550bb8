package tensor

import (
	"fmt"
	"slices"

	"github.com/subquad/subquad/internal/kernel/gemm"
)

// MatMul is the matrix product a·b over the last two axes: a is […, m, k]; b
// is [k, n], for all of a's leading axes, or […, k, n] with the same ones.
func MatMul(a, b *Tensor) *Tensor { return matmul("MatMul", a, b, false, gemm.After{}) }

// MatMulT is a·bᵀ: a is […, m, k]; b is [n, k], as a Linear layer's weight is
// held, or […, n, k] with a's leading axes. A two-axis b may be of any type, and
// gets no gradient unless it is F32.
func MatMulT(a, b *Tensor) *Tensor { return matmul("MatMulT", a, b, true, gemm.After{}) }

// product is the geometry of count products of m×k by k×n.
type product struct {
	count, m, n, k int
	trans          bool // b is stored n×k
	lda, ldb       int
	sa, sb         int // from one product's operand to the next
}

// matmul leaves what comes after the product to its kernels; only a product with a
// weight, which is not recorded, has such.
func matmul(op string, a, b *Tensor, trans bool, after gemm.After) *Tensor {
	if a.rank < 1 || b.rank < 2 || (b.rank > 2 && a.rank != b.rank) {
		panic(&ShapeError{Op: op, Arg: "b", Got: slices.Clone(b.Shape()), Want: fmt.Sprintf("two axes, or as many as a, which is %v", a.Shape())})
	}
	p := product{count: 1, k: a.Dim(-1), trans: trans}
	kb := -2
	p.n = b.Dim(-1)
	if trans {
		kb = -1
		p.n = b.Dim(-2)
	}
	if b.Dim(kb) != p.k {
		panic(&ShapeError{Op: op, Arg: "b", Got: slices.Clone(b.Shape()), Want: fmt.Sprintf("an inner axis of %d, as a has: %v", p.k, a.Shape())})
	}
	var shape [MaxRank]int
	copy(shape[:], a.Shape())
	shape[a.rank-1] = p.n
	if b.rank == 2 {
		p.m = 1
		for _, d := range a.shape[:a.rank-1] {
			p.m *= d
		}
	} else {
		p.m = a.Dim(-2)
		for i := range a.rank - 2 {
			if a.shape[i] != b.shape[i] {
				panic(&ShapeError{Op: op, Arg: "b", Got: slices.Clone(b.Shape()), Want: fmt.Sprintf("the leading axes of a, %v", a.Shape())})
			}
			p.count *= a.shape[i]
		}
	}
	y := Out(op, shape[:a.rank], a, b)
	if y.IsFloat64() {
		y.SetValues64(p.plain(a.Values64(), b.Values64()))
		return y
	}
	if b.rank == 2 {
		a = Compact(a)
		_, _, _, p.lda, _ = a.Rows()
	} else {
		a, b = Contiguous(a), Contiguous(b)
		p.lda, p.sa, p.sb = p.k, p.m*p.k, p.n*p.k
	}
	if b.data != nil {
		p.ldb = b.stride[b.rank-2]
	}
	workers, how := y.scope.Workers(), gemm.How{Precision: y.scope.precision(), After: after}
	switch {
	case y.Len() == 0:
	case p.k == 0:
		clear(y.data)
	case b.bits != nil && trans && b.rank == 2 && b.DType() == BF16:
		how.MulBF16(workers, false, false, p.m, p.n, p.k, a.data, p.lda, b.bits, p.k, y.data, p.n)
	case b.bits != nil && trans && b.rank == 2:
		how.MulF16(workers, false, false, p.m, p.n, p.k, a.data, p.lda, b.bits, p.k, y.data, p.n)
	case b.panels && trans && b.rank == 2 && b.stride[0] == p.k:
		how.MulPanels(workers, false, b.dtype.quant(), p.m, p.n, p.k, a.data, p.lda, b.blocks, b.off/p.k, y.data, p.n)
	case b.blocks != nil && trans && b.rank == 2 && b.stride[0] == p.k:
		numbers, size := b.dtype.quant().Block()
		how.MulQuant(workers, false, b.dtype.quant(), p.m, p.n, p.k, a.data, p.lda, b.blocks[b.off/numbers*size:], y.data, p.n)
	case b.data == nil:
		panic(&ShapeError{Op: op, Arg: "b", Got: slices.Clone(b.Shape()), Want: fmt.Sprintf("a weight of type %v only as the two-axis b of MatMulT", b.dtype)})
	case p.count == 1:
		how.Mul(workers, false, false, trans, p.m, p.n, p.k, a.data, p.lda, b.data, p.ldb, y.data, p.n)
	default:
		how.MulBatch(workers, p.count, false, false, trans, p.m, p.n, p.k, a.data, p.lda, p.sa, b.data, p.ldb, p.sb, y.data, p.n, p.m*p.n)
	}
	if y.Recording() {
		p.record(y, a, b)
	}
	return y
}

// record registers dA = dY·Bᵀ (or dY·B) and dB = Aᵀ·dY (or dYᵀ·A).
func (p product) record(y, a, b *Tensor) {
	workers, how := y.scope.Workers(), gemm.How{Precision: y.scope.precision()}
	OnBackward(func() {
		if y.Len() == 0 || p.k == 0 {
			return
		}
		dy := y.Grad().data
		if a.NeedsGrad() {
			g := a.Grad()
			if b.data == nil {
				wide := make([]float32, p.n*p.k)
				for i := range p.n {
					b.widen(i*b.stride[0], wide[i*p.k:][:p.k])
				}
				how.Mul(workers, true, false, false, p.m, p.k, p.n, dy, p.n, wide, p.k, g.data, p.lda)
			} else {
				how.MulBatch(workers, p.count, true, false, !p.trans, p.m, p.k, p.n, dy, p.n, p.m*p.n, b.data, p.ldb, p.sb, g.data, p.lda, p.sa)
			}
		}
		if b.NeedsGrad() {
			g := b.Grad()
			if p.trans {
				how.MulBatch(workers, p.count, true, true, false, p.n, p.k, p.m, dy, p.n, p.m*p.n, a.data, p.lda, p.sa, g.data, p.ldb, p.sb)
			} else {
				how.MulBatch(workers, p.count, true, true, false, p.k, p.n, p.m, a.data, p.lda, p.sa, dy, p.n, p.m*p.n, g.data, p.ldb, p.sb)
			}
		}
	}, y)
}

// plain is the definition, on contiguous operands.
func (p product) plain(a, b []float64) []float64 {
	y := make([]float64, p.count*p.m*p.n)
	for c := range p.count {
		for i := range p.m {
			row := a[(c*p.m+i)*p.k:][:p.k]
			for j := range p.n {
				s := 0.0
				for l, v := range row {
					if p.trans {
						s += v * b[(c*p.n+j)*p.k+l]
					} else {
						s += v * b[(c*p.k+l)*p.n+j]
					}
				}
				y[(c*p.m+i)*p.n+j] = s
			}
		}
	}
	return y
}
