package scan_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/subquad/subquad/internal/gradcheck"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// million are the tokens of the tests below and of a call; short tests have fewer of both.
func million() (tokens, piece int) {
	if testing.Short() {
		return 40_000, 2000
	}
	return 1_000_000, 50_000
}

// A million tokens, fed in pieces: the state stays finite, and is that of the
// recurrence in float64.
func TestMillionTokens(t *testing.T) {
	const K, V = 2, 4
	T, piece := million()
	for _, c := range []struct {
		name  string
		decay float64 // of a token; 1 keeps everything
		rank1 bool
		tol   float64
	}{
		{"keeps everything", 1, false, 1e-4},   // sums of a million terms lose digits of the first ones
		{"long memory", 1 - 1e-5, false, 3e-3}, // e^g is rounded to float32: see the package's page
		{"short memory", 0.9, false, 1e-6},
		{"delta rule", 1, true, 1e-6},
	} {
		r := noise{rand.New(rand.NewPCG(8, 8))}
		st := tensor.NewState("test", 1).Add("s", tensor.New(1, 1, K, V))
		s := tensor.NewScope(tensor.Workers(1))
		want := make([]float64, K*V)
		var got []float64
		for lo := 0; lo < T; lo += piece {
			s.Reset()
			q, k, v := r.normal(1, 1, piece, 1, K), r.normal(1, 1, piece, 1, K), r.normal(1, 1, piece, 1, V)
			in := scan.MatrixInput{Q: q, K: k, V: v}
			g := tensor.New(1, piece, 1)
			for i := range g.Data() {
				g.Data()[i] = float32(math.Log(c.decay))
			}
			in.LogDecay = g
			if c.rank1 {
				k = tensor.L2Norm(k, 1e-6)
				in.K, in.A, in.B = k, tensor.Neg(k), k
			}
			got = scan.Matrix(in, st.Part(0)).Float64s()
			d := math.Exp(float64(float32(math.Log(c.decay))))
			for x := range piece {
				var z [V]float64
				for i := range K {
					for j := range V {
						if c.rank1 {
							z[j] -= float64(k.Data()[x*K+i]) * want[i*V+j]
						}
					}
				}
				for i := range K {
					kk := float64(k.Data()[x*K+i])
					for j := range V {
						want[i*V+j] = d*want[i*V+j] + kk*(z[j]+float64(v.Data()[x*V+j]))
					}
				}
			}
		}
		if e := gradcheck.Difference(st.Part(0).Value.Float64s(), want); !(e <= c.tol) {
			t.Errorf("%s: the state is off by %.2g, tolerance %g", c.name, e, c.tol)
		} else {
			t.Logf("%s: %.1e", c.name, e)
		}
		for i, v := range got {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Fatalf("%s: output %d of the last piece is %v", c.name, i, v)
			}
		}
	}
}

