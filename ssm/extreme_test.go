package ssm_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/gradcheck"
	"github.com/subquad/subquad/internal/hwtest"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/ssm"
	"github.com/subquad/subquad/tensor"
)

// small are layers of four channels, with the weights that decide what a state
// keeps, and values for them that keep all, nothing and most.
var small = []struct {
	name    string
	layer   func() nn.Layer
	weights map[string][]float64
}{
	{"S4", func() nn.Layer { return must(ssm.NewS4(ssm.S4Config{DModel: 4, DState: 4})) },
		map[string][]float64{"layer.kernel.A_real": {-30, -1, 30}, "layer.kernel.A_imag": {0, 1, 1e4}, "layer.kernel.inv_dt": {-20, -3, 5}}},
	{"S4D", func() nn.Layer { return must(ssm.NewS4D(ssm.S4DConfig{DModel: 4, DState: 4})) },
		map[string][]float64{"layer.kernel.A_real": {-30, -1, 30}, "layer.kernel.A_imag": {0, 1, 1e4}, "layer.kernel.inv_dt": {-20, -3, 5}}},
	{"S4D bilinear", func() nn.Layer {
		return must(ssm.NewS4D(ssm.S4DConfig{DModel: 4, DState: 4, Discretization: ssm.Bilinear}))
	},
		map[string][]float64{"layer.kernel.A_real": {-30, -1, 30}, "layer.kernel.A_imag": {0, 1, 1e4}, "layer.kernel.inv_dt": {-20, -3, 5}}},
	{"DSS", func() nn.Layer { return must(ssm.NewDSS(ssm.DSSConfig{DModel: 4, DState: 3})) },
		map[string][]float64{"kernel.Lambda_log_neg_re": {-30, -1, 30}, "kernel.Lambda_im": {0, 1, 1e4}, "kernel.log_dt": {-20, -3, 5}}},
	{"S5", func() nn.Layer { return must(ssm.NewS5(ssm.S5Config{DModel: 4, DState: 8})) },
		map[string][]float64{"Lambda_re": {-1e4, -1, -1e-8, 0}, "Lambda_im": {0, 1, 1e4}, "log_step": {-20, -3, 5}}},
	{"LRU", func() nn.Layer { return must(ssm.NewLRU(ssm.LRUConfig{DModel: 4})) },
		map[string][]float64{"nu_log": {-30, -3, 5}, "gamma_log": {-20, 0}}},
	{"RG-LRU", func() nn.Layer { return must(ssm.NewRGLRU(ssm.RGLRUConfig{DModel: 4, Heads: 2})) },
		map[string][]float64{"rg_lru.recurrent_param": {-40, 0, 40}, "rg_lru.recurrent_gate_bias": {-60, 60}, "rg_lru.input_gate_bias": {-60, 60}}},
	{"Mamba", func() nn.Layer { return must(ssm.NewMamba(ssm.MambaConfig{DModel: 4, DState: 4})) },
		map[string][]float64{"A_log": {-30, 0, 30}, "dt_proj.bias": {-40, 0, 40}}},
	{"Mamba-2", func() nn.Layer {
		return must(ssm.NewMamba2(ssm.Mamba2Config{DModel: 4, DState: 4, HeadDim: 2}))
	},
		map[string][]float64{"A_log": {-30, 0, 30}, "dt_bias": {-40, 0, 40}}},
	{"Mamba-3", func() nn.Layer {
		return must(ssm.NewMamba3(ssm.Mamba3Config{DModel: 4, DState: 4, HeadDim: 2}))
	},
		map[string][]float64{"dt_bias": {-40, 0, 40}}},
	{"Mamba-3 MIMO", func() nn.Layer {
		return must(ssm.NewMamba3(ssm.Mamba3Config{DModel: 4, DState: 4, HeadDim: 2, Rank: 2, OutNorm: true}))
	},
		map[string][]float64{"dt_bias": {-40, 0, 40}}},
	{"H3", func() nn.Layer { return must(ssm.NewH3(ssm.H3Config{DModel: 4, DState: 4, HeadDim: 2})) },
		map[string][]float64{"kernel.layer.kernel.A_real": {-30, -1, 30}, "kernel.layer.kernel.inv_dt": {-20, -3, 5}}},
	{"Hyena", func() nn.Layer { return must(ssm.NewHyena(ssm.HyenaConfig{DModel: 4, Length: 64, Order: 8})) },
		map[string][]float64{"filter_fn.implicit_filter.1.freq": {0, 1, 10}}},
}

