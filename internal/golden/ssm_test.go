package golden

import (
	"fmt"
	"math/cmplx"
	"slices"
	"strings"

	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/ssm"
	"github.com/subquad/subquad/tensor"
)

func init() {
	direct["hippo_legs"] = hippoLegS
	direct["s4_dplr_kernel"] = s4Kernel
	layers["s4_block"] = s4Block
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

// s4Weights is an S4 with the case's weights, of output channel k of the
// reference's several, folded for kernels of length folded.
func s4Weights(c *refCase, C string, k, folded int) (*ssm.S4, error) {
	H, N := c.int("d_model", 0), c.int("d_state", 0)
	l, err := ssm.NewS4(ssm.S4Config{DModel: H, DState: N, Sets: c.int("n_ssm", 0), KernelLength: folded})
	if err != nil {
		return nil, err
	}
	for _, p := range l.Params() {
		name, values := "w."+strings.TrimPrefix(p.Name, "layer.kernel."), []float64(nil)
		switch {
		case name == "w.C":
			values = c.float64s(C)[k*H*N : (k+1)*H*N]
		case c.has(name):
			values = c.float64s(name)
		}
		for i, v := range values {
			p.Data()[i] = float32(v)
		}
	}
	clear(l.D.Data())
	return l, nil
}

// s4Kernel compares the dense constants, the kernel of weights C and of weights
// C̃, its gradients in C̃, and the answer to in.u token by token.
func s4Kernel(c *refCase) (r result) {
	H, N, L, K := c.int("d_model", 0), c.int("d_state", 0), c.int("L", 0), c.int("channels", 1)
	r.hasSplit, r.hasGrad = true, true
	shared := map[string][]float64{} // gradients of what the channels share
	for k := range K {
		name := func(s string) string { return fmt.Sprintf("%s channel %d", s, k) }
		raw, err := s4Weights(c, "w.C", k, 0)
		if err != nil {
			return result{bad: []string{err.Error()}}
		}
		folded, err := s4Weights(c, "out.C_tilde", k, L)
		if err != nil {
			return result{bad: []string{err.Error()}}
		}
		var dA, dB, dC []complex128
		for h := range H {
			A, B, C := raw.Dense(h)
			for i := range N {
				for j := range N {
					dA = append(dA, A.At(i, j))
				}
			}
			dB, dC = append(dB, B...), append(dC, C...)
		}
		// The second half of the reference's state is the conjugate of the first, as ours.
		if c.has("out.dA.re") {
			r.check(c, &r.whole, "out.dA", parts(dA), parts(c.complexOf("out.dA")), valueTolerance)
		}
		r.check(c, &r.whole, "out.dB", parts(dB), parts(c.complexOf("out.dB")), valueTolerance)
		r.check(c, &r.whole, "out.dC", parts(dC), parts(c.complexOf("out.dC")[k*H*N:][:H*N]), valueTolerance)

		want, _ := permute(c.float64s("out.K")[k*H*L:][:H*L], []int{H, L}, "ht", "th")
		r.check(c, &r.whole, "out.K", raw.Kernel(nil, L).Float64s(), want, valueTolerance)
		r.check(c, &r.whole, "out.K", folded.Kernel(nil, L).Float64s(), want, valueTolerance)

		s := tensor.NewScope(tensor.Record())
		y := folded.Kernel(s, L)
		r.check(c, &r.whole, "out.K", y.Float64s(), want, valueTolerance)
		cot, _ := permute(c.float64s("in.cotangent")[k*H*L:][:H*L], []int{H, L}, "ht", "th")
		s.Backward(tensor.SumAll(tensor.Mul(y, tensor.Enter(s, heap(cot, y.Shape())))))
		for _, p := range folded.Params() {
			grad := "grad." + strings.TrimPrefix(p.Name, "layer.kernel.")
			switch got := p.Grad().Float64s(); {
			case grad == "grad.C":
				r.check(c, &r.grad, name(grad), got, c.float64s(grad)[k*H*N:][:H*N], max(gradTolerance, c.tolerance(grad, 0)))
			case !c.has(grad):
			case shared[grad] == nil:
				shared[grad] = got
			default:
				for i, v := range got {
					shared[grad][i] += v
				}
			}
		}

		u := c.float64s("in.u")
		B := len(u) / (H * L)
		st := raw.NewState(B)
		var steps []*tensor.Tensor
		for t := range L {
			x := tensor.New(B, 1, H)
			for i := range B * H {
				x.Data()[i] = float32(u[i*L+t])
			}
			steps = append(steps, raw.SSM(x, st))
		}
		all, _ := permute(c.float64s("out.y_steps"), c.shape("out.y_steps"), "bcht", "cbth")
		r.check(c, &r.steps, "out.y_steps", tensor.Concat(1, steps...).Float64s(), all[k*B*H*L:][:B*H*L], valueTolerance)
		for i, part := range []string{"re", "im"} {
			name := "state.final." + part
			final, _ := permute(c.float64s(name), []int{B, H, N / 2}, "bhn", "bnh")
			r.check(c, &r.steps, name, st.Parts[i].Value.Float64s(), final, valueTolerance)
		}
	}
	for name, got := range shared {
		r.check(c, &r.grad, name, got, c.float64s(name), gradTolerance)
	}
	return r
}

func s4Block(c *refCase) *operation {
	l, err := ssm.NewS4(ssm.S4Config{DModel: c.int("d_model", 0), DState: c.int("d_state", 0), KernelLength: c.int("L", 0)})
	return layer(c, l, err)
}
