package rwkv_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/subquad/subquad/internal/gradcheck"
	"github.com/subquad/subquad/internal/layertest"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/rwkv"
	"github.com/subquad/subquad/tensor"
)

// shaken replaces the zero matrices of a fresh layer, which would hide what is
// before them, by small random ones.
func shaken(l nn.Layer, err error) nn.Layer {
	if err != nil {
		panic(err)
	}
	rng := nn.NewRNG(99)
	for _, p := range l.Params() {
		zero := true
		for _, v := range p.Data() {
			zero = zero && v == 0
		}
		if zero {
			p.SetFrom(nn.Normal(rng, 0.3, p.Shape()...))
		}
	}
	return l
}

func TestLayers(t *testing.T) {
	layertest.Run(t, "TimeMix4", func(seed uint64) nn.Layer {
		return shaken(rwkv.NewTimeMix4(rwkv.Config4{DModel: 12, DAttn: 20, Layer: 1, NumLayers: 3, Seed: seed}))
	}, 12)
	layertest.Run(t, "ChannelMix4", func(seed uint64) nn.Layer {
		return shaken(rwkv.NewChannelMix4(rwkv.Config4{DModel: 12, DFF: 20, Layer: 1, NumLayers: 3, Seed: seed}))
	}, 12)
	for name, cfg := range map[string]rwkv.Config56{"TimeMix5.0": {PerHead: true, NoGate: true}, "TimeMix5.1": {PerHead: true}, "TimeMix5.2": {}} {
		layertest.Run(t, name, func(seed uint64) nn.Layer {
			cfg.DModel, cfg.HeadDim, cfg.Layer, cfg.NumLayers, cfg.Seed = 12, 6, 1, 3, seed
			return shaken(rwkv.NewTimeMix5(cfg))
		}, 12)
	}
	layertest.Run(t, "TimeMix6", func(seed uint64) nn.Layer {
		return shaken(rwkv.NewTimeMix6(rwkv.Config56{DModel: 12, HeadDim: 6, MixRank: 3, DecayRank: 4, Layer: 1, NumLayers: 3, Seed: seed}))
	}, 12)
	layertest.Run(t, "ChannelMix6", func(seed uint64) nn.Layer {
		return shaken(rwkv.NewChannelMix6(rwkv.Config56{DModel: 12, HeadDim: 6, DFF: 20, Layer: 1, NumLayers: 3, Seed: seed}))
	}, 12)
	layertest.Run(t, "TimeMix7", func(seed uint64) nn.Layer {
		return shaken(rwkv.NewTimeMix7(rwkv.Config7{DModel: 12, HeadDim: 6, Layer: 1, NumLayers: 3, DecayRank: 3, RateRank: 4, ValueRank: 2, GateRank: 5, Seed: seed}))
	}, 12)
	layertest.Run(t, "ChannelMix7", func(seed uint64) nn.Layer {
		return shaken(rwkv.NewChannelMix7(rwkv.Config7{DModel: 12, HeadDim: 6, DFF: 20, Layer: 1, NumLayers: 3, Seed: seed}))
	}, 12)
}

