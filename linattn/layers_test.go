package linattn_test

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/subquad/subquad/internal/gradcheck"
	"github.com/subquad/subquad/internal/layertest"
	"github.com/subquad/subquad/linattn"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

// Every layer that runs over scan.Matrix keeps the properties of a layer.
func TestLinearLayers(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(seed uint64) (nn.Layer, error)
	}{
		{"DeltaNet", func(seed uint64) (nn.Layer, error) {
			return linattn.NewDeltaNet(linattn.DeltaNetConfig{DModel: 8, NumHeads: 2, HeadDim: 3, ValueDim: 5, Seed: seed})
		}},
		{"DeltaNet negative", func(seed uint64) (nn.Layer, error) {
			return linattn.NewDeltaNet(linattn.DeltaNetConfig{DModel: 8, NumHeads: 2, ConvSize: -1, NegEigval: true, OutputGate: true, Seed: seed})
		}},
		{"GatedDeltaNet", func(seed uint64) (nn.Layer, error) {
			return linattn.NewGatedDeltaNet(linattn.GatedDeltaNetConfig{DModel: 8, NumHeads: 2, NumVHeads: 4, HeadDim: 3, ValueDim: 2, Seed: seed})
		}},
		{"KDA", func(seed uint64) (nn.Layer, error) {
			return linattn.NewKDA(linattn.KDAConfig{DModel: 8, NumHeads: 2, HeadDim: 3, ValueDim: 2, Seed: seed})
		}},
		{"KDA bounded", func(seed uint64) (nn.Layer, error) {
			return linattn.NewKDA(linattn.KDAConfig{DModel: 8, NumHeads: 1, NumVHeads: 2, HeadDim: 3, LowerBound: -5, NoGateBias: true, Seed: seed})
		}},
		{"RetNet", func(seed uint64) (nn.Layer, error) {
			return linattn.NewRetNet(linattn.RetNetConfig{DModel: 8, NumHeads: 2, RopeBase: 100, ConvSize: 2, Seed: seed})
		}},
		{"RetNet original", func(seed uint64) (nn.Layer, error) {
			return linattn.NewRetNet(linattn.RetNetConfig{DModel: 8, NumHeads: 2, RopeBase: 100, Original: true, Seed: seed})
		}},
		{"GLA", func(seed uint64) (nn.Layer, error) {
			return linattn.NewGLA(linattn.GLAConfig{DModel: 8, NumHeads: 2, GateRank: 3, GateScale: 2, Seed: seed})
		}},
		{"SimpleGLA", func(seed uint64) (nn.Layer, error) {
			return linattn.NewSimpleGLA(linattn.SimpleGLAConfig{DModel: 8, NumHeads: 2, GateScale: 2, Seed: seed})
		}},
		{"HGRN", func(seed uint64) (nn.Layer, error) {
			return linattn.NewHGRN(linattn.HGRNConfig{DModel: 8, Seed: seed})
		}},
		{"HGRN2", func(seed uint64) (nn.Layer, error) {
			return linattn.NewHGRN2(linattn.HGRN2Config{DModel: 8, NumHeads: 2, HeadDim: 3, Seed: seed})
		}},
		{"LinearAttention", func(seed uint64) (nn.Layer, error) {
			return linattn.NewLinearAttention(linattn.LinearAttentionConfig{DModel: 8, NumHeads: 2, HeadDim: 3, Seed: seed})
		}},
		{"LinearAttention plain", func(seed uint64) (nn.Layer, error) {
			return linattn.NewLinearAttention(linattn.LinearAttentionConfig{DModel: 8, NumHeads: 2, FeatureMap: linattn.Identity, Unnormalized: true, OutputNorm: true, Seed: seed})
		}},
		{"LinearAttention Taylor", func(seed uint64) (nn.Layer, error) {
			taylor := func(x *tensor.Tensor) *tensor.Tensor { return linattn.Taylor(x, true) }
			return linattn.NewLinearAttention(linattn.LinearAttentionConfig{DModel: 8, NumHeads: 2, HeadDim: 2, FeatureMap: taylor, Features: 6, Seed: seed})
		}},
		// Four channels a head: LayerNorm over three can be too curved for differences.
		{"Rebased", func(seed uint64) (nn.Layer, error) {
			return linattn.NewRebased(linattn.RebasedConfig{DModel: 8, NumHeads: 2, FeatureDim: 4, Eps: 0.1, Seed: seed})
		}},
		{"Lightning", func(seed uint64) (nn.Layer, error) {
			return linattn.NewLightning(linattn.LightningConfig{DModel: 8, NumHeads: 2, Layer: 1, NumLayers: 4, Seed: seed})
		}},
		{"DeltaProduct", func(seed uint64) (nn.Layer, error) {
			return linattn.NewDeltaProduct(linattn.DeltaProductConfig{DModel: 8, NumHeads: 2, HeadDim: 3, ValueDim: 2, NegEigval: true, Seed: seed})
		}},
		{"DeltaProduct of three, no decay", func(seed uint64) (nn.Layer, error) {
			return linattn.NewDeltaProduct(linattn.DeltaProductConfig{DModel: 8, Steps: 3, NumHeads: 2, NoDecay: true, NoGate: true, ConvSize: -1, Seed: seed})
		}},
		{"DPLR", func(seed uint64) (nn.Layer, error) {
			return linattn.NewDPLR(linattn.DPLRConfig{DModel: 8, NumHeads: 2, HeadDim: 3, GateRank: 2, GateScale: 2, Seed: seed})
		}},
		{"GSA", func(seed uint64) (nn.Layer, error) {
			return linattn.NewGSA(linattn.GSAConfig{DModel: 8, NumHeads: 2, NumSlots: 3, GateScale: 2, Seed: seed})
		}},
		{"GSA convolutions", func(seed uint64) (nn.Layer, error) {
			return linattn.NewGSA(linattn.GSAConfig{DModel: 8, NumHeads: 2, ConvSize: 3, GateScale: 2, Seed: seed})
		}},
		{"LogLinearMamba2", func(seed uint64) (nn.Layer, error) {
			return linattn.NewLogLinearMamba2(linattn.LogLinearConfig{DModel: 8, Expand: 1, HeadDim: 4, DState: 3, MaxLevels: 4, Seed: seed})
		}},
		{"LogLinearMamba2 of two groups, long", func(seed uint64) (nn.Layer, error) {
			return linattn.NewLogLinearMamba2(linattn.LogLinearConfig{DModel: 8, Expand: 1, HeadDim: 2, DState: 2, Groups: 2, MaxLevels: 9, NoBias: true, Seed: seed})
		}},
		{"JRT", func(seed uint64) (nn.Layer, error) { // a prefix of one token lies in any first piece
			return linattn.NewJRT(linattn.JRTConfig{DModel: 8, NumHeads: 2, FeatureDim: 3, EncLength: 1, Seed: seed})
		}},
		{"LoLCATs", func(seed uint64) (nn.Layer, error) {
			return linattn.NewLoLCATs(linattn.LoLCATsConfig{DModel: 8, NumHeads: 2, NumKVHeads: 1, HeadDim: 4, RopeBase: 100, Window: 3, FeatureDim: 2, Seed: seed})
		}},
		{"LoLCATs affine", func(seed uint64) (nn.Layer, error) {
			return linattn.NewLoLCATs(linattn.LoLCATsConfig{DModel: 8, NumHeads: 2, Window: 4, Affine: true, Bias: true, Seed: seed})
		}},
	} {
		layertest.Run(t, c.name, func(seed uint64) nn.Layer { return must(c.make(seed)) }, 8)
	}
}

