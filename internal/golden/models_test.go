package golden

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"

	"github.com/subquad/subquad/fft"
	"github.com/subquad/subquad/lm"
	"github.com/subquad/subquad/ssm"
	"github.com/subquad/subquad/tensor"
)

// direct runs cases that are not sequences.
var direct = map[string]func(c *refCase) result{
	"fft":        fourier,
	"s4d_kernel": s4dKernel,
}

// fourier compares complex, real and inverse transforms of each length in the file.
func fourier(c *refCase) (r result) {
	for _, name := range c.file.Names() {
		size, ok := strings.CutPrefix(name, "in.re.")
		if !ok {
			continue
		}
		float32s := func(name string) []float32 {
			var x []float32
			for _, v := range c.float64s(name) {
				x = append(x, float32(v))
			}
			return x
		}
		n := product(c.shape(name))
		p, err1 := fft.NewPlan(n)
		real, err2 := fft.NewRealPlan(n)
		if err := errors.Join(err1, err2); err != nil {
			return result{bad: []string{err.Error()}}
		}
		check := func(kind string, re, im []float32) {
			if !c.has("out." + kind + "." + size + ".re") {
				return
			}
			// One complex number: both parts over the larger's scale.
			var got, want []float64
			for i := range re {
				got = append(got, float64(re[i]), float64(im[i]))
			}
			wr, wi := c.float64s("out."+kind+"."+size+".re"), c.float64s("out."+kind+"."+size+".im")
			for i := range wr {
				want = append(want, wr[i], wi[i])
			}
			r.check(c, &r.whole, "out."+kind+"."+size, got, want, 1e-6)
		}
		re, im := float32s(name), float32s("in.im."+size)
		p.Forward(re, im, 1)
		check("fft", re, im)
		re, im = float32s(name), float32s("in.im."+size)
		p.Inverse(re, im, 1)
		check("ifft", re, im)
		re, im = make([]float32, n/2+1), make([]float32, n/2+1)
		real.Forward(re, im, float32s(name), 1)
		check("rfft", re, im)
	}
	return r
}

// s4dKernel compares the discretised constants, the convolution kernel with its
// gradients, and what a given initial state adds, token by token.
func s4dKernel(c *refCase) (r result) {
	l, err := ssm.NewS4D(s4dConfig(c))
	if err != nil {
		return result{bad: []string{err.Error()}}
	}
	H, N := c.int("d_model", 0), c.int("d_state", 0)/2
	for _, p := range l.Params() {
		if name := "w." + strings.TrimPrefix(p.Name, "layer.kernel."); c.has(name) {
			for i, v := range c.float64s(name) {
				p.Data()[i] = float32(v)
			}
		}
	}
	L := c.int("L", 0)
	s := tensor.NewScope(tensor.Record())
	k := l.Kernel(s, L)
	want, _ := permute(c.float64s("out.K"), c.shape("out.K"), "cht", "cth")
	r.check(c, &r.whole, "out.K", k.Float64s(), want, valueTolerance)
	r.hasGrad = true
	cot, _ := permute(c.float64s("in.cotangent"), c.shape("in.cotangent"), "cht", "cth")
	s.Backward(tensor.SumAll(tensor.Mul(k, tensor.Enter(s, heap(cot, k.Shape())))))
	for _, p := range l.Params() {
		if name := strings.TrimPrefix(p.Name, "layer.kernel."); c.has("grad." + name) {
			r.check(c, &r.grad, "grad."+name, p.Grad().Float64s(), c.float64s("grad."+name), gradTolerance)
		}
	}

	// Tokens of zero from the initial state in.state [batch, H, N, re and im].
	clear(l.D.Data())
	state := c.float64s("in.state")
	batch := c.shape("in.state")[0]
	st := l.NewState(batch)
	for b := range batch {
		for h := range H {
			for n := range N {
				from, to := 2*((b*H+h)*N+n), (b*N+n)*H+h
				st.Parts[0].Value.Data()[to] = float32(state[from])
				st.Parts[1].Value.Data()[to] = float32(state[from+1])
			}
		}
	}
	quiet := st.Clone()
	r.hasSplit = true
	y := l.SSM(tensor.New(batch, L, H), quiet)
	// The reference reads the state before the first token's step has been
	// taken once more: out.K_state[t] is 2 Re C Ā^{t+1} s.
	want, _ = permute(c.float64s("out.K_state"), c.shape("out.K_state"), "bcht", "cbth")
	r.check(c, &r.split, "out.K_state", y.Float64s(), want, valueTolerance)
	u := c.float64s("in.u")
	var steps []*tensor.Tensor
	for t := range L {
		x := tensor.New(batch, 1, H)
		for i := range batch * H {
			x.Data()[i] = float32(u[i*L+t])
		}
		steps = append(steps, l.SSM(x, st))
	}
	want, _ = permute(c.float64s("out.y_steps_from_state"), c.shape("out.y_steps_from_state"), "bcht", "cbth")
	r.check(c, &r.steps, "out.y_steps_from_state", tensor.Concat(1, steps...).Float64s(), want, valueTolerance)
	for i, name := range []string{"state.final.re", "state.final.im"} {
		v := st.Parts[i].Value
		got, _ := permute(v.Float64s(), v.Shape(), "bnh", "bhn")
		r.check(c, &r.steps, name, got, c.float64s(name), valueTolerance)
	}
	return r
}

