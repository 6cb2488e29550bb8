package rec

import (
	"fmt"
	"testing"
)

// matrix64 is the recurrence in float64 on packed operands.
type matrix64 struct {
	T, K, V                 int
	s, q, k, d, a, b, v     []float64
	scalar, before, rankOne bool
}

func (m *matrix64) run() (o, s []float64) {
	s, o = clone(m.s), make([]float64, m.T*m.V)
	z := make([]float64, m.V)
	for t := range m.T {
		clear(z)
		for i := range m.K {
			for j := range m.V {
				if m.rankOne {
					z[j] += s[i*m.V+j] * m.a[t*m.K+i]
				}
				if m.before {
					o[t*m.V+j] += s[i*m.V+j] * m.q[t*m.K+i]
				}
			}
		}
		for i := range m.K {
			d, b := 1.0, 0.0
			if m.d != nil {
				if m.scalar {
					d = m.d[t]
				} else {
					d = m.d[t*m.K+i]
				}
			}
			if m.rankOne {
				b = m.b[t*m.K+i]
			}
			for j := range m.V {
				x := d*s[i*m.V+j] + b*z[j] + m.k[t*m.K+i]*m.v[t*m.V+j]
				s[i*m.V+j] = x
				if !m.before {
					o[t*m.V+j] += x * m.q[t*m.K+i]
				}
			}
		}
	}
	return o, s
}

// matrixCase draws operands; pad is added to every stride.
func matrixCase(r source, T, K, V, decay int, rankOne, before bool, pad int) (*MatrixArgs, *matrix64) {
	kk := 1.0 / float64(max(K, 1))
	a := &MatrixArgs{T: T, K: K, V: V, SStride: V + pad, QStride: K + pad, KStride: K + pad, AStride: K + pad, BStride: K + pad,
		VStride: V + pad, OStride: V + pad, ReadBefore: before, DScalar: decay == 1}
	a.S = r.normal(K*(V+pad), 1)
	a.Q, a.Kk = r.normal(T*(K+pad), 1), r.normal(T*(K+pad), 1)
	a.Vv = r.normal(T*(V+pad), 1)
	m := &matrix64{T: T, K: K, V: V, rankOne: rankOne, before: before, scalar: decay == 1}
	switch decay {
	case 1:
		a.DStride = 1 + pad
		a.D = r.uniform(T*a.DStride, 0.5, 1)
		m.d = wide(gather(a.D, T, a.DStride, 1))
	case 2:
		a.DStride = K + pad
		a.D = r.uniform(T*a.DStride, 0.5, 1)
		m.d = wide(gather(a.D, T, a.DStride, K))
	}
	if rankOne {
		a.A, a.B = r.normal(T*(K+pad), 0.5), r.normal(T*(K+pad), kk)
		m.a, m.b = wide(gather(a.A, T, K+pad, K)), wide(gather(a.B, T, K+pad, K))
	}
	m.s, m.q, m.k, m.v = wide(gather(a.S, K, V+pad, V)), wide(gather(a.Q, T, K+pad, K)), wide(gather(a.Kk, T, K+pad, K)), wide(gather(a.Vv, T, V+pad, V))
	return a, m
}

var matrixShapes = [][3]int{{0, 3, 5}, {1, 1, 1}, {2, 3, 2}, {3, 2, 15}, {4, 0, 3}, {5, 5, 16}, {4, 7, 17}, {3, 9, 31}, {6, 8, 33}, {5, 6, 48}, {3, 4, 63}, {9, 64, 64},
	{3, 13, 65}, {3, 3, 79}, {4, 5, 130}, {2, 128, 64}, {7, 17, 7}, {3, 6, 3}, {3, 6, 8}, {3, 6, 12}, {3, 6, 9}}