// saturate sets a layer's deciding weights to values drawn from their lists.
func saturate(t *testing.T, l nn.Layer, weights map[string][]float64, r *rand.Rand) {
	for _, p := range l.Params() { // in a fixed order
		values, ok := weights[p.Name]
		if !ok {
			continue
		}
		for i := range p.Data() {
			p.Data()[i] = float32(values[r.IntN(len(values))])
		}
	}
	for name := range weights {
		if _, ok := l.Params().Find(name); !ok {
			t.Fatalf("there is no weight %s", name)
		}
	}
}

// Weights that keep everything or nothing, for any length and in single
// tokens, give finite outputs that are right, and finite gradients.
func TestSaturatedWeights(t *testing.T) {
	hwtest.Layers(t, func(t *testing.T) {
		for _, c := range small {
			r := rand.New(rand.NewPCG(43, 1))
			for range 3 {
				l := c.layer()
				saturate(t, l, c.weights, r)
				for _, T := range []int{0, 1, 2, 100} {
					u := noise(1, T, 4)
					want := inFloat64(l, u, nil)
					s, st := tensor.NewScope(), l.NewState(1)
					one := make([]float64, 0, len(want))
					for i := range T {
						one = append(one, l.Forward(tensor.Enter(s, u).Narrow(1, i, i+1), st).Float64s()...)
					}
					for what, got := range map[string][]float64{"whole": l.Forward(tensor.Enter(s, u), nil).Float64s(), "token by token": one} {
						if e := gradcheck.Difference(got, want); !(e <= 2e-5) {
							t.Errorf("%s, %d tokens, %s: off by %.2g", c.name, T, what, e)
						}
					}
					if T == 0 {
						continue
					}
					l.Params().ZeroGrad()
					record := tensor.NewScope(tensor.Record())
					record.Backward(tensor.SumAll(l.Forward(tensor.Enter(record, u), nil)))
					for _, p := range l.Params() {
						for i, v := range p.Grad().Float64s() {
							if math.IsNaN(v) || math.IsInf(v, 0) {
								t.Errorf("%s, %d tokens: element %d of the gradient of %s is %v", c.name, T, i, p.Name, v)
								break
							}
						}
					}
				}
			}
		}
	})
}

// Sines of high frequencies make noise of roundings: Hyena's filters have
// three, one within the other. Its comment gives these numbers.
func TestHyenaFrequencies(t *testing.T) {
	for _, c := range []struct{ freq, least, most float64 }{{1, 0, 1e-6}, {10, 0, 5e-6}, {30, 1e-5, 5e-4}, {100, 5e-4, 2e-2}} {
		l := must(ssm.NewHyena(ssm.HyenaConfig{DModel: 8, Length: 1024, SineFreq: c.freq}))
		u := noise(1, 300, 8)
		e := gradcheck.Difference(l.Forward(u, nil).Float64s(), inFloat64(l, u, nil))
		t.Logf("frequency %v: %.1e", c.freq, e)
		if !(e >= c.least && e <= c.most) {
			t.Errorf("frequency %v: off by %.2g, expected %g to %g", c.freq, e, c.least, c.most)
		}
	}
}

// A million tokens, in pieces and then one by one. What a state has kept all
// along is as wrong as factors near 1 are rounded (see package scan); the rest
// is right, and nothing is infinite.
func TestMillionTokens(t *testing.T) {
	const last = 50
	T := 1_000_000
	if testing.Short() {
		T = 16_000
	}
	for _, c := range small {
		if slices.Contains([]string{"S4D bilinear", "Mamba-3 MIMO", "H3"}, c.name) {
			continue // made of the same as others here
		}
		l := c.layer()
		st, s := l.NewState(1), tensor.NewScope()
		u := noise(1, T/16, 4)
		for i := range 16 {
			s.Reset()
			y := nn.Long(l, s.From(u.Data(), 1, T/16, 4), st)
			for _, v := range y.Narrow(1, T/16-last, T/16).Float64s() {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Fatalf("%s: an output of piece %d is %v", c.name, i, v)
				}
			}
		}
		// From this state, float32 and float64 go on alike.
		s.Reset()
		want := inFloat64(l, u.Narrow(1, 0, last).Clone(), st.Clone())
		var got []float64
		for i := range last {
			got = append(got, l.Forward(tensor.Enter(s, u).Narrow(1, i, i+1), st).Float64s()...)
		}
		if e := gradcheck.Difference(got, want); !(e <= 1e-5) || st.Pos[0] != int64(T+last) {
			t.Errorf("%s: after %d tokens off by %.2g", c.name, st.Pos[0], e)
		}
	}
}

