package golden

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"

	"github.com/subquad/subquad/lm"
	"github.com/subquad/subquad/tensor"
)

// direct runs cases that are not sequences.
var direct = map[string]func(c *refCase) result{}

// wholeModels runs a folder: logits in every mode, loss, gradients, greedy text.
var wholeModels = map[string]func(c *refCase, folder string) result{
	"rwkv4_model": rwkvModel,
	"rwkv7_model": rwkvModel,
}

func ints(v []float64) []int {
	out := make([]int, len(v))
	for i, x := range v {
		out[i] = int(x)
	}
	return out
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
