// Hybrid stacks Mamba, softmax attention over a window and an MLP into one model,
// and reads a million tokens with it: the state
// stays as large as it was, and the last token takes as long as the first.
//
//	go run ./examples/hybrid
//	go run ./examples/hybrid -tokens 100000 -width 128 -window 256 -depth 4
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

type settings struct {
	tokens, width, window, depth, workers int
	seed                                  uint64
	progress                              io.Writer
}

func main() {
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "Hybrid reads many tokens with a stack of Mamba, windowed attention and MLPs, and shows what a token costs.\n\n")
		flag.PrintDefaults()
	}
	c := settings{progress: os.Stderr}
	flag.IntVar(&c.tokens, "tokens", 1_000_000, "tokens to read")
	flag.IntVar(&c.width, "width", 64, "channels")
	flag.IntVar(&c.window, "window", 64, "tokens that softmax attention sees")
	flag.IntVar(&c.depth, "depth", 1, "blocks, each of Mamba, attention and an MLP")
	flag.IntVar(&c.workers, "workers", 0, "goroutines to compute with; 0 means one for each core")
	flag.Uint64Var(&c.seed, "seed", 1, "of the weights")
	flag.Parse()
	if err := run(os.Stdout, c); err != nil {
		fmt.Fprintln(os.Stderr, "hybrid:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, c settings) error {
	if c.tokens < 1024 {
		return fmt.Errorf("-tokens %d: want 1024 or more", c.tokens)
	}
	model, err := newHybrid(c.width, c.window, c.depth, c.seed)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Mamba, attention over %d tokens, MLP: depth %d, %d channels, %d thousand weights; %s instructions\n\n",
		c.window, c.depth, c.width, model.Params().Count()/1000, hw.Current())
	fmt.Fprint(w, "      tokens    µs/token    one by one    state, bytes   softmax holds\n")
	rng := nn.NewRNG(c.seed + 1)
	embedding := nn.Normal(rng, 1, 256, c.width)
	s := tensor.NewScope(tensor.Workers(c.workers))
	read := func(n int, st *tensor.State) time.Duration { // n more tokens; the time for one
		s.Reset()
		ids := make([]int, n)
		for i := range ids {
			ids[i] = rng.IntN(256)
		}
		x := tensor.GatherIn(s, embedding, ids, 1, n)
		start := time.Now()
		model.Forward(x, st)
		return time.Since(start) / time.Duration(n)
	}
	const piece = 1024 // tokens at a time: the text is never there as a whole
	st := model.NewState(1)
	read(piece, st) // the first time memory is new
	st.Reset()
	for done, next := 0, piece; done < c.tokens; {
		var pieces, singles []time.Duration
		for done < next {
			n := min(piece, next-done)
			pieces = append(pieces, read(n, st))
			if done += n; len(pieces)%64 == 0 {
				fmt.Fprintf(c.progress, "%d of %d tokens\r", done, c.tokens)
			}
		}
		fork := st.Clone()
		for range 101 {
			singles = append(singles, read(1, fork))
		}
		softmax := float64(c.depth * 2 * c.width * 4 * done) // bytes, if the window were the whole text
		fmt.Fprintf(w, "%12d%12.2f%14.1f%16d%14.1f MB\n", done, median(pieces), median(singles), st.Bytes(), softmax/1e6)
		next = min(4*next, c.tokens)
	}
	return nil
}

// median, in µs: other programs run, too, and disturb some.
func median(d []time.Duration) float64 {
	slices.Sort(d)
	return 1e6 * d[len(d)/2].Seconds()
}
