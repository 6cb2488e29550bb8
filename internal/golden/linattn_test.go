package golden

import (
	"github.com/subquad/subquad/linattn"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

func init() {
	layers["gated_deltanet_layer"] = gatedDeltaNetLayer
	layers["kda_kimi_layer"] = kdaKimiLayer
	layers["jrt_prefix_linear_attention_layer"] = jrtLayer
}

// A fused binds a layer whose checkpoint has several of its weights as one: the
// parts are cut out of that one in each run, so that its gradient is whole.
type fused struct {
	*operation
	cuts []func(at func(*leaf) *tensor.Tensor)
}

// weight is a leaf for a weight of the file that the layer has in parts.
func (f *fused) weight(name string, shape ...int) *leaf {
	l := &leaf{name: name, t: heap(f.c.float64s("w."+name), shape)}
	f.leaves = append(f.leaves, l)
	return l
}

// rows makes each of parts, in turn, the next of the rows of every block of w.
func (f *fused) rows(w *leaf, blocks int, parts ...**tensor.Tensor) {
	var sizes []int
	for _, p := range parts {
		sizes = append(sizes, (*p).Dim(0)/blocks)
	}
	f.cuts = append(f.cuts, func(at func(*leaf) *tensor.Tensor) {
		n := w.t.Dim(-1)
		all, lo := at(w).Reshape(blocks, w.t.Dim(0)/blocks, n), 0
		for i, p := range parts {
			*p = tensor.Contiguous(all.Narrow(1, lo, lo+sizes[i])).Reshape(blocks*sizes[i], n)
			lo += sizes[i]
		}
	})
}

// bind is layer for one with fused weights; own are those that the file has as the layer does.
func (f *fused) bind(l nn.Layer, own nn.Params) *operation {
	x := f.seq("x", "btc")
	for _, p := range own {
		f.leaves = append(f.leaves, &leaf{name: p.Name, t: p.Tensor})
		p.SetFloat64s(f.c.float64s("w." + p.Name))
	}
	f.newState = func() *tensor.State { return l.NewState(x.t.Dim(0)) }
	f.forward = func(_ *tensor.Scope, at func(*leaf) *tensor.Tensor, st *tensor.State) []*tensor.Tensor {
		for _, cut := range f.cuts {
			cut(at)
		}
		return []*tensor.Tensor{l.Forward(at(x), st)}
	}
	f.outs = []output{{"out.y", "btc"}}
	f.states = []stateCheck{{"state.recurrent", partValues(0, "bhkv", "bhkv")}}
	return f.operation
}

// gatedDeltaNetLayer: Qwen3-Next has q, k, v and z head by head in one
// projection, b and a in another, and one convolution over q, k and v.
func gatedDeltaNetLayer(c *refCase) *operation {
	D, G, H := c.int("hidden_size", 0), c.int("linear_num_key_heads", 0), c.int("linear_num_value_heads", 0)
	K, V := c.int("linear_key_head_dim", 0), c.int("linear_value_head_dim", 0)
	l, err := linattn.NewGatedDeltaNet(linattn.GatedDeltaNetConfig{DModel: D, NumHeads: G, NumVHeads: H, HeadDim: K, ValueDim: V, NormEps: 1e-6})
	if err != nil {
		panic(err)
	}
	f := &fused{operation: &operation{c: c}}
	f.rows(f.weight("in_proj_qkvz.weight", 2*G*K+2*H*V, D), G, &l.Q.Weight, &l.K.Weight, &l.V.Weight, &l.G.Weight)
	f.rows(f.weight("in_proj_ba.weight", 2*H, D), G, &l.B.Weight, &l.A.Weight)
	f.rows(f.weight("conv1d.weight", 2*G*K+H*V, 4), 1, &l.QConv.Weight, &l.KConv.Weight, &l.VConv.Weight)
	return f.bind(l, nn.Params{
		{Name: "A_log", Tensor: l.ALog}, {Name: "dt_bias", Tensor: l.DtBias},
		{Name: "norm.weight", Tensor: l.Norm.Weight}, {Name: "out_proj.weight", Tensor: l.O.Weight},
	})
}

// kdaKimiLayer: Hugging Face's Kimi Linear has one convolution over q, k and v, and other names.
func kdaKimiLayer(c *refCase) *operation {
	D, H, K := c.int("hidden_size", 0), c.int("linear_num_heads", 0), c.int("linear_head_dim", 0)
	l, err := linattn.NewKDA(linattn.KDAConfig{DModel: D, NumHeads: H, HeadDim: K, NoGateBias: true, NormEps: c.number("rms_norm_eps", 1e-5)})
	if err != nil {
		panic(err)
	}
	f := &fused{operation: &operation{c: c}}
	f.rows(f.weight("conv1d.weight", 3*H*K, 4), 1, &l.QConv.Weight, &l.KConv.Weight, &l.VConv.Weight)
	p := nn.Params{{Name: "forget_gate.A_log", Tensor: l.ALog}, {Name: "forget_gate.dt_bias", Tensor: l.DtBias}}
	for _, w := range []struct {
		name string
		l    *nn.Linear
	}{
		{"q_proj", l.Q}, {"k_proj", l.K}, {"v_proj", l.V}, {"o_proj", l.O}, {"b_proj", l.B},
		{"forget_gate.f_a_proj", l.F1}, {"forget_gate.f_b_proj", l.F2}, {"g_a_proj", l.G1}, {"g_b_proj", l.G2},
	} {
		p = append(p, w.l.Params().Prefix(w.name)...)
	}
	return f.bind(l, append(p, l.Norm.Params().Prefix("o_norm")...))
}

// taylorStates compares the sums of Based's layers. Our map is triangular:
// x_i x_j once, times √2 for i < j; the file has both.
func taylorStates(K, V int) []stateCheck {
	full := func(st *tensor.State, lo, hi int) []float64 { // [b, h, value, full features]
		v := st.Parts[0].Value
		B, H, F, W := v.Dim(0), v.Dim(1), 1+K+K*K, v.Dim(3)
		all, out := v.Float64s(), []float64{}
		for bh := range B * H {
			for col := lo; col < hi; col++ {
				at := func(f int) float64 { return all[(bh*v.Dim(2)+f)*W+col] }
				row := make([]float64, 0, F)
				for f := range 1 + K {
					row = append(row, at(f))
				}
				for i := range K {
					for j := range K {
						a, b := min(i, j), max(i, j)
						f := 1 + K + a*K - a*(a-1)/2 + b - a
						x := at(f)
						if i != j {
							x /= 1.4142135623730951
						}
						row = append(row, x)
					}
				}
				out = append(out, row...)
			}
		}
		return out
	}
	return []stateCheck{
		{"state.kv", func(st *tensor.State) []float64 { return full(st, 0, V) }},
		{"state.k", func(st *tensor.State) []float64 { return full(st, V, V+1) }},
	}
}

// jrtLayer runs whole only: the first piece must hold the prefix.
func jrtLayer(c *refCase) *operation {
	D, H, K := c.int("embed_dim", 0), c.int("num_heads", 0), c.int("feature_dim", 0)
	l, err := linattn.NewJRT(linattn.JRTConfig{DModel: D, NumHeads: H, FeatureDim: K, EncLength: c.int("enc_length", 0)})
	o := layer(c, l, err)
	o.noSplit = true
	o.states = taylorStates(K, D/H)
	return o
}