// A million tokens of the other recurrences, with factors that keep almost
// everything: states are those of float64, which rounds nothing to speak of.
func TestMillionTokensOfOthers(t *testing.T) {
	T, piece := million()
	r := noise{rand.New(rand.NewPCG(8, 9))}
	s := tensor.NewScope(tensor.Workers(1))
	part := func(shape ...int) *tensor.Part {
		return tensor.NewState("test", 1).Add("s", tensor.New(shape...)).Part(0)
	}
	// run feeds pieces of x [1, piece, width] and compares the parts with what each token made of want.
	run := func(name string, width int, tol float64, parts []*tensor.Part, want []float64, call func(x *tensor.Tensor), token func(x []float32)) {
		for lo := 0; lo < T; lo += piece {
			s.Reset()
			x := r.normal(1, 1, piece, width)
			call(tensor.Enter(s, x))
			for i := range piece {
				token(x.Data()[i*width:][:width])
			}
		}
		var got []float64
		for _, p := range parts {
			got = append(got, p.Value.Float64s()...)
		}
		if e := gradcheck.Difference(got, want); !(e <= tol) {
			t.Errorf("%s: the state is off by %.2g, tolerance %g", name, e, tol)
		} else {
			t.Logf("%s: %.1e", name, e)
		}
	}
	each := func(x *tensor.Tensor, i int) *tensor.Tensor { return x.Narrow(2, i, i+1) }

	// x and B of one channel with two states: one keeps for 1e5 tokens, one for 100.
	h, step := make([]float64, 2), float32(1e-3)
	A, p := tensor.From([]float32{-1e-2, -10}, 1, 2), part(1, 2, 1)
	dt := r.uniform(1, 1, 1, piece, 1)
	for i := range dt.Data() {
		dt.Data()[i] = step
	}
	run("Selective", 3, 3e-3, []*tensor.Part{p}, h, func(x *tensor.Tensor) {
		scan.Selective(each(x, 0), dt, A, x.Narrow(2, 1, 3), x.Narrow(2, 1, 3), nil, p)
	}, func(x []float32) {
		for n := range h {
			h[n] = math.Exp(float64(step)*float64(A.Data()[n]))*h[n] + float64(step)*float64(x[0])*float64(x[1+n])
		}
	})

	a := []float32{1, 1 - 1e-5, -1 + 1e-5}
	keep, p2 := tensor.New(1, piece, 3), part(1, 3)
	for i := range keep.Data() {
		keep.Data()[i] = a[i%3]
	}
	h2 := make([]float64, 3)
	run("Diagonal", 3, 1e-4, []*tensor.Part{p2}, h2, func(x *tensor.Tensor) { scan.Diagonal(tensor.Enter(s, keep), x, p2) }, func(x []float32) {
		for i := range h2 {
			h2[i] = float64(a[i])*h2[i] + float64(x[i])
		}
	})

	// Two modes that turn, just within the unit circle.
	z := make([]complex128, 2)
	lambda := tensor.New(2, 2, 1)
	for i, angle := range []float64{0.01, 2} {
		sin, cos := math.Sincos(angle)
		lambda.Data()[i], lambda.Data()[2+i] = float32((1-1e-5)*cos), float32((1-1e-5)*sin)
	}
	one := tensor.From([]float32{1, 1, 0, 0}, 2, 2, 1)
	re, im := part(1, 2, 1), part(1, 2, 1)
	h3 := make([]float64, 4)
	run("ComplexDiagonal", 1, 1e-4, []*tensor.Part{re, im}, h3, func(x *tensor.Tensor) { scan.ComplexDiagonal(x, lambda, one, one, nil, re, im) }, func(x []float32) {
		for n := range z {
			z[n] = complex(float64(lambda.Data()[n]), float64(lambda.Data()[2+n]))*z[n] + complex(float64(x[0]), 0)
			h3[n], h3[2+n] = real(z[n]), imag(z[n])
		}
	})

	// Averages over 1e5 tokens, of keys that grow: num/den, whatever the shift.
	w, u := tensor.From([]float32{-1e-5}, 1), tensor.From([]float32{0}, 1)
	num, den, top := part(1, 1), part(1, 1), part(1, 1)
	top.Value.Data()[0] = -1e38
	var n64, d64 float64
	mean := make([]float64, 1)
	ratio := part(1, 1)
	run("WKV4", 2, 1e-3, []*tensor.Part{ratio}, mean, func(x *tensor.Tensor) {
		scan.WKV4(w, u, each(x, 0), each(x, 1), num, den, top)
		ratio.Value.Data()[0] = num.Value.Data()[0] / den.Value.Data()[0]
	}, func(x []float32) {
		d, e := math.Exp(float64(w.Data()[0])), math.Exp(float64(x[0]))
		n64, d64 = d*n64+e*float64(x[1]), d*d64+e
		mean[0] = n64 / d64
	})
}

// What float32 has room for, as the package's page says: products over chunks
// multiply keys by up to e^60, the recurrence does not.
func TestEdges(t *testing.T) {
	const T, K, V = 64, 2, 3
	r := noise{rand.New(rand.NewPCG(9, 9))}
	run := func(size float64, mode scan.Mode) float64 {
		in := scan.MatrixInput{Q: r.normal(1, 1, T, 1, K), K: r.normal(size, 1, T, 1, K), V: r.normal(1, 1, T, 1, V), LogDecay: r.uniform(-0.9, -0.9, 1, T, 1), Mode: mode, ChunkSize: T}
		call := func(s *tensor.Scope) []float64 {
			p := in
			p.Q, p.K, p.V, p.LogDecay = tensor.Enter(s, in.Q), tensor.Enter(s, in.K), tensor.Enter(s, in.V), tensor.Enter(s, in.LogDecay)
			return scan.Matrix(p, nil).Float64s()
		}
		return gradcheck.Difference(call(tensor.NewScope()), call(tensor.NewScope(tensor.Float64())))
	}
	eachLevel(t, func(t *testing.T) {
		for _, c := range []struct {
			size  float64
			mode  scan.Mode
			right bool
		}{{1e30, scan.Recurrent, true}, {1e10, scan.Chunked, true}, {1e18, scan.Chunked, false}} {
			if e := run(c.size, c.mode); (e <= 5e-6) != c.right {
				t.Errorf("keys of %g, %v: off by %.2g", c.size, c.mode, e)
			}
		}
	})
}
