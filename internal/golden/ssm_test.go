package golden

import (
	"math/cmplx"
	"slices"

	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/ssm"
	"github.com/subquad/subquad/tensor"
)

func init() {
	direct["hippo_legs"] = hippoLegS
	layers["mamba2_layer"] = mamba2Layer
	layers["falcon_mamba_layer"] = falconMambaLayer
	layers["jamba_mamba_layer"] = jambaMambaLayer
	layers["selective_state_update"] = selectiveStateUpdate
}

func mamba2Layer(c *refCase) *operation {
	m, err := ssm.NewMamba2(ssm.Mamba2Config{
		DModel: c.int("hidden_size", 0), DState: c.int("state_size", 0), HeadDim: c.int("head_dim", 0), Groups: c.int("n_groups", 0), FullNorm: true,
	})
	o := layer(c, m, err)
	o.states = []stateCheck{{"state.recurrent", partValues(1, "bhnp", "bhpn")}}
	return o
}

func falconMambaLayer(c *refCase) *operation {
	m, err := ssm.NewMamba(ssm.MambaConfig{DModel: c.int("hidden_size", 0), DState: c.int("state_size", 16), DtRank: c.int("time_step_rank", 0), Norm: ssm.PlainNorm})
	o := layer(c, m, err)
	o.states = []stateCheck{{"state.recurrent", partValues(1, "bne", "ben")}}
	return o
}

func jambaMambaLayer(c *refCase) *operation {
	m, err := ssm.NewMamba(ssm.MambaConfig{DModel: c.int("hidden_size", 0), DState: c.int("mamba_d_state", 16), DtRank: c.int("mamba_dt_rank", 0), Norm: ssm.WeightedNorm})
	o := layer(c, m, err)
	o.states = []stateCheck{{"state.recurrent", partValues(1, "bne", "ben")}}
	return o
}

// selectiveStateUpdate is one token of the selective scan; heads lie side by
// side as channels, and the sequence is one token long.
func selectiveStateUpdate(c *refCase) *operation {
	o := &operation{c: c, length: 1, noSplit: true}
	flat := func(name string, shape ...int) *tensor.Tensor {
		return heap(c.float64s("in."+name), shape)
	}
	shape := c.shape("in.state")
	B, E, N := shape[0], product(shape[1:len(shape)-1]), shape[len(shape)-1]
	G := product(c.shape("in.B")) / (B * N)
	x, dt, z := flat("x", B, 1, E), flat("dt", B, 1, E), flat("z", B, 1, E)
	A, Bm, Cm := flat("A", E, N), flat("B", B, 1, G, N), flat("C", B, 1, G, N)
	D, bias := flat("D", E), flat("dt_bias", E)
	start, _ := permute(c.float64s("in.state"), []int{B, E, N}, "ben", "bne")
	o.newState = func() *tensor.State {
		return tensor.NewState("update", B).Add("h", heap(slices.Clone(start), []int{B, N, E}))
	}
	o.forward = func(s *tensor.Scope, _ pick, st *tensor.State) tensors {
		step := tensor.Softplus(tensor.Add(tensor.Enter(s, dt), bias))
		y := scan.Selective(tensor.Enter(s, x), step, tensor.Enter(s, A), tensor.Enter(s, Bm), tensor.Enter(s, Cm), tensor.Enter(s, D), st.Part(0))
		y = tensor.Mul(y, tensor.SiLU(tensor.Enter(s, z)))
		return tensors{y.Reshape(c.shape("out.y")...)}
	}
	o.outs = []output{{"out.y", "bhp"}}
	o.states = []stateCheck{{"state.final", func(st *tensor.State) []float64 {
		v, _ := permute(st.Parts[0].Value.Float64s(), []int{B, N, E}, "bne", "ben")
		return v
	}}}
	return o
}

// complexOf joins the parts of a complex tensor of the file.
func (c *refCase) complexOf(name string) (z []complex128) {
	im := c.float64s(name + ".im")
	for i, re := range c.float64s(name + ".re") {
		z = append(z, complex(re, im[i]))
	}
	return z
}

// parts are real and imaginary parts in turn, so that both are compared on one scale.
func parts(z []complex128) (v []float64) {
	for _, c := range z {
		v = append(v, real(c), imag(c))
	}
	return v
}

// hippoLegS compares what does not depend on the phases of the eigenvectors.
func hippoLegS(c *refCase) (r result) {
	n := c.int("N", 0)
	A, B, err := ssm.LegS.Matrices(n)
	if err != nil {
		return result{bad: []string{err.Error()}}
	}
	lambda, P, eigB, _, err := ssm.NPLR(n)
	if err != nil {
		return result{bad: []string{err.Error()}}
	}
	const tolerance = 1e-11
	r.check(c, &r.whole, "out.A", A.RawMatrix().Data, c.float64s("out.A"), tolerance)
	r.check(c, &r.whole, "out.B", B, c.float64s("out.B"), tolerance)
	r.check(c, &r.whole, "out.W", parts(lambda), parts(c.complexOf("out.W")), tolerance)
	abs := make([]float64, len(eigB))
	BP := make([]complex128, len(eigB))
	for i, b := range eigB {
		abs[i], BP[i] = cmplx.Abs(b), b*cmplx.Conj(P[i])
	}
	r.check(c, &r.whole, "out.abs_B", abs, c.float64s("out.abs_B"), tolerance)
	r.check(c, &r.whole, "out.B_conjP", parts(BP), parts(c.complexOf("out.B_conjP")), tolerance)
	return r
}
