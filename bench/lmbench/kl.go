package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/subquad/subquad/lm"
	"github.com/subquad/subquad/tensor"
)

// klTypes are what a model's matrices may be held in, in the order of the
// table, and last the precisions that products may have, which differ where there are tiles, and for blocks with panels.
var klTypes = []string{"bf16", "f16", "q8_0", "q6_k", "q4_k", "q4_0", "f32 high", "f32 medium", "bf16 medium", "q8_0 high", "q8_0 medium", "q4_0 medium"}

// klTokens is how long a text the model writes itself.
const klTokens = 512

// A klRow says how far a model with narrowed matrices is from the same model in float32.
type klRow struct {
	Type       string
	Narrowed   float64 // part of the matrices' numbers that the type's blocks fit
	Bytes      int     // of all weights
	Mean, Most float64 // KL divergence of a position's distribution, in nats
	Perplexity float64 // of the text
	Same       float64 // part of the positions with the same likeliest token
}

// kl measures each type on a text; load gives the model in float32, anew. The
// first row is float32 itself.
func kl(load func() (*lm.Model, error), text []int) (rows []klRow, err error) {
	var truth []float32
	for _, name := range append([]string{"f32"}, klTypes...) {
		m, err := load()
		if err != nil {
			return nil, err
		}
		if truth == nil && text == nil {
			if text, err = ownText(m); err != nil {
				return nil, err
			}
		}
		r := klRow{Type: name}
		name, prec, _ := strings.Cut(name, " ")
		fits, all := 0, 0
		for _, p := range m.Params() {
			if p.Matrix {
				all += p.Len()
				if p.Fits(dtypes[name]) {
					fits += p.Len()
				}
			}
		}
		r.Narrowed = float64(fits) / float64(all)
		if name != "f32" {
			m.Narrow(dtypes[name])
		}
		for _, p := range m.Params() {
			r.Bytes += p.Bytes()
		}
		s := tensor.NewScope(tensor.MatMulPrecision(tensor.Precision(max(0, slices.Index(precisions, prec)))))
		y, err := m.Forward(s, [][]int{text[:len(text)-1]}, nil)
		if err != nil {
			return nil, err
		}
		logits := y.Data()
		if truth == nil {
			truth = append([]float32(nil), logits...)
		}
		vocab := m.Vocab()
		n := len(text) - 1
		for t := range n {
			p, q := truth[t*vocab:][:vocab], logits[t*vocab:][:vocab]
			lp, lq := logSum(p), logSum(q)
			d, bestP, bestQ := 0.0, 0, 0
			for i := range vocab {
				a, b := float64(p[i])-lp, float64(q[i])-lq
				d += math.Exp(a) * (a - b)
				if p[i] > p[bestP] {
					bestP = i
				}
				if q[i] > q[bestQ] {
					bestQ = i
				}
			}
			r.Mean += d / float64(n)
			r.Most = max(r.Most, d)
			r.Perplexity += (lq - float64(q[text[t+1]])) / float64(n)
			if bestP == bestQ {
				r.Same += 1 / float64(n)
			}
		}
		r.Perplexity = math.Exp(r.Perplexity)
		rows = append(rows, r)
	}
	return rows, nil
}

func logSum(x []float32) float64 {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, float64(v))
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v) - top)
	}
	return top + math.Log(sum)
}

// ownText is what the model writes from token 10 (a new line in bytes) on: a
// text of the kind that it knows, whatever its vocabulary.
func ownText(m *lm.Model) ([]int, error) {
	text := []int{min(10, m.Vocab()-1)}
	o := lm.Options{MaxTokens: klTokens, Sampler: &lm.Sampler{Temperature: 1, Seed: 1}}
	for id, err := range m.Generate(context.Background(), text, m.NewState(1), o) {
		if err != nil {
			return nil, err
		}
		text = append(text, id)
	}
	return text, nil
}

// klText reads a text for a model of bytes; "self" is the model's own.
func klText(path string, vocab int) ([]int, error) {
	if path == "self" {
		return nil, nil
	}
	if vocab != 256 {
		return nil, fmt.Errorf("-kl %s: the model has %d tokens: want 256, one a byte, or -kl self", path, vocab)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(b) < 2 {
		return nil, fmt.Errorf("-kl %s: %d bytes: want at least 2", path, len(b))
	}
	var ids []int
	for _, c := range b[:min(len(b), 4096)] {
		ids = append(ids, int(c))
	}
	return ids, nil
}

func printKL(w io.Writer, rows []klRow) {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "type\tnarrowed\tMB\tKL mean\tKL most\tperplexity\tsame first\t")
	for _, r := range rows {
		fmt.Fprintf(out, "%s\t%.0f %%\t%.2f\t%.2e\t%.2e\t%.4f\t%.1f %%\t\n", r.Type, 100*r.Narrowed, float64(r.Bytes)/1e6, r.Mean, r.Most, r.Perplexity, 100*r.Same)
	}
	out.Flush()
}