func TestConvertedLayers(t *testing.T) {
	small := rwkv.ConfigConverted{DModel: 12, NumHeads: 4, NumKVHeads: 2, HeadDim: 4, DecayRank: 3, GateRank: 2, Layer: 1, NumLayers: 3}
	six, seven := small, small
	six.MixRank = 3
	seven.RateRank, seven.ValueRank = 2, 3
	for name, change := range map[string]func(c *rwkv.ConfigConverted){
		"TimeMixQ6":      func(*rwkv.ConfigConverted) {},
		"TimeMixQ6 full": func(c *rwkv.ConfigConverted) { c.Gate, c.NoBias, c.NumKVHeads = rwkv.GateFull, true, 4 },
	} {
		layertest.Run(t, name, func(seed uint64) nn.Layer {
			c := six
			c.Seed = seed
			change(&c)
			return shaken(rwkv.NewTimeMixQ6(c))
		}, 12)
	}
	for name, change := range map[string]func(c *rwkv.ConfigConverted){
		"TimeMixQ7": func(c *rwkv.ConfigConverted) { c.RopeBase = 100 },
		"TimeMixQ7 balanced": func(c *rwkv.ConfigConverted) {
			c.Balance, c.NoNorm, c.Gate, c.NumKVHeads = true, true, rwkv.GateFull, 1
		},
		"TimeMixQ7 of ARWKV": func(c *rwkv.ConfigConverted) {
			c.TokenShift, c.Bonus, c.Gate = true, true, rwkv.GateNone
		},
	} {
		layertest.Run(t, name, func(seed uint64) nn.Layer {
			c := seven
			c.Seed = seed
			change(&c)
			return residual{shaken(rwkv.NewTimeMixQ7(c)).(*rwkv.TimeMixQ7)}
		}, 12)
	}
}

// residual is a later layer whose model's first values are its own input.
type residual struct{ *rwkv.TimeMixQ7 }

func (r residual) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	first := tensor.Concat(-1, x, x.Narrow(-1, 0, 4)).Reshape(x.Dim(0), x.Dim(1), 4, 4)
	y, _ := r.Mix(x, first, st)
	return y
}

// The converted layers as their equations have them, in float64 and token by token.
func TestConvertedEquations(t *testing.T) {
	const T, C, H, G, N = 7, 6, 4, 2, 4
	rng := nn.NewRNG(5)
	x := nn.Normal(rng, 1, 1, T, C)
	for _, c := range []struct {
		name  string
		seven bool
		cfg   rwkv.ConfigConverted
	}{
		{"6", false, rwkv.ConfigConverted{MixRank: 2}},
		{"6 full gate", false, rwkv.ConfigConverted{MixRank: 3, Gate: rwkv.GateFull}},
		{"7", true, rwkv.ConfigConverted{RopeBase: 50}},
		{"7 balanced", true, rwkv.ConfigConverted{Balance: true, NoNorm: true, Gate: rwkv.GateFull}},
		{"ARWKV-7", true, rwkv.ConfigConverted{TokenShift: true, Bonus: true, Gate: rwkv.GateNone}},
	} {
		cfg := c.cfg
		cfg.DModel, cfg.NumHeads, cfg.NumKVHeads, cfg.HeadDim, cfg.DecayRank, cfg.GateRank, cfg.Layer, cfg.NumLayers = C, H, G, N, 3, 2, 1, 2
		var l nn.Layer
		var first []float64
		var got *tensor.Tensor
		if c.seven {
			cfg.RateRank, cfg.ValueRank = 2, 3
			m := shaken(rwkv.NewTimeMixQ7(cfg)).(*rwkv.TimeMixQ7)
			v := nn.Normal(rng, 1, 1, T, H, N)
			first = v.Float64s()
			l = m
			got, _ = m.Mix(x, v, nil)
		} else {
			l = shaken(rwkv.NewTimeMixQ6(cfg))
			got = l.Forward(x, nil)
		}
		want := convertedReference(l.Params(), cfg, c.seven, x.Float64s(), first, T, C, H, G, N)
		if e := gradcheck.Difference(got.Float64s(), want); !(e <= 2e-6) {
			t.Errorf("%s: outputs differ by %.2g", c.name, e)
		}
	}
}

