package scan_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/gradcheck"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// of is a tensor of values drawn from a list.
func (r noise) of(values []float64, shape ...int) *tensor.Tensor {
	t := tensor.New(shape...)
	for i := range t.Data() {
		t.Data()[i] = float32(values[r.IntN(len(values))])
	}
	return t.Track()
}

var (
	inf = math.Inf(1)

	// Log decays from what keeps all to what keeps nothing, by float32's and
	// exp's last numbers.
	decays = []float64{0, -1e-38, -1e-9, -6e-8, -1e-3, -1, -20, -80, -88, -104, -1e4, -3e38, -inf}
	large  = []float64{-60, 60, -60, 60, 1, 0}
)

// finite reports the first element of a gradient that is none.
func finite(t *testing.T, what string, leaves []*tensor.Tensor) {
	t.Helper()
	for k, l := range leaves {
		for i, v := range l.Grad().Float64s() {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Errorf("%s: element %d of the gradient of leaf %d %v is %v", what, i, k, l.Shape(), v)
				break
			}
		}
	}
}

// gradients are those of Σ f with respect to leaves.
func gradients(leaves []*tensor.Tensor, f gradcheck.Func) (grads [][]float64) {
	for _, l := range leaves {
		l.ZeroGrad()
	}
	s := tensor.NewScope(tensor.Record())
	s.Backward(tensor.SumAll(f(s)))
	for _, l := range leaves {
		grads = append(grads, l.Grad().Float64s())
	}
	return grads
}

// Keys, queries and values of ±60 under decays of every size, in every form.
func TestMatrixExtremes(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := noise{rand.New(rand.NewPCG(6, 6))}
		for _, vector := range []bool{false, true} {
			for _, rank1 := range []bool{false, true} {
				for _, T := range []int{0, 1, 2, 150} {
					in := scan.MatrixInput{Q: r.of(large, B, T, H, K), K: r.of(large, B, T, H, K), V: r.of(large, B, T, H, V)}
					shape := []int{B, T, H, K}
					if !vector {
						shape = shape[:3]
					}
					in.LogDecay = r.of(decays, shape...)
					leaves := []*tensor.Tensor{in.Q, in.K, in.V, in.LogDecay}
					if rank1 { // the delta rule, whose keys are of length 1: others blow up
						unit := tensor.L2Norm(r.normal(1, B, T, H, K), 1e-6)
						in.A, in.B, in.K = tensor.Neg(unit), unit.Clone(), unit.Clone()
						leaves = append(leaves, in.A.Track(), in.B.Track(), in.K.Track())
					}
					var first [][]float64
					for _, form := range []struct {
						mode  scan.Mode
						chunk int
					}{{scan.Recurrent, 0}, {scan.Chunked, 16}, {scan.Chunked, 64}, {scan.Auto, 0}} {
						in.Mode, in.ChunkSize = form.mode, form.chunk
						what := fmt.Sprintf("vector %v, rank one %v, T %d, %v of %d", vector, rank1, T, form.mode, form.chunk)
						f := func(s *tensor.Scope) *tensor.Tensor {
							p := in
							for _, x := range []**tensor.Tensor{&p.Q, &p.K, &p.V, &p.LogDecay, &p.A, &p.B} {
								if *x != nil {
									*x = tensor.Enter(s, *x)
								}
							}
							return scan.Matrix(p, nil)
						}
						gradcheck.Forward(t, what, f, 5e-6)
						if T == 0 {
							continue
						}
						got := gradients(leaves, f)
						finite(t, what, leaves)
						if first == nil {
							first = got
						}
						for k := range got {
							if e := gradcheck.Difference(got[k], first[k]); !(e <= 2e-5) {
								t.Errorf("%s: the gradient of leaf %d is off the recurrence's by %.2g", what, k, e)
							}
						}
					}
				}
			}
		}
	})
}