func TestMatrix(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := newSource(1)
		for _, sh := range matrixShapes {
			for variant := range 12 {
				decay, rankOne, before, pad := variant%3, variant/3%2 == 1, variant/6 == 1, r.IntN(4)
				T, K, V := sh[0], sh[1], sh[2]
				a, m := matrixCase(r, T, K, V, decay, rankOne, before, pad)
				o64, s64 := m.run()
				start := clone(a.S)
				so, oo := newGuarded(len(a.S), r.IntN(3)), newGuarded(T*(V+pad), r.IntN(3))
				for i := range K {
					copy(so.s[i*(V+pad):][:V], a.S[i*(V+pad):])
				}
				a.S, a.O = so.s, oo.s
				Matrix(a)
				oo.check(t, "O", T, V+pad, V)
				so.check(t, "S", K, V+pad, V)
				o, s := gather(a.O, T, V+pad, V), gather(a.S, K, V+pad, V)
				near(t, "matrix output", o, o64, 1e-6)
				near(t, "matrix state", s, s64, 1e-6)

				// Cut in time, in columns, and without output: the same bits.
				b := *a
				b.S, b.O = clone(start), make([]float32, len(a.O))
				for lo := 0; lo < T; {
					n := 1 + r.IntN(T-lo)
					c := b
					c.slice(&b, lo, lo+n)
					c.O = b.O[lo*(V+pad):]
					for j := 0; j < V; {
						w := 1 + r.IntN(V-j)
						e := c
						e.V, e.S, e.O, e.Vv = w, nil, c.O[j:], c.Vv[j:]
						if K > 0 {
							e.S = c.S[j:]
						}
						Matrix(&e)
						j += w
					}
					lo += n
				}
				same(t, "matrix output in pieces", gather(b.O, T, V+pad, V), o)
				same(t, "matrix state in pieces", gather(b.S, K, V+pad, V), s)
				b.S, b.O, b.Q = clone(start), nil, nil
				Matrix(&b)
				same(t, "matrix state alone", gather(b.S, K, V+pad, V), s)
			}
		}
	})
}

func TestMatrixLong(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for variant := range 2 {
			a, m := matrixCase(newSource(3), 300, 64, 64, 2, variant == 1, false, 0)
			o64, s64 := m.run()
			a.O = make([]float32, 300*64)
			Matrix(a)
			near(t, "matrix output, 300 tokens", a.O, o64, 2e-6)
			near(t, "matrix state, 300 tokens", a.S, s64, 2e-6)
			if n := testing.AllocsPerRun(3, func() { Matrix(a) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		}
	})
}

func TestMatrixBackward(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := newSource(2)
		for i, sh := range [][3]int{{0, 2, 2}, {1, 1, 1}, {4, 3, 5}, {5, 6, 17}, {3, 2, 66}, {2, 17, 20}} {
			for variant := range 12 {
				decay, rankOne, before, pad := variant%3, variant/3%2 == 1, variant/6 == 1, (i+variant)%3
				T, K, V := sh[0], sh[1], sh[2]
				a, m := matrixCase(r, T, K, V, decay, rankOne, before, pad)
				dO, dS := r.normal(T*(V+pad), 1), r.normal(K*(V+pad), 1)
				g := &MatrixGrads{O: dO, S: clone(dS), SStride: V + pad, OStride: V + pad, QStride: K + pad, KStride: K + pad, DStride: a.DStride,
					AStride: K + pad, BStride: K + pad, VStride: V + pad, Scratch: make([]float32, MatrixScratch(T, K, V))}
				one := func(n int) []float32 { return make([]float32, n) }
				g.Q, g.K, g.V = one(len(a.Q)), one(len(a.Kk)), one(len(a.Vv))
				if a.D != nil {
					g.D = one(len(a.D))
				}
				if rankOne {
					g.A, g.B = one(len(a.A)), one(len(a.B))
				}
				MatrixBackward(a, g)
				do64, ds64 := wide(gather(dO, T, V+pad, V)), wide(gather(dS, K, V+pad, V))
				loss := func() float64 {
					o, s := m.run()
					return inner(o, do64) + inner(s, ds64)
				}
				names := []string{"S", "Q", "K", "V"}
				ops := [][]float64{m.s, m.q, m.k, m.v}
				grads := [][]float32{gather(g.S, K, V+pad, V), gather(g.Q, T, K+pad, K), gather(g.K, T, K+pad, K), gather(g.V, T, V+pad, V)}
				if a.D != nil {
					w := K
					if decay == 1 {
						w = 1
					}
					names, ops, grads = append(names, "D"), append(ops, m.d), append(grads, gather(g.D, T, a.DStride, w))
				}
				if rankOne {
					names, ops = append(names, "A", "B"), append(ops, m.a, m.b)
					grads = append(grads, gather(g.A, T, K+pad, K), gather(g.B, T, K+pad, K))
				}
				difference(t, loss, names, ops, grads)

				// Gradients add up; those not wanted may be nil; no output gradient.
				h := *g
				h.S = clone(dS)
				h.Q, h.D, h.B, h.A, h.K = nil, nil, nil, nil, nil
				h.V = clone(g.V)
				MatrixBackward(a, &h)
				same(t, "gradient of S alone", h.S, g.S)
				for j := range g.V {
					if d := h.V[j] - 2*g.V[j]; d > 1e-5 || d < -1e-5 {
						t.Fatalf("gradient of V does not add up: %v, %v", h.V[j], g.V[j])
					}
				}
				h.O, h.S, h.V = nil, clone(dS), nil
				MatrixBackward(a, &h)
				for j := range do64 {
					do64[j] = 0
				}
				difference(t, loss, []string{"S without O"}, [][]float64{m.s}, [][]float32{gather(h.S, K, V+pad, V)})
			}
		}
	})
}