// Long after the last sound nothing is left of it, not even denormal numbers,
// on which Intel's processors take a hundred times as long: layers were 10 to 60
// times as slow in silence.
func TestSilence(t *testing.T) {
	const sound, silence = 16, 4001
	was := hw.Current()
	defer hw.Set(was)
	for _, level := range hw.Levels() {
		if level == hw.NEON {
			continue // its kernels leave them: Arm's processors do not mind
		}
		hw.Set(level)
		for name, l := range map[string]nn.Layer{
			"S4":      must(ssm.NewS4(ssm.S4Config{DModel: 4, DState: 4, DtMin: 0.05})),
			"S4D":     must(ssm.NewS4D(ssm.S4DConfig{DModel: 4, DState: 4, DtMin: 0.05})),
			"DSS":     must(ssm.NewDSS(ssm.DSSConfig{DModel: 4, DState: 3, DtMin: 0.05})),
			"S5":      must(ssm.NewS5(ssm.S5Config{DModel: 4, DState: 8, DtMin: 0.05})),
			"LRU":     must(ssm.NewLRU(ssm.LRUConfig{DModel: 4, RMax: 0.95})),
			"Mamba-3": must(ssm.NewMamba3(ssm.Mamba3Config{DModel: 4, DState: 4, HeadDim: 2, DtMin: 0.05})),
		} {
			whole, one := l.NewState(1), l.NewState(1)
			s := tensor.NewScope()
			u := noise(1, sound+silence, 4)
			clear(u.Data()[4*sound:])
			l.Forward(tensor.Enter(s, u), whole)
			for i := range sound + silence {
				s.Reset()
				l.Forward(s.From(u.Data()[4*i:][:4], 1, 1, 4), one)
			}
			for what, st := range map[string]*tensor.State{"whole": whole, "token by token": one} {
				for _, p := range st.Parts {
					for i, v := range p.Value.Data() {
						if p.Name != "angle_low" && v != 0 && math.Abs(float64(v)) < 0x1p-126 {
							t.Errorf("%v: %s, %s: element %d of %s is %g", level, name, what, i, p.Name, v)
							break
						}
					}
				}
			}
		}
	}
}

// A token of sound and one of silence, long after it: they should cost alike.
func BenchmarkSilence(b *testing.B) {
	const width, T = 64, 4096
	for _, c := range []struct {
		name  string
		layer nn.Layer
	}{
		{"s4", must(ssm.NewS4(ssm.S4Config{DModel: width}))},
		{"s4d", must(ssm.NewS4D(ssm.S4DConfig{DModel: width}))},
		{"s5", must(ssm.NewS5(ssm.S5Config{DModel: width}))},
		{"lru", must(ssm.NewLRU(ssm.LRUConfig{DModel: width}))},
		{"mamba3", must(ssm.NewMamba3(ssm.Mamba3Config{DModel: width}))},
	} {
		for _, input := range []string{"sound", "silence"} {
			b.Run("layer="+c.name+"/input="+input, func(b *testing.B) {
				s, st := tensor.NewScope(tensor.Workers(1)), c.layer.NewState(1)
				x := noise(1, T, width)
				nn.Long(c.layer, tensor.Enter(s, x), st)
				if input == "silence" {
					clear(x.Data())
					for range 8 { // until little is left
						s.Reset()
						nn.Long(c.layer, tensor.Enter(s, x), st)
					}
				}
				for b.Loop() {
					s.Reset()
					nn.Long(c.layer, tensor.Enter(s, x), st)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*T), "ns/token")
			})
		}
	}
}
