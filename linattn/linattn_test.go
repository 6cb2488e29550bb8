package linattn_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/subquad/subquad/internal/gradcheck"
	"github.com/subquad/subquad/internal/hwtest"
	"github.com/subquad/subquad/internal/layertest"
	"github.com/subquad/subquad/linattn"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

func must(l nn.Layer, err error) nn.Layer {
	if err != nil {
		panic(err)
	}
	return l
}

func TestLayers(t *testing.T) {
	layertest.Run(t, "Attention", func(seed uint64) nn.Layer {
		return must(linattn.NewAttention(linattn.AttentionConfig{DModel: 12, NumHeads: 3, NumKVHeads: 1, HeadDim: 6, RopeBase: 100, Bias: true, Seed: seed}))
	}, 12)
	layertest.Run(t, "Attention window", func(seed uint64) nn.Layer {
		return must(linattn.NewAttention(linattn.AttentionConfig{DModel: 12, NumHeads: 2, HeadDim: 4, Window: 5, OutBias: true, Seed: seed}))
	}, 12)
	layertest.Run(t, "Attention with sinks and ALiBi", func(seed uint64) nn.Layer {
		return must(linattn.NewAttention(linattn.AttentionConfig{DModel: 12, NumHeads: 4, NumKVHeads: 2, HeadDim: 4, ALiBi: true, Sinks: true, Seed: seed}))
	}, 12)
	layertest.Run(t, "Attention window with sinks", func(seed uint64) nn.Layer {
		return must(linattn.NewAttention(linattn.AttentionConfig{DModel: 12, NumHeads: 2, HeadDim: 4, Window: 5, Sinks: true, Seed: seed}))
	}, 12)
	layertest.Run(t, "Based", func(seed uint64) nn.Layer {
		return must(linattn.NewBased(linattn.BasedConfig{DModel: 12, NumHeads: 2, FeatureDim: 3, Seed: seed}))
	}, 12)
	layertest.Run(t, "BaseConv", func(seed uint64) nn.Layer {
		return must(linattn.NewBaseConv(linattn.BaseConvConfig{DModel: 6, Seed: seed}))
	}, 6)
	layertest.Run(t, "BasedStack", func(seed uint64) nn.Layer {
		return must(linattn.NewBasedStack(linattn.BasedStackConfig{DModel: 8, Linear: linattn.BasedConfig{NumHeads: 2, FeatureDim: 3}, Local: linattn.AttentionConfig{NumHeads: 2, Window: 4}, Seed: seed}))
	}, 8)
}

func noise(rng *rand.Rand, shape ...int) *tensor.Tensor {
	t := tensor.New(shape...)
	for i := range t.Data() {
		t.Data()[i] = float32(rng.NormFloat64())
	}
	return t.Track()
}

// Sequences of several blocks of queries and keys, with all options, against the plain form.
func TestSoftmaxBlocks(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	type options = linattn.SoftmaxOptions
	for _, c := range []struct {
		T, H, G, D, V int
		o             options
		sinks         bool
		gradients     bool
	}{
		{T: 1, H: 1, G: 1, D: 1, V: 1}, {T: 63, H: 2, G: 1, D: 5, V: 3}, {T: 64, H: 2, G: 2, D: 8, V: 8}, {T: 65, H: 4, G: 2, D: 16, V: 16},
		{T: 500, H: 2, G: 1, D: 7, V: 9}, {T: 200, H: 2, G: 2, D: 8, V: 8, o: options{Window: 1}}, {T: 500, H: 2, G: 1, D: 8, V: 8, o: options{Window: 64}},
		{T: 350, H: 1, G: 1, D: 8, V: 8, o: options{Window: 300}}, {T: 150, H: 1, G: 1, D: 8, V: 8, o: options{Window: 1000}},
		{T: 400, H: 4, G: 2, D: 8, V: 8, o: options{ALiBi: true}, sinks: true},
		{T: 300, H: 2, G: 2, D: 8, V: 8, o: options{ALiBi: true, Window: 100}}, {T: 110, H: 2, G: 1, D: 6, V: 5, gradients: true},
		{T: 110, H: 2, G: 1, D: 6, V: 5, o: options{Window: 30, Scale: 0.7}, sinks: true, gradients: true},
		{T: 110, H: 2, G: 1, D: 6, V: 5, o: options{ALiBi: true, Scale: 0.3}, sinks: true, gradients: true},
		{T: 110, H: 2, G: 2, D: 6, V: 5, o: options{Scale: -0.5}, sinks: true, gradients: true}, {T: 130, H: 1, G: 1, D: 6, V: 5, o: options{Scale: 1e-9}},
	} {
		B := 2
		if c.gradients {
			B = 1
		}
		q, k, v := noise(rng, B, c.T, c.H, c.D), noise(rng, B, c.T, c.G, c.D), noise(rng, B, c.T, c.G, c.V)
		leaves := []*tensor.Tensor{q, k, v}
		if c.sinks {
			c.o.Sinks = noise(rng, c.H)
			leaves = append(leaves, c.o.Sinks)
		}
		f := func(s *tensor.Scope) *tensor.Tensor {
			return linattn.Softmax(tensor.Enter(s, q), tensor.Enter(s, k), tensor.Enter(s, v), c.o, nil)
		}
		hwtest.Layers(t, func(t *testing.T) {
			name := fmt.Sprintf("%+v", c)
			gradcheck.Forward(t, name, f, 1e-5)
			if c.gradients {
				gradcheck.Check(t, name, leaves, f, 1e-4)
			}
		})
	}
}

