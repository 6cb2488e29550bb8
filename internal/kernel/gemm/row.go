package gemm

import (
	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/vec"
)

// One row of A against a B of k×n is a sum of B's rows. They are read from the first number to the
// last, as fast as memory gives them: blocks of columns are too short pieces of a row for the hardware to
// read ahead in. The whole is cut into sums of neighbouring terms, for workers to take, which are added in order.
const (
	rowTerms = 16      // in one of the sums, at least
	rowSums  = 8       // at most
	rowFew   = 256     // columns that are read in blocks even so
	rowMinN  = 32      // columns from which on
	rowMaxN  = 4096    // and up to which a sum stays in the first-level cache
	rowMinB  = 1 << 14 // numbers of B
)

func (p *product) isRow() bool {
	return p.m == 1 && p.form == formRows && p.n >= rowMinN && p.n <= rowMaxN && p.k >= 2*rowTerms && p.n*p.k >= rowMinB
}

func (p *product) rowSums() int { return min(rowSums, p.k/rowTerms) }

// oneRow computes columns j0…j1 of C.
func (p *product) oneRow(workers, j0, j1 int) {
	n, sums := j1-j0, p.rowSums()
	s := pool.Get().(*scratch)
	y := s.bufA(sums * n)
	if tasks := hw.Tasks(workers, sums, p.ns()/float64(sums)); workers != 1 && tasks > 1 {
		p.rowParallel(workers, tasks, j0, n, y)
	} else {
		for i := range sums {
			p.rowSum(i, j0, y[i*n:][:n])
		}
	}
	c := p.c[j0:j1]
	if p.acc {
		vec.Add(c, c, y[:n])
	} else {
		copy(c, y)
	}
	for i := 1; i < sums; i++ {
		vec.Add(c, c, y[i*n:])
	}
	pool.Put(s)
}

func (p *product) rowParallel(workers, tasks, j0, n int, y []float32) {
	q := *p
	sums := q.rowSums()
	hw.Parallel(workers, tasks, func(t int) {
		lo, hi := hw.Range(t, tasks, sums)
		for i := lo; i < hi; i++ {
			q.rowSum(i, j0, y[i*n:][:n])
		}
	})
}

// rowSum sets y to sum i of the columns from j0 on.
func (p *product) rowSum(i, j0 int, y []float32) {
	lo, hi := hw.Range(i, p.rowSums(), p.k)
	if p.n <= rowFew {
		micro(1, len(y), hi-lo, p.a[lo*p.acs:], p.ars, p.acs, p.b[lo*p.ldb+j0:], p.ldb, y, len(y), false)
		return
	}
	vec.Scale(y, p.b[lo*p.ldb+j0:], p.a[lo*p.acs])
	for l := lo + 1; l < hi; l++ {
		vec.Axpy(y, p.a[l*p.acs], p.b[l*p.ldb+j0:])
	}
}