// convertedReference is written from the reference's forward pass, one number at a time.
func convertedReference(p nn.Params, cfg rwkv.ConfigConverted, seven bool, x, first []float64, T, C, H, G, N int) (y []float64) {
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	get := func(name string) []float64 {
		if w, ok := p.Find(name); ok {
			return w.Float64s()
		}
		return nil
	}
	// mul is row·w for w [in, out]; project W x + b for W [out, in].
	mul := func(row, w []float64) []float64 {
		out := make([]float64, len(w)/len(row))
		for i, v := range row {
			for j := range out {
				out[j] += v * w[i*len(out)+j]
			}
		}
		return out
	}
	project := func(name string, row []float64) []float64 {
		w, b := get(name+".weight"), get(name+".bias")
		out := make([]float64, len(w)/len(row))
		for j := range out {
			if b != nil {
				out[j] = b[j]
			}
			for i, v := range row {
				out[j] += v * w[j*len(row)+i]
			}
		}
		return out
	}
	each := func(x []float64, f func(float64) float64) []float64 {
		out := make([]float64, len(x))
		for i, v := range x {
			out[i] = f(v)
		}
		return out
	}
	rotate := func(x []float64, pos int) {
		for h := 0; h < len(x); h += N {
			for i := range N / 2 {
				s, c := math.Sincos(float64(pos) * math.Pow(cfg.RopeBase, -2*float64(i)/float64(N)))
				a, b := x[h+i], x[h+i+N/2]
				x[h+i], x[h+i+N/2] = a*c-b*s, a*s+b*c
			}
		}
	}
	repeat := func(x []float64) (out []float64) {
		for h := range H {
			g := h * G / H
			out = append(out, x[g*N:(g+1)*N]...)
		}
		return out
	}
	S := make([]float64, H*N*N) // [head, key, value]
	prev := make([]float64, C)
	for t := range T {
		xt := x[t*C : (t+1)*C]
		shifted := func(mu []float64) []float64 {
			out := make([]float64, C)
			for i := range out {
				out[i] = xt[i] + (prev[i]-xt[i])*mu[i]
			}
			return out
		}
		in := map[string][]float64{}
		names := []string{"r", "w", "k", "v", "a", "g"}
		switch {
		case !seven:
			low := each(mul(shifted(get("time_maa_x")), get("time_maa_w1")), math.Tanh)
			R := cfg.MixRank
			for i, n := range []string{"r", "k", "v", "w", "g"} {
				mu := mul(low[i*R:(i+1)*R], get("time_maa_w2")[i*R*C:(i+1)*R*C])
				for j, v := range get("time_maa_" + n) {
					mu[j] += v
				}
				in[n] = shifted(mu)
			}
		case cfg.TokenShift:
			for _, n := range names {
				in[n] = shifted(get("x_" + n))
			}
		default:
			for _, n := range names {
				in[n] = xt
			}
		}
		prev = xt
		r, k, v := project("q_proj", in["r"]), project("k_proj", in["k"]), project("v_proj", in["v"])
		if cfg.RopeBase != 0 {
			rotate(r, t)
			rotate(k, t)
		}
		k, v = repeat(k), repeat(v)
		o := make([]float64, H*N)
		gate := func(i int) float64 { return 1 }
		if cfg.Gate == rwkv.GateFull {
			g := project("gate", in["g"])
			gate = func(i int) float64 { return sigmoid(g[i]) }
		}
		if !seven {
			w := mul(each(mul(in["w"], get("time_decay_w1")), math.Tanh), get("time_decay_w2"))
			for i := range w {
				w[i] = math.Exp(-math.Exp(w[i] + get("time_decay")[i]))
				k[i] *= 1 - w[i]
			}
			for i := range H * N {
				for j := range N {
					s := &S[i*N+j]
					*s = w[i]**s + k[i]*v[i/N*N+j]
					o[i/N*N+j] += *s * r[i] / math.Sqrt(float64(N))
				}
			}
			if cfg.Gate == rwkv.GateLowRank {
				g := mul(each(mul(in["g"], get("gate_w1")), math.Tanh), get("gate_w2"))
				gate = func(i int) float64 { return sigmoid(g[i]) }
			}
		} else {
			w := mul(each(mul(in["w"], get("w1")), math.Tanh), get("w2"))
			a := mul(mul(in["a"], get("a1")), get("a2"))
			m := mul(mul(in["v"], get("v1")), get("v2"))
			kk := make([]float64, H*N)
			for i := range w {
				w[i] = math.Exp(-math.Exp(-0.5 - math.Log1p(math.Exp(-(get("w0")[i] + w[i])))))
				a[i] = sigmoid(get("a0")[i] + a[i])
				v[i] += (first[t*H*N+i] - v[i]) * sigmoid(get("v0")[i]+m[i])
				if cfg.Balance {
					kk[i] = k[i]
					k[i] *= 1 - w[i] + a[i]
				} else {
					kk[i] = k[i] * get("k_k")[i]
					k[i] *= 1 + (a[i]-1)*get("k_a")[i]
				}
			}
			for h := range H {
				at := h * N
				n := 0.0
				for i := range N {
					n += kk[at+i] * kk[at+i]
				}
				mean, square, bonus := 0.0, 0.0, 0.0
				for j := range N {
					z := 0.0
					for i := range N {
						z -= S[(at+i)*N+j] * kk[at+i] / math.Sqrt(n)
					}
					for i := range N {
						s := &S[(at+i)*N+j]
						*s = *s*w[at+i] + z*kk[at+i]/math.Sqrt(n)*a[at+i] + k[at+i]*v[at+j]
						o[at+j] += *s * r[at+i]
					}
					mean += o[at+j] / float64(N)
				}
				for i := range N {
					square += (o[at+i] - mean) * (o[at+i] - mean) / float64(N)
					if cfg.Bonus {
						bonus += r[at+i] * k[at+i] * get("r_k")[at+i]
					}
				}
				for i := range N {
					if cfg.NoNorm {
						o[at+i] /= math.Sqrt(float64(N))
					} else {
						o[at+i] = (o[at+i]-mean)/math.Sqrt(square+1e-5*float64(N))*get("ln_x.weight")[at+i] + get("ln_x.bias")[at+i]
					}
					o[at+i] += bonus * v[at+i]
				}
			}
			if cfg.Gate == rwkv.GateLowRank {
				g := mul(each(mul(in["g"], get("g1")), sigmoid), get("g2"))
				gate = func(i int) float64 { return g[i] }
			}
		}
		for i := range o {
			o[i] *= gate(i)
		}
		y = append(y, project("o_proj", o)...)
	}
	return y
}

