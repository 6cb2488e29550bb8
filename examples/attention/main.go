// Attention asks how much a layer can recall: a document of pairs, a key and
// its value, then the question which value belongs to one of the keys. Nothing
// is trained: the weights are put in place by hand, so that what a layer finds
// and what it loses follows from its equations alone.
//
//	go run ./examples/attention
//	go run ./examples/attention -pairs 4096 -trials 200 -plot recall.svg
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/subquad/subquad/linattn"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

const (
	values = 16 // there are so many different values: guessing finds 1 in 16
	window = 64 // tokens that the windowed layer sees
)

type settings struct {
	pairs, trials int
	plot          string
	seed          uint64
}

func main() {
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "Attention compares what layers with constructed weights recall of a document of pairs.\n\n")
		flag.PrintDefaults()
	}
	var c settings
	flag.IntVar(&c.pairs, "pairs", 2048, "pairs in the longest document; lengths double from 16")
	flag.IntVar(&c.trials, "trials", 64, "documents, with a question each, for a figure")
	flag.StringVar(&c.plot, "plot", "", "draw the table into this SVG file")
	flag.Uint64Var(&c.seed, "seed", 1, "of the documents")
	flag.Parse()
	if err := run(os.Stdout, c); err != nil {
		fmt.Fprintln(os.Stderr, "attention:", err)
		os.Exit(1)
	}
}

// A reader is a way to read a document and to answer the question after it.
type reader struct {
	name     string
	channels // of a token
	prompt   func(parts ...[]int) []int
	pen      pen
	makers   []maker
	layers   []nn.Layer // x ← x + layer(x), one after another
}

// A maker makes a layer with its weights in place.
type maker func(channels) (nn.Layer, error)

// once is the plain prompt; its opposite is linattn.JRTPrompt, the same twice.
func once(parts ...[]int) []int { return slices.Concat(parts...) }

func readers(longest int) ([]*reader, error) {
	twice, jrtMark := linattn.JRTPrompt, newJRTMark(longest+2)
	list := []*reader{
		{"softmax attention", channels{16}, once, pen{black, line}, []maker{newSoftmax(0)}, nil},
		{fmt.Sprintf("window of %d", window), channels{16}, once, pen{grey, line}, []maker{newSoftmax(window)}, nil},
		{"Based, 8 channels, once", channels{8}, once, pen{red, dashes}, []maker{newMark, newAnswer}, nil},
		{"Based, 8 channels, twice", channels{8}, twice, pen{red, line}, []maker{newMark, newAnswer}, nil},
		{"Based, 16 channels, once", channels{16}, once, pen{blue, dashes}, []maker{newMark, newAnswer}, nil},
		{"Based, 16 channels, twice, unmarked", channels{16}, twice, pen{black, crosses}, []maker{newAnswer}, nil},
		{"Based, 16 channels, twice", channels{16}, twice, pen{blue, line}, []maker{newMark, newAnswer}, nil},
		{"JRT, 16 channels, once", channels{16}, once, pen{black, rings}, []maker{jrtMark, newAnswer}, nil},
	}
	for _, r := range list {
		for _, build := range r.makers {
			l, err := build(r.channels)
			if err != nil {
				return nil, err
			}
			r.layers = append(r.layers, l)
		}
	}
	return list, nil
}

// recall is the share of questions that a reader answers, and the size of its state then.
func (r *reader) recall(pairs, trials int, seed uint64) (share float64, bytes int) {
	rng := nn.NewRNG(seed*1_000_003 + uint64(pairs))
	s := tensor.NewScope()
	right := 0
	for range trials {
		s.Reset()
		tokens, document, question, answer := r.ask(pairs, rng)
		ids := r.prompt(document, question)
		x := tensor.Gather(tensor.Enter(s, tokens), ids, 1, len(ids))
		bytes = 0
		for _, l := range r.layers {
			st := l.NewState(1)
			x = tensor.Add(x, l.Forward(x, st))
			bytes += st.Bytes()
		}
		last := x.Narrow(1, len(ids)-1, len(ids)).Narrow(2, r.value(), r.value()+values)
		if largest(tensor.Contiguous(last).Data()) == answer {
			right++
		}
	}
	return float64(right) / float64(trials), bytes
}

func largest(x []float32) (at int) {
	for i, v := range x {
		if v > x[at] {
			at = i
		}
	}
	return at
}

func run(w io.Writer, c settings) error {
	if c.pairs < 16 || c.pairs > 1<<20 || c.trials < 1 {
		return fmt.Errorf("-pairs %d, -trials %d: want 16 to %d, and 1 or more", c.pairs, c.trials, 1<<20)
	}
	list, err := readers(c.pairs)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "How many of %d questions are answered, in percent (guessing: %.0f), after a document of so many pairs:\n\n%-36s", c.trials, 100./values, "")
	var lengths []int
	for n := 16; n <= c.pairs; n *= 2 {
		lengths = append(lengths, n)
		fmt.Fprintf(w, "%6d", n)
	}
	fmt.Fprintf(w, "%11s\n", "state")
	table := make([][]float64, len(list))
	for i, r := range list {
		fmt.Fprintf(w, "%-36s", r.name)
		var bytes int
		for _, n := range lengths {
			var share float64
			share, bytes = r.recall(n, c.trials, c.seed)
			table[i] = append(table[i], share)
			fmt.Fprintf(w, "%6.0f", 100*share)
		}
		fmt.Fprintf(w, "%8.1f kB\n", float64(bytes)/1e3)
	}
	if c.plot == "" {
		return nil
	}
	if err := writePicture(c.plot, list, lengths, table); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s: the same, drawn\n", c.plot)
	return nil
}
