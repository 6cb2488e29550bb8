package nn_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/subquad/subquad/internal/gradcheck"
	"github.com/subquad/subquad/internal/hwtest"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

func noise(seed uint64, shape ...int) *tensor.Tensor {
	return nn.Normal(rand.New(rand.NewPCG(seed, 1)), 1, shape...)
}

var eachLevel = hwtest.Levels

// both compares f's fast form with its plain one, and its gradients with differences.
func both(t *testing.T, name string, leaves []*tensor.Tensor, f gradcheck.Func) {
	t.Helper()
	gradcheck.Forward(t, name, f, 2e-6)
	gradcheck.Check(t, name, leaves, f, 2e-5)
}

func weights(p nn.Params, more ...*tensor.Tensor) []*tensor.Tensor {
	for _, x := range p {
		more = append(more, x.Tensor)
	}
	return more
}

// Maps of single tokens: values against the definition in float64, and gradients.
func TestMaps(t *testing.T) {
	linear, err := nn.NewLinear(6, 10, true, nn.NewRNG(1))
	if err != nil {
		t.Fatal(err)
	}
	x, z := noise(2, 2, 3, 6), noise(3, 2, 3, 6)
	w, b := noise(4, 6), noise(5, 6)
	type layer interface {
		Forward(*tensor.Tensor) *tensor.Tensor
		Params() nn.Params
	}
	layers := map[string]layer{
		"Linear": linear, "RMSNorm": &nn.RMSNorm{Weight: w, Eps: 1e-5}, "bare RMSNorm": &nn.RMSNorm{Eps: 1e-5},
		"LayerNorm": &nn.LayerNorm{Weight: w, Bias: b, Eps: 1e-5}, "bare LayerNorm": &nn.LayerNorm{Eps: 1e-5},
		"GroupNorm": &nn.GroupNorm{Groups: 2, Weight: w, Bias: b, Eps: 1e-5},
	}
	for a := nn.SwiGLU; a <= nn.ReLU2; a++ {
		if layers[fmt.Sprintf("MLP %d", a)], err = nn.NewMLP(nn.MLPConfig{DModel: 6, DHidden: 11, Activation: a, Bias: a%2 == 0, Seed: uint64(a)}); err != nil {
			t.Fatal(err)
		}
	}
	eachLevel(t, func(t *testing.T) {
		for name, l := range layers {
			both(t, name, weights(l.Params(), x), func(s *tensor.Scope) *tensor.Tensor { return l.Forward(tensor.Enter(s, x)) })
		}
		for _, n := range []*nn.RMSNormGated{{Weight: w, Eps: 1e-5}, {Weight: w, Eps: 1e-5, NormBeforeGate: true}, {Weight: w, Eps: 1e-5, GroupSize: 3}} {
			both(t, fmt.Sprintf("RMSNormGated %+v", *n), []*tensor.Tensor{x, z, w}, func(s *tensor.Scope) *tensor.Tensor { return n.Forward(tensor.Enter(s, x), tensor.Enter(s, z)) })
		}
		both(t, "GLU", []*tensor.Tensor{x}, func(s *tensor.Scope) *tensor.Tensor { return nn.GLU(tensor.Enter(s, x)) })
	})
	// The definitions themselves, on numbers that can be checked by hand.
	for _, c := range []struct {
		name string
		got  *tensor.Tensor
		want []float64
	}{
		{"Linear", (&nn.Linear{Weight: tensor.From([]float32{1, 2, 3, 4}, 2, 2), Bias: tensor.From([]float32{10, 20}, 2)}).Forward(tensor.From([]float32{1, 1}, 2)), []float64{13, 27}},
		{"RMSNorm", (&nn.RMSNorm{}).Forward(tensor.From([]float32{3, 4}, 2)), []float64{3 / math.Sqrt(12.5), 4 / math.Sqrt(12.5)}},
		{"LayerNorm", (&nn.LayerNorm{}).Forward(tensor.From([]float32{1, 3}, 2)), []float64{-1, 1}},
		{"GroupNorm", (&nn.GroupNorm{Groups: 2}).Forward(tensor.From([]float32{1, 3, 10, 30}, 4)), []float64{-1, 1, -1, 1}},
		{"RMSNormGated", (&nn.RMSNormGated{}).Forward(tensor.From([]float32{1, 1}, 2), tensor.From([]float32{1, 1}, 2)), []float64{1, 1}},
		{"GLU", nn.GLU(tensor.From([]float32{2, 0}, 2)), []float64{1}},
	} {
		if e := gradcheck.Difference(c.got.Float64s(), c.want); !(e <= 1e-6) {
			t.Errorf("%s: %v, want %v", c.name, c.got.Float64s(), c.want)
		}
	}
}