func TestSoftmaxLargeScores(t *testing.T) {
	// Scores of ±6400: the largest takes all, without overflow.
	q := tensor.From([]float32{80, 80, 80}, 1, 3, 1, 1)
	k := tensor.From([]float32{-80, 80, -80}, 1, 3, 1, 1)
	v := tensor.From([]float32{1, 2, 3}, 1, 3, 1, 1)
	y := linattn.Softmax(q, k, v, linattn.SoftmaxOptions{}, nil).Data()
	if y[0] != 1 || y[1] != 2 || y[2] != 2 {
		t.Errorf("got %v, want [1 2 2]", y)
	}
}

// The triangular map has the same inner products as the full one.
func TestTaylorMaps(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, d := range []int{1, 2, 5, 16} {
		q, k := noise(rng, 1, d), noise(rng, 1, d)
		s := 0.0
		for i := range d {
			s += q.At(0, i) * k.At(0, i)
		}
		s /= math.Sqrt(float64(d))
		want := 1 + s + s*s/2
		for _, tri := range []bool{false, true} {
			a, b := linattn.Taylor(q, tri), linattn.Taylor(k, tri)
			got := 0.0
			for i := range a.Dim(-1) {
				got += a.At(0, i) * b.At(0, i)
			}
			if a.Dim(-1) != linattn.TaylorDim(d, tri) || math.Abs(got-want) > 3e-6*(1+math.Abs(want)) {
				t.Errorf("d=%d triangular=%v: φ(q)·φ(k) = %v of %d features, want %v", d, tri, got, a.Dim(-1), want)
			}
			gradcheck.Check(t, fmt.Sprintf("Taylor d=%d triangular=%v", d, tri), []*tensor.Tensor{q}, func(sc *tensor.Scope) *tensor.Tensor {
				return linattn.Taylor(tensor.Enter(sc, q), tri)
			}, 1e-4)
		}
	}
}

func TestBadConfigs(t *testing.T) {
	err := func(_ any, err error) error { return err }
	for _, c := range []struct {
		err  error
		want string
	}{
		{err(linattn.NewAttention(linattn.AttentionConfig{})), "DModel 0"},
		{err(linattn.NewAttention(linattn.AttentionConfig{DModel: 8, NumHeads: 3, NumKVHeads: 2})), "NumHeads 3, NumKVHeads 2"},
		{err(linattn.NewAttention(linattn.AttentionConfig{DModel: 8, NumHeads: 16})), "HeadDim 0"},
		{err(linattn.NewAttention(linattn.AttentionConfig{DModel: 8, Window: -1})), "Window -1"},
		{err(linattn.NewAttention(linattn.AttentionConfig{DModel: 8, RopeBase: 0.5})), "RopeBase 0.5"},
		{err(linattn.NewAttention(linattn.AttentionConfig{DModel: 9, NumHeads: 3, RopeBase: 10000})), "an even number"},
		{err(linattn.NewBased(linattn.BasedConfig{DModel: -4})), "DModel -4"},
		{err(linattn.NewBased(linattn.BasedConfig{DModel: 8, FeatureDim: 100000})), "FeatureDim 100000"},
		{err(linattn.NewBased(linattn.BasedConfig{DModel: 8, Eps: math.NaN()})), "Eps NaN"},
		{err(linattn.NewBaseConv(linattn.BaseConvConfig{DModel: 3, Expand: 1})), "even product"},
		{err(linattn.NewBasedStack(linattn.BasedStackConfig{})), "DModel 0"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("error is %v, want one with %q", c.err, c.want)
		}
	}
}

func TestMisuse(t *testing.T) {
	a := must(linattn.NewAttention(linattn.AttentionConfig{DModel: 8, NumHeads: 2}))
	b := must(linattn.NewBased(linattn.BasedConfig{DModel: 8, NumHeads: 2}))
	for name, f := range map[string]func(){
		"channels":      func() { a.Forward(tensor.New(1, 2, 7), nil) },
		"rank":          func() { a.Forward(tensor.New(2, 8), nil) },
		"other's state": func() { a.Forward(tensor.New(1, 2, 8), b.NewState(1)) },
		"other batch":   func() { a.Forward(tensor.New(1, 2, 8), a.NewState(2)) },
		"heads": func() {
			linattn.Softmax(tensor.New(1, 2, 3, 4), tensor.New(1, 2, 2, 4), tensor.New(1, 2, 2, 4), linattn.SoftmaxOptions{}, nil)
		},
		"keys of others": func() {
			linattn.Softmax(tensor.New(1, 2, 2, 4), tensor.New(1, 3, 2, 4), tensor.New(1, 3, 2, 4), linattn.SoftmaxOptions{}, nil)
		},
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

func ExampleNewBased() {
	l, err := linattn.NewBased(linattn.BasedConfig{DModel: 128})
	if err != nil {
		fmt.Println(err)
		return
	}
	st := l.NewState(1)
	l.Forward(tensor.New(1, 1000, 128), st)
	fmt.Println(l.Forward(tensor.New(1, 1, 128), st).Shape(), st.Bytes())
	// Output: [1 1 128] 79568
}

func ExampleNewAttention() {
	l, err := linattn.NewAttention(linattn.AttentionConfig{DModel: 128, NumHeads: 4, NumKVHeads: 2, Window: 64, RopeBase: 10000})
	if err != nil {
		fmt.Println(err)
		return
	}
	st := l.NewState(1)
	l.Forward(tensor.New(1, 1000, 128), st)
	fmt.Println(l.Forward(tensor.New(1, 1, 128), st).Shape(), st.Bytes())
	// Output: [1 1 128] 32776
}
