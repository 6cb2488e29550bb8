package fft

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/subquad/subquad/internal/gradcheck"
	"github.com/subquad/subquad/internal/race"
	"github.com/subquad/subquad/tensor"
)

// separately is GatedConv in steps of their own.
func separately(u, k *tensor.Tensor, g Gates, st *tensor.State) *tensor.Tensor {
	w := u
	if g.Pre != nil {
		w = tensor.Mul(g.Pre, u)
	}
	y := CausalConv(w, k, st)
	if g.Skip != nil {
		y = tensor.MulAdd(w, g.Skip, y)
	}
	if g.Post != nil {
		y = tensor.Mul(y, g.Post)
	}
	return y
}

type convForm func(u, k *tensor.Tensor, g Gates, st *tensor.State) *tensor.Tensor

// Every choice of gates, from views of one projection, in pieces, with what
// the state holds: outputs, states and gradients of the composition.
func TestGatedConv(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(10, 7))
		for i, d := range [][4]int{{2, 37, 5, 11}, {1, 300, 18, 250}, {2, 10, 3, 200}, {1, 5, 4, 1}, {2, 1, 4, 7}, {1, 600, 70, 40}} {
			B, T, C, L := d[0], d[1], d[2], d[3]
			all, c := tensor.From(noise(r, B*T*3*C), B, T, 3*C).Track(), noise(r, B*T*C)
			k, skip := tensor.From(noise(r, L*C), L, C).Track(), tensor.From(noise(r, C), C).Track()
			past := noise(r, B*(L-1)*C)
			for gates := range 8 {
				st := NewConvState(B, L, C)
				copy(st.Parts[0].Value.Data(), past)
				st.Parts[0].Value.Track()
				leaves := []*tensor.Tensor{all, k, skip, st.Parts[0].Value}
				run := func(form convForm) (out [][]float64) {
					for _, l := range leaves {
						l.ZeroGrad()
					}
					copy(st.Parts[0].Value.Data(), past)
					s := tensor.NewScope(tensor.Record())
					x := tensor.Enter(s, all)
					var ys []*tensor.Tensor
					for _, p := range [][2]int{{0, T / 3}, {T / 3, T}} {
						x := x.Narrow(1, p[0], p[1])
						var g Gates
						if gates&1 != 0 {
							g.Pre = x.Narrow(-1, C, 2*C)
						}
						if gates&2 != 0 {
							g.Post = x.Narrow(-1, 2*C, 3*C)
						}
						if gates&4 != 0 {
							g.Skip = skip
						}
						ys = append(ys, form(x.Narrow(-1, 0, C), k, g, st))
					}
					y := tensor.Concat(1, ys...)
					out = append(out, y.Float64s(), st.Parts[0].Value.Float64s())
					end := st.Parts[0].Read(s)
					loss := tensor.SumAll(tensor.Mul(y, s.From(c, B, T, C)))
					if L > 1 {
						loss = tensor.Add(loss, tensor.SumAll(tensor.Mul(end, end)))
					}
					s.Backward(loss)
					for _, l := range leaves {
						out = append(out, l.Grad().Float64s())
					}
					return out
				}
				want, got := run(separately), run(GatedConv)
				for j, name := range []string{"y", "state", "gradient of u and gates", "gradient of k", "gradient of skip", "gradient of the state"} {
					if e := gradcheck.Difference(got[j], want[j]); !(e <= 2e-6) {
						t.Errorf("case %d, gates %03b: %s differs by %.2g", i, gates, name, e)
					}
				}
			}
		}
	})
}

// Gradients against differences of the plain form, also where only one input wants its own.
func TestGatedConvGradients(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 8))
	const B, T, C, L = 2, 9, 3, 6
	u, pre, post := tensor.From(noise(r, B*T*C), B, T, C), tensor.From(noise(r, B*T*C), B, T, C), tensor.From(noise(r, B*T*C), B, T, C)
	k, skip := tensor.From(noise(r, L*C), L, C), tensor.From(noise(r, C), C)
	leaves := []*tensor.Tensor{u, pre, post, k, skip}
	for i := range len(leaves) + 1 {
		some := leaves
		if i < len(leaves) {
			some = leaves[i : i+1]
		}
		for _, l := range leaves {
			l.Untrack()
		}
		gradcheck.Check(t, fmt.Sprint("leaf ", i), some, func(s *tensor.Scope) *tensor.Tensor {
			return GatedConv(tensor.Enter(s, u), k, Gates{tensor.Enter(s, pre), tensor.Enter(s, post), skip}, nil)
		}, 1e-4)
	}
}

func TestGatedConvNoAllocs(t *testing.T) {
	s := tensor.NewScope(tensor.Workers(1))
	r := rand.New(rand.NewPCG(1, 1))
	const C, L = 32, 100
	k, skip, st := tensor.From(noise(r, L*C), L, C), tensor.From(noise(r, C), C), NewConvState(1, L, C)
	for _, T := range []int{1, 200} {
		all := noise(r, T*3*C)
		if n := testing.AllocsPerRun(20, func() {
			x := s.From(all, 1, T, 3*C)
			GatedConv(x.Narrow(-1, 0, C), k, Gates{x.Narrow(-1, C, 2*C), x.Narrow(-1, 2*C, 3*C), skip}, st)
			s.Reset()
		}); n != 0 && !race.Enabled {
			t.Errorf("T=%d: %v allocations a call", T, n)
		}
	}
}

func TestGatedConvMisuse(t *testing.T) {
	u, k := tensor.New(1, 2, 3), tensor.New(4, 3)
	for name, g := range map[string]Gates{
		"pre": {Pre: tensor.New(1, 3, 3)}, "post": {Post: tensor.New(1, 2, 4)}, "skip": {Skip: tensor.New(1, 3)},
	} {
		func() {
			defer func() {
				if _, ok := recover().(*tensor.ShapeError); !ok {
					t.Errorf("%s: no *tensor.ShapeError", name)
				}
			}()
			GatedConv(u, k, g, nil)
		}()
	}
}

// One operator against separate multiplications, of views of one projection as Hyena has them.
func BenchmarkGatedConv(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	const C = 64
	for _, d := range [][2]int{{1 << 10, 1 << 10}, {1 << 12, 1 << 12}, {1 << 14, 1 << 14}, {1 << 16, 1 << 16}, {1 << 14, 128}} {
		T, L := d[0], d[1]
		all, k, skip := tensor.From(noise(r, T*3*C), 1, T, 3*C).Track(), tensor.From(noise(r, L*C), L, C).Track(), tensor.From(noise(r, C), C).Track()
		for _, f := range []struct {
			name string
			form convForm
		}{{"fused", GatedConv}, {"separate", separately}} {
			for _, pass := range []string{"forward", "both"} {
				b.Run(fmt.Sprintf("form=%s/pass=%s/length=%d/taps=%d/channels=%d", f.name, pass, T, L, C), func(b *testing.B) {
					s := tensor.NewScope(tensor.Workers(1))
					if pass == "both" {
						s = tensor.NewScope(tensor.Workers(1), tensor.Record())
					}
					for b.Loop() {
						x := tensor.Enter(s, all)
						y := f.form(x.Narrow(-1, 2*C, 3*C), k, Gates{Pre: x.Narrow(-1, C, 2*C), Post: x.Narrow(-1, 0, C), Skip: skip}, nil)
						if pass == "both" {
							s.Backward(tensor.SumAll(y))
						}
						s.Reset()
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(T*C), "ns/element")
				})
			}
		}
	}
}