func TestLinearInFewerBits(t *testing.T) {
	l, _ := nn.NewLinear(256, 5, false, nn.NewRNG(1))
	x := noise(1, 3, 256)
	want := l.Forward(x).Float64s()
	for d, tol := range map[tensor.DType]float64{tensor.BF16: 4e-3, tensor.F16: 5e-4, tensor.Q8_0: 8e-3, tensor.Q4_K: 0.1} {
		n := &nn.Linear{Weight: tensor.As(d, l.Weight)}
		if e := gradcheck.Difference(n.Forward(x).Float64s(), want); !(e <= tol) || e == 0 {
			t.Errorf("%v: off by %.2g", d, e)
		}
	}
}

func TestEmbedding(t *testing.T) {
	e := &nn.Embedding{Weight: noise(1, 7, 4)}
	both(t, "Embedding", []*tensor.Tensor{e.Weight}, func(s *tensor.Scope) *tensor.Tensor { return e.Forward(s, [][]int{{6, 0, 6}, {1, 2, 6}}) })
	if got := e.Forward(nil, [][]int{{3}}).Float32s(); !slices.Equal(got, e.Weight.Narrow(0, 3, 4).Float32s()) {
		t.Errorf("row 3 is %v", got)
	}
}

// pieces applies f to pieces of x with one state.
func pieces(x *tensor.Tensor, st *tensor.State, cuts []int, f func(x *tensor.Tensor, st *tensor.State) *tensor.Tensor) *tensor.Tensor {
	var parts []*tensor.Tensor
	lo := 0
	for _, n := range cuts {
		parts = append(parts, f(x.Narrow(1, lo, lo+n), st))
		lo += n
	}
	return tensor.Concat(1, parts...)
}

func TestShortConvAndTokenShift(t *testing.T) {
	const B, T, C = 2, 9, 5
	x := noise(1, B, T, C)
	eachLevel(t, func(t *testing.T) {
		for width := 1; width <= 7; width++ {
			for _, silu := range []bool{false, true} {
				conv, err := nn.NewShortConv(C, width, width%2 == 0, silu, nn.NewRNG(uint64(width)))
				if err != nil {
					t.Fatal(err)
				}
				name := fmt.Sprintf("width %d, SiLU %v", width, silu)
				newState := func() *tensor.State {
					return tensor.NewState("conv", B).Add("x", tensor.New(B, width-1, C))
				}
				f := func(x *tensor.Tensor, st *tensor.State) *tensor.Tensor { return conv.Forward(x, st.Part(0)) }
				both(t, name, weights(conv.Params(), x), func(s *tensor.Scope) *tensor.Tensor {
					return pieces(tensor.Enter(s, x), newState(), []int{4, 1, 4}, f)
				})
				s := tensor.NewScope()
				want := f(tensor.Enter(s, x), nil).Float32s()
				for _, cuts := range [][]int{{9}, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {2, 7}, {8, 1}} {
					if got := pieces(tensor.Enter(s, x), newState(), cuts, f).Float32s(); gradcheck.Difference(wide(got), wide(want)) > 1e-6 {
						t.Errorf("%s in pieces %v differs", name, cuts)
					}
				}
				// The definition, at the last token.
				sum := 0.0
				if conv.Bias != nil {
					sum = conv.Bias.At(2)
				}
				for i := range width {
					if at := T - width + i; at >= 0 {
						sum += conv.Weight.At(2, i) * x.At(0, at, 2)
					}
				}
				if silu {
					sum /= 1 + math.Exp(-sum)
				}
				if got := float64(want[(T-1)*C+2]); math.Abs(got-sum) > 1e-5 {
					t.Errorf("%s: last output %v, want %v", name, got, sum)
				}
			}
		}
		shift := func(x *tensor.Tensor, st *tensor.State) *tensor.Tensor { return nn.TokenShift(x, st.Part(0)) }
		newState := func() *tensor.State { return tensor.NewState("shift", B).Add("x", tensor.New(B, C)) }
		both(t, "TokenShift", []*tensor.Tensor{x}, func(s *tensor.Scope) *tensor.Tensor {
			return pieces(tensor.Enter(s, x), newState(), []int{4, 1, 4}, shift)
		})
		if y := shift(x, nil); y.At(1, 0, 3) != 0 || y.At(1, 5, 3) != x.At(1, 4, 3) {
			t.Error("TokenShift does not give the token before")
		}
	})
}

