package scan_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/subquad/subquad/internal/gradcheck"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// A million tokens, fed in pieces: the state stays finite, and is that of the
// recurrence in float64.
func TestMillionTokens(t *testing.T) {
	const T, piece, K, V = 1_000_000, 50_000, 2, 4
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