// The others, with what makes their factors 0, 1 and all between.
func TestOtherExtremes(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := noise{rand.New(rand.NewPCG(7, 7))}
		const C, N = 20, 3
		enter := func(s *tensor.Scope, ts ...*tensor.Tensor) []*tensor.Tensor {
			out := make([]*tensor.Tensor, len(ts))
			for i, x := range ts {
				out[i] = tensor.Enter(s, x)
			}
			return out
		}
		for _, T := range []int{0, 1, 2, 150} {
			check := func(name string, leaves []*tensor.Tensor, f func(in []*tensor.Tensor) *tensor.Tensor) {
				what := fmt.Sprintf("%s, T %d", name, T)
				call := func(s *tensor.Scope) *tensor.Tensor { return f(enter(s, leaves...)) }
				gradcheck.Forward(t, what, call, 5e-6)
				if T > 0 {
					gradients(leaves, call)
					finite(t, what, leaves)
				}
			}
			x, D := r.of(large, B, T, C), r.of(large, C)
			// dt·A from 0 to −1e24; A itself is the gradient of dt.
			check("Selective", []*tensor.Tensor{x, r.of([]float64{0, 1e-38, 1e-6, 1e-3, 1, 60, 1e4}, B, T, C), r.of([]float64{-1e-38, -1e-3, -1, -16, -1e20}, C, N), r.of(large, B, T, N), r.of(large, B, T, N), D},
				func(in []*tensor.Tensor) *tensor.Tensor {
					return scan.Selective(in[0], in[1], in[2], in[3], in[4], in[5], nil)
				})
			check("Diagonal", []*tensor.Tensor{r.of([]float64{0, 1, -1, 1 - 6e-8, 1e-38, -1e-20, 0.5}, B, T, C), x},
				func(in []*tensor.Tensor) *tensor.Tensor { return scan.Diagonal(in[0], in[1], nil) })
			// Modes on the unit circle, in its middle, and almost on it.
			modes := tensor.New(2, N, C)
			for i := range N * C {
				radius := []float64{0, 1, 1, 1 - 6e-8, 1e-30, 0.9}[r.IntN(6)]
				sin, cos := math.Sincos(r.Float64() * 2 * math.Pi)
				modes.Data()[i], modes.Data()[N*C+i] = float32(radius*cos), float32(radius*sin)
			}
			check("ComplexDiagonal", []*tensor.Tensor{x, modes.Track(), r.of(large, 2, N, C), r.of(large, 2, N, C), D},
				func(in []*tensor.Tensor) *tensor.Tensor {
					return scan.ComplexDiagonal(in[0], in[1], in[2], in[3], in[4], nil, nil)
				})
			// e^60 twice over is beyond float32, and e^{-inf} forgets.
			check("WKV4", []*tensor.Tensor{r.of(decays, C), r.of(large, C), r.of(large, B, T, C), x},
				func(in []*tensor.Tensor) *tensor.Tensor {
					return scan.WKV4(in[0], in[1], in[2], in[3], nil, nil, nil)
				})
		}
	})
}

// What a state remembers of long ago becomes zero, and no denormal number on
// the way, on which Intel's processors are slow. Arm's are not, and NEON's
// kernels leave them.
func TestSilence(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		if hw.Current() == hw.NEON {
			return
		}
		const T, C, N = 40, 20, 3
		r := noise{rand.New(rand.NewPCG(8, 8))}
		state := func(shape ...int) *tensor.Part {
			v := r.uniform(1e-38, 5e-38, shape...)
			return tensor.NewState("test", 1).Add("s", v.Untrack()).Part(0)
		}
		full := func(v float64, shape ...int) *tensor.Tensor { return r.uniform(v, v, shape...) }
		zeros := tensor.New(1, T, C)
		for name, run := range map[string]func() []*tensor.Part{
			"Matrix": func() []*tensor.Part {
				p, none := state(1, C, N, N), tensor.New(1, T, C, N)
				scan.Matrix(scan.MatrixInput{Q: none, K: none, V: none, LogDecay: full(-0.05, 1, T, C), Mode: scan.Recurrent}, p)
				return []*tensor.Part{p}
			},
			"Selective": func() []*tensor.Part {
				p, none := state(1, N, C), tensor.New(1, T, N)
				scan.Selective(zeros, full(0.05, 1, T, C), full(-1, C, N), none, none, nil, p)
				return []*tensor.Part{p}
			},
			"Diagonal": func() []*tensor.Part {
				p := state(1, C)
				scan.Diagonal(full(0.95, 1, T, C), zeros, p)
				return []*tensor.Part{p}
			},
			"ComplexDiagonal": func() []*tensor.Part {
				re, im := state(1, N, C), state(1, N, C)
				scan.ComplexDiagonal(zeros, full(0.6, 2, N, C), tensor.New(2, N, C), tensor.New(2, N, C), nil, re, im)
				return []*tensor.Part{re, im}
			},
		} {
			for _, p := range run() {
				for i, v := range p.Value.Data() {
					if v != 0 {
						t.Errorf("%s: element %d of the state is %g after %d tokens of silence", name, i, v, T)
						break
					}
				}
			}
		}
	})
}