// wholeModels runs a folder: logits in every mode, loss, gradients, greedy text.
var wholeModels = map[string]func(c *refCase, folder string) result{
	"rwkv5_model":        rwkvModel,
	"rwkv6_model":        rwkvModel,
	"rwkv4_model":        rwkvModel,
	"rwkv7_model":        rwkvModel,
	"hf_mamba":           hfModel,
	"hf_mamba2":          hfModel,
	"hf_falcon_mamba":    hfModel,
	"fla_gla":            hfModel,
	"fla_retnet":         hfModel,
	"fla_delta_net":      hfModel,
	"fla_gated_deltanet": hfModel,
	"fla_kda":            hfModel,
	"fla_mamba2_fla":     hfModel,
	"hf_llama":           hfModel,
}

func (c *refCase) ids(name string) [][]int {
	shape := c.shape(name)
	all := make([]int64, product(shape))
	if err := c.file.Int64(name, all); err != nil {
		panic(err)
	}
	out := make([][]int, shape[0])
	for i := range out {
		for _, id := range all[i*shape[1] : (i+1)*shape[1]] {
			out[i] = append(out[i], int(id))
		}
	}
	return out
}

func rwkvModel(c *refCase, folder string) (r result) {
	m, err := lm.LoadRWKV(filepath.Join(folder, "model.safetensors"))
	return wholeModel(c, m, err)
}

func hfModel(c *refCase, folder string) (r result) {
	m, err := lm.Load(folder)
	return wholeModel(c, m, err)
}

func wholeModel(c *refCase, m *lm.Model, err error) (r result) {
	if err != nil {
		return result{bad: []string{err.Error()}}
	}
	ids := c.ids("in.input_ids")
	T := len(ids[0])
	want := c.float64s("out.logits")
	r.hasSplit, r.hasGrad = true, true
	run := func(mode *float64, pieces []int) {
		st := m.NewState(len(ids))
		s := tensor.NewScope()
		var all []*tensor.Tensor
		lo := 0
		for _, n := range pieces {
			part := make([][]int, len(ids))
			for b := range ids {
				part[b] = ids[b][lo : lo+n]
			}
			logits, err := m.Forward(s, part, st)
			if err != nil {
				r.bad = append(r.bad, err.Error())
				return
			}
			all = append(all, logits)
			lo += n
		}
		r.check(c, mode, "out.logits", tensor.Concat(1, all...).Float64s(), want, valueTolerance)
	}
	run(&r.whole, []int{T})
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3 {
		var cuts []int
		for rest := T; rest > 0; {
			n := 1 + rng.IntN(rest)
			cuts, rest = append(cuts, n), rest-n
		}
		run(&r.split, cuts)
	}
	ones := make([]int, T)
	for i := range ones {
		ones[i] = 1
	}
	run(&r.steps, ones)

	// mean cross entropy of logits[:, :-1] against ids[:, 1:]
	s := tensor.NewScope(tensor.Record())
	logits, err := m.Forward(s, ids, nil)
	if err != nil {
		r.bad = append(r.bad, err.Error())
		return r
	}
	targets := make([]int, 0, len(ids)*T)
	for b := range ids {
		targets = append(append(targets, ids[b][1:]...), -100)
	}
	loss := tensor.CrossEntropy(logits, targets)
	r.check(c, &r.whole, "out.loss", loss.Float64s(), c.float64s("out.loss"), valueTolerance)
	s.Backward(loss)
	for _, p := range m.Params() {
		if c.has("grad." + p.Name) {
			r.check(c, &r.grad, "grad."+p.Name, p.Grad().Float64s(), c.float64s("grad."+p.Name), gradTolerance)
		}
	}
	greedy := c.ids("out.greedy_ids")[0]
	prompt := len(greedy) - 20
	i := prompt
	for id, err := range m.Generate(context.Background(), greedy[:prompt], m.NewState(1), lm.Options{MaxTokens: 20}) {
		if err != nil || id != greedy[i] {
			r.bad = append(r.bad, fmt.Sprintf("out.greedy_ids: token %d is %d, want %d (%v)", i, id, greedy[i], err))
			break
		}
		i++
	}
	return r
}
