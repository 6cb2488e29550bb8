package lm_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/gradcheck"
	"github.com/subquad/subquad/lm"
	"github.com/subquad/subquad/lm/checkpoint"
	"github.com/subquad/subquad/lm/tokenizer"
	"github.com/subquad/subquad/tensor"
)

var trained = []string{"rwkv-4v0-660K", "rwkv-7v0-834K"}

func load(t testing.TB, name string) *lm.Model {
	t.Helper()
	m, err := lm.LoadRWKV(filepath.Join("testdata", name, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The trained models give the logits that their original code gives, whole,
// in pieces and token by token, at every level.
func TestTrainedModels(t *testing.T) {
	best := hw.Current()
	defer hw.Set(best)
	for _, name := range trained {
		f, err := checkpoint.Open(filepath.Join("testdata", name, "golden.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, _ := f.Info("input_ids")
		raw := make([]int64, info.Len())
		want := make([]float32, 256)
		if err := errors.Join(f.Int64("input_ids", raw), f.Float32("logits_last", want)); err != nil {
			t.Fatal(err)
		}
		ids := make([]int, len(raw))
		for i, id := range raw {
			ids[i] = int(id)
		}
		m := load(t, name)
		for _, l := range hw.Levels() {
			hw.Set(l)
			for mode, pieces := range map[string][]int{"whole": {len(ids)}, "split": {1, 2, len(ids)}, "steps": {1}} {
				st, s := m.NewState(1), tensor.NewScope()
				var logits *tensor.Tensor
				for lo, i := 0, 0; lo < len(ids); i++ {
					n := min(pieces[min(i, len(pieces)-1)], len(ids)-lo)
					s.Reset()
					if logits, err = m.Last(s, [][]int{ids[lo : lo+n]}, st); err != nil {
						t.Fatal(err)
					}
					lo += n
				}
				worst := 0.0
				for i, w := range want {
					worst = max(worst, math.Abs(float64(logits.Data()[i]-w)))
				}
				t.Logf("%s %s %s: largest error of a logit %.1e", name, l, mode, worst)
				if !(worst <= 1e-4) {
					t.Errorf("%s %s %s: largest error of a logit is %g, want at most 1e-4", name, l, mode, worst)
				}
			}
		}
	}
}

func TestGenerateContinues(t *testing.T) {
	m := load(t, "rwkv-7v0-834K")
	tok := tokenizer.Bytes{}
	sample := func(o lm.Options, st *tensor.State, prompt []int) (ids []int) {
		for id, err := range m.Generate(context.Background(), prompt, st, o) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		return ids
	}
	prompt := tok.Encode("The little ")
	o := func(n int) lm.Options {
		return lm.Options{MaxTokens: n, Sampler: &lm.Sampler{}}
	}
	all := sample(o(30), m.NewState(1), prompt)

	// In two calls, with the state through a file between them.
	st := m.NewState(1)
	first := sample(o(12), st, prompt)
	path := filepath.Join(t.TempDir(), "state")
	if err := st.SaveFile(path); err != nil {
		t.Fatal(err)
	}
	restored := m.NewState(1)
	if err := restored.LoadFile(path); err != nil {
		t.Fatal(err)
	}
	rest := sample(o(18), restored, first[len(first)-1:])
	if got := append(first, rest...); !slices.Equal(got, all) {
		t.Errorf("in two calls: %q, in one: %q", tokenizer.Decode(tok, got), tokenizer.Decode(tok, all))
	}
	if got := sample(lm.Options{MaxTokens: 30, Chunk: 3, Workers: 2}, m.NewState(1), prompt); !slices.Equal(got, all) {
		t.Errorf("with a prompt read by threes: %q, want %q", tokenizer.Decode(tok, got), tokenizer.Decode(tok, all))
	}

	random := func() []int {
		return sample(lm.Options{MaxTokens: 20, Sampler: &lm.Sampler{Temperature: 1, TopP: 0.9, TopK: 50, Seed: 7}}, m.NewState(1), prompt)
	}
	if a, b := random(), random(); !slices.Equal(a, b) {
		t.Errorf("one seed gave %v and %v", a, b)
	}
	stop := all[5]
	if got := sample(lm.Options{MaxTokens: 30, Stop: []int{stop}}, m.NewState(1), prompt); !slices.Equal(got, all[:slices.Index(all, stop)]) {
		t.Errorf("stopping at %d gave %v of %v", stop, got, all)
	}
}

func TestGenerateEndsWithContext(t *testing.T) {
	m := load(t, "rwkv-7v0-834K")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := 0
	for _, err := range m.Generate(ctx, []int{65}, m.NewState(1), lm.Options{}) {
		if err != nil {
			if !errors.Is(err, context.Canceled) || n != 3 {
				t.Errorf("after %d tokens: %v", n, err)
			}
			return
		}
		if n++; n == 3 {
			cancel()
		}
	}
	t.Error("generation ended without an error")
}

func TestSaveAndLoad(t *testing.T) {
	for _, name := range trained {
		m := load(t, name)
		path := filepath.Join(t.TempDir(), "model.safetensors")
		if err := m.Save(path); err != nil {
			t.Fatal(err)
		}
		again, err := lm.LoadRWKV(path)
		if err != nil {
			t.Fatal(err)
		}
		a, err1 := m.Last(nil, [][]int{{1, 2, 3}}, nil)
		b, err2 := again.Last(nil, [][]int{{1, 2, 3}}, nil)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a.Data(), b.Data()) {
			t.Errorf("%s gives other logits after Save and Load", name)
		}
	}
}

func TestDecodeAllocatesNothing(t *testing.T) {
	for _, name := range trained {
		m := load(t, name)
		st, s := m.NewState(1), tensor.NewScope(tensor.Workers(1))
		ids := [][]int{{65}}
		step := func() {
			s.Reset()
			if _, err := m.Last(s, ids, st); err != nil {
				t.Fatal(err)
			}
		}
		step()
		if n := testing.AllocsPerRun(50, step); n != 0 {
			t.Errorf("%s: a decode step allocates %v times", name, n)
		}
	}
}

// The head of what Hidden gives are the logits of Forward, and the last of them those of Last.
func TestHidden(t *testing.T) {
	m := load(t, "rwkv-7v0-834K")
	ids := [][]int{{1, 2, 3, 4}, {5, 6, 7, 8}}
	states := []*tensor.State{m.NewState(2), m.NewState(2), m.NewState(2)}
	hidden, err1 := m.Hidden(nil, ids, states[0])
	logits, err2 := m.Forward(nil, ids, states[1])
	last, err3 := m.Last(nil, ids, states[2])
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	if e := gradcheck.Difference(m.Head.Forward(hidden).Float64s(), logits.Float64s()); e > 1e-6 {
		t.Errorf("Hidden's logits differ by %.2g", e)
	}
	if e := gradcheck.Difference(last.Float64s(), logits.Narrow(1, 3, 4).Float64s()); e > 1e-6 {
		t.Errorf("Last's logits differ by %.2g", e)
	}
	for _, st := range states {
		if !slices.Equal(st.Pos, []int64{4, 4}) {
			t.Errorf("the state has seen %v tokens", st.Pos)
		}
	}
	if _, err := m.Hidden(nil, ids, m.NewState(1)); err == nil {
		t.Error("Hidden takes a state of another batch")
	}
}

// Whatever comes from outside gets an error that says what, where and what was expected.
func TestBadInput(t *testing.T) {
	m := load(t, "rwkv-7v0-834K")
	s := tensor.NewScope()
	last := func(ids [][]int, st *tensor.State) error {
		_, err := m.Last(s, ids, st)
		return err
	}
	generate := func(prompt []int, st *tensor.State, o lm.Options) error {
		for _, err := range m.Generate(context.Background(), prompt, st, o) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	other := load(t, "rwkv-4v0-660K")
	four := lm.Options{MaxTokens: 4}
	broken := func(change func(ts []checkpoint.Tensor) []checkpoint.Tensor) error {
		var ts []checkpoint.Tensor
		for _, p := range m.Params() {
			ts = append(ts, checkpoint.Tensor{Name: p.Name, DType: checkpoint.F32, Shape: p.Shape(), Float32: p.Float32s()})
		}
		path := filepath.Join(t.TempDir(), "model.safetensors")
		if err := checkpoint.WriteFile(path, change(ts), nil); err != nil {
			t.Fatal(err)
		}
		_, err := lm.LoadRWKV(path)
		return err
	}
	at := func(ts []checkpoint.Tensor, name string) *checkpoint.Tensor {
		i := slices.IndexFunc(ts, func(x checkpoint.Tensor) bool { return x.Name == name })
		return &ts[i]
	}
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"no sequences", last(nil, nil), "no sequences"},
		{"no tokens", last([][]int{{}}, nil), "no tokens"},
		{"ragged", last([][]int{{1}, {1, 2}}, nil), "sequence 1 has 2 tokens, sequence 0 has 1"},
		{"token too large", last([][]int{{1, 256}}, nil), "token 1 of sequence 0 is 256: want 0 to 255"},
		{"token negative", last([][]int{{-1}}, nil), "token 0 of sequence 0 is -1"},
		{"state of another model", last([][]int{{1}}, other.NewState(1)), "want \"lm.rwkv7"},
		{"state of another batch", last([][]int{{1}}, m.NewState(2)), "for 2 sequences: want"},
		{"empty prompt", generate(nil, m.NewState(1), four), "the prompt is empty"},
		{"no state", generate([]int{1}, nil, four), "needs a state"},
		{"negative count", generate([]int{1}, m.NewState(1), lm.Options{MaxTokens: -1}), "MaxTokens -1"},
		{"temperature", generate([]int{1}, m.NewState(1), lm.Options{MaxTokens: 1, Sampler: &lm.Sampler{Temperature: math.NaN()}}), "Temperature NaN"},
		{"top-p", generate([]int{1}, m.NewState(1), lm.Options{MaxTokens: 1, Sampler: &lm.Sampler{TopP: 2}}), "TopP 2"},
		{"top-k", generate([]int{1}, m.NewState(1), lm.Options{MaxTokens: 1, Sampler: &lm.Sampler{TopK: -2}}), "TopK -2"},
		{"no file", func() error { _, err := lm.LoadRWKV("testdata/none"); return err }(), "no such file"},
		{"missing tensor", broken(func(ts []checkpoint.Tensor) []checkpoint.Tensor {
			return slices.DeleteFunc(ts, func(x checkpoint.Tensor) bool { return x.Name == "blocks.1.att.a0" })
		}), `no tensor "blocks.1.att.a0"`},
		{"unknown tensor", broken(func(ts []checkpoint.Tensor) []checkpoint.Tensor {
			return append(ts, checkpoint.Tensor{Name: "extra", DType: checkpoint.F32, Shape: []int{1}, Float32: []float32{1}})
		}), `a tensor "extra" that this model does not know`},
		{"wrong shape", broken(func(ts []checkpoint.Tensor) []checkpoint.Tensor {
			x := at(ts, "ln_out.weight")
			x.Shape, x.Float32 = []int{3}, []float32{1, 2, 3}
			return ts
		}), `tensor "ln_out.weight" has shape [3]`},
		{"NaN weight", broken(func(ts []checkpoint.Tensor) []checkpoint.Tensor {
			at(ts, "head.weight").Float32[7] = float32(math.NaN())
			return ts
		}), "NaN"},
		{"not RWKV", broken(func(ts []checkpoint.Tensor) []checkpoint.Tensor {
			return slices.DeleteFunc(ts, func(x checkpoint.Tensor) bool { return x.Name == "emb.weight" })
		}), `no tensor "emb.weight"`},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: error is %v, want one with %q", c.name, c.err, c.want)
		}
	}
	for _, c := range []lm.RWKVConfig{{}, {Version: 3, Vocab: 8, DModel: 64, NumLayers: 1}, {Version: 7, Vocab: 8, DModel: 65, NumLayers: 1}, {Version: 7, Vocab: 1 << 30, DModel: 64, NumLayers: 1}} {
		if _, err := lm.NewRWKV(c); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
}

func TestSamplerKeepsToWhatItShould(t *testing.T) {
	logits := []float32{0, 3, 1, 2, float32(math.Inf(-1))}
	for _, c := range []struct {
		s    lm.Sampler
		want []int
	}{
		{lm.Sampler{}, []int{1}},
		{lm.Sampler{Temperature: 1, TopK: 2}, []int{1, 3}},
		{lm.Sampler{Temperature: 1, TopP: 0.6}, []int{1}},
		{lm.Sampler{Temperature: 1, TopP: 0.7}, []int{1, 3}},
		{lm.Sampler{Temperature: 1}, []int{0, 1, 2, 3}},
	} {
		seen := map[int]bool{}
		for range 500 {
			id, err := c.s.Next(logits)
			if err != nil {
				t.Fatal(err)
			}
			seen[id] = true
		}
		var got []int
		for id := range seen {
			got = append(got, id)
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v chose among %v, want %v", c.s, got, c.want)
		}
	}
	inf := float32(math.Inf(1))
	for _, bad := range [][]float32{{}, {-inf, -inf}, {1, inf}, {1, float32(math.NaN())}} {
		if id, err := new(lm.Sampler).Next(bad); err == nil {
			t.Errorf("logits %v gave %d", bad, id)
		}
	}
}

func Example() {
	m, err := lm.LoadRWKV(filepath.Join("testdata", "rwkv-7v0-834K", "model.safetensors"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	tok := tokenizer.Bytes{}
	text := []byte("Once upon a time")
	for id, err := range m.Generate(context.Background(), tok.Encode(string(text)), m.NewState(1), lm.Options{MaxTokens: 24}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		text = tok.Append(text, id)
	}
	fmt.Println(string(text))
	// Output: Once upon a time the the the the the the
}
