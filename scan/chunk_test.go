package scan_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/gradcheck"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

var chunkSizes = []int{1, 5, 8, 16, 17, 33, 64, 70}

// The chunked form against the plain one, for chunks that do not divide the length.
func TestChunkedAgainstPlainForm(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, v := range variants {
			for _, T := range []int{0, 1, 7, 8, 50, 130} {
				for i, size := range chunkSizes {
					if testing.Short() && i%3 != T%3 {
						continue // the lengths take turns with them
					}
					v.chunk = size
					v.mode = scan.Chunked
					_, call := v.input(noise{rand.New(rand.NewPCG(1, uint64(T)))}, T)
					gradcheck.Forward(t, fmt.Sprintf("%s T=%d chunk=%d", v.name, T, v.chunk), func(s *tensor.Scope) *tensor.Tensor { return call(s, nil, 0, T) }, 5e-6)
				}
			}
		}
	})
}

// Its gradients against differences in float64, and through a longer sequence
// against those of the recurrence.
func TestChunkedGradients(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, v := range variants {
			r := noise{rand.New(rand.NewPCG(2, 2))}
			v.mode, v.chunk = scan.Chunked, 9
			leaves, call := v.input(r, 21)
			s0 := r.normal(1, B, H, K, V)
			f := func(T, cut int) gradcheck.Func {
				return func(s *tensor.Scope) *tensor.Tensor {
					st := tensor.NewState("test", B).Add("s", tensor.New(B, H, K, V))
					st.Part(0).Write(tensor.Enter(s, s0))
					y := call(s, st.Part(0), 0, cut)
					z := call(s, st.Part(0), cut, T) // through the state of the first piece
					return tensor.Concat(0, tensor.Concat(1, y, z).Reshape(-1), st.Part(0).Read(s).Reshape(-1))
				}
			}
			if v.decay > -10 { // else differences cannot tell what is left of s0 from rounding
				leaves = append(leaves, s0)
			}
			gradcheck.Check(t, v.name, leaves, f(21, 10), 2e-5)
		}
	})
}

func TestChunkedGradientsOfLongSequences(t *testing.T) {
	const T = 150
	eachLevel(t, func(t *testing.T) {
		for _, v := range variants {
			grads := func(mode scan.Mode, chunk, workers int) (out [][]float64) {
				v.mode, v.chunk = mode, chunk
				r := noise{rand.New(rand.NewPCG(3, 3))}
				leaves, call := v.input(r, T)
				weights, s0 := r.normal(1, B, T, H, V), r.normal(1, B, H, K, V)
				s := tensor.NewScope(tensor.Record(), tensor.Workers(workers))
				st := tensor.NewState("test", B).Add("s", s0)
				s.Backward(tensor.SumAll(tensor.Mul(call(s, st.Part(0), 0, T), tensor.Enter(s, weights))))
				for _, l := range append(leaves, s0) {
					out = append(out, l.Grad().Float64s())
				}
				return out
			}
			want := grads(scan.Recurrent, 0, 1)
			chunks := []int{16, 64, 70}
			if testing.Short() {
				chunks = chunks[2:]
			}
			for _, chunk := range chunks {
				got := grads(scan.Chunked, chunk, 1)
				for i := range want {
					if e := gradcheck.Difference(got[i], want[i]); !(e <= 2e-5) {
						t.Errorf("%s, chunks of %d: gradient %d differs from the recurrence's by %.2g", v.name, chunk, i, e)
					}
				}
				for i, g := range grads(scan.Chunked, chunk, 3) {
					if !slices.Equal(g, got[i]) {
						t.Errorf("%s, chunks of %d: gradient %d depends on the workers", v.name, chunk, i)
					}
				}
			}
		}
	})
}

// Both forms, forward and with gradients.
func BenchmarkMatrixForms(b *testing.B) {
	T := 512
	if testing.Short() {
		T = 64
	}
	type shape struct{ heads, rows, cols int }
	for _, sh := range []shape{{12, 64, 64}, {24, 128, 64}, {8, 128, 128}, {4, 256, 256}} {
		for _, v := range []variant{{name: "plain"}, {name: "scalar", decay: -0.5}, {name: "vector", decay: -0.5, vector: true}, {name: "rankone", decay: -0.5, vector: true, rank1: true}} {
			r := noise{rand.New(rand.NewPCG(1, 1))}
			keys := func() *tensor.Tensor { return r.normal(0.1, 1, T, sh.heads, sh.rows) }
			in := scan.MatrixInput{Q: keys(), K: keys(), V: r.normal(1, 1, T, sh.heads, sh.cols)}
			if v.vector {
				in.LogDecay = r.uniform(v.decay, 0, 1, T, sh.heads, sh.rows)
			} else if v.decay != 0 {
				in.LogDecay = r.uniform(v.decay, 0, 1, T, sh.heads)
			}
			if v.rank1 {
				in.A, in.B = keys(), keys()
			}
			for _, mode := range []scan.Mode{scan.Recurrent, scan.Chunked} {
				for _, train := range []bool{false, true} {
					pass := "forward"
					options := []tensor.Option{tensor.Workers(1)}
					if train {
						pass, options = "both", append(options, tensor.Record())
					}
					b.Run(fmt.Sprintf("decay=%s/state=%dx%d/pass=%s/form=%v/hw=%v", v.name, sh.rows, sh.cols, pass, mode, hw.Current()), func(b *testing.B) {
						s := tensor.NewScope(options...)
						for b.Loop() {
							s.Reset()
							enter := func(t *tensor.Tensor) *tensor.Tensor {
								if t == nil {
									return nil
								}
								return tensor.Enter(s, t)
							}
							y := scan.Matrix(scan.MatrixInput{Q: enter(in.Q), K: enter(in.K), V: enter(in.V), LogDecay: enter(in.LogDecay), A: enter(in.A), B: enter(in.B), Mode: mode}, nil)
							if train {
								s.Backward(tensor.SumAll(y))
							}
						}
						b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(T*sh.heads*sh.rows*sh.cols), "ns/element")
					})
				}
			}
		}
	}
}