func wide(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

func TestRoPE(t *testing.T) {
	x := noise(1, 2, 4, 3, 8)
	pos := []int64{0, 1_000_000}
	for _, interleaved := range []bool{false, true} {
		both(t, fmt.Sprintf("interleaved %v", interleaved), []*tensor.Tensor{x}, func(s *tensor.Scope) *tensor.Tensor {
			return nn.RoPE(tensor.Enter(s, x), pos, 10000, interleaved)
		})
		y := nn.RoPE(x, pos, 10000, interleaved)
		// Pair i of token t turns by p·base^(−2i/d); a pair lies side by side, or half a head apart.
		const b, token, h, i = 1, 3, 2, 1
		angle := float64(pos[b]+token) * math.Pow(10000, -2.0*i/8)
		p, q := i, i+4
		if interleaved {
			p, q = 2*i, 2*i+1
		}
		u, v := x.At(b, token, h, p), x.At(b, token, h, q)
		for at, want := range map[int]float64{p: u*math.Cos(angle) - v*math.Sin(angle), q: u*math.Sin(angle) + v*math.Cos(angle)} {
			if got := y.At(b, token, h, at); math.Abs(got-want) > 1e-5 {
				t.Errorf("interleaved %v: element %d is %v, want %v", interleaved, at, got, want)
			}
		}
	}
}

func TestMisuse(t *testing.T) {
	for name, f := range map[string]func() error{
		"NewLinear":    func() error { _, err := nn.NewLinear(0, 3, false, nn.NewRNG(1)); return err },
		"huge Linear":  func() error { _, err := nn.NewLinear(1<<30, 3, false, nn.NewRNG(1)); return err },
		"NewMLP":       func() error { _, err := nn.NewMLP(nn.MLPConfig{DModel: 3}); return err },
		"activation":   func() error { _, err := nn.NewMLP(nn.MLPConfig{DModel: 3, DHidden: 3, Activation: 9}); return err },
		"NewShortConv": func() error { _, err := nn.NewShortConv(3, 0, false, false, nn.NewRNG(1)); return err },
	} {
		if f() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	conv, _ := nn.NewShortConv(3, 4, false, false, nn.NewRNG(1))
	l, _ := nn.NewLinear(3, 3, false, nn.NewRNG(1))
	for name, f := range map[string]func(){
		"Linear":    func() { l.Forward(tensor.New(2, 4)) },
		"ShortConv": func() { conv.Forward(tensor.New(1, 2, 4), nil) },
		"conv state": func() {
			conv.Forward(tensor.New(1, 2, 3), tensor.NewState("", 1).Add("x", tensor.New(1, 2, 3)).Part(0))
		},
		"RMSNormGated": func() { (&nn.RMSNormGated{GroupSize: 4}).Forward(tensor.New(2, 6), tensor.New(2, 6)) },
		"GLU":          func() { nn.GLU(tensor.New(3)) },
		"Embedding":    func() { (&nn.Embedding{Weight: tensor.New(2, 2)}).Forward(nil, [][]int{{0}, {0, 1}}) },
		"RoPE":         func() { nn.RoPE(tensor.New(1, 1, 1, 3), []int64{0}, 10000, false) },
		"Packed":       func() { nn.Packed(sum{3}, tensor.New(1, 4, 3), []int{0, 3}, nil) },
		"Padded":       func() { nn.Padded(sum{3}, tensor.New(1, 4, 3), []int{5}, nn.PadLeft, nil) },
	} {
		func() {
			defer func() {
				if _, ok := recover().(*tensor.ShapeError); !ok {
					t.Errorf("%s: no *tensor.ShapeError", name)
				}
			}()
			f()
		}()
	}
}

func TestParams(t *testing.T) {
	mlp, _ := nn.NewMLP(nn.MLPConfig{DModel: 2, DHidden: 3, Seed: 1})
	p := mlp.Params().Prefix("mlp")
	if w, ok := p.Find("mlp.down_proj.weight"); !ok || w.Len() != 6 || p.Count() != 18 {
		t.Errorf("parameters %v", p)
	}
	if _, ok := p.Find("down_proj.weight"); ok {
		t.Error("found a name without its prefix")
	}
	again, _ := nn.NewMLP(nn.MLPConfig{DModel: 2, DHidden: 3, Seed: 1})
	if !slices.Equal(again.Params()[0].Data(), p[0].Data()) {
		t.Error("a seed does not give the same weights")
	}
}