func TestBadConfigs(t *testing.T) {
	err := func(_ any, err error) error { return err }
	for _, c := range []struct {
		err  error
		want string
	}{
		{err(rwkv.NewTimeMix4(rwkv.Config4{})), "DModel 0"},
		{err(rwkv.NewTimeMix4(rwkv.Config4{DModel: 8, DAttn: -1})), "DAttn -1"},
		{err(rwkv.NewTimeMix4(rwkv.Config4{DModel: 1 << 20})), "DModel 1048576"},
		{err(rwkv.NewChannelMix4(rwkv.Config4{DModel: 8, Layer: 2, NumLayers: 2})), "Layer 2 of NumLayers 2"},
		{err(rwkv.NewTimeMix5(rwkv.Config56{DModel: 65})), "HeadDim 64, DModel 65"},
		{err(rwkv.NewTimeMix6(rwkv.Config56{DModel: 64, MixRank: -1})), "MixRank -1"},
		{err(rwkv.NewTimeMix6(rwkv.Config56{DModel: 64, NormEps: -1})), "NormEps -1"},
		{err(rwkv.NewTimeMix7(rwkv.Config7{DModel: 65})), "not a multiple of HeadDim 64"},
		{err(rwkv.NewTimeMix7(rwkv.Config7{DModel: 64, HeadDim: -1})), "HeadDim -1"},
		{err(rwkv.NewTimeMix7(rwkv.Config7{DModel: 64, GateRank: -3})), "rank -3"},
		{err(rwkv.NewTimeMix7(rwkv.Config7{DModel: 64, NormEps: math.NaN()})), "NormEps NaN"},
		{err(rwkv.NewChannelMix7(rwkv.Config7{DModel: 64, DFF: -1})), "DFF -1"},
		{err(rwkv.NewTimeMixQ6(rwkv.ConfigConverted{})), "DModel 0"},
		{err(rwkv.NewTimeMixQ6(rwkv.ConfigConverted{DModel: 64, RopeBase: 100})), "version 7's"},
		{err(rwkv.NewTimeMixQ7(rwkv.ConfigConverted{DModel: 64, MixRank: 3})), "version 6's"},
		{err(rwkv.NewTimeMixQ7(rwkv.ConfigConverted{DModel: 64, NumHeads: 4, NumKVHeads: 3})), "NumKVHeads 3"},
		{err(rwkv.NewTimeMixQ7(rwkv.ConfigConverted{DModel: 64, NumHeads: -1})), "-1 heads"},
		{err(rwkv.NewTimeMixQ7(rwkv.ConfigConverted{DModel: 63, NumHeads: 21, RopeBase: 100})), "HeadDim 3"},
		{err(rwkv.NewTimeMixQ7(rwkv.ConfigConverted{DModel: 64, GateRank: -1})), "rank -1"},
		{err(rwkv.NewTimeMixQ7(rwkv.ConfigConverted{DModel: 64, Gate: 7})), "Gate 7"},
		{err(rwkv.NewTimeMixQ7(rwkv.ConfigConverted{DModel: 64, NormEps: 2})), "NormEps 2"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("error is %v, want one with %q", c.err, c.want)
		}
	}
}