// bounded is HGRN2 under a lower bound, as in a model's later layers.
type bounded struct {
	*linattn.HGRN2
	weights *tensor.Tensor // [layers, channels]
}

func (b bounded) Params() nn.Params {
	return append(b.HGRN2.Params(), nn.Param{Name: "lower_bounds", Tensor: b.weights})
}

func (b bounded) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	return b.Mix(x, linattn.LowerBounds(tensor.Enter(x.Scope(), b.weights)).Select(0, 2), st)
}

func TestLowerBounds(t *testing.T) {
	layertest.Run(t, "HGRN2 bounded", func(seed uint64) nn.Layer {
		l, err := linattn.NewHGRN2(linattn.HGRN2Config{DModel: 8, NumHeads: 2, HeadDim: 3, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		return bounded{l, nn.Normal(nn.NewRNG(seed), 1, 4, 6)}
	}, 8)
	w := nn.Full(0, 4, 3)
	lower := linattn.LowerBounds(w)
	for i := range 4 {
		if got, want := lower.At(i, 1), float64(i)/4; math.Abs(got-want) > 1e-6 {
			t.Errorf("layer %d: lower bound %v, want %v", i, got, want)
		}
	}
}

// Tokens of the prefix see what comes after them in it; later pieces only see back.
func TestJRTPrefix(t *testing.T) {
	l, err := linattn.NewJRT(linattn.JRTConfig{DModel: 8, NumHeads: 2, FeatureDim: 3, EncLength: 6})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	x := noise(rng, 2, 15, 8)
	want := l.Forward(x, nil)
	for _, first := range []int{6, 7, 14} {
		st := l.NewState(2)
		got := tensor.Concat(1, l.Forward(x.Narrow(1, 0, first), st), l.Forward(x.Narrow(1, first, 15), st))
		if e := gradcheck.Difference(got.Float64s(), want.Float64s()); !(e <= 1e-5) {
			t.Errorf("first piece of %d: outputs differ by %.2g", first, e)
		}
	}
	for i, changes := range map[int]bool{5: true, 6: false} {
		y := x.Clone()
		y.Data()[i*8] += 1
		same := gradcheck.Difference(l.Forward(y, nil).Narrow(1, 0, 1).Float64s(), want.Narrow(1, 0, 1).Float64s()) == 0
		if same == changes {
			t.Errorf("token %d of a prefix of 6: does the first output depend on it? %v, want %v", i, !same, changes)
		}
	}
	if got := linattn.JRTPrompt([]int{1, 2}, []int{3}); !slices.Equal(got, []int{1, 2, 3, 1, 2, 3}) {
		t.Errorf("prompt read twice is %v", got)
	}
}

// Prefixes of different lengths in one batch are those of layers with these lengths.
func TestJRTRaggedPrefixes(t *testing.T) {
	const T = 11
	lengths := []int{3, 7, 0}
	layer := func(enc int) *linattn.JRT {
		l, err := linattn.NewJRT(linattn.JRTConfig{DModel: 8, NumHeads: 2, FeatureDim: 3, EncLength: enc})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	x := noise(rand.New(rand.NewPCG(8, 8)), 3, T, 8)
	l, st := layer(5), layer(5).NewState(3)
	got := tensor.Concat(1, l.ForwardPrefix(x.Narrow(1, 0, 8), lengths, st), l.Forward(x.Narrow(1, 8, T), st))
	for b, n := range lengths[:2] {
		want := layer(n).Forward(x.Narrow(0, b, b+1), nil)
		if e := gradcheck.Difference(got.Narrow(0, b, b+1).Float64s(), want.Float64s()); !(e <= 1e-5) {
			t.Errorf("prefix of %d: outputs differ by %.2g", n, e)
		}
	}
	// No prefix at all is Based.
	based, err := linattn.NewBased(linattn.BasedConfig{DModel: 8, NumHeads: 2, FeatureDim: 3})
	if err != nil {
		t.Fatal(err)
	}
	want := based.Forward(x.Narrow(0, 2, 3), nil)
	if e := gradcheck.Difference(got.Narrow(0, 2, 3).Float64s(), want.Float64s()); !(e <= 1e-5) {
		t.Errorf("no prefix: outputs differ by %.2g from Based's", e)
	}
	leaves := []*tensor.Tensor{x}
	for _, p := range l.Params() {
		leaves = append(leaves, p.Tensor)
	}
	gradcheck.Check(t, "ragged", leaves, func(s *tensor.Scope) *tensor.Tensor {
		return l.ForwardPrefix(tensor.Enter(s, x), lengths, nil)
	}, 1e-4)
}

// Retention as torchscale writes it: angles base^{−i/(D/2−1)} on pairs side by
// side, decays 1 − 2^{−5−h}, RMSNorm without a weight.
func TestRetNetOriginalEquation(t *testing.T) {
	const T, D, H, K, V = 9, 8, 2, 4, 8
	l, err := linattn.NewRetNet(linattn.RetNetConfig{DModel: D, NumHeads: H, Original: true, RopeBase: 30})
	if err != nil {
		t.Fatal(err)
	}
	x := noise(rand.New(rand.NewPCG(9, 9)), 1, T, D)
	project := func(name string) *tensor.Tensor { return tensor.MatMulT(x, find(t, l, name+"_proj.weight")) }
	q, k, v := project("q"), project("k"), project("v")
	turned := func(x *tensor.Tensor, t, h, i int) float64 { // channel i of head h
		s, c := math.Sincos(float64(t) * math.Pow(30, -float64(i/2)/(K/2-1)))
		a, b := x.At(0, t, h*K+i), x.At(0, t, h*K+(i^1))
		if i%2 == 0 {
			return a*c - b*s
		}
		return a*c + b*s
	}
	o := tensor.New(1, T, H, V)
	for h := range H {
		for i := range T {
			for j := range i + 1 {
				score := 0.0
				for c := range K {
					score += turned(q, i, h, c) * turned(k, j, h, c)
				}
				score *= math.Pow(1-math.Exp2(-5-float64(h)), float64(i-j)) / math.Sqrt(K)
				for c := range V {
					o.Data()[(i*H+h)*V+c] += float32(score * v.At(0, j, h*V+c))
				}
			}
		}
	}
	y := tensor.Mul(tensor.RMSNorm(o, nil, 1e-5).Reshape(1, T, H*V), tensor.SiLU(project("g")))
	want := tensor.MatMulT(y, find(t, l, "o_proj.weight"))
	if e := gradcheck.Difference(l.Forward(x, nil).Float64s(), want.Float64s()); !(e <= 1e-5) {
		t.Errorf("outputs differ by %.2g", e)
	}
}

// The hybrid as its equation has it, over all pairs of tokens.
func TestLoLCATsEquation(t *testing.T) {
	const T, D, F, W = 12, 4, 3, 5
	l, err := linattn.NewLoLCATs(linattn.LoLCATsConfig{DModel: D, NumHeads: 1, Window: W, FeatureDim: F})
	if err != nil {
		t.Fatal(err)
	}
	l.Factors.Data()[0] = 0.4
	x := noise(rand.New(rand.NewPCG(2, 2)), 1, T, D)
	weight := func(name string) *tensor.Tensor {
		p, ok := l.Params().Find(name)
		if !ok {
			t.Fatalf("no weight %s", name)
		}
		return p.Tensor
	}
	project := func(name string) *tensor.Tensor { return tensor.MatMulT(x, weight(name+"_proj.weight")).Reshape(T, D) }
	feature := func(x, w *tensor.Tensor) *tensor.Tensor {
		z := tensor.MatMul(x, w.Reshape(D, F))
		return tensor.Concat(-1, tensor.Softmax(z), tensor.Softmax(tensor.Neg(z)))
	}
	q, k, v := project("q"), project("k"), project("v")
	scores, linear := tensor.MatMulT(q, k), tensor.MatMulT(feature(q, l.MapQ), feature(k, l.MapK))
	a := tensor.New(T, T)
	for i := range T {
		top := math.Inf(-1)
		for j := max(0, i-W+1); j <= i; j++ {
			top = max(top, scores.At(i, j)/2)
		}
		for j := range i + 1 {
			w := linear.At(i, j)
			if j > i-W {
				w = math.Exp(scores.At(i, j)/2-top) / (1 + math.Exp(-0.4))
			}
			a.Data()[i*T+j] = float32(w)
		}
	}
	a = tensor.Div(a, tensor.Sum(a, -1, true))
	want := tensor.MatMulT(tensor.MatMul(a, v), weight("o_proj.weight"))
	if e := gradcheck.Difference(l.Forward(x, nil).Float64s(), want.Float64s()); !(e <= 1e-5) {
		t.Errorf("outputs differ by %.2g", e)
	}
}

func find(t *testing.T, l nn.Layer, name string) *tensor.Tensor {
	p, ok := l.Params().Find(name)
	if !ok {
		t.Fatalf("no weight %s", name)
	}
	return p.Tensor
}

// Gated slot attention as it is written: one head, its two memories token by token.
func TestGSAEquation(t *testing.T) {
	const T, D, M = 9, 4, 3
	l, err := linattn.NewGSA(linattn.GSAConfig{DModel: D, NumHeads: 1, NumSlots: M, GateScale: 2})
	if err != nil {
		t.Fatal(err)
	}
	x := noise(rand.New(rand.NewPCG(3, 3)), 1, T, D)
	project := func(name string) *tensor.Tensor {
		y := tensor.MatMulT(x, find(t, l, name+"_proj.weight"))
		return y.Reshape(T, y.Dim(-1))
	}
	q, k, v := tensor.SiLU(project("q")), tensor.SiLU(project("k")), tensor.SiLU(project("v"))
	f := tensor.Sqrt(tensor.Sigmoid(project("f")))
	var keys, vals [M][D]float64
	o := tensor.New(1, T, D)
	for i := range T {
		scores := tensor.New(M)
		for m := range M {
			s := 0.0
			for d := range D {
				keys[m][d] = f.At(i, m)*keys[m][d] + (1-f.At(i, m))*k.At(i, d)
				vals[m][d] = f.At(i, m)*vals[m][d] + (1-f.At(i, m))*v.At(i, d)
				s += keys[m][d] * q.At(i, d)
			}
			scores.Data()[m] = float32(s)
		}
		p := tensor.Softmax(scores)
		for d := range D {
			for m := range M {
				o.Data()[i*D+d] += float32(p.At(m) * vals[m][d])
			}
		}
	}
	want := tensor.MatMulT(tensor.RMSNorm(tensor.SiLU(o), nil, 1e-5), find(t, l, "o_proj.weight"))
	if e := gradcheck.Difference(l.Forward(x, nil).Float64s(), want.Float64s()); !(e <= 1e-5) {
		t.Errorf("outputs differ by %.2g", e)
	}
}

// Log-linear attention as it is defined, over all pairs of tokens: if the
// highest bit in which their positions differ is ℓ−1, one lies in the other's
// block of level ℓ.
func TestLogLinearEquation(t *testing.T) {
	const T, H, G, K, V = 301, 4, 2, 3, 5
	for _, L := range []int{10, 8, 5} { // up to 512 tokens, more than there are; up to 128; up to 16
		rng := rand.New(rand.NewPCG(6, 6))
		q, k, v := noise(rng, 1, T, G, K), noise(rng, 1, T, G, K), noise(rng, 1, T, H, V)
		g, levels := tensor.Scale(tensor.Square(noise(rng, 1, T, H)), -0.2), tensor.Square(noise(rng, 1, T, H, L))
		want := make([]float64, T*H*V)
		for h := range H {
			for i := range T {
				sum := 0.0 // of the log decays after j
				for j := i; j >= i>>(L-1)<<(L-1); j-- {
					w := levels.At(0, i, h, bits.Len(uint(i^j))) * math.Exp(sum)
					score := 0.0
					for c := range K {
						score += q.At(0, i, h*G/H, c) * k.At(0, j, h*G/H, c)
					}
					for c := range V {
						want[(i*H+h)*V+c] += 0.5 * w * score * v.At(0, j, h, c)
					}
					sum += g.At(0, j, h)
				}
			}
		}
		got := linattn.LogLinear(q, k, v, g, levels, 0.5, nil, nil)
		if e := gradcheck.Difference(got.Float64s(), want); !(e <= 2e-6) {
			t.Errorf("%d levels: outputs differ by %.2g", L, e)
		}
	}
}

// DeltaProduct as it is written: a token's steps, the decay before the first, the reading after the last.
func TestDeltaProductEquation(t *testing.T) {
	const T, D, K, V, N = 9, 4, 3, 2, 3
	l, err := linattn.NewDeltaProduct(linattn.DeltaProductConfig{DModel: D, Steps: N, NumHeads: 1, HeadDim: K, ValueDim: V, ConvSize: -1, NoGate: true, NegEigval: true})
	if err != nil {
		t.Fatal(err)
	}
	x := noise(rand.New(rand.NewPCG(4, 4)), 1, T, D)
	project := func(name string) *tensor.Tensor { return tensor.MatMulT(x, find(t, l, name+"_proj.weight")) }
	q := tensor.L2NormRsqrt(tensor.SiLU(project("q")).Reshape(T, K), 1e-6)
	k := tensor.L2NormRsqrt(tensor.SiLU(project("k")).Reshape(T, N, K), 1e-6)
	v := tensor.SiLU(project("v")).Reshape(T, N, V)
	beta := tensor.Scale(tensor.Sigmoid(project("b")), 2).Reshape(T, N)
	dt := tensor.Softplus(tensor.Add(project("a"), l.DtBias)).Reshape(T)
	var S [K][V]float64
	o := tensor.New(1, T, V)
	for i := range T {
		decay := math.Exp(-math.Exp(l.ALog.At(0)) * dt.At(i))
		for r := range K {
			for c := range V {
				S[r][c] *= decay
			}
		}
		for n := range N {
			var read [V]float64
			for r := range K {
				for c := range V {
					read[c] += S[r][c] * k.At(i, n, r)
				}
			}
			for r := range K {
				for c := range V {
					S[r][c] += beta.At(i, n) * k.At(i, n, r) * (v.At(i, n, c) - read[c])
				}
			}
		}
		for r := range K {
			for c := range V {
				o.Data()[i*V+c] += float32(S[r][c] * q.At(i, r) / math.Sqrt(K))
			}
		}
	}
	want := tensor.MatMulT(tensor.RMSNorm(o, nil, 1e-5), find(t, l, "o_proj.weight"))
	if e := gradcheck.Difference(l.Forward(x, nil).Float64s(), want.Float64s()); !(e <= 1e-5) {
		t.Errorf("outputs differ by %.2g", e)
	}
}

// ReBased's weights are (q·k)²/d over their sum.
func TestRebasedEquation(t *testing.T) {
	const T, D, F = 9, 4, 5
	l, err := linattn.NewRebased(linattn.RebasedConfig{DModel: D, NumHeads: 1, FeatureDim: F})
	if err != nil {
		t.Fatal(err)
	}
	x := noise(rand.New(rand.NewPCG(5, 5)), 1, T, D)
	project := func(name string, n int) *tensor.Tensor {
		return tensor.MatMulT(x, find(t, l, name+"_proj.weight")).Reshape(T, n)
	}
	a := tensor.Scale(tensor.Square(tensor.MatMulT(l.FeatureMap.Forward(project("q", F)), l.FeatureMap.Forward(project("k", F)))), 1.0/F)
	for i := range T {
		clear(a.Data()[i*T+i+1 : (i+1)*T])
	}
	a = tensor.Div(a, tensor.AddConst(tensor.Sum(a, -1, true), 1e-5))
	want := tensor.MatMulT(tensor.MatMul(a, project("v", D)), find(t, l, "o_proj.weight"))
	if e := gradcheck.Difference(l.Forward(x, nil).Float64s(), want.Float64s()); !(e <= 1e-5) {
		t.Errorf("outputs differ by %.2g", e)
	}
}

func TestBadLinearConfigs(t *testing.T) {
	err := func(_ any, err error) error { return err }
	for _, c := range []struct {
		err  error
		want string
	}{
		{err(linattn.NewDeltaNet(linattn.DeltaNetConfig{})), "DeltaNetConfig: DModel 0"},
		{err(linattn.NewDeltaNet(linattn.DeltaNetConfig{DModel: 8, NumHeads: -1})), "-1 heads"},
		{err(linattn.NewDeltaNet(linattn.DeltaNetConfig{DModel: 8, ConvSize: 5000})), "ConvSize 5000"},
		{err(linattn.NewGatedDeltaNet(linattn.GatedDeltaNetConfig{DModel: 64, NumHeads: 2, NumVHeads: 3})), "2 heads of keys, 3 of values"},
		{err(linattn.NewGatedDeltaNet(linattn.GatedDeltaNetConfig{DModel: 64, NormEps: math.NaN()})), "NormEps NaN"},
		{err(linattn.NewKDA(linattn.KDAConfig{DModel: 64, LowerBound: 5})), "LowerBound 5"},
		{err(linattn.NewKDA(linattn.KDAConfig{DModel: 64, GateRank: -3})), "-3"},
		{err(linattn.NewRetNet(linattn.RetNetConfig{DModel: 8, HeadDim: 3})), "HeadDim 3"},
		{err(linattn.NewGLA(linattn.GLAConfig{DModel: 8, GateScale: -1})), "GateScale -1"},
		{err(linattn.NewGLA(linattn.GLAConfig{DModel: 8, HeadDim: 1 << 30})), "channels for keys"},
		{err(linattn.NewSimpleGLA(linattn.SimpleGLAConfig{DModel: 8, GateScale: math.Inf(1)})), "GateScale +Inf"},
		{err(linattn.NewHGRN(linattn.HGRNConfig{DModel: 8, Expand: -2})), "Expand -2"},
		{err(linattn.NewHGRN2(linattn.HGRN2Config{DModel: -8})), "DModel -8"},
		{err(linattn.NewLinearAttention(linattn.LinearAttentionConfig{DModel: 8, Eps: 2})), "Eps 2"},
		{err(linattn.NewRebased(linattn.RebasedConfig{DModel: 8, FeatureDim: 1000})), "FeatureDim 1000"},
		{err(linattn.NewLightning(linattn.LightningConfig{DModel: 8, Layer: 3, NumLayers: 2})), "Layer 3 of 2"},
		{err(linattn.NewLightning(linattn.LightningConfig{DModel: 8, Slopes: []float64{1, 2}})), "2 Slopes for 1 heads"},
		{err(linattn.NewDeltaProduct(linattn.DeltaProductConfig{DModel: 64, Steps: 100})), "100 steps"},
		{err(linattn.NewDPLR(linattn.DPLRConfig{DModel: 64, GateRank: -1})), "-1"},
		{err(linattn.NewGSA(linattn.GSAConfig{DModel: 64, NumSlots: -1})), "NumSlots -1"},
		{err(linattn.NewLogLinearMamba2(linattn.LogLinearConfig{DModel: 33})), "DModel 33"},
		{err(linattn.NewLogLinearMamba2(linattn.LogLinearConfig{DModel: 64, MaxLevels: 99})), "MaxLevels 99"},
		{err(linattn.NewLogLinearMamba2(linattn.LogLinearConfig{DModel: 64, Groups: 3})), "3 heads of keys"},
		{err(linattn.NewJRT(linattn.JRTConfig{DModel: 64, EncLength: -1})), "EncLength -1"},
		{err(linattn.NewLoLCATs(linattn.LoLCATsConfig{DModel: 64, FeatureDim: -1})), "FeatureDim -1"},
		{err(linattn.NewLoLCATs(linattn.LoLCATsConfig{DModel: 64, Window: -1})), "Window -1"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("error is %v, want one with %q", c.err, c.want)
		}
	}
}
