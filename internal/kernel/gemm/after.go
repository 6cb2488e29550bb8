package gemm

import "github.com/subquad/subquad/internal/kernel/vec"

// How is the way in which a product is made; its zero value is that of the functions of
// this package.
type How struct {
	Precision Precision
	After     After
}

// After is what happens to C once the product is there, while it is in the cache:
//
//	C = Map(C + Bias) ⊙ Gate + Add
//
// What is nil is left out.
type After struct {
	Bias          []float32 // one for each column
	Map           func(dst, x []float32)
	Gate          []float32 // of C's shape, rows LdGate apart
	Add           []float32 // of C's shape, rows LdAdd apart
	LdGate, LdAdd int
}

func (a *After) any() bool { return a.Bias != nil || a.Map != nil || a.Gate != nil || a.Add != nil }

// check panics where a slice is too short for an m×n matrix.
func (a *After) check(m, n int) {
	short := func(x []float32, ld int) bool { return x != nil && m > 0 && n > 0 && (ld < n || len(x) < (m-1)*ld+n) }
	if a.Bias != nil && len(a.Bias) < n || short(a.Gate, a.LdGate) || short(a.Add, a.LdAdd) {
		panic("gemm: what comes after is shorter than its shape")
	}
}

// finishColumns is how many columns of a block of C are finished at a time: enough for
// vectors, few enough that the block is still in the second-level cache.
const finishColumns = 256

// finish does what comes after to rows i0…i1 and columns j0…j1 of C.
func (p *product) finish(i0, i1, j0, j1 int) {
	a := &p.after
	if !a.any() {
		return
	}
	for i := i0; i < i1; i++ {
		c := p.c[i*p.ldc+j0 : i*p.ldc+j1]
		if a.Bias != nil {
			vec.Add(c, c, a.Bias[j0:j1])
		}
		if a.Map != nil {
			a.Map(c, c)
		}
		if a.Gate != nil {
			vec.Mul(c, c, a.Gate[i*a.LdGate+j0:][:j1-j0])
		}
		if a.Add != nil {
			vec.Add(c, c, a.Add[i*a.LdAdd+j0:][:j1-j0])
		}
	}
}