// The author's initialisation of the first layer of three, worked out from its formulas.
func TestInitialisation(t *testing.T) {
	m, err := rwkv.NewTimeMix7(rwkv.Config7{DModel: 128, NumLayers: 3})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"w0":  -6 + 0.5 - 2.5, // the first channel of the first layer: the least decay, zigzag −1
		"a0":  -0.19 - 0.3 - 0.2,
		"v0":  0.73 + 0.2,
		"k_k": 0.71 + 0.05,
		"x_r": 1, // 1 − 0^0.2
	} {
		p, ok := m.Params().Find(name)
		if !ok || math.Abs(p.At(0)-want) > 1e-6 {
			t.Errorf("%s[0] is %v, want %v", name, p.At(0), want)
		}
	}
	for name, rank := range map[string]int{"w1": 32, "a1": 32, "v1": 32, "g1": 64} {
		if p, _ := m.Params().Find(name); p.Dim(1) != rank {
			t.Errorf("%s has rank %d, want %d", name, p.Dim(1), rank)
		}
	}
	// w2 has orthogonal rows of length 0.1.
	w2, _ := m.Params().Find("w2")
	for i := range 3 {
		for j := range 3 {
			dot, want := 0.0, 0.0
			for c := range 128 {
				dot += w2.At(i, c) * w2.At(j, c)
			}
			if i == j {
				want = 0.01
			}
			if math.Abs(dot-want) > 1e-7 {
				t.Errorf("rows %d and %d of w2: inner product %v, want %v", i, j, dot, want)
			}
		}
	}
}

func ExampleNewTimeMix7() {
	m, err := rwkv.NewTimeMix7(rwkv.Config7{DModel: 128})
	if err != nil {
		fmt.Println(err)
		return
	}
	st := m.NewState(1)
	m.Forward(tensor.New(1, 1000, 128), st)    // a prompt
	y := m.Forward(tensor.New(1, 1, 128), st)  // one more token
	fmt.Println(y.Shape(), st.Pos, st.Bytes()) // the state's size does not depend on how many
	// Output: [1 1 128] [1001] 33288
}

func ExampleNewTimeMix4() {
	m, err := rwkv.NewTimeMix4(rwkv.Config4{DModel: 64})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Forward(tensor.New(2, 10, 64), nil).Shape(), m.NewState(2).Bytes())
	// Output: [2 10 64] 2064
}
