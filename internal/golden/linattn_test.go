package golden

import (
	"github.com/subquad/subquad/linattn"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

func init() {
	layers["gated_deltanet_layer"] = gatedDeltaNetLayer
	layers["kda_kimi_layer"] = kdaKimiLayer
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