func inner(x, y []float64) (s float64) {
	for i := range x {
		s += x[i] * y[i]
	}
	return s
}

func TestMatrixChecks(t *testing.T) {
	a, _ := matrixCase(newSource(1), 3, 4, 5, 2, true, false, 0)
	a.O = make([]float32, 15)
	for name, f := range map[string]func(a *MatrixArgs){
		"S": func(a *MatrixArgs) { a.S = a.S[:19] }, "Q": func(a *MatrixArgs) { a.Q = nil }, "K": func(a *MatrixArgs) { a.Kk = a.Kk[:11] },
		"V": func(a *MatrixArgs) { a.Vv = a.Vv[:14] }, "D": func(a *MatrixArgs) { a.D = a.D[:11] }, "A": func(a *MatrixArgs) { a.A = nil },
		"O": func(a *MatrixArgs) { a.O = a.O[:14] }, "stride": func(a *MatrixArgs) { a.OStride = -5 }, "T": func(a *MatrixArgs) { a.T = -1 },
	} {
		b := *a
		f(&b)
		mustPanic(t, name, func() { Matrix(&b) })
	}
}

func BenchmarkMatrix(b *testing.B) {
	for _, c := range []struct {
		name            string
		K, V, decay     int
		rankOne, before bool
	}{
		{"rwkv7", 64, 64, 2, true, false}, {"mamba2", 128, 64, 1, false, false}, {"rwkv6", 64, 64, 2, false, true}, {"gdn", 128, 128, 1, true, false},
		{"plain", 64, 64, 0, false, false}, {"v16", 64, 16, 2, true, false}, {"v40", 64, 40, 1, false, false}, {"gdn512", 256, 512, 1, true, false},
	} {
		const T = 128
		b.Run(fmt.Sprintf("%s/K=%d/V=%d", c.name, c.K, c.V), func(b *testing.B) {
			a, _ := matrixCase(newSource(1), T, c.K, c.V, c.decay, c.rankOne, c.before, 0)
			for i := range a.B {
				a.B[i] *= 0.1
			}
			a.O = make([]float32, T*c.V)
			benchLevels(b, float64(T*c.K*c.V), func() { Matrix(a) })
		})
	}
	b.Run("decode/K=64/V=64", func(b *testing.B) {
		a, _ := matrixCase(newSource(1), 1, 64, 64, 2, true, false, 0)
		a.O = make([]float32, 64)
		for i := range a.B {
			a.B[i] *= 0.1
		}
		benchLevels(b, 64*64, func() { Matrix(a) })
	})
}

func BenchmarkMatrixBackward(b *testing.B) {
	for _, c := range []struct {
		name    string
		K, V, d int
		rankOne bool
	}{{"rwkv7", 64, 64, 2, true}, {"mamba2", 128, 64, 1, false}} {
		b.Run(c.name, func(b *testing.B) {
			const T = 64
			K, V := c.K, c.V
			a, _ := matrixCase(newSource(1), T, K, V, c.d, c.rankOne, false, 0)
			g := &MatrixGrads{O: make([]float32, T*V), S: make([]float32, K*V), OStride: V, QStride: K, KStride: K, DStride: a.DStride,
				AStride: K, BStride: K, VStride: V, Scratch: make([]float32, MatrixScratch(T, K, V)),
				Q: make([]float32, T*K), K: make([]float32, T*K), V: make([]float32, T*V), D: make([]float32, len(a.D))}
			if c.rankOne {
				g.A, g.B = make([]float32, T*K), make([]float32, T*K)
			}
			benchLevels(b, float64(T*K*V), func() { MatrixBackward(a, g) })
		})
	}
}
