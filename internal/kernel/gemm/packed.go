package gemm

import (
	"sync/atomic"

	"github.com/subquad/subquad/hw"
)

// A Packed is a constant B in the micro-kernel's layout, so that products with it
// skip the packing. It keeps the matrix it was made from, which must not change,
// and packs again when hw.Set has chosen another level. It is safe for concurrent use.
type Packed struct {
	n, k int
	b    []float32
	ldb  int
	form form
	data atomic.Pointer[panels]
}

type panels struct {
	level hw.Level
	b     []float32
}

// Pack prepares B, k×n (stored n×k with transB), for MulPacked.
func Pack(transB bool, n, k int, b []float32, ldb int) *Packed {
	check(false, transB, 1, n, k, k, k, len(b), ldb, n, n)
	p := &Packed{n: n, k: k, b: b, ldb: ldb}
	if transB {
		p.form = formCols
	}
	p.panels()
	return p
}

func (p *Packed) panels() []float32 {
	if d := p.data.Load(); d != nil && d.level == level {
		return d.b
	}
	nr, kc := blk.nr, blk.kc
	width := (p.n + nr - 1) / nr * nr
	d := &panels{level: level, b: make([]float32, width*p.k+pad)}
	src := product{n: p.n, k: p.k, b: p.b, ldb: p.ldb, form: p.form}
	for pc := 0; pc < p.k; pc += kc {
		kb := min(kc, p.k-pc)
		for j := 0; j < p.n; j += nr {
			src.packB(d.b[pc*width+j*kb:], j, min(nr, p.n-j), pc, kb)
		}
	}
	p.data.Store(d)
	return d.b
}

// MulPacked computes C = A·B, or C += A·B with acc, for the B that p holds. A is m×k, C is m×n.
// The bits are those of Mul where Mul does not take the path of thin products.
func MulPacked(workers int, acc bool, m int, a []float32, lda int, p *Packed, c []float32, ldc int) {
	check(false, false, m, p.n, p.k, len(a), lda, p.n*p.k, p.n, len(c), ldc)
	q := product{m: m, n: p.n, k: p.k, a: a, ars: lda, acs: 1, form: p.form, c: c, ldc: ldc, acc: acc}
	// With nothing left to pack, dot products win only where a tile has too few sums
	// in flight to hide the latency of adding.
	if q.path() != pathBlocks && m <= 2 {
		q.b, q.ldb = p.b, p.ldb
		q.run(workers)
		return
	}
	q.form, q.b, q.ldb = formPacked, p.panels(), (p.n+blk.nr-1)/blk.nr*blk.nr
	q.run(workers)
}
