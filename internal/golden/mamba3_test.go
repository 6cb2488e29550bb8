package golden

import (
	"github.com/subquad/subquad/ssm"
	"github.com/subquad/subquad/tensor"
)

func init() {
	stateGradsOf["mamba3_siso"] = []stateGrad{{0, "angle_state", "bhr", "bhr"}, {1, "ssm_state", "bhpn", "bhnp"}, {2, "k_state", "bhn", "bhn"}, {3, "v_state", "bhp", "bhp"}}
	operators["mamba3_siso"] = func(c *refCase) *operation {
		o := &operation{c: c}
		q, k, v := o.seq("Q", "bthn"), o.seq("K", "bthn"), o.seq("V", "bthp")
		adt, dt, trap := o.seq("ADT", "bht"), o.seq("DT", "bht"), o.seq("Trap", "bht")
		qb, kb, angles := o.fixed("Q_bias", "hn"), o.fixed("K_bias", "hn"), o.seq("Angles", "bthr")
		D, z := o.fixed("D", "h"), o.seq("Z", "bthp")
		B, H, P, G, N, R := v.t.Dim(0), v.t.Dim(2), v.t.Dim(3), q.t.Dim(2), q.t.Dim(3), angles.t.Dim(3)
		o.newState = func() *tensor.State {
			st := tensor.NewState("mamba3", B).Add("angle", tensor.New(B, H, R)).Add("ssm", tensor.New(B, H, N, P)).
				Add("k", tensor.New(B, H*N)).Add("v", tensor.New(B, H*P)).Add("angle_low", tensor.New(B, H, R))
			o.start(st, 0, "angle_state", "bhr", "bhr")
			o.start(st, 1, "ssm_state", "bhpn", "bhnp")
			o.start(st, 2, "k_state", "bhn", "bhn")
			o.start(st, 3, "v_state", "bhp", "bhp")
			return st
		}
		o.forward = func(_ *tensor.Scope, at pick, st *tensor.State) tensors {
			x := at(v)
			T := x.Dim(1)
			y := ssm.Trapezoid(ssm.TrapezoidInput{C: at(q).Reshape(B, T, 1, G, N), Bm: at(k).Reshape(B, T, 1, G, N), X: x.Reshape(B, T, 1, H, P), ADt: at(adt), Dt: at(dt), Trap: at(trap),
				CBias: at(qb).Reshape(H, 1, N), BBias: at(kb).Reshape(H, 1, N), Angles: at(angles)}, st, 0).Reshape(B, T, H, P)
			y = tensor.Add(y, tensor.Mul(x, at(D).Reshape(H, 1)))
			return tensors{tensor.Mul(y, tensor.SiLU(at(z)))}
		}
		o.outs = []output{{"out.y", "bthp"}}
		flat := func(part int) func(*tensor.State) []float64 {
			return func(st *tensor.State) []float64 { return st.Parts[part].Value.Float64s() }
		}
		o.states = []stateCheck{{"state.angle", flat(0)}, {"state.ssm", partValues(1, "bhnp", "bhpn")}, {"state.k", flat(2)}, {"state.v", flat(3)}}
		return o
	}
}
